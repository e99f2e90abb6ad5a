//! The whole service over real sockets, with a tiny model.

use super::{Service, prompt, start};
use crate::config::ServeConfig;
use crate::error::LocalError;
use crate::test_client::{PATIENCE, TestClient};
use crate::test_http::request;
use crate::test_model::write_model;
use crate::{OsEntropy, create_api_key, revoke_api_key};
use api_function::key_hash;
use jobs::SystemClock;
use protocol::id::TenantId;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;

#[tokio::test]
async fn connections_send_at_once() {
    // Found under load: every other small request took 40 ms, the other side's delayed acknowledgement.
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut listener = prompt(listener);
    let (_, accepted) =
        tokio::join!(tokio::net::TcpStream::connect(address), axum::serve::Listener::accept(&mut listener));
    assert!(accepted.0.nodelay().unwrap());
}

fn client_of(service: &Service) -> TestClient {
    TestClient::new(&service.api_url, &service.api_key)
}

fn config(folder: &Path) -> ServeConfig {
    let models = folder.join("models");
    write_model(&models.join("tiny"));
    ServeConfig {
        port: 0,
        s3_port: None,
        data_dir: folder.join("data"),
        models_dir: Some(models),
        site_dir: None,
        worker_threads: 1,
        processes: None,
        slice_seconds: 1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_from_upload_to_downloaded_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(config(folder.path())).await.unwrap();
    let client = client_of(&service);
    assert_eq!(service.page_url, format!("{}/#key={}", client.url.trim_end_matches("/v1"), client.key));
    let model = client.get("/models/tiny").await;
    let link = &model["files"]["neighbours.bin"];
    let table = request("GET", link["url"].as_str().unwrap(), &[], b"").await;
    assert_eq!(hex::encode(Sha256::digest(&table.body)), link["sha256"].as_str().unwrap());

    let id = client.create_job(3).await;
    let job = client.until(&id, |job| job["status"] == "succeeded").await;
    assert_eq!(job["progress"]["step"], 3);
    let mut names = Vec::new();
    for file in job["result_files"].as_array().unwrap() {
        let file = client.get(&format!("/files/{}", file.as_str().unwrap())).await;
        let content = request("GET", file["download_url"].as_str().unwrap(), &[], b"").await;
        assert_eq!((content.status, content.body.len() as u64), (200, file["bytes"].as_u64().unwrap()));
        names.push(file["filename"].as_str().unwrap().to_owned());
    }
    for name in ["adapter_model.safetensors", "adapter_config.json", "privacy.json"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_cut_short_goes_on_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let long = ServeConfig { slice_seconds: 3600, ..config(folder.path()) };
    let service = start(long.clone()).await.unwrap();
    let (client, key) = (client_of(&service), service.api_key.clone());
    let id = client.create_job(20_000).await;
    client.until(&id, |job| job["status"] == "running").await;
    // Returns soon although the slice has an hour: it is cut short and committed.
    tokio::time::timeout(PATIENCE, service.shutdown())
        .await
        .expect("the shutdown does not wait for the slice");

    let service = start(long.clone()).await.unwrap();
    assert_eq!(service.api_key, key);
    let client = client_of(&service);
    let job = client.get(&format!("/fine_tuning/jobs/{id}")).await;
    let step = job["progress"]["step"].as_u64().unwrap();
    assert!(0 < step && step < 20_000, "{job}");
    client.until(&id, |job| job["progress"]["slices"].as_u64() > Some(0)).await;
    client.call("POST", &format!("/fine_tuning/jobs/{id}/cancel"), "").await;
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_worker_died_holding_the_lease_is_finished_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let short = config(folder.path());
    let service = start(ServeConfig { slice_seconds: 3600, ..short.clone() }).await.unwrap();
    let client = client_of(&service);
    let id = client.create_job(400).await;
    client.until(&id, |job| job["status"] == "running").await;
    // As a killed process leaves it: nothing is committed, the lease is live, the message is hidden.
    service.kill();
    let service = start(short).await.unwrap();
    let job = client_of(&service).until(&id, |job| job["status"] == "succeeded").await;
    assert_eq!(job["progress"]["step"], 400);
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(config(folder.path())).await.unwrap();
    let first = client_of(&service);
    let tenant = TenantId::parse("second").unwrap();
    let clock = SystemClock::new();
    let key = create_api_key(&*service.store(), &tenant, None, &OsEntropy, &clock).await.unwrap();
    let second = TestClient::new(&service.api_url, &key);
    let file = first.upload().await;
    let path = format!("/files/{}", file.as_str().unwrap());
    assert_eq!(first.call("GET", &path, "").await.status, 200);
    assert_eq!(second.call("GET", &path, "").await.status, 404);
    assert_eq!(second.get("/files").await["data"], json!([]));
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_first_key_stays_revoked_and_the_next_start_makes_another() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let service = start(config.clone()).await.unwrap();
    let old = client_of(&service);
    assert_eq!(old.call("GET", "/files", "").await.status, 200);
    revoke_api_key(&*service.store(), &key_hash(&old.key), &SystemClock::new()).await.unwrap();
    service.shutdown().await;

    let service = start(config).await.unwrap();
    let new = client_of(&service);
    assert_ne!(new.key, old.key);
    assert_eq!(new.call("GET", "/files", "").await.status, 200);
    let late = TestClient::new(&service.api_url, &old.key);
    assert_eq!(late.call("GET", "/files", "").await.status, 401);
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_request_is_refused_over_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(config(folder.path())).await.unwrap();
    let headers = [
        ("authorization".to_owned(), format!("Bearer {}", service.api_key)),
        ("content-type".to_owned(), "application/json".to_owned()),
        ("content-encoding".to_owned(), "gzip".to_owned()),
    ];
    let answer = request("POST", &format!("{}/uploads", service.api_url), &headers, b"{}").await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (415, Some("unsupported_encoding")));
    service.shutdown().await;
}

#[tokio::test]
async fn a_start_that_cannot_succeed_says_why_and_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let good = config(folder.path());
    let service = start(good.clone()).await.unwrap();
    assert!(matches!(start(good.clone()).await, Err(LocalError::DataDirInUse { .. })));
    let port: u16 = service.s3_url.rsplit(':').next().unwrap().parse().unwrap();
    let elsewhere = ServeConfig { data_dir: folder.path().join("other"), ..good.clone() };
    let taken = start(ServeConfig { s3_port: Some(port), ..elsewhere.clone() }).await;
    assert!(matches!(taken, Err(LocalError::Port { port: named, .. }) if named == port));
    service.shutdown().await;

    let bad = [
        ServeConfig { worker_threads: 0, ..good.clone() },
        ServeConfig { slice_seconds: 0, ..good.clone() },
        ServeConfig { site_dir: Some(folder.path().to_owned()), ..good.clone() },
        ServeConfig { port: 4000, s3_port: Some(4000), ..good.clone() },
        ServeConfig { models_dir: Some(folder.path().join("missing")), ..good.clone() },
    ];
    for config in bad {
        start(config).await.unwrap_err();
    }
    std::fs::write(folder.path().join("models/tiny/model.safetensors"), "x").unwrap();
    let broken = ServeConfig { data_dir: folder.path().join("third"), ..good };
    assert!(matches!(start(broken.clone()).await, Err(LocalError::Model { .. })));
    // The lock and the ports are free again.
    write_model(&folder.path().join("models/tiny"));
    start(broken).await.unwrap().shutdown().await;
}

/// Run by `cargo xtask test`, which prepares an interpreter with the package `openai` and names it in `DPFT_PYTHON`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DPFT_PYTHON, a Python interpreter with the package `openai`"]
#[allow(clippy::disallowed_methods, reason = "the interpreter is the tester's choice")]
async fn the_official_client_works_unchanged() {
    let python = std::env::var("DPFT_PYTHON").expect("DPFT_PYTHON names a Python interpreter");
    let folder = tempfile::tempdir().unwrap();
    let service = start(config(folder.path())).await.unwrap();
    let mut script = tokio::process::Command::new(python);
    script.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openai_client.py"));
    script.env("BASE_URL", &service.api_url).env("API_KEY", &service.api_key).env("MODEL", "tiny");
    let output = script.output().await.expect("DPFT_PYTHON can be started");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("all checks passed"), "{text}");
    service.shutdown().await;
}
