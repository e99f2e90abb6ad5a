//! The real service in this process: API, S3, queue, worker and page.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use local::ServeConfig;
use tempfile::TempDir;

/// The file of a model's folder that makes its tokens.
pub const TOKENIZER: &str = "tokenizer.json";

/// The repository, as seen from this crate's own folder.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const DEMO_MODEL: &str = "models/demo-llama-4m";
const SITE: &str = "web-client/site";

/// A slice as long as a job: resuming is tested elsewhere.
const SLICE_SECONDS: u64 = 120;

/// A running service with a data folder of its own.
pub struct Service {
    running: local::Service,
    _data: TempDir,
}

impl Service {
    /// Starts the service for a page, with the demo model or without any.
    ///
    /// # Errors
    /// If the page was not built, or the service does not start.
    pub async fn start(site: &Path, with_model: bool) -> anyhow::Result<Self> {
        let built = site.join("pkg/web_client_bg.wasm").exists();
        ensure!(built, "the page's WASM is not built: run `cargo xtask build-page`");
        let data = tempfile::tempdir()?;
        let config = ServeConfig {
            port: 0,
            s3_port: None,
            data_dir: data.path().to_owned(),
            models_dir: with_model.then(|| PathBuf::from(REPOSITORY).join("models")),
            site_dir: Some(site.to_owned()),
            worker_threads: 2,
            processes: None,
            slice_seconds: SLICE_SECONDS,
        };
        Ok(Self { running: local::start(config).await.context("the service did not start")?, _data: data })
    }

    /// The built page.
    pub fn site() -> PathBuf {
        PathBuf::from(REPOSITORY).join(SITE)
    }

    /// The demo model's folder.
    pub fn demo_model() -> PathBuf {
        PathBuf::from(REPOSITORY).join(DEMO_MODEL)
    }

    /// A copy of the built page, for a test to change.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub fn copy_of_site() -> anyhow::Result<TempDir> {
        let copy = tempfile::tempdir()?;
        for folder in ["", "pkg", "tables/english"] {
            std::fs::create_dir_all(copy.path().join(folder))?;
            for entry in std::fs::read_dir(Self::site().join(folder)).context("build the page first")? {
                let path = entry?.path();
                let name = path.file_name().context("an entry has a name")?;
                if path.is_file() {
                    std::fs::copy(&path, copy.path().join(folder).join(name))?;
                }
            }
        }
        Ok(copy)
    }

    /// The page's address with the key behind `#`.
    pub fn page_with_key(&self) -> &str {
        &self.running.page_url
    }

    /// The page's address without a key.
    pub fn page(&self) -> String {
        self.page_origin() + "/"
    }

    /// The API key.
    pub fn api_key(&self) -> &str {
        &self.running.api_key
    }

    /// `http://host:port` of page and API.
    pub fn page_origin(&self) -> String {
        self.running.api_url.trim_end_matches("/v1").to_owned()
    }

    /// `http://host:port` of the storage.
    pub fn bucket_origin(&self) -> String {
        self.running.s3_url.trim_end_matches('/').to_owned()
    }
}
