//! Why the local service could not start, or a model could not be published.

use std::path::PathBuf;

/// An error of this crate. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process uses the data folder.
    #[error("another service is running with the data folder `{}`; stop it, or choose another folder", path.display())]
    DataDirInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A port cannot be listened on.
    #[error("port {port} cannot be used ({source}); stop what listens there, or choose another port")]
    Port {
        /// The port.
        port: u16,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder cannot be read or written.
    #[error("`{}` cannot be used: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A stored secret or object is damaged.
    #[error("`{}` is damaged: {reason}; remove it to have a new one made", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A model's folder cannot be published.
    #[error("the model in `{}` cannot be used: {reason}", path.display())]
    Model {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The site's folder is not one.
    #[error("`{}` holds no index.html; build the page first, or leave the site out", path.display())]
    Site {
        /// The folder.
        path: PathBuf,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// The object store.
    #[error(transparent)]
    Store(#[from] jobs::StoreError),
    /// An API key.
    #[error(transparent)]
    ApiKey(#[from] api_function::ApiKeyError),
    /// The key that certificates are signed with.
    #[error(transparent)]
    Signing(#[from] finetune_function::signing::SigningError),
    /// A worker process.
    #[error("the worker process cannot work: {0}")]
    Worker(&'static str),
    /// The queue.
    #[error("the queue's journal cannot be used: {0}")]
    Queue(String),
}

/// Says which path an I/O error is about.
pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> LocalError {
    let path = path.into();
    move |source| LocalError::Io { path, source }
}
