#![no_main]
//! See [`fuzz::certificate`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::certificate::run(input));
