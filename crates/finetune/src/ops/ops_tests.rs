use super::matrix::{Matrix, Write, multiply, product};
use super::*;
use crate::fixtures::random;
use crate::model::architecture::{Activation, Rope};
use candle_core::Var;
use proptest::prelude::*;

fn variable(seed: u64, shape: (usize, usize)) -> Tensor {
    let values = random(seed, shape.0 * shape.1, 1.0);
    Var::from_slice(&values, shape, &Device::Cpu).unwrap().into_inner()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    read(tensor, <[f32]>::to_vec).unwrap()
}

/// Checks the gradient of `Σ c ∘ f(inputs)`, for random `c`, against central differences in each input value.
fn assert_backward(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let output = f(inputs).unwrap();
    let weights = random(99, output.elem_count(), 1.0);
    let weights = Tensor::from_vec(weights, output.shape(), &Device::Cpu).unwrap();
    let objective = |inputs: &[Tensor]| (f(inputs).unwrap() * &weights).unwrap().sum_all().unwrap();
    let gradients = objective(inputs).backward().unwrap();
    for (which, input) in inputs.iter().enumerate() {
        let gradient = values(gradients.get(input).expect("a gradient"));
        let start = values(input);
        for index in 0..start.len() {
            let at = |shift: f32| {
                let mut moved = start.clone();
                moved[index] += shift;
                let mut inputs = inputs.to_vec();
                inputs[which] = Tensor::from_vec(moved, input.shape(), &Device::Cpu).unwrap();
                objective(&inputs).to_scalar::<f32>().unwrap()
            };
            let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
            let found = gradient[index];
            assert!(
                (found - expected).abs() < 5e-3 * (1.0 + expected.abs()),
                "{which}.{index}: {found} {expected}"
            );
        }
    }
}

#[test]
fn frozen_linear_has_the_gradient_of_its_input_alone() {
    let weight = variable(2, (5, 4));
    assert_backward(&[variable(1, (3, 4))], |x| frozen_linear(&x[0], &weight));
    let y = frozen_linear(&variable(1, (3, 4)), &weight).unwrap();
    assert!(y.backward().unwrap().get(&weight).is_none());
}

#[test]
fn low_rank_has_both_gradients() {
    assert_backward(&[variable(1, (3, 4)), variable(2, (2, 4))], |x| low_rank(&x[0], &x[1]));
}

#[test]
fn rms_norm_has_its_gradient() {
    let gain = Tensor::from_vec(random(3, 6, 1.0), 6, &Device::Cpu).unwrap();
    assert_backward(&[variable(1, (4, 6))], |x| rms_norm(&x[0], &gain, 1e-2));
}

#[test]
fn layer_norm_has_its_gradient() {
    let frozen = |seed| Tensor::from_vec(random(seed, 6, 1.0), 6, &Device::Cpu).unwrap();
    let (gain, bias) = (frozen(3), frozen(4));
    assert_backward(&[variable(1, (4, 6))], |x| layer_norm(&x[0], &gain, &bias, 1e-2));
    // What all values have in common does not matter, and the bias is what is left of equal ones.
    let x = variable(1, (4, 6));
    let [y, moved] = [&x, &(&x + 3.0).unwrap()].map(|x| values(&layer_norm(x, &gain, &bias, 1e-2).unwrap()));
    assert!(y.iter().zip(&moved).all(|(a, b)| (a - b).abs() < 1e-5));
    let equal = Tensor::full(2.5f32, (1, 6), &Device::Cpu).unwrap();
    assert_eq!(values(&layer_norm(&equal, &gain, &bias, 1e-2).unwrap()), values(&bias));
}

const ACTIVATIONS: [Activation; 3] = [Activation::Silu, Activation::Gelu, Activation::GeluTanh];

#[test]
fn activations_have_their_gradients_plain_and_gated() {
    for activation in ACTIVATIONS {
        assert_backward(&[variable(1, (3, 5))], |x| activate(&x[0], activation));
        assert_backward(&[variable(1, (3, 5)), variable(2, (3, 5))], |x| gate(&x[0], &x[1], activation));
    }
}

/// Values to seven digits: x·σ(x), x·Φ(x) and the tanh form, of x = −2, −0.5, 1, 3, computed with Python's `math`.
#[test]
fn activations_have_their_values() {
    let expected = [
        [-0.238_405_84, -0.188_770_34, 0.731_058_6, 2.857_722_4],
        [-0.045_500_264, -0.154_268_77, 0.841_344_8, 2.995_950_3],
        [-0.045_402_307, -0.154_286, 0.841_192, 2.996_362_6],
    ];
    let x = Tensor::from_slice(&[-2.0f32, -0.5, 1.0, 3.0], (1, 4), &Device::Cpu).unwrap();
    for (activation, expected) in ACTIVATIONS.into_iter().zip(expected) {
        for (found, expected) in values(&activate(&x, activation).unwrap()).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{activation:?}: {found} {expected}");
        }
    }
}

