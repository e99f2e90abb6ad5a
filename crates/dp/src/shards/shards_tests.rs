use proptest::prelude::*;

use super::*;
use crate::clipped_sum::ClippedSum;
use crate::noise::rounded_gaussian::STANDARD_DEVIATION;
use crate::{Accountant, Delta, MAX_LOSS, PlanParameters, PrivacyUnit, Released};

pub(super) const NORM: f64 = 0.5;
pub(super) const BATCH: usize = 4;

pub(super) fn plan(noise_multiplier: f64, loss_noise_multiplier: Option<f64>) -> DpSgdPlan {
    let parameters = PlanParameters {
        records: 40,
        expected_batch_size: BATCH,
        steps: 20,
        max_grad_norm: NORM,
        delta: Delta::try_from(1e-5).unwrap(),
        unit: PrivacyUnit::Line,
        loss_noise_multiplier,
        accountant: Accountant::Pld,
    };
    DpSgdPlan::with_noise_multiplier(parameters, noise_multiplier).unwrap()
}

pub(super) fn seed(byte: u8) -> SecretSeed {
    SecretSeed::from_bytes([byte; 32])
}

pub(super) fn count(shards: u32) -> ShardCount {
    ShardCount::try_from(shards).unwrap()
}

/// The shards of step `step`, to each of which `add` adds what it likes.
pub(super) fn release(
    plan: &DpSgdPlan,
    step: u64,
    shards: u32,
    dimension: usize,
    add: impl Fn(u32, &mut ShardSum),
) -> Vec<NoisyShard> {
    let one = |id: ShardId| {
        let mut sum = plan.shard(id).unwrap().sum(dimension);
        add(id.index, &mut sum);
        sum.release(&seed(7))
    };
    count(shards).of_step(step).map(one).collect()
}

pub(super) fn combine(
    plan: &DpSgdPlan,
    step: u64,
    shards: u32,
    dimension: usize,
    given: &[NoisyShard],
) -> Result<Released, ShardError> {
    plan.combine(step, count(shards), dimension, given.iter().cloned().map(Ok))
}

#[test]
fn the_shards_of_a_step_make_up_its_batch() {
    let plan = plan(1.0, None);
    for shards in [1, 2, 3, 7, 256] {
        for step in 0..20 {
            let batch = |id: ShardId| plan.shard(id).unwrap().batch(&seed(7));
            let parts: Vec<Vec<usize>> = count(shards).of_step(step).map(batch).collect();
            for (index, part) in parts.iter().enumerate() {
                assert!(part.is_sorted() && part.iter().all(|record| record % shards as usize == index));
            }
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, plan.batch(&seed(7), step));
        }
    }
}

/// Adds six records to the sums, each to one of `shards`.
fn six_records(shards: u32) -> impl Fn(u32, &mut ShardSum) {
    move |index, sum| {
        for record in (index..6).step_by(shards as usize) {
            // Some longer than the norm, some shorter, one that is no number.
            let value = if record == 4 { f32::NAN } else { 0.1 * (record as f32 - 2.0) };
            sum.add(&[value, 0.2, -value], f64::from(record));
        }
    }
}

#[test]
fn shards_that_cover_a_batch_give_its_sum_up_to_the_lattice() {
    for loss_noise in [None, Some(0.5)] {
        let plan = plan(0.5, loss_noise);
        let mut with = plan.step(3);
        for record in 0..6 {
            let value = if record == 4 { f32::NAN } else { 0.1 * (record as f32 - 2.0) };
            with.add(&[value, 0.2, -value], f64::from(record));
        }
        // The noise is that of sums of nothing, so the differences are the clipped sums themselves.
        let difference = |with: Released, without: Released| {
            let gradient = with.gradient.iter().zip(&without.gradient).map(|(a, b)| f64::from(a - b));
            gradient.chain(with.loss.map(|loss| loss - without.loss.unwrap())).collect::<Vec<f64>>()
        };
        let whole = difference(with.release(&seed(7), 3), plan.step(3).release(&seed(7), 3));
        assert!(whole[1] > 0.1 && whole.len() == 3 + usize::from(loss_noise.is_some()), "{whole:?}");
        for shards in [1, 2, 3, 6, 50] {
            let sum = |add: &dyn Fn(u32, &mut ShardSum)| {
                combine(&plan, 3, shards, 3, &release(&plan, 3, shards, 3, add)).unwrap()
            };
            let found = difference(sum(&six_records(shards)), sum(&|_, _| ()));
            let gap = whole.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(gap < 1e-6, "{shards} shards: {found:?} against {whole:?}");
        }
    }
}

