//! Bracket expressions: `[a-z]`, `[^[:space:]]`, `[[=a=]]`, `[[.hyphen.]]`.

use super::Error;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const ALL: ByteSet = ByteSet([u64::MAX; 4]);

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    #[inline(always)]
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    pub(super) fn union(&mut self, other: &ByteSet) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }

    fn insert_if(&mut self, is_in: impl Fn(u8) -> bool) {
        (0..=255).filter(|c| is_in(*c)).for_each(|c| self.insert(c));
    }

    fn invert(&mut self) {
        self.0.iter_mut().for_each(|word| *word = !*word);
    }
}

/// What came last in the bracket, which decides what a dash after it means.
enum Last {
    Nothing,
    Char(u8),
    Class,
}

enum Token<'p> {
    Char(u8),
    Dash,
    Collating(&'p [u8]),
    Equivalence(&'p [u8]),
    Class(&'p [u8]),
    End,
}

/// Reads a bracket expression whose `[` is before `at`, and moves `at` behind its `]`.
pub(super) fn parse(pattern: &[u8], at: &mut usize) -> Result<ByteSet, Error> {
    let negated = pattern.get(*at) == Some(&b'^');
    *at += usize::from(negated);
    let mut reader = Reader { pattern, at: *at, at_start: true };
    let mut set = ByteSet::default();
    let mut last = match reader.next()? {
        Token::Char(c) => Last::Char(c),
        Token::Dash => Last::Char(b'-'),
        other => {
            let mut last = Last::Nothing;
            let done = term(&mut reader, other, &mut set, &mut last)?;
            if done {
                return finish(set, &last, negated, at, &reader);
            }
            last
        }
    };
    loop {
        let token = reader.next()?;
        if term(&mut reader, token, &mut set, &mut last)? {
            return finish(set, &last, negated, at, &reader);
        }
    }
}

fn finish(
    mut set: ByteSet,
    last: &Last,
    negated: bool,
    at: &mut usize,
    reader: &Reader<'_>,
) -> Result<ByteSet, Error> {
    if let Last::Char(c) = last {
        set.insert(*c);
    }
    if negated {
        set.invert();
    }
    *at = reader.at;
    Ok(set)
}

/// Takes in one term; true at the end.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a token is two words, and patterns read better on it"
)]
fn term(
    reader: &mut Reader<'_>,
    token: Token<'_>,
    set: &mut ByteSet,
    last: &mut Last,
) -> Result<bool, Error> {
    let next = match token {
        Token::End => return Ok(true),
        Token::Char(c) => Last::Char(c),
        Token::Collating(name) => Last::Char(collating_element(name)?),
        Token::Equivalence(name) => {
            let c = collating_element(name)?;
            set.insert(c.to_ascii_lowercase());
            set.insert(c.to_ascii_uppercase());
            Last::Class
        }
        Token::Class(name) => {
            let class = class(name)?;
            set.insert_if(class);
            Last::Class
        }
        Token::Dash => {
            let end = reader.next()?;
            if matches!(end, Token::End) {
                push(set, last, Last::Char(b'-'));
                return Ok(true);
            }
            let Last::Char(from) = *last else { return Err(Error::Invalid) };
            let to = match end {
                Token::Char(c) => c,
                Token::Dash => b'-',
                _ => return Err(Error::Invalid),
            };
            // As signed characters, which `char` is in the reference.
            let (from, to) = (from as i8, to as i8);
            if from > to {
                return Err(Error::Invalid);
            }
            set.insert_if(|c| (from..=to).contains(&(c as i8)));
            *last = Last::Nothing;
            return Ok(false);
        }
    };
    push(set, last, next);
    Ok(false)
}

fn push(set: &mut ByteSet, last: &mut Last, next: Last) {
    if let Last::Char(c) = last {
        set.insert(*c);
    }
    *last = next;
}

struct Reader<'p> {
    pattern: &'p [u8],
    at: usize,
    at_start: bool,
}

