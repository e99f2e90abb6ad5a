//! The data folder of a service that is not running: its object store alone, for commands that add a model or a key.

use crate::data_dir::DataDir;
use crate::error::LocalError;
use crate::s3;
use crate::service::prompt;
use api_function::OsEntropy;
use jobs::{Store, SystemClock};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The store of a data folder, which is locked while this lives.
pub struct OfflineStore {
    store: Arc<dyn Store>,
    server: JoinHandle<()>,
    _data: DataDir,
}

/// Opens the object store in `data_dir`, as the service does, on a free port.
///
/// # Errors
/// [`LocalError::DataDirInUse`] while a service runs on it.
pub async fn open_data_dir(data_dir: &Path) -> Result<OfflineStore, LocalError> {
    let data = DataDir::open(data_dir)?;
    let port_error = |source| LocalError::Port { port: 0, source };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(port_error)?;
    let url = format!("http://{}", listener.local_addr().map_err(port_error)?);
    let credentials = data.credentials(&OsEntropy)?;
    let router =
        s3::router(&data.join("s3"), &credentials, &url, Arc::new(SystemClock::new()), Arc::new(OsEntropy))?;
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(prompt(listener), router).await {
            tracing::error!(%error, "the object store has failed");
        }
    });
    Ok(OfflineStore { store: Arc::new(s3::store(&url, &credentials)), server, _data: data })
}

impl OfflineStore {
    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The store, to be kept by what works on it.
    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Closes it. Every finished put is on disk already.
    pub async fn close(self) {
        self.server.abort();
        // The only outcome of an aborted task is that it was cancelled.
        let _ = self.server.await;
    }
}

#[cfg(test)]
#[path = "offline_tests.rs"]
mod tests;
