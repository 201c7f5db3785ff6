//! Fuzzes `tokenkeep::fuzzing::provider_answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokenkeep::fuzzing::provider_answer(bytes));
