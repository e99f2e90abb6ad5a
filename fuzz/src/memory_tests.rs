use super::*;

#[test]
fn what_is_within_the_bound_passes() {
    let kept = bounded(10, || vec![1_u8; FIXED / 2]);
    assert_eq!(kept.len(), FIXED / 2);
    // What was held before does not count, nor what was given back in between.
    bounded(0, || drop(vec![1_u8; FIXED / 2]));
    bounded(1, || drop(vec![1_u8; FIXED - 1]));
}

#[test]
#[should_panic(expected = "bytes of memory were taken, over")]
fn what_is_beyond_it_does_not_even_if_it_is_given_back() {
    bounded(10, || drop(vec![0_u8; FIXED + 11 * PER_BYTE]));
}

#[test]
#[should_panic(expected = "bytes of memory were taken, over")]
fn a_vector_that_grows_is_seen() {
    bounded(0, || {
        let mut grown = Vec::with_capacity(1);
        grown.push(0_u8);
        grown.reserve_exact(2 * FIXED);
        grown
    });
}
