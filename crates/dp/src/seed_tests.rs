use rand::Rng as _;

use super::*;

const PURPOSES: [Purpose; 7] = [
    Purpose::PoissonSampling,
    Purpose::GradientNoise,
    Purpose::AdapterInit,
    Purpose::Perturbation,
    Purpose::LossNoise,
    Purpose::ShardGradientNoise,
    Purpose::ShardLossNoise,
];

fn seed() -> SecretSeed {
    SecretSeed::from_bytes(std::array::from_fn(|i| i as u8))
}

#[test]
fn streams_are_those_of_the_documented_derivation() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../goldens/streams.json")).unwrap();
    assert_eq!(golden["first_u64"].as_array().unwrap().len(), PURPOSES.len());
    for (purpose, expected) in PURPOSES.into_iter().zip(golden["first_u64"].as_array().unwrap()) {
        assert_eq!(u64::from(purpose.tag()), expected[0].as_u64().unwrap());
        assert_eq!(seed().stream(purpose, 3).next_u64(), expected[1].as_u64().unwrap());
    }
}

#[test]
fn every_purpose_step_and_seed_has_its_own_stream_and_can_be_replayed() {
    let mut seen = std::collections::HashSet::new();
    let other = SecretSeed::from_bytes([9; 32]);
    for purpose in PURPOSES {
        for step in [0, 1, 255, 256, u64::MAX] {
            for seed in [&seed(), &other] {
                let first = seed.stream(purpose, step).next_u64();
                assert_eq!(first, seed.clone().stream(purpose, step).next_u64());
                assert!(seen.insert(first), "{purpose:?} at step {step} repeats another stream");
            }
        }
    }
}

#[test]
fn debug_shows_nothing_of_the_seed() {
    assert_eq!(format!("{:?}", seed()), "SecretSeed(..)");
    assert_eq!(format!("{:#?}", seed()), "SecretSeed(..)");
}

#[test]
fn private_state_holds_the_seed_as_hexadecimal() {
    let text = serde_json::to_string(&seed()).unwrap();
    assert_eq!(text, "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"");
    assert!(serde_json::from_str::<SecretSeed>(&text).unwrap() == seed());
}

#[test]
fn a_wrong_seed_is_refused_without_repeating_it() {
    for bad in ["", "abc", &"00".repeat(31), &"00".repeat(33), &"zz".repeat(32)] {
        let message = serde_json::from_str::<SecretSeed>(&format!("{bad:?}")).unwrap_err().to_string();
        assert!(message.contains("64 hexadecimal digits"), "{message}");
        assert!(bad.is_empty() || !message.contains(bad), "{message}");
    }
}
