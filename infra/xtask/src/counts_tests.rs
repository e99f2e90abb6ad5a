use super::*;

#[test]
fn sums_every_test_program_of_cargo() {
    let output = "\
running 2 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests dp
test result: FAILED. 40 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
";
    assert_eq!(Counts::read(output), Counts { passed: 42, failed: 3 });
}

#[test]
fn reads_the_line_of_python_tests() {
    assert_eq!(Counts::read("starting\n12 passed, 1 failed\n"), Counts { passed: 12, failed: 1 });
}

#[test]
fn sentences_are_not_reports() {
    for text in [
        "",
        "3 passed",
        "test result: ok",
        "3 passed, 1 failed, says the log",
        "x passed, 1 failed",
        "-1 passed, 0 failed",
    ] {
        assert_eq!(Counts::read(text), Counts::default(), "{text}");
    }
}

#[test]
fn a_stage_without_tests_counts_as_one() {
    let none = Counts::default();
    assert_eq!(none.verdict(true), Counts { passed: 1, failed: 0 });
    assert_eq!(none.verdict(false), Counts { passed: 0, failed: 1 });
}

#[test]
fn a_broken_stage_never_reads_as_clean() {
    let clean = Counts { passed: 7, failed: 0 };
    assert_eq!(clean.verdict(true), clean);
    assert_eq!(clean.verdict(false), Counts { passed: 7, failed: 1 });
    assert_eq!(Counts { passed: 7, failed: 3 }.verdict(false), Counts { passed: 7, failed: 3 });
}
