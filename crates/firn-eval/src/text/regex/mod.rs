//! POSIX extended regular expressions for `builtins.match` and `builtins.split`.
//!
//! C++ Nix uses `std::regex` of libstdc++ with the `extended` grammar, whose results differ from POSIX (and
//! from every Rust crate) in corner cases: alternatives are all tried and the longest match wins, but a
//! repetition that succeeds greedily is not tried shorter; groups keep what they matched in an earlier
//! round. So this is an automaton of the same shape, searched in the same order. Unlike libstdc++'s the
//! search needs no native stack, and it remembers where it has been, so that it does not take exponential
//! time.
//!
//! | file | holds |
//! | --- | --- |
//! | `compile` | pattern → automaton |
//! | `bracket` | `[…]` |
//! | `search` | the matcher |

mod bracket;
mod compile;
mod search;
#[cfg(test)]
mod tests;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A compiled regular expression.
#[derive(Debug)]
pub struct Regex {
    program: compile::Program,
}

/// Why a regular expression cannot be used. The evaluator words these as C++ Nix does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegexError {
    /// It breaks the grammar.
    #[error("invalid regular expression")]
    Invalid,
    /// Its automaton would have more than 100,000 states.
    #[error("memory limit exceeded by regular expression")]
    TooLarge,
}

impl RegexError {
    /// The message with the regular expression in it.
    pub fn describe(self, pattern: &[u8]) -> String {
        format!("{self} '{}'", String::from_utf8_lossy(pattern))
    }
}

/// What each group matched, from the first; `None` for a group that took no part.
pub type Groups = Vec<Option<Range<usize>>>;

/// A match within a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The whole match.
    pub range: Range<usize>,
    /// Its groups.
    pub groups: Groups,
}

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Regex, RegexError> {
        Ok(Regex { program: compile::compile(pattern)? })
    }

    /// The compiled form of a pattern, made once in the process.
    pub fn cached(pattern: &[u8]) -> Result<Arc<Regex>, RegexError> {
        type Cache = RwLock<FxHashMap<Box<[u8]>, Arc<Regex>>>;
        static CACHE: OnceLock<Cache> = OnceLock::new();
        let cache = CACHE.get_or_init(Cache::default);
        if let Some(found) = cache.read().get(pattern) {
            return Ok(Arc::clone(found));
        }
        let regex = Arc::new(Regex::new(pattern)?);
        Ok(Arc::clone(cache.write().entry(pattern.into()).or_insert(regex)))
    }

    /// How many groups the pattern has.
    pub fn group_count(&self) -> usize {
        self.program.groups as usize - 1
    }

    /// The groups of a match of the whole text.
    pub fn match_whole(&self, text: &[u8]) -> Option<Groups> {
        search::Search::new(&self.program, text).whole().map(|found| found.groups)
    }

    /// All matches from left to right, as `std::regex_iterator` finds them: after an empty match a non-empty
    /// one at the same place is tried before the search goes on.
    pub fn find_all(&self, text: &[u8]) -> Vec<Found> {
        search::Search::new(&self.program, text).all()
    }
}
