//! The final error in what a command wrote to standard error: the last `error:` with the lines that
//! belong to it, without positions, source excerpts, traces and suggestions.

/// The message of the last error in a text, or `None` where there is none.
///
/// Both layouts are understood: a lone `error: MESSAGE`, and a trace whose last part is an indented
/// `error: MESSAGE`.
pub fn final_error(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().rposition(|line| {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        (indent == 0 || indent == 7)
            && (bare.starts_with("error: ") || (indent == 7 && bare == "error:"))
    })?;
    let indent = lines[start].len() - lines[start].trim_start().len();
    let mut message = vec![lines[start].trim_start().trim_start_matches("error:").trim()];
    for line in &lines[start + 1..] {
        let bare = line.trim_start();
        if bare.starts_with("at ") && (bare.contains(':')) && line.starts_with("       at ") {
            break;
        }
        if bare.starts_with("Did you mean ") || is_excerpt(bare) {
            break;
        }
        let cut = if line.len() >= indent && line.as_bytes()[..indent].iter().all(|b| *b == b' ') {
            &line[indent..]
        } else {
            bare
        };
        message.push(cut.trim_end());
    }
    while message.last().is_some_and(|l| l.is_empty()) {
        message.pop();
    }
    Some(message.join("\n"))
}

/// Whether a line is of a source excerpt: `12| text` or ` | ^`.
fn is_excerpt(bare: &str) -> bool {
    let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && bare[digits..].starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::final_error;

    #[test]
    fn messages_are_found_in_both_layouts() {
        let lone = "error: cannot add a string to an integer\n       at «string»:1:6:\n            1| (1 + \"a\")\n             |      ^\n";
        assert_eq!(final_error(lone).as_deref(), Some("cannot add a string to an integer"));
        let traced = "error:\n       … while calling the 'throw' builtin\n         at «string»:1:2:\n            1| (throw \"a\\nb\")\n             |  ^\n\n       error: a\n       b\n";
        assert_eq!(final_error(traced).as_deref(), Some("a\nb"));
        let hinted =
            "error: attribute 'abd' missing\n       at «string»:1:1:\n       Did you mean abc?\n";
        assert_eq!(final_error(hinted).as_deref(), Some("attribute 'abd' missing"));
        assert_eq!(final_error("warning: nothing\n"), None);
    }
}
