//! TOML 1.0 as `builtins.fromTOML` reads it.

use ::toml::Value;
use ::toml::value::{Datetime, Offset};

/// What a TOML text holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Toml {
    /// A table, in the order of the text.
    Table(Vec<(String, Toml)>),
    /// An array.
    List(Vec<Toml>),
    /// A string.
    String(String),
    /// An integer.
    Integer(i64),
    /// A number with a fraction or exponent, also `inf` and `nan`.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A date, a time, or both, in the form of RFC 3339.
    Timestamp(String),
}

/// Why a text cannot be read, without C++ Nix's `while parsing TOML: `.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TomlError(pub String);

/// Reads a TOML text.
///
/// # Errors
/// If it is not TOML 1.0, with the place and, for the commonest mistakes, the words of C++ Nix.
pub fn parse(text: &[u8]) -> Result<Toml, TomlError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| TomlError(format!("the text is not UTF-8: {error}")))?;
    let table: ::toml::Table =
        text.parse().map_err(|error: ::toml::de::Error| explain(text, &error))?;
    Ok(convert(Value::Table(table)))
}

/// The error with the line and place it is about.
fn explain(text: &str, error: &::toml::de::Error) -> TomlError {
    let (title, note) = match error.message() {
        m if m.contains("number too large") || m.contains("number too small") => (
            "toml::parse_dec_integer: too large integer: current max digits = 2^63".to_owned(),
            "must be < 2^63",
        ),
        m if m.contains("invalid table header") && m.contains("expected newline") => (
            "toml::parse_file: newline (or EOF) expected".to_owned(),
            "expected 0x0a(LINE FEED) or",
        ),
        m if m.starts_with("expected newline") => {
            ("toml::parse_table: newline (LF / CRLF) or EOF is expected".to_owned(), "here")
        }
        m => (m.trim().replace('\n', ", "), "here"),
    };
    let title = if title.is_empty() { "bad format: unknown value appeared".into() } else { title };
    let Some(span) = error.span() else { return TomlError(format!("[error] {title}")) };
    // A number that is too large is marked where it ends.
    let at = if note.starts_with("must") {
        span.start + number_len(&text[span.start..])
    } else {
        span.start
    };
    let at = at.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
    let number = (text[..at].matches('\n').count() + 1).to_string();
    let (margin, spaces) = (" ".repeat(number.len()), " ".repeat(text[start..at].chars().count()));
    let line = &text[start..end];
    TomlError(format!(
        "[error] {title}\n --> fromTOML\n {margin} |\n {number} | {line}\n {margin} | {spaces}^-- {note}\n"
    ))
}

fn number_len(text: &str) -> usize {
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+-_.".contains(b)).count()
}

/// The depth is bounded by the reader.
fn convert(value: Value) -> Toml {
    match value {
        Value::Table(table) => {
            Toml::Table(table.into_iter().map(|(key, value)| (key, convert(value))).collect())
        }
        Value::Array(items) => Toml::List(items.into_iter().map(convert).collect()),
        Value::String(text) => Toml::String(text),
        Value::Integer(n) => Toml::Integer(n),
        Value::Float(n) => Toml::Float(n),
        Value::Boolean(b) => Toml::Boolean(b),
        Value::Datetime(time) => Toml::Timestamp(timestamp(&time)),
    }
}

/// Always with seconds, and with as many digits of a fraction as make up milli-, micro- or nanoseconds.
fn timestamp(time: &Datetime) -> String {
    let mut out = String::new();
    if let Some(date) = time.date {
        out += &format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
        if time.time.is_some() {
            out.push('T');
        }
    }
    if let Some(clock) = time.time {
        let second = clock.second;
        out += &format!("{:02}:{:02}:{second:02}", clock.hour, clock.minute);
        let nanos = clock.nanosecond;
        if nanos % 1000 != 0 {
            out += &format!(".{nanos:09}");
        } else if nanos % 1_000_000 != 0 {
            out += &format!(".{:06}", nanos / 1000);
        } else if nanos != 0 {
            out += &format!(".{:03}", nanos / 1_000_000);
        }
    }
    match time.offset {
        None => {}
        Some(Offset::Z) => out.push('Z'),
        Some(Offset::Custom { minutes: 0 }) => out.push('Z'),
        Some(Offset::Custom { minutes }) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.abs();
            out += &format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let text = b"a = 1\nb = [1.5, true]\n[c.d]\ne = \"x\"\nf = 1979-05-27T07:32:00.5-07:30\ng = 07:32:00.000001";
        let Ok(Toml::Table(table)) = parse(text) else { panic!("a table") };
        assert_eq!(table[0], ("a".into(), Toml::Integer(1)));
        assert_eq!(table[1].1, Toml::List(vec![Toml::Float(1.5), Toml::Boolean(true)]));
        let time = |s: &str| Toml::Timestamp(s.into());
        let inner = Toml::Table(vec![
            ("e".into(), Toml::String("x".into())),
            ("f".into(), time("1979-05-27T07:32:00.500-07:30")),
            ("g".into(), time("07:32:00.000001")),
        ]);
        assert_eq!(table[2].1, Toml::Table(vec![("d".into(), inner)]));
        assert!(parse(b"a = ").is_err());
        assert!(parse(b"a = 1\na = 2").is_err());
        assert!(parse(b"\xff").is_err());
    }

    #[test]
    fn errors_name_their_place() {
        let error = |text: &str| parse(text.as_bytes()).expect_err("wrong").to_string();
        assert_eq!(
            error("a = 99999999999999999999"),
            "[error] toml::parse_dec_integer: too large integer: current max digits = 2^63\n \
             --> fromTOML\n   |\n 1 | a = 99999999999999999999\n   |                         ^-- must be < 2^63\n"
        );
        assert_eq!(
            error("x = 1\na = 1 b = 2"),
            "[error] toml::parse_table: newline (LF / CRLF) or EOF is expected\n \
             --> fromTOML\n   |\n 2 | a = 1 b = 2\n   |       ^-- here\n"
        );
    }
}
