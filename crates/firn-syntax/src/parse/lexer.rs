//! From bytes to tokens.
//!
//! The lexer keeps a stack of modes of its own (strings, indented strings, paths, and expressions inside
//! each), so the parser only ever asks for the next token. Strings come out unescaped, as a piece of the
//! source where nothing had to change and of a side buffer otherwise.

use super::token::{T, Token};
use crate::ast::Str;
use crate::source::{DocComment, Pos};
use crate::symbol::Symbol;

const ID_START: u8 = 1;
const ID: u8 = 2;
const PATH: u8 = 4;
const URI: u8 = 8;
const SCHEME: u8 = 16;
const SPACE: u8 = 32;
/// Ends a run of ordinary bytes in a string.
const STRING_STOP: u8 = 64;
/// Ends a run of ordinary bytes in an indented string.
const IND_STOP: u8 = 128;

static CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let c = i as u8;
        let mut class = 0;
        if c.is_ascii_alphabetic() || c == b'_' {
            class |= ID_START;
        }
        if c.is_ascii_alphanumeric() {
            class |= ID | PATH | URI | SCHEME;
        }
        if matches!(c, b'_' | b'\'' | b'-') {
            class |= ID;
        }
        if matches!(c, b'.' | b'_' | b'-' | b'+') {
            class |= PATH;
        }
        if matches!(c, b'+' | b'-' | b'.') {
            class |= SCHEME;
        }
        if matches!(
            c,
            b'%' | b'/'
                | b'?'
                | b':'
                | b'@'
                | b'&'
                | b'='
                | b'+'
                | b'$'
                | b','
                | b'-'
                | b'_'
                | b'.'
                | b'!'
                | b'~'
                | b'*'
                | b'\''
        ) {
            class |= URI;
        }
        if matches!(c, b' ' | b'\t' | b'\r' | b'\n') {
            class |= SPACE;
        }
        if matches!(c, b'"' | b'\\' | b'$' | b'\r' | 0) {
            class |= STRING_STOP;
        }
        if matches!(c, b'\'' | b'$' | 0) {
            class |= IND_STOP;
        }
        table[i] = class;
        i += 1;
    }
    table
};

/// Set in the value of a `T::IndStr` that is plain text, whose leading spaces are indentation.
pub(super) const INDENTED: u64 = 1 << 63;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Expr,
    String,
    IndString,
    /// In a path, after a piece that does not end in a slash, or after an interpolation.
    Path,
    /// In a path, after a piece that ends in a slash: something must follow.
    PathSlash,
}

/// An error that the lexer itself finds.
#[derive(Debug)]
pub(super) struct LexError {
    pub(super) message: String,
    pub(super) pos: Pos,
}

