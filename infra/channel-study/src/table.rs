//! The results as Markdown tables: mean ± standard deviation of the test perplexity over the seeds.

use std::fmt::Write;

use crate::method::Method;
use crate::results::{Key, Results, summary};

/// A table for each corpus and set size, with the values of ε as columns.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    for (corpus, neighbours) in results.panels() {
        table(results, &corpus, neighbours, &mut text);
    }
    text
}

fn table(results: &Results, corpus: &str, neighbours: u32, text: &mut String) {
    let epsilons = results.epsilons();
    let mechanism =
        if neighbours == 1 { "k-RR (m = 1)".to_owned() } else { format!("Set-RR, m = {neighbours}") };
    let heads: String = epsilons.iter().map(|epsilon| format!(" ε = {epsilon} |")).collect();
    let lines = "---:|".repeat(epsilons.len());
    // Writing into a string does not fail.
    let _ = write!(text, "**{corpus}, {mechanism}**\n\n| method |{heads}\n|---|{lines}\n");
    for method in Method::ALL {
        let cells: Vec<String> = epsilons
            .iter()
            .map(|&epsilon| cell(&results.tests(&key(corpus, method, epsilon, neighbours))))
            .collect();
        if cells.iter().any(|cell| cell != MISSING) {
            let _ = writeln!(text, "| {} | {} |", method.label(), cells.join(" | "));
        }
    }
    text.push('\n');
}

/// The cell of a method; what was never perturbed has one for all ε and m.
pub fn key(corpus: &str, method: Method, epsilon: f64, neighbours: u32) -> Key {
    let perturbed = !matches!(method, Method::Base | Method::Clean);
    let (epsilon, neighbours) = if perturbed { (epsilon, neighbours) } else { (0.0, 0) };
    Key { corpus: corpus.to_owned(), method, epsilon, neighbours }
}

const MISSING: &str = "–";

fn cell(values: &[f64]) -> String {
    match summary(values) {
        None => MISSING.to_owned(),
        Some((mean, _)) if values.len() == 1 => format!("{mean:.1}"),
        Some((mean, deviation)) => format!("{mean:.1} ± {deviation:.1}"),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(crate) mod tests;
