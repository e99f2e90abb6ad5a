#![no_main]
//! See [`fuzz::vocabulary`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::vocabulary::run(input));