pub(super) struct Lexer<'s> {
    text: &'s [u8],
    at: usize,
    mode: Mode,
    outer: Vec<Mode>,
    pipe_operators: bool,
    /// Where the run of path characters ends that holds the present position, if neither a path nor a URI
    /// can come of it.
    plain_run: usize,
    /// Starts of the newest token and the one before.
    last_start: u32,
    earlier_start: u32,
    /// A doc comment that no token followed yet.
    doc: Option<(u32, u32)>,
    pub(super) docs: Vec<DocComment>,
    /// What `T::Error` is about.
    pub(super) error: Option<LexError>,
    /// Unescaped bytes.
    pub(super) side: Vec<u8>,
    /// Where an unexpected end of file is reported.
    pub(super) end_pos: u32,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(text: &'s [u8], pipe_operators: bool) -> Lexer<'s> {
        Lexer {
            text,
            at: 0,
            mode: Mode::Expr,
            outer: Vec::new(),
            pipe_operators,
            plain_run: 0,
            last_start: 0,
            earlier_start: 0,
            doc: None,
            docs: Vec::new(),
            error: None,
            side: Vec::new(),
            end_pos: text.len() as u32,
        }
    }

    /// The byte at an index, NUL past the end.
    #[inline(always)]
    fn byte(&self, i: usize) -> u8 {
        if i < self.text.len() { self.text[i] } else { 0 }
    }

    #[inline(always)]
    fn is(&self, i: usize, class: u8) -> bool {
        CLASS[self.byte(i) as usize] & class != 0
    }

    #[inline(always)]
    fn skip(&self, mut i: usize, class: u8) -> usize {
        while i < self.text.len() && CLASS[self.text[i] as usize] & class != 0 {
            i += 1;
        }
        i
    }

    fn push(&mut self, mode: Mode) {
        self.outer.push(self.mode);
        self.mode = mode;
    }

    fn pop(&mut self) {
        if let Some(mode) = self.outer.pop() {
            self.mode = mode;
        }
    }

    #[inline(always)]
    fn emit(&mut self, kind: T, end: usize, value: u64) -> Token {
        let start = self.at as u32;
        self.at = end;
        self.earlier_start = std::mem::replace(&mut self.last_start, start);
        Token { kind, start, end: end as u32, value }
    }

    fn emit_piece(&mut self, kind: T, end: usize, piece: Str) -> Token {
        self.emit(kind, end, u64::from(piece.start) | u64::from(piece.len) << 32)
    }

    #[cold]
    fn fail(&mut self, message: String, pos: usize) -> Token {
        self.error = Some(LexError { message, pos: Pos(pos as u32) });
        Token { kind: T::Error, start: pos as u32, end: pos as u32, value: 0 }
    }

    #[cold]
    fn end_of_file(&mut self) -> Token {
        Token { kind: T::End, start: self.end_pos, end: self.end_pos, value: 0 }
    }

    fn lossy(&self, start: usize, end: usize) -> String {
        String::from_utf8_lossy(&self.text[start..end]).into_owned()
    }

    #[inline]
    pub(super) fn next(&mut self) -> Token {
        match self.mode {
            Mode::Expr => self.expr_token(),
            Mode::String => self.string_token(),
            Mode::IndString => self.ind_string_token(),
            Mode::Path | Mode::PathSlash => self.path_token(),
        }
    }

    /// Skips white space and comments; false at the end of the text.
    #[inline]
    fn skip_blank(&mut self) -> bool {
        loop {
            let Some(&c) = self.text.get(self.at) else { return false };
            if CLASS[c as usize] & SPACE != 0 {
                self.at = self.skip(self.at + 1, SPACE);
            } else if c == b'#' {
                let rest = &self.text[self.at..];
                self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            } else if c == b'/' && self.byte(self.at + 1) == b'*' {
                let Some(len) = memchr::memmem::find(&self.text[self.at + 2..], b"*/") else {
                    return true;
                };
                let end = self.at + 2 + len + 2;
                let is_doc = end - self.at > 4
                    && self.text[self.at + 2] == b'*'
                    && !matches!(self.text[self.at + 3], b'*' | b'/');
                if is_doc {
                    self.doc = Some((self.at as u32, end as u32));
                }
                self.at = end;
            } else {
                return true;
            }
        }
    }

    fn expr_token(&mut self) -> Token {
        if !self.skip_blank() {
            return self.end_of_file();
        }
        if let Some((begin, end)) = self.doc.take() {
            let token = Pos(self.at as u32);
            self.docs.push(DocComment { token, begin: Pos(begin), end: Pos(end) });
        }
        let start = self.at;
        let c = self.text[start];
        if CLASS[c as usize] & ID_START != 0 {
            return self.word();
        }
        let one = |kind| (kind, start + 1);
        let two = |kind| (kind, start + 2);
        let (kind, end) = match c {
            b'=' if self.byte(start + 1) == b'=' => two(T::Eq),
            b'=' => one(T::Assign),
            b';' => one(T::Semicolon),
            b':' => one(T::Colon),
            b',' => one(T::Comma),
            b'@' => one(T::At),
            b'?' => one(T::Question),
            b'(' => one(T::LParen),
            b')' => one(T::RParen),
            b'[' => one(T::LBracket),
            b']' => one(T::RBracket),
            b'*' => one(T::Star),
            b'{' => {
                self.push(Mode::Expr);
                one(T::LBrace)
            }
            b'}' => {
                self.pop();
                one(T::RBrace)
            }
            b'"' => {
                self.push(Mode::String);
                one(T::Quote)
            }
            b'\'' if self.byte(start + 1) == b'\'' => {
                self.push(Mode::IndString);
                let mut end = start + 2;
                while self.byte(end) == b' ' {
                    end += 1;
                }
                // Blanks on the line of the opening quotes do not belong to the string.
                (T::IndOpen, if self.byte(end) == b'\n' { end + 1 } else { start + 2 })
            }
            b'$' if self.byte(start + 1) == b'{' => {
                self.push(Mode::Expr);
                two(T::DollarBrace)
            }
            b'.' | b'+' | b'-' | b'0'..=b'9' => {
                if let Some(token) = self.path_or_uri(start) {
                    return token;
                }
                match c {
                    b'.' if self.text[start..].starts_with(b"...") => (T::Ellipsis, start + 3),
                    b'+' if self.byte(start + 1) == b'+' => two(T::Concat),
                    b'+' => one(T::Plus),
                    b'-' if self.byte(start + 1) == b'>' => two(T::Implies),
                    b'-' => one(T::Minus),
                    b'.' if !self.byte(start + 1).is_ascii_digit() => one(T::Dot),
                    _ => return self.number(),
                }
            }
            b'/' => {
                if let Some(token) = self.path_or_uri(start) {
                    return token;
                }
                if self.byte(start + 1) == b'/' { two(T::Update) } else { one(T::Slash) }
            }
            b'~' => match self.path_end(start + 1) {
                Some(end) => return self.path_start(T::HomePath, end),
                None => one(T::Invalid),
            },
            b'<' => match self.byte(start + 1) {
                b'=' => two(T::LessEq),
                b'|' => return self.pipe(T::PipeFrom),
                _ => match self.search_path_end() {
                    Some(end) => (T::SearchPath, end),
                    None => one(T::Less),
                },
            },
            b'>' if self.byte(start + 1) == b'=' => two(T::GreaterEq),
            b'>' => one(T::Greater),
            b'!' if self.byte(start + 1) == b'=' => two(T::NotEq),
            b'!' => one(T::Not),
            b'&' if self.byte(start + 1) == b'&' => two(T::And),
            b'|' if self.byte(start + 1) == b'|' => two(T::Or),
            b'|' if self.byte(start + 1) == b'>' => return self.pipe(T::PipeInto),
            0 => {
                // A NUL byte ends the text.
                self.end_pos = start as u32 + 1;
                return self.end_of_file();
            }
            _ => one(T::Invalid),
        };
        self.emit(kind, end, 0)
    }

    fn pipe(&mut self, kind: T) -> Token {
        if !self.pipe_operators {
            let message = "experimental Nix feature 'pipe-operators' is disabled; add \
                           '--extra-experimental-features pipe-operators' to enable it";
            return self.fail(message.into(), self.at);
        }
        self.emit(kind, self.at + 2, 0)
    }

    /// An identifier, a keyword, or a path or URI that begins like one.
    #[inline]
    fn word(&mut self) -> Token {
        let start = self.at;
        let end = self.skip(start + 1, ID);
        // Only these can continue a path or a URI; a quote in the identifier rules both out, which
        // `path_or_uri` finds by its own scan.
        if matches!(self.byte(end), b'.' | b'+' | b'/' | b':')
            && let Some(token) = self.path_or_uri(start)
        {
            return token;
        }
        let word = &self.text[start..end];
        let keyword = match (word.len(), word[0]) {
            (2, b'i') if word == b"if" => T::If,
            (2, b'i') if word == b"in" => T::In,
            (2, b'o') if word == b"or" => T::OrKeyword,
            (3, b'l') if word == b"let" => T::Let,
            (3, b'r') if word == b"rec" => T::Rec,
            (4, b'e') if word == b"else" => T::Else,
            (4, b't') if word == b"then" => T::Then,
            (4, b'w') if word == b"with" => T::With,
            (6, b'a') if word == b"assert" => T::Assert,
            (7, b'i') if word == b"inherit" => T::Inherit,
            _ => return self.emit(T::Id, end, u64::from(Symbol::intern(word).index())),
        };
        self.emit(keyword, end, 0)
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        let digits = |mut i: usize| {
            while self.byte(i).is_ascii_digit() {
                i += 1;
            }
            i
        };
        let int_end = digits(start);
        let mut end = int_end;
        if self.byte(int_end) == b'.' {
            let whole = &self.text[start..int_end];
            let fraction_end = digits(int_end + 1);
            // `1.` is a number, `0.`, `01.` and `.` are not; `.5` and `0.5` are.
            if matches!(whole.first(), Some(b'1'..=b'9'))
                || (matches!(whole, b"" | b"0") && fraction_end > int_end + 1)
            {
                end = fraction_end;
                if matches!(self.byte(end), b'e' | b'E') {
                    let sign = usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
                    let exponent_end = digits(end + 1 + sign);
                    if exponent_end > end + 1 + sign {
                        end = exponent_end;
                    }
                }
            }
        }
        let text = self.lossy(start, end);
        if end == int_end {
            return match text.parse::<i64>() {
                Ok(n) => self.emit(T::Int, end, n as u64),
                Err(_) => self.fail(format!("invalid integer '{text}'"), start),
            };
        }
        match text.parse::<f64>() {
            Ok(n) if n.is_normal() || (n == 0.0 && !has_nonzero_digit(&text)) => {
                self.emit(T::Float, end, n.to_bits())
            }
            _ => self.fail(format!("invalid float '{text}'"), start),
        }
    }

    /// A path or URI that starts here, if one does.
    #[inline]
    fn path_or_uri(&mut self, start: usize) -> Option<Token> {
        if start < self.plain_run {
            return None;
        }
        let run = self.skip(start, PATH);
        match self.byte(run) {
            b'/' => {
                let end = self.path_end(run)?;
                Some(self.path_start(T::Path, end))
            }
            b':' => {
                let is_scheme = self.byte(start).is_ascii_alphabetic()
                    && self.skip(start, SCHEME) == run
                    && self.is(run + 1, URI);
                if !is_scheme {
                    return None;
                }
                let end = self.skip(run + 1, URI);
                let piece = Str { start: start as u32, len: (end - start) as u32 };
                Some(self.emit_piece(T::Uri, end, piece))
            }
            _ => {
                self.plain_run = run;
                None
            }
        }
    }

    /// Where a path ends whose first slash is at `slash`; just after the slash when `${` follows it.
    fn path_end(&self, slash: usize) -> Option<usize> {
        let mut end = slash;
        while self.byte(end) == b'/' && self.is(end + 1, PATH) {
            end = self.skip(end + 1, PATH);
        }
        if end > slash {
            return Some(end + usize::from(self.byte(end) == b'/'));
        }
        let interpolated = self.byte(slash) == b'/'
            && self.byte(slash + 1) == b'$'
            && self.byte(slash + 2) == b'{';
        interpolated.then_some(slash + 1)
    }

    fn path_start(&mut self, kind: T, end: usize) -> Token {
        let ends_in_slash = self.text[end - 1] == b'/';
        self.push(if ends_in_slash { Mode::PathSlash } else { Mode::Path });
        let piece = Str { start: self.at as u32, len: (end - self.at) as u32 };
        self.emit_piece(kind, end, piece)
    }

    fn search_path_end(&self) -> Option<usize> {
        let mut end = self.at;
        loop {
            let next = self.skip(end + 1, PATH);
            if next == end + 1 {
                return None;
            }
            end = next;
            match self.byte(end) {
                b'>' => return Some(end + 1),
                b'/' => {}
                _ => return None,
            }
        }
    }

    fn path_token(&mut self) -> Token {
        let start = self.at;
        if self.byte(start) == b'$' && self.byte(start + 1) == b'{' {
            self.mode = Mode::Path;
            self.push(Mode::Expr);
            return self.emit(T::DollarBrace, start + 2, 0);
        }
        let run = self.skip(start, PATH);
        let end = match self.byte(run) {
            b'/' => self.path_end(run).unwrap_or(run + 1),
            _ => run,
        };
        if end > start {
            let slash = self.text[end - 1] == b'/';
            self.mode = if slash { Mode::PathSlash } else { Mode::Path };
            let piece = Str { start: start as u32, len: (end - start) as u32 };
            return self.emit_piece(T::Str, end, piece);
        }
        let at_end = start >= self.text.len();
        if self.mode == Mode::PathSlash {
            let pos = if at_end { self.last_start as usize } else { start };
            return self.fail("path has a trailing slash".into(), pos);
        }
        self.pop();
        if at_end {
            // C++ Nix takes its position back to where the last piece starts.
            self.end_pos = self.last_start;
        }
        let pos = if at_end { self.earlier_start } else { self.last_start };
        Token { kind: T::PathEnd, start: pos, end: start as u32, value: 0 }
    }

    fn string_token(&mut self) -> Token {
        let start = self.at;
        match self.byte(start) {
            b'"' => {
                self.pop();
                return self.emit(T::Quote, start + 1, 0);
            }
            b'$' if self.byte(start + 1) == b'{' => {
                self.push(Mode::Expr);
                return self.emit(T::DollarBrace, start + 2, 0);
            }
            _ => {}
        }
        // Up to the closing quote, an interpolation or the end of the text.
        let text = self.text;
        let mut changed = false;
        let mut has_nul = false;
        let mut i = start;
        while i < text.len() {
            let c = text[i];
            if CLASS[c as usize] & STRING_STOP == 0 {
                i += 1;
                continue;
            }
            match c {
                b'"' => break,
                b'\\' if i + 1 < text.len() => {
                    changed = true;
                    has_nul |= text[i + 1] == 0;
                    i += 2;
                }
                b'\\' => break,
                b'$' => match text.get(i + 1) {
                    None | Some(b'{') => break,
                    Some(b'"') => i += 1,
                    Some(b'\\') if i + 2 < text.len() => i += 1,
                    Some(b'\\') => break,
                    Some(c) => {
                        changed |= *c == b'\r';
                        has_nul |= *c == 0;
                        i += 2;
                    }
                },
                b'\r' => {
                    changed = true;
                    i += 1;
                }
                _ => {
                    has_nul = true;
                    i += 1;
                }
            }
        }
        if i == start {
            // Only an escape or a dollar that the end of the text cuts off.
            return self.end_of_file();
        }
        let piece = if changed {
            self.unescape(start, i)
        } else {
            Str { start: start as u32, len: (i - start) as u32 }
        };
        if has_nul {
            return self.null_byte(piece, start);
        }
        self.emit_piece(T::Str, i, piece)
    }

    fn unescape(&mut self, start: usize, end: usize) -> Str {
        let from = self.side.len();
        let mut i = start;
        while i < end {
            let c = self.text[i];
            i += 1;
            match c {
                b'\\' => {
                    self.side.push(match self.text[i] {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                    i += 1;
                }
                b'\r' => {
                    self.side.push(b'\n');
                    i += usize::from(i < end && self.text[i] == b'\n');
                }
                _ => self.side.push(c),
            }
        }
        Str { start: from as u32 | Str::SIDE, len: (self.side.len() - from) as u32 }
    }

    #[cold]
    fn null_byte(&mut self, piece: Str, pos: usize) -> Token {
        let bytes = if piece.start & Str::SIDE == 0 { self.text } else { &*self.side };
        let bytes = &bytes[(piece.start & !Str::SIDE) as usize..][..piece.len as usize];
        let text = String::from_utf8_lossy(bytes).replace('\0', "␀");
        let message = format!(
            "input string '{text}' cannot be represented as Nix string because it contains null bytes"
        );
        self.fail(message, pos)
    }

    /// Pieces of an indented string: plain text (marked [`INDENTED`]), an escape, or a lone `$` or `'`.
    fn ind_string_token(&mut self) -> Token {
        let start = self.at;
        let text = self.text;
        let mut has_nul = false;
        let mut i = start;
        while i < text.len() {
            let c = text[i];
            if CLASS[c as usize] & IND_STOP == 0 {
                i += 1;
                continue;
            }
            if c == 0 {
                has_nul = true;
                i += 1;
                continue;
            }
            // A dollar or quote takes the byte after it along, unless that makes it something else.
            match (c, text.get(i + 1)) {
                (_, None) | (b'$', Some(b'{' | b'\'')) | (b'\'', Some(b'\'' | b'$')) => break,
                (_, Some(next)) => has_nul |= *next == 0,
            }
            i += 2;
        }
        let piece = |start: usize, len: usize| Str { start: start as u32, len: len as u32 };
        if i > start {
            if has_nul {
                return self.null_byte(piece(start, i - start), start);
            }
            let mut token = self.emit_piece(T::IndStr, i, piece(start, i - start));
            token.value |= INDENTED;
            return token;
        }
        let rest = &text[start..];
        match rest {
            [] => self.end_of_file(),
            [b'\'', b'\'', b'$', ..] => self.emit_piece(T::IndStr, start + 3, piece(start + 2, 1)),
            [b'$', b'{', ..] => {
                self.push(Mode::Expr);
                self.emit(T::DollarBrace, start + 2, 0)
            }
            [b'$', ..] => self.emit_piece(T::IndStr, start + 1, piece(start, 1)),
            [b'\'', b'\'', b'\'', ..] => self.emit_piece(T::IndStr, start + 3, piece(start, 2)),
            [b'\'', b'\'', b'\\', c, ..] => {
                let escaped = if matches!(c, b'n' | b'r' | b't') {
                    self.unescape(start + 2, start + 4)
                } else {
                    piece(start + 3, 1)
                };
                if *c == 0 {
                    return self.null_byte(escaped, start);
                }
                self.emit_piece(T::IndStr, start + 4, escaped)
            }
            [b'\'', b'\'', ..] => {
                self.pop();
                self.emit(T::IndClose, start + 2, 0)
            }
            _ => self.emit_piece(T::IndStr, start + 1, piece(start, 1)),
        }
    }
}

fn has_nonzero_digit(number: &str) -> bool {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    mantissa.bytes().any(|c| matches!(c, b'1'..=b'9'))
}
