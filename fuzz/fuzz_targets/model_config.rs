#![no_main]
//! See [`fuzz::model_config`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::model_config::run(input));
