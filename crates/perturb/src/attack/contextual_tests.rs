use proptest::prelude::*;

use super::*;
use crate::attack::test_models::{Bigram, all_records};
use crate::attack::{FnLikelihood, Record};
use crate::test_fixtures::rng;

const ITEMS: u32 = 3;

fn row(keep: f64) -> impl Fn(u32) -> LikelihoodRow<'static> {
    let other = ((1.0 - keep) / f64::from(ITEMS - 1)).ln();
    move |y| LikelihoodRow { likely: vec![(y, keep.ln())].into(), others: other }
}

fn sample(original: &[u32], observed: &[u32]) -> Sample {
    let record = Record::new(original.to_vec(), observed.to_vec()).unwrap();
    Sample::draw(1, usize::MAX, &mut rng(1), |_| Ok::<_, AttackError>(record.clone())).unwrap()
}

fn options(beam_width: usize) -> AttackOptions {
    AttackOptions { beam_width, candidates: None, prior_weight: 0.0 }
}

fn run(sample: Sample, keep: f64, model: &Bigram, options: AttackOptions) -> Report {
    let likelihood = FnLikelihood::new(ITEMS as usize, row(keep));
    let prior = Prior::uniform(ITEMS as usize);
    let mut attack = Attack::begin(sample, likelihood, prior, model.clone(), options).unwrap();
    while !attack.is_done() {
        attack.step(2).unwrap();
    }
    attack.finish().unwrap()
}

/// ln P(observed | record) + ln p(record).
fn joint(record: &[u32], observed: &[u32], keep: f64, model: &Bigram) -> f64 {
    let channel: f64 = record.iter().zip(observed).map(|(x, y)| row(keep)(*y).of(*x)).sum();
    channel + model.ln(record)
}

/// Of all records: the likeliest one, and at each place the likeliest item given the outputs up to it.
fn optimum(observed: &[u32], keep: f64, model: &Bigram) -> (Vec<u32>, Vec<u32>) {
    let score = |record: &Vec<u32>| joint(record, &observed[..record.len()], keep, model);
    let best = all_records(ITEMS, observed.len()).into_iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    let at_once = (1..=observed.len()).map(|length| {
        let weight = |item: u32| -> f64 {
            all_records(ITEMS, length).iter().filter(|r| r[length - 1] == item).map(|r| score(r).exp()).sum()
        };
        (0..ITEMS).max_by(|a, b| weight(*a).total_cmp(&weight(*b))).unwrap()
    });
    (best.unwrap(), at_once.collect())
}

fn hits(a: &[u32], b: &[u32]) -> u64 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_beam_that_holds_everything_finds_the_optimum(
        original in prop::collection::vec(0..ITEMS, 1..5), seed: u64, keep in 0.2..0.9_f64, observed in prop::collection::vec(0..ITEMS, 5),
    ) {
        let observed = &observed[..original.len()];
        let model = Bigram::random(ITEMS as usize, 2.0, seed);
        // 27 beginnings of three items, of which a fourth makes 81 records.
        let report = run(sample(&original, observed), keep, &model, options(27));
        let (best, at_once) = optimum(observed, keep, &model);
        let found = report.with_context.unwrap().hits;
        prop_assert_eq!(found, hits(&best, &original).max(hits(&at_once, &original)));
        let before = std::iter::once(None).chain(original.iter().copied().map(Some));
        let blind = before.zip(&original).filter(|(before, item)| {
            let row = model.row(*before);
            row.iter().all(|p| *p <= row[**item as usize])
        });
        prop_assert_eq!(report.context_alone.unwrap().hits, blind.count() as u64);
    }
}

/// 3,000 tokens of the model's own text through the channel.
fn text(model: &Bigram, keep: f64) -> Sample {
    use rand::Rng as _;
    let mut rng = rng(6);
    let mut uniform = move || f64::from(rng.next_u32()) / 2_f64.powi(32);
    let records: Vec<Record> = (0..100)
        .map(|_| {
            let (mut original, mut observed) = (Vec::new(), Vec::new());
            for _ in 0..30 {
                let mut left = uniform();
                let row = model.row(original.last().copied());
                let item = row
                    .iter()
                    .position(|p| {
                        left -= p;
                        left < 0.0
                    })
                    .unwrap_or(2) as u32;
                let moved = if uniform() < keep { 0 } else { 1 + u32::from(uniform() < 0.5) };
                original.push(item);
                observed.push((item + moved) % ITEMS);
            }
            Record::new(original, observed).unwrap()
        })
        .collect();
    Sample::draw(100, usize::MAX, &mut self::rng(2), |index| Ok::<_, AttackError>(records[index].clone()))
        .unwrap()
}

