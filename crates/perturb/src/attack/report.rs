//! What the attacks recovered, as counts and shares, and in words that a command line can print.

use serde::{Deserialize, Serialize};

use super::Sample;

/// The normal distribution's 97.5 % point: two sides make 95 %.
const Z: f64 = 1.959_963_985;

/// A share of the tokens with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Tokens guessed right.
    pub hits: u64,
    /// Their share, 0 to 1.
    pub share: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Share {
    /// `hits` of `tokens`, with the interval of Wilson (1927). It takes tokens for independent; those of one record are not
    /// quite, so that it is a little narrow.
    pub fn new(hits: u64, tokens: u64) -> Self {
        // An empty sample is refused before; 1 keeps the share of nothing a number.
        let n = tokens.max(1) as f64;
        let share = hits as f64 / n;
        let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self { hits, share, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }
}

/// What the attacks recovered of a sample. Counts and shares only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Records attacked.
    pub records: u64,
    /// Tokens attacked.
    pub tokens: u64,
    /// Tokens that came out as they went in.
    pub unchanged: Share,
    /// Recovered token by token: likelihood and prior.
    pub without_context: Share,
    /// Recovered with a language model, by the better of two guesses, of each token at once and of whole records in
    /// hindsight; `None` if no model was used.
    pub with_context: Option<Share>,
    /// Guessed by the language model from the true tokens before, without looking at the perturbed token.
    pub context_alone: Option<Share>,
}

impl Report {
    /// The largest share that any of the attacks recovered: what to judge the setting by.
    pub fn most_recovered(&self) -> Share {
        let of_attacks = [Some(self.unchanged), Some(self.without_context), self.with_context];
        let largest = |a: Share, b: Share| if b.hits > a.hits { b } else { a };
        of_attacks.into_iter().flatten().reduce(largest).unwrap_or(self.unchanged)
    }

    /// The report in plain words, a line each, without line ends. `items` is "tokens" or "words".
    pub fn lines(&self, items: &str) -> Vec<String> {
        let percent = |share: Share| {
            format!("{:.1} % ({:.1} to {:.1})", 100.0 * share.share, 100.0 * share.low, 100.0 * share.high)
        };
        let mut lines = vec![
            format!(
                "Attacked {} {items} in {} records of your own text, as someone would who sees the perturbed text and knows the settings.",
                self.tokens, self.records
            ),
            format!("Unchanged {items}:                      {}", percent(self.unchanged)),
            format!("Recovered one by one:                  {}", percent(self.without_context)),
        ];
        if let Some(share) = self.with_context {
            lines.push(format!("Recovered with a language model:       {}", percent(share)));
        }
        if let Some(share) = self.context_alone {
            lines.push(format!(
                "For comparison, guessed from the true {items} before, without the perturbed one: {}",
                percent(share)
            ));
        }
        lines.push(format!(
            "In brackets: 95 % interval. A better attacker may recover more than {:.1} %; only epsilon bounds all of them.",
            100.0 * self.most_recovered().share
        ));
        lines
    }
}

/// Counts while an attack runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    tokens: u64,
    unchanged: u64,
    without_context: u64,
    at_once: u64,
    in_hindsight: u64,
    context_alone: u64,
}

impl Counts {
    pub(super) fn tokens(&self) -> usize {
        self.tokens as usize
    }

    /// One token, its output, and the guess without context.
    pub(super) fn token(&mut self, original: u32, output: u32, guess: u32) {
        self.tokens += 1;
        self.unchanged += u64::from(original == output);
        self.without_context += u64::from(original == guess);
    }

    pub(super) fn context_alone(&mut self, original: u32, guess: u32) {
        self.context_alone += u64::from(original == guess);
    }

    /// One token and its guess from the outputs up to it.
    pub(super) fn at_once(&mut self, original: u32, guess: u32) {
        self.at_once += u64::from(original == guess);
    }

    /// A whole record and the best guess of all of it.
    pub(super) fn in_hindsight(&mut self, original: &[u32], guesses: &[u32]) {
        self.in_hindsight +=
            original.iter().zip(guesses).filter(|(original, guess)| original == guess).count() as u64;
    }

    pub(super) fn without_context(&self, sample: &Sample) -> Report {
        let share = |hits| Share::new(hits, self.tokens);
        Report {
            records: sample.records().len() as u64,
            tokens: self.tokens,
            unchanged: share(self.unchanged),
            without_context: share(self.without_context),
            with_context: None,
            context_alone: None,
        }
    }

    pub(super) fn with_context(&self, sample: &Sample) -> Report {
        let share = |hits| Some(Share::new(hits, self.tokens));
        Report {
            with_context: share(self.at_once.max(self.in_hindsight)),
            context_alone: share(self.context_alone),
            ..self.without_context(sample)
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
