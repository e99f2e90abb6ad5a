//! Reads an adapter and writes it again: what `peft_check.py` loads, to see that PEFT takes what we write.
//!
//! `cargo run --release -p finetune --example rewrite_adapter -- ADAPTER_DIR OUT_DIR`

use finetune::Adapter;
use finetune::adapter::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, from, to] = &arguments[..] else {
        return Err("give an adapter's folder and one to write".into());
    };
    let read = |name: &str| std::fs::read(Path::new(from).join(name)).map(|bytes| (name.to_owned(), bytes));
    let files = [read(ADAPTER_CONFIG_FILE)?, read(ADAPTER_WEIGHTS_FILE)?];
    std::fs::create_dir_all(to)?;
    for (name, bytes) in Adapter::from_files(&files)?.to_files("base") {
        std::fs::write(Path::new(to).join(name), bytes)?;
    }
    Ok(())
}
