//! No text makes the formatter panic; what it formats means the same afterwards (which it checks itself) and is
//! not changed by formatting again.
#![no_main]

use firn_format::{FormatError, format};
use firn_syntax::Origin;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| match format(text, &Origin::String) {
    Ok(new) => match format(new.as_bytes(), &Origin::String) {
        Ok(again) => assert_eq!(new, again, "formatting again changes the text"),
        Err(error) => panic!("what was formatted is not accepted: {error}\n{new}"),
    },
    Err(error @ FormatError::Fault { .. }) => panic!("{error}"),
    Err(error) => drop(error.to_string()),
});
