#![no_main]
//! See [`fuzz::checkpoint`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::checkpoint::run(input));
