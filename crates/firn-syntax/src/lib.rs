//! The Nix language as text: symbols, lexer, parser, syntax tree with source positions, and the
//! printer behind `nix-instantiate --parse`.
//!
//! Nothing here evaluates.

pub mod ast;
pub mod number;
pub mod parse;
pub mod scope;
pub mod source;
pub mod stack;
pub mod symbol;

pub use ast::{Ast, Expr, ExprId};
pub use parse::{Diagnose, Lexeme, Lints, Options, ParseError, TokenKind, Warning, lexemes, parse};
pub use source::{Origin, Pos, Source};
pub use symbol::{Symbol, sym};
