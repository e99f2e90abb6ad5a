//! Lambda entry point: reads the environment, joins the parts, answers API Gateway's events.
//!
//! Environment: `FILES_BUCKET` and `QUEUE_URL` (required); `DATASET_EPSILON`, what all jobs on one file may spend;
//! `TENANT_JOBS`, `TENANT_FUNCTIONS` and `TENANT_BYTES`, what one tenant may have at a time; `S3_PATH_STYLE=1` for stores that want the bucket in the path.

use anyhow::Context;
use api_function::{ApiConfig, ApiState, DEFAULT_DATASET_EPSILON, LOG_FILTER, OsEntropy, invocation, router};
use axum::middleware::from_fn;
use jobs::{Quotas, S3Store, SqsQueue, SystemClock};
use std::sync::Arc;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let filter = tracing_subscriber::EnvFilter::new(LOG_FILTER);
    invocation::subscriber(filter, std::io::stdout).init();
    let bucket = setting("FILES_BUCKET")?;
    let queue_url = setting("QUEUE_URL")?;
    let aws = aws_config::load_from_env().await;
    let path_style = setting("S3_PATH_STYLE").is_ok_and(|value| value == "1");
    let s3 = aws_sdk_s3::config::Builder::from(&aws).force_path_style(path_style).build();
    let store = S3Store::new(aws_sdk_s3::Client::from_conf(s3), bucket);
    let queue = SqsQueue::new(aws_sdk_sqs::Client::new(&aws), queue_url);
    let state = ApiState::new(
        Arc::new(store),
        Arc::new(queue),
        Arc::new(SystemClock::new()),
        Arc::new(OsEntropy),
        ApiConfig { dataset_epsilon: dataset_epsilon()?, quotas: quotas()?, ..ApiConfig::default() },
    );
    lambda_http::run(router(state).layer(from_fn(invocation::in_span))).await
}

fn dataset_epsilon() -> anyhow::Result<dp::Epsilon> {
    let number = setting("DATASET_EPSILON").map_or(Ok(DEFAULT_DATASET_EPSILON), |text| {
        text.parse::<f64>().with_context(|| format!("DATASET_EPSILON is `{text}`, which is no number"))
    })?;
    Ok(dp::Epsilon::try_from(number)?)
}

fn quotas() -> anyhow::Result<Quotas> {
    let number = |name: &str, usual: u64| match setting(name) {
        Ok(text) => {
            text.parse::<u64>().with_context(|| format!("{name} is `{text}`, which is no whole number"))
        }
        Err(_) => Ok(usual),
    };
    let usual = Quotas::default();
    Ok(Quotas {
        jobs: number("TENANT_JOBS", usual.jobs.into())?.try_into()?,
        functions: number("TENANT_FUNCTIONS", usual.functions.into())?.try_into()?,
        bytes: number("TENANT_BYTES", usual.bytes)?,
    })
}

#[allow(clippy::disallowed_methods, reason = "main is where the environment is read")]
fn setting(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("the environment variable {name} is not set"))
}
