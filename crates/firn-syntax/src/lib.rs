//! The Nix language as text: symbols, lexer, parser, syntax tree with source positions, and the
//! printer behind `nix-instantiate --parse`.
//!
//! Nothing here evaluates.
