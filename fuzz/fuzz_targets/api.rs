#![no_main]
//! See [`fuzz::api`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::api::run(input));
