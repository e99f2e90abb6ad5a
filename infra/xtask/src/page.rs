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

/// Builds the page.
///
/// # Errors
/// When a build fails; cargo's messages are on the terminal.
pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    build_wasm(root, &["web-client"])?;
    let module = target_dir(root).join(WASM).join("release/web_client.wasm");
    Command::new(root, "cargo")
        .args(["run", "--release", "--package", "bindgen", "--"])
        .args([module.as_path(), &root.join("web-client/site/pkg"), Path::new("web_client")])
        .run()
}
