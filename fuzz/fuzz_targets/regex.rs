//! No pattern makes the regular expressions panic, grow or run without bound, and what they find lies in
//! the text. The pattern ends at the first NUL; the text is what follows.
#![no_main]

use firn_eval::text::regex::Regex;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len() / 2);
    let (pattern, text) = bytes.split_at(cut);
    let Ok(regex) = Regex::new(pattern) else { return };
    let _ = regex.match_whole(text);
    let mut last = 0;
    for found in regex.find_all(text) {
        assert!(last <= found.start && found.start <= found.end && found.end <= text.len());
        assert_eq!(found.groups.len(), regex.group_count());
        last = found.end;
    }
});
