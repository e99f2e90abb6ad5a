use super::*;

// Python 3, the closed form with z = 1.959963984540054:
//     p = k / n; c = (p + z*z/(2*n)) / (1 + z*z/n); h = z / (1 + z*z/n) * sqrt(p*(1 - p)/n + z*z/(4*n*n))
//     print(k, n, max(0, c - h), c + h)
const WILSON: [(u64, u64, f64, f64); 4] = [
    (0, 10, 0.0, 0.277_532_799_862_889_4),
    (5, 10, 0.236_593_090_512_564_1, 0.763_406_909_487_436),
    (10, 10, 0.722_467_200_137_110_6, 1.0),
    (123, 1000, 0.104_074_143_251_073, 0.144_811_232_647_035_6),
];

#[test]
fn intervals_are_wilsons() {
    for (hits, tokens, low, high) in WILSON {
        let share = Share::new(hits, tokens);
        assert!((share.low - low).abs() < 1e-6 && (share.high - high).abs() < 1e-6, "{share:?}");
        assert_eq!(share.share, hits as f64 / tokens as f64);
    }
}

fn report() -> Report {
    let share = |hits| Share::new(hits, 1000);
    Report {
        records: 7,
        tokens: 1000,
        unchanged: share(82),
        without_context: share(123),
        with_context: Some(share(205)),
        context_alone: Some(share(300)),
    }
}

#[test]
fn a_report_comes_back_from_json_and_holds_numbers_alone() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(serde_json::from_value::<Report>(json.clone()).unwrap(), report());
    assert_eq!(json["with_context"]["hits"], 205);
    assert!(!json.to_string().contains("\":\""));
    let mut unknown = json;
    unknown["text"] = "x".into();
    assert!(serde_json::from_value::<Report>(unknown).is_err());
}

#[test]
fn the_lines_say_each_number_once() {
    let lines = report().lines("words").join("\n");
    for part in ["1000 words in 7 records", "8.2 %", "12.3 % (10.4 to 14.5)", "20.5 %", "30.0 %", "epsilon"] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
    let plain = Report { with_context: None, context_alone: None, ..report() };
    assert_eq!(plain.lines("tokens").len(), report().lines("tokens").len() - 2);
    assert!(plain.lines("tokens").iter().all(|line| !line.contains("model") && !line.contains('\n')));
}

#[test]
fn the_most_recovered_is_the_best_attack_and_not_the_context_alone() {
    assert_eq!(report().most_recovered().hits, 205);
    assert_eq!(Report { with_context: None, ..report() }.most_recovered().hits, 123);
    assert_eq!(Report { unchanged: Share::new(900, 1000), ..report() }.most_recovered().hits, 900);
}
