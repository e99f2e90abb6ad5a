use proptest::prelude::*;

use super::*;
use crate::Isa;
use crate::matmul::tests::values;

/// Calls `check` for every instruction set that this processor has.
fn each(check: impl Fn(Isa)) {
    Isa::available().into_iter().for_each(check);
}

fn assert_close(isa: Isa, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (at, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*f) - e).abs() <= tolerance * (1.0 + e.abs()), "{isa:?} at {at}: {f} against {e}");
    }
}

/// Central differences of `Σ weights ∘ f(x)`.
fn differences(x: &[f64], weights: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let total = |x: &[f64]| f(x).iter().zip(weights).map(|(y, w)| y * w).sum::<f64>();
    (0..x.len())
        .map(|i| {
            let at = |shift: f64| {
                let mut x = x.to_vec();
                x[i] += shift;
                total(&x)
            };
            (at(STEP) - at(-STEP)) / (2.0 * STEP)
        })
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

#[test]
fn exponentials_are_within_two_units_of_the_last_place() {
    for i in -87_000..88_000 {
        let x = i as f32 / 1000.0;
        let (found, expected) = (elementary::exp(x), f64::from(x).exp());
        assert!((f64::from(found) - expected).abs() <= 2.4e-7 * expected, "{x}: {found} against {expected}");
    }
    assert_eq!((elementary::exp(0.0), elementary::exp(-1e30)), (1.0, elementary::exp(-87.0)));
}

#[test]
fn elementary_functions_keep_their_bounds() {
    // Φ by Simpson's rule on the density.
    let phi = |x: f64| {
        let (n, h) = (4000, (x + 12.0) / 4000.0);
        let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let term = |i: usize| density(-12.0 + i as f64 * h) * [2.0, 4.0][i % 2];
        h / 3.0 * (density(-12.0) + density(x) + (1..n).map(term).sum::<f64>())
    };
    for i in -60..=60 {
        let x = i as f32 / 10.0;
        let tanh = f64::from(x).tanh();
        assert!((f64::from(elementary::tanh(x)) - tanh).abs() <= 2e-7 * tanh.abs(), "{x}");
        assert!((f64::from(elementary::normal_distribution(x)) - phi(f64::from(x))).abs() < 1e-6, "{x}");
    }
}

fn f64_activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x * f64::from(elementary::normal_distribution(x as f32)),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }
    }
}

#[test]
fn activations_and_gates_equal_their_definitions_and_slopes() {
    let x: Vec<f32> = values(84, 3).iter().map(|v| 4.0 * v).collect();
    let dy = values(84, 4);
    for activation in [Activation::Silu, Activation::GeluTanh, Activation::Gelu] {
        let f = |x: &[f64]| x.iter().map(|x| f64_activation(activation, *x)).collect::<Vec<_>>();
        // Φ is itself known to 1e-6 only, so its differences are too coarse: its slope is written out.
        let slope = |x: f64| match activation {
            Activation::Gelu => {
                let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
                f64_activation(activation, x) / x + x * density
            }
            _ => differences(&[x], &[1.0], f)[0],
        };
        each(|isa| {
            let mut y = vec![0.0; x.len()];
            activate(isa, activation, &x, &mut y);
            assert_close(isa, &y, &f(&wide(&x)), 3e-6);
            let mut dx = x.clone();
            activate_backward(isa, activation, &mut dx, &dy);
            let expected: Vec<f64> =
                x.iter().zip(&dy).map(|(x, dy)| slope(f64::from(*x)) * f64::from(*dy)).collect();
            assert_close(isa, &dx, &expected, 5e-6);

            let width = 21;
            let mut y = vec![0.0; x.len() / 2];
            gate(isa, activation, &x, width, &mut y);
            let mut expected = Vec::new();
            let mut gradient = Vec::new();
            for (row, dy) in x.chunks(2 * width).zip(dy.chunks(width)) {
                let part = |i: usize| (f64::from(row[i]), f64::from(row[width + i]), f64::from(dy[i]));
                expected.extend((0..width).map(part).map(|(g, u, _)| f64_activation(activation, g) * u));
                gradient.extend((0..width).map(part).map(|(g, u, dy)| dy * u * slope(g)));
                gradient.extend((0..width).map(part).map(|(g, _, dy)| dy * f64_activation(activation, g)));
            }
            assert_close(isa, &y, &expected, 3e-6);
            let mut rows = x.clone();
            gate_backward(isa, activation, &mut rows, width, &dy[..x.len() / 2]);
            assert_close(isa, &rows, &gradient, 5e-6);
        });
    }
}

