//! Words of texts.

use std::collections::BTreeSet;

/// How many words a text has.
#[derive(Debug, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub all: usize,
    /// Those that are not the same.
    pub different: usize,
}

/// Counts what is between white space.
pub fn count(text: &str) -> Count {
    let different: BTreeSet<&str> = text.split_whitespace().collect();
    Count {
        all: text.split_whitespace().count(),
        different: different.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted() {
        assert_eq!(
            count("a b\n a"),
            Count {
                all: 3,
                different: 2
            }
        );
        assert_eq!(
            count(""),
            Count {
                all: 0,
                different: 0
            }
        );
    }
}
