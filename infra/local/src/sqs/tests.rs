//! The embedded SQS over real sockets: the queue's conformance suite by the SDK, and requests that are refused.

use super::*;
use crate::test_http::{Answer, request};
use api_function::OsEntropy;
use jobs::queue_conformance::{Subject, Time, run};
use jobs::{LocalQueueConfig, ManualClock, Queue, SqsDeadLetters};
use protocol::id::{JobId, TenantId};
use protocol::message::SliceMessage;
use tokio::net::TcpListener;

const CONFIG: LocalQueueConfig =
    LocalQueueConfig { visibility_timeout: Duration::from_secs(60), max_receives: 3 };

/// A running SQS.
struct Running {
    sqs: Arc<EmbeddedSqs>,
    clock: Arc<ManualClock>,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn start() -> Running {
    let clock = Arc::new(ManualClock::new(1_000));
    let sqs = Arc::new(EmbeddedSqs::new(Arc::new(LocalQueue::in_memory(CONFIG, clock.clone()))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = router(sqs.clone());
    let server = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    Running { sqs, clock, url, server }
}

impl Running {
    fn admit(&self) -> (String, SqsQueue, SqsQueue) {
        let capability = self.sqs.admit(&OsEntropy);
        let (jobs, dead_letters) = queues(&self.url, &capability);
        (capability, jobs, dead_letters)
    }

    async fn raw(&self, action: &str, body: Value) -> Answer {
        let headers = [
            ("x-amz-target".to_owned(), format!("AmazonSQS.{action}")),
            ("content-type".to_owned(), "application/x-amz-json-1.0".to_owned()),
        ];
        request("POST", &format!("{}/", self.url), &headers, body.to_string().as_bytes()).await
    }
}

fn message(slice: u64) -> SliceMessage {
    SliceMessage::whole(&TenantId::parse("acme").unwrap(), &JobId::from_entropy([1; 12]), slice)
}

#[tokio::test]
async fn it_is_a_queue() {
    let running = start().await;
    let (_, jobs, dead_letters) = running.admit();
    run(&Subject {
        queue: Arc::new(jobs.clone()),
        consumer: Arc::new(jobs.clone()),
        dead_letters: Arc::new(SqsDeadLetters::new(dead_letters, jobs)),
        visibility_timeout: CONFIG.visibility_timeout,
        max_receives: CONFIG.max_receives,
        time: Time::Manual(running.clock.clone()),
    })
    .await;
}

#[tokio::test]
async fn without_a_valid_capability_there_is_403_and_nothing_else() {
    let running = start().await;
    let (capability, jobs, _) = running.admit();
    jobs.send(&message(1), Duration::ZERO).await.unwrap();
    let url = &running.url;
    let revoked = running.sqs.admit(&OsEntropy);
    running.sqs.revoke(&revoked);
    let addresses = [
        format!("{url}/queue/{}/jobs", "0".repeat(32)),
        format!("{url}/queue/{revoked}/jobs"),
        format!("{url}/queue/{}/jobs", &capability[..31]),
        format!("{url}/queue/{}/jobs", capability.to_uppercase() + "x"),
        format!("{url}/queue//jobs"),
        format!("{url}/queue/{capability}/others"),
        format!("{url}/{capability}/jobs"),
        format!("{url}/queue/jobs"),
        String::new(),
    ];
    for address in addresses {
        for action in ["ReceiveMessage", "SendMessage", "DeleteMessage", "GetQueueAttributes", "Nonsense"] {
            let answer = running.raw(action, json!({"QueueUrl": address, "MessageBody": "x"})).await;
            assert_eq!(answer.status, 403, "{action} {address}");
            assert_eq!(answer.json()["__type"], "com.amazonaws.sqs#AccessDeniedException");
            assert!(!answer.text().contains(&capability), "{}", answer.text());
        }
    }
    assert_eq!(running.raw("ReceiveMessage", json!({})).await.status, 403);
    assert_eq!(request("GET", &format!("{url}/queue/{capability}/jobs"), &[], b"").await.status, 403);
    let (wrong, _) = queues(url, &"0".repeat(32));
    let refused = wrong.receive(Duration::ZERO).await.unwrap_err();
    assert!(refused.to_string().contains("AccessDeniedException"), "{refused}");
    assert!(!format!("{wrong:?} {refused}").contains(&"0".repeat(32)), "an address is not shown");
    assert_eq!((running.sqs.queue.len(), running.sqs.queue.visible()), (1, 1), "nothing was changed");
}

#[tokio::test]
async fn a_worker_settles_only_what_it_holds() {
    let running = start().await;
    let (_, first, _) = running.admit();
    let (_, second, _) = running.admit();
    first.send(&message(1), Duration::ZERO).await.unwrap();
    let delivery = first.receive(Duration::ZERO).await.unwrap().unwrap();
    second.ack(&delivery.receipt).await.unwrap();
    second.nack(&delivery.receipt, Duration::ZERO).await.unwrap();
    assert_eq!(second.receive(Duration::ZERO).await.unwrap(), None, "it was not given back");
    assert_eq!(running.sqs.queue.len(), 1, "it was not deleted");
    first.ack(&delivery.receipt).await.unwrap();
    assert!(running.sqs.queue.is_empty());
}

#[tokio::test]
async fn what_a_dead_worker_held_is_known_and_can_be_given_back() {
    let running = start().await;
    let (capability, first, _) = running.admit();
    let (_, second, _) = running.admit();
    for slice in 0..3 {
        first.send(&message(slice), Duration::ZERO).await.unwrap();
    }
    let settled = first.receive(Duration::ZERO).await.unwrap().unwrap();
    first.ack(&settled.receipt).await.unwrap();
    let held = first.receive(Duration::ZERO).await.unwrap().unwrap();
    let other = second.receive(Duration::ZERO).await.unwrap().unwrap();
    let left = running.sqs.revoke(&capability);
    assert_eq!(left, [Held { receipt: held.receipt, body: held.body.clone() }]);
    assert_eq!(running.sqs.all_held(), [other.body]);
    assert_eq!(second.receive(Duration::ZERO).await.unwrap(), None);
    running.sqs.give_back(&left[0]).unwrap();
    let again = second.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!((again.body, again.receive_count), (held.body, 2));
}

#[tokio::test]
async fn a_receiver_that_is_revoked_while_it_waits_gets_nothing() {
    let running = start().await;
    let (capability, first, _) = running.admit();
    let (_, second, _) = running.admit();
    let waiting = tokio::spawn(async move { first.receive(Duration::from_secs(20)).await });
    // Whether the first request waits at the queue by now or is refused at the door must make no difference.
    second.receive(Duration::ZERO).await.unwrap();
    running.sqs.revoke(&capability);
    second.send(&message(4), Duration::ZERO).await.unwrap();
    let refused = waiting.await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("AccessDenied"), "{refused}");
    let delivery = second.receive(Duration::from_secs(5)).await.unwrap().unwrap();
    assert_eq!(serde_json::from_str::<SliceMessage>(&delivery.body).unwrap(), message(4));
}

#[tokio::test]
async fn what_it_does_not_do_is_refused_and_not_ignored() {
    let running = start().await;
    let (capability, ..) = running.admit();
    let address = |name: &str| format!("{}/queue/{capability}/{name}", running.url);
    let (jobs, dead) = (address("jobs"), address("dead-letters"));
    let cases = [
        ("PurgeQueue", json!({"QueueUrl": jobs}), "UnsupportedOperation"),
        ("SendMessage", json!({"QueueUrl": dead, "MessageBody": "x"}), "UnsupportedOperation"),
        ("SendMessage", json!({"QueueUrl": jobs}), "InvalidParameterValue"),
        (
            "SendMessage",
            json!({"QueueUrl": jobs, "MessageBody": "x", "DelaySeconds": 901}),
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": jobs, "MessageBody": "x", "MessageGroupId": "g"}),
            "InvalidParameterValue",
        ),
        ("ReceiveMessage", json!({"QueueUrl": jobs, "WaitTimeSeconds": 21}), "InvalidParameterValue"),
        ("ReceiveMessage", json!({"QueueUrl": jobs, "VisibilityTimeout": 5}), "InvalidParameterValue"),
        ("DeleteMessage", json!({"QueueUrl": jobs, "ReceiptHandle": "0/1"}), "ReceiptHandleIsInvalid"),
        (
            "ChangeMessageVisibility",
            json!({"QueueUrl": jobs, "ReceiptHandle": "0/1", "VisibilityTimeout": 0}),
            "ReceiptHandleIsInvalid",
        ),
    ];
    for (action, body, code) in cases {
        let answer = running.raw(action, body.clone()).await;
        assert_eq!(answer.status, 400, "{action} {body}");
        assert_eq!(answer.json()["__type"], format!("com.amazonaws.sqs#{code}"), "{action} {body}");
    }
    assert!(running.sqs.queue.is_empty());
}

#[tokio::test]
async fn attributes_tell_how_many_messages_there_are() {
    let running = start().await;
    let (capability, jobs, _) = running.admit();
    for slice in 0..3 {
        jobs.send(&message(slice), Duration::ZERO).await.unwrap();
    }
    jobs.receive(Duration::ZERO).await.unwrap().unwrap();
    let address = format!("{}/queue/{capability}/jobs", running.url);
    let answer =
        running.raw("GetQueueAttributes", json!({"QueueUrl": address, "AttributeNames": ["All"]})).await;
    let attributes = answer.json()["Attributes"].clone();
    assert_eq!(attributes["ApproximateNumberOfMessages"], "2");
    assert_eq!(attributes["ApproximateNumberOfMessagesNotVisible"], "1");
}
