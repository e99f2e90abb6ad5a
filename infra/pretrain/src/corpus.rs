//! Reading the public corpora: a local folder to a list of documents.
//!
//! Expected files, each optional but at least one present:
//!
//! | file | format | use |
//! |---|---|---|
//! | `wiki_articles_30m.jsonl.gz` | JSON lines with `text` | cleaned articles |
//! | `wikitext2_train.txt.gz` | WikiText-2's tokenised lines | cleaned paragraphs |
//! | `gsm8k/train.jsonl.gz` | JSON lines with `question`, `answer` | twice |
//! | `tinystories_sample.txt` | paragraphs, a blank line between | three times |
//!
//! Repetition gives the small, simple corpora weight. The E2E restaurant descriptions are left out on purpose: they
//! are the task on which private fine-tuning is measured, and a base model that has seen them would flatter it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::clean;

/// One text of the corpus and how often an epoch shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    /// Clean text, without the separator token.
    pub(crate) text: String,
    /// Copies in one epoch of training.
    pub(crate) copies: usize,
}

/// How one file becomes documents.
struct Source {
    path: &'static str,
    copies: usize,
    read: fn(&str) -> Result<Vec<String>>,
}

const SOURCES: [Source; 4] = [
    Source { path: "wiki_articles_30m.jsonl.gz", copies: 1, read: articles },
    Source { path: "wikitext2_train.txt.gz", copies: 1, read: wikitext },
    Source { path: "gsm8k/train.jsonl.gz", copies: 2, read: word_problems },
    Source { path: "tinystories_sample.txt", copies: 3, read: stories },
];

/// Reads every known file of the folder.
///
/// # Errors
/// A file that is damaged or not of its format, or a folder with none of them.
pub(crate) fn read(folder: &Path) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for source in &SOURCES {
        let path = folder.join(source.path);
        if !path.exists() {
            continue;
        }
        let text = read_text(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let texts = (source.read)(&text).with_context(|| format!("{} is not as expected", path.display()))?;
        documents.extend(texts.into_iter().map(|text| Document { text, copies: source.copies }));
    }
    let names: Vec<&str> = SOURCES.iter().map(|s| s.path).collect();
    ensure!(
        !documents.is_empty(),
        "{} holds no text; expected some of {}",
        folder.display(),
        names.join(", ")
    );
    Ok(documents)
}

/// Reads a file as UTF-8, unpacking `.gz`.
fn read_text(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        GzDecoder::new(file).read_to_string(&mut text)?;
    } else {
        file.read_to_string(&mut text)?;
    }
    Ok(text)
}

fn articles(text: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Article {
        text: String,
    }
    let articles: Vec<Article> = json_lines(text)?;
    Ok(articles.iter().filter_map(|a| clean::article(&a.text)).collect())
}

/// An article begins at a heading between single equals signs.
fn wikitext(text: &str) -> Result<Vec<String>> {
    let mut articles = vec![Vec::new()];
    for line in text.lines() {
        if line.starts_with(" = ") && !line.starts_with(" = =") {
            articles.push(Vec::new());
        }
        if let Some(article) = articles.last_mut() {
            article.extend(clean::wikitext_line(line));
        }
    }
    Ok(articles.iter().filter(|article| !article.is_empty()).map(|article| article.join("\n")).collect())
}

fn word_problems(text: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Problem {
        question: String,
        answer: String,
    }
    let problems: Vec<Problem> = json_lines(text)?;
    let document = |p: &Problem| {
        let (question, answer) = (clean::normalise(&p.question), clean::normalise(&p.answer));
        format!("{}\n{}", clean::single_spaced(&question), clean::worked_answer(&answer))
    };
    Ok(problems.iter().map(document).collect())
}

/// Stories open with a formula; the sample has no other mark between them.
fn stories(text: &str) -> Result<Vec<String>> {
    let mut stories: Vec<String> = Vec::new();
    let text = clean::normalise(text);
    for paragraph in text.split("\n\n").map(str::trim).filter(|p| !p.is_empty()) {
        let opens = ["Once ", "One day,", "One day ", "There once", "There was "]
            .iter()
            .any(|o| paragraph.starts_with(o));
        match stories.last_mut() {
            Some(story) if !opens => {
                story.push('\n');
                story.push_str(paragraph);
            }
            _ => stories.push(paragraph.to_owned()),
        }
    }
    Ok(stories)
}

fn json_lines<T: for<'a> Deserialize<'a>>(text: &str) -> Result<Vec<T>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(i, line)| serde_json::from_str(line).with_context(|| format!("line {}", i + 1))).collect()
}

#[cfg(test)]
#[path = "corpus_tests.rs"]
mod tests;
