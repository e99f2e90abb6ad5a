//! `merge`: base and adapter as one plain model folder.

use crate::args::MergeArgs;
use crate::commands::generate::read_adapter;
use crate::files;
use finetune::chat::chat_files;
use finetune::{ModelFiles, merge};

/// Writes the merged folder.
pub(crate) fn run(args: MergeArgs) -> anyhow::Result<()> {
    let merged = merge(&ModelFiles::from_dir(&args.model)?, &read_adapter(&args.adapter)?)?;
    let chat: Vec<(String, Vec<u8>)> =
        chat_files(&merged).into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
    let mut folder = vec![
        ("config.json".to_owned(), merged.config_json),
        ("tokenizer.json".to_owned(), merged.tokenizer_json),
    ];
    folder.extend(chat);
    folder.extend(merged.weights.into_iter().map(|(name, bytes)| (name, bytes.to_vec())));
    files::write_folder(&args.out, &folder)?;
    println!("{}", args.out.display());
    Ok(())
}
