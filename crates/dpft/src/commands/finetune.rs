//! `finetune`: a LoRA adapter from a file, on this machine, without the service. Settings, plan, trainer and adapter folder are the worker's own.

use crate::args::{
    ClippingName, CorrectionName, FinetuneArgs, OptimizerChoice, PrecisionName, ScheduleName, UnitName,
};
use crate::commands::perturb::model_name;
use crate::commands::{chat, dry_run, generate};
use crate::files::{self, sha256};
use crate::{edge, show};
use ::perturb::{DEFAULT_NEIGHBOURS, Manifest, Mechanism, NeighbourTable, Tokenizer};
use anyhow::Context as _;
use dp::{Clipping, SecretSeed};
use finetune::adapter::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE};
use finetune::chat::chat_files;
use finetune::{
    Adapter, BaseModel, MemoryEstimate, ModelFiles, Privacy, RecordOptions, Records, Trainer, TrainingConfig,
};
use finetune_function::adapter_folder::{self, Provenance};
use finetune_function::config::{max_length, training_config, with_channel};
use protocol::hyperparameters::{Correction, DpLora, DpLoraRequest, OptimizerName, Precision, Schedule};
use protocol::signature::CertificateKey;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What is trained on.
pub(crate) struct Data {
    pub(crate) records: Records,
    manifest: Option<Manifest>,
    sha256: String,
}

/// A run that could begin.
pub(crate) struct Run {
    pub(crate) settings: DpLora,
    pub(crate) folder: ModelFiles,
    pub(crate) model: Arc<BaseModel>,
    pub(crate) data: Data,
    pub(crate) config: TrainingConfig,
    start: Option<Adapter>,
}

/// Trains and writes the adapter folder.
pub(crate) fn run(args: &FinetuneArgs) -> anyhow::Result<()> {
    let signing_key = args.signing_key.as_deref().map(signing_key).transpose()?;
    let run = prepare(args)?;
    let Some(out) = args.out.as_deref().filter(|_| !args.dry_run) else {
        return dry_run::report(&run, args.json);
    };
    let memory = MemoryEstimate::of(run.model.config(), &run.config)?;
    eprintln!("{}", dry_run::memory_line(&memory));
    let (model, records) = (Arc::clone(&run.model), run.data.records.clone());
    let (config, seed) = (run.config.clone(), SecretSeed::from_bytes(edge::entropy()?));
    let mut trainer = match &run.start {
        Some(adapter) => Trainer::from_adapter(model, records, config, seed, adapter)?,
        None => Trainer::new(model, records, config, seed)?,
    };
    train(&mut trainer)?;
    let written = folder_of(args, &run, &trainer.adapter(), signing_key.as_ref())?;
    files::write_folder(out, &written)?;
    report(out, args.json, &trainer);
    Ok(())
}

/// Reads and checks everything that a run needs.
fn prepare(args: &FinetuneArgs) -> anyhow::Result<Run> {
    let start = args.adapter.as_deref().map(generate::read_adapter).transpose()?;
    let bytes = edge::read(&args.data)?;
    let unit = chat::unit_of(args.unit, &bytes);
    let settings = settings(args, unit, start.as_ref())?;
    let folder = ModelFiles::from_dir(&args.model)?;
    let model = Arc::new(BaseModel::load(&folder)?);
    let data = data(args, (&bytes, unit), &settings, &folder, &model)?;
    let config = config(args, &settings, &data.records, &model)?;
    Ok(Run { settings, folder, model, data, config, start })
}

