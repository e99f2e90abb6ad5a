//! The store on S3 and the queue on SQS against ministack, an emulator of AWS that we have not written: the same suites as everything else.
//!
//! Where it is not as AWS, as far as the suites can see: an old receipt is an error to it (`ReceiptHandleIsInvalid`), where AWS answers that all is
//! well and does nothing; a dead letter keeps its message's name and count, and is moved only when somebody receives from its queue. All this
//! is within the contract. It cannot show what AWS may do besides: deliver twice, out of order, or leave out messages when asked without a wait.
//!
//! Run by `cargo xtask test --only conformance`, which prepares an interpreter with the package `ministack` and names it in `DPFT_PYTHON`.

use crate::test_http::{RawHttp, request};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use jobs::queue_conformance::{self, Time};
use jobs::{Clock, S3Store, SqsDeadLetters, SqsQueue, SystemClock, conformance, link_conformance};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

const REGION: &str = "eu-central-1";
/// ministack's own convention: twelve digits are both the access key and the account.
const ACCOUNT: &str = "000000000001";
const SECRET: &str = "test";
const BUCKET: &str = "conformance";

/// Longer than the suite ever lets a message hang, also on a busy machine, and short enough to be waited for.
const VISIBILITY_SECONDS: u64 = 6;
const MAX_RECEIVES: u32 = 3;

/// Far longer than a start takes.
const START: Duration = Duration::from_secs(90);

/// A running ministack, which ends with this.
struct Ministack {
    process: Child,
    endpoint: String,
    scratch: tempfile::TempDir,
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // Its group, which it leads, for it may have started processes. None of this can fail in a way that a test could repair.
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}

impl Ministack {
    #[allow(clippy::disallowed_methods, reason = "the interpreter is the tester's choice")]
    async fn start() -> Self {
        let python = std::env::var("DPFT_PYTHON").expect("DPFT_PYTHON names a Python interpreter");
        let scratch = tempfile::tempdir().unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = File::create(scratch.path().join("log")).unwrap();
        let mut command = Command::new(python);
        command.args(["-m", "ministack"]).env_clear().current_dir(&scratch).process_group(0);
        // Only what it needs: the tester's settings must not decide a test. The last two would listen on every interface.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", scratch.path());
        command.env("TMPDIR", scratch.path()).env("BIND_HOST", "127.0.0.1").env("AUTH", "true");
        command.env("GATEWAY_PORT", address.port().to_string()).env("MINISTACK_REGION", REGION);
        command.env("MINISTACK_ACCOUNT_ID", ACCOUNT).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().expect("DPFT_PYTHON can be started");
        let mut running = Self { process, endpoint: format!("http://{address}"), scratch };
        if tokio::time::timeout(START, running.healthy(&address.to_string())).await != Ok(true) {
            let log = std::fs::read_to_string(running.scratch.path().join("log")).unwrap_or_default();
            panic!("ministack did not start:\n{log}");
        }
        running
    }

    /// Asks until it answers; false when it has ended.
    async fn healthy(&mut self, address: &str) -> bool {
        let mut turns = tokio::time::interval(Duration::from_millis(100));
        while self.process.try_wait().unwrap().is_none() {
            turns.tick().await;
            let listens = TcpStream::connect(address).await.is_ok();
            let health = format!("{}/_ministack/health", self.endpoint);
            if listens && request("GET", &health, &[], b"").await.status == 200 {
                return true;
            }
        }
        false
    }

    async fn bucket(&self) -> S3Store {
        let keys = aws_credential_types::Credentials::from_keys(ACCOUNT, SECRET, None);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new(REGION))
            .endpoint_url(&self.endpoint)
            .credentials_provider(keys)
            .force_path_style(true)
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        let place = CreateBucketConfiguration::builder();
        let place = place.location_constraint(BucketLocationConstraint::from(REGION)).build();
        client.create_bucket().bucket(BUCKET).create_bucket_configuration(place).send().await.unwrap();
        S3Store::new(client, BUCKET.into())
    }

    /// The queue, and the one for what was received too often.
    async fn queues(&self) -> (SqsQueue, SqsQueue) {
        let keys = aws_credential_types::Credentials::from_keys(ACCOUNT, SECRET, None);
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new(REGION))
            .endpoint_url(&self.endpoint)
            .credentials_provider(keys)
            .build();
        let client = aws_sdk_sqs::Client::from_conf(config);
        let dead = client.create_queue().queue_name("dead-letters").send().await.unwrap();
        let dead = dead.queue_url.unwrap();
        let arn =
            client.get_queue_attributes().queue_url(&dead).attribute_names(QueueAttributeName::QueueArn);
        let arn = arn.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
        let policy = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES});
        let queue = client.create_queue().queue_name("jobs");
        let queue = queue.attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
        let queue = queue.attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECONDS.to_string());
        let queue = queue.send().await.unwrap().queue_url.unwrap();
        (SqsQueue::new(client.clone(), queue), SqsQueue::new(client, dead))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DPFT_PYTHON, a Python interpreter with the package `ministack`"]
async fn ministacks_s3_is_a_store() {
    let ministack = Ministack::start().await;
    let store = Arc::new(ministack.bucket().await);
    conformance::run(store, "suite/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DPFT_PYTHON, a Python interpreter with the package `ministack`"]
async fn ministacks_links_allow_what_they_say_and_nothing_beyond() {
    let ministack = Ministack::start().await;
    let store = &ministack.bucket().await;
    let now = SystemClock::new().now();
    let subject = link_conformance::Subject { store, http: &RawHttp, prefix: "links/", now };
    link_conformance::run(&subject).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs DPFT_PYTHON, a Python interpreter with the package `ministack`"]
async fn ministacks_sqs_is_a_queue() {
    let ministack = Ministack::start().await;
    let (queue, dead_letters) = ministack.queues().await;
    queue_conformance::run(&queue_conformance::Subject {
        queue: Arc::new(queue.clone()),
        consumer: Arc::new(queue.clone()),
        dead_letters: Arc::new(SqsDeadLetters::new(dead_letters, queue)),
        visibility_timeout: Duration::from_secs(VISIBILITY_SECONDS),
        max_receives: MAX_RECEIVES,
        time: Time::Real,
    })
    .await;
}
