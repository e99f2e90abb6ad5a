use super::*;
use crate::args::{MechanismName, OutputFormat, PerturbArgs, UnitName};
use perturb::{Lexicon, Needs};

fn args(folder: &Path) -> Word2vecArgs {
    let corpus = folder.join("corpus.txt");
    let text = "The cat sat on the mat; the dog sat on the log. In 1984 a bird sang.\n".repeat(40);
    std::fs::write(&corpus, text).unwrap();
    Word2vecArgs {
        corpus,
        out: folder.join("tables"),
        dimension: 8,
        epochs: 2,
        window: 3,
        negative: 3,
        min_count: 2,
        vocabulary: 100,
        region: RegionName::Box,
        neighbours: 4,
        threads: Some(1),
        seed: 7,
    }
}

#[test]
fn a_text_becomes_tables_that_words_are_perturbed_over() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path());
    let (out, corpus) = (args.out.clone(), args.corpus.clone());
    run(args).unwrap();
    let (lexicon, tables) = tables::of_words(&out, Needs::Embedding).unwrap();
    let Lexicon::Words(vocabulary) = &lexicon else { panic!("words") };
    // Every word of the text is there, digits by their names.
    assert!(vocabulary.encode("The DOG sat; nine eight four.").iter().all(|&id| id > 0));
    assert_eq!(vocabulary.encode("zebra"), [0]);
    let rows = tables.embedding.unwrap().rows();
    let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!(rows.chunks_exact(8).skip(1).all(|row| row.iter().all(|x| x.abs() <= 1.0) && norm(row) > 1.0));
    assert!(tables::of_words(&out, Needs::Neighbours).unwrap().1.neighbours.is_some());
    assert!(!checkpoint_path(&out).exists());
    // Nothing is overwritten.
    let again = Word2vecArgs { out, corpus, ..self::args(folder.path()) };
    assert!(run(again).unwrap_err().to_string().contains("exists already"));
}

#[test]
fn a_stopped_run_goes_on_and_a_damaged_checkpoint_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let whole = args(folder.path());
    run(Word2vecArgs { out: folder.path().join("whole"), ..args(folder.path()) }).unwrap();
    // What a run that was stopped after its first part leaves.
    let config = Config::new(settings(&whole)).unwrap();
    let corpus = Corpus::read(normalised(&whole.corpus).unwrap().as_slice(), &config).unwrap();
    let mut first = Trainer::new(config, corpus).unwrap();
    first.run_part(200, &|_| ());
    let checkpoint = checkpoint_path(&whole.out);
    std::fs::write(&checkpoint, first.checkpoint()).unwrap();
    let out = whole.out.clone();
    run(whole).unwrap();
    for name in ["vocabulary.bin", "embedding.bin", "neighbours.bin"] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert_eq!(read(&out), read(&folder.path().join("whole")), "{name}");
    }
    std::fs::write(&checkpoint, b"damaged").unwrap();
    let other = Word2vecArgs { out: folder.path().join("tables"), ..args(folder.path()) };
    std::fs::remove_dir_all(&other.out).unwrap();
    assert!(format!("{:#}", run(other).unwrap_err()).contains("cannot go on from"));
}

#[test]
fn a_text_that_is_no_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path());
    std::fs::write(&args.corpus, [0xFF, 0xFE, b' ', b'a']).unwrap();
    assert!(run(args).unwrap_err().to_string().contains("not UTF-8"));
}

/// The mechanisms that the command line offers, over the tables that it makes.
#[test]
fn every_mechanism_takes_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let args = args(folder.path());
    let out = args.out.clone();
    run(args).unwrap();
    for (mechanism, epsilon, sigma) in [
        (MechanismName::SetRr, Some(2.0), None),
        (MechanismName::KRr, Some(2.0), None),
        (MechanismName::Exponential, Some(5.0), None),
        (MechanismName::Gaussian, Some(5.0), None),
        (MechanismName::Gaussian, None, Some(0.1)),
        (MechanismName::Laplace, Some(50.0), None),
    ] {
        let args = PerturbArgs {
            mechanism,
            epsilon,
            sigma,
            delta: 1e-5,
            region: RegionName::Box,
            neighbours: None,
            model: "nowhere".into(),
            vocabulary: Some(out.clone()),
            report: false,
            json: false,
            unit: UnitName::Line,
            format: OutputFormat::Text,
            manifest: None,
        };
        let perturber = crate::commands::perturb::chosen(&args).unwrap();
        let text =
            perturber.perturb_texts(&["the cat sat on the mat"], &mut edge::generator().unwrap()).unwrap();
        assert_eq!(text[0].split(' ').count(), 6);
    }
}
