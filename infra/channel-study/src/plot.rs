//! Test perplexity over ε as SVG: one panel a corpus and set size, logarithmic, lower is better.

use std::fmt::Write;

use crate::method::Method;
use crate::results::{Results, summary};
use crate::table::key;

const PANEL: (f64, f64) = (380.0, 300.0);
/// Left, top, right and bottom of the axes inside of a panel.
const MARGIN: (f64, f64, f64, f64) = (58.0, 34.0, 14.0, 44.0);
const LEGEND_ROW: f64 = 20.0;
const COLUMNS: usize = 2;

/// Drawn with a different dash and mark each, so that colour is not needed to tell them apart.
fn style(method: Method) -> (&'static str, &'static str) {
    match method {
        Method::Base => ("#666666", "2 3"),
        Method::Naive => ("#c23b22", "none"),
        Method::Loss => ("#d98e04", "7 3"),
        Method::PosteriorMean => ("#1b6ca8", "none"),
        Method::Denoised => ("#2a9d5c", "none"),
        Method::Denoised3 => ("#7b4fa3", "7 3"),
        Method::Clean => ("#111111", "7 3 2 3"),
    }
}

/// The whole plot.
pub fn svg(results: &Results) -> String {
    let panels = results.panels();
    let columns = panels.len().clamp(1, COLUMNS);
    let rows = panels.len().div_ceil(columns);
    let drawn: Vec<Method> = Method::ALL
        .into_iter()
        .filter(|method| results.runs().iter().any(|run| run.key.method == *method && run.test.is_some()))
        .collect();
    let legend = drawn.len().div_ceil(2) as f64 * LEGEND_ROW + 16.0;
    let (width, height) = (columns as f64 * PANEL.0, rows as f64 * PANEL.1 + legend);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Perplexity on clean held-out text over epsilon of a token</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (index, (corpus, neighbours)) in panels.iter().enumerate() {
        let (x, y) = ((index % columns) as f64 * PANEL.0, (index / columns) as f64 * PANEL.1);
        // Writing into a string does not fail, here and below.
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        panel(results, corpus, *neighbours, &drawn, &mut out);
        out.push_str("</g>\n");
    }
    for (index, method) in drawn.iter().enumerate() {
        let x = 20.0 + (index % 2) as f64 * (width / 2.0);
        legend_entry(*method, x, height - legend + 12.0 + (index / 2) as f64 * LEGEND_ROW, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

fn legend_entry(method: Method, x: f64, y: f64, out: &mut String) {
    let (colour, dash) = style(method);
    let _ = writeln!(
        out,
        "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>\
         <text x=\"{}\" y=\"{}\">{}</text>",
        x + 34.0,
        x + 42.0,
        y + 4.0,
        method.label()
    );
}

/// Mean perplexity of a method at each ε that it has runs for.
type Line = (Method, Vec<(f64, f64, f64)>);

fn panel(results: &Results, corpus: &str, neighbours: u32, methods: &[Method], out: &mut String) {
    let epsilons = results.epsilons();
    let point = |method: Method, epsilon: f64| {
        let (mean, deviation) = summary(&results.tests(&key(corpus, method, epsilon, neighbours)))?;
        Some((epsilon, mean, deviation))
    };
    let lines: Vec<Line> = methods
        .iter()
        .map(|&method| (method, epsilons.iter().filter_map(|&epsilon| point(method, epsilon)).collect()))
        .collect();
    let values = || lines.iter().flat_map(|(_, points)| points.iter().map(|(_, mean, _)| *mean));
    let scale = Scale::new(&epsilons, values());
    axes(&scale, &epsilons, out);
    let name = if neighbours == 1 { "k-RR".to_owned() } else { format!("Set-RR, m = {neighbours}") };
    let middle = PANEL.0 / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"{middle}\" y=\"20\" text-anchor=\"middle\" font-size=\"14\" font-weight=\"bold\">{corpus}, {name}</text>"
    );
    for (method, points) in &lines {
        draw(*method, points, &scale, out);
    }
}

fn draw(method: Method, points: &[(f64, f64, f64)], scale: &Scale, out: &mut String) {
    let (colour, dash) = style(method);
    let path: Vec<String> =
        points.iter().map(|(e, p, _)| format!("{:.1},{:.1}", scale.x(*e), scale.y(*p))).collect();
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>",
        path.join(" ")
    );
    if matches!(method, Method::Base | Method::Clean) {
        return;
    }
    for (epsilon, mean, deviation) in points {
        let (x, y) = (scale.x(*epsilon), scale.y(*mean));
        let (high, low) = (scale.y(mean + deviation), scale.y((mean - deviation).max(1.0)));
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\
             <line x1=\"{x:.1}\" y1=\"{high:.1}\" x2=\"{x:.1}\" y2=\"{low:.1}\" stroke=\"{colour}\"/>"
        );
    }
}

fn axes(scale: &Scale, epsilons: &[f64], out: &mut String) {
    let (left, top, right, bottom) = (MARGIN.0, MARGIN.1, PANEL.0 - MARGIN.2, PANEL.1 - MARGIN.3);
    let _ = writeln!(
        out,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#999999\"/>",
        right - left,
        bottom - top
    );
    for epsilon in epsilons {
        let (x, y) = (scale.x(*epsilon), bottom + 16.0);
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{epsilon}</text>");
    }
    for tick in scale.ticks() {
        let y = scale.y(tick);
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#e4e4e4\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    let (middle, centre) = ((left + right) / 2.0, (top + bottom) / 2.0);
    let _ = writeln!(
        out,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">ε of a token</text>\
         <text transform=\"translate(14 {centre}) rotate(-90)\" text-anchor=\"middle\">perplexity</text>",
        bottom + 34.0
    );
}

/// ε on a line, perplexity by its logarithm.
struct Scale {
    epsilon: (f64, f64),
    perplexity: (f64, f64),
}

impl Scale {
    fn new(epsilons: &[f64], perplexities: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut largest) = (f64::INFINITY, 0.0f64);
        for perplexity in perplexities {
            (least, largest) = (least.min(perplexity), largest.max(perplexity));
        }
        let ends = (epsilons.first().copied().unwrap_or(0.0), epsilons.last().copied().unwrap_or(1.0));
        // One value alone would make a scale without length.
        let ends = if ends.0 < ends.1 { ends } else { (ends.0 - 1.0, ends.0 + 1.0) };
        let (least, largest) = if least <= largest { (least, largest) } else { (1.0, 10.0) };
        Self { epsilon: ends, perplexity: (least / 1.12, largest * 1.12) }
    }

    fn x(&self, epsilon: f64) -> f64 {
        let share = (epsilon - self.epsilon.0) / (self.epsilon.1 - self.epsilon.0);
        let inner = PANEL.0 - MARGIN.0 - MARGIN.2 - 24.0;
        MARGIN.0 + 12.0 + share * inner
    }

    fn y(&self, perplexity: f64) -> f64 {
        let (least, largest) = self.perplexity;
        let share = (perplexity.max(least) / least).ln() / (largest / least).ln();
        PANEL.1 - MARGIN.3 - share * (PANEL.1 - MARGIN.1 - MARGIN.3)
    }

    /// 1, 2 and 5 times the powers of ten that lie on the axis.
    fn ticks(&self) -> Vec<f64> {
        let powers = (0..7).map(|power| 10f64.powi(power));
        let candidates = powers.flat_map(|power| [power, 2.0 * power, 5.0 * power]);
        candidates.filter(|tick| (self.perplexity.0..=self.perplexity.1).contains(tick)).collect()
    }
}

#[cfg(test)]
#[path = "plot_tests.rs"]
mod tests;
