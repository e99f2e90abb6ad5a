//! SECURITY.md's table of threats names the tests that show each defence. This checks that every row names one, and that every test named exists.
//!
//! A cell of tests is a file in backquotes followed by its tests, then perhaps another file: `` `a/tests.rs` `one_test`, `another` ``.

use crate::process::Failure;
use crate::tools::read;
use std::path::Path;

/// The heading above the table.
const HEADING: &str = "## Threats";

/// What is wrong with SECURITY.md, one sentence each.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>, Failure> {
    let text = read(&root.join("SECURITY.md"))?;
    Ok(check(&text, &|path| std::fs::read_to_string(root.join(path)).ok()))
}

/// Checks `text`; `source` gives a file's text by its path from the root.
fn check(text: &str, source: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let rows = rows(text);
    if rows.is_empty() {
        return vec![format!("SECURITY.md has no table under `{HEADING}`")];
    }
    rows.iter().flat_map(|row| row_problems(row, source)).collect()
}

/// The table's rows, without its head.
fn rows(text: &str) -> Vec<&str> {
    let below = text.lines().skip_while(|line| !line.starts_with(HEADING)).skip(1);
    let section = below.take_while(|line| !line.starts_with("## "));
    // The head and the line under it are the first two of each table.
    let mut rows = vec![];
    let mut in_table = 0;
    for line in section {
        in_table = if line.starts_with('|') { in_table + 1 } else { 0 };
        if in_table > 2 {
            rows.push(line);
        }
    }
    rows
}

fn row_problems(row: &str, source: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
    let (threat, tests) =
        (cells.first().copied().unwrap_or_default(), cells.last().copied().unwrap_or_default());
    let (mut file, mut named, mut problems) = (None, 0, vec![]);
    // Every second piece stands between backquotes.
    for word in tests.split('`').skip(1).step_by(2) {
        if word.contains('/') {
            let text = source(word);
            if text.is_none() {
                problems.push(format!("SECURITY.md names `{word}`, which is no file"));
            }
            file = Some((word, text.unwrap_or_default()));
            continue;
        }
        named += 1;
        match &file {
            None => problems.push(format!("SECURITY.md names the test `{word}` before any file")),
            Some((path, text)) if !text.is_empty() && !is_test(text, word) => {
                problems.push(format!("SECURITY.md names `{word}`, which is no test in `{path}`"));
            }
            Some(_) => {}
        }
    }
    if named == 0 {
        problems.push(format!("SECURITY.md names no test for the threat \"{threat}\""));
    }
    problems
}

/// True when `text` holds a test of this name: Rust's by its attribute, Python's by its prefix.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let (rust, python) = (format!("fn {name}("), format!("def {name}("));
    lines.iter().enumerate().any(|(number, line)| {
        // Attributes stand in the lines right above, up to an empty one.
        let attributed = (lines[..number].iter().rev().take_while(|line| !line.is_empty()))
            .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
        (line.contains(&rust) && attributed) || (line.starts_with(&python) && name.starts_with("test_"))
    })
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
