use std::sync::OnceLock;

use perturb::Payload;

use super::*;
use crate::preview::PREVIEW_TOKENS;
use crate::setting::Kind;

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
    Workbench::of_tokens(TOKENIZER, neighbours, "demo".into()).unwrap()
}

/// Whole words, with tables over made-up vectors.
fn word_bench() -> Workbench {
    let words =
        "the fever came back on tuesday she could not sleep at all noël wrote second line of it".split(' ');
    let vocabulary = Vocabulary::new(words.map(|word| (word.to_owned(), 9)), 1).unwrap();
    let domain = vocabulary.domain();
    let matrix: Vec<f32> =
        (0..=domain.max_id()).flat_map(|id| [(id as f32).sin(), (id as f32).cos()]).collect();
    let embedding = perturb::Embedding::quantise(&matrix, 2, domain).unwrap();
    let neighbours = NeighbourTable::of(&embedding, domain, 4).unwrap().to_bytes(domain).unwrap();
    Workbench::of_words(&vocabulary.to_bytes(), &embedding.to_bytes(), &neighbours, "demo".into()).unwrap()
}

fn setting(mechanism: Kind, strength: f64) -> Setting {
    Setting { mechanism, strength }
}

fn set_rr(epsilon: f64) -> Setting {
    setting(Kind::SetRr, epsilon)
}

fn seed(byte: u8) -> SecretSeed {
    SecretSeed::from_bytes([byte; 32])
}

fn with_text(text: &str, unit: &str) -> Workbench {
    let mut bench = workbench(&[]);
    bench.check(text.as_bytes().to_vec(), unit).unwrap();
    read_all(&mut bench);
    bench
}

fn read_all(bench: &mut Workbench) -> Counts {
    loop {
        let progress = bench.read_chunk().unwrap();
        if progress.done == progress.total {
            return progress.counts;
        }
    }
}

fn perturb_part(bench: &mut Workbench, setting: Setting, byte: u8) -> Part {
    bench.begin(setting, &seed(byte)).unwrap();
    while bench.perturb_chunk().map(|p| p.done < p.total).unwrap() {}
    bench.finish_part().unwrap()
}

fn perturb_all(bench: &mut Workbench, epsilon: f64, byte: u8) -> Vec<u8> {
    let part = perturb_part(bench, set_rr(epsilon), byte);
    bench.join(set_rr(epsilon), "line", &[part]).unwrap()
}

fn token_records(bytes: &[u8]) -> Vec<Vec<u32>> {
    match tokens::read(bytes).unwrap().1 {
        Payload::Tokens(records) => records,
        Payload::Text(_) => panic!("these are tokens"),
    }
}

#[test]
fn counts_are_those_of_the_tokenizer() {
    let mut bench = workbench(&[]);
    bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
    let lengths: Vec<u64> = TEXT
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| tokenizer().encode(line).unwrap().len() as u64)
        .collect();
    let (tokens, longest) = (lengths.iter().sum(), *lengths.iter().max().unwrap());
    let counts = Counts { records: 3, tokens, longest };
    assert_eq!(read_all(&mut bench), counts);
    assert_eq!(bench.read_chunk().unwrap().counts, counts, "reading on changes nothing");
}

#[test]
fn a_large_text_is_read_in_several_chunks() {
    let text = "A line that is neither short nor long.\n".repeat(10_000);
    let mut bench = workbench(&[]);
    bench.check(text.into_bytes(), "line").unwrap();
    let first = bench.read_chunk().unwrap();
    assert!(first.done > 0 && first.done < first.total, "{first:?}");
    assert!(matches!(bench.begin(set_rr(6.0), &seed(1)), Err(WorkbenchError::NoText)), "not yet read");
    assert_eq!(read_all(&mut bench).records, 10_000);
    bench.begin(set_rr(6.0), &seed(1)).unwrap();
    let first = bench.perturb_chunk().unwrap();
    assert!(first.done > 0 && first.total == 10_000 * (first.total / 10_000), "{first:?}");
}

#[test]
fn several_workers_make_one_file() {
    let text = TEXT.repeat(100);
    let ends = split(text.as_bytes(), "line", 3).unwrap();
    for bench in [|| workbench(&table(8)), word_bench] {
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let parts: Vec<Part> = starts
            .zip(&ends)
            .map(|(start, &end)| {
                let mut worker = bench();
                worker.check(text.as_bytes()[start..end].to_vec(), "line").unwrap();
                read_all(&mut worker);
                perturb_part(&mut worker, set_rr(5.0), 3)
            })
            .collect();
        let bytes = bench().join(set_rr(5.0), "line", &parts).unwrap();
        let (manifest, records) = tokens::read(&bytes).unwrap();
        assert_eq!((parts.len(), manifest.records, records.len()), (3, 300, 300));
        assert!(bench().join(set_rr(5.0), "line", &parts[..0]).is_ok_and(|bytes| bytes != Vec::<u8>::new()));
        let halved = Part { body: parts[0].body[1..].to_vec(), ..parts[0].clone() };
        assert!(bench().join(set_rr(5.0), "line", &[halved]).is_err());
    }
}

