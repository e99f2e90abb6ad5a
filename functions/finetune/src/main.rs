//! Lambda entry point: reads the environment, makes the clients, and hands every event to the handler.
//!
//! Environment: `FILES_BUCKET` and `QUEUE_URL` (required); `DEAD_LETTER=1` makes this the dead-letter queue's consumer;
//! `S3_PATH_STYLE=1` for stores that want the bucket in the path.
#![allow(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]

use anyhow::Context;
use aws_lambda_events::sqs::SqsEvent;
use finetune_function::{FinetuneRunner, Settings, Worker, handle, handle_dead_letters, signing};
use jobs::{DriverContext, Limits, S3Store, SqsQueue, Store, SystemClock};
use lambda_runtime::{LambdaEvent, service_fn};
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Kept back for writing a checkpoint (a few megabytes), the commit and the next message; they take a second or two, and S3 is sometimes slow.
const MARGIN: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(false).init();
    let worker = &worker().await?;
    let dead_letter = is_set("DEAD_LETTER");
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let clock = &worker.context.clock;
        // Rounded up, since the clock shows whole seconds: the deadline is then early, never late.
        let now = clock.now() + 1;
        let left = Duration::from_millis(event.context.deadline).saturating_sub(Duration::from_secs(now));
        let response = match dead_letter {
            true => handle_dead_letters(worker, event.payload).await,
            false => handle(worker, event.payload, clock.monotonic() + left).await,
        };
        Ok::<_, lambda_runtime::Error>(response)
    }))
    .await
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
    let signing_key = match is_set("DEAD_LETTER") {
        // It signs nothing, and may not read the key.
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
    Ok(Worker { context: DriverContext { store, queue, clock, runner, limits: Limits::default() } })
}

fn required(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("set the environment variable {name}"))
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}
