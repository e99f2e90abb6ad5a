//! Sending to Amazon SQS. Receiving is Lambda's event source mapping.

use super::{Queue, QueueError};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message::SendMessageError;
use protocol::message::SliceMessage;
use std::time::Duration;

/// The longest delay that SQS knows.
const MAX_DELAY_SECONDS: u64 = 900;

/// A queue of Amazon SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    queue_url: String,
}

impl SqsQueue {
    /// Sends to the queue at `queue_url`.
    pub fn new(client: aws_sdk_sqs::Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }
}

#[async_trait::async_trait]
impl Queue for SqsQueue {
    async fn send(&self, message: &SliceMessage, delay: Duration) -> Result<(), QueueError> {
        // A struct of plain strings and numbers always serialises.
        let body = serde_json::to_string(message).expect("a slice message is plain data");
        // At most 900, so the cast is exact.
        let seconds = delay.as_secs().min(MAX_DELAY_SECONDS) as i32;
        let request = self.client.send_message().queue_url(&self.queue_url).message_body(body);
        request.delay_seconds(seconds).send().await.map(|_| ()).map_err(unavailable)
    }
}

fn unavailable(error: SdkError<SendMessageError>) -> QueueError {
    let reason = error.code().map_or_else(|| "no answer".to_owned(), str::to_owned);
    QueueError::Unavailable { operation: "send a message", reason }
}
