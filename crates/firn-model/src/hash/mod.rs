//! Hashes: the algorithms Nix knows, their digests and the four ways to write them.
//!
//! Written forms: base-16, Nix's base-32, base-64 (each with an optional `ALGO:` prefix) and SRI
//! (`ALGO-BASE64`, <https://www.w3.org/TR/SRI/>).

mod lanes;
mod sha256;

use std::fmt;
use std::io;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::Digest as _;

use crate::base32;
pub use lanes::{Sha256Stream, sha256_many};
use sha256::Sha256;

/// A hash algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum HashAlgo {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Blake3,
}

impl HashAlgo {
    /// All algorithms.
    pub const ALL: [Self; 5] = [Self::Blake3, Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The digest's length in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The name as used in prefixes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HashAlgo {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|a| a.as_str() == s)
            .ok_or_else(|| Error::UnknownAlgorithm(s.to_owned()))
    }
}

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("unknown hash algorithm '{0}', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'")]
    UnknownAlgorithm(String),
    #[error("hash '{text}' has wrong length for hash algorithm '{algo}'")]
    Length { text: String, algo: HashAlgo },
    #[error("hash '{0}' is not SRI")]
    NotSri(String),
    #[error("hash '{0}' does not include a type")]
    NoType(String),
    #[error("hash '{0}' does not include a type, nor is the type otherwise known from context")]
    NoTypeKnown(String),
    #[error("hash '{text}' should have type '{algo}'")]
    WrongType { text: String, algo: HashAlgo },
    #[error("invalid character in Base16 string: '{0}'")]
    Base16(char),
    #[error(transparent)]
    Base32(#[from] base32::Error),
    #[error("invalid base-64 hash '{0}'")]
    Base64(String),
    #[error("unknown hash format '{0}', expect 'base16', 'base32', 'base64', or 'sri'")]
    UnknownFormat(String),
}

/// A way to write a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashFormat {
    /// Lower-case hexadecimal.
    Base16,
    /// Nix's base-32.
    Nix32,
    /// Base-64 with padding.
    Base64,
    /// `ALGO-BASE64`.
    Sri,
}

impl FromStr for HashFormat {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        Ok(match s {
            "base16" => Self::Base16,
            "nix32" | "base32" => Self::Nix32,
            "base64" => Self::Base64,
            "sri" => Self::Sri,
            _ => return Err(Error::UnknownFormat(s.to_owned())),
        })
    }
}

/// Reads base-64 as C++ Nix does: padding may be missing, and bits beyond the last byte do not count.
const LENIENT: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A digest and its algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    algo: HashAlgo,
    bytes: [u8; 64],
}

impl Hash {
    /// The hash whose digest is `bytes`.
    ///
    /// # Errors
    /// If the length is not the algorithm's.
    pub fn from_bytes(algo: HashAlgo, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != algo.size() {
            let text = bytes.iter().map(|b| format!("{b:02x}")).collect();
            return Err(Error::Length { text, algo });
        }
        let mut all = [0; 64];
        all[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { algo, bytes: all })
    }

    /// Hashes `data`.
    #[must_use]
    pub fn digest(algo: HashAlgo, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(algo);
        hasher.update(data);
        hasher.finish()
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// Its digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algo.size()]
    }

    /// Lower-case hexadecimal, without prefix.
    #[must_use]
    pub fn to_base16(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = vec![0; self.algo.size() * 2];
        for (digits, b) in out.as_chunks_mut().0.iter_mut().zip(self.as_bytes()) {
            *digits = [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]];
        }
        String::from_utf8(out).unwrap_or_default()
    }

    /// Nix's base-32, without prefix.
    #[must_use]
    pub fn to_base32(&self) -> String {
        base32::encode(self.as_bytes())
    }

    /// Base-64 with padding, without prefix.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.as_bytes())
    }

    /// `ALGO-BASE64`.
    #[must_use]
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algo, self.to_base64())
    }

    /// Writes it in `format`; `prefix` puts `ALGO:` before it (SRI has its algorithm always).
    #[must_use]
    pub fn render(&self, format: HashFormat, prefix: bool) -> String {
        let text = match format {
            HashFormat::Base16 => self.to_base16(),
            HashFormat::Nix32 => self.to_base32(),
            HashFormat::Base64 => self.to_base64(),
            HashFormat::Sri => return self.to_sri(),
        };
        if prefix { format!("{}:{text}", self.algo) } else { text }
    }

    /// Parses any form; `algo` is what the context demands, if anything.
    ///
    /// # Errors
    /// If the text is malformed, has no type where none is known, or another than demanded.
    pub fn parse_any(text: &str, algo: Option<HashAlgo>) -> Result<Self, Error> {
        let (named, sri, rest) = if let Some((name, rest)) = text.split_once(':') {
            (Some(name.parse()?), false, rest)
        } else if let Some((name, rest)) = text.split_once('-') {
            (Some(name.parse()?), true, rest)
        } else {
            (None, false, text)
        };
        let algo = match (named, algo) {
            (None, None) => return Err(Error::NoTypeKnown(text.to_owned())),
            (Some(named), Some(algo)) if named != algo => {
                return Err(Error::WrongType { text: text.to_owned(), algo });
            }
            (Some(algo), _) | (None, Some(algo)) => algo,
        };
        Self::parse_rest(rest, algo, sri)
    }

    /// Parses a form that names its algorithm: `ALGO:…` or SRI.
    ///
    /// # Errors
    /// As [`Hash::parse_any`], and if no algorithm is named.
    pub fn parse_prefixed(text: &str) -> Result<Self, Error> {
        if !text.contains([':', '-']) {
            return Err(Error::NoType(text.to_owned()));
        }
        Self::parse_any(text, None)
    }

    /// Parses a form without any prefix.
    ///
    /// # Errors
    /// If the text is malformed or has the wrong length for `algo`.
    pub fn parse_unprefixed(text: &str, algo: HashAlgo) -> Result<Self, Error> {
        Self::parse_rest(text, algo, false)
    }

    /// Parses SRI.
    ///
    /// # Errors
    /// If the text is not SRI.
    pub fn parse_sri(text: &str) -> Result<Self, Error> {
        let (name, rest) = text.split_once('-').ok_or_else(|| Error::NotSri(text.to_owned()))?;
        Self::parse_rest(rest, name.parse()?, true)
    }

    fn parse_rest(rest: &str, algo: HashAlgo, sri: bool) -> Result<Self, Error> {
        let size = algo.size();
        let wrong = || Error::Length { text: rest.to_owned(), algo };
        let bytes = if !sri && rest.len() == size * 2 {
            base16_decode(rest)?
        } else if !sri && rest.len() == base32::encoded_len(size) {
            base32::decode(rest)?
        } else if sri || rest.len() == size.div_ceil(3) * 4 {
            LENIENT.decode(rest).map_err(|_| Error::Base64(rest.to_owned()))?
        } else {
            return Err(wrong());
        };
        Self::from_bytes(algo, &bytes).map_err(|_| wrong())
    }
}

