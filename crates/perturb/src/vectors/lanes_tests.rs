use proptest::prelude::*;

use super::*;

/// start + Σ pairs·other, and the larger of that and `start`.
struct Sums<'a> {
    start: [i32; LANES],
    pairs: &'a [(Pairs, [i16; 2])],
    result: &'a mut [[i32; LANES]; 2],
}

impl Kernel for Sums<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let start = L::from_array(&self.start);
        let sums = self
            .pairs
            .iter()
            .fold(start, |sums, (pairs, other)| sums.add_products(L::load(pairs), L::splat(pack(*other))));
        *self.result = [sums.to_array(), sums.max(start).to_array()];
    }
}

fn by_definition(start: [i32; LANES], pairs: &[(Pairs, [i16; 2])]) -> [[i32; LANES]; 2] {
    let sums = std::array::from_fn(|lane| {
        let product = |(pairs, other): &(Pairs, [i16; 2])| {
            (0..2).map(|i| i64::from(pairs[2 * lane + i]) * i64::from(other[i])).sum::<i64>()
        };
        // Wraps as 32-bit sums do.
        (i64::from(start[lane]) + pairs.iter().map(product).sum::<i64>()) as i32
    });
    [sums, std::array::from_fn(|lane: usize| sums[lane].max(start[lane]))]
}

proptest! {
    #[test]
    fn every_kind_of_lanes_gives_the_integers_of_the_definition(
        start: [i32; LANES], pairs in prop::collection::vec((any::<Pairs>(), any::<[i16; 2]>()), 0..40),
    ) {
        let mut results = [[[0; LANES]; 2]; 2];
        run(Sums { start, pairs: &pairs, result: &mut results[0] });
        Sums { start, pairs: &pairs, result: &mut results[1] }.run::<Portable>();
        prop_assert_eq!(results, [by_definition(start, &pairs); 2]);
    }
}

#[test]
fn the_largest_products_wrap_in_every_kind_of_lanes() {
    let pairs = [([i16::MIN; 2 * LANES], [i16::MIN; 2]), ([i16::MAX; 2 * LANES], [i16::MIN, i16::MAX])];
    let mut results = [[[0; LANES]; 2]; 2];
    run(Sums { start: [7; LANES], pairs: &pairs, result: &mut results[0] });
    Sums { start: [7; LANES], pairs: &pairs, result: &mut results[1] }.run::<Portable>();
    assert_eq!(results, [by_definition([7; LANES], &pairs); 2]);
}
