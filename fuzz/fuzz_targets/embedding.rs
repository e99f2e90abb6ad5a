#![no_main]
//! See [`fuzz::embedding`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::embedding::run(input));
