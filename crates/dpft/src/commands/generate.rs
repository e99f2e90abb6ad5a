//! `generate`: text from a model.

use crate::args::GenerateArgs;
use crate::edge;
use finetune::{Adapter, BaseModel, GenerateOptions, ModelFiles, generate};
use perturb::Tokenizer;
use std::path::Path;

/// Tokens to choose among when sampling: cuts off the long tail that a small model gets wrong.
pub(crate) const TOP_K: usize = 40;

/// Prints the prompt and what follows.
pub(crate) fn run(args: GenerateArgs) -> anyhow::Result<()> {
    let folder = ModelFiles::from_dir(&args.model)?;
    let model = BaseModel::load(&folder)?;
    let tokenizer = Tokenizer::from_bytes(&folder.tokenizer_json)?;
    let adapter = args.adapter.as_deref().map(read_adapter).transpose()?;
    let options = GenerateOptions {
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        top_k: TOP_K,
        seed: args.seed,
    };
    let text = generate(&model, adapter.as_ref(), &tokenizer, &args.prompt, &options)?;
    println!("{}{text}", args.prompt);
    Ok(())
}

/// Reads an adapter folder.
pub(crate) fn read_adapter(folder: &Path) -> anyhow::Result<Adapter> {
    let file = |name: &str| edge::read(&folder.join(name)).map(|bytes| (name.to_owned(), bytes));
    Ok(Adapter::from_files(&[file("adapter_config.json")?, file("adapter_model.safetensors")?])?)
}
