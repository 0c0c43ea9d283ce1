//! JSON (RFC 8259) as `builtins.fromJSON` reads it: events instead of a tree, no recursion, and the error
//! texts of the library that C++ Nix uses (nlohmann/json).

use std::borrow::Cow;

/// Receives what a JSON text holds, in order.
pub trait Visitor {
    /// What stops the reading.
    type Error: From<JsonError>;
    /// `null`
    fn null(&mut self) -> Result<(), Self::Error>;
    /// `true` or `false`
    fn boolean(&mut self, value: bool) -> Result<(), Self::Error>;
    /// A number without fraction and exponent that fits.
    fn integer(&mut self, value: i64) -> Result<(), Self::Error>;
    /// Another number, always finite.
    fn float(&mut self, value: f64) -> Result<(), Self::Error>;
    /// A string: UTF-8, without NUL.
    fn string(&mut self, value: &[u8]) -> Result<(), Self::Error>;
    /// `[`
    fn begin_list(&mut self) -> Result<(), Self::Error>;
    /// `]`
    fn end_list(&mut self) -> Result<(), Self::Error>;
    /// `{`
    fn begin_object(&mut self) -> Result<(), Self::Error>;
    /// A key, before its value. It may occur twice; the last one counts.
    fn key(&mut self, key: &[u8]) -> Result<(), Self::Error>;
    /// `}`
    fn end_object(&mut self) -> Result<(), Self::Error>;
}

/// Why a text cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON.
    #[error("{0}")]
    Syntax(String),
    /// It is JSON, but holds what Nix cannot.
    #[error("{0}")]
    Unsupported(String),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Token {
    True,
    False,
    Null,
    String,
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    BeginList,
    BeginObject,
    EndList,
    EndObject,
    Colon,
    Comma,
    End,
    /// The lexer's message is in [`Reader::message`].
    Bad,
}

impl Token {
    fn name(self) -> &'static str {
        match self {
            Token::True => "true literal",
            Token::False => "false literal",
            Token::Null => "null literal",
            Token::String => "string literal",
            Token::Integer(_) | Token::Unsigned(_) | Token::Float(_) => "number literal",
            Token::BeginList => "'['",
            Token::BeginObject => "'{'",
            Token::EndList => "']'",
            Token::EndObject => "'}'",
            Token::Colon => "':'",
            Token::Comma => "','",
            Token::End => "end of input",
            Token::Bad => "<parse error>",
        }
    }
}

/// Reads a JSON text.
pub fn parse<V: Visitor>(text: &[u8], visitor: &mut V) -> Result<(), V::Error> {
    let mut reader =
        Reader { text, at: 0, start: 0, shown: 0, message: Cow::Borrowed(""), scratch: Vec::new() };
    reader.document(visitor)
}

struct Reader<'a> {
    text: &'a [u8],
    /// Bytes read; one more than there are when the end was read too.
    at: usize,
    /// Where the present token starts.
    start: usize,
    /// Where the last string or number starts: what messages show is read since then.
    shown: usize,
    message: Cow<'static, str>,
    /// The present string when it has escapes; else it is the text between the quotes.
    scratch: Vec<u8>,
}

const ANY_VALUE: &str = "'[', '{', or a literal";

