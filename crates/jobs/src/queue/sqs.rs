//! Amazon SQS, or whatever speaks its protocol. On AWS, Lambda's event source mapping receives; a worker process does it itself.

use super::{DeadLetters, Delivery, Queue, QueueConsumer, QueueError};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use protocol::message::SliceMessage;
use std::time::Duration;

/// The longest delay that SQS knows.
const MAX_DELAY_SECONDS: u64 = 900;
/// The longest wait for a message.
const MAX_WAIT_SECONDS: u64 = 20;
/// The longest visibility timeout.
const MAX_VISIBILITY_SECONDS: u64 = 12 * 3600;

/// What SQS says of a receipt that is void: of an older delivery, or of a message that was deleted or is visible again. All other parameters
/// of these requests are kept within their limits here, so a wrong one is the receipt.
const VOID_RECEIPT: [&str; 3] = ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"];

/// A queue of Amazon SQS.
#[derive(Clone)]
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    queue_url: String,
}

/// The address may hold a secret (the embedded queue's does), so it is not shown.
impl std::fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqsQueue(..)")
    }
}

impl SqsQueue {
    /// The queue at `queue_url`.
    pub fn new(client: aws_sdk_sqs::Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    async fn send_body(&self, body: String, delay: Duration) -> Result<(), QueueError> {
        let seconds = seconds(delay.as_secs(), MAX_DELAY_SECONDS);
        let request = self.client.send_message().queue_url(&self.queue_url).message_body(body);
        let sent = request.delay_seconds(seconds).send().await;
        sent.map(|_| ()).map_err(|error| unavailable("send a message", &error))
    }
}

#[async_trait::async_trait]
impl Queue for SqsQueue {
    async fn send(&self, message: &SliceMessage, delay: Duration) -> Result<(), QueueError> {
        // A struct of plain strings and numbers always serialises.
        let body = serde_json::to_string(message).expect("a slice message is plain data");
        self.send_body(body, delay).await
    }
}

#[async_trait::async_trait]
impl QueueConsumer for SqsQueue {
    async fn receive(&self, wait: Duration) -> Result<Option<Delivery>, QueueError> {
        let request = self.client.receive_message().queue_url(&self.queue_url).max_number_of_messages(1);
        let request =
            request.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        // Rounded up: a wait of none is another way of receiving, which on AWS may miss messages.
        let wait = seconds(wait.as_millis().div_ceil(1000) as u64, MAX_WAIT_SECONDS);
        let received = request.wait_time_seconds(wait).send().await;
        let received = received.map_err(|error| unavailable("receive a message", &error))?;
        Ok(received.messages.unwrap_or_default().into_iter().next().map(delivery))
    }

    async fn ack(&self, receipt: &str) -> Result<(), QueueError> {
        let request = self.client.delete_message().queue_url(&self.queue_url).receipt_handle(receipt);
        settled("delete a message", request.send().await)
    }

    async fn nack(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        let request =
            self.client.change_message_visibility().queue_url(&self.queue_url).receipt_handle(receipt);
        let timeout = seconds(delay.as_millis().div_ceil(1000) as u64, MAX_VISIBILITY_SECONDS);
        settled("give a message back", request.visibility_timeout(timeout).send().await)
    }
}

/// A dead-letter queue of Amazon SQS and the queue that its messages came from.
#[derive(Debug, Clone)]
pub struct SqsDeadLetters {
    dead_letters: SqsQueue,
    source: SqsQueue,
}

impl SqsDeadLetters {
    /// The messages in `dead_letters`, which came from `source`.
    pub fn new(dead_letters: SqsQueue, source: SqsQueue) -> Self {
        Self { dead_letters, source }
    }
}

#[async_trait::async_trait]
impl QueueConsumer for SqsDeadLetters {
    async fn receive(&self, wait: Duration) -> Result<Option<Delivery>, QueueError> {
        self.dead_letters.receive(wait).await
    }

    async fn ack(&self, receipt: &str) -> Result<(), QueueError> {
        self.dead_letters.ack(receipt).await
    }

    async fn nack(&self, receipt: &str, delay: Duration) -> Result<(), QueueError> {
        self.dead_letters.nack(receipt, delay).await
    }
}

#[async_trait::async_trait]
impl DeadLetters for SqsDeadLetters {
    /// Message by message, each sent before it is deleted. SQS' own StartMessageMoveTask does it in the background and answers before it is done.
    async fn redrive(&self) -> Result<usize, QueueError> {
        let mut moved = 0;
        while let Some(delivery) = self.receive(Duration::from_secs(1)).await? {
            self.source.send_body(delivery.body, Duration::ZERO).await?;
            self.ack(&delivery.receipt).await?;
            moved += 1;
        }
        Ok(moved)
    }
}

fn delivery(message: Message) -> Delivery {
    let attributes = message.attributes.unwrap_or_default();
    let count = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
    Delivery {
        // A count that is missing makes this a first delivery, as in the handler of Lambda's events.
        receive_count: count.and_then(|count| count.parse().ok()).unwrap_or(1),
        body: message.body.unwrap_or_default(),
        message_id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
    }
}

/// Whole seconds as the SDK wants them; `most` fits, so the cast is exact.
fn seconds(asked: u64, most: u64) -> i32 {
    asked.min(most) as i32
}

/// A void receipt is no error: the later delivery decides.
fn settled<T, E: ProvideErrorMetadata>(
    operation: &'static str,
    answer: Result<T, SdkError<E>>,
) -> Result<(), QueueError> {
    match answer {
        Err(error) if !error.code().is_some_and(|code| VOID_RECEIPT.contains(&code)) => {
            Err(unavailable(operation, &error))
        }
        _ => Ok(()),
    }
}

fn unavailable<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E>) -> QueueError {
    let reason = error.code().map_or_else(|| "no answer".to_owned(), str::to_owned);
    QueueError::Unavailable { operation, reason }
}
