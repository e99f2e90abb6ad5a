use super::*;

fn account_args() -> AccountArgs {
    AccountArgs {
        noise_multiplier: 1.1,
        sampling_rate: 0.01,
        steps: 1000,
        delta: 1e-5,
        accountant: AccountantName::Pld,
        json: true,
    }
}

fn calibrate_args() -> CalibrateArgs {
    CalibrateArgs {
        epsilon: 2.0,
        delta: 1e-5,
        noise_multiplier: None,
        sampling_rate: Some(0.01),
        steps: Some(1000),
        json: true,
    }
}

fn json(text: anyhow::Result<String>) -> serde_json::Value {
    serde_json::from_str(&text.unwrap()).unwrap()
}

#[test]
fn both_accountants_answer_and_pld_is_tighter() {
    let pld = json(account_text(&account_args()));
    let rdp = json(account_text(&AccountArgs { accountant: AccountantName::Rdp, ..account_args() }));
    assert_eq!((&pld["accountant"], &rdp["accountant"]), (&json!("pld"), &json!("rdp")));
    // The exact value is 1.515362.
    let (pld, rdp) = (pld["epsilon"].as_f64().unwrap(), rdp["epsilon"].as_f64().unwrap());
    assert!(pld > 1.515_362 && pld < 1.517 && rdp > 1.7 && rdp < 1.72, "{pld} {rdp}");
}

#[test]
fn what_has_no_bound_is_null_and_said_so() {
    let hopeless = AccountArgs { noise_multiplier: 0.01, ..account_args() };
    assert!(json(account_text(&hopeless))["epsilon"].is_null());
    assert!(account_text(&AccountArgs { json: false, ..hopeless }).unwrap().contains("no bound"));
}

#[test]
fn the_missing_one_of_three_is_found() {
    let noise = json(calibrate_text(&calibrate_args()));
    let found = noise["noise_multiplier"].as_f64();
    let steps =
        json(calibrate_text(&CalibrateArgs { noise_multiplier: found, steps: None, ..calibrate_args() }));
    let rate = json(calibrate_text(&CalibrateArgs {
        noise_multiplier: found,
        sampling_rate: None,
        ..calibrate_args()
    }));
    for result in [&noise, &steps, &rate] {
        let epsilon = result["epsilon"].as_f64().unwrap();
        assert!(epsilon <= 2.0 && epsilon > 1.99, "{result}");
    }
    assert!(steps["steps"].as_u64().unwrap().abs_diff(1000) <= 4, "{steps}");
    assert!((rate["sampling_rate"].as_f64().unwrap() / 0.01 - 1.0).abs() < 2e-3, "{rate}");
}

#[test]
fn nonsense_is_an_error_and_never_a_number() {
    let accounts = [
        AccountArgs { noise_multiplier: 0.0, ..account_args() },
        AccountArgs { noise_multiplier: f64::NAN, ..account_args() },
        AccountArgs { sampling_rate: 1.5, ..account_args() },
        AccountArgs { sampling_rate: f64::NAN, ..account_args() },
        AccountArgs { steps: 0, ..account_args() },
        AccountArgs { delta: 1.0, ..account_args() },
        AccountArgs { delta: f64::NAN, ..account_args() },
    ];
    for accountant in [AccountantName::Pld, AccountantName::Rdp] {
        for args in &accounts {
            let args = AccountArgs { accountant, ..*args };
            let error = account_text(&args).expect_err("nonsense").to_string();
            assert!(error.contains("give") && !error.contains('\n'), "{error}");
        }
    }
    for args in [
        CalibrateArgs { epsilon: f64::NAN, ..calibrate_args() },
        CalibrateArgs { epsilon: -1.0, ..calibrate_args() },
        CalibrateArgs { delta: 0.0, ..calibrate_args() },
        CalibrateArgs { sampling_rate: Some(2.0), ..calibrate_args() },
        CalibrateArgs { steps: Some(0), ..calibrate_args() },
        CalibrateArgs { steps: None, ..calibrate_args() },
        CalibrateArgs { noise_multiplier: Some(1.0), ..calibrate_args() },
    ] {
        let error = calibrate_text(&args).expect_err("nonsense").to_string();
        assert!(error.contains("give") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_printed_epsilon_is_never_below_the_computed_one() {
    for epsilon in [0.0, 1e-9, 0.1, 1.000_000_5, 1.515_521_9, 1e5 / 3.0] {
        let printed: f64 = up(epsilon).parse().unwrap();
        assert!(printed >= epsilon && printed < epsilon + 2e-6, "{epsilon} {printed}");
    }
}
