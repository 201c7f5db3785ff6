//! Fuzzes `tokenkeep::fuzzing::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokenkeep::fuzzing::config(bytes));
