//! `privacy.json`: the certificate, its signature, and their verification.

use std::sync::LazyLock;

use protocol::certificate::Certificate;
use protocol::signature::{self, Signature};
use protocol::verify::{Verification, verify};
use serde_json::Value;

use crate::check::shown;
use crate::fixtures::{certificate, key};
use crate::input::{choice, merged};
use crate::memory::bounded;

/// A certificate as its signer wrote it.
static SIGNED: LazyLock<String> = LazyLock::new(|| key().sign(&certificate()));

/// The first byte chooses: text that a stranger changed, or a certificate that its signer filled with the JSON
/// behind it.
pub fn run(input: &[u8]) {
    let (choice, rest) = choice(input);
    if choice & 1 == 0 {
        changed(&String::from_utf8_lossy(rest));
    } else {
        signed(rest);
    }
}

/// Any text: a signature fits it only if it is, but for the signature's own digits, a text that was signed.
fn changed(text: &str) {
    let found = bounded(text.len(), || shown(verify(text)));
    let Some(key) = shown(signature::check(text)) else { return };
    assert_eq!(found.map(|found| found.signed_by), Some(Ok(key.clone())));
    if key.eq_ignore_ascii_case(&crate::fixtures::key().public_key()) {
        assert_eq!(unsigned(text), unsigned(&SIGNED), "a signature fits a text that nobody signed");
    }
}

fn unsigned(text: &str) -> String {
    let certificate: Certificate = serde_json::from_str(text).expect("a certificate that was read");
    let value = certificate.signature.map_or(String::new(), |Signature { value, .. }| value);
    text.replacen(&value, "", 1)
}

/// Any certificate: its signature holds, and a figure that is too good is found.
fn signed(patch: &[u8]) {
    let base: Value = serde_json::from_str(&signature::text(&certificate())).expect("our own text");
    let text = merged(&base, patch);
    let Ok(certificate) = serde_json::from_slice::<Certificate>(&text) else { return };
    let text = key().sign(&certificate);
    let found = bounded(text.len(), || shown(verify(&text)));
    let Some(Verification { signed_by, epsilon, problems, .. }) = found else {
        panic!("what was signed cannot be read: {text}");
    };
    assert_eq!(signed_by, Ok(key().public_key()), "{text}");
    for problem in &problems {
        shown(Err::<(), _>(problem));
    }
    if let (Some(epsilon), true) = (epsilon, problems.is_empty()) {
        assert!(certificate.training.epsilon >= epsilon * (1.0 - 1e-6), "an epsilon that is too good passed");
    }
}
