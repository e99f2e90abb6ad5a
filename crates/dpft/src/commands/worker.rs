//! `worker`: one of the processes that `serve --workers` starts.

use anyhow::Context as _;
use std::os::fd::AsFd;
use tokio::net::unix::pipe::Receiver;

/// Works until standard input is closed.
pub(crate) fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let worked = runtime.block_on(async {
        let input = std::io::stdin().as_fd().try_clone_to_owned()?;
        let input = Receiver::from_owned_fd(input);
        let input = input.ok().context("standard input is no pipe from a service: `serve` starts workers")?;
        Ok(local::work_in_process(input).await?)
    });
    // A step whose time is over is not waited for.
    runtime.shutdown_background();
    worked
}
