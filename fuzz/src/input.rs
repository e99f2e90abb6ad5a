//! From the fuzzer's bytes to a file whose digests and lengths are right.

use perturb::Sha256Digest;
use serde_json::{Map, Value};

/// Between the parts of an input: a byte that UTF-8 never has.
pub const SEPARATOR: u8 = 0xFF;

/// The parts of an input; the last one may hold separators, missing ones are empty.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut pieces = input.splitn(N, |byte| *byte == SEPARATOR);
    std::array::from_fn(|_| pieces.next().unwrap_or_default())
}

/// An input of these parts.
pub fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&SEPARATOR)
}

/// The first byte, which chooses among variants, and the rest.
pub fn choice(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (*first, rest))
}

/// `head`, the fuzzer's bytes, and the SHA-256 of both, as our tables and token files have it.
pub fn sealed(head: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = [head, body].concat();
    let digest = Sha256Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// A safetensors file of this header and data, with the header's right length in front.
pub fn safetensors(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// Header and data of a safetensors file that one of our writers made.
pub fn header_and_data(file: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = file.split_first_chunk::<8>().expect("a safetensors file begins with a length");
    rest.split_at(u64::from_le_bytes(*length) as usize)
}

/// `base` with the fuzzer's JSON merged in (RFC 7396); the fuzzer's bytes themselves where they are no JSON object. So a
/// change of a few bytes reaches any place of a large file.
pub fn merged(base: &Value, patch: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<Map<String, Value>>(patch) {
        Ok(patch) => {
            let mut value = base.clone();
            merge(&mut value, Value::Object(patch));
            value.to_string().into_bytes()
        }
        Err(_) => patch.to_vec(),
    }
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            object.remove(&key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
