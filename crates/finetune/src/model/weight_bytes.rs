//! The bytes of a weights file: in memory, or mapped from where the file lies.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;

/// The bytes of a weights file. Clones share them.
#[derive(Clone)]
pub struct WeightBytes(Source);

#[derive(Clone)]
enum Source {
    Memory(Bytes),
    Mapped(Arc<Mmap>),
}

impl WeightBytes {
    /// Maps a file, which must not be changed in place meanwhile.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn map(path: &Path) -> io::Result<Self> {
        Self::map_file(&File::open(path)?)
    }

    /// Writes bytes to a file without a name in `folder` and maps that: it is gone with the last clone.
    ///
    /// # Errors
    /// What the operating system says, when the folder is full or may not be written.
    pub fn spilled(bytes: &[u8], folder: &Path) -> io::Result<Self> {
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(bytes)?;
        Self::map_file(&file)
    }

    fn map_file(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is read only, and whoever keeps a model's files is asked not to change them in place, which would
        // change the bytes behind the slice.
        let mapped = unsafe { Mmap::map(file)? };
        Ok(Self(Source::Mapped(Arc::new(mapped))))
    }

    /// Gives back the memory that reading a mapped file has taken; the next read takes it from the file again.
    pub(crate) fn release(&self) {
        #[cfg(unix)]
        if let Source::Mapped(mapped) = &self.0 {
            // SAFETY: the mapping is shared with its file and never written, so a page that is dropped comes back with the same
            // bytes.
            let released = unsafe { mapped.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            // A kernel that cannot keeps the pages, which changes nothing but the memory that is held.
            drop(released);
        }
    }
}

impl Deref for WeightBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Memory(bytes) => bytes,
            Source::Mapped(mapped) => mapped,
        }
    }
}

impl AsRef<[u8]> for WeightBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for WeightBytes {
    fn from(bytes: Bytes) -> Self {
        Self(Source::Memory(bytes))
    }
}

impl From<Vec<u8>> for WeightBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<WeightBytes> for Bytes {
    fn from(bytes: WeightBytes) -> Self {
        match bytes.0 {
            Source::Memory(bytes) => bytes,
            Source::Mapped(_) => Self::from_owner(bytes),
        }
    }
}

#[cfg(test)]
#[path = "weight_bytes_tests.rs"]
mod tests;
