use kernels::Isa;
use proptest::prelude::*;

use super::*;
use crate::fixtures::families::{Golden, goldens};
use crate::fixtures::{TinyModel, options, random};
use crate::gradient::CandleEngine;
use crate::lora::{ALL_LINEAR, LoraConfig};
use crate::model::{BaseModel, ModelFiles};
use crate::records::Records;

const POSITIONS: usize = 80;

/// One small model of each family, whose weights lie in one file.
fn families() -> Vec<Golden> {
    goldens().into_iter().filter(|golden| !golden.name.ends_with("_sharded")).collect()
}

fn files(family: &str) -> ModelFiles {
    goldens().into_iter().find(|golden| golden.name == family).unwrap().files()
}

fn formats() -> Vec<Format> {
    Isa::available().into_iter().map(|isa| Format { isa, bf16: false }).collect()
}

fn pack(files: &ModelFiles, format: Format) -> Arc<PackedModel> {
    Arc::new(PackedModel::load(files, format, Use::Training, 2).unwrap())
}

/// An adapter on `modules` with no zeros: at B = 0 the gradient of A vanishes and would hide mistakes.
fn adapter(files: &ModelFiles, modules: &[&str]) -> (LoraLayout, f64, Vec<f32>) {
    let target_modules = modules.iter().map(|&name| name.into()).collect();
    let lora = LoraConfig { rank: 3, alpha: 5.25, target_modules, use_rslora: false };
    let config = crate::model::ModelConfig::from_json(&files.config_json).unwrap();
    let layout = LoraLayout::new(&config, &lora).unwrap();
    let values = random(77, layout.parameters(), 0.1);
    (layout, lora.scaling(), values)
}

fn engine(model: Arc<PackedModel>, (layout, scaling, values): &(LoraLayout, f64, Vec<f32>)) -> PackedEngine {
    let mut engine = PackedEngine::new(model, layout.clone(), *scaling, POSITIONS);
    engine.set_parameters(values).unwrap();
    engine
}

fn candle(files: &ModelFiles, (layout, scaling, values): &(LoraLayout, f64, Vec<f32>)) -> CandleEngine {
    let model = Arc::new(BaseModel::load(files).unwrap());
    let mut engine = CandleEngine::new(model, layout.clone(), *scaling, POSITIONS).unwrap();
    engine.set_parameters(values).unwrap();
    engine
}

fn gradient(engine: &dyn GradientEngine, record: &Record, length: usize) -> (f64, Vec<f32>) {
    let mut gradient = vec![0.0; length];
    let loss = engine.add_record_gradient(record, &mut gradient).unwrap();
    (loss, gradient)
}

/// Both losses, and every value of both gradients in proportion to the largest, differ by at most `tolerance`.
fn assert_close(name: &str, found: &(f64, Vec<f32>), expected: &(f64, Vec<f32>), tolerance: f32) {
    let largest = expected.1.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest > 1e-4, "{name}: gradients of {largest} are too small to tell mistakes from rounding");
    assert!(
        (found.0 - expected.0).abs() <= f64::from(tolerance) * expected.0,
        "{name}: {} {}",
        found.0,
        expected.0
    );
    for (index, (f, e)) in found.1.iter().zip(&expected.1).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * largest,
            "{name}, value {index}: {f} against {e} of at most {largest}"
        );
    }
}

fn tokens(count: usize, vocabulary: usize, seed: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * 37 + seed * 101 + 11) % (vocabulary - 1) + 1) as u32).collect()
}

/// A record whose chunks have 17, 17 and 6 tokens.
fn record(files: &ModelFiles) -> Records {
    let config = crate::model::ModelConfig::from_json(&files.config_json).unwrap();
    let options = crate::records::RecordOptions {
        bos_token_id: None,
        eos_token_id: None,
        vocab_size: config.vocab_size,
        ..options(17, 4)
    };
    Records::from_sequences(&[tokens(38, config.vocab_size, 1)], &options).unwrap()
}

#[test]
fn every_familys_gradient_is_that_of_candles_graph() {
    for family in families() {
        let (files, all, family) = (family.files(), [ALL_LINEAR], family.name);
        let (adapter, records) = (adapter(&files, &all), record(&files));
        let length = adapter.2.len();
        let expected = gradient(&candle(&files, &adapter), records.get(0), length);
        for format in formats() {
            let found = gradient(&engine(pack(&files, format), &adapter), records.get(0), length);
            assert_close(&format!("{family} {format:?}"), &found, &expected, 1e-5);
            assert_eq!(
                found.1.iter().filter(|g| **g == 0.0).count(),
                0,
                "{family}: a value without a gradient"
            );
        }
    }
}

