//! An SQS on this machine: the JSON protocol over the in-process queue, so that worker processes run the very code that runs on AWS.
//!
//! ```text
//! http://127.0.0.1:{port}/queue/{capability}/jobs           the queue
//! http://127.0.0.1:{port}/queue/{capability}/dead-letters   what was received too often
//! ```
//!
//! The address is the right: whoever has no valid [capability](grants) gets 403 and nothing else, and signatures are not looked at. A worker can
//! settle only what was delivered to it, and when it has ended, whatever it still held is known and goes to another at once.
//!
//! Not as SQS: batches, message attributes and a visibility timeout of the receiver's choice are refused; one message is handed out at a time;
//! whoever changes a message's visibility has given it back and cannot delete it any more.

mod grants;
mod requests;

use api_function::Entropy;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use grants::Grants;
pub(crate) use grants::Held;
use http::{HeaderMap, StatusCode};
use jobs::{LocalDeadLetters, LocalQueue, QueueConsumer, QueueError, SqsQueue};
use requests::{Addressed, ChangeMessageVisibility, DeleteMessage, ReceiveMessage, Refusal, SendMessage};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// SQS' own bounds of a wait for messages, a delay and a visibility timeout, in seconds.
const MAX_WAIT_SECONDS: u64 = 20;
const MAX_DELAY_SECONDS: u64 = 900;
const MAX_VISIBILITY_SECONDS: u64 = 12 * 3600;

/// The SDK asks for some region; nothing here depends on which.
const REGION: &str = "us-east-1";

/// The queue behind the protocol.
pub(crate) struct EmbeddedSqs {
    queue: Arc<LocalQueue>,
    dead_letters: LocalDeadLetters,
    grants: Grants,
}

/// Which of the two queues an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Jobs,
    DeadLetters,
}

/// Who asks, and of which queue.
struct Caller {
    capability: String,
    name: Name,
}

impl EmbeddedSqs {
    /// Speaks for `queue`.
    pub(crate) fn new(queue: Arc<LocalQueue>) -> Self {
        Self { dead_letters: LocalDeadLetters::of(queue.clone()), queue, grants: Grants::default() }
    }

    /// Lets somebody in; returns the capability.
    pub(crate) fn admit(&self, entropy: &dyn Entropy) -> String {
        self.grants.admit(entropy)
    }

    /// Ends a capability. Returns what was held under it, which is for the caller to give back.
    pub(crate) fn revoke(&self, capability: &str) -> Vec<Held> {
        self.grants.revoke(capability)
    }

    /// Makes a message that was held visible at once.
    pub(crate) fn give_back(&self, held: &Held) -> Result<(), QueueError> {
        self.queue.nack(&held.receipt, Duration::ZERO)
    }

    /// The bodies of all messages that somebody holds.
    pub(crate) fn all_held(&self) -> Vec<String> {
        self.grants.all_held()
    }

    /// Delivers the next message to whoever has `capability`.
    #[cfg(test)]
    pub(crate) fn hold_next(&self, capability: &str) {
        let delivery = self.queue.try_receive().expect("a message is visible");
        assert!(self.grants.hold(capability, Held { receipt: delivery.receipt, body: delivery.body }));
    }

    fn caller(&self, body: &[u8]) -> Result<Caller, Refusal> {
        let addressed = serde_json::from_slice::<Addressed>(body).map_err(|_| Refusal::AccessDenied)?;
        let (capability, name) = read_address(&addressed.queue_url).ok_or(Refusal::AccessDenied)?;
        match self.grants.allows(capability) {
            true => Ok(Caller { capability: capability.to_owned(), name }),
            false => Err(Refusal::AccessDenied),
        }
    }

    async fn perform(&self, target: &str, body: &[u8]) -> Result<Value, Refusal> {
        let caller = self.caller(body)?;
        match target {
            "AmazonSQS.SendMessage" => self.send(&caller, parse(body)?),
            "AmazonSQS.ReceiveMessage" => self.receive(&caller, parse(body)?).await,
            "AmazonSQS.DeleteMessage" => self.delete(&caller, &parse(body)?),
            "AmazonSQS.ChangeMessageVisibility" => self.change_visibility(&caller, &parse(body)?),
            "AmazonSQS.GetQueueAttributes" => Ok(self.attributes(&caller)),
            _ => Err(Refusal::UnsupportedOperation),
        }
    }

    fn send(&self, caller: &Caller, request: SendMessage) -> Result<Value, Refusal> {
        if caller.name == Name::DeadLetters {
            return Err(Refusal::UnsupportedOperation);
        }
        let delay = at_most(request.delay_seconds, MAX_DELAY_SECONDS)?;
        self.queue.send_body(request.message_body, delay).map_err(unwritable)?;
        Ok(json!({}))
    }