impl<'a> Reader<'a> {
    fn document<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        if self.text.first() == Some(&0xef) {
            for expected in [0xef, 0xbb, 0xbf] {
                if self.get() != Some(expected) {
                    self.message = "invalid BOM; must be 0xEF 0xBB 0xBF if given".into();
                    return self.unexpected(Token::Bad, None, "value");
                }
            }
        }
        let mut token = self.token();
        // The lists and objects around: true for lists.
        let mut around: Vec<bool> = Vec::new();
        loop {
            match token {
                Token::BeginObject => {
                    visitor.begin_object()?;
                    token = self.token();
                    if token == Token::EndObject {
                        visitor.end_object()?;
                    } else {
                        self.key(token, visitor)?;
                        around.push(false);
                        token = self.token();
                        continue;
                    }
                }
                Token::BeginList => {
                    visitor.begin_list()?;
                    token = self.token();
                    if token == Token::EndList {
                        visitor.end_list()?;
                    } else {
                        around.push(true);
                        continue;
                    }
                }
                Token::Float(n) if !n.is_finite() => {
                    let message = format!(
                        "[json.exception.out_of_range.406] number overflow parsing '{}'",
                        self.last_read()
                    );
                    return Err(JsonError::Syntax(message).into());
                }
                Token::Float(n) => visitor.float(n)?,
                Token::Integer(n) => visitor.integer(n)?,
                Token::Unsigned(n) => match i64::try_from(n) {
                    Ok(n) => visitor.integer(n)?,
                    Err(_) => {
                        let message =
                            format!("unsigned json number {n} outside of Nix integer range");
                        return Err(JsonError::Unsupported(message).into());
                    }
                },
                Token::True => visitor.boolean(true)?,
                Token::False => visitor.boolean(false)?,
                Token::Null => visitor.null()?,
                Token::String => visitor.string(self.string()?)?,
                Token::Bad => return self.unexpected(token, None, "value"),
                Token::End if self.at == 1 => {
                    let message = "attempting to parse an empty input; check that your input string or \
                                   stream contains the expected JSON";
                    return Err(self.error(message));
                }
                _ => return self.unexpected(token, Some(ANY_VALUE), "value"),
            }
            // After a value: on in what is around it.
            loop {
                let Some(in_list) = around.last() else {
                    return match self.token() {
                        Token::End => Ok(()),
                        token => self.unexpected(token, Some(Token::End.name()), "value"),
                    };
                };
                token = self.token();
                match (token, in_list) {
                    (Token::Comma, true) => {
                        token = self.token();
                        break;
                    }
                    (Token::Comma, false) => {
                        token = self.token();
                        self.key(token, visitor)?;
                        token = self.token();
                        break;
                    }
                    (Token::EndList, true) => visitor.end_list()?,
                    (Token::EndObject, false) => visitor.end_object()?,
                    (_, true) => {
                        return self.unexpected(token, Some(Token::EndList.name()), "array");
                    }
                    (_, false) => {
                        return self.unexpected(token, Some(Token::EndObject.name()), "object");
                    }
                }
                around.pop();
            }
        }
    }

    fn key<V: Visitor>(&mut self, token: Token, visitor: &mut V) -> Result<(), V::Error> {
        if token != Token::String {
            return self.unexpected(token, Some(Token::String.name()), "object key");
        }
        visitor.key(self.string()?)?;
        match self.token() {
            Token::Colon => Ok(()),
            token => self.unexpected(token, Some(Token::Colon.name()), "object separator"),
        }
    }

    /// The string just read.
    fn string(&self) -> Result<&[u8], JsonError> {
        let bytes = if self.scratch.is_empty() {
            &self.text[self.start + 1..self.at - 1]
        } else {
            &self.scratch
        };
        if memchr::memchr(0, bytes).is_some() {
            let text = String::from_utf8_lossy(bytes).replace('\0', "␀");
            return Err(JsonError::Unsupported(format!(
                "input string '{text}' cannot be represented as Nix string because it contains null bytes"
            )));
        }
        Ok(bytes)
    }

    // Errors

    fn unexpected<E: From<JsonError>>(
        &self,
        token: Token,
        expected: Option<&str>,
        context: &str,
    ) -> Result<(), E> {
        let mut message = format!("syntax error while parsing {context} - ");
        if token == Token::Bad {
            message += &format!("{}; last read: '{}'", self.message, self.last_read());
        } else {
            message += &format!("unexpected {}", token.name());
        }
        if let Some(expected) = expected {
            message += &format!("; expected {expected}");
        }
        // a number ends with the character behind it, which is given back: over a line's end the
        // library forgets the column
        let number = matches!(token, Token::Integer(_) | Token::Unsigned(_) | Token::Float(_));
        let column = (number && self.text.get(self.at) == Some(&b'\n')).then_some(0);
        Err(self.error_at(column, &message))
    }

    fn error<E: From<JsonError>>(&self, what: &str) -> E {
        self.error_at(None, what)
    }

    fn error_at<E: From<JsonError>>(&self, column: Option<usize>, what: &str) -> E {
        let read = &self.text[..self.at.min(self.text.len())];
        let line = memchr::memchr_iter(b'\n', read).count() + 1;
        let line_start = memchr::memrchr(b'\n', read).map_or(0, |i| i + 1);
        let column = column.unwrap_or(self.at - line_start);
        let message = format!(
            "[json.exception.parse_error.101] parse error at line {line}, column {column}: {what}"
        );
        JsonError::Syntax(message).into()
    }

    fn last_read(&self) -> String {
        let bytes = &self.text[self.shown..self.at.min(self.text.len())];
        let mut shown = Vec::new();
        for c in bytes {
            if *c < 0x20 {
                shown.extend_from_slice(format!("<U+{c:04X}>").as_bytes());
            } else {
                shown.push(*c);
            }
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn bad(&mut self, message: impl Into<Cow<'static, str>>) -> Token {
        self.message = message.into();
        Token::Bad
    }

    // Tokens

    #[inline]
    fn get(&mut self) -> Option<u8> {
        let c = self.text.get(self.at).copied();
        self.at += 1;
        c
    }

    fn token(&mut self) -> Token {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.start = self.at.min(self.text.len());
        let first = self.get();
        if let Some(b'"' | b'-' | b'0'..=b'9') = first {
            self.shown = self.start;
        }
        match first {
            Some(b'[') => Token::BeginList,
            Some(b']') => Token::EndList,
            Some(b'{') => Token::BeginObject,
            Some(b'}') => Token::EndObject,
            Some(b':') => Token::Colon,
            Some(b',') => Token::Comma,
            Some(b't') => self.literal(b"rue", Token::True),
            Some(b'f') => self.literal(b"alse", Token::False),
            Some(b'n') => self.literal(b"ull", Token::Null),
            Some(b'"') => self.string_token(),
            Some(c @ (b'-' | b'0'..=b'9')) => self.number(c),
            Some(0) | None => Token::End,
            Some(_) => self.bad("invalid literal"),
        }
    }

    fn literal(&mut self, rest: &[u8], token: Token) -> Token {
        for expected in rest {
            if self.get() != Some(*expected) {
                return self.bad("invalid literal");
            }
        }
        token
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self, first: u8) -> Token {
        let mut digit = first;
        if first == b'-' {
            match self.get() {
                Some(c) if c.is_ascii_digit() => digit = c,
                _ => return self.bad("invalid number; expected digit after '-'"),
            }
        }
        if digit != b'0' {
            self.digits();
        }
        let mut is_float = false;
        if self.text.get(self.at) == Some(&b'.') {
            is_float = true;
            self.at += 1;
            if !self.digits() {
                self.at += 1;
                return self.bad("invalid number; expected digit after '.'");
            }
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            is_float = true;
            self.at += 1;
            let signed = matches!(self.text.get(self.at), Some(b'+' | b'-'));
            self.at += usize::from(signed);
            if !self.digits() {
                self.at += 1;
                return self.bad(if signed {
                    "invalid number; expected digit after exponent sign"
                } else {
                    "invalid number; expected '+', '-', or digit after exponent"
                });
            }
        }
        let text = String::from_utf8_lossy(&self.text[self.start..self.at]);
        if !is_float {
            if first == b'-' {
                if let Ok(n) = text.parse() {
                    return Token::Integer(n);
                }
            } else if let Ok(n) = text.parse() {
                return Token::Unsigned(n);
            }
        }
        Token::Float(text.parse().unwrap_or(f64::INFINITY))
    }

    fn string_token(&mut self) -> Token {
        self.scratch.clear();
        // Everything before here is in `scratch`, if it holds anything.
        let mut copied = self.at;
        loop {
            while self
                .text
                .get(self.at)
                .is_some_and(|c| (0x20..0x80).contains(c) && *c != b'"' && *c != b'\\')
            {
                self.at += 1;
            }
            let Some(c) = self.get() else {
                return self.bad("invalid string: missing closing quote");
            };
            match c {
                b'"' => {
                    if !self.scratch.is_empty() || copied > self.start + 1 {
                        self.scratch.extend_from_slice(&self.text[copied..self.at - 1]);
                    }
                    return Token::String;
                }
                b'\\' => {
                    self.scratch.extend_from_slice(&self.text[copied..self.at - 1]);
                    if let Err(message) = self.escape() {
                        return self.bad(message);
                    }
                    copied = self.at;
                }
                0..0x20 => return self.control(c),
                _ => {
                    if !self.utf8_tail(c) {
                        return self.bad("invalid string: ill-formed UTF-8 byte");
                    }
                }
            }
        }
    }

    fn control(&mut self, c: u8) -> Token {
        const NAMES: [&str; 32] = [
            "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF",
            "CR", "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM",
            "SUB", "ESC", "FS", "GS", "RS", "US",
        ];
        let name = NAMES[usize::from(c)];
        let short = match c {
            8 => " or \\b",
            9 => " or \\t",
            10 => " or \\n",
            12 => " or \\f",
            13 => " or \\r",
            _ => "",
        };
        self.bad(format!(
            "invalid string: control character U+{c:04X} ({name}) must be escaped to \\u{c:04X}{short}"
        ))
    }

    /// Reads on after the first byte of a character of several; false where it is ill-formed.
    fn utf8_tail(&mut self, first: u8) -> bool {
        let any = 0x80..=0xbf;
        let ranges = match first {
            0xc2..=0xdf => vec![any],
            0xe0 => vec![0xa0..=0xbf, any],
            0xe1..=0xec | 0xee..=0xef => vec![any.clone(), any],
            0xed => vec![0x80..=0x9f, any],
            0xf0 => vec![0x90..=0xbf, any.clone(), any],
            0xf1..=0xf3 => vec![any.clone(), any.clone(), any],
            0xf4 => vec![0x80..=0x8f, any.clone(), any],
            _ => return false,
        };
        ranges.into_iter().all(|range| self.get().is_some_and(|c| range.contains(&c)))
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let byte = match self.get() {
            Some(c @ (b'"' | b'\\' | b'/')) => c,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let mut code = self.hex()?;
                if (0xd800..0xdc00).contains(&code) {
                    const LONELY: &str = "invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF";
                    if self.get() != Some(b'\\') || self.get() != Some(b'u') {
                        return Err(LONELY);
                    }
                    let low = self.hex()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(LONELY);
                    }
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                } else if (0xdc00..0xe000).contains(&code) {
                    return Err(
                        "invalid string: surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF",
                    );
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.scratch.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err("invalid string: forbidden character after backslash"),
        };
        self.scratch.push(byte);
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, &'static str> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.get().and_then(|c| char::from(c).to_digit(16));
            code = code * 16
                + digit.ok_or("invalid string: '\\u' must be followed by 4 hex digits")?;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what it gets as something like Nix.
    #[derive(Default)]
    struct Shown(String);

    impl Visitor for Shown {
        type Error = JsonError;
        fn null(&mut self) -> Result<(), JsonError> {
            self.0 += "null ";
            Ok(())
        }
        fn boolean(&mut self, value: bool) -> Result<(), JsonError> {
            self.0 += &format!("{value} ");
            Ok(())
        }
        fn integer(&mut self, value: i64) -> Result<(), JsonError> {
            self.0 += &format!("{value} ");
            Ok(())
        }
        fn float(&mut self, value: f64) -> Result<(), JsonError> {
            self.0 += &format!("{value:?} ");
            Ok(())
        }
        fn string(&mut self, value: &[u8]) -> Result<(), JsonError> {
            self.0 += &format!("{:?} ", String::from_utf8_lossy(value));
            Ok(())
        }
        fn begin_list(&mut self) -> Result<(), JsonError> {
            self.0 += "[ ";
            Ok(())
        }
        fn end_list(&mut self) -> Result<(), JsonError> {
            self.0 += "] ";
            Ok(())
        }
        fn begin_object(&mut self) -> Result<(), JsonError> {
            self.0 += "{ ";
            Ok(())
        }
        fn key(&mut self, key: &[u8]) -> Result<(), JsonError> {
            self.0 += &format!("{} = ", String::from_utf8_lossy(key));
            Ok(())
        }
        fn end_object(&mut self) -> Result<(), JsonError> {
            self.0 += "} ";
            Ok(())
        }
    }

    fn read(text: &[u8]) -> Result<String, String> {
        let mut shown = Shown::default();
        parse(text, &mut shown).map_err(|e| e.to_string())?;
        Ok(shown.0)
    }

    #[test]
    fn values() {
        let ok = |text: &str| read(text.as_bytes()).unwrap();
        assert_eq!(
            ok(" [1, -2, 3.5, 1e2, -0, true,false , null]\n"),
            "[ 1 -2 3.5 100.0 0 true false null ] "
        );
        assert_eq!(
            ok(r#"{"a":{},"b":[],"":"x"}"#),
            "{ a = { } b = [ ] \"\" = \"x\" } ".replace("\"\" =", " =")
        );
        assert_eq!(ok(r#""\u00e4\n\"\ud83d\ude00x""#), "\"ä\\n\\\"😀x\" ");
        assert_eq!(ok(r#"["","\\"]"#), "[ \"\" \"\\\\\" ] ");
        assert_eq!(ok("18446744073709551616"), "1.8446744073709552e19 ");
        assert_eq!(ok("-9223372036854775808"), "-9223372036854775808 ");
        assert_eq!(ok("\u{feff}1"), "1 ");
        let deep = "[".repeat(500_000) + &"]".repeat(500_000);
        assert_eq!(ok(&deep).len(), 2_000_000);
    }

    #[test]
    fn errors() {
        let start = "[json.exception.parse_error.101] parse error at line";
        for (text, expected) in [
            (
                "",
                " 1, column 1: attempting to parse an empty input; check that your input string or stream contains the expected JSON",
            ),
            (
                " ",
                " 1, column 2: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal",
            ),
            (
                "x",
                " 1, column 1: syntax error while parsing value - invalid literal; last read: 'x'",
            ),
            (
                "[1,]",
                " 1, column 4: syntax error while parsing value - unexpected ']'; expected '[', '{', or a literal",
            ),
            (
                "[1 2]",
                " 1, column 4: syntax error while parsing array - unexpected number literal; expected ']'",
            ),
            (
                "{\n\"a\" 1}",
                " 2, column 5: syntax error while parsing object separator - unexpected number literal; expected ':'",
            ),
            (
                "{1}",
                " 1, column 2: syntax error while parsing object key - unexpected number literal; expected string literal",
            ),
            (
                "\"a\nb\"",
                " 2, column 0: syntax error while parsing value - invalid string: control character U+000A (LF) must be escaped to \\u000A or \\n; last read: '\"a<U+000A>'",
            ),
            (
                "1 2",
                " 1, column 3: syntax error while parsing value - unexpected number literal; expected end of input",
            ),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), format!("{start}{expected}"), "{text}");
        }
        assert_eq!(
            read(b"9223372036854775808").unwrap_err(),
            "unsigned json number 9223372036854775808 outside of Nix integer range"
        );
        assert_eq!(
            read(b"1e999").unwrap_err(),
            "[json.exception.out_of_range.406] number overflow parsing '1e999'"
        );
        assert!(read(br#""a\u0000b""#).unwrap_err().contains("'a␀b'"));
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_another_reader(text in "[\\[\\]{}:,\"\\\\a-c0-9.eE+\\-tru fasnl\u{e4}]{0,16}") {
            let other = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let ours = read(text.as_bytes());
            // Numbers that are too large are the one difference.
            if other || !matches!(&ours, Err(e) if e.contains("406") || e.contains("range")) {
                proptest::prop_assert!(ours.is_ok() == other || ours.is_err_and(|e| e.contains("range")));
            }
        }

        #[test]
        fn any_bytes(text in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            let _ = read(&text);
        }
    }
}
