#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pgmoneta::fuzz::run(env!("CARGO_BIN_NAME"), input));
