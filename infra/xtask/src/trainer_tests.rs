use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn without_arguments_both_shapes_run() {
    let options = parse(&[]).unwrap();
    assert_eq!(options.shapes, ["S", "M"]);
    assert_eq!((options.rounds, options.peers_only, options.scaling), (3, false, false));
}

#[test]
fn arguments_are_read() {
    let options = parse(&words("--shape M --rounds 7 --steps 2 --peers-only --scaling")).unwrap();
    let expected =
        Options { shapes: vec!["M".to_owned()], rounds: 7, steps: 2, peers_only: true, scaling: true };
    assert_eq!(options, expected);
}

#[test]
fn wrong_arguments_are_named() {
    for (text, part) in [
        ("--shape L", "S or M, not `L`"),
        ("--rounds 0", "--rounds needs a number above 0, not `0`"),
        ("--steps many", "--steps needs"),
        ("--rounds", "--rounds needs a value"),
        ("S", "not `S`"),
    ] {
        let error = parse(&words(text)).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn scaling_changes_one_number_at_a_time() {
    let usual = settings("M", false);
    assert_eq!(usual, [Setting { shape: "M".to_owned(), batch: 8, length: 128, rank: 8 }]);
    let all = settings("S", true);
    let first = &all[0];
    for other in &all[1..] {
        let changed = [other.batch != first.batch, other.length != first.length, other.rank != first.rank];
        assert_eq!(changed.iter().filter(|&&changed| changed).count(), 1, "{other:?}");
    }
}

#[test]
fn both_programs_get_the_same_numbers() {
    let setting = Setting { shape: "S".to_owned(), batch: 4, length: 32, rank: 2 };
    assert_eq!(setting.arguments(9), words("--shape S --batch 4 --length 32 --rank 2 --steps 9"));
}

#[test]
fn every_table_has_one_of_ours_and_a_private_peer() {
    for contenders in [&ALL[..], &SCALING[..]] {
        assert!(contenders.iter().any(|one| one.ours));
        assert!(contenders.iter().any(|one| !one.ours && one.arguments.contains(&"opacus")));
        let names: std::collections::BTreeSet<&str> = contenders.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), contenders.len(), "a name twice");
    }
}
