//! `serve`: the whole service on this machine.

use crate::args::ServeArgs;
use crate::edge;
use anyhow::Context as _;
use local::{ServeConfig, WorkerProcesses};

/// Serves until Ctrl-C; unfinished jobs go on at the next start.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<()> {
    let site_dir = args.site.join("index.html").exists().then_some(args.site);
    if site_dir.is_none() {
        eprintln!("The page is not built, so only the API is served; `cargo xtask serve` builds it.");
    }
    let config = ServeConfig {
        port: args.port,
        s3_port: None,
        data_dir: args.data_dir,
        models_dir: Some(args.models),
        site_dir,
        worker_threads: edge::threads(args.threads),
        processes: processes(args.workers)?,
        slice_seconds: args.slice_seconds,
    };
    tokio::runtime::Runtime::new()?.block_on(async {
        let service = local::start(config).await?;
        println!("Open this page: {}", service.page_url);
        println!("API:            {} (key {})", service.api_url, service.api_key);
        println!("Ctrl-C stops it; unfinished jobs go on at the next start.");
        tokio::signal::ctrl_c().await?;
        eprintln!("Stopping: what is running is written down first.");
        service.shutdown().await;
        Ok(())
    })
}

/// One worker needs no process of its own.
fn processes(workers: usize) -> anyhow::Result<Option<WorkerProcesses>> {
    if workers == 1 {
        return Ok(None);
    }
    let program = std::env::current_exe().context("the path of this program cannot be read")?;
    Ok(Some(WorkerProcesses { count: workers, program }))
}
