//! `tokenizer.json`, and a text that it is given.

use perturb::{TemplateTokenizer, Tokenizer};
use serde_json::Value;
use std::sync::LazyLock;

use crate::check::shown;
use crate::fixtures::{byte_fallback, byte_level};
use crate::input::{choice, merged, parts};
use crate::memory::bounded;

static BASES: LazyLock<[Value; 2]> = LazyLock::new(|| [byte_level(), byte_fallback()]);

/// The first byte chooses a tokenizer, which the JSON behind it is merged into; behind a separator stands the text.
pub fn run(input: &[u8]) {
    let (choice, rest) = choice(input);
    let [patch, text] = parts(rest);
    let file = merged(&BASES[usize::from(choice & 1)], patch);
    let text = String::from_utf8_lossy(text);
    let length = file.len() + text.len();
    if let Some(tokenizer) = bounded(length, || shown(Tokenizer::from_bytes(&file))) {
        let domain = tokenizer.domain();
        if let Some(ids) = bounded(length, || shown(tokenizer.encode(&text))) {
            assert!(ids.iter().all(|&id| domain.index(id).is_some()), "a text has ids of the domain alone");
            tokenizer.decode(&ids);
        }
    }
    if let Some(tokenizer) = bounded(length, || shown(TemplateTokenizer::from_bytes(&file)))
        && let Some(tokens) = bounded(length, || shown(tokenizer.encode(&text)))
    {
        let inside = |at: &std::ops::Range<usize>| at.start <= at.end && at.end <= text.len();
        assert!(tokens.iter().all(|(_, at)| inside(at)), "a token stands for bytes of the text");
    }
}
