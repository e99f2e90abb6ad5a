use super::*;
use crate::fixtures::{TinyModel, random_records, seed};
use crate::train::{Privacy, TrainingConfig};
use dp::ShardCount;

const STEP: u64 = 5;

fn identity(seed_byte: u8) -> Identity {
    let config = TrainingConfig::new(Privacy::NonPrivate { batch_size: 2, steps: 9 });
    Identity::new(TinyModel::new().load().sha256(), &random_records(5, 16), &config, &seed(seed_byte))
}

fn origin() -> Origin {
    Origin::new(&[0.5, -1.0], &identity(1))
}

fn shard(loss: Option<i64>) -> NoisyShard {
    let id = ShardId { step: STEP, index: 1, count: ShardCount::try_from(3).unwrap() };
    NoisyShard { id, gradient: vec![0, 1, -1, i64::MAX, i64::MIN], loss }
}

fn refused(bytes: &[u8], step: u64, origin: &Origin) -> TrainError {
    read(bytes, step, origin).unwrap_err()
}

#[test]
fn a_shard_is_read_back_as_it_was_written() {
    for loss in [None, Some(0), Some(-7_000_000_000)] {
        let bytes = write(&shard(loss), &origin());
        assert_eq!(read(&bytes, STEP, &origin()).unwrap(), shard(loss));
        assert_eq!(id(&bytes, STEP, &origin()).unwrap(), shard(loss).id);
        assert_eq!(write(&shard(loss), &origin()), bytes);
    }
}

#[test]
fn a_shard_of_another_run_or_state_is_named() {
    let bytes = write(&shard(None), &origin());
    let mismatch = |step, origin: &Origin| match refused(&bytes, step, origin) {
        TrainError::ShardMismatch(what) => what,
        other => panic!("{other}"),
    };
    for step in [STEP, STEP + 1] {
        assert_eq!(mismatch(step, &Origin::new(&[0.5, -1.0], &identity(2))), "secret seed");
    }
    let later = Origin::new(&[0.5, -1.1], &identity(1));
    assert_eq!(mismatch(STEP, &later), "state of the run before the step");
    // After the step the values are others; that it is another step is what the plan says.
    assert_eq!(read(&bytes, STEP + 1, &later).unwrap(), shard(None));
    let metadata = Metadata { version: VERSION + 1, shard: shard(None).id, origin: origin() };
    let newer = container::write(&[], METADATA_KEY, &metadata);
    let found = refused(&newer, STEP, &origin());
    assert!(matches!(found, TrainError::ShardMismatch("version of this program")), "{found}");
}

#[test]
fn damaged_files_are_refused() {
    let corrupt = |bytes: &[u8]| {
        let error = refused(bytes, STEP, &origin());
        assert!(matches!(error, TrainError::CorruptShard(_)), "{error}");
    };
    let bytes = write(&shard(Some(3)), &origin());
    for cut in [0, 4, 8, 60, bytes.len() - 41, bytes.len() - 1] {
        corrupt(&bytes[..cut]);
    }
    let metadata = |shard: ShardId| Metadata { version: VERSION, shard, origin: origin() };
    let tensor = |name, dtype, bytes: usize| Tensor { name, dtype, bytes: vec![0; bytes] };
    for tensors in [
        vec![],
        vec![tensor(LOSS, Dtype::I64, 8)],
        vec![tensor(GRADIENT, Dtype::F64, 40)],
        vec![tensor(GRADIENT, Dtype::I64, 40), tensor(LOSS, Dtype::I64, 16)],
        vec![tensor(GRADIENT, Dtype::I64, 40), tensor(LOSS, Dtype::I64, 0)],
        vec![tensor(GRADIENT, Dtype::I64, 40), tensor(LOSS, Dtype::U64, 8)],
    ] {
        corrupt(&container::write(&tensors, METADATA_KEY, &metadata(shard(None).id)));
    }
    corrupt(&container::write(&[tensor(GRADIENT, Dtype::I64, 40)], "checkpoint", &metadata(shard(None).id)));
    let none = serde_json::json!({"version": 1, "shard": {"step": 5, "index": 0, "count": 0}});
    corrupt(&container::write(&[tensor(GRADIENT, Dtype::I64, 40)], METADATA_KEY, &none));
    corrupt(&TinyModel::new().files().weights.remove(0).1);
}
