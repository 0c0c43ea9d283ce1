//! No text makes the reader of activation.json panic, and what it accepts names only files below /etc.
#![no_main]

use firn_system::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(manifest) = Manifest::parse(text) {
        for entry in &manifest.etc {
            assert!(!entry.target.starts_with('/') && !entry.target.split('/').any(|p| p == ".."));
        }
    }
});
