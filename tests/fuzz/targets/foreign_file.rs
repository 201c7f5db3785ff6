//! Fuzzes `tokenkeep::fuzzing::foreign_file`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokenkeep::fuzzing::foreign_file(bytes));
