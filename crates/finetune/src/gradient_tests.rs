use serde_json::json;

use super::*;
use crate::fixtures::naive::{Naive, NaiveLora};
use crate::fixtures::{TinyModel, options, random, random_records};
use crate::lora::{ALL_LINEAR, LoraConfig};
use crate::records::Records;

const SCALING: f64 = 1.75;

fn engine(tiny: &TinyModel, modules: &[&str]) -> (CandleEngine, LoraLayout, Vec<f32>) {
    let target_modules = modules.iter().map(|&name| name.into()).collect();
    let lora = LoraConfig { rank: 3, alpha: 3.0 * SCALING, target_modules, use_rslora: false };
    let layout = LoraLayout::new(&tiny.parsed(), &lora).unwrap();
    // B is not zero here: at B = 0 the gradient of A vanishes and would hide mistakes.
    let flat = random(77, layout.parameters(), 0.3);
    let mut engine = CandleEngine::new(tiny.load(), layout.clone(), lora.scaling(), 64).unwrap();
    engine.set_parameters(&flat).unwrap();
    (engine, layout, flat)
}

/// A record of three chunks.
fn record() -> Records {
    let tokens: Vec<u32> = (0..21).map(|i| (i * 37 + 11) % 299 + 1).collect();
    let records = Records::from_sequences(&[tokens], &options(9, 4)).unwrap();
    assert_eq!(records.get(0).chunks().len(), 3);
    records
}

/// A record of three chunks of whose targets every third counts.
fn labelled_record() -> Records {
    let tokens: Vec<u32> = (0..24).map(|i| (i * 37 + 11) % 299 + 1).collect();
    let sequence = crate::records::Sequence::rendered(tokens, (0..24).map(|i| i % 3 == 2).collect());
    let records = Records::from_labelled(&[sequence], &options(9, 4)).unwrap();
    assert_eq!((records.get(0).chunks().len(), records.get(0).predicted_tokens()), (3, 8));
    records
}

/// Central differences of the f64 forward pass, at `indices` of the flat vector.
fn finite_differences(
    tiny: &TinyModel,
    layout: &LoraLayout,
    flat: &[f32],
    record: &Record,
    indices: &[usize],
) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut values: Vec<f64> = flat.iter().map(|&v| f64::from(v)).collect();
    let loss = |values: &[f64]| {
        let lora = Some(NaiveLora { layout, scaling: SCALING, values });
        Naive { model: tiny, config: tiny.parsed(), lora }.record_loss(record.chunks())
    };
    indices
        .iter()
        .map(|&index| {
            let old = values[index];
            values[index] = old + STEP;
            let above = loss(&values);
            values[index] = old - STEP;
            let below = loss(&values);
            values[index] = old;
            (above - below) / (2.0 * STEP)
        })
        .collect()
}

fn assert_gradient_is_right(tiny: &TinyModel, records: &Records) {
    let (engine, layout, flat) = engine(tiny, &[ALL_LINEAR]);
    let mut gradient = vec![0.0; layout.parameters()];
    engine.add_record_gradient(records.get(0), &mut gradient).unwrap();
    // Four values of every A and every B: a cut or swapped path cannot hide.
    let rank = layout.rank();
    let indices: Vec<usize> = layout
        .entries()
        .iter()
        .flat_map(|e| [(e.a_offset, rank * e.input), (e.b_offset, rank * e.output)])
        .flat_map(|(offset, length)| (0..4).map(move |i| offset + i * (length - 1) / 3))
        .collect();
    let expected = finite_differences(tiny, &layout, &flat, records.get(0), &indices);
    for (&index, e) in indices.iter().zip(&expected) {
        let found = f64::from(gradient[index]);
        assert!(found != 0.0, "value {index} has no gradient");
        assert!((found - e).abs() < 1e-5 * (1.0 + e.abs()), "value {index}: {found} against {e}");
    }
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    assert!(largest > 1e-2, "gradients of {largest} are too small to tell mistakes from rounding");
}

#[test]
fn every_gradient_equals_finite_differences() {
    assert_gradient_is_right(&TinyModel::new(), &record());
}

#[test]
fn the_gradient_of_the_targets_that_count_equals_finite_differences() {
    assert_gradient_is_right(&TinyModel::new(), &labelled_record());
}

#[test]
fn every_gradient_equals_finite_differences_untied_with_bias() {
    let changes = json!({"tie_word_embeddings": false, "attention_bias": true, "head_dim": 6, "num_key_value_heads": 1});
    assert_gradient_is_right(&TinyModel::with(&changes), &record());
}

#[test]
fn every_value_of_every_pair_has_a_gradient_that_is_not_zero() {
    let (engine, layout, _) = engine(&TinyModel::new(), &[ALL_LINEAR]);
    let mut gradient = vec![0.0; layout.parameters()];
    engine.add_record_gradient(record().get(0), &mut gradient).unwrap();
    let zeros = gradient.iter().filter(|g| **g == 0.0).count();
    assert_eq!(zeros, 0, "of {} values", gradient.len());
}