#[test]
fn norms_equal_their_definitions_and_slopes() {
    const D: usize = 45;
    const EPSILON: f64 = 1e-3;
    let (x, dy) = (values(3 * D, 1), values(3 * D, 2));
    let (gain, bias) = (values(D, 5), values(D, 6));
    let rms = |x: &[f64]| {
        let row = |x: &[f64]| {
            let s = 1.0 / (x.iter().map(|v| v * v).sum::<f64>() / D as f64 + EPSILON).sqrt();
            x.iter().zip(&gain).map(move |(x, g)| x * s * f64::from(*g)).collect::<Vec<_>>()
        };
        x.chunks(D).flat_map(row).collect::<Vec<_>>()
    };
    let layer = |x: &[f64]| {
        let row = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / D as f64;
            let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / D as f64;
            let s = 1.0 / (variance + EPSILON).sqrt();
            let scaled = x.iter().zip(&gain).map(|(x, g)| (x - mean) * s * f64::from(*g));
            scaled.zip(&bias).map(|(y, b)| y + f64::from(*b)).collect::<Vec<_>>()
        };
        x.chunks(D).flat_map(row).collect::<Vec<_>>()
    };
    let plus = |d: Vec<f64>| d.iter().map(|d| d + 0.5).collect::<Vec<_>>();
    each(|isa| {
        let (mut y, mut dx) = (vec![0.0; 3 * D], vec![0.5; 3 * D]);
        rms_norm(isa, &x, &gain, EPSILON as f32, &mut y);
        assert_close(isa, &y, &rms(&wide(&x)), 1e-6);
        rms_norm_backward(isa, &x, &gain, EPSILON as f32, &dy, &mut dx);
        assert_close(isa, &dx, &plus(differences(&wide(&x), &wide(&dy), rms)), 2e-6);
        layer_norm(isa, &x, &gain, &bias, EPSILON as f32, &mut y);
        assert_close(isa, &y, &layer(&wide(&x)), 1e-6);
        let mut dx = vec![0.5; 3 * D];
        layer_norm_backward(isa, &x, &gain, EPSILON as f32, &dy, &mut dx);
        assert_close(isa, &dx, &plus(differences(&wide(&x), &wide(&dy), layer)), 2e-6);
    });
}

#[test]
fn a_rotation_turns_pairs_and_turning_back_undoes_it() {
    const N: usize = 3;
    let (stride, heads, head_dim, rows) = (20, 2, 8, 4);
    let x = values(rows * stride, 1);
    let angle = |row: usize, i: usize| (row * 5 + i) as f64 * 0.37;
    let table =
        |f: fn(f64) -> f64| -> Vec<f32> { (0..rows * N).map(|at| f(angle(at / N, at % N)) as f32).collect() };
    let (cos, sin) = (table(f64::cos), table(f64::sin));
    let mut expected = wide(&x);
    for row in 0..rows {
        for head in 0..heads {
            for i in 0..N {
                let (at, other) =
                    (row * stride + head * head_dim + i, row * stride + head * head_dim + i + N);
                let (s, c) = angle(row, i).sin_cos();
                let (a, b) = (f64::from(x[at]), f64::from(x[other]));
                (expected[at], expected[other]) = (a * c - b * s, b * c + a * s);
            }
        }
    }
    each(|isa| {
        let mut y = x.clone();
        rotate(isa, &mut y, stride, heads, head_dim, &cos, &sin, N, 1.0);
        assert_close(isa, &y, &expected, 1e-6);
        rotate(isa, &mut y, stride, heads, head_dim, &cos, &sin, N, -1.0);
        assert_close(isa, &y, &wide(&x), 1e-6);
    });
}

