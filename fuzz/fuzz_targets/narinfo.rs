//! No text makes the narinfo parser panic, and what it accepts is printed and parsed back the same.
#![no_main]

use firn_model::StoreDir;
use firn_model::narinfo::NarInfo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let dir = StoreDir::default();
    if let Ok(info) = NarInfo::parse(text, &dir, "fuzz.narinfo") {
        let again = NarInfo::parse(&info.print(&dir), &dir, "fuzz.narinfo");
        assert_eq!(again.map(|i| i.info), Ok(info.info));
    }
});
