use super::*;

/// A smaller audit than the benchmark's: 2,000 steps, ε = 2.
fn small() -> Setting {
    Setting { records: 2200, batch_size: 22, target_epsilon: 2.0, ..Setting::default() }
}

fn finding(case: &Case, seed: u64) -> Finding {
    audit(case.subject, &case.plan, small().canaries, seed).unwrap()
}

#[test]
fn honest_trainers_stay_below_their_claims() {
    for case in small().cases().unwrap().iter().filter(|case| !case.broken) {
        for seed in 1..=2 {
            let finding = finding(case, seed);
            assert!(!finding.exceeds_claim(), "{} with seed {seed}: {finding:?}", case.name);
            // An audit that never finds anything would be no audit.
            assert!(finding.bound > 0.1, "{} with seed {seed}: {finding:?}", case.name);
        }
    }
}

#[test]
fn every_broken_trainer_is_caught() {
    let cases = small().cases().unwrap();
    assert_eq!(cases.iter().filter(|case| case.broken).count(), 5);
    for case in cases.iter().filter(|case| case.broken) {
        let finding = finding(case, 1);
        assert!(finding.exceeds_claim(), "{}: {finding:?}", case.name);
    }
}

#[test]
fn what_a_broken_trainer_leaks_is_no_offence_under_an_honest_claim() {
    // Half the noise under a plan that says so: as much is found as for the liar, and it is not held against the trainer.
    let liar = small().plan().unwrap();
    let (subject, canaries) = (Subject::HalfNoise, small().canaries);
    let found = audit(subject, &liar, canaries, 1).unwrap();
    let honest = Setting { target_epsilon: 5.0, ..small() }.plan().unwrap();
    let claim = honest.epsilon();
    assert!(found.bound > liar.epsilon() && found.bound < claim, "{found:?} against {claim}");
}

#[test]
fn the_same_seed_finds_the_same_and_another_differs() {
    let setting = Setting { canaries: 300, records: 400, batch_size: 20, epochs: 5, ..small() };
    let plan = setting.plan().unwrap();
    let run = |seed| observe(Subject::Honest, &plan, &toss(seed, 300), seed).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn releases_are_in_units_of_one_clipped_record() {
    let setting = Setting { canaries: 300, records: 400, batch_size: 20, epochs: 5, ..small() };
    let plan = setting.plan().unwrap();
    let present = toss(1, 300);
    let releases = observe(Subject::NoNoise, &plan, &present, 1).unwrap();
    assert_eq!(releases.len(), 300 * plan.steps() as usize);
    for (u, present) in releases.chunks(plan.steps() as usize).zip(present) {
        let hits = u.iter().filter(|u| (**u - 1.0).abs() < 1e-5).count();
        assert_eq!(hits + u.iter().filter(|u| **u == 0.0).count(), u.len(), "{u:?}");
        assert!(present || hits == 0, "a canary that is out shows");
    }
    let noisy = observe(Subject::Honest, &plan, &[false; 300], 1).unwrap();
    let deviation = (noisy.iter().map(|u| f64::from(u * u)).sum::<f64>() / noisy.len() as f64).sqrt();
    assert!((deviation / plan.noise_multiplier() - 1.0).abs() < 0.02, "{deviation}");
}

#[test]
fn settings_that_show_nothing_are_refused() {
    let uneven = Setting { batch_size: 23, ..small() }.plan();
    assert!(matches!(uneven, Err(AuditError::UnevenBatches { records: 2200, batch_size: 23 })));
    assert!(matches!(Setting { batch_size: 0, ..small() }.plan(), Err(AuditError::UnevenBatches { .. })));
    let powerless = Setting { canaries: 30, ..small() }.plan();
    assert!(matches!(powerless, Err(AuditError::Powerless { canaries: 30, .. })));
    assert!(matches!(Setting { delta: 2.0, ..small() }.plan(), Err(AuditError::Plan(_))));
    assert!(Setting::default().plan().is_ok());
}
