//! Gradients against finite differences of the loss in f64, and the rules of sampling.

use super::*;
use crate::sampling::keep_thresholds;
use crate::{Clip, Settings};

const W: usize = 16;
const WORDS: usize = 12;

fn plan(settings: Settings) -> Plan {
    let counts: Vec<u64> = (1..=WORDS as u64).rev().map(|n| n * n).collect();
    let config = Config::new(settings).unwrap();
    let (keep, negatives) = (keep_thresholds(&counts, config.sample), Negatives::new(&counts));
    Plan { adamw: AdamW::new(&config, 100), keep, negatives, config }
}

fn model(plan: &Plan) -> Model<W> {
    let mut random = Stream::new(11, 0);
    let mut matrix = || Matrix::random(WORDS, 10, 0.8, &mut random, &plan.adamw);
    Model { inputs: matrix(), outputs: matrix() }
}

/// A scratch that has sampled and learned `ids`, its gradients not yet applied.
fn learned(plan: &Plan, model: &Model<W>, ids: &[u32]) -> Scratch<W> {
    let mut scratch = Scratch::new(WORDS);
    scratch.sample(plan, ids, &mut Stream::new(3, 4));
    let now = plan.adamw.step(1);
    scratch.inputs.gather::<false>(&model.inputs, &plan.adamw, &now);
    scratch.outputs.gather::<false>(&model.outputs, &plan.adamw, &now);
    (0..scratch.centres.len()).for_each(|centre| scratch.learn::<false>(centre, 1 + plan.config.negative));
    scratch
}

/// The loss as the module's head writes it, with `nudge` added to one value of one slot of one side.
fn loss(scratch: &Scratch<W>, count: usize, input_side: bool, slot: u32, lane: usize, nudge: f64) -> f64 {
    let value = |is_input: bool, batch: &Batch<W>, at: u32, l: usize| {
        let moved = is_input == input_side && at == slot && l == lane;
        f64::from(batch.values(at)[l]) + if moved { nudge } else { 0.0 }
    };
    let mut loss = 0.0;
    for (place, centre) in scratch.centres.iter().enumerate().filter(|(_, centre)| !centre.line_end) {
        for context in scratch.contexts(place).filter(|&context| context != place) {
            let input = scratch.centres[context].input;
            for (nth, &output) in centre.outputs[..count].iter().enumerate() {
                if nth > 0 && output == centre.outputs[0] {
                    continue;
                }
                let product =
                    |l| value(true, &scratch.inputs, input, l) * value(false, &scratch.outputs, output, l);
                let logit: f64 = (0..W).map(product).sum();
                let sign = if nth == 0 { -1.0 } else { 1.0 };
                loss += (sign * logit).exp().ln_1p();
            }
        }
    }
    loss
}

#[test]
fn gradients_are_the_derivatives_of_the_loss() {
    let plan = plan(Settings { window: 2, negative: 4, sample: 0.0, ..Settings::default() });
    let ids = [0, 3, 5, 1, LINE_END, 2, 2, 0, 7, 4];
    let mut scratch = learned(&plan, &model(&plan), &ids);
    for input_side in [true, false] {
        for slot in 0..5 {
            for lane in [0, 4, 9, 12] {
                let at = |nudge| loss(&scratch, 5, input_side, slot, lane, nudge);
                let numeric = (at(1e-4) - at(-1e-4)) / 2e-4;
                let batch = if input_side { &mut scratch.inputs } else { &mut scratch.outputs };
                let gradient = f64::from(batch.gradient(slot)[lane]);
                assert!(
                    (gradient - numeric).abs() < 1e-5,
                    "{input_side} {slot} {lane}: {gradient} for {numeric}"
                );
                assert!(lane < 10 || gradient == 0.0, "the padding has a gradient");
            }
        }
    }
}

#[test]
fn contexts_stay_within_the_line_and_the_reach() {
    let plan = plan(Settings { window: 3, sample: 0.0, ..Settings::default() });
    let ids = [0, 1, 2, LINE_END, 3, 4, 5, 6, 7, 8, 9];
    let scratch = learned(&plan, &model(&plan), &ids);
    for place in (0..ids.len()).filter(|&place| ids[place] != LINE_END) {
        let contexts = scratch.contexts(place);
        let line = if place < 3 { 0..3 } else { 4..11 };
        let reach = scratch.centres[place].reach;
        assert!((1..=3).contains(&reach));
        assert_eq!(contexts, place.saturating_sub(reach).max(line.start)..(place + reach + 1).min(line.end));
    }
}

#[test]
fn reaches_are_uniform_and_frequent_words_are_thinned() {
    let plan = plan(Settings { window: 5, sample: 1e-2, ..Settings::default() });
    let mut scratch = Scratch::<W>::new(WORDS);
    scratch.sample(&plan, &[0; 60_000], &mut Stream::new(1, 1));
    let kept = scratch.centres.len() as f64 / 60_000.0;
    let chance = plan.keep[0] as f64 / 4_294_967_296.0;
    assert!((kept - chance).abs() < 0.01, "{kept} for {chance}");
    let mut reaches = [0_u32; 5];
    scratch.centres.iter().for_each(|centre| reaches[centre.reach - 1] += 1);
    let expected = scratch.centres.len() as f64 / 5.0;
    let chi_square: f64 = reaches.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
    // 4 degrees of freedom: above 23.5 once in 10,000.
    assert!(chi_square < 23.5, "{chi_square}");
}

#[test]
fn a_negative_that_is_the_centre_does_not_count() {
    let mut slots = [9; LANES];
    (slots[0], slots[3]) = (2, 2);
    let errors = errors::<false>(&[0.0; LANES], &slots);
    assert_eq!(errors[..5], [-0.5, 0.5, 0.5, 0.0, 0.5]);
}

#[test]
fn a_step_lowers_the_loss_and_keeps_the_region() {
    for clip in [Clip::Box, Clip::UnitBall] {
        let plan = plan(Settings {
            window: 2,
            negative: 4,
            sample: 0.0,
            learning_rate: 0.05,
            clip,
            ..Settings::default()
        });
        let ids = [0, 3, 5, 1, 6, 2, 2, 0, 7, 4];
        let model = model(&plan);
        let before = loss(&learned(&plan, &model, &ids), 5, true, u32::MAX, 0, 0.0);
        let mut scratch = Scratch::new(WORDS);
        (1..=20).for_each(|step| scratch.step::<false>(&model, &plan, step, &ids));
        let after = loss(&learned(&plan, &model, &ids), 5, true, u32::MAX, 0, 0.0);
        assert!(after < 0.8 * before, "{clip:?}: from {before} to {after}");
        for &id in &ids {
            let values = model.inputs.lock(id).values;
            let norm = values.iter().map(|x| x * x).sum::<f32>().sqrt();
            assert!(if clip == Clip::Box { values.iter().all(|x| x.abs() <= 1.0) } else { norm <= 1.0 });
        }
    }
}
