#![no_main]
//! See [`fuzz::text`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::text::run(input));
