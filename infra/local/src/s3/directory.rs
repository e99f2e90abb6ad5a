//! One bucket in a directory: where the bytes lie, and the one lock under which an object appears, changes or goes.
//!
//! ```text
//! {root}/blobs/{random}                    contents, written once and never changed
//! {root}/index/{sha256 of the key}.json    one object: its key, its blob, its ETag
//! {root}/staged/{random}                   contents that are still arriving; removed at start
//! ```
//! An object's content is staged and checked first. Only then, under the lock, is the condition of the write tested, the blob moved into place
//! and the index entry renamed over the old one. So of many conditional writers exactly one wins, a reader never sees half an object, and a
//! process that dies leaves the old object or the new one. Keys become file names only through their hash: long or odd keys cannot harm.
//!
//! Invariant: the index in memory and the index on disk change under the same lock.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of an object besides its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its key.
    pub(crate) key: String,
    /// File name of the content.
    pub(crate) blob: String,
    /// Size.
    pub(crate) bytes: u64,
    /// MD5 of the content in hexadecimal, as S3 forms it.
    pub(crate) etag: String,
    /// SHA-256 of the content in base64.
    pub(crate) sha256: String,
    /// Media type that the writer gave.
    pub(crate) content_type: Option<String>,
    /// Unix seconds of the write.
    pub(crate) modified: u64,
}

/// When a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// In any case.
    Always,
    /// When no object has the key.
    IfAbsent,
    /// When the object has this ETag.
    IfMatch(String),
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The condition does not hold.
    #[error("the condition of the write does not hold")]
    Condition,
    /// `If-Match` on a key that has no object.
    #[error("there is no object to compare with")]
    Absent,
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A bucket.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    index: Mutex<BTreeMap<String, Entry>>,
}

impl Directory {
    /// Opens the bucket in `root`, making it where it is missing, and clears what a dead process left behind.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let staged = root.join("staged");
        if staged.exists() {
            fs::remove_dir_all(&staged)?;
        }
        for folder in [&staged, &root.join("blobs"), &root.join("index")] {
            fs::create_dir_all(folder)?;
        }
        let directory = Self { root: root.to_owned(), index: Mutex::new(read_index(root)?) };
        directory.remove_orphans()?;
        Ok(directory)
    }

    /// Where content named `blob` is put while it arrives.
    pub(crate) fn staged_path(&self, blob: &str) -> PathBuf {
        self.root.join("staged").join(blob)
    }

    /// Makes the staged content of `entry` the object, if `condition` holds. The staged file is gone afterwards in every case.
    pub(crate) fn commit(&self, entry: Entry, condition: &Condition) -> Result<(), WriteError> {
        let result = self.try_commit(entry.clone(), condition);
        if result.is_err() {
            // It may have been moved already; either way nothing of a failed write stays.
            let _ = fs::remove_file(self.staged_path(&entry.blob));
        }
        result
    }

    fn try_commit(&self, entry: Entry, condition: &Condition) -> Result<(), WriteError> {
        let mut index = self.lock();
        let present = index.get(&entry.key);
        match (condition, present) {
            (Condition::Always, _) | (Condition::IfAbsent, None) => {}
            (Condition::IfMatch(etag), Some(present)) if *etag == present.etag => {}
            (Condition::IfMatch(_), None) => return Err(WriteError::Absent),
            (Condition::IfAbsent | Condition::IfMatch(_), Some(_)) => return Err(WriteError::Condition),
        }
        fs::rename(self.staged_path(&entry.blob), self.blob_path(&entry.blob))?;
        self.write_index_file(&entry)?;
        if let Some(old) = index.insert(entry.key.clone(), entry) {
            // Readers that have it open keep it; should the removal fail, the next start removes it as an orphan.
            let _ = fs::remove_file(self.blob_path(&old.blob));
        }
        Ok(())
    }

    /// The object's entry and its content, opened; none when there is no such object.
    pub(crate) fn read(&self, key: &str) -> io::Result<Option<(Entry, fs::File)>> {
        // Opened under the lock, so that a writer cannot remove the blob between look-up and opening.
        let index = self.lock();
        index
            .get(key)
            .map(|entry| Ok((entry.clone(), fs::File::open(self.blob_path(&entry.blob))?)))
            .transpose()
    }

    /// The object's entry.
    pub(crate) fn entry(&self, key: &str) -> Option<Entry> {
        self.lock().get(key).cloned()
    }

    /// Removes the object, if it is there.
    pub(crate) fn remove(&self, key: &str) -> io::Result<()> {
        let mut index = self.lock();
        if let Some(entry) = index.get(key) {
            fs::remove_file(self.index_path(key))?;
            let _ = fs::remove_file(self.blob_path(&entry.blob));
            index.remove(key);
        }
        Ok(())
    }

    /// Up to `limit` entries whose key begins with `prefix` and comes after `after`, in order, and whether more follow.
    pub(crate) fn list(&self, prefix: &str, after: &str, limit: usize) -> (Vec<Entry>, bool) {
        let start = if after >= prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
        let index = self.lock();
        let mut rest = index
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .take_while(|entry| entry.key.starts_with(prefix));
        let page = rest.by_ref().take(limit).cloned().collect();
        (page, rest.next().is_some())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // The map is changed by single calls after the disk was, so a panic elsewhere leaves it whole.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob_path(&self, blob: &str) -> PathBuf {
        self.root.join("blobs").join(blob)
    }

    fn index_path(&self, key: &str) -> PathBuf {
        self.root.join("index").join(hex::encode(Sha256::digest(key)) + ".json")
    }

    fn write_index_file(&self, entry: &Entry) -> io::Result<()> {
        let temporary = self.root.join("staged").join(format!("{}.json", entry.blob));
        let mut file = fs::File::create(&temporary)?;
        serde_json::to_writer(&mut file, entry)?;
        file.flush()?;
        file.sync_data()?;
        fs::rename(temporary, self.index_path(&entry.key))
    }

    fn remove_orphans(&self) -> io::Result<()> {
        let index = self.lock();
        let known: std::collections::BTreeSet<&str> =
            index.values().map(|entry| entry.blob.as_str()).collect();
        for file in fs::read_dir(self.root.join("blobs"))? {
            let file = file?;
            if file.file_name().to_str().is_none_or(|name| !known.contains(name)) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

fn read_index(root: &Path) -> io::Result<BTreeMap<String, Entry>> {
    let mut index = BTreeMap::new();
    for file in fs::read_dir(root.join("index"))? {
        let entry: Entry = serde_json::from_slice(&fs::read(file?.path())?)?;
        index.insert(entry.key.clone(), entry);
    }
    Ok(index)
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
