//! A client of the HTTP API, as small as the commands need.

use crate::files::sha256;
use anyhow::{Context as _, bail};
use protocol::api::{
    CreateFile, CreateJob, DatasetObject, FileObject, FileTicket, JobObject, PURPOSE_FINE_TUNE, PresignedPut,
};
use protocol::error::ErrorBody;
use protocol::receipt::DeletionReceipt;
use serde::{Serialize, de::DeserializeOwned};

/// A running service and a key to it.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    api_key: String,
}

impl Client {
    /// `base` ends in `/v1`.
    pub(crate) fn new(base: &str, api_key: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self {
            agent: config.into(),
            base: base.trim_end_matches('/').to_owned(),
            api_key: api_key.to_owned(),
        }
    }

    /// Uploads `bytes` by presigned PUT and returns the file.
    pub(crate) fn upload(&self, filename: &str, bytes: &[u8]) -> anyhow::Result<FileObject> {
        let request = CreateFile {
            filename: filename.to_owned(),
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
            purpose: PURPOSE_FINE_TUNE.into(),
        };
        let ticket: FileTicket = self.post("files", &request)?;
        self.put(&ticket.upload, bytes)?;
        Ok(ticket.file)
    }

    /// Creates a job.
    pub(crate) fn create_job(&self, request: &CreateJob) -> anyhow::Result<JobObject> {
        self.post("fine_tuning/jobs", request)
    }

    /// Looks at a job.
    pub(crate) fn job(&self, id: &str) -> anyhow::Result<JobObject> {
        self.get(&format!("fine_tuning/jobs/{id}"))
    }

    /// Deletes a job; what is left of it.
    pub(crate) fn delete_job(&self, id: &str) -> anyhow::Result<DeletionReceipt> {
        let url = self.url(&format!("fine_tuning/jobs/{id}"));
        let request = self.agent.delete(url).header("authorization", self.bearer());
        read_answer(request.call().with_context(|| self.unreachable())?)
    }

    /// The account of a file.
    pub(crate) fn budget(&self, file: &str) -> anyhow::Result<DatasetObject> {
        self.get(&format!("files/{file}/privacy"))
    }

    /// Downloads a file by its presigned link: its name and content.
    pub(crate) fn download(&self, id: &str) -> anyhow::Result<(String, Vec<u8>)> {
        let file: FileObject = self.get(&format!("files/{id}"))?;
        let link = file.download_url.context("the file has no content yet")?;
        let mut answer = self.agent.get(&link).call().context("the storage cannot be reached")?;
        if answer.status() != 200 {
            bail!("the storage refused the download of {id} (status {})", answer.status());
        }
        let content = answer.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
        Ok((file.filename.as_str().to_owned(), content))
    }

    fn put(&self, put: &PresignedPut, bytes: &[u8]) -> anyhow::Result<()> {
        let request =
            put.headers.iter().fold(self.agent.put(&put.url), |r, (name, value)| r.header(name, value));
        let answer = request.send(bytes).context("the storage cannot be reached")?;
        if answer.status() != 200 {
            bail!(
                "the storage refused the upload (status {}); ask for a new link and try again",
                answer.status()
            );
        }
        Ok(())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request = self.agent.get(self.url(path)).header("authorization", self.bearer());
        read_answer(request.call().with_context(|| self.unreachable())?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        read_answer(request.send_json(body).with_context(|| self.unreachable())?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.api_key)
    }

    fn unreachable(&self) -> String {
        format!("no service answers at {}: start one with `dpft serve` or give --url", self.base)
    }
}

fn read_answer<T: DeserializeOwned>(mut answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<T> {
    let body = answer.body_mut().read_to_vec().context("the service's answer broke off")?;
    if answer.status().is_success() {
        return serde_json::from_slice(&body)
            .context("the service's answer is not what this version expects");
    }
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(error) => bail!("{}", error.error.message),
        Err(_) => bail!("the service answered with status {}", answer.status()),
    }
}