#[test]
fn context_helps_where_there_is_some_and_cannot_where_there_is_none() {
    let telling = Bigram::random(3, 4.0, 5);
    let report = run(text(&telling, 0.6), 0.6, &telling, options(4));
    assert_eq!(report.tokens, 3_000);
    assert!((report.unchanged.share - 0.6).abs() < 0.05, "{report:?}");
    let with = report.with_context.unwrap();
    assert!(with.low > report.without_context.high, "{report:?}");
    // The negative control: a model by which every item is alike leaves what there is without it.
    let silent = Bigram { first: vec![1.0 / 3.0; 3], after: vec![vec![1.0 / 3.0; 3]; 3] };
    let report = run(text(&telling, 0.6), 0.6, &silent, options(4));
    assert_eq!(report.with_context, Some(report.without_context));
}

#[test]
fn a_silent_channel_leaves_the_language_and_an_open_one_everything() {
    let model = Bigram::random(3, 4.0, 5);
    let silent = run(text(&model, 1.0 / 3.0), 1.0 / 3.0, &model, options(8));
    let (with, alone) = (silent.with_context.unwrap(), silent.context_alone.unwrap());
    // The one who sees nothing knows no more than the one who knows the true tokens before.
    assert!(with.share <= alone.share && (silent.unchanged.share - 1.0 / 3.0).abs() < 0.05, "{silent:?}");
    let open = run(text(&model, 1.0), 1.0 - 1e-12, &model, options(1));
    assert_eq!((open.with_context.unwrap().share, open.unchanged.share), (1.0, 1.0));
}

#[test]
fn steps_of_any_size_give_one_report() {
    let model = Bigram::random(3, 4.0, 5);
    let likelihood = FnLikelihood::new(3, row(0.6));
    let begin =
        |sample| Attack::begin(sample, &likelihood, Prior::uniform(3), model.clone(), options(2)).unwrap();
    let (mut whole, mut stepped) = (begin(text(&model, 0.6)), begin(text(&model, 0.6)));
    assert_eq!(whole.step(usize::MAX).unwrap(), AttackProgress { done: 3_000, total: 3_000 });
    for done in (0..3_000).step_by(7) {
        assert_eq!(stepped.progress(), AttackProgress { done, total: 3_000 });
        stepped.step(7).unwrap();
    }
    assert_eq!(stepped.finish().unwrap(), whole.finish().unwrap());
    let mut early = begin(text(&model, 0.6));
    early.step(10).unwrap();
    assert_eq!(format!("{early:?}"), "Attack { progress: AttackProgress { done: 10, total: 3000 }, .. }");
    assert_eq!(early.finish().unwrap_err(), AttackError::Unfinished { left: 2_990 });
}

#[test]
fn the_prior_is_mixed_by_its_weight() {
    let prior = Prior::from_counts(&[2, 0, 0]);
    let mut ln_context = [0.1_f64.ln(), 0.6_f64.ln()];
    mix(&mut ln_context, &[0, 2], &prior, 0.25);
    let expected = [0.75 * 0.1 + 0.25 * 0.6, 0.75 * 0.6 + 0.25 * 0.2];
    assert!(ln_context.iter().zip(expected).all(|(ln, p)| (ln.exp() - p).abs() < 1e-12), "{ln_context:?}");
}

#[test]
fn parts_and_options_that_do_not_fit_are_refused() {
    let model = Bigram::random(3, 1.0, 5);
    let begin = |items: usize, prior: usize, options| {
        let likelihood = FnLikelihood::new(items, row(0.6));
        Attack::begin(sample(&[1], &[2]), likelihood, Prior::uniform(prior), model.clone(), options)
            .unwrap_err()
    };
    let fine = options(1);
    assert_eq!(begin(2, 2, fine), AttackError::Item { item: 2, items: 2 });
    assert_eq!(begin(3, 2, fine), AttackError::Items { part: "prior", found: 2, items: 3 });
    assert!(matches!(begin(4, 4, fine), AttackError::Items { found: 3, items: 4, .. }));
    for broken in [
        options(0),
        options(65),
        AttackOptions { candidates: Some(0), ..fine },
        AttackOptions { prior_weight: 1.0, ..fine },
        AttackOptions { prior_weight: -0.1, ..fine },
        AttackOptions { prior_weight: f64::NAN, ..fine },
    ] {
        assert!(matches!(begin(3, 3, broken), AttackError::Option { .. }), "{broken:?}");
    }
}

#[test]
fn a_broken_likelihood_is_found_when_it_is_used() {
    let likelihood = FnLikelihood::new(3, |_| LikelihoodRow { likely: vec![(3, 0.0)].into(), others: -1.0 });
    let model = Bigram::random(3, 1.0, 5);
    let mut attack =
        Attack::begin(sample(&[1], &[2]), likelihood, Prior::uniform(3), model, options(1)).unwrap();
    assert_eq!(attack.step(1), Err(AttackError::Likelihood { output: 2 }));
}
