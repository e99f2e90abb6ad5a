//! Builds the page's WASM and its JavaScript glue into `web-client/site/pkg`.

use crate::process::{Command, Failure};
use crate::tools;
use std::path::{Path, PathBuf};

/// Cargo's name of the page's target.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// WASM has a target folder of its own: it is built beside native code by the same script, and neither waits for the other's lock.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    root.join("target/wasm")
}

/// A release build for WASM of the packages named.
pub(crate) fn build_wasm(root: &Path, packages: &[&str]) -> Result<(), Failure> {
    tools::wasm_target(root)?;
    let selected = packages.iter().flat_map(|package| ["--package", package]);
    Command::new(root, "cargo")
        .args(["build", "--release", "--lib", "--target", WASM])
        .args(selected)
        .env("CARGO_TARGET_DIR", target_dir(root))
        .run()
}

/// The tables of whole words, as the page's folder has them.
const TABLES: [&str; 3] = ["vocabulary.bin", "embedding.bin", "neighbours.bin"];

/// Builds the page.
///
/// # Errors
/// When a build fails; cargo's messages are on the terminal.
pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    copy_tables(&root.join("tables/english"), &root.join("web-client/site/tables/english"))?;
    build_wasm(root, &["web-client"])?;
    let module = target_dir(root).join(WASM).join("release/web_client.wasm");
    let package = root.join("web-client/site/pkg");
    clear(&package)?;
    Command::new(root, "cargo")
        .args(["run", "--release", "--package", "bindgen", "--"])
        .args([module.as_path(), &package, Path::new("web_client")])
        .run()
}

/// Removes a folder: what an earlier version wrote into it would be served, too.
fn clear(folder: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("cannot remove {}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}

/// Copies the tables of whole words beside the page, with an index of their sizes and digests.
fn copy_tables(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot copy {} to {}: {error}", from.display(), to.display()))
    };
    std::fs::create_dir_all(to).map_err(failed)?;
    let mut entries = Vec::new();
    for name in TABLES {
        let bytes = std::fs::copy(from.join(name), to.join(name)).map_err(failed)?;
        let sum = Command::new(from, "sha256sum").args([name]).capture()?;
        let sha256 = sum.text.split_whitespace().next().unwrap_or_default().to_owned();
        entries.push(format!("  \"{name}\": {{\"bytes\": {bytes}, \"sha256\": \"{sha256}\"}}"));
    }
    std::fs::write(to.join("index.json"), format!("{{\n{}\n}}\n", entries.join(",\n"))).map_err(failed)
}
