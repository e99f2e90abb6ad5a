use super::*;

const OURS: &str = concat!(
    r#"{"program":"trainer","samples_per_second":{"median":20.5,"best":22},"peak_rss_mb":310,"#,
    r#""gflops":150.0,"share_of_peak":0.71,"isa":"avx512"}"#
);
const PEER: &str = concat!(
    r#"{"program": "peer", "mode": "opacus", "samples_per_second": {"median": 5.125, "best": 5.5}, "#,
    r#""peak_rss_mb": 2143, "isa": "AVX512", "mkl_branch": 14}"#
);

fn measured(name: &str, ours: bool, rates: &[f64]) -> Measured {
    let run = |&median: &f64| Run {
        median,
        best: median + 1.0,
        peak_rss_mb: 100.0,
        isa: "avx2".to_owned(),
        share_of_peak: None,
    };
    Measured { name: name.to_owned(), ours, runs: rates.iter().map(run).collect() }
}

#[test]
fn reads_both_spellings_behind_other_lines() {
    let ours = Run::read(&format!("warming up\n{OURS}\n")).unwrap();
    assert_eq!((ours.median, ours.best, ours.peak_rss_mb), (20.5, 22.0, 310.0));
    assert_eq!((ours.isa.as_str(), ours.share_of_peak), ("avx512", Some(0.71)));
    let peer = Run::read(&format!("{PEER}\n")).unwrap();
    assert_eq!((peer.median, peer.best, peer.peak_rss_mb), (5.125, 5.5, 2143.0));
    assert_eq!((peer.isa.as_str(), peer.share_of_peak), ("AVX512", None));
}

#[test]
fn refuses_what_lacks_a_number() {
    assert_eq!(Run::read(""), None);
    assert_eq!(Run::read("Killed"), None);
    assert_eq!(Run::read(&PEER.replace("best", "worst")), None);
    assert_eq!(Run::read(&PEER.replace("2143", "much")), None);
}

#[test]
fn the_ratio_compares_within_a_round() {
    // The machine was three times as slow in the second round: no matter, each round says 4.
    let (ours, peer) =
        (measured("ours", true, &[24.0, 8.0, 20.0]), measured("peer", false, &[6.0, 2.0, 5.0]));
    assert_eq!(ours.ratio(&peer), 4.0);
    assert_eq!(ours.rate(), 20.0);
    assert_eq!(measured("two rounds", true, &[1.0, 4.0]).rate(), 2.5);
    assert!(measured("none", true, &[]).rate().is_nan());
}

#[test]
fn the_table_has_a_column_of_ratios_for_each_of_ours() {
    let all = [measured("ours, f32", true, &[12.0]), measured("opacus", false, &[3.0])];
    let text = table("Shape S", &all);
    assert!(text.contains("| opacus | 3.00 | 4.00 | 100 | avx2 |  | 4.00 |"), "{text}");
    assert!(text.contains("| ours, f32 | 12.00 | 13.00 | 100 | avx2 |  | 1.00 |"), "{text}");
    assert!(text.contains("ours, f32 is … times as fast |\n|---|--:|--:|--:|---|--:|--:|\n"), "{text}");
}
