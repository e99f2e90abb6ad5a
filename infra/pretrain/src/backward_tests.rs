//! The model against an independent one: a plain f64 Llama written token by token, without views, blocks or SIMD. The
//! f32 loss must equal its loss, and the hand-written gradient its finite differences.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::config::{Layout, initialise};
use crate::matmul::Precision;

/// Small and awkward: grouped heads, widths that are no multiple of a SIMD register.
const TINY: ModelConfig = ModelConfig {
    vocab_size: 37,
    hidden_size: 24,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    intermediate_size: 20,
    rope_theta: 10_000.0,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 128,
};
/// More than one query block.
const LENGTH: usize = 70;
const SEQUENCES: usize = 2;

struct Case {
    weights: Vec<f32>,
    inputs: Vec<u16>,
    targets: Vec<u16>,
}

fn case() -> Case {
    let layout = Layout::new(&TINY);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // Matrices larger than at the start of training, so that every non-linearity is exercised.
    let mut weights: Vec<f32> = initialise(&TINY, &layout, 3).iter().map(|w| w * 8.0).collect();
    for range in layout.norms() {
        weights[range].fill_with(|| rng.random_range(0.8..1.2));
    }
    let mut tokens =
        || (0..SEQUENCES * LENGTH).map(|_| rng.random_range(0..TINY.vocab_size as u16)).collect();
    Case { weights, inputs: tokens(), targets: tokens() }
}

/// `W · x` for row-major `W[rows, x.len()]`.
fn apply(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
}

fn normed(x: &[f64], gain: &[f64]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    x.iter().zip(gain).map(|(x, g)| x * g / (mean + f64::from(TINY.rms_norm_eps)).sqrt()).collect()
}

fn rotated(head: &[f64], position: usize) -> Vec<f64> {
    let half = head.len() / 2;
    let angle =
        |i: usize| position as f64 / f64::from(TINY.rope_theta).powf(2.0 * i as f64 / head.len() as f64);
    let turned = |i: usize| match i.checked_sub(half) {
        None => head[i] * angle(i).cos() - head[i + half] * angle(i).sin(),
        Some(j) => head[i] * angle(j).cos() + head[j] * angle(j).sin(),
    };
    (0..head.len()).map(turned).collect()
}

/// One sequence's attention at one position, all heads.
fn attend(queries: &[Vec<f64>], keys: &[Vec<Vec<f64>>], values: &[Vec<Vec<f64>>]) -> Vec<f64> {
    let group = TINY.heads / TINY.kv_heads;
    let mut out = Vec::new();
    for (h, query) in queries.iter().enumerate() {
        let score = |key: &Vec<Vec<f64>>| apply(&key[h / group], query)[0] / (query.len() as f64).sqrt();
        let weights: Vec<f64> = keys.iter().map(|k| score(k).exp()).collect();
        let total: f64 = weights.iter().sum();
        for i in 0..query.len() {
            out.push(weights.iter().zip(values).map(|(w, v)| w / total * v[h / group][i]).sum());
        }
    }
    out
}

fn reference_loss(weights: &[f64], inputs: &[u16], targets: &[u16]) -> f64 {
    let sequences = inputs.chunks(LENGTH).zip(targets.chunks(LENGTH));
    sequences.map(|(inputs, targets)| reference_sequence_loss(weights, inputs, targets)).sum()
}

fn reference_sequence_loss(weights: &[f64], inputs: &[u16], targets: &[u16]) -> f64 {
    let layout = Layout::new(&TINY);
    let (hidden, dim) = (TINY.hidden_size, TINY.head_dim());
    let embedding = &weights[layout.embedding.clone()];
    let row = |id: u16| embedding[usize::from(id) * hidden..][..hidden].to_vec();
    let mut states: Vec<Vec<f64>> = inputs.iter().map(|&id| row(id)).collect();
    for layer in &layout.layers {
        let at = |range: &std::ops::Range<usize>| &weights[range.clone()];
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (position, x) in states.iter_mut().enumerate() {
            let qkv = apply(at(&layer.qkv), &normed(x, at(&layer.input_norm)));
            let heads: Vec<Vec<f64>> = qkv.chunks(dim).map(<[f64]>::to_vec).collect();
            let turned: Vec<Vec<f64>> =
                heads[..TINY.heads + TINY.kv_heads].iter().map(|h| rotated(h, position)).collect();
            keys.push(turned[TINY.heads..].to_vec());
            values.push(heads[TINY.heads + TINY.kv_heads..].to_vec());
            let attention = apply(at(&layer.output), &attend(&turned[..TINY.heads], &keys, &values));
            x.iter_mut().zip(attention).for_each(|(x, a)| *x += a);
            let gate_up = apply(at(&layer.gate_up), &normed(x, at(&layer.post_norm)));
            let (gate, up) = gate_up.split_at(TINY.intermediate_size);
            let inner: Vec<f64> = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            x.iter_mut().zip(apply(at(&layer.down), &inner)).for_each(|(x, d)| *x += d);
        }
    }
    let token_loss = |(x, &target): (&Vec<f64>, &u16)| {
        let logits = apply(embedding, &normed(x, &weights[layout.final_norm.clone()]));
        logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[usize::from(target)]
    };
    states.iter().zip(targets).map(token_loss).sum()
}