/// Against PyTorch's autograd through PEFT, for the adapter that PEFT wrote.
#[test]
fn every_familys_gradient_is_that_of_peft() {
    for golden in families() {
        let (family, values, written) = (golden.name, &golden.values, golden.adapter());
        let packed = pack(&golden.files(), Format { isa: Isa::detect(), bf16: false });
        let layout = written.layout().on(&packed.config).unwrap();
        let adapter = (layout.clone(), written.config().scaling(), written.parameters().to_vec());
        let engine = engine(packed, &adapter);
        let mut found = vec![0.0; adapter.2.len()];
        let weight = 1.0 / (values.tokens.len() - 1) as f32;
        let loss = engine.chunk(&Chunk::new(values.tokens.clone()), weight, Some(&mut found)).unwrap();
        let expected = values.adapter_loss;
        assert!((loss - expected).abs() < 1e-5 * expected, "{family}: {loss} {expected}");
        assert_eq!(values.gradients.len(), 2 * layout.entries().len());
        for entry in layout.entries() {
            for (matrix, found) in [("lora_A", layout.a(entry, &found)), ("lora_B", layout.b(entry, &found))]
            {
                let name = format!("base_model.model.{}.{matrix}.weight", layout.path(entry));
                let expected = &values.gradients[&name];
                let norm = found.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                let close = |a: f64, b: f64| (a - b).abs() < 2e-5 * expected.norm;
                assert!(close(norm, expected.norm), "{family} {name}: {norm} {}", expected.norm);
                for (found, first) in found.iter().zip(&expected.first) {
                    assert!(close(f64::from(*found), *first), "{family} {name}: {found} {first}");
                }
            }
        }
    }
}

#[test]
fn bf16_changes_a_gradient_little() {
    let Some(isa) = Isa::available().into_iter().find(|isa| isa.has_bf16()) else { return };
    for family in families() {
        let (files, family) = (family.files(), family.name);
        let (adapter, records) = (adapter(&files, &[ALL_LINEAR]), record(&files));
        let of = |bf16| {
            gradient(&engine(pack(&files, Format { isa, bf16 }), &adapter), records.get(0), adapter.2.len())
        };
        let ((loss, plain), (rounded_loss, rounded)) = (of(false), of(true));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let cosine = dot(&plain, &rounded) / (dot(&plain, &plain) * dot(&rounded, &rounded)).sqrt();
        assert!((loss - rounded_loss).abs() < 0.02 * loss, "{family}: {loss} {rounded_loss}");
        assert!(cosine > 0.99 && plain != rounded, "{family}: {cosine}");
    }
}

/// No gradient is computed below the lowest adapter, and what is computed is the same.
#[test]
fn an_adapter_of_any_module_has_its_gradient() {
    for (family, modules) in [
        ("llama3", ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].as_slice()),
        ("gpt2", &["attn.c_proj", "c_fc"]),
        ("phi3", &["gate_up_proj"]),
    ] {
        let files = files(family);
        for module in modules {
            let (adapter, records) = (adapter(&files, &[module]), record(&files));
            let expected = gradient(&candle(&files, &adapter), records.get(0), adapter.2.len());
            let found =
                gradient(&engine(pack(&files, formats()[1]), &adapter), records.get(0), adapter.2.len());
            assert_close(module, &found, &expected, 1e-5);
        }
    }
}

