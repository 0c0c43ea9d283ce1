//! The formatter of Nix expressions: the style of RFC 166, as nixfmt 1.x writes it.
//!
//! A text is read into a concrete syntax tree ([`tree`]), which becomes a document of groups ([`write`]) that
//! are laid out in lines of 100 columns ([`doc`]). Formatting changes neither what a text means nor its comments'
//! words, and formatting again changes nothing.
//!
//! Nothing here knows files.

mod directive;
mod doc;
mod same;
mod tree;
mod write;

use std::path::Path;

use firn_syntax::{Options, Origin, ParseError, Source, stack};
use tree::parse::Stop;

/// Nesting that the ordinary stack has room for.
const ORDINARY_DEPTH: u32 = 100;

/// The deepest nesting that is formatted.
const MAX_DEPTH: u32 = 5_000;

/// How often a text is formatted until that changes nothing any more.
const ROUNDS: u32 = 5;

/// Columns of a line, where the text allows it.
const WIDTH: u32 = 100;

/// Why a text is not formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It is no expression.
    #[error("{0}")]
    Syntax(Box<ParseError>),
    /// It is not in UTF-8, from this byte on.
    #[error("{origin} is not in UTF-8 (byte {at}), and so is not formatted")]
    NotUtf8 {
        /// The text.
        origin: String,
        /// The first byte that is not.
        at: usize,
    },
    /// It has a NUL byte, which ends the expression for the language.
    #[error(
        "{origin} has a NUL byte (byte {at}), behind which the language reads nothing; it is not formatted"
    )]
    Nul {
        /// The text.
        origin: String,
        /// Where.
        at: usize,
    },
    /// It is nested too deeply.
    #[error(
        "{place}: expressions are nested more than {MAX_DEPTH} deep here, which is not formatted"
    )]
    TooDeep {
        /// Where.
        place: String,
    },
    /// There are too many layouts to try.
    #[error("{origin} is nested in a way that makes too many layouts to try; it is not formatted")]
    TooHard {
        /// The text.
        origin: String,
    },
    /// A fault of the formatter: it would have changed what the text means, or does not understand it.
    #[error("{place} cannot be formatted: {problem}; this is an error in the formatter")]
    Fault {
        /// Where.
        place: String,
        /// What would go wrong.
        problem: &'static str,
    },
}

/// Formats the text of an expression, which came from `origin`.
pub fn format(text: &[u8], origin: &Origin) -> Result<String, FormatError> {
    let named = || origin.to_string();
    let text = std::str::from_utf8(text)
        .map_err(|e| FormatError::NotUtf8 { origin: named(), at: e.valid_up_to() })?;
    if let Some(at) = memchr::memchr(0, text.as_bytes()) {
        return Err(FormatError::Nul { origin: named(), at });
    }
    let source = || Source::new(origin.clone(), text.as_bytes());
    let options = Options { pipe_operators: true, ..Options::default() };
    let before = firn_syntax::parse(source(), Path::new("/"), &options)
        .map_err(|e| FormatError::Syntax(Box::new(e)))?;
    let place = |at: usize| {
        let source = source();
        source.describe(firn_syntax::Pos(u32::try_from(at).unwrap_or(u32::MAX)))
    };
    let settled = settled(text).map_err(|failure| match failure {
        Failure::Parse(Stop::Deep(at)) => FormatError::TooDeep { place: place(at) },
        Failure::Parse(Stop::Unexpected(at)) => {
            FormatError::Fault { place: place(at), problem: "a token is not expected here" }
        }
        Failure::TooHard => FormatError::TooHard { origin: named() },
    })?;
    if settled == text {
        return Ok(settled);
    }
    let after = firn_syntax::parse(
        Source::new(origin.clone(), settled.as_bytes()),
        Path::new("/"),
        &options,
    );
    if !after.is_ok_and(|after| same::same(&before, &after)) {
        return Err(FormatError::Fault {
            place: named(),
            problem: "the result would mean something else",
        });
    }
    Ok(settled)
}

enum Failure {
    Parse(Stop),
    TooHard,
}

/// The text formatted until that changes nothing any more. Nearly always that is so after once; but where a
/// comment comes to stand can decide what it is taken to belong to the next time.
fn settled(text: &str) -> Result<String, Failure> {
    let mut last = with_room(text)?;
    for _ in 1..ROUNDS {
        if last == text {
            break;
        }
        let next = with_room(&last)?;
        if next == last {
            break;
        }
        last = next;
    }
    Ok(last)
}

fn with_room(text: &str) -> Result<String, Failure> {
    match formatted(text, ORDINARY_DEPTH) {
        Err(Failure::Parse(Stop::Deep(_))) => {
            // several calls deep for each level of nesting
            stack::with_depth(MAX_DEPTH * 8, || formatted(text, MAX_DEPTH))
        }
        other => other,
    }
}

fn formatted(text: &str, max_depth: u32) -> Result<String, Failure> {
    let whole = tree::parse::parse(text, max_depth).map_err(Failure::Parse)?;
    let document = doc::tidy(write::document(whole));
    let laid_out = doc::layout(document, WIDTH).map_err(|doc::TooHard| Failure::TooHard)?;
    Ok(directive::resolve(laid_out, text))
}

#[cfg(test)]
mod tests;