fn wide(weights: &[f32]) -> Vec<f64> {
    weights.iter().map(|w| f64::from(*w)).collect()
}

#[test]
fn loss_equals_an_independent_f64_model() {
    let case = case();
    let mut workspace = Workspace::new(&TINY, SEQUENCES, LENGTH, Precision::Single);
    let loss = workspace.loss(&case.weights, &case.inputs, &case.targets);
    let expected = reference_loss(&wide(&case.weights), &case.inputs, &case.targets);
    assert!((loss - expected).abs() < 1e-5 * expected, "{loss} against {expected}");
}

/// Central difference of the reference along one coordinate.
fn slope(weights: &mut [f64], index: usize, case: &Case) -> f64 {
    // In f64 a step of 1e-5 leaves about 1e-10 of truncation and of rounding error alike.
    const STEP: f64 = 1e-5;
    let start = weights[index];
    weights[index] = start + STEP;
    let above = reference_loss(weights, &case.inputs, &case.targets);
    weights[index] = start - STEP;
    let below = reference_loss(weights, &case.inputs, &case.targets);
    weights[index] = start;
    (above - below) / (2.0 * STEP)
}

#[test]
fn gradient_equals_finite_differences_in_every_kind_of_weight() {
    let (case, layout) = (case(), Layout::new(&TINY));
    let mut workspace = Workspace::new(&TINY, SEQUENCES, LENGTH, Precision::Single);
    let mut gradient = vec![0.0; layout.total];
    workspace.loss_and_gradient(&case.weights, &mut gradient, &case.inputs, &case.targets, 1.0);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut weights = wide(&case.weights);
    let mut ranges = vec![layout.embedding.clone(), layout.final_norm.clone()];
    for l in &layout.layers {
        ranges
            .extend([&l.input_norm, &l.qkv, &l.output, &l.post_norm, &l.gate_up, &l.down].map(Clone::clone));
    }
    for range in ranges {
        let largest = gradient[range.clone()].iter().fold(0.0_f32, |m, g| m.max(g.abs()));
        assert!(largest > 0.0, "no gradient in {range:?}");
        for _ in 0..12 {
            let index = rng.random_range(range.clone());
            let (found, expected) = (f64::from(gradient[index]), slope(&mut weights, index, &case));
            let bound = 1e-4 * f64::from(largest);
            assert!((found - expected).abs() < bound, "{index} in {range:?}: {found} against {expected}");
        }
    }
}

#[test]
fn gradients_accumulate_and_scale() {
    let case = case();
    let mut workspace = Workspace::new(&TINY, SEQUENCES, LENGTH, Precision::Single);
    let total = case.weights.len();
    let mut run = |gradient: &mut Vec<f32>, scale| {
        workspace.loss_and_gradient(&case.weights, gradient, &case.inputs, &case.targets, scale)
    };
    let (mut once, mut twice) = (vec![0.0; total], vec![0.0; total]);
    let loss = run(&mut once, 1.0);
    assert_eq!(run(&mut twice, 0.25), loss, "the scale leaves the loss alone");
    run(&mut twice, 0.25);
    for (a, b) in once.iter().zip(&twice) {
        assert!((a - 2.0 * b).abs() <= 1e-5 * (1.0 + a.abs()), "{a} against twice {b}");
    }
}

#[test]
#[should_panic(expected = "one target for each row")]
fn a_missing_target_is_refused() {
    let case = case();
    Workspace::new(&TINY, SEQUENCES, LENGTH, Precision::Single).loss(
        &case.weights,
        &case.inputs,
        &case.targets[1..],
    );
}

/// Relative L2 distance.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    (kernels::sum_of_squares(&difference) / kernels::sum_of_squares(b)).sqrt()
}

#[test]
fn mixed_precision_agrees_to_the_accuracy_of_bf16() {
    let (case, layout) = (case(), Layout::new(&TINY));
    let run = |precision| {
        let mut gradient = vec![0.0; layout.total];
        let mut workspace = Workspace::new(&TINY, SEQUENCES, LENGTH, precision);
        let loss =
            workspace.loss_and_gradient(&case.weights, &mut gradient, &case.inputs, &case.targets, 1.0);
        (loss, gradient)
    };
    let ((exact_loss, exact), (loss, gradient)) = (run(Precision::Single), run(Precision::fastest()));
    // A bf16 has 8 significant bits; errors of 2⁻⁹ an operand average out over sums but pass through four blocks.
    assert!((loss - exact_loss).abs() < 0.01 * exact_loss, "{loss} against {exact_loss}");
    for range in [layout.embedding, layout.layers[0].qkv.clone(), layout.layers[1].down.clone()] {
        let error = distance(&gradient[range.clone()], &exact[range.clone()]);
        assert!(error < 0.05, "{error} in {range:?}");
    }
}
