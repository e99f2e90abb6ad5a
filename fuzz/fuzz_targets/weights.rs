#![no_main]
//! See [`fuzz::weights`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::weights::run(input));