#[test]
fn the_loss_is_the_mean_over_all_tokens_of_all_chunks() {
    let tiny = TinyModel::new();
    let (engine, layout, flat) = engine(&tiny, &["q_proj"]);
    let values: Vec<f64> = flat.iter().map(|&v| f64::from(v)).collect();
    let lora = Some(NaiveLora { layout: &layout, scaling: SCALING, values: &values });
    let naive = Naive { model: &tiny, config: tiny.parsed(), lora };
    let mut unused = vec![0.0; layout.parameters()];
    let found = engine.add_record_gradient(record().get(0), &mut unused).unwrap();
    let expected = naive.record_loss(record().get(0).chunks());
    assert!((found - expected).abs() < 1e-5 * expected, "{found} against {expected}");
}

#[test]
fn the_gradient_is_added_and_depends_on_the_record_alone() {
    let (engine, layout, _) = engine(&TinyModel::new(), &["v_proj", "up_proj"]);
    let records = random_records(6, 16);
    let gradient = |index: usize| {
        let mut gradient = vec![0.0; layout.parameters()];
        engine.add_record_gradient(records.get(index), &mut gradient).unwrap();
        gradient
    };
    let alone: Vec<Vec<f32>> = (0..6).map(gradient).collect();
    // The same bits in another order and on another thread.
    for index in (0..6).rev() {
        let other = std::thread::scope(|scope| scope.spawn(|| gradient(index)).join().unwrap());
        assert_eq!(other, alone[index]);
    }
    let mut sum = alone[0].clone();
    engine.add_record_gradient(records.get(1), &mut sum).unwrap();
    for ((s, a), b) in sum.iter().zip(&alone[0]).zip(&alone[1]) {
        assert_eq!(*s, a + b);
    }
}

#[test]
fn a_record_that_predicts_nothing_has_no_gradient() {
    let (engine, layout, _) = engine(&TinyModel::new(), &["q_proj"]);
    let options = crate::records::RecordOptions { bos_token_id: None, eos_token_id: None, ..options(9, 4) };
    let records = Records::from_sequences(&[vec![5]], &options).unwrap();
    let mut gradient = vec![0.0; layout.parameters()];
    assert_eq!(engine.add_record_gradient(records.get(0), &mut gradient).unwrap(), 0.0);
    assert!(gradient.iter().all(|g| *g == 0.0));
}

#[test]
fn a_target_that_does_not_count_is_the_same_as_a_text_that_ends_before_it() {
    let (engine, layout, _) = engine(&TinyModel::new(), &[ALL_LINEAR]);
    let gradient = |chunk: Chunk| {
        let mut gradient = vec![0.0; layout.parameters()];
        let loss = engine.add_chunk_gradient(&chunk, 0.5, &mut gradient).unwrap();
        (loss, gradient)
    };
    let (loss, cut) = gradient(Chunk::new(vec![5, 9, 200, 31]));
    let (same, labelled) =
        gradient(Chunk::labelled(vec![5, 9, 200, 31, 77, 2], vec![true, true, true, false, false]));
    assert!((loss - same).abs() < 1e-6 * loss, "{loss} {same}");
    let gap = cut.iter().zip(&labelled).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let largest = cut.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    // Products of other sizes add up in another order.
    assert!(gap < 1e-6 * largest.max(1.0) * 4.0, "{gap} of {largest}");
    let (other, counted) = gradient(Chunk::new(vec![5, 9, 200, 31, 77, 2]));
    let gap = cut.iter().zip(&counted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap > 1e-3 && other > loss, "the control: counted targets make a difference");
}

#[test]
fn a_record_of_which_nothing_counts_has_loss_0_and_no_gradient() {
    use crate::fixtures::channel::correction;
    let sequence = crate::records::Sequence::rendered(vec![5, 6, 7, 8], vec![true, false, false, false]);
    let records = Records::from_labelled(&[sequence], &options(9, 4)).unwrap();
    let (plain, layout, _) = engine(&TinyModel::new(), &["q_proj"]);
    let (other, ..) = engine(&TinyModel::new(), &["q_proj"]);
    let corrected = other.with_channel(Arc::new(correction(300, 3.0, 3)), Context::PosteriorMean).unwrap();
    for engine in [plain, corrected] {
        let mut gradient = vec![0.0; layout.parameters()];
        assert_eq!(engine.add_record_gradient(records.get(0), &mut gradient).unwrap(), 0.0);
        assert!(gradient.iter().all(|g| *g == 0.0));
    }
}

