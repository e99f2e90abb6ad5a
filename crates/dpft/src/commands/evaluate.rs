//! `evaluate`: loss and perplexity on a text.

use crate::args::EvaluateArgs;
use crate::commands::chat;
use crate::commands::generate::read_adapter;
use crate::edge;
use anyhow::Context as _;
use finetune::{BaseModel, Evaluation, ModelFiles, RecordOptions, Records, evaluate};
use perturb::Tokenizer;

/// Chunks kept of one record: more than any accepted record has, so that all of the text counts.
const ALL_CHUNKS: usize = 1 << 20;

/// Prints loss, perplexity and the number of tokens.
pub(crate) fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    let folder = ModelFiles::from_dir(&args.model)?;
    let model = BaseModel::load(&folder)?;
    let tokenizer = Tokenizer::from_bytes(&folder.tokenizer_json)?;
    let bytes = edge::read(&args.data)?;
    let unit = chat::unit_of(args.unit, &bytes);
    let options = RecordOptions::for_model(model.config(), unit.into(), args.max_length as usize, ALL_CHUNKS);
    let chat = chat::format(&folder, unit, args.chat_template.as_deref())?;
    let (records, _) = Records::from_bytes(&bytes, &tokenizer, &options, chat.as_ref())
        .with_context(|| format!("{} cannot be used", args.data.display()))?;
    let adapter = args.adapter.as_deref().map(read_adapter).transpose()?;
    let Evaluation { loss, perplexity, tokens } =
        evaluate(&model, adapter.as_ref(), &records, edge::threads(None))?;
    if args.json {
        println!("{}", serde_json::json!({"loss": loss, "perplexity": perplexity, "tokens": tokens}));
    } else {
        println!("loss {loss:.4} nats, perplexity {perplexity:.2}, {tokens} tokens");
    }
    Ok(())
}
