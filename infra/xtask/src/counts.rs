//! How many tests a test program's output reports.

/// Tests that passed and tests that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Passed.
    pub(crate) passed: u64,
    /// Failed.
    pub(crate) failed: u64,
}

impl Counts {
    /// Sums all reports in `output`: cargo's `test result: ok. 3 passed; 0 failed; …`, once for each test program, and our Python
    /// tests' `3 passed, 0 failed`.
    pub(crate) fn read(output: &str) -> Self {
        output.lines().filter_map(report).fold(Self::default(), Self::plus)
    }

    /// The sum of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// The verdict on a stage that ended well (`success`) or not. One that reports no tests is itself one test, and one that broke
    /// without a failed test (it did not compile, say) must not read as if nothing had failed.
    pub(crate) fn verdict(self, success: bool) -> Self {
        let none = self == Self::default();
        Self {
            passed: if none && success { 1 } else { self.passed },
            failed: if !success { self.failed.max(1) } else { self.failed },
        }
    }
}

fn report(line: &str) -> Option<Counts> {
    let line = line.trim();
    let cargo =
        line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")).map(|(_, counts)| counts);
    let mut parts = cargo.unwrap_or(line).split([';', ',']).map(str::trim);
    let passed = number(parts.next()?, "passed")?;
    let failed = number(parts.next()?, "failed")?;
    // Our own line ends here; anything else that merely looks like it is somebody's sentence.
    (cargo.is_some() || parts.next().is_none()).then_some(Counts { passed, failed })
}

fn number(part: &str, word: &str) -> Option<u64> {
    part.strip_suffix(word)?.trim().parse().ok()
}

#[cfg(test)]
#[path = "counts_tests.rs"]
mod tests;
