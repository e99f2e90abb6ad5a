//! `model`: which base models a service offers.

use crate::args::{ModelCommand, Target};
use crate::commands::store;
use anyhow::{Context as _, bail};
use finetune::chat::{CHAT_TEMPLATE_FILE, TOKENIZER_CONFIG_FILE};
use jobs::{Store, SystemClock};
use protocol::api::ModelIndex;
use protocol::keys::{MODEL_INDEX, MODELS_PREFIX};
use std::path::{Path, PathBuf};

/// Adds or lists models.
pub(crate) fn run(command: ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::Add { source, name, target } => add(&source, name.as_deref(), &target),
        ModelCommand::List { target } => list(&target),
    }
}

fn add(source: &str, name: Option<&str>, target: &Target) -> anyhow::Result<()> {
    let id = store::model_id(source, name)?;
    let folder = if Path::new(source).is_dir() { PathBuf::from(source) } else { download(source)? };
    store::with(target, async |store| {
        Ok(local::publish_model(store, &folder, &id, &SystemClock::new()).await?)
    })?;
    println!("{id}");
    Ok(())
}

/// Fetches a model from the hub into its cache and returns the snapshot's folder.
fn download(source: &str) -> anyhow::Result<PathBuf> {
    if source.split('/').count() != 2 || source.starts_with(['/', '.']) {
        bail!("{source} is neither a folder nor a hub name such as HuggingFaceTB/SmolLM2-135M");
    }
    let repository = hf_hub::api::sync::Api::new()?.model(source.to_owned());
    let fetch = |file: &str| {
        repository.get(file).with_context(|| {
            format!("cannot fetch {file} of {source}: the hub is out of reach or has no such model. Copy the folder here and give its path")
        })
    };
    let config = fetch("config.json")?;
    fetch("tokenizer.json")?;
    // Many models have neither: they cannot chat, and need not.
    for optional in [TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE] {
        repository.get(optional).ok();
    }
    match repository.get("model.safetensors.index.json") {
        Ok(index) => shard_names(&index)?.iter().try_for_each(|shard| fetch(shard).map(drop))?,
        Err(_) => drop(fetch("model.safetensors")?),
    }
    config.parent().map(Path::to_path_buf).context("the hub's cache has no folder")
}

fn shard_names(index: &Path) -> anyhow::Result<Vec<String>> {
    let json: serde_json::Value = serde_json::from_slice(&crate::edge::read(index)?)?;
    let map = json["weight_map"].as_object().context("the weights' index has no weight_map")?;
    let mut names: Vec<String> = map.values().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn list(target: &Target) -> anyhow::Result<()> {
    for index in store::with(target, async |store| indices(store).await)? {
        println!("{}\t{}", index.id, index.description);
    }
    Ok(())
}

async fn indices(store: &dyn Store) -> anyhow::Result<Vec<ModelIndex>> {
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list(MODELS_PREFIX, after.as_deref(), 1000).await?;
        for key in page.keys.iter().filter(|key| key.ends_with(MODEL_INDEX)) {
            found.push(serde_json::from_slice(&store.get(key).await?.bytes)?);
        }
        match page.keys.last().filter(|_| page.more) {
            Some(last) => after = Some(last.clone()),
            None => return Ok(found),
        }
    }
}
