//! What `bench trainer` measured: one line of JSON a run, and the tables of many runs.

/// What one process measured of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    /// Samples per second: a step's median and its best.
    pub(crate) median: f64,
    pub(crate) best: f64,
    /// Most memory it held, MB.
    pub(crate) peak_rss_mb: f64,
    /// The instructions it used.
    pub(crate) isa: String,
    /// Share of the processor's peak rate; the peers do not know theirs.
    pub(crate) share_of_peak: Option<f64>,
}

impl Run {
    /// Reads the last line of a program's output; `None` when it is not such a line.
    pub(crate) fn read(output: &str) -> Option<Self> {
        let line = output.lines().rfind(|line| line.starts_with('{'))?;
        let rates = after(line, "samples_per_second")?;
        Some(Self {
            median: number(rates, "median")?,
            best: number(rates, "best")?,
            peak_rss_mb: number(line, "peak_rss_mb")?,
            isa: after(line, "isa")?.strip_prefix('"')?.split('"').next()?.to_owned(),
            share_of_peak: number(line, "share_of_peak"),
        })
    }
}

/// The text behind `"key":`.
fn after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{key}\":"))?;
    Some(rest.trim_start())
}

/// The number behind the first `"key":`.
fn number(line: &str, key: &str) -> Option<f64> {
    let rest = after(line, key)?;
    let end = rest.find(|letter| ",}] ".contains(letter)).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// All runs of one contender, one a round.
#[derive(Debug)]
pub(crate) struct Measured {
    /// What the table calls it.
    pub(crate) name: String,
    /// True for the project's own trainer.
    pub(crate) ours: bool,
    /// One a round; the same number for all contenders of a table.
    pub(crate) runs: Vec<Run>,
}

impl Measured {
    /// The middle of the rounds' medians.
    pub(crate) fn rate(&self) -> f64 {
        median(self.runs.iter().map(|run| run.median))
    }

    fn best(&self) -> f64 {
        self.runs.iter().map(|run| run.best).fold(0.0, f64::max)
    }

    fn peak_rss_mb(&self) -> f64 {
        self.runs.iter().map(|run| run.peak_rss_mb).fold(0.0, f64::max)
    }

    /// How many times as fast as `other`: the middle of the rounds' ratios, since a round's runs lie minutes
    /// apart and two rounds can lie far apart.
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        median(self.runs.iter().zip(&other.runs).map(|(mine, its)| mine.median / its.median))
    }
}

/// The middle value, or the mean of the two in the middle; not a number when there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => f64::midpoint(*below, *above),
        (_, Some(value)) => *value,
        (_, None) => f64::NAN,
    }
}

/// A table of all contenders; a column for each of ours says how many times as fast it is as the others.
pub(crate) fn table(title: &str, all: &[Measured]) -> String {
    let ours: Vec<&Measured> = all.iter().filter(|one| one.ours).collect();
    let heads = ours.iter().map(|one| format!(" {} is … times as fast |", one.name)).collect::<String>();
    let mut text = format!(
        "\n{title}\n\n| | samples/s | best | peak MB | instructions | of peak |{heads}\n\
         |---|--:|--:|--:|---|--:|{}\n",
        "--:|".repeat(ours.len())
    );
    for one in all {
        let last = one.runs.last();
        let isa = last.map_or("", |run| run.isa.as_str());
        let share = last.and_then(|run| run.share_of_peak);
        let share = share.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        let ratios = ours.iter().map(|other| format!(" {:.2} |", other.ratio(one))).collect::<String>();
        text += &format!(
            "| {} | {:.2} | {:.2} | {:.0} | {isa} | {share} |{ratios}\n",
            one.name,
            one.rate(),
            one.best(),
            one.peak_rss_mb()
        );
    }
    text
}

#[cfg(test)]
#[path = "trainer_table_tests.rs"]
mod tests;
