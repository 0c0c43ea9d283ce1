//! No text makes the derivation parser panic, and what it accepts is printed and parsed back the same.
#![no_main]

use firn_model::{Derivation, StoreDir};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let dir = StoreDir::default();
    if let Ok(drv) = Derivation::parse("fuzz", text, &dir) {
        let printed = drv.to_aterm(&dir);
        // the system and the names of outputs are written as they are, as C++ Nix does
        let special = |text: &[u8]| text.iter().any(|b| matches!(b, b'"' | b'\\'));
        if !special(&drv.system) && !drv.outputs.keys().any(|name| special(name.as_bytes())) {
            assert_eq!(Derivation::parse("fuzz", &printed, &dir), Ok(drv.clone()));
        }
        if let Ok(json) = drv.to_json() {
            let _ = Derivation::from_json(&json);
        }
        let _ = drv.kind();
    }
});
