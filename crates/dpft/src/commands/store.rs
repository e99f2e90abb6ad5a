//! The object store that `model` and `key` write to: a bucket on AWS, or the data folder of a service on this machine.

use crate::args::Target;
use jobs::{S3Store, Store};
use protocol::id::ModelId;
use std::sync::Arc;

/// Runs `work` on the target's store.
pub(crate) fn with<T>(
    target: &Target,
    work: impl AsyncFnOnce(&dyn Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    with_shared(target, async |store| work(&*store).await)
}

/// [`with`] for work that keeps the store.
pub(crate) fn with_shared<T>(
    target: &Target,
    work: impl AsyncFnOnce(Arc<dyn Store>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match &target.bucket {
            Some(bucket) => {
                let config = aws_config::load_from_env().await;
                work(Arc::new(S3Store::new(aws_sdk_s3::Client::new(&config), bucket.clone()))).await
            }
            None => {
                let offline = local::open_data_dir(&target.data_dir).await?;
                let result = work(offline.shared_store()).await;
                offline.close().await;
                result
            }
        }
    })
}

/// The last part of a path or hub name, as a model's name.
pub(crate) fn model_id(source: &str, name: Option<&str>) -> anyhow::Result<ModelId> {
    let last = source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    Ok(ModelId::parse(name.unwrap_or(last))?)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
