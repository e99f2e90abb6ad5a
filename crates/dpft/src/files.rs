//! Writing results so that a folder is there whole or not at all; and what files are known by, their hash.

use anyhow::{Context as _, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Writes `files` as the folder `out`: into a sibling first, renamed at the end, so that a crash leaves no half-written folder behind.
///
/// # Errors
/// When `out` exists already (nothing is overwritten) or cannot be written.
pub(crate) fn write_folder(out: &Path, files: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    if out.exists() {
        bail!("{} exists already: choose another --out or remove it", out.display());
    }
    let staging = staging_name(out);
    std::fs::create_dir_all(&staging).with_context(|| format!("cannot create {}", staging.display()))?;
    for (name, bytes) in files {
        let path = staging.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    std::fs::rename(&staging, out).with_context(|| format!("cannot create {}", out.display()))
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Writes one file through a sibling.
pub(crate) fn write_file(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let staging = staging_name(out);
    std::fs::write(&staging, bytes).with_context(|| format!("cannot write {}", staging.display()))?;
    std::fs::rename(&staging, out).with_context(|| format!("cannot create {}", out.display()))
}

fn staging_name(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    out.with_file_name(name)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
