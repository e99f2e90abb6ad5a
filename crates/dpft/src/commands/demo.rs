//! `demo`: one whole job on the bundled text, through the real service: perturb, upload by presigned PUT, queue, DP-SGD in slices, download.
//!
//! A tenth of the text is held out, and never perturbed or uploaded, to see what training brought.

use crate::args::DemoArgs;
use crate::client::Client;
use crate::commands::{generate, perturb, remote};
use crate::{edge, files, show};
use ::perturb::{Payload, Tokenizer};
use anyhow::{Context as _, bail};
use dp::{Epsilon, PrivacyUnit};
use finetune::{Adapter, BaseModel, GenerateOptions, ModelFiles, RecordOptions, Records, evaluate};
use local::{ServeConfig, Service};
use protocol::api::{CreateJob, JobObject, Method};
use protocol::certificate::Certificate;
use protocol::hyperparameters::DpLoraRequest;
use std::path::{Path, PathBuf};

/// Every tenth line is held out.
const HELD_OUT: usize = 10;
/// Seconds of a slice: short, so that the demo shows several.
const SLICE_SECONDS: u64 = 30;
/// Words that the samples go on from.
const PROMPT: &str = "The rear brake of the city bike";

/// Runs the whole job.
pub(crate) fn run(args: DemoArgs) -> anyhow::Result<()> {
    if args.out.join("adapter").exists() {
        bail!(
            "{} holds the adapter of an earlier run: choose another --out or remove it",
            args.out.display()
        );
    }
    let model_dir = first_model(&args.models)?;
    let (training, held_out) = split(&args.data)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;
    let upload = perturbed(&args, &model_dir, &training)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let service = runtime.block_on(start(&args))?;
    let done = job(&args, &service, &model_dir, &upload);
    runtime.block_on(service.shutdown());
    let job = done?;
    compare(&model_dir, &args.out.join("adapter"), &held_out)?;
    certificate(&args.out, &job)
}

fn first_model(models: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(models)
        .with_context(|| format!("cannot read {}: run this in the project's folder", models.display()))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|p| p.join("config.json").exists())
        .collect();
    folders.sort();
    folders.into_iter().next().with_context(|| format!("{} holds no model folder", models.display()))
}

/// The text to train on and the text to measure on.
fn split(data: &Path) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let bytes = edge::read(data)?;
    let text =
        ::perturb::text::decode(&bytes).with_context(|| format!("{} cannot be used", data.display()))?;
    let side = |held_out: bool| {
        let lines = text.lines().enumerate().filter(|(i, _)| (i % HELD_OUT == 0) == held_out);
        lines.flat_map(|(_, line)| [line.as_bytes(), b"\n"].concat()).collect()
    };
    Ok((side(false), side(true)))
}

fn perturbed(args: &DemoArgs, model_dir: &Path, training: &[u8]) -> anyhow::Result<Vec<u8>> {
    println!(
        "1. Perturbing {} on this machine, over the tokens of {}.",
        args.data.display(),
        model_dir.display()
    );
    let perturber = perturb::perturber(model_dir, Epsilon::try_from(args.token_epsilon)?)?;
    let perturbed =
        perturb::perturb(&perturber, training.to_vec(), PrivacyUnit::Line, &perturb::model_name(model_dir))?;
    perturb::describe(&perturber, &perturbed.manifest);
    let original = training.split(|byte| *byte == b'\n').next().unwrap_or_default();
    println!("   original:  {}", String::from_utf8_lossy(original));
    if let Payload::Tokens(records) = &perturbed.records {
        println!("   perturbed: {}", perturber.decode(records.first().map_or(&[], Vec::as_slice)));
    }
    let bytes = perturbed.to_bytes()?;
    files::write_file(&args.out.join("perturbed.dptok"), &bytes)?;
    Ok(bytes)
}

async fn start(args: &DemoArgs) -> anyhow::Result<Service> {
    let config = ServeConfig {
        port: 0,
        s3_port: None,
        data_dir: args.out.join("data"),
        models_dir: Some(args.models.clone()),
        site_dir: None,
        worker_threads: edge::threads(None),
        processes: None,
        slice_seconds: SLICE_SECONDS,
    };
    let service = local::start(config).await?;
    println!("2. The service runs: API {}, storage {}.", service.api_url, service.s3_url);
    Ok(service)
}

fn job(args: &DemoArgs, service: &Service, model_dir: &Path, upload: &[u8]) -> anyhow::Result<JobObject> {
    let client = Client::new(&service.api_url, &service.api_key);
    let file = client.upload("perturbed.dptok", upload)?;
    println!("3. Uploaded {} bytes by a presigned PUT as {}.", upload.len(), file.id);
    let settings =
        DpLoraRequest { epsilon: Some(args.epsilon), epochs: Some(args.epochs), ..Default::default() };
    let request = CreateJob {
        model: perturb::model_name(model_dir),
        training_file: file.id.to_string(),
        method: Some(Method { r#type: "dp_lora".into(), dp_lora: settings }),
        suffix: Some("demo".into()),
        metadata: None,
    };
    let job = client.create_job(&request)?;
    println!("4. Training as {}, in slices of {SLICE_SECONDS} s.", job.id);
    let job = remote::follow(&client, job)?;
    println!(
        "   {}, {} slices, {}",
        show::job_line(&job),
        job.progress.slices,
        show::duration(job.progress.seconds_trained)
    );
    remote::download_to(&client, &job, &args.out.join("adapter"))?;
    Ok(job)
}

fn compare(model_dir: &Path, adapter_dir: &Path, held_out: &[u8]) -> anyhow::Result<()> {
    let folder = ModelFiles::from_dir(model_dir)?;
    let (model, tokenizer) = (BaseModel::load(&folder)?, Tokenizer::from_bytes(&folder.tokenizer_json)?);
    let adapter = generate::read_adapter(adapter_dir)?;
    let options = RecordOptions::for_model(model.config(), PrivacyUnit::Line, 128, 4);
    let (records, _) = Records::from_bytes(held_out, &tokenizer, &options, None)?;
    println!("5. On {} lines that were held out, and the same prompt:", records.len());
    for (when, adapter) in [("before", None), ("after", Some(&adapter))] {
        let perplexity = evaluate(&model, adapter, &records, edge::threads(None))?.perplexity;
        println!("   {when:<7}perplexity {perplexity:>8.1}   {}", sample(&model, adapter, &tokenizer)?);
    }
    Ok(())
}

fn sample(model: &BaseModel, adapter: Option<&Adapter>, tokenizer: &Tokenizer) -> anyhow::Result<String> {
    let options = GenerateOptions { max_tokens: 40, temperature: 0.7, top_k: generate::TOP_K, seed: 1 };
    let text = finetune::generate(model, adapter, tokenizer, PROMPT, &options)?;
    Ok(format!("{PROMPT}{}", text.replace('\n', " ")))
}

fn certificate(out: &Path, job: &JobObject) -> anyhow::Result<()> {
    let path = out.join("adapter/privacy.json");
    let certificate: Certificate =
        serde_json::from_slice(&edge::read(&path)?).context("privacy.json cannot be read")?;
    println!("6. The certificate says:");
    show::certificate(&certificate).lines().for_each(|line| println!("   {line}"));
    println!(
        "Check it with: dpft verify {} --data {}",
        path.display(),
        out.join("perturbed.dptok").display()
    );
    println!(
        "Everything lies in {}: adapter/ (loads in peft), perturbed.dptok, data/ (the service's own). Job {}.",
        out.display(),
        job.id
    );
    Ok(())
}