#[test]
fn an_adapter_with_zero_b_equals_the_base_bit_for_bit() {
    let tiny = TinyModel::new();
    let model = tiny.load();
    let lora = LoraConfig { rank: 3, alpha: 7.0, target_modules: vec![ALL_LINEAR.into()], use_rslora: false };
    let layout = LoraLayout::new(&tiny.parsed(), &lora).unwrap();
    let mut rng = crate::fixtures::seed(4).stream(dp::Purpose::AdapterInit, 0);
    let flat = layout.initialise(&mut rng);
    let table = model.rope_table(32);
    let logits = |lora: Option<&LoraTensors>| {
        let hidden = model.hidden_states(&[0, 5, 9, 200, 31], &table, lora, None).unwrap();
        let logits = model.logits(&hidden).unwrap();
        ops::read(&logits, |v| v.iter().map(|v| v.to_bits()).collect::<Vec<u32>>()).unwrap()
    };
    let adapted = LoraTensors::constants(&layout, lora.scaling(), &flat).unwrap();
    assert_eq!(logits(None), logits(Some(&adapted)));
    let changed = LoraTensors::constants(&layout, lora.scaling(), &random(1, flat.len(), 0.1)).unwrap();
    assert_ne!(logits(None), logits(Some(&changed)));
}

#[test]
fn the_corrected_gradient_equals_finite_differences() {
    assert_corrected_gradient_is_right(&record());
}

#[test]
fn the_corrected_gradient_of_the_targets_that_count_equals_finite_differences() {
    assert_corrected_gradient_is_right(&labelled_record());
}

/// The corrected engine with received tokens as context, against the whole matrix over the f64 forward pass.
fn assert_corrected_gradient_is_right(records: &Records) {
    use crate::fixtures::channel::{channel, correction, matrix, mechanism, received_loss};
    const STEP: f64 = 1e-5;
    let tiny = TinyModel::new();
    let (plain, layout, flat) = engine(&tiny, &[ALL_LINEAR]);
    let mut engine = plain.with_channel(Arc::new(correction(300, 3.0, 3)), Context::Received).unwrap();
    engine.set_parameters(&flat).unwrap();
    let whole = matrix(300, &channel(300, mechanism(3.0, 3)));
    let mut gradient = vec![0.0; layout.parameters()];
    let found = engine.add_record_gradient(records.get(0), &mut gradient).unwrap();
    let loss = |values: &[f64]| {
        let lora = Some(NaiveLora { layout: &layout, scaling: SCALING, values });
        let naive = Naive { model: &tiny, config: tiny.parsed(), lora };
        let mut losses = Vec::new();
        for chunk in records.get(0).chunks() {
            let logits = naive.logits(chunk.inputs());
            let targets = chunk.targets();
            losses.extend(
                logits.iter().zip(targets).filter_map(|(row, y)| Some(received_loss(row, &whole, y?))),
            );
        }
        losses.iter().sum::<f64>() / losses.len() as f64
    };
    let mut values: Vec<f64> = flat.iter().map(|&v| f64::from(v)).collect();
    let expected = loss(&values);
    assert!((found - expected).abs() < 1e-5 * expected, "{found} {expected}");
    let mut largest = 0.0f64;
    for entry in layout.entries() {
        for index in [entry.a_offset + 1, entry.b_offset + 1] {
            let old = values[index];
            let mut at = |shift: f64| {
                values[index] = old + shift;
                loss(&values)
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            values[index] = old;
            let found = f64::from(gradient[index]);
            assert!((found - expected).abs() < 1e-6, "value {index}: {found} against {expected}");
            largest = largest.max(expected.abs());
        }
    }
    assert!(largest > 1e-3, "gradients of {largest} are too small to tell mistakes from rounding");
}

#[test]
fn a_channel_that_changes_nothing_changes_no_gradient() {
    use crate::fixtures::channel::correction;
    let tiny = TinyModel::new();
    let records = record();
    let gradient = |channel: Option<(f64, Context)>| {
        let (mut engine, layout, flat) = engine(&tiny, &[ALL_LINEAR]);
        if let Some((epsilon, context)) = channel {
            engine = engine.with_channel(Arc::new(correction(300, epsilon, 1)), context).unwrap();
            engine.set_parameters(&flat).unwrap();
        }
        let mut gradient = vec![0.0; layout.parameters()];
        engine.add_record_gradient(records.get(0), &mut gradient).unwrap();
        gradient
    };
    let gap = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let plain = gradient(None);
    for context in [Context::Received, Context::PosteriorMean, Context::Denoised { passes: 2 }] {
        assert!(gap(&gradient(Some((30.0, context))), &plain) < 1e-5, "{context:?}");
        assert!(
            gap(&gradient(Some((2.0, context))), &plain) > 1e-3,
            "{context:?}: the control found nothing"
        );
    }
}

#[test]
fn a_denoised_context_follows_the_parameters() {
    use crate::fixtures::channel::correction;
    let (plain, layout, flat) = engine(&TinyModel::new(), &["v_proj"]);
    let context = Context::Denoised { passes: 1 };
    let mut engine = plain.with_channel(Arc::new(correction(300, 3.0, 1)), context).unwrap();
    let records = record();
    let mut loss = |parameters: &[f32]| {
        engine.set_parameters(parameters).unwrap();
        engine.add_record_gradient(records.get(0), &mut vec![0.0; layout.parameters()]).unwrap()
    };
    let (first, other, again) = (loss(&flat), loss(&vec![0.0; flat.len()]), loss(&flat));
    assert_eq!(first, again);
    assert_ne!(first, other);
}