/// One module of one block alone: the way back stops there.
#[test]
fn an_adapter_of_one_place_has_its_gradient() {
    let files = files("llama3");
    let (whole, scaling, _) = adapter(&files, &[ALL_LINEAR]);
    let config = crate::model::ModelConfig::from_json(&files.config_json).unwrap();
    for entry in whole.entries() {
        let place = (entry.layer, entry.module, (entry.input, entry.output));
        let layout = LoraLayout::from_places(3, whole.names().clone(), [place]);
        let values = random(5, layout.parameters(), 0.1);
        let adapter = (layout, scaling, values);
        let records = record(&files);
        let expected = gradient(&candle(&files, &adapter), records.get(0), adapter.2.len());
        let found = gradient(&engine(pack(&files, formats()[1]), &adapter), records.get(0), adapter.2.len());
        assert_close(config.modules[entry.module].path, &found, &expected, 1e-5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any length, with any targets left out; and a workspace that has served other sequences changes no bit.
    #[test]
    fn any_length_and_any_targets_have_their_gradient(
        length in 2usize..75, seed in 0usize..50, kept in prop::collection::vec(any::<bool>(), 74),
        family in prop::sample::select(vec!["llama2", "gemma2", "mistral", "gpt2"]),
    ) {
        let files = files(family);
        let adapter = adapter(&files, &[ALL_LINEAR]);
        let config = crate::model::ModelConfig::from_json(&files.config_json).unwrap();
        let length = length.min(config.max_position_embeddings);
        let mut counted = kept[..length - 1].to_vec();
        counted[seed % (length - 1)] = true;
        let chunk = Chunk::labelled(tokens(length, config.vocab_size, seed), counted);
        let record = Record::new(vec![chunk]);
        let expected = gradient(&candle(&files, &adapter), &record, adapter.2.len());
        let engine = engine(pack(&files, Format { isa: Isa::detect(), bf16: false }), &adapter);
        let fresh = gradient(&engine, &record, adapter.2.len());
        assert_close(family, &fresh, &expected, 1e-5);
        let longest = Record::new(vec![Chunk::new(tokens(config.max_position_embeddings.min(75), config.vocab_size, 3))]);
        gradient(&engine, &longest, adapter.2.len());
        prop_assert_eq!(gradient(&engine, &record, adapter.2.len()), fresh);
    }
}

#[test]
fn a_loss_without_a_gradient_is_the_same_loss() {
    for family in families() {
        let files = family.files();
        let (adapter, records) = (adapter(&files, &[ALL_LINEAR]), record(&files));
        let engine = engine(pack(&files, formats()[1]), &adapter);
        for chunk in records.get(0).chunks() {
            let mut gradient = vec![0.0; adapter.2.len()];
            let with = engine.chunk(chunk, 0.5, Some(&mut gradient)).unwrap();
            assert_eq!(engine.chunk(chunk, 0.5, None).unwrap(), with);
        }
    }
}

#[test]
fn an_adapter_with_zero_b_changes_no_bit_of_the_loss() {
    for family in families() {
        let (files, family) = (family.files(), family.name);
        let (layout, scaling, mut values) = adapter(&files, &[ALL_LINEAR]);
        for entry in layout.entries() {
            values[entry.b_offset..][..entry.output * layout.rank()].fill(0.0);
        }
        let packed = pack(&files, formats()[1]);
        let records = record(&files);
        let chunk = &records.get(0).chunks()[0];
        let adapted = engine(packed.clone(), &(layout, scaling, values)).chunk(chunk, 1.0, None).unwrap();
        let base = PackedEngine::for_adapter(packed, None, POSITIONS).unwrap();
        let base = base.chunk(chunk, 1.0, None).unwrap();
        assert_eq!(adapted.to_bits(), base.to_bits(), "{family}");
    }
}

#[test]
fn a_channel_is_allowed_for_as_candles_graph_does() {
    use crate::fixtures::channel::correction;
    let files = TinyModel::new().files();
    let (adapter, records) = (adapter(&files, &[ALL_LINEAR]), record(&files));
    for context in [Context::Received, Context::PosteriorMean, Context::Denoised { passes: 2 }] {
        let channel = Arc::new(correction(300, 3.0, 3));
        let mut reference = candle(&files, &adapter).with_channel(channel.clone(), context).unwrap();
        reference.set_parameters(&adapter.2).unwrap();
        let expected = gradient(&reference, records.get(0), adapter.2.len());
        for format in formats() {
            let engine =
                engine(pack(&files, format), &adapter).with_channel(channel.clone(), context).unwrap();
            let found = gradient(&engine, records.get(0), adapter.2.len());
            assert_close(&format!("{context:?} {format:?}"), &found, &expected, 2e-5);
        }
    }
}

#[test]
fn a_sequence_beyond_the_positions_is_refused() {
    let files = files("llama2");
    let adapter = adapter(&files, &["q_proj"]);
    let engine = engine(pack(&files, formats()[0]), &adapter);
    let long = Chunk::new(vec![1; POSITIONS + 2]);
    let error = engine.chunk(&long, 1.0, None).unwrap_err();
    assert!(matches!(error, ModelError::SequenceTooLong { length: 81, limit: 80 }), "{error}");
}
