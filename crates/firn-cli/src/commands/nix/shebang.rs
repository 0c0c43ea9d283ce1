//! Scripts whose first line names `nix` as their interpreter: the lines `#! nix …` that follow have its arguments.
//! Defined in the Nix manual, "nix", "Shebang interpreter".

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use crate::common::legacy::{Failure, Outcome};

/// The arguments that a script has in it, with its own name and arguments behind them, and the folder that relative
/// paths in it start from. `None` if the first argument is no script, or is a word that means something else.
pub fn expand(
    args: &[OsString],
    is_word: &dyn Fn(&str) -> bool,
) -> Outcome<Option<(Vec<OsString>, PathBuf)>> {
    let Some((script, rest)) = args.split_first() else { return Ok(None) };
    if script.to_str().is_some_and(is_word) {
        return Ok(None);
    }
    let Some(text) = script_lines(script) else { return Ok(None) };
    let mut all: Vec<OsString> = words(&text)?.into_iter().map(OsString::from).collect();
    all.push(script.clone());
    all.extend_from_slice(rest);
    let dir = PathBuf::from(script).parent().map(std::path::Path::to_owned).unwrap_or_default();
    let dir = std::path::absolute(if dir.as_os_str().is_empty() { ".".into() } else { dir })
        .map_err(|e| Failure::Message(format!("cannot get the current directory: {e}")))?;
    Ok(Some((all, dir)))
}

/// What follows `#! nix` in the comments at the start of a script.
fn script_lines(script: &OsString) -> Option<String> {
    let mut lines = BufReader::new(std::fs::File::open(script).ok()?).split(b'\n');
    if !lines.next()?.ok()?.starts_with(b"#!") {
        return None;
    }
    let mut text = String::new();
    for line in lines.map_while(Result::ok) {
        if !line.first().is_some_and(|c| b"#/\\%@*-(".contains(c)) {
            break;
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let Some(rest) = line.trim_end().strip_prefix("#!") else { continue };
        let Some(rest) = rest.trim_start().strip_prefix("nix") else { continue };
        // one space goes, further ones are indentation
        match rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ')) {
            Some(rest) => text.push_str(rest),
            None if rest.is_empty() => {}
            None => continue,
        }
        text.push('\n');
    }
    Some(text)
}

/// Divides a text at white space. What is between double backticks is one word.
fn words(text: &str) -> Outcome<Vec<String>> {
    let fail = |text: &str| Err(Failure::Message(text.to_owned()));
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        match c {
            ' ' | '\t' | '\n' | '\r' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                at += 1;
            }
            '`' if ticks(&chars, at) >= 2 => {
                let (quoted, end) = quoted(&chars, at + 2).ok_or_else(|| {
                    Failure::Message("unterminated quoted string in nix shebang".into())
                })?;
                words.push(std::mem::take(&mut word) + &quoted);
                at = end;
            }
            '`' => return fail("single backtick is not a supported syntax in the nix shebang."),
            '$' | '*' | '~' | '<' | '>' | '|' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '\''
            | '"' | '\\' => {
                return fail(&format!(
                    "unsupported unquoted character in nix shebang: {c}. Use double backticks to escape?"
                ));
            }
            '#' if word.is_empty() => {
                return fail(
                    "unquoted nix shebang argument cannot start with #. Use double backticks to escape?",
                );
            }
            c => {
                word.push(*c);
                at += 1;
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// How many backticks there are.
fn ticks(chars: &[char], at: usize) -> usize {
    chars[at..].iter().take_while(|c| **c == '`').count()
}

/// A quoted word that begins at `at`, and where it has ended. A space before the end does not belong to it; of three
/// or more backticks the first is not one.
fn quoted(chars: &[char], mut at: usize) -> Option<(String, usize)> {
    let mut word = String::new();
    loop {
        match chars.get(at)? {
            ' ' if ticks(chars, at + 1) == 2 => return Some((word, at + 3)),
            '`' => match ticks(chars, at) {
                2 => return Some((word, at + 2)),
                1 => {
                    word.push('`');
                    at += 1;
                }
                n => {
                    word.extend(std::iter::repeat_n('`', n - 1));
                    at += n;
                }
            },
            c => {
                word.push(*c);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_divided_at_white_space() {
        let good = |text: &str| words(text).unwrap();
        assert_eq!(good("--offline shell\na#b  c\n"), ["--offline", "shell", "a#b", "c"]);
        assert_eq!(good("--expr ``\n { a }: \"x\"\n``\n"), ["--expr", "\n { a }: \"x\"\n"]);
        assert_eq!(good("`` a ``"), [" a"]);
        assert_eq!(good("``a ``` b``"), ["a `` b"]);
        assert_eq!(good("``a`b``"), ["a`b"]);
        for bad in ["a `b`", "*", "#a", "``x", "a \"b\""] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_comments_at_the_start_count() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("script");
        std::fs::write(
            &file,
            "#! /usr/bin/env nix\n# words\n// more\n#! nix shell\n#!nix: x\n#! nixos y\n\n#! nix no\n",
        )
        .unwrap();
        let (args, folder) =
            expand(&[file.clone().into(), "arg".into()], &|_| false).unwrap().unwrap();
        assert_eq!(
            args,
            ["shell".into(), "x".into(), file.clone().into_os_string(), OsString::from("arg")]
        );
        assert_eq!(folder, dir.path());
        // a file may have the name of a command
        assert!(expand(&[file.into()], &|_| true).unwrap().is_none());
        assert!(expand(&["build".into()], &|_| false).unwrap().is_none());
        assert!(expand(&[], &|_| false).unwrap().is_none());
    }
}
