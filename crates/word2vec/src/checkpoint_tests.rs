//! Checkpoints that are damaged, or of another run.

use proptest::prelude::*;

use super::*;
use crate::test_texts::{config, corpus, topic_text};
use crate::{Settings, Trainer};

fn trainer(settings: Settings, text: &str) -> Trainer {
    let config = config(settings);
    Trainer::new(config.clone(), corpus(text, &config)).unwrap()
}

fn checkpoint() -> Vec<u8> {
    let mut trainer = trainer(Settings::default(), &topic_text(60, false));
    trainer.run_part(500, &|_| ());
    trainer.checkpoint()
}

fn resume(settings: Settings, text: &str, bytes: &[u8]) -> Result<Trainer, Word2VecError> {
    let config = config(settings);
    Trainer::resume(config.clone(), corpus(text, &config), bytes)
}

/// The bytes with one part changed and a hash that fits.
fn forged(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = bytes[..bytes.len() - DIGEST_BYTES].to_vec();
    change(&mut body);
    let digest = Sha256::digest(&body);
    body.extend_from_slice(&digest);
    body
}

#[test]
fn checkpoints_of_other_runs_are_refused_by_what_differs() {
    let (bytes, text) = (checkpoint(), topic_text(60, false));
    let differs = |settings, text: &str| match resume(settings, text, &bytes) {
        Err(Word2VecError::CheckpointMismatch(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(differs(Settings { seed: 9, ..Settings::default() }, &text), "configuration");
    assert_eq!(differs(Settings { beta1: 0.8, ..Settings::default() }, &text), "configuration");
    assert_eq!(differs(Settings::default(), &topic_text(61, false)), "corpus");
    assert!(resume(Settings { threads: 5, ..Settings::default() }, &text, &bytes).is_ok());
}

#[test]
fn forged_checkpoints_are_refused() {
    let (bytes, text) = (checkpoint(), topic_text(60, false));
    let refused = |bytes: &[u8]| match resume(Settings::default(), &text, bytes) {
        Err(Word2VecError::CorruptCheckpoint(why)) => why,
        other => panic!("{other:?}"),
    };
    let end = bytes.len() - DIGEST_BYTES;
    assert_eq!(refused(b""), "its first bytes are wrong");
    assert_eq!(refused(&bytes[..bytes.len() / 2]), "its hash is wrong");
    assert_eq!(refused(&forged(&bytes, |body| body.truncate(end - 4))), "its rows do not fit the vocabulary");
    assert_eq!(refused(&forged(&bytes, |body| body[6..10].fill(0xff))), "its header is cut");
    assert_eq!(refused(&forged(&bytes, |body| body[12] = b'!')), "its header makes no sense");
    let row = "a row is past the run or not finite";
    assert_eq!(
        refused(&forged(&bytes, |body| body[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes()))),
        row
    );
    // The last row's step stands before its 3 · 10 values.
    assert_eq!(refused(&forged(&bytes, |body| body[end - 124..end - 120].fill(0xff))), row);
    let later = resume(Settings::default(), &text, &forged(&bytes, |body| body[4] = 2));
    assert!(matches!(later, Err(Word2VecError::CheckpointMismatch("version of this program"))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_damage_goes_unseen(place in any::<prop::sample::Index>(), flip in 1_u8..=255, cut in any::<prop::sample::Index>()) {
        let (bytes, text) = (checkpoint(), topic_text(60, false));
        let mut damaged = bytes.clone();
        damaged[place.index(bytes.len())] ^= flip;
        prop_assert!(resume(Settings::default(), &text, &damaged).is_err());
        prop_assert!(resume(Settings::default(), &text, &bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(resume(Settings::default(), &text, &bytes).is_ok());
    }
}
