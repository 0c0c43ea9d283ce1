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

/// A compiled regular expression.
#[derive(Debug)]
pub struct Regex {
    program: compile::Program,
}

/// Why a regular expression cannot be used. The evaluator words these as C++ Nix does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// It breaks the grammar.
    #[error("invalid regular expression")]
    Invalid,
    /// Its automaton would have more than 100,000 states.
    #[error("memory limit exceeded by regular expression")]
    TooLarge,
}

/// What each group matched, from the first, as start and end; `None` for a group that took no part.
pub type Groups = Vec<Option<(usize, usize)>>;

/// A match within a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// Where it starts.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Its groups.
    pub groups: Groups,
}

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Regex, Error> {
        Ok(Regex { program: compile::compile(pattern)? })
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
    pub fn find_all(&self, text: &[u8]) -> Vec<Match> {
        search::Search::new(&self.program, text).all()
    }
}
