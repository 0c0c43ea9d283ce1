//! What stands between two tokens: comments, in a normal form, and blank lines.

use std::borrow::Cow;

use super::leaf::Trivium;
use crate::directive;

/// What is found between two tokens.
#[derive(Debug)]
enum Found<'s> {
    Newlines(usize),
    Line {
        text: &'s str,
        column: usize,
    },
    /// The lines of a comment between `/*` and `*/`, without their indentation and framing.
    Block {
        doc: bool,
        lines: Vec<Cow<'s, str>>,
    },
    Language(&'s str),
    /// A directive, and where it and its line end.
    Directive {
        disable: bool,
        start: usize,
        end: usize,
    },
}

impl Found<'_> {
    fn can_trail(&self) -> bool {
        match self {
            Found::Line { .. } | Found::Directive { .. } => true,
            Found::Block { doc: false, lines } => lines.len() < 2,
            _ => false,
        }
    }
}

/// The comment that belongs to the token before, and what belongs to the token after.
pub(super) type Parted<'s> = (Option<Cow<'s, str>>, Vec<Trivium<'s>>);

/// What stands between the end of one token and the start of the next.
pub(super) fn between(text: &str, start: usize, end: usize) -> Parted<'_> {
    let found = find(text, start, end);
    let trailing = found.iter().take_while(|f| f.can_trail()).count();
    // A comment that is continued, or whose column is that of the next token, in the line below belongs there.
    if let [Found::Line { column, .. }, Found::Newlines(1), rest @ ..] = &found[..] {
        let below = match rest.first() {
            None => Some(column_of(text, end)),
            Some(Found::Line { column, .. }) => Some(*column),
            Some(_) => None,
        };
        if below == Some(*column) {
            return (None, leading(text, found));
        }
    }
    let mut found = found;
    let rest = found.split_off(trailing);
    (trail(&found), leading(text, rest))
}

/// What stands before the first token of a text or of an interpolation.
pub(super) fn before_first(text: &str, start: usize, end: usize) -> Vec<Trivium<'_>> {
    leading(text, find(text, start, end))
}

fn trail<'s>(found: &[Found<'s>]) -> Option<Cow<'s, str>> {
    let mut all: Option<Cow<'s, str>> = None;
    for one in found {
        let text: Cow<'s, str> = match one {
            Found::Line { text, .. } => text.trim().into(),
            Found::Directive { disable, .. } => directive::words(*disable).into(),
            Found::Block { lines, .. } => match lines.first() {
                Some(Cow::Borrowed(line)) => line.trim().into(),
                Some(Cow::Owned(line)) => line.trim().to_owned().into(),
                None => continue,
            },
            _ => continue,
        };
        if !text.is_empty() {
            all = Some(match all {
                None => text,
                Some(before) => format!("{before} {text}").into(),
            });
        }
    }
    all
}

fn leading<'s>(text: &'s str, found: Vec<Found<'s>>) -> Vec<Trivium<'s>> {
    let mut all = Vec::new();
    for one in found {
        match one {
            Found::Newlines(1) => {}
            Found::Newlines(_) => all.push(Trivium::Blank),
            Found::Line { text, .. } => all.push(Trivium::Line(text.into())),
            Found::Directive { disable, start, end } => {
                all.push(match directive::alone(text, disable, start, end) {
                    Some(directive) => Trivium::Directive(directive),
                    None => Trivium::Line(format!(" {}", directive::words(disable)).into()),
                });
            }
            Found::Language(name) => all.push(Trivium::Language(name.into())),
            Found::Block { doc, lines } => match &lines[..] {
                [] => {}
                [line] if !doc => all.push(Trivium::Line(format!(" {}", line.trim()).into())),
                _ => all.push(Trivium::Block { doc, lines }),
            },
        }
    }
    all
}

