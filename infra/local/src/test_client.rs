//! A client of the API, for tests: what a page does, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::test_http::{Answer, request};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

const TEXT: &str = "the cat sat on the mat\nthe dog ran in the sun\na bird sang a song\nit was a fine day\n";

/// Far longer than anything in a test takes; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A client of the API.
#[derive(Debug, Clone)]
pub struct TestClient {
    /// The API's base.
    pub url: String,
    /// The API key.
    pub key: String,
}

impl TestClient {
    /// Speaks to the API at `url` with `key`.
    pub fn new(url: &str, key: &str) -> Self {
        Self { url: url.to_owned(), key: key.to_owned() }
    }

    /// One request with the key.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = [
            ("authorization".to_owned(), format!("Bearer {}", self.key)),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        request(method, &format!("{}{path}", self.url), &headers, body.as_bytes()).await
    }

    /// The JSON under a path.
    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, "").await.json()
    }

    /// The JSON that a POST answers.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call("POST", path, &body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Uploads [`TEXT`] by the presigned link, as the page does.
    pub async fn upload(&self) -> Value {
        let sha256 = hex::encode(Sha256::digest(TEXT));
        let body =
            json!({"filename": "a.txt", "bytes": TEXT.len(), "sha256": sha256, "purpose": "fine-tune"});
        let ticket = self.post("/files", body).await;
        let headers = ticket["upload"]["headers"].as_object().unwrap().iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let url = ticket["upload"]["url"].as_str().unwrap();
        let answer = request("PUT", url, &headers, TEXT.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        ticket["id"].clone()
    }

    /// Creates a job of `steps` steps on a file of its own; returns its id.
    pub async fn create_job(&self, steps: u64) -> String {
        let file = self.upload().await;
        let settings = json!({"steps": steps, "batch_size": 2, "rank": 2, "max_length": 16});
        let body = json!({"model": "tiny", "training_file": file, "method": {"type": "dp_lora", "dp_lora": settings}});
        self.post("/fine_tuning/jobs", body).await["id"].as_str().unwrap().to_owned()
    }

    /// Asks again and again until `done` holds for the job.
    pub async fn until(&self, job: &str, done: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/fine_tuning/jobs/{job}");
        // An interval spares the machine; how long it is does not matter.
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        let asking = async {
            loop {
                turns.tick().await;
                let job = self.get(&path).await;
                if done(&job) {
                    return job;
                }
                assert_ne!(job["status"], "failed", "{job}");
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the job gets there in time")
    }
}
