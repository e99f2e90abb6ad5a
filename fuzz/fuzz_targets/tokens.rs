#![no_main]
//! See [`fuzz::tokens`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::tokens::run(input));
