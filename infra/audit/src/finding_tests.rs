use super::*;
use dp::{Delta, PlanParameters, PrivacyUnit};
use proptest::prelude::*;

fn plan(noise_multiplier: f64) -> DpSgdPlan {
    let parameters = PlanParameters {
        records: 1000,
        expected_batch_size: 10,
        steps: 100,
        max_grad_norm: 1.0,
        delta: Delta::try_from(1e-5).unwrap(),
        unit: PrivacyUnit::Line,
        loss_noise_multiplier: None,
        accountant: dp::Accountant::Pld,
    };
    DpSgdPlan::with_noise_multiplier(parameters, noise_multiplier).unwrap()
}

fn look(made: usize, correct: usize) -> Look {
    Look { attack: "test", share: 1.0, guesses: Guesses { canaries: 1000, made, correct } }
}

#[test]
fn the_extremes_are_guessed_and_the_middle_is_not() {
    let scores = [0.1, 9.0, f64::NEG_INFINITY, 3.0, -2.0, 8.0, 0.2, 0.3, 0.4, 0.5];
    let mut present = [false; 10];
    present[1] = true;
    let found = guess(&scores, &present, 0.4);
    // Highest: canaries 1 (in) and 5 (out). Lowest: canaries 2 and 4, both out.
    assert_eq!(found, Guesses { canaries: 10, made: 4, correct: 3 });
    assert_eq!(guess(&scores, &present, 1.0).made, 10);
    assert_eq!(guess(&scores, &present, 0.1).made, 0);
    assert_eq!(guess(&[], &[], 1.0), Guesses { canaries: 0, made: 0, correct: 0 });
}

#[test]
fn scores_that_are_no_numbers_are_ranked_like_others() {
    let found = guess(&[f64::NAN, 1.0, 2.0, f64::NAN], &[true; 4], 1.0);
    assert_eq!(found, Guesses { canaries: 4, made: 4, correct: 2 });
}

#[test]
fn the_level_is_split_among_the_looks() {
    let alone = Finding::best(&plan(1.0), &[look(1000, 700)]);
    let among = Finding::best(&plan(1.0), &[look(1000, 500), look(1000, 700), look(200, 100), look(10, 1)]);
    assert_eq!(among.look, Some(look(1000, 700)));
    assert_eq!(alone.bound, bound::epsilon_lower_bound(look(1000, 700).guesses, 1e-5, 0.05));
    assert_eq!(among.bound, bound::epsilon_lower_bound(look(1000, 700).guesses, 1e-5, 0.05 / 4.0));
    assert!(among.bound < alone.bound);
}

#[test]
fn no_evidence_gives_a_bound_of_zero() {
    let finding = Finding::best(&plan(1.0), &[look(1000, 500), look(10, 6)]);
    assert_eq!((finding.bound, finding.look), (0.0, Some(look(1000, 500))));
    assert!(!finding.exceeds_claim());
    assert_eq!(Finding::best(&plan(1.0), &[]).look, None);
}

#[test]
fn the_claim_is_the_plans() {
    let all_right = [look(1000, 1000)];
    let strict = Finding::best(&plan(2.0), &all_right);
    let loose = Finding::best(&plan(0.3), &all_right);
    assert_eq!((strict.claim, loose.claim), (plan(2.0).epsilon(), plan(0.3).epsilon()));
    assert!(strict.exceeds_claim() && !loose.exceeds_claim(), "{strict:?} {loose:?}");
}

#[test]
fn an_audit_that_can_refute_nothing_is_refused() {
    assert!(check_power(&plan(2.0), 1000, 4).is_ok());
    let error = check_power(&plan(2.0), 3, 4).unwrap_err();
    assert!(matches!(error, AuditError::Powerless { canaries: 3, .. }), "{error}");
    assert!(check_power(&plan(0.3), 1000, 4).is_err());
}

proptest! {
    #[test]
    fn right_guesses_are_those_that_the_coins_confirm(
        (scores, present) in (2usize..60).prop_flat_map(|n| (
            prop::collection::vec(-5.0f64..5.0, n), prop::collection::vec(any::<bool>(), n),
        )),
        share in 0.1f64..1.0,
    ) {
        let found = guess(&scores, &present, share);
        let negated: Vec<f64> = scores.iter().map(|score| -score).collect();
        let flipped: Vec<bool> = present.iter().map(|present| !present).collect();
        prop_assert!(found.correct <= found.made && found.made <= found.canaries);
        // Against all coins the other way round, every right guess is wrong; so it is with every score the other way round.
        prop_assert_eq!(guess(&scores, &flipped, share).correct, found.made - found.correct);
        prop_assert_eq!(guess(&negated, &present, share).correct, found.made - found.correct);
        let oracle: Vec<f64> = present.iter().map(|&present| f64::from(u8::from(present))).collect();
        prop_assert!(guess(&oracle, &present, share).correct >= found.correct);
    }
}
