//! `finetune`: a LoRA adapter from a file, on this machine, without the service. Settings, plan, trainer and adapter folder are the worker's own.

use crate::args::{CorrectionName, FinetuneArgs};
use crate::commands::perturb::model_name;
use crate::files::{self, sha256};
use crate::{edge, show};
use ::perturb::{DEFAULT_NEIGHBOURS, Manifest, Mechanism, NeighbourTable, Tokenizer};
use anyhow::Context as _;
use dp::SecretSeed;
use finetune::{Adapter, BaseModel, ModelFiles, Privacy, RecordOptions, Records, Trainer, TrainingConfig};
use finetune_function::adapter_folder::{self, Provenance};
use finetune_function::config::{max_length, training_config, with_channel};
use protocol::hyperparameters::{Correction, DpLora, DpLoraRequest};
use protocol::signature::CertificateKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is trained on.
struct Data {
    records: Records,
    manifest: Option<Manifest>,
    sha256: String,
}

/// Trains and writes the adapter folder.
pub(crate) fn run(args: FinetuneArgs) -> anyhow::Result<()> {
    let settings = settings(&args)?;
    let signing_key = args.signing_key.as_deref().map(signing_key).transpose()?;
    let folder = ModelFiles::from_dir(&args.model)?;
    let model = Arc::new(BaseModel::load(&folder)?);
    let data = data(&args, &settings, &folder, &model)?;
    let config = config(&args, &settings, &data.records, &model)?;
    let privacy = config.privacy.clone();
    let seed = SecretSeed::from_bytes(edge::entropy()?);
    let mut trainer = Trainer::new(model, data.records.clone(), config, seed)?;
    train(&mut trainer)?;
    let written =
        folder_of(&args, &settings, &privacy, &trainer.adapter(), &folder, &data, signing_key.as_ref());
    files::write_folder(&args.out, &written)?;
    report(&args, &trainer);
    Ok(())
}

fn settings(args: &FinetuneArgs) -> anyhow::Result<DpLora> {
    let request = DpLoraRequest {
        epsilon: Some(args.epsilon),
        delta: args.delta,
        privacy_unit: Some(args.unit.into()),
        rank: Some(args.rank),
        alpha: args.alpha,
        batch_size: Some(args.batch_size),
        steps: args.steps,
        epochs: args.epochs,
        learning_rate: Some(args.learning_rate),
        max_grad_norm: Some(args.max_grad_norm),
        max_length: Some(args.max_length),
        correction: args.correction.map(|name| match name {
            CorrectionName::Off => Correction::Off,
            CorrectionName::Received => Correction::Received,
            CorrectionName::PosteriorMean => Correction::PosteriorMean,
            CorrectionName::Denoised => Correction::Denoised,
        }),
        ..DpLoraRequest::default()
    };
    Ok(request.validate()?)
}

fn signing_key(path: &std::path::Path) -> anyhow::Result<CertificateKey> {
    let text = String::from_utf8(edge::read(path)?).unwrap_or_default();
    CertificateKey::from_hex(&text).with_context(|| format!("{} holds no signing key", path.display()))
}

fn data(
    args: &FinetuneArgs,
    settings: &DpLora,
    folder: &ModelFiles,
    model: &BaseModel,
) -> anyhow::Result<Data> {
    let tokenizer = Tokenizer::from_bytes(&folder.tokenizer_json)?;
    let length = max_length(settings, model.config().max_position_embeddings);
    let chunks = settings.max_chunks_per_record as usize;
    let options = RecordOptions::for_model(model.config(), settings.privacy_unit, length, chunks);
    let bytes = edge::read(&args.data)?;
    let (records, manifest) = Records::from_bytes(&bytes, &tokenizer, &options)
        .with_context(|| format!("{} cannot be used", args.data.display()))?;
    let table = neighbours(manifest.as_ref(), model, &tokenizer)?;
    let vocab_size = model.config().vocab_size;
    let records = with_channel(records, manifest.as_ref(), &tokenizer, table.as_ref(), vocab_size)?;
    Ok(Data { records, manifest, sha256: sha256(&bytes) })
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
    let (matrix, dim) = model.input_embeddings();
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
    settings: &DpLora,
    privacy: &Privacy,
    adapter: &Adapter,
    folder: &ModelFiles,
    data: &Data,
    signing_key: Option<&CertificateKey>,
) -> Vec<(String, Vec<u8>)> {
    let base_model = model_name(&args.model);
    let Privacy::DpSgd(plan) = privacy else {
        let mut files = adapter.to_files(&base_model);
        files.push((finetune::model::TOKENIZER_FILE.into(), folder.tokenizer_json.clone()));
        return files;
    };
    let provenance = Provenance {
        job: None,
        base_model: &base_model,
        settings,
        plan,
        dataset_budget: None,
        manifest: data.manifest.as_ref(),
        tokenizer_json: &folder.tokenizer_json,
        model_hashes: &model_hashes(folder),
        training_file_sha256: &data.sha256,
        code_version: env!("CARGO_PKG_VERSION"),
        now: edge::now(),
        signing_key,
    };
    adapter_folder::files(adapter, &provenance)
}

fn model_hashes(folder: &ModelFiles) -> BTreeMap<String, String> {
    let named = [
        (finetune::model::CONFIG_FILE, &folder.config_json),
        (finetune::model::TOKENIZER_FILE, &folder.tokenizer_json),
    ];
    let named = named.into_iter().map(|(name, bytes)| (name.to_owned(), sha256(bytes)));
    named.chain(folder.weights.iter().map(|(name, bytes)| (name.clone(), sha256(bytes)))).collect()
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

fn report(args: &FinetuneArgs, trainer: &Trainer) {
    let (steps, epsilon) = (trainer.completed_steps(), trainer.epsilon_spent());
    if args.json {
        println!("{}", serde_json::json!({"adapter": args.out, "steps": steps, "epsilon": epsilon}));
    } else {
        let promise = epsilon.map_or("no privacy at all".into(), |epsilon| format!("ε = {epsilon:.4} spent"));
        println!("{}: {steps} steps, {promise}", args.out.display());
    }
}