/// `sha256:` and base-32, the form of the store's database and of narinfo files.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algo, self.to_base32())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn base16_decode(text: &str) -> Result<Vec<u8>, Error> {
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8).ok_or(Error::Base16(c as char));
    text.as_bytes().chunks(2).map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(Sha256),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

/// Computes a hash of data that comes in pieces.
pub struct Hasher {
    state: State,
    len: u64,
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algo: HashAlgo) -> Self {
        let state = match algo {
            HashAlgo::Md5 => State::Md5(md5::Md5::new()),
            HashAlgo::Sha1 => State::Sha1(sha1::Sha1::new()),
            HashAlgo::Sha256 => State::Sha256(Sha256::new()),
            HashAlgo::Sha512 => State::Sha512(sha2::Sha512::new()),
            HashAlgo::Blake3 => State::Blake3(Box::default()),
        };
        Self { state, len: 0 }
    }

    /// Takes more data.
    pub fn update(&mut self, data: &[u8]) {
        self.len += data.len() as u64;
        match &mut self.state {
            State::Md5(h) => h.update(data),
            State::Sha1(h) => h.update(data),
            State::Sha256(h) => h.update(data),
            State::Sha512(h) => h.update(data),
            State::Blake3(h) => {
                h.update(data);
            }
        }
    }

    /// How many bytes it has seen.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has seen nothing yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash of everything seen.
    #[must_use]
    pub fn finish(self) -> Hash {
        fn hash(algo: HashAlgo, digest: &[u8]) -> Hash {
            let mut bytes = [0; 64];
            bytes[..digest.len()].copy_from_slice(digest);
            Hash { algo, bytes }
        }
        match self.state {
            State::Md5(h) => hash(HashAlgo::Md5, &h.finalize()),
            State::Sha1(h) => hash(HashAlgo::Sha1, &h.finalize()),
            State::Sha256(h) => hash(HashAlgo::Sha256, &h.finish()),
            State::Sha512(h) => hash(HashAlgo::Sha512, &h.finalize()),
            State::Blake3(h) => hash(HashAlgo::Blake3, h.finalize().as_bytes()),
        }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_digests() {
        // values printed by md5sum, sha1sum, sha512sum and b3sum
        assert_eq!(
            Hash::digest(HashAlgo::Md5, b"abc").to_base16(),
            "900150983cd24fb0d6963f7d28e17f72"
        );
        assert_eq!(
            Hash::digest(HashAlgo::Sha1, b"abc").to_base16(),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            Hash::digest(HashAlgo::Sha256, b"abc").to_sri(),
            "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
        assert!(Hash::digest(HashAlgo::Blake3, b"abc").to_base16().starts_with("6437b3ac38465133"));
    }

    #[test]
    fn errors_name_the_hash_and_what_was_expected() {
        let err = |t: &str, a| Hash::parse_any(t, a).unwrap_err().to_string();
        assert_eq!(
            err("abc", Some(HashAlgo::Sha256)),
            "hash 'abc' has wrong length for hash algorithm 'sha256'"
        );
        assert_eq!(
            err("abc", None),
            "hash 'abc' does not include a type, nor is the type otherwise known from context"
        );
        assert!(err("sha3:abc", None).starts_with("unknown hash algorithm 'sha3', expect"));
        assert_eq!(
            err("md5:900150983cd24fb0d6963f7d28e17f72", Some(HashAlgo::Sha1)),
            "hash 'md5:900150983cd24fb0d6963f7d28e17f72' should have type 'sha1'"
        );
    }

    fn algo() -> impl Strategy<Value = HashAlgo> {
        proptest::sample::select(HashAlgo::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn every_form_parses_back(algo in algo(), data: Vec<u8>) {
            let hash = Hash::digest(algo, &data);
            for format in [HashFormat::Base16, HashFormat::Nix32, HashFormat::Base64, HashFormat::Sri] {
                for prefix in [false, true] {
                    let text = hash.render(format, prefix);
                    prop_assert_eq!(Hash::parse_any(&text, Some(algo)).unwrap(), hash);
                }
                prop_assert_eq!(Hash::parse_prefixed(&hash.render(format, true)).unwrap(), hash);
            }
        }
        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = Hash::parse_any(&text, None);
            let _ = Hash::parse_any(&text, Some(HashAlgo::Sha256));
        }
    }
}
