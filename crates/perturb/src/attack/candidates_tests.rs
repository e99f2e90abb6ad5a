use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn the_candidates_are_the_likeliest_of_all(
        counts in prop::collection::vec(0_u64..50, 1..30), likely in prop::collection::btree_map(0_u32..30, -9.0..0.0_f64, 0..6),
        others in -9.0..0.0_f64, limit in 1_usize..40,
    ) {
        let prior = Prior::from_counts(&counts);
        let likely: Vec<(u32, f64)> = likely.into_iter().filter(|(item, _)| (*item as usize) < counts.len()).collect();
        let row = LikelihoodRow { likely: likely.into(), others };
        let found = Candidates::new(&row, &prior, Some(limit));
        prop_assert_eq!(found.items.len(), limit.min(counts.len()));
        prop_assert!(found.items.iter().zip(&found.ln_likelihood).all(|(item, ln)| row.of(*item) == *ln));
        let posterior = |item: u32| row.of(item) + prior.ln(item);
        let worst = found.items.iter().map(|item| posterior(*item)).fold(f64::INFINITY, f64::min);
        let better = (0..counts.len() as u32).filter(|item| posterior(*item) > worst).count();
        prop_assert!(better < found.items.len());
        let mut distinct = found.items.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), found.items.len());
        let all = Candidates::new(&row, &prior, None);
        prop_assert_eq!(all.items, (0..counts.len() as u32).collect::<Vec<_>>());
        prop_assert!(all.ln_likelihood.iter().enumerate().all(|(item, ln)| row.of(item as u32) == *ln));
    }
}
