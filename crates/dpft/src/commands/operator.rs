//! What operators do to a service: put jobs back to work, and look after what was left alone.

use crate::args::{OperatorArgs, RedriveArgs};
use crate::commands::store;
use anyhow::bail;
use jobs::{Queue, QueueError, Store, SweepLimits, SystemClock};
use protocol::id::{JobId, TenantId};
use protocol::message::SliceMessage;
use std::sync::Arc;
use std::time::Duration;

/// Puts a job back to work.
pub(crate) fn redrive(args: RedriveArgs) -> anyhow::Result<()> {
    let (tenant, job) = (TenantId::parse(&args.tenant)?, JobId::parse(&args.job)?);
    with(&args.operator, async |store, queue| {
        Ok(jobs::redrive_job(store, queue, &SystemClock::new(), &tenant, &job).await?)
    })?;
    println!("{job} goes on from its last checkpoint.");
    Ok(())
}

/// One sweep.
pub(crate) fn sweep(args: OperatorArgs) -> anyhow::Result<()> {
    let swept = with(&args, async |store, queue| {
        Ok(jobs::sweep(store, queue, &SystemClock::new(), SweepLimits::default()).await?)
    })?;
    println!(
        "{} jobs looked at: {} asked for again, {} tidied up; {} abandoned uploads and files removed.",
        swept.jobs, swept.resent, swept.tidied, swept.abandoned
    );
    if swept.failed > 0 {
        bail!("{} could not be seen to: do it again", swept.failed);
    }
    Ok(())
}

/// Runs `work` on the service's store and queue.
fn with<T>(
    args: &OperatorArgs,
    work: impl AsyncFnOnce(&Arc<dyn Store>, &dyn Queue) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if args.target.bucket.is_some() && args.queue_url.is_none() {
        bail!("give the stack's queue too: --queue-url with its output QueueUrl");
    }
    let url = args.queue_url.clone();
    store::with_shared(&args.target, async |store| match url {
        Some(url) => {
            let aws = aws_config::load_from_env().await;
            work(&store, &jobs::SqsQueue::new(aws_sdk_sqs::Client::new(&aws), url)).await
        }
        None => work(&store, &AtNextStart).await,
    })
}

/// The queue of a service on this machine, which does not run now: when it starts, it asks for every unfinished job.
struct AtNextStart;

#[async_trait::async_trait]
impl Queue for AtNextStart {
    async fn send(&self, _: &SliceMessage, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }
}
