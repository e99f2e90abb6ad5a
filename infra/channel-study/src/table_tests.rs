use super::*;
use crate::results::Run;

pub(crate) fn some_results(folder: &std::path::Path) -> Results {
    let mut results = Results::open(&folder.join("runs.jsonl")).unwrap();
    let rows = [
        (Method::Base, 0.0, 0, [110.0, 110.0]),
        (Method::Naive, 4.0, 1, [300.0, 310.0]),
        (Method::Naive, 8.0, 1, [200.0, 220.0]),
        (Method::PosteriorMean, 8.0, 1, [70.0, 72.0]),
        (Method::Clean, 0.0, 0, [29.0, 30.0]),
    ];
    for (method, epsilon, neighbours, tests) in rows {
        for (seed, test) in (1..).zip(tests) {
            let key = Key { corpus: "plays".into(), method, epsilon, neighbours };
            let test = Some(test);
            let run = Run {
                key,
                seed,
                learning_rate: 1e-3,
                validation: None,
                test,
                tokens: 1,
                steps: 1,
                seconds: 1.0,
            };
            results.push(run).unwrap();
        }
    }
    results
}

#[test]
fn each_method_is_a_row_and_each_epsilon_a_column() {
    let folder = tempfile::tempdir().unwrap();
    let text = markdown(&some_results(folder.path()));
    let expected = "**plays, k-RR (m = 1)**\n\n\
        | method | ε = 4 | ε = 8 |\n|---|---:|---:|\n\
        | base, no training | 110.0 ± 0.0 | 110.0 ± 0.0 |\n\
        | naive | 305.0 ± 7.1 | 210.0 ± 14.1 |\n\
        | corrected loss, posterior-mean context | – | 71.0 ± 1.4 |\n\
        | clean text | 29.5 ± 0.7 | 29.5 ± 0.7 |\n\n";
    assert_eq!(text, expected);
}
