//! The slice runner: fetches what a job needs, keeps it for the next slice, and trains.
//!
//! A Lambda container, and even more so the local worker, mostly runs slice after slice of one job; what the last slice loaded is kept by the
//! hash of its content, so it can never be mistaken for something else.

use crate::data::{self, Prepared};
use crate::fetch::{self, IndexedModel, sha256};
use crate::problem::{Subject, permanent};
use crate::training::SliceTask;
use bytes::Bytes;
use finetune::{BaseModel, ChatError, ChatFormat, ModelFiles};
use futures::TryStreamExt;
use jobs::{Clock, Shards, SliceBudget, SliceError, SliceResult, SliceRunner, Store};
use perturb::{NeighbourTable, Tokenizer};
use protocol::api::FileMeta;
use protocol::signature::CertificateKey;
use protocol::state::JobState;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the host gives the trainer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Version of the code, for the certificate.
    pub code_version: String,
    /// Worker threads; the host's cores.
    pub threads: usize,
    /// Time kept back for writing the checkpoint and committing it.
    pub margin: Duration,
    /// Folder where a model's weights are written to be mapped, so that they take memory only while they are packed; none holds
    /// them in memory.
    pub scratch: Option<PathBuf>,
    /// What certificates are signed with; none leaves them unsigned.
    pub signing_key: Option<CertificateKey>,
}

/// A base model ready to train on.
pub(crate) struct LoadedModel {
    version: String,
    pub(crate) base: Arc<BaseModel>,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) tokenizer_json: Vec<u8>,
    /// How it writes chats, if it does. A template that cannot be read is no matter for other data.
    chat: Result<Option<ChatFormat>, ChatError>,
    /// The sets of set randomised response, if the model was published with them.
    neighbours: Option<NeighbourTable>,
    /// SHA-256 of its files, by name.
    pub(crate) hashes: BTreeMap<String, String>,
}

/// Runs slices with the `finetune` crate.
pub struct FinetuneRunner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    model: Kept<LoadedModel>,
    data: Kept<Prepared>,
}

impl FinetuneRunner {
    /// A runner with empty hands.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self { store, clock, settings, model: Kept::default(), data: Kept::default() }
    }

    async fn model(&self, job: &JobState) -> Result<Arc<LoadedModel>, SliceError> {
        let indexed = fetch::model_index(&*self.store, &job.spec.model).await?;
        if let Some(model) = self.model.get(&indexed.version) {
            return Ok(model);
        }
        // Gone before the next is loaded, so that two never fill the memory.
        self.model.clear();
        let files =
            fetch::model_files(&*self.store, &indexed.index, self.settings.scratch.as_deref()).await?;
        let neighbours = fetch::neighbour_table(&*self.store, &indexed.index).await?;
        let version = indexed.version.clone();
        let model = blocking(move || load(files, neighbours, indexed)).await?;
        Ok(self.model.keep(version, model))
    }

    /// All that a slice of `job` needs.
    async fn task(&self, job: &JobState, checkpoint: Option<Bytes>) -> Result<SliceTask, SliceError> {
        let meta = fetch::file_meta(&*self.store, &job.tenant, &job.spec.training_file).await?;
        let model = self.model(job).await?;
        let data = self.data(job, &meta, &model).await?;
        Ok(SliceTask {
            model,
            data,
            training_file_sha256: meta.sha256,
            job: job.clone(),
            checkpoint,
            clock: Arc::clone(&self.clock),
            settings: self.settings.clone(),
        })
    }

    async fn data(
        &self,
        job: &JobState,
        meta: &FileMeta,
        model: &Arc<LoadedModel>,
    ) -> Result<Arc<Prepared>, SliceError> {
        let settings = &job.spec.dp_lora;
        let shape = (settings.privacy_unit, settings.max_length, settings.max_chunks_per_record);
        let key = sha256(format!("{}|{}|{shape:?}", model.version, meta.sha256).as_bytes());
        // `meta` was read anew, so what is kept is never used after its owner has deleted the file.
        if let Some(data) = self.data.get(&key) {
            return Ok(data);
        }
        self.data.clear();
        let bytes = fetch::file_content(&*self.store, meta).await?;
        let (settings, model) = (settings.clone(), Arc::clone(model));
        let prepare = move || {
            let (config, table) = (model.base.config(), model.neighbours.as_ref());
            let tokenizer = data::Tokenizers { plain: &model.tokenizer, chat: &model.chat };
            data::prepare(&bytes, &settings, config, tokenizer, table)
        };
        Ok(self.data.keep(key, blocking(prepare).await?))
    }
}

#[async_trait::async_trait]
impl SliceRunner for FinetuneRunner {
    async fn run(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        budget: SliceBudget,
    ) -> Result<SliceResult, SliceError> {
        let task = self.task(job, checkpoint).await?;
        blocking(move || task.run(&budget)).await
    }

    async fn shard(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        shard: u32,
        _: SliceBudget,
    ) -> Result<Vec<u8>, SliceError> {
        let task = self.task(job, checkpoint).await?;
        blocking(move || task.shard(shard)).await
    }

    async fn reduce(
        &self,
        job: &JobState,
        checkpoint: Option<Bytes>,
        mut shards: Shards<'_>,
    ) -> Result<SliceResult, SliceError> {
        let task = self.task(job, checkpoint).await?;
        // A few wait for the trainer, which takes them one by one.
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let reducing = blocking(move || task.reduce(std::iter::from_fn(|| receiver.blocking_recv())));
        let reading = async move {
            while let Some(shard) = shards.try_next().await? {
                if sender.send(shard).await.is_err() {
                    // The trainer has found what is wrong, and says so.
                    break;
                }
            }
            Ok(())
        };
        let (read, reduced) = tokio::join!(reading, reducing);
        // Where a shard could not be read, the trainer misses it: that is no fault of the job's.
        read.and(reduced)
    }
}

fn load(
    files: ModelFiles,
    neighbours: Option<Bytes>,
    indexed: IndexedModel,
) -> Result<LoadedModel, SliceError> {
    let base = BaseModel::load(&files).map_err(|error| permanent(Subject::Model, error))?;
    let tokenizer =
        Tokenizer::from_bytes(&files.tokenizer_json).map_err(|error| permanent(Subject::Model, error))?;
    let table = |bytes: Bytes| NeighbourTable::from_bytes(&bytes, tokenizer.domain());
    let neighbours = neighbours.map(table).transpose().map_err(|error| permanent(Subject::Model, error))?;
    Ok(LoadedModel {
        neighbours,
        base: Arc::new(base),
        chat: ChatFormat::of(&files, None),
        tokenizer,
        tokenizer_json: files.tokenizer_json,
        hashes: fetch::used_hashes(&indexed.index),
        version: indexed.version,
    })
}

/// Runs `work` off the async threads. A panic there is a bug, or the host's; trying again is all that can be done.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SliceError> + Send + 'static,
) -> Result<T, SliceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(SliceError::Retryable("the trainer panicked".into())),
    }
}

/// One value, kept under the hash of what it was made from.
struct Kept<T>(Mutex<Option<(String, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    fn get(&self, key: &str) -> Option<Arc<T>> {
        let kept = self.lock();
        kept.as_ref().filter(|(name, _)| name == key).map(|(_, value)| Arc::clone(value))
    }

    fn keep(&self, key: String, value: T) -> Arc<T> {
        let value = Arc::new(value);
        *self.lock() = Some((key, Arc::clone(&value)));
        value
    }

    fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(String, Arc<T>)>> {
        // The option is replaced whole, so a panic elsewhere leaves it valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
