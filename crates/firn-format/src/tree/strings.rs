//! Strings and paths: their lines and the interpolations in them.

use std::borrow::Cow;

use firn_syntax::TokenKind as T;

use super::parse::{Parsed, Parser};
use super::{Leaf, Lines, Part, Term};

impl<'s> Parser<'s> {
    /// Parts up to a token of this kind, and the index of the byte behind that.
    fn parts(&mut self, start: usize, close: T) -> Parsed<(Vec<Part<'s>>, usize)> {
        let mut parts = Vec::new();
        let mut from = start;
        loop {
            let token = self.here();
            match token.kind {
                T::Str | T::IndStr | T::Path | T::HomePath => {
                    self.step();
                }
                T::DollarBrace => {
                    parts.push(Part::Text(Cow::Borrowed(&self.text[from..token.start])));
                    let (part, end) = self.interpolation()?;
                    parts.push(part);
                    from = end;
                }
                kind if kind == close => {
                    parts.push(Part::Text(Cow::Borrowed(&self.text[from..token.start])));
                    self.step();
                    return Ok((parts, token.end));
                }
                _ => return self.unexpected(),
            }
        }
    }

    pub(super) fn string(&mut self) -> Parsed<Leaf<'s, Lines<'s>>> {
        let mut around = self.begin();
        let open = self.step();
        let (parts, end) = self.parts(open.end, T::Quote)?;
        self.end(&mut around, end);
        Ok(Leaf { around, value: split_lines(parts) })
    }

    pub(super) fn path(&mut self) -> Parsed<Leaf<'s, Vec<Part<'s>>>> {
        let mut around = self.begin();
        let start = self.here().start;
        let (mut value, end) = self.parts(start, T::PathEnd)?;
        drop_empty(&mut value);
        self.end(&mut around, end);
        Ok(Leaf { around, value })
    }

    pub(super) fn indented_string(&mut self) -> Parsed<Term<'s>> {
        let mut around = self.begin();
        let open = self.step();
        let start = open.start;
        let (parts, end) = self.parts(start + 2, T::IndClose)?;
        let as_written =
            parts.iter().any(|part| matches!(part, Part::Text(text) if escapes_newline(text)));
        self.end(&mut around, end);
        if as_written {
            // The indentation of the line after an escaped newline is text, so it has to stay.
            return Ok(Term::Word(Leaf { around, value: Cow::Borrowed(&self.text[start..end]) }));
        }
        let mut lines = split_lines(parts);
        normalise(&mut lines);
        if lines.len() > 1 || !fits_quotes(&lines[0]) || self.keep_quotes {
            return Ok(Term::Indented(Leaf { around, value: lines }));
        }
        for part in &mut lines[0] {
            if let Part::Text(text) = part
                && text.contains("''")
            {
                *text = Cow::Owned(requote(text));
            }
        }
        Ok(Term::String(Leaf { around, value: lines }))
    }
}

/// Whether `''\` stands before the end of a line.
fn escapes_newline(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find("''") {
        let after = &rest[at + 2..];
        if after.starts_with("\\\n") || after.starts_with("\\\r") {
            return true;
        }
        // `'''` and `''$` are whole escapes, `''\` takes a character along.
        let skipped = match after.strip_prefix('\\') {
            Some(escaped) => 1 + escaped.chars().next().map_or(0, char::len_utf8),
            None => usize::from(after.starts_with(['\'', '$'])),
        };
        rest = &after[skipped..];
    }
    false
}

/// Whether a line of an indented string can stand between simple quotes without more escapes.
fn fits_quotes(line: &[Part<'_>]) -> bool {
    // A carriage return is text in an indented string and the end of a line between simple quotes.
    line.iter().all(|part| !matches!(part, Part::Text(text) if text.contains(['"', '\\', '\r'])))
}

/// The escapes of an indented string as those of a simple one.
fn requote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("''$") {
            out.push_str("\\$");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("'''") {
            out.push_str("''");
            rest = after;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn drop_empty(line: &mut Vec<Part<'_>>) {
    line.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
}

/// Parts in lines; there is at least one.
fn split_lines(parts: Vec<Part<'_>>) -> Lines<'_> {
    let mut lines = vec![Vec::new()];
    for part in parts {
        let text = match part {
            Part::Text(Cow::Borrowed(text)) => text,
            other => {
                if let Some(line) = lines.last_mut() {
                    line.push(other);
                }
                continue;
            }
        };
        for (i, piece) in text.split('\n').enumerate() {
            if i > 0 {
                lines.push(Vec::new());
            }
            if let Some(line) = lines.last_mut()
                && !piece.is_empty()
            {
                line.push(Part::Text(Cow::Borrowed(piece)));
            }
        }
    }
    lines
}

fn is_blank(line: &[Part<'_>]) -> bool {
    match line {
        [] => true,
        [Part::Text(text)] => only_spaces(text),
        _ => false,
    }
}

fn only_spaces(text: &str) -> bool {
    text.bytes().all(|c| c == b' ')
}

/// Takes away what all lines are indented by, and blanks that do not belong to the value.
fn normalise(lines: &mut Lines<'_>) {
    if lines.len() > 1 && is_blank(&lines[0]) {
        lines.remove(0);
    }
    if let Some(last) = lines.last_mut()
        && is_blank(last)
    {
        last.clear();
    }
    let indentation = lines
        .iter()
        .filter(|line| !is_blank(line))
        .map(|line| match line.first() {
            Some(Part::Text(text)) => text.bytes().take_while(|c| *c == b' ').count(),
            _ => 0,
        })
        .min();
    for line in lines {
        match (indentation, line.first_mut()) {
            (None, _) => line.clear(),
            (Some(n), Some(Part::Text(Cow::Borrowed(text)))) => {
                *text = text.get(n..).unwrap_or_default();
            }
            _ => {}
        }
        drop_empty(line);
    }
}
