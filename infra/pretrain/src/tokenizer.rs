//! The demo model's tokenizer: byte-level BPE trained from scratch.
//!
//! GPT-2's scheme (bytes shown as printable characters, words split by its pattern, no prefix space), so that every
//! tool that reads Hugging Face's `tokenizer.json` can use it. Token 0 separates documents and is both the first and
//! the last token of a text; the 256 single bytes follow, so nothing is ever unknown.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// The document separator, token 0.
pub(crate) const END_OF_TEXT: &str = "<|endoftext|>";
/// Its id.
pub(crate) const END_OF_TEXT_ID: u16 = 0;

/// Learns `vocab_size` tokens (separator and bytes included) from the texts.
///
/// # Errors
/// If the texts are too few to yield that many tokens.
pub(crate) fn train<'a>(texts: impl Iterator<Item = &'a str> + Send, vocab_size: usize) -> Result<Tokenizer> {
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(byte_level)).with_decoder(Some(byte_level));
    // trim_offsets = false: a token's span includes its leading space, as in GPT-2.
    tokenizer.with_post_processor(Some(ByteLevel::new(false, false, true)));
    let trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(END_OF_TEXT, true)])
        .show_progress(false)
        .build();
    tokenizer
        .train(&mut TrainerWrapper::from(trainer), texts)
        .map_err(|e| anyhow!("tokenizer training: {e}"))?;
    let size = tokenizer.get_vocab_size(true);
    ensure!(size == vocab_size, "the corpus yields only {size} of {vocab_size} tokens; use a larger corpus");
    ensure!(
        tokenizer.token_to_id(END_OF_TEXT) == Some(u32::from(END_OF_TEXT_ID)),
        "the separator is not token 0"
    );
    Ok(tokenizer)
}

/// Writes `tokenizer.json` and the two files Hugging Face tools read beside it.
pub(crate) fn save(tokenizer: &Tokenizer, folder: &Path, max_length: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    tokenizer
        .save(folder.join("tokenizer.json"), true)
        .map_err(|e| anyhow!("cannot write tokenizer.json: {e}"))?;
    let special = json!({ "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT, "pad_token": END_OF_TEXT });
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": false,
        "add_prefix_space": false,
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "added_tokens_decoder": { "0": {
            "content": END_OF_TEXT, "lstrip": false, "normalized": false, "rstrip": false,
            "single_word": false, "special": true,
        } },
    });
    fs::write(folder.join("special_tokens_map.json"), serde_json::to_string_pretty(&special)? + "\n")?;
    fs::write(folder.join("tokenizer_config.json"), serde_json::to_string_pretty(&config)? + "\n")?;
    Ok(())
}

/// Reads a folder's `tokenizer.json`.
pub(crate) fn load(folder: &Path) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    Tokenizer::from_file(&path)
        .map_err(|e| anyhow!("{e}"))
        .with_context(|| format!("cannot read {}; make it with `pretrain tokenizer`", path.display()))
}

/// Token ids of a text, without separator.
pub(crate) fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u16>> {
    let encoding = tokenizer.encode_fast(text, false).map_err(|e| anyhow!("cannot tokenize: {e}"))?;
    encoding.get_ids().iter().map(|&id| u16::try_from(id).context("token id beyond 65,535")).collect()
}

/// Bytes of text behind each token id; the separator has none.
pub(crate) fn byte_lengths(tokenizer: &Tokenizer) -> Vec<u32> {
    let length = |id: u32| match tokenizer.id_to_token(id) {
        // Byte-level tokens show each byte as one character.
        Some(token) if token != END_OF_TEXT => token.chars().count() as u32,
        _ => 0,
    };
    (0..tokenizer.get_vocab_size(true) as u32).map(length).collect()
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
