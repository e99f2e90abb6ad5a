//! Properties the whole-model tests in `backward_tests.rs` do not show by themselves.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const CONFIG: ModelConfig = ModelConfig {
    vocab_size: 8,
    hidden_size: 32,
    layers: 1,
    heads: 4,
    kv_heads: 2,
    intermediate_size: 8,
    rope_theta: 10_000.0,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 128,
};
/// More than one query block, and not a multiple of it.
const LENGTH: usize = QUERY_BLOCK + 9;

fn projections(sequences: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..sequences * LENGTH * CONFIG.qkv_dim()).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn attend(qkv: &[f32]) -> Vec<f32> {
    let rows = qkv.len() / CONFIG.qkv_dim();
    let (mut output, mut probabilities) =
        (vec![0.0; rows * CONFIG.hidden_size], vec![0.0; rows * CONFIG.heads * LENGTH]);
    Attention { config: CONFIG, length: LENGTH, precision: Precision::Single }.forward(
        &mut output,
        &mut probabilities,
        qkv,
    );
    output
}

#[test]
fn the_future_does_not_reach_back() {
    let qkv = projections(1);
    let mut changed = qkv.clone();
    let cut = LENGTH - 5;
    changed[cut * CONFIG.qkv_dim()..].iter_mut().for_each(|v| *v = -*v);
    let (before, after) = (attend(&qkv), attend(&changed));
    let at = cut * CONFIG.hidden_size;
    assert_eq!(before[..at], after[..at]);
    assert_ne!(before[at..], after[at..], "the change itself must show");
}

#[test]
fn sequences_do_not_mix() {
    let qkv = projections(2);
    let (one, two) = qkv.split_at(qkv.len() / 2);
    assert_eq!(attend(&qkv), [attend(one), attend(two)].concat());
}

#[test]
fn first_token_sees_only_itself() {
    let qkv = projections(1);
    let values = &qkv[CONFIG.hidden_size + CONFIG.kv_dim()..CONFIG.qkv_dim()];
    let dim = CONFIG.head_dim();
    let expected = [&values[..dim], &values[..dim], &values[dim..], &values[dim..]].concat();
    assert_eq!(attend(&qkv)[..CONFIG.hidden_size], expected);
}

#[test]
fn turning_back_undoes_turning() {
    let rotary = Rotary::new(&CONFIG, LENGTH);
    let qkv = projections(2);
    let mut turned = qkv.clone();
    rotary.apply(&CONFIG, &mut turned, LENGTH, false);
    assert_ne!(turned, qkv);
    rotary.apply(&CONFIG, &mut turned, LENGTH, true);
    for (a, b) in turned.iter().zip(&qkv) {
        assert!((a - b).abs() < 1e-6);
    }
}

#[test]
fn scores_depend_on_distance_only() {
    let rotary = Rotary::new(&CONFIG, LENGTH);
    let row = &projections(1)[..CONFIG.qkv_dim()];
    let mut all = row.repeat(LENGTH);
    rotary.apply(&CONFIG, &mut all, LENGTH, false);
    let head =
        |position: usize, start: usize| &all[position * CONFIG.qkv_dim() + start..][..CONFIG.head_dim()];
    let score = |query: usize, key: usize| -> f32 {
        head(query, 0).iter().zip(head(key, CONFIG.hidden_size)).map(|(q, k)| q * k).sum()
    };
    assert!((score(7, 3) - score(60, 56)).abs() < 1e-4);
    assert!((score(7, 3) - score(60, 50)).abs() > 1e-3, "another distance gives another score");
    assert_eq!(
        row[CONFIG.hidden_size + CONFIG.kv_dim()..],
        all[CONFIG.hidden_size + CONFIG.kv_dim()..CONFIG.qkv_dim()]
    );
}
