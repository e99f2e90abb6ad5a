//! Trains on a text, measures the vectors and prints one JSON line.
//!
//! `cargo run --release -p word2vec --example compare -- CORPUS EPOCHS THREADS EVALDIR [SETTINGS] [OUT]`
//!
//! SETTINGS is a JSON object with some of the fields of `word2vec::Settings`. OUT is a folder for `words.txt`,
//! `counts.txt` (a line for each word) and `rows.f32` (little-endian, row by row). Seconds run from before the text is read to
//! after the last step, as those of gensim's constructor do.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use word2vec::{Config, Corpus, Settings, Trainer, WordVectors, evaluate};

type Error = Box<dyn std::error::Error>;

#[allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that measures time and prints")]
fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [corpus, epochs, threads, sets, rest @ ..] = arguments.as_slice() else {
        return Err("usage: compare CORPUS EPOCHS THREADS EVALDIR [SETTINGS] [OUT]".into());
    };
    let settings: Settings = serde_json::from_str(rest.first().map_or("{}", String::as_str))?;
    let config = Config::new(Settings { epochs: epochs.parse()?, threads: threads.parse()?, ..settings })?;
    let start = Instant::now();
    let corpus = Corpus::read(BufReader::with_capacity(1 << 20, File::open(corpus)?), &config)?;
    let read_seconds = start.elapsed().as_secs_f64();
    let words = corpus.raw_words();
    let mut trainer = Trainer::new(config.clone(), corpus)?;
    trainer.run(&|_| ());
    let vectors = trainer.into_vectors();
    let seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds();
    let mut report = scores(&vectors, Path::new(sets))?;
    if let Some(folder) = rest.get(1) {
        report["int8"] = scores(&quantised(&vectors)?, Path::new(sets))?;
        write(&vectors, Path::new(folder))?;
    }
    report["words_per_second"] = (words as f64 * f64::from(config.epochs) / seconds).round().into();
    report["seconds"] = seconds.into();
    report["cpu_seconds"] = cpu_seconds.into();
    report["read_seconds"] = read_seconds.into();
    report["vocabulary"] = vectors.words.len().into();
    println!("{report}");
    Ok(())
}

/// Processor time of all threads so far, where the system tells it; on a busy machine it says more than the clock does.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // proc(5): the name stands in brackets; utime and stime are the 12th and 13th fields after it, in hundredths.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

fn scores(vectors: &WordVectors, sets: &Path) -> Result<serde_json::Value, Error> {
    let similarity = |name: &str| -> Result<f64, Error> {
        let set = fs::read_to_string(sets.join("word-sim").join(name))?;
        Ok(evaluate::word_similarity(vectors, &set)?.spearman)
    };
    let set = fs::read_to_string(sets.join("analogy/questions-words.txt"))?;
    let analogies = evaluate::analogies(vectors, &set, 30_000)?;
    Ok(serde_json::json!({
        "ws353": similarity("EN-WS-353-ALL.txt")?,
        "men": similarity("EN-MEN-TR-3k.txt")?,
        "simlex": similarity("EN-SIMLEX-999.txt")?,
        "analogies": analogies.accuracy(),
        "analogies_correct": analogies.correct,
        "analogies_total": analogies.total,
    }))
}

/// Rows as int8 with one scale each would give them back.
fn quantised(vectors: &WordVectors) -> Result<WordVectors, Error> {
    let mut rows = vectors.rows.clone();
    for row in rows.chunks_exact_mut(vectors.dim) {
        let scale = row.iter().fold(0.0_f32, |max, x| max.max(x.abs())) / 127.0;
        if scale > 0.0 {
            row.iter_mut().for_each(|x| *x = (*x / scale).round() * scale);
        }
    }
    Ok(WordVectors::new(vectors.words.clone(), vectors.counts.clone(), vectors.dim, rows)?)
}

fn write(vectors: &WordVectors, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("words.txt"), vectors.words.join("\n") + "\n")?;
    let counts: Vec<String> = vectors.counts.iter().map(u64::to_string).collect();
    fs::write(folder.join("counts.txt"), counts.join("\n") + "\n")?;
    fs::write(
        folder.join("rows.f32"),
        vectors.rows.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(),
    )?;
    Ok(())
}
