//! The requests of SQS' JSON protocol that are answered here. A field that would be ignored is refused.

use serde::Deserialize;
use serde_json::{Value, json};

/// What every request names. The rest of it is read once its sender is known.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Addressed {
    pub(super) queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SendMessage {
    #[serde(rename = "QueueUrl")]
    _queue_url: String,
    pub(super) message_body: String,
    #[serde(default)]
    pub(super) delay_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ReceiveMessage {
    #[serde(rename = "QueueUrl")]
    _queue_url: String,
    #[serde(default)]
    pub(super) wait_time_seconds: u64,
    /// One is handed out, whatever larger number is allowed.
    #[serde(default, rename = "MaxNumberOfMessages")]
    _max_number_of_messages: Option<u64>,
    /// The one attribute there is, the count, is always told.
    #[serde(default, rename = "MessageSystemAttributeNames")]
    _message_system_attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeleteMessage {
    #[serde(rename = "QueueUrl")]
    _queue_url: String,
    pub(super) receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ChangeMessageVisibility {
    #[serde(rename = "QueueUrl")]
    _queue_url: String,
    pub(super) receipt_handle: String,
    pub(super) visibility_timeout: u64,
}

/// Why a request is refused: SQS' own code, and its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No valid capability. What it was used for is not looked at.
    AccessDenied,
    /// Something that this queue does not do.
    UnsupportedOperation,
    /// A field that is missing, unknown or out of its range.
    InvalidParameterValue,
    /// A delivery that is not this worker's, or not the latest one.
    ReceiptHandleIsInvalid,
    /// The journal cannot be written. A retry may help.
    ServiceUnavailable,
}

impl Refusal {
    pub(super) fn status(self) -> u16 {
        match self {
            Self::AccessDenied => 403,
            Self::ServiceUnavailable => 503,
            _ => 400,
        }
    }

    pub(super) fn body(self) -> Value {
        let (code, message) = match self {
            Self::AccessDenied => ("AccessDeniedException", "the queue's address is not valid"),
            Self::UnsupportedOperation => ("UnsupportedOperation", "this queue does not do that"),
            Self::InvalidParameterValue => {
                ("InvalidParameterValue", "a field is missing, unknown or too large")
            }
            Self::ReceiptHandleIsInvalid => ("ReceiptHandleIsInvalid", "the receipt is void"),
            Self::ServiceUnavailable => ("ServiceUnavailable", "the queue's journal cannot be written"),
        };
        json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message})
    }
}
