use super::*;

#[test]
fn a_function_has_two_processors_or_what_its_memory_brings() {
    let small = Lambda::of(100 << 20, 200.0).unwrap();
    assert_eq!((small.mib, small.seconds), (3538.0, 100.0));
    assert!((small.dollars - 100.0 * 3538.0 / 1024.0 * DOLLARS_A_GB_SECOND).abs() < 1e-12);
    // 7,268 MiB with the rest: four whole processors.
    let large = Lambda::of(7068 << 20, 200.0).unwrap();
    assert_eq!((large.mib, large.seconds), (7268.0, 50.0));
    assert!(Lambda::of(11_000 << 20, 200.0).is_none());
}
