//! `merge`: base and adapter as one plain model folder.

use crate::args::MergeArgs;
use crate::commands::generate::read_adapter;
use crate::files;
use finetune::{ModelFiles, merge};

/// Writes the merged folder.
pub(crate) fn run(args: MergeArgs) -> anyhow::Result<()> {
    let merged = merge(&ModelFiles::from_dir(&args.model)?, &read_adapter(&args.adapter)?)?;
    let mut folder = vec![
        ("config.json".to_owned(), merged.config_json),
        ("tokenizer.json".to_owned(), merged.tokenizer_json),
    ];
    folder.extend(merged.weights);
    files::write_folder(&args.out, &folder)?;
    println!("{}", args.out.display());
    Ok(())
}
