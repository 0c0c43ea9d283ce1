//! No text makes the TOML reader panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Err(error) = firn_eval::text::toml::parse(text) {
        let _ = error.to_string();
    }
});