#[test]
fn neither_order_nor_a_repetition_changes_a_bit() {
    let plan = plan(0.8, Some(2.0));
    let shards = release(&plan, 5, 4, 3, six_records(4));
    let released = combine(&plan, 5, 4, 3, &shards).unwrap();
    let bits = |released: &Released| {
        (released.gradient.iter().map(|x| x.to_bits()).collect::<Vec<u32>>(), released.loss)
    };
    for rotation in 0..4 {
        let mut turned = shards.clone();
        turned.rotate_left(rotation);
        turned.swap(0, 2);
        assert_eq!(bits(&combine(&plan, 5, 4, 3, &turned).unwrap()), bits(&released));
    }
    assert_eq!(release(&plan, 5, 4, 3, six_records(4)), shards);
}

#[test]
fn every_shard_has_noise_of_its_own() {
    let plan = plan(1.0, Some(1.0));
    let mut seen = std::collections::HashSet::new();
    let mut first = |value: i64| assert!(seen.insert(value), "noise is repeated");
    for step in [0, 1, 2, 19] {
        for shards in [1, 2, 3, 256] {
            for shard in release(&plan, step, shards, 1, |_, _| ()) {
                first(shard.gradient[0]);
                first(shard.loss.unwrap());
            }
        }
        // Nor is it that of a step that is not split.
        for purpose in [Purpose::GradientNoise, Purpose::LossNoise] {
            let whole = ClippedSum::new(1, NORM, 1.0).unwrap();
            first(whole.release_points(&mut seed(7).stream(purpose, step))[0]);
        }
    }
}

#[test]
fn streams_of_different_steps_counts_and_shards_differ() {
    let ids = [0, 1, 255, 256, crate::MAX_STEPS - 1]
        .into_iter()
        .flat_map(|step| [1, 2, 255, 256].into_iter().flat_map(move |shards| count(shards).of_step(step)));
    let streams: Vec<u64> = ids.map(ShardId::stream).collect();
    let distinct: std::collections::HashSet<&u64> = streams.iter().collect();
    assert_eq!(distinct.len(), streams.len());
    let id = ShardId { step: 3, index: 5, count: count(9) };
    assert_eq!(id.stream(), 3 * 65_536 + 8 * 256 + 5);
}

#[test]
fn only_as_many_shards_as_the_noise_allows() {
    let refused =
        |plan: &DpSgdPlan, shards| plan.shard(ShardId { step: 0, index: 0, count: count(shards) }).err();
    let little = ShardError::TooLittleNoise { noise: 0.05, count: 26, max: 25 };
    assert_eq!(refused(&plan(0.05, None), 26), Some(little.clone()));
    assert_eq!(refused(&plan(1.0, Some(0.05)), 26), Some(little));
    assert_eq!(refused(&plan(0.05, None), 25), None);
    assert_eq!(refused(&plan(0.16, None), 256), None);
    assert_eq!(refused(&plan(0.01, None), 1), None);
}

#[test]
fn steps_and_shards_that_are_not_there_are_refused() {
    let plan = plan(1.0, None);
    let refused = |step, index| plan.shard(ShardId { step, index, count: count(3) }).unwrap_err();
    assert_eq!(refused(20, 0), ShardError::Step { step: 20, steps: 20 });
    assert_eq!(refused(0, 3), ShardError::Index { index: 3, count: 3 });
    for shards in [0, 257, u32::MAX] {
        assert_eq!(ShardCount::try_from(shards), Err(ShardError::Count(shards)));
        assert!(serde_json::from_str::<ShardCount>(&shards.to_string()).is_err());
    }
    assert_eq!(ShardCount::default(), count(1));
    for shards in [1, 256] {
        let text = serde_json::to_string(&count(shards)).unwrap();
        assert_eq!(
            (text.as_str(), serde_json::from_str(&text).unwrap()),
            (&*shards.to_string(), count(shards))
        );
    }
}

