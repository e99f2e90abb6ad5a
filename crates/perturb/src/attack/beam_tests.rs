use proptest::prelude::*;

use super::*;

fn candidates(ln_likelihood: &[f64]) -> Candidates {
    Candidates {
        items: (10..10 + ln_likelihood.len() as u32).collect(),
        ln_likelihood: ln_likelihood.to_vec(),
    }
}

#[test]
fn beams_together_may_prefer_another_item_than_the_best_beam() {
    // The best beam says 10; the two behind it, together heavier, say 11.
    let context = [0.9_f64, 0.1, 0.1, 0.9, 0.1, 0.9].map(f64::ln);
    let scores = [0.4_f64, 0.3, 0.3].map(f64::ln);
    let candidates = candidates(&[0.0, 0.0]);
    assert_eq!(best_extensions(&scores, &candidates, &context, 1)[0].item, 10);
    assert_eq!(likeliest_item(&scores, &candidates, &context), 11);
}

#[test]
fn impossible_candidates_are_no_numbers_to_fear() {
    let candidates = candidates(&[f64::NEG_INFINITY, f64::NEG_INFINITY]);
    assert_eq!(best_extensions(&[0.0], &candidates, &[-1.0, -2.0], 3).len(), 2);
    assert_eq!(likeliest_item(&[0.0], &candidates, &[-1.0, -2.0]), 10);
}

proptest! {
    #[test]
    fn extensions_are_the_best_of_all_pairs(
        scores in prop::collection::vec(-4_i32..0, 1..5), likelihood in prop::collection::vec(-4_i32..0, 1..7),
        context in prop::collection::vec(-4_i32..0, 30), width in 1_usize..12,
    ) {
        let float = |values: &[i32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        let (scores, candidates) = (float(&scores), candidates(&float(&likelihood)));
        let context = float(&context[..scores.len() * likelihood.len()]);
        let found = best_extensions(&scores, &candidates, &context, width);
        let mut all = Vec::new();
        for (beam, score) in scores.iter().enumerate() {
            for (index, item) in candidates.items.iter().enumerate() {
                let score = score + candidates.ln_likelihood[index] + context[beam * candidates.items.len() + index];
                all.push(Extension { score, beam, item: *item });
            }
        }
        // Stable: among equals the earlier beam, then the earlier candidate.
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        all.truncate(width);
        prop_assert_eq!(found, all);
    }
}