#[test]
fn every_mechanism_perturbs_words_and_says_what_it_means() {
    for (mechanism, strength) in [
        (Kind::SetRr, 2.0),
        (Kind::KRr, 2.0),
        (Kind::Exponential, 4.0),
        (Kind::Gaussian, 10.0),
        (Kind::GaussianNoise, 0.1),
        (Kind::Laplace, 10.0),
    ] {
        let setting = setting(mechanism, strength);
        let mut bench = word_bench();
        bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
        let counts = read_all(&mut bench);
        assert_eq!(counts, Counts { records: 3, tokens: 18, longest: 8 });
        let seen = bench.text_consequences(setting, counts, &seed(1)).unwrap();
        let stated = if mechanism == Kind::GaussianNoise { seen.epsilon } else { strength };
        assert!((seen.epsilon / stated - 1.0).abs() < 1e-3, "{seen:?}");
        assert_eq!(seen.classical_epsilon.is_some(), seen.delta.is_some());
        assert!(seen.originals.is_some() != seen.outputs.is_some());
        assert_eq!(bench.preview(setting, &seed(2)).unwrap().len(), 3);
        let part = perturb_part(&mut bench, setting, 3);
        let (manifest, records) = tokens::read(&bench.join(setting, "line", &[part]).unwrap()).unwrap();
        assert!(matches!(records, Payload::Text(_)));
        assert_eq!(manifest.epsilon_of_longest_record(), seen.worst_record);
    }
}

#[test]
fn the_upload_has_the_counted_records_and_the_stated_channel() {
    for (neighbours, unit, records) in [(vec![], "line", 3), (table(8), "paragraph", 2)] {
        let mut bench = workbench(&neighbours);
        bench.check(TEXT.as_bytes().to_vec(), unit).unwrap();
        let counts = read_all(&mut bench);
        let part = perturb_part(&mut bench, set_rr(6.0), 3);
        let (manifest, read) = tokens::read(&bench.join(set_rr(6.0), unit, &[part]).unwrap()).unwrap();
        assert_eq!((read.len(), manifest.tokens), (records, counts.tokens));
        assert_eq!(manifest.max_tokens_in_a_record, counts.longest);
        assert_eq!(manifest.epsilon_per_token.get(), 6.0);
        // The most informative size at ε = 6 and 4,096 tokens is 51, so the table's width is taken.
        let mechanism = serde_json::to_value(manifest.mechanism).unwrap();
        assert_eq!(mechanism["neighbours"].as_u64(), (!neighbours.is_empty()).then_some(8));
        assert_eq!(manifest.model.as_deref(), Some("demo"));
    }
}

/// The channel is tested in its own crate; this says that the page's path really goes through it, at the asked ε.
#[test]
fn tokens_survive_as_often_as_the_page_says() {
    let text = "The same line again and again, to have many tokens.\n".repeat(2000);
    let mut bench = with_text(&text, "line");
    let counts = read_all(&mut bench);
    let original = tokenizer().encode(text.lines().next().unwrap()).unwrap();
    for epsilon in [4.0, 9.0] {
        let expected = bench.text_consequences(set_rr(epsilon), counts, &seed(1)).unwrap().kept;
        let records = token_records(&perturb_all(&mut bench, epsilon, 5));
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
    let mut bench = with_text(TEXT, "line");
    let shown = bench.preview(set_rr(8.0), &seed(9)).unwrap();
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
        let mut bench = with_text(&record, "line");
        let shown = bench.preview(set_rr(8.0), &seed(9)).unwrap();
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
        assert!(matches!(bench.begin(set_rr(6.0), &seed(1)), Err(WorkbenchError::NoText)));
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
    assert!(matches!(bench.read_chunk(), Err(WorkbenchError::NoText)));
    assert!(matches!(bench.preview(set_rr(6.0), &seed(1)), Err(WorkbenchError::NoText)));
    assert!(matches!(bench.perturb_chunk(), Err(WorkbenchError::NotBegun)));
    assert!(matches!(bench.finish_part(), Err(WorkbenchError::NotBegun)));
    bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
    assert!(matches!(bench.begin(set_rr(6.0), &seed(1)), Err(WorkbenchError::NoText)));
    read_all(&mut bench);
    bench.begin(set_rr(6.0), &seed(1)).unwrap();
    assert!(matches!(bench.finish_part(), Err(WorkbenchError::Perturb(PerturbError::Unfinished))));
    bench.begin(set_rr(6.0), &seed(1)).unwrap();
    bench.abandon();
    assert!(matches!(bench.perturb_chunk(), Err(WorkbenchError::NotBegun)));
}

#[test]
fn unusable_settings_and_models_are_refused() {
    let mut bench = with_text(TEXT, "line");
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY, 60.0] {
        let setting = set_rr(epsilon);
        assert!(bench.text_consequences(setting, Counts::default(), &seed(1)).is_err(), "{epsilon}");
        assert!(bench.begin(setting, &seed(1)).is_err(), "{epsilon}");
    }
    let vectors = setting(Kind::Gaussian, 6.0);
    assert!(matches!(bench.begin(vectors, &seed(1)), Err(WorkbenchError::Channel(_))), "there are none");
    assert!(matches!(bench.check(TEXT.as_bytes().to_vec(), "page"), Err(WorkbenchError::Unit(_))));
    assert!(Workbench::of_tokens(b"{}", &[], String::new()).is_err());
    assert!(Workbench::of_tokens(TOKENIZER, b"DPNT", String::new()).is_err());
    assert!(Workbench::of_words(b"DPVO", b"DPEM", b"DPNT", String::new()).is_err());
}

#[test]
fn consequences_speak_of_the_text_at_hand() {
    let mut bench = workbench(&table(8));
    let worst = |bench: &mut Workbench, counts| {
        bench.text_consequences(set_rr(6.0), counts, &seed(1)).unwrap().worst_record
    };
    assert_eq!(worst(&mut bench, Counts::default()), 0.0);
    bench.check(TEXT.as_bytes().to_vec(), "line").unwrap();
    let counts = read_all(&mut bench);
    let sum = 6.0 * counts.longest as f64;
    assert!((worst(&mut bench, counts) / sum - 1.0).abs() < 1e-12);
    assert_eq!(bench.training_consequences(2.0, 3).unwrap().delta, default_delta(3).get());
}
