#![no_main]
//! See [`fuzz::job_state`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::job_state::run(input));
