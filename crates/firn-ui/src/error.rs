//! How errors are written: the word, then the message with its further lines below it.

/// `error: …` as C++ Nix writes it: lines after the first are indented by the width of the word.
#[must_use]
pub fn format_error(text: &str, color: bool) -> String {
    let (on, off) = if color { ("\x1b[31;1m", "\x1b[0m") } else { ("", "") };
    let mut out = format!("{on}error:{off} ");
    for (n, line) in text.trim_end().split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
            if !line.is_empty() {
                out.push_str("       ");
            }
        }
        out.push_str(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::format_error;

    #[test]
    fn further_lines_stand_below_the_first() {
        assert_eq!(format_error("a\n  b\n\nc\n", false), "error: a\n         b\n\n       c");
        assert!(format_error("a", true).starts_with("\x1b[31;1merror:\x1b[0m a"));
    }
}
