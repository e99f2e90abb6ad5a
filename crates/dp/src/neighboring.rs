//! What two neighbouring data sets differ in.

use serde::{Deserialize, Serialize};

/// How two data sets may differ for a guarantee to speak of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NeighboringRelation {
    /// One has one record more than the other. Poisson sampling and the expected batch size as divisor belong to it.
    AddOrRemoveOne,
}

/// What one record is: the piece of the owner's text whose presence is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyUnit {
    /// One line of the file.
    Line,
    /// A run of lines between blank lines.
    Paragraph,
    /// One JSON value a line, as in the fine-tuning API's JSONL files.
    JsonRecord,
}
