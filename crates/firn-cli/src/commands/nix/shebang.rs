//! Scripts whose first line starts `nix`: the lines `#! nix …` that follow are its command line. Defined in the
//! Nix manual, "nix", "Shebang interpreter".

use std::ffi::OsString;
use std::path::PathBuf;

use crate::common::legacy::{Outcome, fail};

/// A command line, and the folder that paths in it are relative to if it is from a script.
pub type CommandLine = (Vec<OsString>, Option<PathBuf>);

/// If the first argument is a script, the command line that it contains; else the arguments as they are.
///
/// # Errors
/// If the script's lines are not well-formed.
pub fn expand(args: Vec<OsString>) -> Outcome<CommandLine> {
    let Some(script) = args.first().filter(|a| !a.is_empty()) else { return Ok((args, None)) };
    let Ok(text) = std::fs::read(script) else { return Ok((args, None)) };
    let Some(text) = text.strip_prefix(b"#!") else { return Ok((args, None)) };
    let words = words(&contents(&String::from_utf8_lossy(text)))?;
    let base = PathBuf::from(script)
        .parent()
        .map(|dir| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() });
    let all = words.into_iter().map(OsString::from).chain(args).collect();
    Ok((all, base))
}

/// What follows `#! nix` in the lines below the first one, as far as they are comments of some language.
fn contents(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().skip(1) {
        if !line.starts_with(['#', '/', '\\', '%', '@', '*', '-', '(']) {
            break;
        }
        let Some(rest) = line.strip_prefix("#!") else { continue };
        let Some(rest) = rest.trim_start().strip_prefix("nix") else { continue };
        if let Some(rest) = rest.strip_prefix(' ').or_else(|| rest.is_empty().then_some("")) {
            out.push_str(rest);
            out.push('\n');
        }
    }
    out
}

/// Words between white space; what is between two backticks each is one word.
fn words(text: &str) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        if rest.starts_with("``") && !rest.starts_with("```") {
            let (word, after) = quoted(&rest[2..])?;
            found.push(word);
            rest = after;
            continue;
        }
        if first == '#' {
            return fail(
                "unquoted nix shebang argument cannot start with #. Use double backticks to escape?",
            );
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.contains('`') {
            return fail("single backtick is not a supported syntax in the nix shebang.");
        }
        if let Some(c) = word.chars().find(|c| "$*~<>|;()[]{}'\"\\".contains(*c)) {
            return fail(format!(
                "unsupported unquoted character in nix shebang: {c}. Use double backticks to escape?"
            ));
        }
        found.push(word.to_owned());
        rest = after;
    }
}

/// A quoted word up to its closing backticks, and what follows. A space before them is not part of it; of more
/// backticks than two in a row one is dropped.
fn quoted(text: &str) -> Outcome<(String, &str)> {
    let mut word = String::new();
    let mut rest = text;
    loop {
        let ticks = |s: &str| s.len() - s.trim_start_matches('`').len();
        if let Some(after) = rest.strip_prefix(' ')
            && ticks(after) == 2
        {
            return Ok((word, &after[2..]));
        }
        match ticks(rest) {
            0 | 1 => {
                let Some(c) = rest.chars().next() else {
                    return fail("unterminated quoted string in nix shebang");
                };
                word.push(c);
                rest = &rest[c.len_utf8()..];
            }
            2 => return Ok((word, &rest[2..])),
            n => {
                word.extend(std::iter::repeat_n('`', n - 1));
                rest = &rest[n..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_words() {
        let script = "/usr/bin/env nix\n# a comment\n#! nix shell a#b\n#! nix --expr ``\n\
            #! nix  let x = 1;\n#! nix in x\n#! nix ``\n#! nix -c bash\necho\n#! nix no\n";
        let words = words(&contents(script)).unwrap();
        assert_eq!(words, ["shell", "a#b", "--expr", "\n let x = 1;\nin x\n", "-c", "bash"]);
    }

    #[test]
    fn backticks_quote() {
        assert_eq!(words("``a b`` `` c ``").unwrap(), ["a b", " c"]);
        assert_eq!(words("``a```b``").unwrap(), ["a``b"]);
        assert!(words("``a").is_err() && words("a *").is_err() && words("#").is_err());
    }
}
