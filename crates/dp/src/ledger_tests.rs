use proptest::prelude::*;

use super::*;

fn budget(epsilon: f64) -> Budget {
    Budget { epsilon: Epsilon::try_from(epsilon).unwrap(), delta: Delta::try_from(1e-5).unwrap() }
}

/// About ε = 8 at δ = 1e-5.
fn job() -> Event {
    Event::subsampled_gaussian(0.6, 0.02, 130).unwrap()
}

fn small() -> Event {
    Event::subsampled_gaussian(2.0, 0.02, 130).unwrap()
}

#[test]
fn one_job_costs_exactly_its_own_epsilon() {
    let ledger = Ledger::new(budget(20.0));
    assert_eq!(ledger.spent(), 0.0);
    let ledger = ledger.charge("a", job(), 1).unwrap();
    assert_eq!(ledger.spent(), pld::epsilon(&[job()], budget(20.0).delta));
    assert!(ledger.covers("a", job()) && !ledger.covers("a", small()) && !ledger.covers("b", job()));
}

#[test]
fn a_job_over_budget_is_refused_and_nothing_changes() {
    let limit = pld::epsilon(&[job()], budget(1.0).delta);
    assert!(Ledger::new(budget(limit)).charge("a", job(), 1).is_ok());
    let ledger = Ledger::new(budget(limit * 0.999));
    let Err(LedgerError::OverBudget { total, spent, limit }) = ledger.charge("a", job(), 1) else { panic!() };
    assert!(total > limit && spent == 0.0);
}

#[test]
fn charges_add_up_until_the_budget_is_gone() {
    let mut ledger = Ledger::new(budget(20.0));
    let mut accepted = 0;
    while let Ok(next) = ledger.charge(&format!("job {accepted}"), job(), accepted) {
        assert!(next.spent() > ledger.spent() && next.spent() <= 20.0);
        ledger = next;
        accepted += 1;
    }
    assert_eq!(accepted, 10);
    // The filter never says less than the composition of jobs that were fixed beforehand.
    let events = [job(); 10];
    assert!(ledger.spent() > pld::epsilon(&events, ledger.budget().delta));
    let noise = ledger.affordable_noise(0.02, 130).unwrap();
    let fitting = Event::subsampled_gaussian(noise, 0.02, 130).unwrap();
    let too_much = Event::subsampled_gaussian(noise * 0.98, 0.02, 130).unwrap();
    assert!(ledger.charge("small", fitting, 9).is_ok());
    assert!(ledger.charge("small", too_much, 9).is_err());
}

#[test]
fn charging_a_job_twice_is_charging_it_once() {
    let ledger = Ledger::new(budget(20.0)).charge("a", job(), 1).unwrap();
    assert_eq!(ledger.charge("a", job(), 2).unwrap(), ledger);
    assert_eq!(ledger.charge("a", small(), 2), Err(LedgerError::OtherCharge("a".into())));
    let settled = ledger.settle("a", &[job()]).unwrap();
    assert_eq!(settled.charge("a", job(), 2).unwrap(), settled);
}

#[test]
fn what_was_not_released_is_given_back_once() {
    let ledger = ["a", "b", "c"]
        .iter()
        .fold(Ledger::new(budget(14.0)), |ledger, id| ledger.charge(id, job(), 1).unwrap());
    assert!(ledger.charge("d", job(), 3).is_err());
    let settled = ledger.settle("b", &[]).unwrap();
    assert!(settled.spent() < ledger.spent());
    assert_eq!(settled.charge("d", job(), 3).unwrap().charges().len(), 4);
    assert_eq!(settled.settle("b", &[]), Err(LedgerError::NotReserved("b".into())));
    assert_eq!(settled.settle("z", &[]), Err(LedgerError::NotReserved("z".into())));
    // A job that begins after it was given up is charged anew.
    let again = settled.charge("b", job(), 4).unwrap();
    assert!(again.covers("b", job()) && again.charges().len() == 3);
    assert_eq!(again.spent(), ledger.spent());
}

