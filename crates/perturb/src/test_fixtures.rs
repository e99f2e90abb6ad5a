//! Small tokenizers, tables and generators for tests, made by code.

use std::sync::LazyLock;

use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use dp::mechanism::Region;

use crate::{Domain, Embedding, Mechanism, NeighbourTable, Perturber, Tables, Tokenizer, Vocabulary};

/// Merges of the byte-level fixture: tokens 257 and up.
const MERGES: [(&str, &str); 6] =
    [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("o", "r")];

/// A byte-level BPE tokenizer.json: id 0 is `<|endoftext|>`, 1 … 256 are the bytes in the order of their spelling, then six
/// merges, then `<think>` as an added token that is not special.
pub(crate) fn byte_level_json() -> Value {
    let mut vocabulary = serde_json::Map::new();
    vocabulary.insert("<|endoftext|>".to_owned(), json!(0));
    for (index, character) in byte_characters().into_iter().enumerate() {
        vocabulary.insert(character.to_string(), json!(index + 1));
    }
    for (index, (left, right)) in MERGES.iter().enumerate() {
        vocabulary.insert(format!("{left}{right}"), json!(257 + index));
    }
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
                    "pad_token": "<|endoftext|>"},
        "added_tokens": [added_token(0, "<|endoftext|>", true), added_token(263, "<think>", false)],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": 0.5, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                  "vocab": vocabulary, "merges": MERGES.map(|(left, right)| format!("{left} {right}"))},
    })
}

/// A SentencePiece-like tokenizer.json with byte fallback: `<unk>` 0, bytes 1 … 256, then ▁, a few letters and a merge.
pub(crate) fn byte_fallback_json() -> Value {
    let mut vocabulary = serde_json::Map::new();
    vocabulary.insert("<unk>".to_owned(), json!(0));
    for byte in 0..=255_u8 {
        vocabulary.insert(format!("<0x{byte:02X}>"), json!(u32::from(byte) + 1));
    }
    for (index, token) in ["▁", "h", "i", "▁h", "▁hi"].into_iter().enumerate() {
        vocabulary.insert(token.to_owned(), json!(257 + index));
    }
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added_token(0, "<unk>", true)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                  "vocab": vocabulary, "merges": ["▁ h", "▁h i"]},
    })
}

fn added_token(id: u32, content: &str, special: bool) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": special})
}

/// GPT-2's spelling of the bytes 0 … 255, built forwards; the crate only has the inverse.
pub(crate) fn byte_characters() -> Vec<char> {
    let mut next = 0x100;
    let printable =
        |byte: u32| (0x21..=0x7E).contains(&byte) || (0xA1..=0xFF).contains(&byte) && byte != 0xAD;
    let spelling = |byte: u32| {
        if printable(byte) {
            return byte;
        }
        next += 1;
        next - 1
    };
    (0..256).map(spelling).map(|code| char::from_u32(code).unwrap()).collect()
}

pub(crate) fn tokenizer_of(json: &Value) -> Tokenizer {
    Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap()
}

pub(crate) fn tokenizer() -> Tokenizer {
    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer_of(&byte_level_json()));
    TOKENIZER.clone()
}

/// An embedding of `rows` rows of `dim` values in [−1, 1], from a fixed seed.
pub(crate) fn embedding(rows: usize, dim: usize) -> Vec<f32> {
    use rand::Rng as _;
    let mut rng = rng(99);
    (0..rows * dim).map(|_| rng.next_u32() as i32 as f32 / i32::MAX as f32).collect()
}

pub(crate) fn table(tokenizer: &Tokenizer, columns: u32) -> NeighbourTable {
    let rows = tokenizer.domain().max_id() as usize + 1;
    NeighbourTable::build(&embedding(rows, 8), 8, tokenizer.domain(), columns).unwrap()
}

pub(crate) fn set_rr(epsilon: f64, neighbours: u32) -> Mechanism {
    Mechanism::SetRr { epsilon: epsilon.try_into().unwrap(), neighbours }
}

pub(crate) fn k_rr(epsilon: f64) -> Mechanism {
    Mechanism::KRr { epsilon: epsilon.try_into().unwrap() }
}

pub(crate) fn perturber(mechanism: Mechanism) -> Perturber {
    static TABLE: LazyLock<NeighbourTable> = LazyLock::new(|| table(&tokenizer(), 16));
    Perturber::new(tokenizer(), Some(TABLE.clone()), mechanism).unwrap()
}

/// Thirty-odd words and [`UNKNOWN`](crate::UNKNOWN).
pub(crate) fn vocabulary() -> Vocabulary {
    let words = "the of and in one to was is for as on with by he that at from his it an were are which this be two \
                 hello world nine four eight grüße";
    let counted =
        words.split_whitespace().enumerate().map(|(rank, word)| (word.to_owned(), 1000 / (rank as u64 + 1)));
    Vocabulary::new(counted, 77).unwrap()
}

/// Both tables of a domain, over vectors from a fixed seed.
pub(crate) fn tables(domain: &Domain) -> Tables {
    let (dim, rows) = (8, domain.max_id() as usize + 1);
    let embedding = Embedding::quantise(&embedding(rows, dim), dim, domain).unwrap();
    let neighbours = NeighbourTable::of(&embedding, domain, 8).unwrap();
    Tables { neighbours: Some(neighbours), embedding: Some(embedding) }
}

/// A table file with its digest made anew, so that only the change under test is wrong.
pub(crate) fn resealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    change(&mut bytes);
    crate::sealed::seal(&mut bytes);
    bytes
}

/// One mechanism of each kind that works on vectors.
pub(crate) fn vector_mechanisms() -> [Mechanism; 3] {
    let epsilon = 40.0.try_into().unwrap();
    [
        Mechanism::Exponential { epsilon },
        Mechanism::Gaussian { standard_deviation: 0.5, delta: 1e-5.try_into().unwrap(), region: Region::Box },
        Mechanism::Laplace { epsilon, region: Region::UnitBall },
    ]
}

/// A perturber of words.
pub(crate) fn word_perturber(mechanism: Mechanism) -> Perturber {
    let vocabulary = vocabulary();
    let tables = tables(vocabulary.domain());
    Perturber::new(vocabulary, tables, mechanism).unwrap()
}

pub(crate) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}
