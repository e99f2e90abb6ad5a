//! `bindgen IN.wasm OUT_DIR NAME`: writes `NAME.js` and `NAME_bg.wasm`, an ES module for browsers, into OUT_DIR.
//!
//! It is `wasm-bindgen --target web` as a library call, so that a checkout builds its page with cargo alone.

use std::path::PathBuf;

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, out_dir, name] = arguments.as_slice() else {
        bail!("usage: bindgen IN.wasm OUT_DIR NAME");
    };
    let name = name.to_str().context("NAME must be plain text")?;
    write_glue(&PathBuf::from(input), &PathBuf::from(out_dir), name)
}

fn write_glue(input: &PathBuf, out_dir: &PathBuf, name: &str) -> anyhow::Result<()> {
    Bindgen::new()
        .input_path(input)
        .out_name(name)
        .web(true)?
        // The module's address beside the script is the default, so that the page needs no path of its own.
        .omit_default_module_path(false)
        // Nothing here reads declarations, and what lies in the folder is served.
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out_dir)
        .with_context(|| format!("cannot write the glue of {} into {}", input.display(), out_dir.display()))
}
