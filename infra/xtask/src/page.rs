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

/// What must build for the browser. Always all of it at once, so that it has one set of features and nothing is compiled twice.
const PACKAGES: [&str; 4] = ["dp", "perturb", "protocol", "web-client"];

/// A release build for WASM of the page and of the crates that it may use.
pub(crate) fn build_wasm(root: &Path) -> Result<(), Failure> {
    tools::wasm_target(root)?;
    let selected = PACKAGES.iter().flat_map(|package| ["--package", package]);
    Command::new(root, "cargo")
        .args(["build", "--release", "--lib", "--target", WASM])
        .args(selected)
        .env("CARGO_TARGET_DIR", target_dir(root))
        .run()
}

/// The tables of whole words, as the page's folder has them.
const TABLES: [&str; 3] = ["vocabulary.bin", "embedding.bin", "neighbours.bin"];

/// Builds the page, and first the program that writes its glue.
///
/// # Errors
/// When a build fails; cargo's messages are on the terminal.
pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    Command::new(root, "cargo").args(["build", "--release", "--package", "bindgen"]).run()?;
    build_after_programs(root)
}

/// Builds all programs, and `more` that cargo can build, then the page: the whole workspace at once, so that nothing is built twice for other features.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_with_programs(root: &Path, more: &[&str]) -> Result<(), Failure> {
    Command::new(root, "cargo").args(["build", "--release", "--workspace", "--bins"]).args(more).run()?;
    build_after_programs(root)
}

/// Builds the page when the program that writes its glue is there.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_after_programs(root: &Path) -> Result<(), Failure> {
    copy_tables(&root.join("tables/english"), &root.join("web-client/site/tables/english"))?;
    build_wasm(root)?;
    let module = target_dir(root).join(WASM).join("release/web_client.wasm");
    let package = root.join("web-client/site/pkg");
    clear(&package)?;
    Command::new(root, root.join("target/release/bindgen"))
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
