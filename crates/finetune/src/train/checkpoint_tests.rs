use super::*;
use crate::fixtures::{TinyModel, random, random_records, seed};
use crate::train::Privacy;
use serde_json::json;

fn config() -> TrainingConfig {
    TrainingConfig::new(Privacy::NonPrivate { batch_size: 2, steps: 9 })
}

fn identity() -> Identity {
    Identity::new(TinyModel::new().load().sha256(), &random_records(5, 16), &config(), &seed(1))
}

fn state_of(optimizer: Optimizer) -> State {
    let mut seed = 0;
    let vector = |_| {
        seed += 1;
        Ok::<_, TrainError>(random(seed, 40, 1.0))
    };
    State::read(optimizer, 7, vector).unwrap()
}

fn state() -> State {
    state_of(Optimizer::AdamW)
}

fn read(bytes: &[u8], identity: &Identity, length: usize) -> Result<State, TrainError> {
    super::read(bytes, identity, Optimizer::AdamW, length)
}

fn mismatch(other: &Identity) -> &'static str {
    match read(&write(&state(), &identity()), other, 40) {
        Err(TrainError::CheckpointMismatch(what)) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_is_read_back_bit_for_bit() {
    let bytes = write(&state(), &identity());
    assert_eq!(read(&bytes, &identity(), 40).unwrap(), state());
    assert_eq!(write(&read(&bytes, &identity(), 40).unwrap(), &identity()), bytes);
}

#[test]
fn a_checkpoint_holds_what_its_optimiser_needs() {
    for (optimizer, tensors) in [
        (Optimizer::AdamW, vec!["first_moment", "parameters", "second_moment"]),
        (Optimizer::Sgd { momentum: 0.9 }, vec!["momentum_buffer", "parameters"]),
        (Optimizer::Sgd { momentum: 0.0 }, vec!["parameters"]),
    ] {
        let bytes = write(&state_of(optimizer), &identity());
        let mut names: Vec<String> =
            SafeTensors::deserialize(&bytes).unwrap().names().into_iter().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, tensors);
        assert_eq!(super::read(&bytes, &identity(), optimizer, 40).unwrap(), state_of(optimizer));
    }
    let bytes = write(&state_of(Optimizer::Sgd { momentum: 0.9 }), &identity());
    assert!(matches!(read(&bytes, &identity(), 40), Err(TrainError::CorruptCheckpoint(_))));
}

/// What a checkpoint of the first version said of its run must read like today's, or no job of then could go on.
#[test]
fn settings_with_their_defaults_have_the_text_of_the_first_version() {
    let text = config_json(&config());
    for later in ["optimizer", "clipping", "precision", "use_rslora"] {
        assert!(!text.contains(later), "{text}");
    }
    let changed = TrainingConfig { clipping: dp::Clipping::Auto, ..config() };
    assert!(config_json(&changed).contains("\"clipping\":\"auto\""));
    assert!(!serde_json::to_string(&identity()).unwrap().contains("start_sha256"));
}

#[test]
fn each_difference_is_named() {
    let model = TinyModel::new().load().sha256();
    let records = random_records(5, 16);
    let other_model = TinyModel::with(&json!({"rms_norm_eps": 1e-4})).load().sha256();
    assert_eq!(mismatch(&Identity::new(other_model, &records, &config(), &seed(1))), "model");
    assert_eq!(
        mismatch(&Identity::new(model.clone(), &random_records(6, 16), &config(), &seed(1))),
        "data file"
    );
    let other_config = TrainingConfig { weight_decay: 0.1, ..config() };
    assert_eq!(mismatch(&Identity::new(model.clone(), &records, &other_config, &seed(1))), "configuration");
    assert_eq!(mismatch(&Identity::new(model.clone(), &records, &config(), &seed(2))), "secret seed");
}

#[test]
fn the_number_of_threads_may_differ() {
    let config = TrainingConfig { threads: 8, ..config() };
    let other = Identity::new(TinyModel::new().load().sha256(), &random_records(5, 16), &config, &seed(1));
    assert_eq!(other, identity());
}

#[test]
fn the_seed_is_not_in_the_checkpoint() {
    let bytes = write(&state(), &identity());
    let text = String::from_utf8_lossy(&bytes);
    assert!(!bytes.windows(32).any(|window| window == [1u8; 32]));
    assert!(!text.contains(&"01".repeat(32)));
    // Nor the stream that the check is made of.
    let mut stream = [0; 32];
    seed(1).stream(Purpose::AdapterInit, SEED_CHECK_STEP).fill_bytes(&mut stream);
    assert!(!text.contains(&crate::hex(&stream)));
}

#[test]
fn damaged_checkpoints_are_refused() {
    let bytes = write(&state(), &identity());
    let corrupt = |bytes: &[u8], length| {
        let error = read(bytes, &identity(), length).unwrap_err();
        assert!(matches!(error, TrainError::CorruptCheckpoint(_)), "{error}");
    };
    for cut in [0, 4, 8, 60, bytes.len() - 481, bytes.len() - 1] {
        corrupt(&bytes[..cut], 40);
    }
    corrupt(&bytes, 41);
    let mut not_finite = state();
    not_finite.parameters[3] = f32::NAN;
    corrupt(&write(&not_finite, &identity()), 40);
    let model = TinyModel::new().files().weights.remove(0).1;
    corrupt(&model, 40);
}
