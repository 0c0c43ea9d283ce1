//! From source text to syntax tree.
//!
//! A hand-written recursive-descent and precedence parser that writes straight into the arena of
//! [`crate::ast`]. Sugar is removed while parsing. Texts that are not in the language get their message from
//! `automaton`, so that it reads as C++ Nix's.
//!
//! | file | holds |
//! | --- | --- |
//! | `token`, `lexer` | tokens and how bytes become them |
//! | `parser` | expressions |
//! | `functions` | functions and their patterns |
//! | `binds` | attribute sets: paths, merging, duplicates |
//! | `strings` | strings, indented strings, paths |
//! | `stream` | the tokens alone, for tools that keep the text as it is written |
//! | `lint` | literals that are discouraged |
//! | `grammar`, `automaton` | what syntax errors say |

mod automaton;
mod binds;
mod functions;
mod grammar;
mod lexer;
mod lint;
mod parser;
mod stream;
mod strings;
#[cfg(test)]
mod tests;
mod token;

pub use stream::{Lexeme, lexemes};
pub use token::T as TokenKind;

use crate::ast::Ast;
use crate::source::{Pos, Source};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is done about a kind of literal that is discouraged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diagnose {
    /// Nothing.
    #[default]
    Ignore,
    /// A warning.
    Warn,
    /// It is an error.
    Fatal,
}

impl std::str::FromStr for Diagnose {
    type Err = ();

    fn from_str(text: &str) -> Result<Diagnose, ()> {
        match text {
            "ignore" => Ok(Diagnose::Ignore),
            "warn" => Ok(Diagnose::Warn),
            "fatal" => Ok(Diagnose::Fatal),
            _ => Err(()),
        }
    }
}

/// What is done about literals that are discouraged: the settings `lint-…`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lints {
    /// URLs without quotes (`lint-url-literals`).
    pub url_literals: Diagnose,
    /// Paths that begin with a slash or `~` (`lint-absolute-path-literals`).
    pub absolute_paths: Diagnose,
    /// Relative paths that begin with a name (`lint-short-path-literals`).
    pub short_paths: Diagnose,
}

/// What the language is beyond its core, and what literals refer to.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Accept `|>` and `<|` (the experimental feature `pipe-operators`).
    pub pipe_operators: bool,
    /// What `~/…` starts from; by default `$HOME`, or `/` where that is unset.
    pub home: Option<PathBuf>,
    /// Refuse `~/…`.
    pub pure: bool,
    /// Literals to warn about or to refuse.
    pub lints: Lints,
}

/// Why a text is no expression.
#[derive(Clone, Debug)]
pub struct ParseError {
    /// What is wrong, as C++ Nix words it, without `error:`.
    pub message: String,
    /// Where.
    pub pos: Pos,
    /// The text.
    pub source: Arc<Source>,
    /// Warnings about what came before.
    pub warnings: Vec<Warning>,
}

impl ParseError {
    /// The place, as `origin:line:column`.
    pub fn place(&self) -> String {
        self.source.describe(self.pos)
    }

    /// The lines around the place with a caret; empty where the error has no place.
    pub fn excerpt(&self) -> String {
        self.source.excerpt(self.pos)
    }
}

/// The message with its place and excerpt, laid out as C++ Nix does (without `error:` and colours).
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Aligned with what follows `error: ` on the first line.
        for (i, line) in self.message.split('\n').enumerate() {
            match (i, line.trim_end()) {
                (0, line) => f.write_str(line)?,
                (_, "") => f.write_str("\n")?,
                (_, line) => write!(f, "\n       {line}")?,
            }
        }
        if self.pos.is_some() {
            write!(f, "\n       at {}:", self.place())?;
            for line in self.excerpt().lines() {
                write!(f, "\n       {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}

/// Something that parses but will not in a future version of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is about, as C++ Nix words it, without `warning:`.
    pub message: String,
    /// Where.
    pub pos: Pos,
    /// Whether the message itself names the place; otherwise the place is to be shown after it.
    pub placed: bool,
}

/// Parses a source. Relative path literals are resolved against `base_dir`, an absolute path.
pub fn parse(source: Source, base_dir: &Path, options: &Options) -> Result<Ast, ParseError> {
    parser::parse(&Arc::new(source), base_dir, options)
}
