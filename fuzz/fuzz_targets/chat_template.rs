#![no_main]
//! See [`fuzz::chat_template`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::chat_template::run(input));
