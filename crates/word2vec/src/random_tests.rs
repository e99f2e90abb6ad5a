//! Fixed vectors, and streams that have nothing in common.

use super::*;

/// SplitMix64 from state 0; the numbers are those of the reference program by S. Vigna:
/// `x = 0; for (i = 0; i < 3; i++) printf("%016lx\n", next());`
#[test]
fn the_generator_is_splitmix64() {
    let mut stream = Stream(0);
    let numbers = [stream.next(), stream.next(), stream.next()];
    assert_eq!(numbers, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
}

#[test]
fn streams_of_near_seeds_and_numbers_differ_in_half_their_bits() {
    let bits = |seed, number| Stream::new(seed, number).next();
    for n in 0..1000 {
        let (a, b, c) = (bits(1, n), bits(1, n + 1), bits(2, n));
        for other in [b, c] {
            let differing = (a ^ other).count_ones();
            assert!((8..=56).contains(&differing), "{differing} bits at {n}");
        }
    }
}

#[test]
fn draws_are_uniform() {
    let mut random = Stream::new(7, 7);
    let mut cells = [0_u32; 10];
    let mut sum = 0.0;
    for _ in 0..100_000 {
        cells[random.below(10) as usize] += 1;
        let unit = random.unit();
        assert!((0.0..1.0).contains(&unit));
        sum += f64::from(unit);
    }
    let chi_square: f64 = cells.iter().map(|&n| (f64::from(n) - 10_000.0).powi(2) / 10_000.0).sum();
    // 9 degrees of freedom: above 33.7 once in 10,000.
    assert!(chi_square < 33.7, "{chi_square}");
    assert!((sum / 100_000.0 - 0.5).abs() < 0.005);
}
