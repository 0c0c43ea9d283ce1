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
pub fn parse(text: &[u8]) -> Result<Toml, TomlError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| TomlError(format!("the text is not UTF-8: {error}")))?;
    let table: ::toml::Table =
        text.parse().map_err(|error: ::toml::de::Error| TomlError(error.to_string()))?;
    Ok(convert(Value::Table(table)))
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
}
