//! From the training file's bytes to records: plain text and perturbed words are tokenised here, a perturbed file says itself what it is.

use crate::problem::{Subject, permanent};
use dp::PrivacyUnit;
use finetune::model::ModelConfig;
use finetune::records::DataError;
use finetune::{ChatError, ChatFormat, RecordOptions, Records, Sequence};
use jobs::SliceError;
use perturb::{ChannelUnit, Manifest, NeighbourTable, Tokenizer, tokens};
use protocol::hyperparameters::DpLora;

/// How a file of perturbed tokens begins.
const TOKENS_MAGIC: &[u8] = b"DPTK";

/// Records ready to train on.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) records: Records,
    /// What the records passed before they were uploaded; none for plain text.
    pub(crate) manifest: Option<Manifest>,
    /// Tokens that one pass predicts.
    pub(crate) predicted_tokens: u64,
}

/// What makes text into tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokenizers<'a> {
    /// Plain text.
    pub(crate) plain: &'a Tokenizer,
    /// Chats, if the model can write them.
    pub(crate) chat: &'a Result<Option<ChatFormat>, ChatError>,
}

/// Reads `bytes` as records for a model with this configuration, tokenizer and neighbour table.
///
/// # Errors
/// A permanent error, with one sentence that says what is wrong with the file.
pub(crate) fn prepare(
    bytes: &[u8],
    settings: &DpLora,
    model: &ModelConfig,
    tokenizers: Tokenizers<'_>,
    table: Option<&NeighbourTable>,
) -> Result<Prepared, SliceError> {
    let tokenizer = tokenizers.plain;
    let (unit, sequences, manifest) = if bytes.starts_with(TOKENS_MAGIC) {
        let (manifest, sequences) = perturbed(bytes, tokenizer)?;
        let sequences = sequences.into_iter().map(Sequence::text).collect();
        (manifest.record_unit, sequences, Some(manifest))
    } else {
        let sequences = plain(bytes, settings.privacy_unit, tokenizers)
            .map_err(|error| permanent(Subject::TrainingFile, error))?;
        (settings.privacy_unit, sequences, None)
    };
    // Both are validated to fit 32 bits, and usize is no smaller here.
    let max_length = crate::config::max_length(settings, model.max_position_embeddings);
    let max_chunks = settings.max_chunks_per_record as usize;
    let options = RecordOptions::for_model(model, unit, max_length, max_chunks);
    let records = Records::from_labelled(&sequences, &options)
        .map_err(|error| permanent(Subject::TrainingFile, error))?;
    let records = crate::config::with_channel(records, manifest.as_ref(), tokenizer, table, model.vocab_size)
        .map_err(|error| permanent(Subject::TrainingFile, error))?;
    let predicted_tokens = records.iter().map(|record| record.predicted_tokens() as u64).sum();
    Ok(Prepared { records, manifest, predicted_tokens })
}

fn perturbed(bytes: &[u8], tokenizer: &Tokenizer) -> Result<(Manifest, Vec<Vec<u32>>), SliceError> {
    let (manifest, records) = tokens::read(bytes).map_err(|error| permanent(Subject::TrainingFile, error))?;
    let domain = tokenizer.domain();
    let other = manifest.tokenizer_sha256 != tokenizer.sha256() || manifest.domain_sha256 != domain.sha256();
    if manifest.channel_unit == ChannelUnit::Token && other {
        return Err(permanent(
            Subject::TrainingFile,
            "the file was perturbed with another model's tokenizer: perturb the text again with the model that is to be trained",
        ));
    }
    let encode =
        |text: String| tokenizer.encode(&text).map_err(|error| permanent(Subject::TrainingFile, error));
    Ok((manifest, records.into_token_ids(encode)?))
}

fn plain(
    bytes: &[u8],
    unit: PrivacyUnit,
    tokenizers: Tokenizers<'_>,
) -> Result<Vec<Sequence<'static>>, DataError> {
    // Only JSON records can be chats, so a template that cannot be read is in nobody else's way.
    let chat = match unit {
        PrivacyUnit::JsonRecord => tokenizers.chat.as_ref().map_err(Clone::clone)?.as_ref(),
        _ => None,
    };
    finetune::chat::text_sequences(bytes, unit, tokenizers.plain, chat)
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
