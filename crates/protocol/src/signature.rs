//! Ed25519 signatures (RFC 8032) inside `privacy.json`.
//!
//! What is signed is the file's own text, so that anyone can check it with a text editor's means, in any language, without agreeing on a
//! canonical form of JSON first:
//!
//! ```text
//! message   = "dpft-certificate-v2\n" ‖ the file's text without the 128 digits of signature.value
//! signature = Ed25519(message)
//! ```
//!
//! The key is in the file as well, which proves nothing by itself: whoever checks must know from elsewhere whose key it is.

use crate::certificate::Certificate;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// The one algorithm.
pub const ALGORITHM: &str = "Ed25519";

/// Keeps a signature of something else from ever being one of a certificate.
const DOMAIN: &[u8] = b"dpft-certificate-v2\n";

/// The last part of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Always [`ALGORITHM`].
    pub algorithm: String,
    /// The signer's public key, 64 hexadecimal digits.
    pub public_key: String,
    /// The signature, 128 hexadecimal digits.
    pub value: String,
}

/// Why a signature cannot be believed, or a key cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The text is no certificate of this version.
    #[error("this is not a certificate that this version can read")]
    NotACertificate,
    /// Nobody signed it.
    #[error("nobody has signed this certificate")]
    Unsigned,
    /// An algorithm that is not known here, or a key or signature that is none.
    #[error("the signature or its key is malformed")]
    Malformed,
    /// The text is not what was signed.
    #[error(
        "the signature does not fit: the certificate was changed after it was signed, or was never signed by this key"
    )]
    Wrong,
    /// A key's text that is not 64 hexadecimal digits. It is not repeated.
    #[error("a key is 64 hexadecimal digits")]
    Key,
}

/// The secret half of a key. Its `Debug` shows nothing, and it is wiped when dropped.
#[derive(Clone)]
pub struct CertificateKey(SigningKey);

impl CertificateKey {
    /// Takes 32 bytes that the operating system's generator drew.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(SigningKey::from_bytes(&bytes))
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`SignatureError::Key`], without the text.
    pub fn from_hex(text: &str) -> Result<Self, SignatureError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| SignatureError::Key)?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// The secret as text, to be stored where only the signer can read it.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_bytes()))
    }

    /// The public half, 64 hexadecimal digits.
    pub fn public_key(&self) -> String {
        hex::encode(self.0.verifying_key().as_bytes())
    }

    /// The signed certificate as the text of `privacy.json`.
    pub fn sign(&self, certificate: &Certificate) -> String {
        let (algorithm, public_key) = (ALGORITHM.to_owned(), self.public_key());
        let signature = Signature { algorithm, public_key, value: String::new() };
        let mut signed = Certificate { signature: Some(signature), ..certificate.clone() };
        let value = hex::encode(self.0.sign(&message(&text(&signed))).to_bytes());
        if let Some(signature) = &mut signed.signature {
            signature.value = value;
        }
        text(&signed)
    }
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey(..)")
    }
}

/// A certificate as the text of `privacy.json`.
pub fn text(certificate: &Certificate) -> String {
    // A struct of finite numbers, strings and maps with string keys always serialises.
    serde_json::to_string_pretty(certificate).expect("a certificate is plain data")
}

/// Checks that `text`, as it stands, was signed by the key that it names, and returns that key (64 hexadecimal digits).
///
/// # Errors
/// A [`SignatureError`].
pub fn check(text: &str) -> Result<String, SignatureError> {
    let certificate: Certificate = serde_json::from_str(text).map_err(|_| SignatureError::NotACertificate)?;
    let signature = certificate.signature.ok_or(SignatureError::Unsigned)?;
    let mut value = [0; 64];
    let mut key = [0; 32];
    let decoded = hex::decode_to_slice(&signature.value, &mut value)
        .and_then(|()| hex::decode_to_slice(&signature.public_key, &mut key));
    let key = VerifyingKey::from_bytes(&key).map_err(|_| SignatureError::Malformed)?;
    // Twice in the text, and nobody could say which of the two was left out when it was signed.
    let once = text.matches(signature.value.as_str()).count() == 1;
    if decoded.is_err() || signature.algorithm != ALGORITHM || !once {
        return Err(SignatureError::Malformed);
    }
    let signed = message(&text.replacen(signature.value.as_str(), "", 1));
    let value = ed25519_dalek::Signature::from_bytes(&value);
    // Strict: keys of small order and signatures with more than one form are refused.
    key.verify_strict(&signed, &value).map_err(|_| SignatureError::Wrong)?;
    Ok(signature.public_key)
}

fn message(text: &str) -> Vec<u8> {
    [DOMAIN, text.as_bytes()].concat()
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
