#![no_main]
//! See [`fuzz::chat`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::chat::run(input));
