#![no_main]
//! See [`fuzz::adapter`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::adapter::run(input));