fn find(text: &str, start: usize, end: usize) -> Vec<Found<'_>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        match bytes[at] {
            b'\n' | b'\r' => {
                at += if bytes[at..].starts_with(b"\r\n") { 2 } else { 1 };
                match found.last_mut() {
                    Some(Found::Newlines(n)) => *n += 1,
                    _ => found.push(Found::Newlines(1)),
                }
            }
            b'#' => {
                let rest = &bytes[at..end];
                let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                let comment = text[at + 1..at + len].trim_end();
                found.push(Found::Line { text: comment, column: column_of(text, at) });
                at += len;
            }
            b'/' if bytes[at..end].starts_with(b"/*") => {
                if let Some((disable, line)) = directive::at(&text[..end], at) {
                    found.push(Found::Directive { disable, start: at, end: line });
                    at = line;
                    continue;
                }
                let inside = at + 2;
                let len = memchr::memmem::find(&bytes[inside..end], b"*/").unwrap_or(end - inside);
                let after = (inside + len + 2).min(end);
                let content = &text[inside..inside + len];
                let (doc, content) = match content.strip_prefix('*') {
                    Some(rest) => (true, rest),
                    None => (false, content),
                };
                let lines = block_lines(content, column_of(text, at));
                found.push(match &lines[..] {
                    [Cow::Borrowed(name)]
                        if !doc && is_language(name) && string_follows(&bytes[after..]) =>
                    {
                        Found::Language(name.trim())
                    }
                    _ => Found::Block { doc, lines },
                });
                at = after;
            }
            _ => at += 1,
        }
    }
    found
}

/// The column of a byte, from 0, with tabulators at every eighth.
fn column_of(text: &str, at: usize) -> usize {
    let start = memchr::memrchr(b'\n', &text.as_bytes()[..at]).map_or(0, |n| n + 1);
    text[start..at]
        .chars()
        .fold(0, |column, c| if c == '\t' { (column / 8 + 1) * 8 } else { column + 1 })
}

fn is_language(name: &str) -> bool {
    let name = name.trim();
    !name.is_empty()
        && name.chars().count() <= 30
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'))
}

/// Whether a string begins here, or in the next line.
fn string_follows(rest: &[u8]) -> bool {
    let blank = |rest: &[u8]| rest.iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
    let mut rest = &rest[blank(rest)..];
    if let Some(below) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
        rest = &below[blank(below)..];
    }
    rest.starts_with(b"\"") || rest.starts_with(b"''")
}

/// The lines of a comment that begins in this column: without a column of stars at their start, without what
/// they are indented by, and without blank lines around them.
fn block_lines(content: &str, column: usize) -> Vec<Cow<'_, str>> {
    let mut lines: Vec<&str> = content
        .split('\n')
        .flat_map(|l| l.strip_suffix('\r').unwrap_or(l).split('\r'))
        .map(str::trim_end)
        .collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let Some((first, rest)) = lines.split_first() else { return Vec::new() };
    let starred = rest.iter().all(|line| {
        line.as_bytes().get(column + 1) == Some(&b'*')
            && line.as_bytes()[..=column].iter().all(|c| *c == b' ')
    });
    let mut texts: Vec<Cow<'_, str>> = Vec::with_capacity(lines.len());
    for line in rest {
        texts.push(if !starred {
            (*line).into()
        } else if column == 0 {
            line[column + 2..].into()
        } else {
            format!("{}{}", &line[..column], &line[column + 2..]).into()
        });
    }
    while texts.last().is_some_and(|line| line.trim_end().is_empty()) {
        texts.pop();
    }
    let most = column + if first.starts_with(' ') { 3 } else { 2 };
    let indentation = texts
        .iter()
        .filter(|line| !line.bytes().all(|c| c == b' '))
        .map(|line| line.bytes().take_while(|c| *c == b' ').count())
        .fold(most, usize::min);
    let strip = |line: &str| -> usize {
        if line.len() >= indentation && line.bytes().take(indentation).all(|c| c == b' ') {
            indentation
        } else {
            line.len() - line.trim_start().len()
        }
    };
    let mut all: Vec<Cow<'_, str>> = vec![first.trim().into()];
    for text in texts {
        all.push(match text {
            Cow::Borrowed(line) => line[strip(line)..].trim_end().into(),
            Cow::Owned(line) => line[strip(&line)..].trim_end().to_owned().into(),
        });
    }
    while all.last().is_some_and(|line| line.is_empty()) {
        all.pop();
    }
    let blank = all.iter().take_while(|line| line.is_empty()).count();
    all.drain(..blank);
    all
}
