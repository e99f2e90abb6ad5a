use super::*;

fn run(seed: u8, test: Option<f64>) -> Run {
    let key = Key { corpus: "plays".into(), method: Method::Naive, epsilon: 6.0, neighbours: 4 };
    Run { key, seed, learning_rate: 1e-3, validation: None, test, tokens: 10, steps: 2, seconds: 0.5 }
}

#[test]
fn runs_are_kept_line_by_line_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.jsonl");
    let mut results = Results::open(&file).unwrap();
    assert!(results.runs().is_empty());
    for (seed, test) in [(0, None), (1, Some(40.0)), (2, Some(44.0))] {
        results.push(run(seed, test)).unwrap();
    }
    let again = Results::open(&file).unwrap();
    assert_eq!(again.runs(), results.runs());
    assert_eq!(again.tests(&run(0, None).key), [40.0, 44.0]);
    assert!(again.find(&run(0, None).key, 2, 1e-3).is_some());
    assert!(again.find(&run(0, None).key, 2, 2e-3).is_none());
    assert_eq!((again.epsilons(), again.set_sizes("plays")), (vec![6.0], vec![4]));
    assert_eq!((again.panels(), again.set_sizes("news")), (vec![("plays".to_owned(), 4)], vec![]));
    std::fs::write(&file, "{\"corpus\": 1}\n").unwrap();
    assert!(format!("{:?}", Results::open(&file).unwrap_err()).contains("line 1"));
}

#[test]
fn a_summary_is_mean_and_deviation() {
    assert_eq!(summary(&[]), None);
    assert_eq!(summary(&[3.0]), Some((3.0, 0.0)));
    assert_eq!(summary(&[1.0, 2.0, 3.0]), Some((2.0, 1.0)));
}
