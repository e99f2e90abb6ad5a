//! Chats in JSONL, written by a chat template that is the model's own.

use std::sync::LazyLock;

use dp::PrivacyUnit;
use finetune::{ChatFormat, RecordOptions, Records};
use perturb::Tokenizer;
use perturb::text::{JsonRecord, decode, json_records};

use crate::check::shown;
use crate::fixtures::{CHAT_ML, SPECIAL, byte_level, model_files};
use crate::memory::bounded;

/// A tokenizer for owners' texts and a format with its own.
static FORMAT: LazyLock<(Tokenizer, ChatFormat)> = LazyLock::new(|| {
    let tokenizer = Tokenizer::from_bytes(byte_level().to_string().as_bytes());
    let format = ChatFormat::of(&model_files(), Some(CHAT_ML)).expect("the template is plain");
    (tokenizer.expect("the tokenizer is byte-level"), format.expect("a template was given"))
});

/// The input is the file. Whatever stands in a message, only the template writes control tokens.
pub fn run(input: &[u8]) {
    let (tokenizer, format) = &*FORMAT;
    // Longer than any input, so that every record is one chunk.
    let options = RecordOptions {
        unit: PrivacyUnit::JsonRecord,
        max_length: 1 << 24,
        max_chunks: 1,
        bos_token_id: Some(0),
        eos_token_id: Some(0),
        vocab_size: 300,
    };
    let read = bounded(input.len(), || shown(Records::from_bytes(input, tokenizer, &options, Some(format))));
    let Some((records, None)) = read else { return };
    let text = decode(input).expect("a file that was read is text");
    let lines: Vec<JsonRecord> =
        json_records(text).map(|line| line.expect("a file that was read is JSONL").1).collect();
    assert_eq!(records.len(), lines.len(), "every record of the file is one of the data");
    for (record, line) in records.iter().zip(&lines) {
        let control = |&&id: &&u32| (id as usize) < SPECIAL.len();
        let found = record.chunks().iter().flat_map(|chunk| chunk.tokens()).filter(control).count();
        let expected = match line {
            JsonRecord::Chat { messages } => 2 * messages.len(),
            _ => 2,
        };
        assert_eq!(found, expected, "a message wrote a control token, or one of the template's is lost");
    }
}
