//! Strings, indented strings and paths.

use super::lexer::INDENTED;
use super::parser::{Parsed, Parser, piece, seal};
use super::token::{T, Token};
use crate::ast::{ConcatPart, Expr, ExprId, Range, Str};
use crate::source::Pos;
use crate::symbol::Symbol;
use std::os::unix::ffi::OsStrExt;

/// What stands between quotes: nothing but text, or something with `${…}` in it.
pub(super) enum Text {
    Literal(Str),
    Expr(ExprId),
}

/// A part of an indented string before its indentation is taken away.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pos: u32,
    content: Content,
}

#[derive(Clone, Copy)]
enum Content {
    Expr(ExprId),
    Text { text: Str, indented: bool },
}

impl Parser<'_> {
    /// The symbol of a string literal's text.
    pub(super) fn intern(&self, text: Str) -> Symbol {
        Symbol::intern(self.bytes(text))
    }

    fn bytes(&self, text: Str) -> &[u8] {
        let from =
            if text.start & Str::SIDE == 0 { self.ast.source.text() } else { &*self.lexer.side };
        &from[(text.start & !Str::SIDE) as usize..][..text.len as usize]
    }

    fn concat(&mut self, force_string: bool, parts: Range, pos: u32) -> Parsed<ExprId> {
        let below =
            self.ast.parts(parts).iter().map(|p| self.height(p.expr)).max().unwrap_or_default();
        self.add(Expr::ConcatStrings { force_string, parts }, pos, below)
    }

    /// After the opening quote: a string as an expression.
    pub(super) fn string(&mut self, pos: u32) -> Parsed<ExprId> {
        match self.string_parts(pos)? {
            Text::Literal(text) => self.add(Expr::String(text), pos, 0),
            Text::Expr(e) => Ok(e),
        }
    }

    /// After the opening quote: the string and the closing quote.
    pub(super) fn string_parts(&mut self, quote: u32) -> Parsed<Text> {
        let base = self.parts.len();
        let first = self.peek()?;
        if first.kind == T::Quote {
            self.bump();
            return Ok(Text::Literal(Str::EMPTY));
        }
        if first.kind == T::Str {
            self.bump();
            if self.peek()?.kind == T::Quote {
                self.bump();
                return Ok(Text::Literal(piece(first)));
            }
            let expr = self.add(Expr::String(piece(first)), first.start, 0)?;
            self.parts.push(ConcatPart { pos: Pos(first.start), expr });
        }
        // Without quotes, as C++ Nix has it, the string starts at its first part.
        let start = if first.kind == T::Str { first.start } else { quote + 1 };
        self.interpolated(T::Quote)?;
        let parts = seal(&mut self.parts, base, &mut self.ast.parts);
        Ok(Text::Expr(self.concat(true, parts, start)?))
    }

    /// Interpolations and pieces of text up to and with the token `end`.
    fn interpolated(&mut self, end: T) -> Parsed<()> {
        let mut any = false;
        loop {
            let token = self.peek()?;
            match token.kind {
                T::DollarBrace => {
                    any = true;
                    let expr = self.interpolation()?;
                    self.parts.push(ConcatPart { pos: Pos(token.start), expr });
                }
                // Text needs an interpolation before it, here or as the reason for being here.
                T::Str if any => {
                    self.bump();
                    let expr = self.add(Expr::String(piece(token)), token.start, 0)?;
                    self.parts.push(ConcatPart { pos: Pos(token.start), expr });
                }
                kind if kind == end && any => {
                    self.bump();
                    return Ok(());
                }
                _ => return self.syntax(),
            }
        }
    }

    fn interpolation(&mut self) -> Parsed<ExprId> {
        self.bump();
        let e = self.expr()?;
        self.expect(T::RBrace)?;
        Ok(e)
    }

    /// After the opening quotes: an indented string.
    pub(super) fn ind_string(&mut self, pos: u32) -> Parsed<ExprId> {
        let base = self.pieces.len();
        loop {
            let token = self.peek()?;
            let content = match token.kind {
                T::IndStr => {
                    self.bump();
                    Content::Text { text: piece(token), indented: token.value & INDENTED != 0 }
                }
                T::DollarBrace => Content::Expr(self.interpolation()?),
                T::IndClose => {
                    self.bump();
                    break;
                }
                _ => return self.syntax(),
            };
            self.pieces.push(Piece { pos: token.start, content });
        }
        let pieces = self.pieces.split_off(base);
        self.strip_indentation(pos, &pieces)
    }

    fn strip_indentation(&mut self, pos: u32, pieces: &[Piece]) -> Parsed<ExprId> {
        let indent = self.common_indentation(pieces);
        let base = self.parts.len();
        let mut state = Stripper { indent, at_line_start: true, dropped: 0 };
        for (i, part) in pieces.iter().enumerate() {
            let expr = match part.content {
                Content::Expr(e) => {
                    state.at_line_start = false;
                    state.dropped = 0;
                    e
                }
                Content::Text { text, .. } => {
                    let is_last = i + 1 == pieces.len();
                    let text = self.strip_text(&mut state, text, is_last);
                    if text.is_empty() {
                        continue;
                    }
                    self.add(Expr::String(text), part.pos, 0)?
                }
            };
            self.parts.push(ConcatPart { pos: Pos(part.pos), expr });
        }
        match &self.parts[base..] {
            [] => self.add(Expr::String(Str::EMPTY), pos, 0),
            [only] if matches!(self.ast.expr(only.expr), Expr::String(_)) => {
                let only = only.expr;
                self.parts.truncate(base);
                Ok(only)
            }
            _ => {
                let parts = seal(&mut self.parts, base, &mut self.ast.parts);
                self.concat(true, parts, pos)
            }
        }
    }

    /// The indentation of the least indented line that has anything on it.
    fn common_indentation(&self, pieces: &[Piece]) -> usize {
        let mut least = usize::MAX;
        let mut at_line_start = true;
        let mut current = 0;
        for part in pieces {
            let Content::Text { text, indented: true } = part.content else {
                // An interpolation or an escape is something on the line.
                if at_line_start {
                    at_line_start = false;
                    least = least.min(current);
                }
                continue;
            };
            let mut rest = self.bytes(text);
            while !rest.is_empty() {
                if at_line_start {
                    let spaces = rest.iter().take_while(|c| **c == b' ').count();
                    current += spaces;
                    rest = &rest[spaces..];
                    match rest.first() {
                        None => break,
                        Some(b'\n') => {
                            current = 0;
                            rest = &rest[1..];
                            continue;
                        }
                        Some(_) => {
                            at_line_start = false;
                            least = least.min(current);
                        }
                    }
                }
                let Some(end) = memchr::memchr(b'\n', rest) else { break };
                at_line_start = true;
                current = 0;
                rest = &rest[end + 1..];
            }
        }
        // C++ Nix starts from this number, which matters where no line has anything on it.
        least.min(1_000_000)
    }

    fn strip_text(&mut self, state: &mut Stripper, text: Str, is_last: bool) -> Str {
        let from = self.lexer.side.len();
        let in_side = text.start & Str::SIDE != 0;
        let start = (text.start & !Str::SIDE) as usize;
        let range = start..start + text.len as usize;
        let source = std::sync::Arc::clone(&self.ast.source);
        let copy;
        let mut rest = if in_side {
            copy = self.lexer.side[range].to_vec();
            &copy[..]
        } else {
            &source.text()[range]
        };
        let side = &mut self.lexer.side;
        while !rest.is_empty() {
            if state.at_line_start {
                let spaces = rest.iter().take_while(|c| **c == b' ').count();
                let drop = spaces.min(state.indent.saturating_sub(state.dropped));
                side.extend_from_slice(&rest[drop..spaces]);
                state.dropped += spaces;
                rest = &rest[spaces..];
                let Some(c) = rest.first() else { break };
                state.dropped = 0;
                if *c == b'\n' {
                    side.push(b'\n');
                    rest = &rest[1..];
                    continue;
                }
                state.at_line_start = false;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
            state.at_line_start = rest[end - 1] == b'\n';
            side.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        if is_last {
            // A last line of nothing but spaces is dropped.
            let new = &side[from..];
            if let Some(line) = memchr::memrchr(b'\n', new)
                && new[line + 1..].iter().all(|c| *c == b' ')
            {
                side.truncate(from + line + 1);
            }
        }
        Str { start: from as u32 | Str::SIDE, len: (side.len() - from) as u32 }
    }

    /// A path, whose first piece is `first`.
    pub(super) fn path(&mut self, first: Token) -> Parsed<ExprId> {
        let text = self.path_text(first)?;
        let expr = self.add(Expr::Path(text), first.start, 0)?;
        if self.peek()?.kind == T::PathEnd {
            self.bump();
            return Ok(expr);
        }
        let base = self.parts.len();
        self.parts.push(ConcatPart { pos: Pos(first.start), expr });
        let token = self.peek()?;
        if token.kind == T::Str {
            self.bump();
            let expr = self.add(Expr::String(piece(token)), token.start, 0)?;
            self.parts.push(ConcatPart { pos: Pos(token.start), expr });
        }
        self.interpolated(T::PathEnd)?;
        let parts = seal(&mut self.parts, base, &mut self.ast.parts);
        self.concat(false, parts, first.start)
    }

    fn path_text(&mut self, token: Token) -> Parsed<Str> {
        let source = std::sync::Arc::clone(&self.ast.source);
        let literal = &source.text()[token.start as usize..token.end as usize];
        if token.kind == T::HomePath && self.options.pure {
            let literal = String::from_utf8_lossy(literal);
            let message = format!("the path '{literal}' can not be resolved in pure mode");
            return self.message(message, Pos::NONE);
        }
        self.lint_path(token, literal)?;
        let side = &mut self.lexer.side;
        let from = side.len();
        if token.kind == T::HomePath {
            match (&self.options.home, std::env::var_os("HOME")) {
                (Some(home), _) => side.extend_from_slice(home.as_os_str().as_bytes()),
                (None, Some(home)) => side.extend_from_slice(home.as_bytes()),
                (None, None) => {}
            }
            side.extend_from_slice(&literal[1..]);
        } else {
            if literal[0] != b'/' {
                normalise(self.base_dir.as_os_str().as_bytes(), side, from);
            }
            normalise(literal, side, from);
            if side.len() == from {
                side.push(b'/');
            }
            if literal.len() > 1 && literal.ends_with(b"/") {
                side.push(b'/');
            }
        }
        Ok(Str { start: from as u32 | Str::SIDE, len: (side.len() - from) as u32 })
    }
}

/// Appends the components of `path` to the absolute path that starts at `root` in `out` (empty for `/`),
/// resolving `.` and `..` as text.
fn normalise(path: &[u8], out: &mut Vec<u8>, root: usize) {
    for component in path.split(|c| *c == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let parent = memchr::memrchr(b'/', &out[root..]).unwrap_or(0);
                out.truncate(root + parent);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(component);
            }
        }
    }
}

struct Stripper {
    indent: usize,
    at_line_start: bool,
    /// Spaces seen on this line so far.
    dropped: usize,
}
