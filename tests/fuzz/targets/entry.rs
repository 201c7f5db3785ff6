//! Fuzzes `tokenkeep::fuzzing::entry`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokenkeep::fuzzing::entry(bytes));
