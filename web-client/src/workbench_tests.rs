use std::sync::OnceLock;

use perturb::tokens;

use super::*;
use crate::preview::PREVIEW_TOKENS;

const TOKENIZER: &[u8] = include_bytes!("../../models/demo-llama-4m/tokenizer.json");
const TEXT: &str =
    "The fever came back on Tuesday.\n\nShe could not sleep at all, Noël wrote.\nSecond line of it.\n";

fn tokenizer() -> &'static Tokenizer {
    static SHARED: OnceLock<Tokenizer> = OnceLock::new();
    SHARED.get_or_init(|| Tokenizer::from_bytes(TOKENIZER).unwrap())
}

/// A table over a made-up embedding: each token's neighbours are those with ids near its own.
fn table(columns: u32) -> Vec<u8> {
    let domain = tokenizer().domain();
    let embedding: Vec<f32> = (0..=domain.max_id()).flat_map(|id| [id as f32, 0.5]).collect();
    NeighbourTable::build(&embedding, 2, domain, columns).unwrap().to_bytes(domain).unwrap()
}

fn workbench(neighbours: &[u8]) -> Workbench {
    Workbench::new(TOKENIZER, neighbours, "demo".into()).unwrap()
}

fn with_text(text: &str, unit: &str) -> Workbench {
    let mut bench = workbench(&[]);
    bench.check(text.as_bytes().to_vec(), unit).unwrap();
    count_all(&mut bench);
    bench
}

fn count_all(bench: &mut Workbench) -> Counts {
    loop {
        let counts = bench.count_chunk().unwrap();
        if counts.done == counts.records {
            return counts;
        }
    }
}

fn perturb_all(bench: &mut Workbench, epsilon: f64, seed: u8) -> Vec<u8> {
    bench.begin(epsilon, &SecretSeed::from_bytes([seed; 32])).unwrap();
    while bench.perturb_chunk().map(|p| p.done < p.total).unwrap() {}
    bench.finish().unwrap()
}

#[test]
fn counts_are_those_of_the_tokenizer() {
    let mut bench = workbench(&[]);
    let counts = bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
    assert_eq!((counts.done, counts.records), (0, 3));
    let lengths: Vec<usize> = TEXT
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| tokenizer().encode(line).unwrap().len())
        .collect();
    let (tokens, longest) = (lengths.iter().sum(), *lengths.iter().max().unwrap());
    assert_eq!(count_all(&mut bench), Counts { done: 3, records: 3, tokens, longest });
}

#[test]
fn a_large_text_is_counted_and_perturbed_in_several_chunks() {
    let text = "A line that is neither short nor long.\n".repeat(10_000);
    let mut bench = workbench(&[]);
    let total = bench.check(text.into_bytes(), "line").unwrap().records;
    let first = bench.count_chunk().unwrap();
    assert!(first.done > 0 && first.done < total, "{first:?}");
    count_all(&mut bench);
    bench.begin(6.0, &SecretSeed::from_bytes([1; 32])).unwrap();
    let first = bench.perturb_chunk().unwrap();
    assert!(first.done > 0 && first.done < first.total, "{first:?}");
}

#[test]
fn the_upload_has_the_counted_records_and_the_stated_channel() {
    for (neighbours, unit, records) in [(vec![], "line", 3), (table(8), "paragraph", 2)] {
        let mut bench = workbench(&neighbours);
        bench.check(TEXT.as_bytes().to_vec(), unit).unwrap();
        let counts = count_all(&mut bench);
        let (manifest, read) = tokens::read(&perturb_all(&mut bench, 6.0, 3)).unwrap();
        assert_eq!((read.len(), manifest.tokens), (records, counts.tokens as u64));
        assert_eq!(manifest.max_tokens_in_a_record, counts.longest as u64);
        assert_eq!(manifest.epsilon_per_token.get(), 6.0);
        assert_eq!(manifest.mechanism.set_size(), if neighbours.is_empty() { 1 } else { NEIGHBOURS });
        assert_eq!(manifest.model.as_deref(), Some("demo"));
    }
}

#[test]
fn a_narrow_table_gives_a_narrower_set() {
    let mut bench = workbench(&table(2));
    bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
    let (manifest, _) = tokens::read(&perturb_all(&mut bench, 6.0, 3)).unwrap();
    assert_eq!(manifest.mechanism.set_size(), 2);
}

/// The channel is tested in its own crate; this says that the page's path really goes through it, at the asked ε.
#[test]
fn tokens_survive_as_often_as_the_page_says() {
    let text = "The same line again and again, to have many tokens.\n".repeat(2000);
    let mut bench = with_text(&text, "line");
    let original = tokenizer().encode(text.lines().next().unwrap()).unwrap();
    for epsilon in [4.0, 9.0] {
        let expected = bench.text_consequences(epsilon).unwrap().kept;
        let (_, records) = tokens::read(&perturb_all(&mut bench, epsilon, 5)).unwrap();
        let pairs = records.iter().flat_map(|record| record.iter().zip(&original));
        let (n, kept) =
            pairs.fold((0.0, 0.0), |(n, kept), (a, b)| (n + 1.0, kept + f64::from(u8::from(a == b))));
        // Five standard deviations of a binomial share: false alarms once in a few million seeds, and the seed is fixed.
        let tolerance = 5.0 * (expected * (1.0 - expected) / n).sqrt();
        assert!(
            (kept / n - expected).abs() < tolerance,
            "ε {epsilon}: {} but {expected} is stated",
            kept / n
        );
    }
}

