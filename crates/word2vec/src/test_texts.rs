//! Small texts with a known structure, for the tests.

use crate::random::Stream;
use crate::{Config, Corpus, Settings};

/// Topics, and words of each.
pub(crate) const TOPICS: usize = 4;
pub(crate) const WORDS: usize = 12;

/// Lines of ten words of one topic each; with `mixed`, of any topic: the same counts and no structure.
pub(crate) fn topic_text(lines: usize, mixed: bool) -> String {
    let mut random = Stream::new(2, 2);
    let mut text = String::new();
    for _ in 0..lines {
        let topic = random.below(TOPICS as u32);
        for _ in 0..10 {
            let topic = if mixed { random.below(TOPICS as u32) } else { topic };
            text.push_str(&format!("t{topic}w{} ", random.below(WORDS as u32)));
        }
        text.push('\n');
    }
    text
}

pub(crate) fn config(settings: Settings) -> Config {
    Config::new(Settings { dim: 10, sample: 0.0, learning_rate: 0.01, beta2: 0.999, epochs: 3, ..settings })
        .unwrap()
}

pub(crate) fn corpus(text: &str, config: &Config) -> Corpus {
    Corpus::read(text.as_bytes(), config).unwrap()
}
