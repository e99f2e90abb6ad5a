//! The data folder: one process at a time, and the secrets that only its owner may read.
//!
//! ```text
//! {data_dir}/lock             held by the running service
//! {data_dir}/credentials.json the embedded S3's access key and secret
//! {data_dir}/api-key          the first tenant's API key, so that a restart shows the same link
//! {data_dir}/s3/              objects
//! {data_dir}/queue/           the queue's journal
//! ```

use crate::error::{LocalError, at};
use api_function::{Entropy, draw};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A data folder that this process alone uses.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// The system gives the lock back when the process ends, also when it is killed.
    lock: File,
}

/// Access key and secret of the embedded S3. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl DataDir {
    /// Makes the folder where it is missing and locks it.
    ///
    /// # Errors
    /// [`LocalError::DataDirInUse`] when another process has it, [`LocalError::Io`] otherwise.
    pub(crate) fn open(path: &Path) -> Result<Self, LocalError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(LocalError::DataDirInUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(at(lock_path)(error)),
        }
    }

    /// A path in the folder.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The stored credentials, made at the first call.
    pub(crate) fn credentials(&self, entropy: &dyn Entropy) -> Result<Credentials, LocalError> {
        let path = self.join("credentials.json");
        if let Some(text) = read_secret(&path)? {
            let reason = "it does not hold an access key and a secret";
            return serde_json::from_str(&text).map_err(|_| LocalError::Damaged { path, reason });
        }
        let access_key = format!("DPFT{}", hex::encode_upper(draw::<8>(entropy)));
        let made = Credentials { access_key, secret_key: hex::encode(draw::<32>(entropy)) };
        // A struct of two strings always serialises.
        let text = serde_json::to_string(&made).expect("two strings are plain data");
        write_secret(&path, &text)?;
        Ok(made)
    }

    /// The stored API key, if there is one.
    pub(crate) fn api_key(&self) -> Result<Option<String>, LocalError> {
        let path = self.join("api-key");
        let key = read_secret(&path)?.map(|text| text.trim().to_owned());
        match key {
            Some(key) if !key.starts_with(api_function::KEY_PREFIX) => {
                Err(LocalError::Damaged { path, reason: "it does not hold an API key" })
            }
            key => Ok(key),
        }
    }

    /// Keeps the API key for the next start.
    pub(crate) fn keep_api_key(&self, key: &str) -> Result<(), LocalError> {
        write_secret(&self.join("api-key"), key)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Closing alone would leave it locked for as long as a child that is just being started has a copy of the descriptor.
        // Where it cannot be unlocked, that moment later it is.
        let _ = self.lock.unlock();
    }
}

fn read_secret(path: &Path) -> Result<Option<String>, LocalError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Written beside and renamed, so that a crash leaves no half secret; readable by its owner alone from the first byte.
fn write_secret(path: &Path, text: &str) -> Result<(), LocalError> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&temporary).map_err(at(&temporary))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&temporary))?;
    fs::rename(&temporary, path).map_err(at(path))
}

#[cfg(test)]
#[path = "data_dir_tests.rs"]
mod tests;
