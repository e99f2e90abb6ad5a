//! Figures that can be checked by hand, and sets that are malformed.

use proptest::prelude::*;

use super::*;

fn vectors(words: &[&str], rows: &[[f32; 2]]) -> WordVectors {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    WordVectors::new(words, vec![1; rows.len()], 2, rows.concat()).unwrap()
}

/// Words at growing angles from the first, so that cosines with it fall.
fn fan() -> WordVectors {
    let angles = [0.0_f32, 0.1, 0.2, 0.3, 0.4, 0.5];
    vectors(&["a", "b", "c", "d", "e", "f"], &angles.map(|angle| [angle.cos(), angle.sin()]))
}

#[test]
fn spearman_is_one_for_the_same_order_and_minus_one_for_the_reverse() {
    let result = word_similarity(&fan(), "a b 9\na c 8\nA d 7.5\na e 1\na missing 5\n\n").unwrap();
    assert!((result.spearman - 1.0).abs() < 1e-12);
    assert_eq!((result.pairs, result.total), (4, 5));
    let reverse = word_similarity(&fan(), "a b 1\na c 2\na d 3\na e 4\n").unwrap();
    assert!((reverse.spearman + 1.0).abs() < 1e-12);
}

/// scipy.stats.spearmanr([5, 4, 3, 2, 1], [7, 7, 3, 9, 1]).statistic
#[test]
fn ties_have_mean_ranks() {
    let result = word_similarity(&fan(), "a b 7\na c 7\na d 3\na e 9\na f 1").unwrap();
    assert!((result.spearman - 0.359_092_423_229_804_9).abs() < 1e-12, "{}", result.spearman);
    assert_eq!(ranks(&[2.0, 1.0, 2.0, 5.0]), [2.5, 1.0, 2.5, 4.0]);
}

#[test]
fn malformed_sets_are_refused_by_line() {
    for (set, line) in [("a b 1\na b\n", 2), ("a b x", 1), ("\n\na b NaN", 3)] {
        match word_similarity(&fan(), set) {
            Err(Word2VecError::EvaluationSet { line: found, .. }) => assert_eq!(found, line),
            other => panic!("{other:?}"),
        }
    }
    let error = analogies(&fan(), ": heading\na b c", 10);
    assert!(matches!(error, Err(Word2VecError::EvaluationSet { line: 2, .. })));
}

/// king − man + woman, on a plane: the second value is the sex, the first the rank.
fn royals() -> WordVectors {
    let rows = [[0.1, 1.0], [0.1, -1.0], [1.0, 0.5], [1.0, -0.5], [-1.0, 0.01]];
    vectors(&["man", "woman", "King", "queen", "stone"], &rows)
}

#[test]
fn analogies_are_answered_by_the_nearest_other_word() {
    let set =
        ": royal\nman king woman queen\nMAN woman King QUEEN\nman king woman stone\nman king woman pope\n";
    assert_eq!(analogies(&royals(), set, 30_000).unwrap(), Analogies { correct: 2, total: 3 });
}

#[test]
fn questions_outside_of_the_frequent_words_are_left_out() {
    let set = "man king woman queen\nman king woman stone\n";
    assert_eq!(analogies(&royals(), set, 4).unwrap(), Analogies { correct: 1, total: 1 });
    assert_eq!(analogies(&royals(), set, 3).unwrap(), Analogies { correct: 0, total: 0 });
    assert!(analogies(&royals(), set, 3).unwrap().accuracy().is_nan());
}

#[test]
fn the_more_frequent_of_two_spellings_counts() {
    let vectors = vectors(&["Rome", "rome", "x"], &[[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]]);
    let result = word_similarity(&vectors, "ROME x 1\nrome rome 2").unwrap();
    assert!((result.spearman - 1.0).abs() < 1e-12);
}

#[test]
fn words_without_a_direction_are_like_nothing() {
    assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
    let zero = vectors(&["a", "b", "c", "d"], &[[0.0; 2]; 4]);
    assert_eq!(analogies(&zero, "a b c d", 10).unwrap().total, 1);
}

proptest! {
    /// Against the plain definition, with enough words and questions for several blocks and threads.
    #[test]
    fn analogies_match_a_direct_search(rows in prop::collection::vec(prop::array::uniform2(-1.0_f32..1.0), 8..30), picks in prop::collection::vec(any::<[prop::sample::Index; 4]>(), 150)) {
        let words: Vec<String> = (0..rows.len()).map(|n| format!("w{n}")).collect();
        let vectors = WordVectors::new(words.clone(), vec![1; rows.len()], 2, rows.concat()).unwrap();
        let unit: Vec<[f64; 2]> = rows.iter().map(|row| row.map(|x| f64::from(x) / norm(row).max(1e-30))).collect();
        let (mut set, mut correct) = (String::new(), 0);
        for pick in &picks {
            let [a, b, c, d] = pick.map(|index| index.index(rows.len()));
            set.push_str(&format!("{} {} {} {}\n", words[a], words[b], words[c], words[d]));
            let target = [0, 1].map(|i| unit[b][i] - unit[a][i] + unit[c][i]);
            let score = |n: &usize| unit[*n][0] * target[0] + unit[*n][1] * target[1];
            let best = (0..rows.len()).filter(|n| ![a, b, c].contains(n)).max_by(|x, y| score(x).total_cmp(&score(y)));
            correct += usize::from(best == Some(d));
        }
        // Two rows in nearly one direction may change places in f32.
        let found = analogies(&vectors, &set, 100).unwrap();
        prop_assert_eq!(found.total, picks.len());
        prop_assert!(found.correct.abs_diff(correct) <= 2, "{} for {}", found.correct, correct);
    }
}
