//! Every family against the logits, losses and gradients of its reference implementation, and against the f64 forward
//! pass. The values were made by `fixtures/families.py`.

use super::*;
use crate::adapter::{Adapter, merge};
use crate::fixtures::families::{Golden, goldens};
use crate::fixtures::naive::{Naive, NaiveLora};
use crate::gradient::{CandleEngine, GradientEngine};
use crate::lora::{ALL_LINEAR, LoraConfig, LoraLayout, LoraTensors};
use crate::model::architecture::Stage;
use crate::model::{BaseModel, KeyValueCache, ModelFiles};
use crate::ops::matrix::squared_norm;
use crate::records::{RecordOptions, Records};
use dp::PrivacyUnit;
use std::sync::Arc;

/// Largest difference from a logit of the reference.
const TOLERANCE: f32 = 1e-4;

fn logits(model: &BaseModel, tokens: &[u32], lora: Option<&LoraTensors>) -> Vec<f32> {
    let hidden = model.hidden_states(tokens, &model.rope_table(tokens.len()), lora, None).unwrap();
    crate::ops::read(&model.logits(&hidden).unwrap(), <[f32]>::to_vec).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

fn load(golden: &Golden) -> BaseModel {
    BaseModel::load(&golden.files()).unwrap_or_else(|error| panic!("{}: {error}", golden.name))
}

/// The tokens as one record of one chunk.
fn record(golden: &Golden) -> Records {
    let tokens = golden.values.tokens.clone();
    let options = RecordOptions {
        unit: PrivacyUnit::Line,
        max_length: tokens.len(),
        max_chunks: 1,
        bos_token_id: None,
        eos_token_id: None,
        vocab_size: golden.values.logits[0].len(),
    };
    Records::from_sequences(&[tokens], &options).unwrap()
}

fn engine(model: BaseModel, layout: &LoraLayout, scaling: f64, values: &[f32]) -> CandleEngine {
    let mut engine = CandleEngine::new(Arc::new(model), layout.clone(), scaling, 64).unwrap();
    engine.set_parameters(values).unwrap();
    engine
}

#[test]
fn every_row_of_the_table_has_goldens() {
    let found: Vec<&str> = goldens().iter().map(|golden| load(golden).config().family).collect();
    for family in ["llama", "gpt2", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3"] {
        assert!(found.contains(&family), "{family}");
    }
    assert_eq!(FAMILIES.len(), 8);
}

#[test]
fn logits_are_those_of_the_reference() {
    for golden in goldens() {
        let (model, values) = (load(&golden), &golden.values);
        let largest = largest_difference(&logits(&model, &values.tokens, None), &values.logits.concat());
        assert!(largest <= TOLERANCE, "{}: {largest}", golden.name);
    }
}

#[test]
fn an_adapter_of_peft_gives_the_logits_of_peft_and_survives_our_files() {
    for golden in goldens() {
        let (model, values, adapter) = (load(&golden), &golden.values, golden.adapter());
        let adapted =
            |adapter: &Adapter| logits(&model, &values.tokens, Some(&adapter.tensors(&model).unwrap()));
        let found = adapted(&adapter);
        let largest = largest_difference(&found, &values.adapter_logits.concat());
        assert!(largest <= TOLERANCE, "{}: {largest}", golden.name);
        let base = values.logits.concat();
        assert!(largest_difference(&found, &base) > 1e-2, "{}: it changes nothing", golden.name);

        let read = Adapter::from_files(&adapter.to_files(golden.name)).unwrap();
        assert_eq!(read, adapter, "{}", golden.name);
        assert_eq!(adapted(&read), found, "{}", golden.name);
    }
}

#[test]
fn loss_and_gradients_are_those_of_the_reference() {
    for golden in goldens() {
        let (model, adapter) = (load(&golden), golden.adapter());
        let layout = adapter.layout_on(model.config()).unwrap();
        let engine = engine(model, &layout, adapter.config().scaling(), adapter.parameters());
        let mut gradient = vec![0.0; layout.parameters()];
        let loss = engine.add_record_gradient(record(&golden).get(0), &mut gradient).unwrap();
        let expected = golden.values.adapter_loss;
        assert!((loss - expected).abs() < 1e-5 * expected, "{}: {loss} against {expected}", golden.name);

        assert_eq!(golden.values.gradients.len(), 2 * layout.entries().len());
        for entry in layout.entries() {
            for (part, found) in [("A", layout.a(entry, &gradient)), ("B", layout.b(entry, &gradient))] {
                let name = format!("base_model.model.{}.lora_{part}.weight", layout.path(entry));
                let expected = &golden.values.gradients[&name];
                let norm = squared_norm(found).sqrt();
                let close = |f: f64, e: f64| (f - e).abs() < 2e-4 * expected.norm;
                assert!(close(norm, expected.norm), "{} {name}: {norm}", golden.name);
                for (f, e) in found.iter().zip(&expected.first) {
                    assert!(close(f64::from(*f), *e), "{} {name}: {f} against {e}", golden.name);
                }
            }
        }
    }
}

/// All linear maps under an adapter, in f64 from the stored tensors: independent of the reference and of our parts.
#[test]
fn logits_and_gradients_equal_the_naive_forward_and_its_finite_differences() {
    const STEP: f64 = 1e-5;
    for golden in goldens().iter().filter(|golden| !golden.name.ends_with("_sharded")) {
        let (model, tiny) = (load(golden), golden.tiny());
        let lora =
            LoraConfig { rank: 2, alpha: 3.0, target_modules: vec![ALL_LINEAR.into()], use_rslora: true };
        let layout = LoraLayout::new(model.config(), &lora).unwrap();
        let flat = crate::fixtures::random(5, layout.parameters(), 0.2);
        let records = record(golden);
        let config = model.config().clone();
        let loss = |values: &[f64]| {
            let lora = Some(NaiveLora { layout: &layout, scaling: lora.scaling(), values });
            Naive { model: &tiny, config: config.clone(), lora }.record_loss(records.get(0).chunks())
        };
        let naive = Naive { model: &tiny, config: config.clone(), lora: None };
        let expected: Vec<f32> =
            naive.logits(&golden.values.tokens).concat().iter().map(|&z| z as f32).collect();
        let found = logits(&model, &golden.values.tokens, None);
        assert!(largest_difference(&found, &expected) < 2e-5, "{}", golden.name);

        let engine = engine(model, &layout, lora.scaling(), &flat);
        let mut gradient = vec![0.0; layout.parameters()];
        let found = engine.add_record_gradient(records.get(0), &mut gradient).unwrap();
        let mut values: Vec<f64> = flat.iter().map(|&v| f64::from(v)).collect();
        assert!((found - loss(&values)).abs() < 1e-5 * found, "{}", golden.name);
        let scale = gradient.iter().fold(0.0f32, |m, g| m.max(g.abs()));
        for entry in layout.entries() {
            for index in [entry.a_offset + entry.input / 2, entry.b_offset + 2 * (entry.output / 2) + 1] {
                let old = values[index];
                values[index] = old + STEP;
                let above = loss(&values);
                values[index] = old - STEP;
                let expected = (above - loss(&values)) / (2.0 * STEP);
                values[index] = old;
                let found = f64::from(gradient[index]);
                let close = (found - expected).abs() < 1e-5 * (f64::from(scale) + expected.abs());
                assert!(close && found != 0.0, "{} {entry:?}: {found} {expected}", golden.name);
            }
        }
    }
}

#[test]
fn an_adapter_with_zero_b_equals_the_base_bit_for_bit() {
    for golden in goldens() {
        let model = load(&golden);
        let lora = LoraConfig { target_modules: vec![ALL_LINEAR.into()], ..LoraConfig::default() };
        let layout = LoraLayout::new(model.config(), &lora).unwrap();
        let flat = layout.initialise(&mut crate::fixtures::seed(4).stream(dp::Purpose::AdapterInit, 0));
        let adapted = LoraTensors::constants(&layout, lora.scaling(), &flat).unwrap();
        let bits = |lora| -> Vec<u32> {
            logits(&model, &golden.values.tokens, lora).iter().map(|z| z.to_bits()).collect()
        };
        assert_eq!(bits(None), bits(Some(&adapted)), "{}", golden.name);
    }
}

#[test]
fn a_merged_model_equals_base_and_adapter() {
    for golden in goldens() {
        let merged = BaseModel::load(&merge(&golden.files(), &golden.adapter()).unwrap()).unwrap();
        let found = logits(&merged, &golden.values.tokens, None);
        let largest = largest_difference(&found, &golden.values.adapter_logits.concat());
        assert!(largest <= TOLERANCE, "{}: {largest}", golden.name);
    }
}

#[test]
fn a_cache_gives_the_logits_of_the_whole_sequence() {
    for golden in goldens() {
        let (model, tokens) = (load(&golden), &golden.values.tokens);
        let (table, mut cache) = (model.rope_table(tokens.len()), KeyValueCache::new(&model));
        let mut pieces = Vec::new();
        for part in [&tokens[..4], &tokens[4..5], &tokens[5..17], &tokens[17..]] {
            let hidden = model.hidden_states(part, &table, None, Some(&mut cache)).unwrap();
            pieces.extend(crate::ops::read(&model.logits(&hidden).unwrap(), <[f32]>::to_vec).unwrap());
        }
        assert!(largest_difference(&pieces, &logits(&model, tokens, None)) < 1e-5, "{}", golden.name);
    }
}

#[test]
fn the_table_says_what_the_families_make() {
    for golden in goldens() {
        let (config, tiny) = (golden.tiny().parsed(), golden.tiny());
        let family = of(&tiny.config).unwrap();
        assert_eq!(family.block, config.names.block);
        let paths: Vec<&str> = config.modules.iter().map(|module| module.path).collect();
        assert_eq!(family.modules, paths);
        assert!(config.modules.iter().all(|module| module.transposed == family.transposed));
        assert!(paths.iter().all(|path| is_target_module(path)));
        for stage in Stage::ALL {
            let (_, output) = config.stage_widths(stage);
            assert_eq!(config.stage_modules(stage).map(|(_, module)| module.output).sum::<usize>(), output);
        }
    }
    assert!(is_target_module(ALL_LINEAR));
    assert!(!is_target_module("lm_head") && !is_target_module("proj") && !is_target_module(""));
}

/// With every missing, misshapen and additional tensor of every family the error names it.
#[test]
fn every_tensor_is_asked_for() {
    for golden in goldens().iter().filter(|golden| !golden.name.ends_with("_sharded")) {
        let tiny = golden.tiny();
        let error = |files: &ModelFiles| BaseModel::load(files).err().map(|error| error.to_string());
        for name in tiny.tensors.keys().filter(|name| !name.ends_with(".attn.bias")) {
            let mut broken = tiny.clone();
            let (shape, values) = broken.tensors.remove(name).unwrap();
            assert!(error(&broken.files()).unwrap().contains(name), "{} {name}", golden.name);
            let wider = [&[1], &shape[..]].concat();
            broken.tensors.insert(name.clone(), (wider, values));
            assert!(error(&broken.files()).unwrap().contains(name), "{} {name}", golden.name);
        }
        let mut more = tiny.clone();
        more.tensors.insert("added.weight".into(), (vec![1], vec![0.5]));
        let message = error(&more.files()).unwrap();
        let known = format!("{}.N.", tiny.parsed().names.block);
        assert!(message.contains("added.weight") && message.contains(&known), "{message}");
    }
}