#[test]
fn a_soft_cap_has_its_gradient_in_the_loss() {
    let head = variable(2, (7, 4));
    let row_loss = Softcapped { loss: &CrossEntropy, cap: Some(0.8) };
    assert_backward(&[variable(1, (5, 4))], |x| head_loss(&x[0], &head, &[0, 6, 2, 2, 5], 0.5, &row_loss));
    let mut row = [100.0, -100.0, 0.0];
    softcap(&mut row, Some(0.5));
    assert_eq!(row, [0.5, -0.5, 0.0]);
    softcap(&mut row, None);
    assert_eq!(row, [0.5, -0.5, 0.0]);
}

#[test]
fn rope_has_its_gradient_and_keeps_lengths() {
    let config = crate::fixtures::TinyModel::new().parsed();
    let table = RopeTable::new(&config, 9);
    assert_backward(&[variable(1, (3, 16))], |x| rope(&x[0], &table, 0, 6));
    let x = variable(1, (9, 16));
    let norm = |v: &[f32]| matrix::squared_norm(v);
    let (before, after) = (values(&x), values(&rope(&x, &table, 0, 0).unwrap()));
    assert!((norm(&before) - norm(&after)).abs() < 1e-4);
    assert_eq!(before[..16], after[..16], "position 0 is not turned");
    assert!(rope(&x, &table, 0, 1).is_err());
}

#[test]
fn rope_scales_what_it_turns_and_leaves_the_rest_of_a_head_alone() {
    let mut config = crate::fixtures::TinyModel::new().parsed();
    config.ropes.push(Rope { inverse_frequencies: vec![1.0, 0.3], scale: 1.5 });
    let table = RopeTable::new(&config, 9);
    assert_backward(&[variable(1, (3, 16))], |x| rope(&x[0], &table, 1, 5));
    let x = variable(1, (4, 16));
    let (before, after) = (values(&x), values(&rope(&x, &table, 1, 3).unwrap()));
    let dim = config.head_dim;
    for (old, new) in before.chunks(dim).zip(after.chunks(dim)) {
        let norm = |v: &[f32]| matrix::squared_norm(v).sqrt();
        assert!((norm(&new[..4]) - 1.5 * norm(&old[..4])).abs() < 1e-5);
        assert_eq!(new[4..], old[4..]);
    }
}

fn options(query: usize, key_value: usize) -> AttentionOptions {
    let heads = Heads { query, key_value, dim: 3 };
    AttentionOptions { heads, scale: 0.7, softcap: None, window: None }
}

/// Without cap and window, with each, and with both; a window of one sees nothing but itself.
fn all_options(query: usize, key_value: usize) -> [AttentionOptions; 5] {
    let plain = options(query, key_value);
    let (capped, windowed) = (Some(0.6), Some(2));
    [
        plain,
        AttentionOptions { softcap: capped, ..plain },
        AttentionOptions { window: windowed, ..plain },
        AttentionOptions { softcap: capped, window: windowed, ..plain },
        AttentionOptions { window: Some(1), ..plain },
    ]
}

#[test]
fn attention_has_all_three_gradients() {
    for options in all_options(4, 2) {
        let inputs = [variable(1, (5, 12)), variable(2, (5, 6)), variable(3, (5, 6))];
        assert_backward(&inputs, |x| attention(&x[0], &x[1], &x[2], options));
    }
}

#[test]
fn attention_after_a_cache_has_all_three_gradients() {
    for options in all_options(2, 1) {
        let inputs = [variable(1, (2, 6)), variable(2, (5, 3)), variable(3, (5, 3))];
        assert_backward(&inputs, |x| attention(&x[0], &x[1], &x[2], options));
    }
}

#[test]
fn attention_does_not_look_ahead() {
    let (q, k, v) = (variable(1, (6, 6)), variable(2, (6, 3)), variable(3, (6, 3)));
    let whole = values(&attention(&q, &k, &v, options(2, 1)).unwrap());
    let cut = |t: &Tensor| t.narrow(0, 0, 4).unwrap().contiguous().unwrap();
    let part = values(&attention(&cut(&q), &cut(&k), &cut(&v), options(2, 1)).unwrap());
    for (w, p) in whole.iter().zip(&part) {
        assert!((w - p).abs() < 1e-6);
    }
}

#[test]
fn a_window_hides_the_keys_before_it() {
    let (q, k, v) = (variable(1, (6, 6)), variable(2, (6, 3)), variable(3, (6, 3)));
    let windowed = AttentionOptions { window: Some(2), ..options(2, 1) };
    let whole = values(&attention(&q, &k, &v, windowed).unwrap());
    // The last query over its two keys alone.
    let last = |t: &Tensor, rows: usize| t.narrow(0, 6 - rows, rows).unwrap().contiguous().unwrap();
    let alone = values(&attention(&last(&q, 1), &last(&k, 2), &last(&v, 2), options(2, 1)).unwrap());
    assert!(whole[30..].iter().zip(&alone).all(|(w, a)| (w - a).abs() < 1e-6));
    // A window of one gives each query the value at its own place.
    let own = values(&attention(&q, &k, &v, AttentionOptions { window: Some(1), ..windowed }).unwrap());
    for (row, v) in own.chunks(6).zip(values(&v).chunks(3)) {
        assert_eq!(row, [v, v].concat());
    }
    let wide = AttentionOptions { window: Some(6), ..windowed };
    let plain = values(&attention(&q, &k, &v, options(2, 1)).unwrap());
    assert_eq!(values(&attention(&q, &k, &v, wide).unwrap()), plain);
}