#[test]
fn what_does_not_make_up_the_step_is_refused_by_name() {
    let plan = plan(1.0, Some(1.0));
    let shards = release(&plan, 5, 3, 2, |_, _| ());
    let id = |index| ShardId { step: 5, index, count: count(3) };
    let refused = |change: &dyn Fn(&mut Vec<NoisyShard>)| {
        let mut shards = shards.clone();
        change(&mut shards);
        combine(&plan, 5, 3, 2, &shards).unwrap_err()
    };
    assert_eq!(refused(&|shards| drop(shards.remove(1))), ShardError::Missing(id(1)));
    assert_eq!(refused(&Vec::clear), ShardError::Missing(id(0)));
    assert_eq!(refused(&|shards| shards.push(shards[2].clone())), ShardError::Twice(id(2)));
    assert_eq!(refused(&|shards| shards[0].id.index = 3), ShardError::Index { index: 3, count: 3 });
    for other in [ShardId { step: 4, ..id(0) }, ShardId { count: count(4), ..id(0) }] {
        let found = refused(&|shards| shards[0].id = other);
        assert_eq!(found, ShardError::OtherStep { found: other, step: 5, count: 3 });
    }
    let dimension = ShardError::Dimension { id: id(2), found: 3, wanted: 2 };
    assert_eq!(refused(&|shards| shards[2].gradient.push(0)), dimension);
    assert_eq!(refused(&|shards| shards[1].loss = None), ShardError::Loss(id(1)));
    for extreme in [i64::MAX, i64::MIN] {
        let both =
            |shards: &mut Vec<NoisyShard>| shards[..2].iter_mut().for_each(|s| s.gradient[1] = extreme);
        assert_eq!(refused(&both), ShardError::Overflow(id(1)));
        let both = |shards: &mut Vec<NoisyShard>| shards[..2].iter_mut().for_each(|s| s.loss = Some(extreme));
        assert_eq!(refused(&both), ShardError::Overflow(id(1)));
    }
    let late = plan.combine(20, count(3), 2, shards.iter().cloned().map(Ok::<_, ShardError>));
    assert_eq!(late, Err(ShardError::Step { step: 20, steps: 20 }));
    let unread = plan.combine(5, count(3), 2, [Err(ShardError::Count(0))]);
    assert_eq!(unread, Err(ShardError::Count(0)), "the error of what yields the shards is handed on");
}

proptest! {
    #[test]
    fn shards_are_combined_by_plain_sums_of_whole_numbers(
        values in prop::collection::vec(prop::array::uniform4(-(1_i64 << 50)..1_i64 << 50), 1..20),
        step in 0_u64..20,
    ) {
        let (plan, shards) = (plan(1.0, Some(2.0)), values.len() as u32);
        let noisy = |(id, values): (ShardId, &[i64; 4])| {
            NoisyShard { id, gradient: values[..3].to_vec(), loss: Some(values[3]) }
        };
        let given: Vec<NoisyShard> = count(shards).of_step(step).zip(&values).map(noisy).collect();
        let released = combine(&plan, step, shards, 3, &given).unwrap();
        let sum = |place: usize| values.iter().map(|values| values[place]).sum::<i64>() as f64;
        let lattice = |each: f64, norm: f64| each * norm / STANDARD_DEVIATION / BATCH as f64;
        for place in 0..3 {
            let expected = sum(place) * lattice(share(1.0, count(shards)), NORM);
            prop_assert_eq!(released.gradient[place], expected as f32);
        }
        let expected = MAX_LOSS / 2.0 + sum(3) * lattice(share(2.0, count(shards)), MAX_LOSS / 2.0);
        prop_assert!((released.loss.unwrap() - expected).abs() <= 1e-12 * expected.abs().max(1.0));
    }
}