impl<'p> Reader<'p> {
    fn next(&mut self) -> Result<Token<'p>, Error> {
        let c = *self.pattern.get(self.at).ok_or(Error::Invalid)?;
        self.at += 1;
        let at_start = std::mem::replace(&mut self.at_start, false);
        Ok(match c {
            b'-' => Token::Dash,
            b'[' => {
                let kind = *self.pattern.get(self.at).ok_or(Error::Invalid)?;
                match kind {
                    b'.' => Token::Collating(self.name(kind)?),
                    b':' => Token::Class(self.name(kind)?),
                    b'=' => Token::Equivalence(self.name(kind)?),
                    _ => Token::Char(b'['),
                }
            }
            b']' if !at_start => Token::End,
            _ => Token::Char(c),
        })
    }

    /// The name in `[:name:]`, with the position at the first colon.
    fn name(&mut self, delimiter: u8) -> Result<&'p [u8], Error> {
        let rest = &self.pattern[self.at + 1..];
        let end = memchr::memchr(delimiter, rest).ok_or(Error::Invalid)?;
        if rest.get(end + 1) != Some(&b']') {
            return Err(Error::Invalid);
        }
        self.at += end + 3;
        Ok(&rest[..end])
    }
}

fn class(name: &[u8]) -> Result<fn(u8) -> bool, Error> {
    Ok(match &*name.to_ascii_lowercase() {
        b"d" | b"digit" => |c| c.is_ascii_digit(),
        b"w" => |c| c.is_ascii_alphanumeric() || c == b'_',
        b"s" | b"space" => |c| matches!(c, b' ' | b'\t'..=b'\r'),
        b"alnum" => |c| c.is_ascii_alphanumeric(),
        b"alpha" => |c| c.is_ascii_alphabetic(),
        b"blank" => |c| matches!(c, b' ' | b'\t'),
        b"cntrl" => |c| c.is_ascii_control(),
        b"graph" => |c| c.is_ascii_graphic(),
        b"lower" => |c| c.is_ascii_lowercase(),
        b"print" => |c| c.is_ascii_graphic() || c == b' ',
        b"punct" => |c| c.is_ascii_punctuation(),
        b"upper" => |c| c.is_ascii_uppercase(),
        b"xdigit" => |c| c.is_ascii_hexdigit(),
        _ => return Err(Error::Invalid),
    })
}

/// POSIX's names of the characters 0 to 127 that are no letters.
const CONTROL_NAMES: [&str; 32] = [
    "NUL",
    "SOH",
    "STX",
    "ETX",
    "EOT",
    "ENQ",
    "ACK",
    "alert",
    "backspace",
    "tab",
    "newline",
    "vertical-tab",
    "form-feed",
    "carriage-return",
    "SO",
    "SI",
    "DLE",
    "DC1",
    "DC2",
    "DC3",
    "DC4",
    "NAK",
    "SYN",
    "ETB",
    "CAN",
    "EM",
    "SUB",
    "ESC",
    "IS4",
    "IS3",
    "IS2",
    "IS1",
];
const SYMBOL_NAMES: [(&str, u8); 43] = [
    ("space", b' '),
    ("exclamation-mark", b'!'),
    ("quotation-mark", b'"'),
    ("number-sign", b'#'),
    ("dollar-sign", b'$'),
    ("percent-sign", b'%'),
    ("ampersand", b'&'),
    ("apostrophe", b'\''),
    ("left-parenthesis", b'('),
    ("right-parenthesis", b')'),
    ("asterisk", b'*'),
    ("plus-sign", b'+'),
    ("comma", b','),
    ("hyphen", b'-'),
    ("period", b'.'),
    ("slash", b'/'),
    ("zero", b'0'),
    ("one", b'1'),
    ("two", b'2'),
    ("three", b'3'),
    ("four", b'4'),
    ("five", b'5'),
    ("six", b'6'),
    ("seven", b'7'),
    ("eight", b'8'),
    ("nine", b'9'),
    ("colon", b':'),
    ("semicolon", b';'),
    ("less-than-sign", b'<'),
    ("equals-sign", b'='),
    ("greater-than-sign", b'>'),
    ("question-mark", b'?'),
    ("commercial-at", b'@'),
    ("left-square-bracket", b'['),
    ("backslash", b'\\'),
    ("right-square-bracket", b']'),
    ("circumflex", b'^'),
    ("underscore", b'_'),
    ("grave-accent", b'`'),
    ("left-curly-bracket", b'{'),
    ("vertical-line", b'|'),
    ("right-curly-bracket", b'}'),
    ("tilde", b'~'),
];

fn collating_element(name: &[u8]) -> Result<u8, Error> {
    if let [c] = name
        && c.is_ascii_alphabetic()
    {
        return Ok(*c);
    }
    if name == b"DEL" {
        return Ok(127);
    }
    if let Some(i) = CONTROL_NAMES.iter().position(|n| n.as_bytes() == name) {
        return Ok(i as u8);
    }
    SYMBOL_NAMES.iter().find(|(n, _)| n.as_bytes() == name).map(|(_, c)| *c).ok_or(Error::Invalid)
}
