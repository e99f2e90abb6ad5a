//! Lambda entry point: reads the environment, makes the clients, and hands every event to the handler.
//!
//! Environment: `FILES_BUCKET` and `QUEUE_URL` (required); `DEAD_LETTER=1` makes this the dead-letter queue's consumer, `SWEEP=1` what a
//! schedule runs to look after jobs and objects that were left alone;
//! `METRICS_NAMESPACE`, CloudWatch's namespace to count in (without it nothing is counted); `S3_PATH_STYLE=1` for stores that want the bucket in the path.
#![allow(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]

use anyhow::Context;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use finetune_function::{
    FinetuneRunner, Metrics, Settings, Worker, handle, handle_dead_letters, invocation, signing,
};
use jobs::{DriverContext, Limits, S3Store, SliceRunner, SqsQueue, Store, SweepLimits, Swept, SystemClock};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Kept back for writing a checkpoint (a few megabytes), the commit and the next message; they take a second or two, and S3 is sometimes slow.
const MARGIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    invocation::subscriber(filter, std::io::stdout).init();
    let worker = &worker().await?;
    if is_set("SWEEP") {
        return lambda_runtime::run(service_fn(move |event: LambdaEvent<IgnoredAny>| {
            let span = invocation::span(&event.context);
            look_after(worker).instrument(span)
        }))
        .await;
    }
    let dead_letter = is_set("DEAD_LETTER");
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let span = invocation::span(&event.context);
        answer(worker, dead_letter, event).instrument(span)
    }))
    .await
}

/// One sweep, which a schedule asks for: what the event says does not matter.
async fn look_after(worker: &Worker) -> Result<(), lambda_runtime::Error> {
    let DriverContext { store, queue, clock, .. } = &worker.context;
    let swept = jobs::sweep(store, &**queue, &**clock, SweepLimits::default()).await?;
    let Swept { jobs, resent, tidied, abandoned, failed } = swept;
    tracing::info!(jobs, resent, tidied, abandoned, failed, "swept");
    Ok(())
}

async fn answer(
    worker: &Worker,
    dead_letter: bool,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, lambda_runtime::Error> {
    let clock = &worker.context.clock;
    // Rounded up, since the clock shows whole seconds: the deadline is then early, never late.
    let now = clock.now() + 1;
    let left = Duration::from_millis(event.context.deadline).saturating_sub(Duration::from_secs(now));
    let response = match dead_letter {
        true => handle_dead_letters(worker, event.payload).await,
        false => handle(worker, event.payload, clock.monotonic() + left).await,
    };
    Ok(response)
}

async fn worker() -> anyhow::Result<Worker> {
    let bucket = required("FILES_BUCKET")?;
    let queue_url = required("QUEUE_URL")?;
    let aws = aws_config::load_from_env().await;
    let s3 = aws_sdk_s3::config::Builder::from(&aws).force_path_style(is_set("S3_PATH_STYLE")).build();
    let store: Arc<dyn Store> = Arc::new(S3Store::new(aws_sdk_s3::Client::from_conf(s3), bucket));
    let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&aws), queue_url));
    let clock = Arc::new(SystemClock::new());
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).context("the operating system gave no randomness")?;
    let signing_key = match is_set("DEAD_LETTER") || is_set("SWEEP") {
        // They sign nothing, and may not read the key.
        true => None,
        false => Some(signing::load_or_create(&*store, entropy).await?),
    };
    let settings = Settings {
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        margin: MARGIN,
        scratch: Some("/tmp".into()),
        signing_key,
    };
    let runner = Arc::new(FinetuneRunner::new(Arc::clone(&store), clock.clone(), settings));
    let metrics =
        required("METRICS_NAMESPACE").ok().map(|name| Metrics::new(name, Box::new(std::io::stdout())));
    let runner: Arc<dyn SliceRunner> = match &metrics {
        Some(metrics) => metrics.watch(runner),
        None => runner,
    };
    Ok(Worker { context: DriverContext { store, queue, clock, runner, limits: limits()? }, metrics })
}

fn limits() -> anyhow::Result<Limits> {
    let mut limits = Limits::default();
    if let Ok(text) = required("TENANT_FUNCTIONS") {
        limits.quotas.functions = text
            .parse()
            .with_context(|| format!("TENANT_FUNCTIONS is `{text}`, which is no whole number"))?;
    }
    Ok(limits)
}

fn required(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("set the environment variable {name}"))
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}