#[test]
fn runs_differ_by_seed_and_repeat_by_it() {
    let mut bench = with_text(TEXT, "line");
    let (one, same, other) =
        (perturb_all(&mut bench, 6.0, 1), perturb_all(&mut bench, 6.0, 1), perturb_all(&mut bench, 6.0, 2));
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn a_preview_shows_the_original_and_marks_exactly_the_changed_tokens() {
    let bench = with_text(TEXT, "line");
    let shown = bench.preview(8.0, &SecretSeed::from_bytes([9; 32])).unwrap();
    let originals: Vec<&str> = shown.iter().map(|record| record.original.as_str()).collect();
    assert_eq!(originals, TEXT.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>());
    for record in &shown {
        let ids = tokenizer().encode(&record.original).unwrap();
        assert_eq!(ids.len(), record.pieces.len());
        for (id, piece) in ids.iter().zip(&record.pieces).filter(|(_, piece)| !piece.swapped) {
            assert_eq!(piece.text, tokenizer().token_text(*id));
        }
        assert!(record.pieces.iter().any(|piece| piece.swapped));
        assert!(!record.cut);
    }
}

#[test]
fn a_preview_of_a_huge_record_is_cut_within_characters() {
    for offset in 0..4 {
        let record = format!("{}{}", "x".repeat(offset), "Noël 😀 ".repeat(5000));
        let bench = with_text(&record, "line");
        let shown = bench.preview(8.0, &SecretSeed::from_bytes([9; 32])).unwrap();
        assert!(shown[0].cut && shown[0].pieces.len() == PREVIEW_TOKENS);
    }
}

#[test]
fn each_bad_file_has_its_own_message_and_leaves_no_text() {
    let huge_line = vec![b'a'; perturb::text::MAX_RECORD_BYTES + 1];
    let cases: [(&[u8], &str, &str); 7] = [
        (b"", "line", "no text"),
        (b" \n\t\n", "line", "no text"),
        (b"a\0b", "line", "binary"),
        (b"caf\xe9", "line", "UTF-8"),
        (&huge_line, "line", "split it"),
        (b"{\"text\": ", "json-record", "JSON"),
        (b"{\"other\": 1}", "json-record", "text"),
    ];
    let mut bench = with_text(TEXT, "line");
    for (bytes, unit, expected) in cases {
        let message = bench.check(bytes.to_vec(), unit).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(matches!(bench.begin(6.0, &SecretSeed::from_bytes([1; 32])), Err(WorkbenchError::NoText)));
    }
}

#[test]
fn errors_never_repeat_the_text() {
    let secret = "hunter2-secret";
    let mut bench = workbench(&[]);
    for (text, unit) in [
        (format!("{{\"{secret}\""), "json-record"),
        (format!("{{\"a\": \"{secret}\"}}"), "json-record"),
        (format!("{secret}\0"), "line"),
    ] {
        let error = bench.check(text.into_bytes(), unit).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn sizes_are_refused_before_reading() {
    assert!(check_size(MAX_TEXT_BYTES).is_ok());
    assert!(check_size(MAX_TEXT_BYTES + 1).unwrap_err().to_string().contains("20 MiB"));
    assert!(check_size(usize::MAX).is_err());
    assert!(check_upload_size(MAX_TEXT_BYTES).is_ok());
    assert!(check_upload_size(MAX_TEXT_BYTES + 1).unwrap_err().to_string().contains("scrambled"));
}

#[test]
fn calls_out_of_order_are_errors_not_panics() {
    let mut bench = workbench(&[]);
    let seed = SecretSeed::from_bytes([1; 32]);
    assert!(matches!(bench.count_chunk(), Err(WorkbenchError::NoText)));
    assert!(bench.preview(6.0, &seed).is_err());
    assert!(matches!(bench.perturb_chunk(), Err(WorkbenchError::NotBegun)));
    assert!(matches!(bench.finish(), Err(WorkbenchError::NotBegun)));
    bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
    bench.begin(6.0, &seed).unwrap();
    assert!(matches!(bench.finish(), Err(WorkbenchError::Perturb(PerturbError::Unfinished { .. }))));
    bench.begin(6.0, &seed).unwrap();
    bench.abandon();
    assert!(matches!(bench.perturb_chunk(), Err(WorkbenchError::NotBegun)));
}

#[test]
fn unusable_settings_and_models_are_refused() {
    let mut bench = with_text(TEXT, "line");
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY, 60.0] {
        assert!(bench.text_consequences(epsilon).is_err(), "{epsilon}");
        assert!(bench.begin(epsilon, &SecretSeed::from_bytes([1; 32])).is_err(), "{epsilon}");
    }
    assert!(matches!(bench.check(TEXT.as_bytes().to_vec(), "page"), Err(WorkbenchError::Unit(_))));
    assert!(Workbench::new(b"{}", &[], String::new()).is_err());
    assert!(Workbench::new(TOKENIZER, b"DPNT", String::new()).is_err());
}

#[test]
fn consequences_speak_of_the_text_at_hand() {
    let mut bench = workbench(&table(8));
    assert_eq!(bench.text_consequences(6.0).unwrap().worst_record, 0.0);
    bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
    let longest = count_all(&mut bench).longest;
    assert_eq!(bench.text_consequences(6.0).unwrap().worst_record, 6.0 * longest as f64);
    assert_eq!(bench.training_consequences(2.0).unwrap().delta, default_delta(3).get());
}