#[test]
fn cross_entropy_has_its_gradient_whatever_the_blocks() {
    let head = variable(2, (7, 4));
    assert_backward(&[variable(1, (5, 4))], |x| {
        head_loss(&x[0], &head, &[0, 6, 2, 2, 5], 0.5, &CrossEntropy)
    });

    // 40 rows of a vocabulary that makes blocks of 16: three blocks, the last one short.
    let (x, head) = (variable(3, (40, 4)), variable(4, (20_000, 4)));
    let targets: Vec<u32> = (0..40).map(|i| i * 499).collect();
    let whole = head_loss(&x, &head, &targets, 1.0, &CrossEntropy).unwrap();
    let gradient = values(whole.backward().unwrap().get(&x).unwrap());
    let mut loss = 0.0;
    for row in 0..40 {
        let one = Var::from_tensor(&x.narrow(0, row, 1).unwrap().contiguous().unwrap()).unwrap();
        let single = head_loss(&one, &head, &targets[row..=row], 1.0, &CrossEntropy).unwrap();
        loss += single.to_scalar::<f32>().unwrap();
        let expected = values(single.backward().unwrap().get(&one).unwrap());
        for (found, expected) in gradient[row * 4..].iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
    let whole = whole.to_scalar::<f32>().unwrap();
    assert!((whole - loss).abs() < 1e-3 * loss, "{whole} {loss}");
}

#[test]
fn cross_entropy_of_huge_logits_is_finite() {
    let x = Var::from_slice(&[1e4f32, -1e4], (1, 2), &Device::Cpu).unwrap();
    let head = Tensor::from_slice(&[1f32, 0.0, 0.0, 1.0], (2, 2), &Device::Cpu).unwrap();
    let loss = head_loss(&x, &head, &[1], 1.0, &CrossEntropy).unwrap();
    assert_eq!(loss.to_scalar::<f32>().unwrap(), 2e4);
    let gradients = loss.backward().unwrap();
    assert_eq!(values(gradients.get(&x).unwrap()), [1.0, -1.0]);
}

#[test]
fn anything_but_contiguous_f32_is_refused() {
    let x = variable(1, (3, 4));
    assert!(read(&x.t().unwrap(), |_| ()).is_err());
    assert!(read(&x.to_dtype(candle_core::DType::F64).unwrap(), |_| ()).is_err());
}

proptest! {
    #[test]
    fn products_equal_the_definition(m in 1usize..20, n in 1usize..40, k in 1usize..40, a_t: bool, b_t: bool, add: bool) {
        let (a, b) = (random(1, m * k, 1.0), random(2, k * n, 1.0));
        let a_view = if a_t { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) };
        let b_view = if b_t { Matrix::new(&b, n, k).t() } else { Matrix::new(&b, k, n) };
        let start = random(3, m * n, 1.0);
        let mut out = start.clone();
        multiply(a_view, b_view, &mut out, n, if add { Write::Add } else { Write::Replace });
        for i in 0..m {
            for j in 0..n {
                let at = |i: usize, l: usize| f64::from(if a_t { a[l * m + i] } else { a[i * k + l] });
                let bt = |l: usize, j: usize| f64::from(if b_t { b[j * k + l] } else { b[l * n + j] });
                let sum: f64 = (0..k).map(|l| at(i, l) * bt(l, j)).sum();
                let expected = sum + if add { f64::from(start[i * n + j]) } else { 0.0 };
                prop_assert!((f64::from(out[i * n + j]) - expected).abs() < 1e-4);
            }
        }
    }
}

#[test]
#[should_panic(expected = "reaches outside")]
fn a_view_beyond_its_values_is_refused() {
    let values = [0.0; 6];
    product(Matrix::strided(&values, 2, 3, 4), Matrix::new(&values, 3, 2));
}

#[test]
#[should_panic(expected = "inner dimensions")]
fn shapes_that_do_not_meet_are_refused() {
    let values = [0.0; 6];
    product(Matrix::new(&values, 2, 3), Matrix::new(&values, 2, 3));
}

#[test]
#[should_panic(expected = "does not fit its output")]
fn an_output_that_is_too_short_is_refused() {
    let values = [0.0; 6];
    multiply(Matrix::new(&values, 2, 3), Matrix::new(&values, 3, 2), &mut [0.0; 3], 2, Write::Replace);
}
