use super::*;
use crate::fixtures::{certificate, local_guarantee};

fn key() -> CertificateKey {
    CertificateKey::from_bytes(std::array::from_fn(|i| i as u8))
}

#[test]
fn a_signed_certificate_is_believed_and_keeps_its_content() {
    for plain in [certificate(None), certificate(Some(local_guarantee()))] {
        let text = key().sign(&plain);
        assert_eq!(check(&text), Ok(key().public_key()));
        let read: Certificate = serde_json::from_str(&text).unwrap();
        assert_eq!(Certificate { signature: None, ..read }, plain);
    }
}

#[test]
fn the_key_is_ed25519s_own() {
    // RFC 8032, section 7.1, test 1.
    let secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let key = CertificateKey::from_hex(secret).unwrap();
    assert_eq!((key.public_key().as_str(), key.to_hex().as_str()), (public, secret));
    assert_eq!(format!("{key:?}"), "CertificateKey(..)");
    for bad in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
        assert_eq!(CertificateKey::from_hex(bad).err(), Some(SignatureError::Key));
    }
}

#[test]
fn every_change_of_a_byte_is_noticed() {
    let text = key().sign(&certificate(Some(local_guarantee())));
    let mut believed = 0;
    for (index, byte) in text.bytes().enumerate() {
        let mut bytes = text.clone().into_bytes();
        // Stays ASCII, and differs.
        bytes[index] = if byte == b'1' { b'2' } else { b'1' };
        believed += usize::from(check(&String::from_utf8(bytes).unwrap()).is_ok());
    }
    assert_eq!(believed, 0);
    assert_eq!(check(&text.replace("  ", " ")), Err(SignatureError::Wrong), "white space is signed too");
}

#[test]
fn another_key_and_no_signature_are_told_apart() {
    let text = key().sign(&certificate(None));
    let other = CertificateKey::from_bytes([9; 32]);
    let forged = text.replace(&key().public_key(), &other.public_key());
    assert_eq!(check(&forged), Err(SignatureError::Wrong));
    assert_eq!(check(&super::text(&certificate(None))), Err(SignatureError::Unsigned));
    assert_eq!(check("{}"), Err(SignatureError::NotACertificate));
    assert_eq!(check(&text.replace("Ed25519", "none")), Err(SignatureError::Malformed));
}

#[test]
fn a_signature_that_stands_twice_is_refused() {
    let mut signed = certificate(None);
    let text = key().sign(&signed);
    let value = serde_json::from_str::<Certificate>(&text).unwrap().signature.unwrap().value;
    signed.code_version = value;
    let text = text.replace("\"0.1.0\"", &format!("\"{}\"", signed.code_version));
    assert_eq!(check(&text), Err(SignatureError::Malformed));
}
