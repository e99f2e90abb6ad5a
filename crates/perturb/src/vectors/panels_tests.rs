use proptest::prelude::*;

use super::super::arithmetic::product;
use super::super::lanes::{self, Kernel};
use super::super::test_tables::tables;
use super::*;

/// ȳ·v̄ of all rows with one tile: for each of its queries, row by row.
fn sums(panels: &Panels, tile: &Tile) -> Vec<[i32; TILE]> {
    struct All<'a>(&'a Panels, &'a Tile, &'a mut Vec<[i32; TILE]>);
    impl Kernel for All<'_> {
        #[inline(always)]
        fn run<L: Lanes>(self) {
            for chunk in 0..self.0.chunks() {
                let zero = L::from_array(&[0; LANES]);
                self.0.for_each_group(
                    chunk,
                    self.1,
                    |_| zero,
                    |_, sums| {
                        let arrays = sums.map(Lanes::to_array);
                        self.2.extend((0..LANES).map(|lane| arrays.map(|array| array[lane])));
                    },
                );
            }
        }
    }
    let mut result = Vec::new();
    lanes::run(All(panels, tile, &mut result));
    result
}

// Of all rows, the largest share of its bound that an error of the integer score takes; with `own` the row's part of
// the bound alone.
fn largest_share(rows: &[f32], dim: usize, query: &[f64]) -> f64 {
    let panels = Panels::new(rows, dim);
    let mut tile = Tile::new();
    let scaled = panels.quantise(query, panels.query_scale(query), &mut tile, 2);
    let sums = sums(&panels, &tile);
    let share = |(row, sums): (&[f32], &[i32; TILE])| {
        (f64::from(sums[2]) / scaled.scale - product(query, row)).abs() / scaled.error
    };
    rows.chunks_exact(dim).zip(&sums).map(share).fold(0.0, f64::max)
}

proptest! {
    #[test]
    fn integer_scores_are_within_their_bound(
        (rows, dim) in tables(), noise in prop::collection::vec(-1.0_f64..1.0, 20), log_size in -5.0_f64..20.0,
    ) {
        let query: Vec<f64> = noise[..dim].iter().zip(&rows).map(|(x, &v)| x * log_size.exp() + f64::from(v)).collect();
        let share = largest_share(&rows, dim, &query);
        prop_assert!(share <= 1.0, "{share}");
    }
}

#[test]
fn the_bound_is_not_idle() {
    // Near to one dimension Cauchy and Schwarz are near to equality.
    let mut largest = 0.0_f64;
    for seed in 0..50 {
        let rows = super::super::test_tables::clustered(64, 2, 0.3, seed);
        largest = largest.max(largest_share(&rows, 2, &[0.31, -0.77]));
    }
    assert!(largest > 0.25, "an error bound that were four times smaller would hold too: {largest}");
}

#[test]
fn the_largest_sums_fit_32_bits() {
    for dim in [1, 2, 3, 49, 50, 51, 1023, 1024] {
        // All at the corners, so that every product has its largest size.
        let rows: Vec<f32> = (0..3 * dim).map(|place| if place < 2 * dim { 1.0 } else { -1.0 }).collect();
        let panels = Panels::new(&rows, dim);
        let query = vec![1.0; dim];
        let mut tile = Tile::new();
        let scaled = panels.quantise(&query, panels.query_scale(&query), &mut tile, 0);
        let sums = sums(&panels, &tile);
        let half = (scaled.scale * dim as f64 / 2.0).round();
        for (sum, sign) in [(sums[0][0], 1.0), (sums[1][0], 1.0), (sums[2][0], -1.0)] {
            let sum = f64::from(sum);
            assert!((sum / scaled.scale - sign * dim as f64).abs() <= scaled.error);
            assert!(sum.abs() + half <= f64::from(i32::MAX), "{dim}: {sum} ± {half}");
        }
        assert!(sums[3..].iter().all(|sums| *sums == [0; TILE]), "what fills up a chunk is zero");
    }
}

#[test]
fn queries_do_not_disturb_their_neighbours_in_a_tile() {
    let rows = super::super::test_tables::clustered(9, 5, 0.3, 1);
    let panels = Panels::new(&rows, 5);
    let alone = |query: &[f64], place: usize| {
        let mut tile = Tile::new();
        panels.quantise(query, 100.0, &mut tile, place);
        sums(&panels, &tile).iter().map(|sums| sums[place]).collect::<Vec<_>>()
    };
    let queries: [[f64; 5]; TILE] =
        std::array::from_fn(|q| std::array::from_fn(|i| (q * 5 + i) as f64 / 10.0 - 1.0));
    let mut tile = Tile::new();
    queries.iter().enumerate().for_each(|(place, query)| {
        panels.quantise(query, 100.0, &mut tile, place);
    });
    let together = sums(&panels, &tile);
    for (place, query) in queries.iter().enumerate() {
        assert_eq!(together.iter().map(|sums| sums[place]).collect::<Vec<_>>(), alone(query, place));
    }
}
