use super::*;

fn finding(bound: f64) -> Finding {
    Finding { claim: 2.0, bound, look: None }
}

#[test]
fn findings_come_in_the_order_of_their_seeds_whatever_the_threads() {
    for threads in [1, 2, 3, 16] {
        let found = on_threads(7, threads, |seed| Ok(finding(seed as f64))).unwrap();
        let bounds: Vec<f64> = found.iter().map(|finding| finding.bound).collect();
        assert_eq!(bounds, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "{threads} threads");
    }
}

#[test]
fn a_failed_run_fails_the_audit() {
    let run = |seed| match seed {
        3 => Err(AuditError::UnevenBatches { records: 5, batch_size: 3 }),
        seed => Ok(finding(seed as f64)),
    };
    let error = on_threads(4, 2, run).unwrap_err();
    assert!(error.to_string().contains("5 records do not divide into batches of 3"), "{error}");
}

#[test]
fn only_the_right_verdicts_pass() {
    assert!(print_rows("honest", false, &[finding(0.0), finding(2.0)]));
    assert!(!print_rows("honest", false, &[finding(0.0), finding(2.1)]));
    assert!(print_rows("broken", true, &[finding(2.1)]));
    assert!(!print_rows("broken", true, &[finding(2.1), finding(2.0)]));
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
    assert!(Cli::parse_from(["audit"]).command.is_none());
    let cli = Cli::parse_from(["audit", "black-box", "--seeds", "2"]);
    assert_eq!((cli.seeds, matches!(cli.command, Some(Command::BlackBox { .. }))), (2, true));
}
