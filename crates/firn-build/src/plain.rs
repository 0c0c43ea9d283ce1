//! Texts of other programs, which come with colours and with words that a display adds by itself.

use firn_event::{Event, Level};

/// The text without the sequences that colour it in a terminal.
#[must_use]
pub fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            out.push(c);
        } else if chars.next_if_eq(&'[').is_some() {
            // parameters, then one letter
            for c in chars.by_ref() {
                if ('\x40'..='\x7e').contains(&c) {
                    break;
                }
            }
        }
    }
    out
}

/// A message with the level that its text begins with (`error:`, `warning:`), if it does.
#[must_use]
pub fn message(level: Level, text: &str) -> Event {
    let plain = without_colours(text);
    for (word, level) in [("error:", Level::Error), ("warning:", Level::Warn)] {
        if let Some(rest) = plain.strip_prefix(word) {
            return Event::Message { level, text: rest.trim_start().to_owned() };
        }
    }
    Event::Message { level, text: plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_words_are_taken_off() {
        let text = "\x1b[31;1merror:\x1b[0m no \x1b[35;1mluck\x1b[0m";
        assert_eq!(
            message(Level::Notice, text),
            Event::Message { level: Level::Error, text: "no luck".into() }
        );
        assert_eq!(
            message(Level::Notice, "warning: x"),
            Event::Message { level: Level::Warn, text: "x".into() }
        );
        assert_eq!(
            message(Level::Info, "plain\x1b[K"),
            Event::Message { level: Level::Info, text: "plain".into() }
        );
        assert_eq!(without_colours("\x1b[31"), "");
    }
}
