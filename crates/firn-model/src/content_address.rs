//! Content addresses: how a store object is hashed, and the hash.
//!
//! Written `text:sha256:…` or `fixed:[r:|git:]ALGO:…`, as in the store's database and in narinfo
//! files (Nix manual, "Content-Addressing Store Objects").

use std::fmt;
use std::str::FromStr;

use crate::hash::{self, Hash, HashAlgo};

/// How a file-system object becomes bytes to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The content of one regular file.
    Flat,
    /// The NAR of the object.
    Nar,
    /// The content of one text file, whose references are part of its path.
    Text,
    /// Git's tree and blob hashing.
    Git,
}

impl Method {
    /// What stands before the algorithm in `fixed:` addresses and in derivations.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Flat => "",
            Self::Nar => "r:",
            Self::Text => "text:",
            Self::Git => "git:",
        }
    }

    /// The name in `outputHashMode` and in JSON: `flat`, `nar`, `text`, `git`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Nar => "nar",
            Self::Text => "text",
            Self::Git => "git",
        }
    }

    /// Splits a derivation's `r:sha256` into method and algorithm.
    ///
    /// # Errors
    /// If the algorithm is unknown.
    pub fn parse_with_algo(text: &str) -> Result<(Self, HashAlgo), hash::Error> {
        for method in [Self::Nar, Self::Text, Self::Git] {
            if let Some(rest) = text.strip_prefix(method.prefix()) {
                return Ok((method, rest.parse()?));
            }
        }
        Ok((Self::Flat, text.parse()?))
    }
}

/// Why a text is not a content address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("not a content address because it is not in the form '<prefix>:<rest>': {0}")]
    Form(String),
    #[error("content address hash must be in form '<algo>:<hash>', but found: {0}")]
    HashForm(String),
    #[error(
        "content address prefix '{0}' is unrecognized. Recogonized prefixes are 'text' or 'fixed'"
    )]
    Prefix(String),
    #[error("text content address hash should use sha256, but instead uses {0}")]
    TextAlgo(HashAlgo),
    #[error("content address '{text}': {source}")]
    Hash { text: String, source: hash::Error },
}

/// A content address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentAddress {
    /// How the object is hashed.
    pub method: Method,
    /// The hash.
    pub hash: Hash,
}

impl ContentAddress {
    /// `r:sha256` and the like, as derivations have it.
    #[must_use]
    pub fn method_and_algo(&self) -> String {
        format!("{}{}", self.method.prefix(), self.hash.algo())
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.method {
            Method::Text => write!(f, "text:{}", self.hash),
            method => write!(f, "fixed:{}{}", method.prefix(), self.hash),
        }
    }
}

impl FromStr for ContentAddress {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let (prefix, rest) = text.split_once(':').ok_or_else(|| Error::Form(text.to_owned()))?;
        let (method, rest) = match prefix {
            "text" => (Method::Text, rest),
            "fixed" => match (rest.strip_prefix("r:"), rest.strip_prefix("git:")) {
                (Some(rest), _) => (Method::Nar, rest),
                (_, Some(rest)) => (Method::Git, rest),
                _ => (Method::Flat, rest),
            },
            _ => return Err(Error::Prefix(prefix.to_owned())),
        };
        let wrap = |source| Error::Hash { text: text.to_owned(), source };
        let (algo, digest) =
            rest.split_once(':').ok_or_else(|| Error::HashForm(text.to_owned()))?;
        let algo: HashAlgo = algo.parse().map_err(wrap)?;
        if method == Method::Text && algo != HashAlgo::Sha256 {
            return Err(Error::TextAlgo(algo));
        }
        Ok(Self { method, hash: Hash::parse_unprefixed(digest, algo).map_err(wrap)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(data: Vec<u8>, method in proptest::sample::select(vec![
            Method::Flat, Method::Nar, Method::Text, Method::Git,
        ])) {
            let ca = ContentAddress { method, hash: Hash::digest(HashAlgo::Sha256, &data) };
            prop_assert_eq!(ca.to_string().parse::<ContentAddress>().unwrap(), ca);
        }
        #[test]
        fn any_text_is_no_panic(text in "(text|fixed)?:?(r:|git:)?(sha256|md5|x)?:?.{0,60}") {
            let _ = text.parse::<ContentAddress>();
        }
    }

    #[test]
    fn errors_tell_what_is_missing() {
        let err = |t: &str| t.parse::<ContentAddress>().unwrap_err().to_string();
        assert!(err("abc").contains("'<prefix>:<rest>'"));
        assert!(err("other:sha256:x").starts_with("content address prefix 'other'"));
        assert!(err("text:md5:x").contains("should use sha256"));
    }
}
