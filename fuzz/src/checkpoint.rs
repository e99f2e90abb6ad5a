//! A training run's checkpoint.

use std::sync::{Arc, LazyLock};

use dp::{PrivacyUnit, SecretSeed};
use finetune::{BaseModel, LoraConfig, Privacy, RecordOptions, Records, Trainer, TrainingConfig};

use crate::check::shown;
use crate::fixtures::model_files;
use crate::input::{parts, safetensors};
use crate::memory::bounded;

/// Steps of the run.
const STEPS: u64 = 2;

struct Run {
    model: Arc<BaseModel>,
    records: Records,
    config: TrainingConfig,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let model = Arc::new(BaseModel::load(&model_files()).expect("the tiny model is whole"));
    let options = RecordOptions::for_model(model.config(), PrivacyUnit::Line, 8, 1);
    let records = Records::from_sequences(&[vec![3, 4, 5], vec![6, 7]], &options).expect("two records");
    let lora = LoraConfig { rank: 1, target_modules: vec!["q_proj".to_owned()], ..LoraConfig::default() };
    let config = TrainingConfig {
        lora,
        max_length: 8,
        ..TrainingConfig::new(Privacy::NonPrivate { batch_size: 2, steps: STEPS })
    };
    Run { model, records, config }
});

fn seed() -> SecretSeed {
    SecretSeed::from_bytes([3; 32])
}

/// The run at its beginning.
pub fn begun() -> Trainer {
    let Run { model, records, config } = &*RUN;
    Trainer::new(model.clone(), records.clone(), config.clone(), seed())
        .expect("the run's settings are valid")
}

fn resume(bytes: &[u8]) -> Option<Trainer> {
    let Run { model, records, config } = &*RUN;
    shown(Trainer::resume(model.clone(), records.clone(), config.clone(), seed(), bytes))
}

/// The input is the file's header and, behind a separator, its data; the header's length is put in front.
pub fn run(input: &[u8]) {
    LazyLock::force(&RUN);
    let [header, data] = parts(input);
    let file = safetensors(header, data);
    let Some(run) = bounded(file.len(), || resume(&file)) else { return };
    assert!(run.completed_steps() <= STEPS, "no run is beyond its last step");
    let written = run.checkpoint();
    let again = resume(&written).expect("what was written is read");
    assert_eq!(again.checkpoint(), written, "a checkpoint is written as it was read");
}