    async fn receive(&self, caller: &Caller, request: ReceiveMessage) -> Result<Value, Refusal> {
        let wait = at_most(request.wait_time_seconds, MAX_WAIT_SECONDS)?;
        let received = match caller.name {
            Name::Jobs => QueueConsumer::receive(&*self.queue, wait).await,
            Name::DeadLetters => self.dead_letters.receive(wait).await,
        };
        let Some(delivery) = received.map_err(unwritable)? else { return Ok(json!({})) };
        // No await between the taking and this: a receiver that hangs up holds the message, and gives it back when it ends.
        let held = Held { receipt: delivery.receipt.clone(), body: delivery.body.clone() };
        if !self.grants.hold(&caller.capability, held.clone()) {
            self.give_back(&held).map_err(unwritable)?;
            return Err(Refusal::AccessDenied);
        }
        Ok(json!({"Messages": [{
            "MessageId": delivery.message_id,
            "ReceiptHandle": delivery.receipt,
            "Body": delivery.body,
            "Attributes": {"ApproximateReceiveCount": delivery.receive_count.to_string()},
        }]}))
    }

    fn delete(&self, caller: &Caller, request: &DeleteMessage) -> Result<Value, Refusal> {
        self.settle(caller, &request.receipt_handle)?;
        self.queue.ack(&request.receipt_handle).map_err(unwritable)?;
        Ok(json!({}))
    }

    fn change_visibility(
        &self,
        caller: &Caller,
        request: &ChangeMessageVisibility,
    ) -> Result<Value, Refusal> {
        let delay = at_most(request.visibility_timeout, MAX_VISIBILITY_SECONDS)?;
        self.settle(caller, &request.receipt_handle)?;
        self.queue.nack(&request.receipt_handle, delay).map_err(unwritable)?;
        Ok(json!({}))
    }

    fn settle(&self, caller: &Caller, receipt: &str) -> Result<(), Refusal> {
        match self.grants.settle(&caller.capability, receipt) {
            true => Ok(()),
            false => Err(Refusal::ReceiptHandleIsInvalid),
        }
    }

    fn attributes(&self, caller: &Caller) -> Value {
        let (all, visible) = match caller.name {
            Name::Jobs => (self.queue.len(), self.queue.visible()),
            Name::DeadLetters => (self.queue.dead_letters(), self.queue.visible_dead_letters()),
        };
        json!({"Attributes": {
            "ApproximateNumberOfMessages": visible.to_string(),
            "ApproximateNumberOfMessagesNotVisible": all.saturating_sub(visible).to_string(),
        }})
    }
}

/// The queue as a service to be listened with.
pub(crate) fn router(sqs: Arc<EmbeddedSqs>) -> Router {
    Router::new().fallback(answer).with_state(sqs)
}

async fn answer(State(sqs): State<Arc<EmbeddedSqs>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (status, body) = match sqs.perform(target, &body).await {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => {
            (StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST), refusal.body())
        }
    };
    (status, [(http::header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response()
}

/// Both queues as worker code sees them: the one that jobs come from, and the one with its dead letters.
pub(crate) fn queues(url: &str, capability: &str) -> (SqsQueue, SqsQueue) {
    // The address is the right; the SDK signs all the same, and wants a key for it.
    let keys = aws_credential_types::Credentials::from_keys("unused", "unused", None);
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(aws_sdk_sqs::config::Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(keys)
        .build();
    let client = aws_sdk_sqs::Client::from_conf(config);
    let queue = |name: &str| SqsQueue::new(client.clone(), format!("{url}/queue/{capability}/{name}"));
    (queue("jobs"), queue("dead-letters"))
}

/// Reads `http://{host}/queue/{capability}/{name}`.
fn read_address(url: &str) -> Option<(&str, Name)> {
    let (_host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let (capability, name) = path.strip_prefix("queue/")?.split_once('/')?;
    match name {
        "jobs" => Some((capability, Name::Jobs)),
        "dead-letters" => Some((capability, Name::DeadLetters)),
        _ => None,
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::InvalidParameterValue)
}

fn at_most(seconds: u64, most: u64) -> Result<Duration, Refusal> {
    if seconds > most { Err(Refusal::InvalidParameterValue) } else { Ok(Duration::from_secs(seconds)) }
}

fn unwritable(error: QueueError) -> Refusal {
    tracing::error!(%error, "the embedded queue has failed");
    Refusal::ServiceUnavailable
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
