//! The tokens of a text alone, for tools that need the text as it is written, such as a formatter.

use super::lexer::Lexer;
use super::token::T;

/// A token: its kind and where in the text it stands. What lies between two tokens outside of strings and
/// paths is white space and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexeme {
    /// What it is.
    pub kind: T,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// The tokens of a text, up to and with [`T::End`] or the first [`T::Error`].
///
/// Strings come as their quotes with pieces and `${` … `}` between them, paths as their pieces and an empty
/// [`T::PathEnd`]. The token that opens an indented string takes the rest of its line along if that is blank.
pub fn lexemes(text: &[u8], pipe_operators: bool) -> Vec<Lexeme> {
    let mut lexer = Lexer::new(text, pipe_operators);
    let mut all = Vec::with_capacity(text.len() / 5);
    loop {
        let token = lexer.next();
        let (mut start, end) = (token.start as usize, token.end as usize);
        if token.kind == T::PathEnd {
            start = end;
        }
        all.push(Lexeme { kind: token.kind, start, end });
        if matches!(token.kind, T::End | T::Error) {
            return all;
        }
    }
}
