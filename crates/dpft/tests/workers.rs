//! Worker processes of the real program: jobs side by side, workers that are killed, and ends that leave nothing behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use local::testing::{PATIENCE, TestClient, request, write_model};
use local::{ServeConfig, Service, WorkerProcesses, start};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const DPFT: &str = env!("CARGO_BIN_EXE_dpft");

/// Steps that take some seconds: a running job shows itself once a second.
const STEPS: u64 = 40_000;

/// More steps than any test waits for.
const ENDLESS: u64 = 1_000_000;

fn config(folder: &Path, program: &str, count: usize) -> ServeConfig {
    ServeConfig {
        port: 0,
        s3_port: None,
        data_dir: folder.join("data"),
        models_dir: Some(folder.join("models")),
        site_dir: None,
        worker_threads: count,
        processes: Some(WorkerProcesses { count, program: program.into() }),
        // One slice is a whole job, unless it is cut short.
        slice_seconds: 3600,
    }
}

fn client(service: &Service) -> TestClient {
    TestClient::new(&service.api_url, &service.api_key)
}

/// True for a running job that has shown its first steps.
fn is_under_way(job: &Value) -> bool {
    assert_ne!(job["status"], "succeeded", "the job was over before it was seen to run; it needs more steps");
    job["status"] == "running" && job["progress"]["step"].as_u64() > Some(0)
}

/// Looks again and again until `done` holds.
async fn until(what: &str, done: impl Fn() -> bool) {
    // An interval spares the machine; how long it is does not matter.
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    let looking = async {
        while !done() {
            turns.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what} in time"));
}

/// False for a process that is gone, or that has ended and whose new parent has not looked yet.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

/// The processes that `parent` started.
fn children(parent: u32) -> Vec<u32> {
    let parent_of = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
    };
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

async fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().await.unwrap();
    assert!(sent.success(), "kill {name} {pid}");
}

/// The files of a finished job, by name.
async fn results(client: &TestClient, job: &Value) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for file in job["result_files"].as_array().unwrap() {
        let file = client.get(&format!("/files/{}", file.as_str().unwrap())).await;
        let content = request("GET", file["download_url"].as_str().unwrap(), &[], b"").await;
        files.insert(file["filename"].as_str().unwrap().to_owned(), content.body);
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jobs_run_in_two_processes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    write_model(&folder.path().join("models/tiny"));
    let service = start(config(folder.path(), DPFT, 2)).await.unwrap();
    let client = client(&service);
    let (first, second) = (client.create_job(STEPS).await, client.create_job(STEPS).await);
    // A slice is a whole job here, so one worker would show the second job's first step after the first job's last.
    client.until(&second, is_under_way).await;
    let other = client.get(&format!("/fine_tuning/jobs/{first}")).await;
    assert_eq!(other["status"], "running", "{other}");
    assert_eq!(service.worker_pids().len(), 2);
    for job in [&first, &second] {
        let job = client.until(job, |job| job["status"] == "succeeded").await;
        assert_eq!(job["progress"]["step"], STEPS);
    }
    service.shutdown().await;
}

/// Leaves a data folder with one queued job that nobody has worked on; returns the job's name.
async fn prepare_job(folder: &Path) -> String {
    write_model(&folder.join("models/tiny"));
    let service = start(config(folder, "/bin/false", 1)).await.unwrap();
    let job = client(&service).create_job(STEPS).await;
    service.shutdown().await;
    job
}

async fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status().await.unwrap();
    assert!(copied.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_workers_job_ends_with_the_adapter_of_an_undisturbed_run() {
    let folder = tempfile::tempdir().unwrap();
    let (calm, rough) = (folder.path().join("calm"), folder.path().join("rough"));
    std::fs::create_dir(&calm).unwrap();
    let id = prepare_job(&calm).await;
    // The same job, hence the same seed, twice.
    copy(&calm, &rough).await;

    let service = start(config(&calm, DPFT, 1)).await.unwrap();
    let job = client(&service).until(&id, |job| job["status"] == "succeeded").await;
    let undisturbed = results(&client(&service), &job).await;
    service.shutdown().await;

    let service = start(config(&rough, DPFT, 1)).await.unwrap();
    let job = client(&service).until(&id, is_under_way).await;
    assert!(job["progress"]["step"].as_u64() < Some(STEPS), "{job}");
    let pid = service.worker_pids()[0];
    signal("-KILL", pid).await;
    until("another process works", || service.worker_pids().first().is_some_and(|other| *other != pid)).await;
    // Sooner than the dead worker's lease of half an hour would have allowed.
    let job = client(&service).until(&id, |job| job["status"] == "succeeded").await;
    assert_eq!(job["progress"]["step"], STEPS);
    let killed = results(&client(&service), &job).await;
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
        assert!(
            !undisturbed[name].is_empty() && undisturbed[name] == killed[name],
            "{name} is the same, bit for bit"
        );
    }
    service.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_commits_what_runs_and_leaves_no_process_behind() {
    let folder = tempfile::tempdir().unwrap();
    write_model(&folder.path().join("models/tiny"));
    let config = config(folder.path(), DPFT, 2);
    let service = start(config.clone()).await.unwrap();
    let id = client(&service).create_job(ENDLESS).await;
    client(&service).until(&id, is_under_way).await;
    let pids = service.worker_pids();
    assert_eq!(pids.len(), 2);
    let secrets = std::fs::read_to_string(config.data_dir.join("credentials.json")).unwrap();
    let secrets: Value = serde_json::from_str(&secrets).unwrap();
    for pid in &pids {
        for file in ["cmdline", "environ"] {
            let shown = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
            let shown = String::from_utf8_lossy(&shown);
            assert!(!shown.contains(secrets["secret_key"].as_str().unwrap()), "{file} shows a secret");
            assert!(
                !shown.contains("/queue/") && !shown.contains("http://127.0.0.1"),
                "{file} shows an address"
            );
        }
    }
    tokio::time::timeout(PATIENCE, service.shutdown()).await.expect("the slice is cut short");
    assert!(pids.iter().all(|pid| !is_alive(*pid)), "no process is left");

    let service = start(config).await.unwrap();
    let job = client(&service).get(&format!("/fine_tuning/jobs/{id}")).await;
    assert!(job["progress"]["slices"].as_u64() > Some(0), "what ran was committed: {job}");
    service.shutdown().await;
}

/// `dpft serve` with two workers, and a client of it.
struct Serving {
    program: Child,
    pid: u32,
    client: TestClient,
    /// Kept open: the program goes on printing.
    _output: Lines<BufReader<ChildStdout>>,
    _folder: tempfile::TempDir,
}

impl Serving {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_model(&folder.path().join("models/tiny"));
        let mut command = Command::new(DPFT);
        command.current_dir(folder.path()).args(["serve", "--port", "0", "--workers", "2", "--threads", "2"]);
        command.args(["--slice-seconds", "3600"]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut program = command.spawn().unwrap();
        let pid = program.id().unwrap();
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("the program says where its API is");
            let Some(rest) = line.strip_prefix("API:") else { continue };
            let (url, key) = rest.trim().split_once(" (key ").unwrap();
            let client = TestClient::new(url, key.trim_end_matches(')'));
            return Self { program, pid, client, _output: lines, _folder: folder };
        }
    }

    /// Lets a job run, and returns the worker processes.
    async fn busy_workers(&self) -> Vec<u32> {
        let job = self.client.create_job(ENDLESS).await;
        self.client.until(&job, is_under_way).await;
        let workers = children(self.pid);
        assert_eq!(workers.len(), 2);
        assert!(workers.iter().all(|pid| is_alive(*pid)));
        workers
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_leaves_no_process_behind() {
    let mut serving = Serving::start().await;
    let workers = serving.busy_workers().await;
    serving.program.kill().await.unwrap();
    until("all workers end", || workers.iter().all(|pid| !is_alive(*pid))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_service_and_its_workers() {
    let mut serving = Serving::start().await;
    let workers = serving.busy_workers().await;
    signal("-INT", serving.pid).await;
    let ended =
        tokio::time::timeout(PATIENCE, serving.program.wait()).await.expect("it ends in time").unwrap();
    assert!(ended.success(), "{ended}");
    assert!(workers.iter().all(|pid| !is_alive(*pid)), "no process is left");
}

#[tokio::test]
async fn a_worker_that_nobody_started_says_so() {
    let mut command = Command::new(DPFT);
    let output = command.arg("worker").stdin(Stdio::null()).output().await.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("`serve` starts workers") && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn nonsense_numbers_of_workers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for workers in ["0", "1000"] {
        let mut command = Command::new(DPFT);
        command.current_dir(folder.path()).args(["serve", "--port", "0", "--workers", workers]);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("1 to 256"), "{said}");
    }
}