/// What the flags ask for; the adapter's shape, if there is one, where they say nothing.
fn settings(args: &FinetuneArgs, unit: UnitName, start: Option<&Adapter>) -> anyhow::Result<DpLora> {
    let shape = start.map(Adapter::config);
    let names = |lora: &finetune::LoraConfig| lora.target_modules.clone();
    let request = DpLoraRequest {
        epsilon: Some(args.epsilon),
        delta: args.delta,
        privacy_unit: Some(unit.into()),
        rank: args.rank.or(shape.map(|lora| lora.rank as u32)),
        alpha: args.alpha.or(shape.map(|lora| lora.alpha)),
        use_rslora: Some(args.rslora || shape.is_some_and(|lora| lora.use_rslora)),
        target_modules: args.target_modules.clone().or(shape.map(names)),
        batch_size: Some(args.batch_size),
        steps: args.steps,
        epochs: args.epochs,
        max_length: Some(args.max_length),
        correction: args.correction.map(Correction::from),
        ..optimization(args)
    };
    Ok(request.validate()?)
}

/// The part of the settings that turns gradients into updates.
fn optimization(args: &FinetuneArgs) -> DpLoraRequest {
    DpLoraRequest {
        learning_rate: Some(args.learning_rate),
        warmup_steps: Some(args.warmup_steps),
        schedule: Some(args.schedule.into()),
        optimizer: Some(args.optimizer.into()),
        momentum: args.momentum,
        weight_decay: Some(args.weight_decay),
        max_grad_norm: Some(args.max_grad_norm),
        clipping: Some(args.clipping.into()),
        precision: Some(args.precision.into()),
        ..DpLoraRequest::default()
    }
}

impl From<CorrectionName> for Correction {
    fn from(name: CorrectionName) -> Self {
        match name {
            CorrectionName::Off => Self::Off,
            CorrectionName::Received => Self::Received,
            CorrectionName::PosteriorMean => Self::PosteriorMean,
            CorrectionName::Denoised => Self::Denoised,
        }
    }
}

impl From<ClippingName> for Clipping {
    fn from(name: ClippingName) -> Self {
        match name {
            ClippingName::Flat => Self::Flat,
            ClippingName::Auto => Self::Auto,
            ClippingName::PerLayer => Self::PerLayer,
        }
    }
}

impl From<OptimizerChoice> for OptimizerName {
    fn from(name: OptimizerChoice) -> Self {
        match name {
            OptimizerChoice::Adamw => Self::Adamw,
            OptimizerChoice::Sgd => Self::Sgd,
        }
    }
}

