//! Fuzzes `tokenkeep::fuzzing::jwks`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokenkeep::fuzzing::jwks(bytes));
