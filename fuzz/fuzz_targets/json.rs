#![no_main]
//! See [`fuzz::json`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::json::run(input));