impl From<ScheduleName> for Schedule {
    fn from(name: ScheduleName) -> Self {
        match name {
            ScheduleName::Constant => Self::Constant,
            ScheduleName::Linear => Self::Linear,
            ScheduleName::Cosine => Self::Cosine,
        }
    }
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

fn signing_key(path: &Path) -> anyhow::Result<CertificateKey> {
    let text = String::from_utf8(edge::read(path)?).unwrap_or_default();
    CertificateKey::from_hex(&text).with_context(|| format!("{} holds no signing key", path.display()))
}

fn data(
    args: &FinetuneArgs,
    (bytes, unit): (&[u8], UnitName),
    settings: &DpLora,
    folder: &ModelFiles,
    model: &BaseModel,
) -> anyhow::Result<Data> {
    let tokenizer = Tokenizer::from_bytes(&folder.tokenizer_json)?;
    let length = max_length(settings, model.config().max_position_embeddings);
    let chunks = settings.max_chunks_per_record as usize;
    let options = RecordOptions::for_model(model.config(), settings.privacy_unit, length, chunks);
    let chat = chat::format(folder, unit, args.chat_template.as_deref())?;
    let (records, manifest) = Records::from_bytes(bytes, &tokenizer, &options, chat.as_ref())
        .with_context(|| format!("{} cannot be used", args.data.display()))?;
    let table = neighbours(manifest.as_ref(), model, &tokenizer)?;
    let vocab_size = model.config().vocab_size;
    let records = with_channel(records, manifest.as_ref(), &tokenizer, table.as_ref(), vocab_size)?;
    Ok(Data { records, manifest, sha256: sha256(bytes) })
}

/// The table that the text was perturbed with: it follows from the model's embeddings, but for its width.
fn neighbours(
    manifest: Option<&Manifest>,
    model: &BaseModel,
    tokenizer: &Tokenizer,
) -> anyhow::Result<Option<NeighbourTable>> {
    let Some(Mechanism::SetRr { neighbours, .. }) = manifest.map(|manifest| manifest.mechanism) else {
        return Ok(None);
    };
    let (matrix, dim) = model.input_embeddings()?;
    let columns = neighbours.max(DEFAULT_NEIGHBOURS);
    Ok(Some(NeighbourTable::build(&matrix, dim, tokenizer.domain(), columns)?))
}

fn config(
    args: &FinetuneArgs,
    settings: &DpLora,
    records: &Records,
    model: &BaseModel,
) -> anyhow::Result<TrainingConfig> {
    let count = records.len();
    let privacy = if args.non_private {
        let batch_size = settings.expected_batch_size(count);
        Privacy::NonPrivate { batch_size, steps: settings.duration.steps(count, batch_size) }
    } else {
        // A file of perturbed tokens brings its own unit.
        Privacy::DpSgd(settings.plan(count, records.unit())?)
    };
    let positions = model.config().max_position_embeddings;
    Ok(training_config(settings, privacy, positions, edge::threads(args.threads))?)
}

/// The adapter folder: with a certificate, unless training gave no privacy that one could state.
fn folder_of(
    args: &FinetuneArgs,
    run: &Run,
    adapter: &Adapter,
    signing_key: Option<&CertificateKey>,
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let base_model = model_name(&args.model);
    let Privacy::DpSgd(plan) = &run.config.privacy else {
        let mut files = adapter.to_files(&base_model);
        files.push((finetune::model::TOKENIZER_FILE.into(), run.folder.tokenizer_json.clone()));
        return Ok(files);
    };
    let provenance = Provenance {
        job: None,
        base_model: &base_model,
        settings: &run.settings,
        plan,
        dataset_budget: None,
        manifest: run.data.manifest.as_ref(),
        initial_adapter: adapter_hashes(args.adapter.as_deref())?,
        tokenizer_json: &run.folder.tokenizer_json,
        model_hashes: &model_hashes(&run.folder),
        training_file_sha256: &run.data.sha256,
        code_version: env!("CARGO_PKG_VERSION"),
        now: edge::now(),
        signing_key,
    };
    Ok(adapter_folder::files(adapter, &provenance))
}

/// SHA-256 of an adapter's files, by name.
fn adapter_hashes(folder: Option<&Path>) -> anyhow::Result<BTreeMap<String, String>> {
    let hash = |folder: &Path, name: &str| Ok((name.to_owned(), sha256(&edge::read(&folder.join(name))?)));
    let names = [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE];
    folder.into_iter().flat_map(|folder| names.map(|name| hash(folder, name))).collect()
}

fn model_hashes(folder: &ModelFiles) -> BTreeMap<String, String> {
    let named = [
        (finetune::model::CONFIG_FILE, folder.config_json.as_slice()),
        (finetune::model::TOKENIZER_FILE, folder.tokenizer_json.as_slice()),
    ];
    let weights = folder.weights.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
    let all = named.into_iter().chain(chat_files(folder)).chain(weights);
    all.map(|(name, bytes)| (name.to_owned(), sha256(bytes))).collect()
}

fn train(trainer: &mut Trainer) -> anyhow::Result<()> {
    let bar = show::bar(trainer.total_steps(), "training (steps)");
    while trainer.completed_steps() < trainer.total_steps() {
        trainer.step()?;
        bar.set_position(trainer.completed_steps());
        if let Some(epsilon) = trainer.epsilon_spent() {
            bar.set_prefix(format!("ε {epsilon:.2}"));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn report(out: &Path, as_json: bool, trainer: &Trainer) {
    let (steps, epsilon) = (trainer.completed_steps(), trainer.epsilon_spent());
    if as_json {
        println!("{}", serde_json::json!({"adapter": out, "steps": steps, "epsilon": epsilon}));
    } else {
        let promise = epsilon.map_or("no privacy at all".into(), |epsilon| format!("ε = {epsilon:.4} spent"));
        println!("{}: {steps} steps, {promise}", out.display());
    }
}
