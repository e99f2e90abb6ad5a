#![no_main]
//! See [`fuzz::neighbour_table`].
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::neighbour_table::run(input));
