#![no_main]
//! See [`fuzz::tokenizer`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::tokenizer::run(input));