/// Probabilities of one row by the definition.
fn softmax_row(scores: &[f64], span: Span, row: usize) -> Vec<f64> {
    let query = span.first_query + row;
    let visible = |key: usize| key <= query && key + span.window > query;
    let capped = |s: f64| {
        let s = s * f64::from(span.scale);
        span.cap.map_or(s, |cap| f64::from(cap) * (s / f64::from(cap)).tanh())
    };
    let weight = |i: usize| if visible(span.first_key + i) { capped(scores[i]).exp() } else { 0.0 };
    let total: f64 = (0..scores.len()).map(weight).sum();
    (0..scores.len()).map(|i| weight(i) / total).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn attention_equals_its_definition_and_slope(
        first_key in 0usize..40, rows in 1usize..9, window in 1usize..60, capped: bool, seed: u32,
    ) {
        // A block starts at the first key that its first query sees, or before it.
        let first_query = first_key + window.min(20) - 1;
        let columns = first_query + rows - first_key;
        let stride = columns + 3;
        let cap = capped.then_some(1.5);
        let span = Span { first_query, first_key, window, scale: 0.7, cap };
        let scores: Vec<f32> = values(rows * stride, seed).iter().map(|v| 3.0 * v).collect();
        let weights = values(rows * stride, seed ^ 9);
        let rows_of = |v: &[f32]| v.chunks(stride).map(|r| wide(&r[..columns])).collect::<Vec<_>>();
        each(|isa| {
            let (mut p, mut log_sums) = (scores.clone(), vec![0.0; rows]);
            attention_probabilities(isa, &mut p, columns, stride, span, &mut log_sums);
            for (row, (p, s)) in p.chunks(stride).zip(rows_of(&scores)).enumerate() {
                assert_close(isa, &p[..columns], &softmax_row(&s, span, row), 1e-6);
            }
            let levels: Vec<f32> = p
                .chunks(stride)
                .zip(weights.chunks(stride))
                .map(|(p, w)| dot(isa, &p[..columns], &w[..columns]))
                .collect();
            let (mut again, mut ds) = (scores.clone(), weights.clone());
            attention_scores_backward(isa, &mut again, &mut ds, columns, stride, span, &log_sums, &levels);
            for (row, s) in rows_of(&scores).iter().enumerate() {
                let at = row * stride..row * stride + columns;
                assert_close(isa, &again[at.clone()], &softmax_row(s, span, row), 2e-6);
                let w = wide(&weights[at.clone()]);
                assert_close(isa, &ds[at], &differences(s, &w, |s| softmax_row(s, span, row)), 1e-5);
            }
        });
    }

    #[test]
    fn cross_entropy_equals_its_definition(
        length in 1usize..5000, target: prop::sample::Index, spread in 0.1f32..60.0, seed: u32,
    ) {
        let target = target.index(length);
        let row: Vec<f32> = values(length, seed).iter().map(|v| spread * v).collect();
        let logits = wide(&row);
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|z| (z - top).exp()).sum();
        let expected: Vec<f64> = logits
            .iter()
            .enumerate()
            .map(|(i, z)| 0.25 * ((z - top).exp() / total - f64::from(i == target)))
            .collect();
        let expected_loss = top + total.ln() - logits[target];
        for isa in Isa::available() {
            let mut gradient = row.clone();
            let loss = cross_entropy(isa, &mut gradient, target, 0.25);
            prop_assert!((loss - expected_loss).abs() < 1e-5 * (1.0 + expected_loss.abs()));
            for (f, e) in gradient.iter().zip(&expected) {
                prop_assert!((f64::from(*f) - e).abs() < 1e-6, "{isa:?}: {f} against {e}");
            }
            if isa.has_bf16() {
                let (mut values, mut pairs) = (row.clone(), vec![0; length.div_ceil(2)]);
                let again = cross_entropy_pairs(isa, &mut values, target, 0.25, &mut pairs);
                let mut rounded = vec![0; length.div_ceil(2)];
                crate::round(isa, &gradient, &mut rounded);
                prop_assert_eq!((again, pairs), (loss, rounded));
            }
        }
    }
}

#[test]
fn caps_equal_their_definition_and_slope() {
    let x: Vec<f32> = values(50, 2).iter().map(|v| 40.0 * v).collect();
    let dy = values(50, 3);
    let f = |x: &[f64]| x.iter().map(|x| 30.0 * (x / 30.0).tanh()).collect::<Vec<_>>();
    each(|isa| {
        let mut y = x.clone();
        soft_cap(isa, &mut y, 30.0);
        assert_close(isa, &y, &f(&wide(&x)), 1e-6);
        let mut dx = dy.clone();
        soft_cap_backward(isa, &y, 30.0, &mut dx);
        assert_close(isa, &dx, &differences(&wide(&x), &wide(&dy), f), 2e-6);
    });
}

#[test]
fn rows_are_added_scaled_and_transposed() {
    let (x, y) = (values(6 * 37, 1), values(6 * 37, 2));
    each(|isa| {
        let expected: f64 = wide(&x).iter().zip(wide(&y)).map(|(a, b)| a * b).sum();
        assert_close(isa, &[dot(isa, &x, &y)], &[expected], 1e-6);
        let mut z = x.clone();
        add(isa, &mut z, &y);
        scale(isa, &mut z, 0.5);
        add_to_rows(isa, &mut z, &y[..37]);
        for (at, z) in z.iter().enumerate() {
            assert_eq!(*z, (x[at] + y[at]) * 0.5 + y[at % 37]);
        }
        let mut t = vec![0.0; 6 * 30];
        transpose(isa, &x, 6, 30, 37, &mut t);
        assert!((0..6 * 30).all(|at| t[at % 30 * 6 + at / 30] == x[at / 30 * 37 + at % 30]));
    });
}
