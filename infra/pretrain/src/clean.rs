//! Text cleaning: from scraped articles and tokenised corpora to plain prose.
//!
//! A model of four million weights learns the most from regular sentences, so paragraphs full of figures, symbols or
//! extraction damage are dropped rather than repaired.

/// Shortest paragraph worth keeping, in bytes: shorter ones are captions and list items.
const SHORTEST_PARAGRAPH: usize = 80;
/// Largest share of digits in a paragraph of prose.
const MOST_DIGITS: f64 = 0.04;
/// Largest share of characters outside ASCII, after punctuation was normalised.
const MOST_FOREIGN: f64 = 0.01;
/// Smallest share of letters and spaces.
const LEAST_LETTERS: f64 = 0.92;

/// Replaces typographic punctuation by its ASCII form.
pub(crate) fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '`' | '\u{b4}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201e}' => out.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '\u{2026}' => out.push_str("..."),
            '\u{a0}' | '\u{2009}' | '\u{202f}' | '\t' => out.push(' '),
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}' | '\r' => {}
            other => out.push(other),
        }
    }
    out
}

/// Cleans an encyclopedia article: one paragraph a line, only prose, without parentheses. `None` if nothing is left.
pub(crate) fn article(text: &str) -> Option<String> {
    let text = normalise(text);
    let paragraphs: Vec<String> = text.lines().filter_map(paragraph).collect();
    let joined = paragraphs.join("\n");
    (joined.len() >= 2 * SHORTEST_PARAGRAPH).then_some(joined)
}

/// A paragraph of prose, or `None`.
fn paragraph(line: &str) -> Option<String> {
    let line = without_parentheses(&lower_shouting(line.trim()));
    is_prose(&line).then_some(line)
}

/// Whether a line reads as complete sentences: proper start and end, mostly letters, no holes left by an extractor.
fn is_prose(line: &str) -> bool {
    // A removed link leaves two spaces or a space before punctuation.
    const HOLES: [&str; 8] = ["  ", " ,", " .", "()", "( ", ",,", "<", "http"];
    let starts = line.chars().next().is_some_and(|c| c.is_ascii_uppercase() || c == '"');
    let ends = line.ends_with(['.', '!', '?', '"']);
    if line.len() < SHORTEST_PARAGRAPH || !starts || !ends || HOLES.iter().any(|h| line.contains(h)) {
        return false;
    }
    let total = line.chars().count() as f64;
    let share = |wanted: fn(&char) -> bool| line.chars().filter(wanted).count() as f64 / total;
    share(char::is_ascii_digit) <= MOST_DIGITS
        && share(|c| !c.is_ascii()) <= MOST_FOREIGN
        && share(|c| c.is_alphabetic() || *c == ' ') >= LEAST_LETTERS
}

/// Drops parenthesised asides (birth dates, pronunciations, foreign names) with the space before them. An unbalanced
/// line comes back unchanged.
fn without_parentheses(line: &str) -> String {
    let (mut out, mut depth) = (String::with_capacity(line.len()), 0_u32);
    for c in line.chars() {
        match c {
            '(' => {
                depth += 1;
                if depth == 1 && out.ends_with(' ') {
                    out.pop();
                }
            }
            ')' if depth == 0 => return line.to_owned(),
            ')' => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    if depth == 0 { out } else { line.to_owned() }
}

/// Articles open with their title in capitals: gives such words the case of a name. A lone short word in capitals is
/// an acronym and stays.
fn lower_shouting(line: &str) -> String {
    const LONGEST_ACRONYM: usize = 5;
    let shouted = |word: &str| {
        let letters = word.chars().filter(char::is_ascii_uppercase).count();
        letters > 1 && word.chars().all(|c| c.is_ascii_uppercase() || "',-.".contains(c))
    };
    let words: Vec<&str> = line.split(' ').collect();
    let beside = |i: usize| words.get(i).is_some_and(|word| shouted(word));
    let cased = words.iter().enumerate().map(|(i, word)| {
        let run = beside(i + 1) || (i > 0 && beside(i - 1));
        match word.split_at_checked(1) {
            Some((first, rest)) if shouted(word) && (run || word.len() > LONGEST_ACRONYM) => {
                format!("{first}{}", rest.to_ascii_lowercase())
            }
            _ => (*word).to_owned(),
        }
    });
    cased.collect::<Vec<_>>().join(" ")
}

/// Undoes WikiText's tokenisation of one line and drops what its `<unk>` markers spoiled: keeps the runs of whole
/// sentences without a marker, one run a paragraph.
pub(crate) fn wikitext_line(line: &str) -> Vec<String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('=') {
        return Vec::new();
    }
    let mut runs = vec![String::new()];
    for sentence in line.split_inclusive(" . ") {
        if sentence.contains("<unk>") {
            runs.push(String::new());
        } else if let Some(run) = runs.last_mut() {
            run.push_str(sentence);
        }
    }
    runs.iter().filter_map(|run| paragraph(&detokenise(&normalise(run)))).collect()
}

/// Joins punctuation to its word again.
fn detokenise(text: &str) -> String {
    const PAIRS: [(&str, &str); 18] = [
        (" @-@ ", "-"),
        (" @,@ ", ","),
        (" @.@ ", "."),
        (" ,", ","),
        (" .", "."),
        (" ;", ";"),
        (" :", ":"),
        (" !", "!"),
        (" ?", "?"),
        (" 's", "'s"),
        (" 't", "'t"),
        ("s ' ", "s' "),
        (" n't", "n't"),
        ("( ", "("),
        (" )", ")"),
        ("$ ", "$"),
        ("£ ", "£"),
        (" %", "%"),
    ];
    let joined = PAIRS.iter().fold(text.trim().to_owned(), |text, (from, to)| text.replace(from, to));
    // Quotation marks carry no direction: they open and close in turn.
    let mut parts = joined.split('"');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (i, part) in parts.enumerate() {
        if i % 2 == 0 {
            out.push('"');
            out.push_str(part.trim_start());
        } else {
            out.truncate(out.trim_end().len());
            out.push('"');
            out.push_str(part);
        }
    }
    out
}

/// Drops a worked answer's calculator marks (`<<3*4=12>>`) and its final `#### 12` line.
pub(crate) fn worked_answer(answer: &str) -> String {
    let mut out = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some((before, after)) = rest.split_once("<<") {
        out.push_str(before);
        rest = after.split_once(">>").map_or("", |(_, tail)| tail);
    }
    out.push_str(rest);
    let lines: Vec<String> =
        out.lines().filter(|line| !line.starts_with("####")).map(single_spaced).collect();
    lines.join("\n")
}

/// One space between words, none at the ends.
pub(crate) fn single_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "clean_tests.rs"]
mod tests;
