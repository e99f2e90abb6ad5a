//! How good vectors are: word similarity and analogies, counted as gensim's `KeyedVectors` counts them.
//!
//! Both read the text of the usual files: similarity as lines `word word score` (Finkelstein et al. 2002, WordSim-353),
//! analogies as lines of four words under headings that start with a colon (Mikolov et al. 2013a, section 4.1).

use std::collections::HashMap;

use crate::lanes::{LANES, dot};
use crate::{Word2VecError, WordVectors};

/// Agreement with people's scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Spearman's rank correlation of cosines and scores, with mean ranks for ties; NaN if either is constant.
    pub spearman: f64,
    /// Pairs of which both words have a vector.
    pub pairs: usize,
    /// Pairs of the set.
    pub total: usize,
}

/// Analogies solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Analogies {
    /// Questions whose fourth word was found.
    pub correct: usize,
    /// Questions of which all four words are among the words asked.
    pub total: usize,
}

impl Analogies {
    /// The share of correct answers; NaN without questions.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total as f64
    }
}

/// Spearman correlation of the vectors' cosines with the scores of `set`; words are compared in lower case.
///
/// # Errors
/// [`Word2VecError::EvaluationSet`] for a line that has no two words and a finite score.
pub fn word_similarity(vectors: &WordVectors, set: &str) -> Result<Similarity, Word2VecError> {
    let places = places(&vectors.words);
    let (mut cosines, mut scores, mut total) = (Vec::new(), Vec::new(), 0);
    for (line, text) in (1..).zip(set.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let bad = |reason| Word2VecError::EvaluationSet { line, reason };
        let mut fields = text.split_whitespace();
        let (Some(a), Some(b), Some(score)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(bad("it needs two words and a score"));
        };
        let score: f64 = score.parse().map_err(|_| bad("the score is no number"))?;
        if !score.is_finite() {
            return Err(bad("the score is no number"));
        }
        total += 1;
        if let (Some(&a), Some(&b)) = (places.get(&a.to_lowercase()), places.get(&b.to_lowercase())) {
            cosines.push(cosine(vectors.row(a), vectors.row(b)));
            scores.push(score);
        }
    }
    Ok(Similarity { spearman: pearson(&ranks(&cosines), &ranks(&scores)), pairs: scores.len(), total })
}

/// Answers each question a : b = c : ? of `set` by the word, other than the three, whose vector has the largest cosine
/// with b/‖b‖ − a/‖a‖ + c/‖c‖ (3CosAdd), among the `restrict` most frequent words.
///
/// Words are compared in lower case, and where two words of the vocabulary have one lower case, the more frequent counts.
/// Questions with a word outside are left out.
///
/// # Errors
/// [`Word2VecError::EvaluationSet`] for a line that is neither a heading nor four words.
pub fn analogies(vectors: &WordVectors, set: &str, restrict: usize) -> Result<Analogies, Word2VecError> {
    let questions = questions(set, &places(&vectors.words[..restrict.min(vectors.words.len())]))?;
    let table = &UnitRows::new(vectors, restrict);
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let share = questions.len().div_ceil(threads).max(1);
    let correct = std::thread::scope(|scope| {
        let part = |part| scope.spawn(move || table.count_correct(part));
        let parts: Vec<_> = questions.chunks(share).map(part).collect();
        // A panic of a thread is passed on.
        parts
            .into_iter()
            .map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .sum()
    });
    Ok(Analogies { correct, total: questions.len() })
}

fn places(words: &[String]) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, word) in words.iter().enumerate() {
        places.entry(word.to_lowercase()).or_insert(place);
    }
    places
}

fn questions(set: &str, places: &HashMap<String, usize>) -> Result<Vec<[usize; 4]>, Word2VecError> {
    let mut questions = Vec::new();
    for (line, text) in
        (1..).zip(set.lines()).filter(|(_, text)| !text.trim().is_empty() && !text.starts_with(':'))
    {
        let words: Vec<&str> = text.split_whitespace().collect();
        let words: [&str; 4] = words
            .try_into()
            .map_err(|_| Word2VecError::EvaluationSet { line, reason: "a question has four words" })?;
        if let [Some(a), Some(b), Some(c), Some(d)] =
            words.map(|word| places.get(&word.to_lowercase()).copied())
        {
            questions.push([a, b, c, d]);
        }
    }
    Ok(questions)
}

/// Vectors brought to length 1, in rows of a whole number of lanes.
struct UnitRows {
    /// Width of the padded rows.
    width: usize,
    rows: Vec<f32>,
}

impl UnitRows {
    fn new(vectors: &WordVectors, restrict: usize) -> Self {
        let width = vectors.dim.next_multiple_of(LANES);
        let count = restrict.min(vectors.words.len());
        let mut rows = vec![0.0; count * width];
        for (place, row) in rows.chunks_exact_mut(width).enumerate() {
            let vector = vectors.row(place);
            let norm = norm(vector);
            for (value, x) in row.iter_mut().zip(vector) {
                *value = if norm > 0.0 { (f64::from(*x) / norm) as f32 } else { 0.0 };
            }
        }
        Self { width, rows }
    }

    fn row(&self, place: usize) -> &[f32] {
        &self.rows[place * self.width..][..self.width]
    }

    fn count_correct(&self, questions: &[[usize; 4]]) -> usize {
        questions.chunks(BLOCK).map(|block| self.count_in_block(block)).sum()
    }

    fn count_in_block(&self, questions: &[[usize; 4]]) -> usize {
        let target = |&[a, b, c, _]: &[usize; 4]| -> Vec<f32> {
            let parts = self.row(a).iter().zip(self.row(b)).zip(self.row(c));
            parts.map(|((a, b), c)| b - a + c).collect()
        };
        let targets: Vec<Vec<f32>> = questions.iter().map(target).collect();
        let mut best = vec![(f32::NEG_INFINITY, usize::MAX); questions.len()];
        self.scan(&targets, questions, &mut best);
        best.iter().zip(questions).filter(|(best, question)| best.1 == question[3]).count()
    }

    /// Finds the best row of each question, with wide vectors where the processor has them.
    fn scan(&self, targets: &[Vec<f32>], questions: &[[usize; 4]], best: &mut [(f32, usize)]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as the line above asked it.
            return unsafe { self.scan_avx2(targets, questions, best) };
        }
        self.scan_inline(targets, questions, best);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn scan_avx2(&self, targets: &[Vec<f32>], questions: &[[usize; 4]], best: &mut [(f32, usize)]) {
        self.scan_inline(targets, questions, best);
    }

    #[inline(always)]
    fn scan_inline(&self, targets: &[Vec<f32>], questions: &[[usize; 4]], best: &mut [(f32, usize)]) {
        for (place, row) in self.rows.chunks_exact(self.width).enumerate() {
            for ((target, best), question) in targets.iter().zip(best.iter_mut()).zip(questions) {
                let product = dot::<false>(target, row);
                if product > best.0 && !question[..3].contains(&place) {
                    *best = (product, place);
                }
            }
        }
    }
}

/// Questions that share a pass over the rows: their targets stay in the first-level cache.
const BLOCK: usize = 64;

fn norm(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    product / (norm(a) * norm(b)).max(f64::MIN_POSITIVE)
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tie in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = start as f64 + (tie.len() + 1) as f64 / 2.0;
        tie.iter().for_each(|&place| ranks[place] = mean);
        start += tie.len();
    }
    ranks
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(&a, &b)| f(a - mean_a, b - mean_b)).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
