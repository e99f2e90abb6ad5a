//! `Debug` of what carries a presigned link, without the link: whoever has it can read or write the object, and `Debug` ends up in logs.

use crate::api::{FileObject, ModelFileLink, PresignedPut};
use std::fmt;

impl fmt::Debug for PresignedPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url: _, headers: _, expires_at } = self;
        f.debug_struct("PresignedPut")
            .field("method", method)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ModelFileLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, bytes, sha256 } = self;
        f.debug_struct("ModelFileLink").field("bytes", bytes).field("sha256", sha256).finish_non_exhaustive()
    }
}

/// Without the owner's name of the file, too.
impl fmt::Debug for FileObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, object: _, bytes, created_at, filename: _, purpose, status, download_url } = self;
        f.debug_struct("FileObject")
            .field("id", id)
            .field("bytes", bytes)
            .field("created_at", created_at)
            .field("purpose", purpose)
            .field("status", status)
            .field("has_link", &download_url.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "redacted_tests.rs"]
mod tests;