#[test]
fn no_job_can_have_released_more_than_it_was_charged_for() {
    let ledger = Ledger::new(budget(20.0)).charge("a", job(), 1).unwrap();
    let more = |noise, rate, steps| [Event::subsampled_gaussian(noise, rate, steps).unwrap()];
    for released in [more(0.59, 0.02, 130), more(0.6, 0.021, 130), more(0.6, 0.02, 131)] {
        assert_eq!(ledger.settle("a", &released), Err(LedgerError::MoreThanReserved("a".into())));
    }
    assert_eq!(ledger.settle("a", &[small(), small()]), Err(LedgerError::MoreThanReserved("a".into())));
    let part = more(2.6, 0.02, 40);
    let settled = ledger.settle("a", &part).unwrap();
    assert_eq!(
        (settled.charges()[0].events.as_slice(), settled.charges()[0].state),
        (&part[..], ChargeState::Settled)
    );
}

#[test]
fn a_ledger_is_read_back_as_written_and_a_damaged_one_is_not() {
    let ledger = Ledger::new(budget(20.0)).charge("a", job(), 1).unwrap().charge("b", small(), 2).unwrap();
    let written = serde_json::to_value(&ledger).unwrap();
    assert_eq!(serde_json::from_value::<Ledger>(written.clone()).unwrap(), ledger);
    let mut bad = written.clone();
    bad["version"] = 2.into();
    assert!(serde_json::from_value::<Ledger>(bad).is_err());
    let mut bad = written.clone();
    bad["charges"][1]["id"] = "a".into();
    assert!(serde_json::from_value::<Ledger>(bad).is_err());
    let mut bad = written;
    bad["charges"][0]["events"][0]["noise_multiplier"] = 0.into();
    assert!(serde_json::from_value::<Ledger>(bad).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_filters_conversion_holds_for_gaussians(epsilon in 0.5_f64..30.0, noise in 0.3_f64..20.0, parts in 2_usize..6) {
        // Several full-batch Gaussians are one of noise z/√k, whose δ is known exactly: Balle & Wang 2018, Theorem 8.
        let budget = budget(epsilon);
        let events = vec![Event::subsampled_gaussian(noise, 1.0, 1).unwrap(); parts];
        let bound = budget.filtered(&events);
        let z = noise / (parts as f64).sqrt();
        let phi = crate::test_statistics::normal_cumulative;
        let exact = phi(0.5 / z - bound * z) - bound.exp() * phi(-0.5 / z - bound * z);
        prop_assert!(exact <= 1e-5, "{} {}", bound, exact);
    }

    #[test]
    fn the_order_does_not_depend_on_what_is_charged(epsilon in 0.5_f64..30.0, noise in 0.5_f64..20.0) {
        let ledger = Ledger::new(budget(epsilon));
        let event = Event::subsampled_gaussian(noise, 0.01, 100).unwrap();
        if let Ok(charged) = ledger.charge("a", event, 0) {
            prop_assert_eq!(charged.budget().order(), ledger.budget().order());
        }
    }
}

#[test]
fn a_charge_stands_for_earlier_attempts_only_if_it_holds_what_they_released() {
    let part = Event::subsampled_gaussian(2.6, 0.02, 40).unwrap();
    let ledger = Ledger::new(budget(40.0)).charge("a", job(), 1).unwrap().settle("a", &[part]).unwrap();
    let ledger = ledger.charge("b", small(), 1).unwrap();
    let earlier = ["a".to_owned()];
    let names = |ledger: &Ledger| ledger.charges().iter().map(|charge| charge.id.clone()).collect::<Vec<_>>();
    assert_eq!(ledger.with_attempts_merged("c", &earlier), ledger, "nothing without the charge itself");
    let charged = ledger.charge("c", job(), 2).unwrap();
    let merged = charged.with_attempts_merged("c", &earlier);
    assert_eq!(names(&merged), ["b", "c"]);
    assert!(merged.spent() < charged.spent());
    let other = ledger.charge("c", Event::subsampled_gaussian(3.0, 0.02, 10).unwrap(), 2).unwrap();
    assert_eq!(other.with_attempts_merged("c", &earlier), other, "its own charge does not hold that part");
}
