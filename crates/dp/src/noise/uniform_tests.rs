use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::test_statistics::chi_square_score;

#[test]
fn one_value_needs_no_luck() {
    assert_eq!(uniform_below(&mut ChaCha20Rng::from_seed([0; 32]), 1), 0);
}

#[test]
fn values_are_equally_likely() {
    let mut rng = ChaCha20Rng::from_seed([41; 32]);
    let mut counts = vec![0; 11];
    (0..200_000).for_each(|_| counts[uniform_below(&mut rng, 11) as usize] += 1);
    assert!(chi_square_score(&counts, &[1.0 / 11.0; 11]) < 4.0);
    // A remainder instead of a rejection: four bits leave five values with twice the chance.
    let mut counts = vec![0; 11];
    (0..200_000).for_each(|_| counts[(uniform_below(&mut rng, 16) % 11) as usize] += 1);
    assert!(chi_square_score(&counts, &[1.0 / 11.0; 11]) > 20.0);
}

proptest! {
    #[test]
    fn draws_stay_below_their_bound(seed: [u8; 32], bound in 1_u64..) {
        prop_assert!(uniform_below(&mut ChaCha20Rng::from_seed(seed), bound) < bound);
    }
}
