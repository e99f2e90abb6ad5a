use super::check;

const RUST: &str = "#[test]\nfn it_holds() {}\n\nfn helper() {}\n\n\n\n\n\n#[tokio::test]\n#[ignore = \"slow\"]\nasync fn it_waits() {}\n";
const PYTHON: &str = "class T:\n    def setUp(self):\n    def test_it(self):\n";

fn problems(rows: &str) -> Vec<String> {
    let text = format!(
        "# Security\n\n## Threats\n\n| threat | defence | test |\n|---|---|---|\n{rows}\n\n## Next\n| a | b | c |\n"
    );
    let source = |path: &str| match path {
        "a/b.rs" => Some(RUST.to_owned()),
        "a/c.py" => Some(PYTHON.to_owned()),
        _ => None,
    };
    check(&text, &source)
}

#[test]
fn rows_whose_tests_exist_are_fine() {
    assert!(problems("| a | b | `a/b.rs` `it_holds`, `it_waits`; `a/c.py` `test_it` |").is_empty());
}

#[test]
fn a_test_that_is_not_there_is_named() {
    let expected = ["SECURITY.md names `it_held`, which is no test in `a/b.rs`"];
    assert_eq!(problems("| a | b | `a/b.rs` `it_holds`, `it_held` |"), expected);
    assert_eq!(problems("| a | b | `a/b.rs` `helper` |").len(), 1, "a function that is no test");
    assert_eq!(problems("| a | b | `a/c.py` `setUp` |").len(), 1, "a method that is no test");
    assert_eq!(problems("| a | b | `a/c.py` `it_holds` |").len(), 1, "a test of another file");
}

#[test]
fn a_row_without_a_test_is_named() {
    assert_eq!(
        problems("| a threat | b | by reading |"),
        ["SECURITY.md names no test for the threat \"a threat\""]
    );
    assert_eq!(problems("| a | b | `a/b.rs` |").len(), 1);
    assert_eq!(problems("| a | b | `it_holds` |").len(), 1);
    let both = problems("| a | b | `a/none.rs` `it_holds` |");
    assert_eq!(both, ["SECURITY.md names `a/none.rs`, which is no file"]);
}

#[test]
fn a_missing_table_is_a_problem() {
    assert_eq!(problems("").len(), 1);
    assert_eq!(check("# Security\n", &|_| None).len(), 1);
}
