//! Store paths: `STORE/DIGEST-NAME`, and how the digest of each kind of path is computed.
//!
//! Defined in the Nix manual under "Complete Store Path Calculation".

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::base32;
use crate::content_address::{ContentAddress, Method};
use crate::hash::{Hash, HashAlgo};

/// Characters of the digest in a store path.
pub const HASH_PART_LEN: usize = 32;
/// The longest name a store path may have, in bytes.
pub const MAX_NAME_LEN: usize = 211;

/// Why a text is not a store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("name must not be empty")]
    EmptyName,
    #[error("name '{0}' must be no longer than {MAX_NAME_LEN} characters")]
    LongName(String),
    #[error("name '{0}' is not valid")]
    Name(String),
    #[error("name '{name}' is not valid: first dash-separated component must not be '{component}'")]
    NameComponent { name: String, component: &'static str },
    #[error("name '{name}' contains illegal character '{character}'")]
    NameCharacter { name: String, character: char },
    #[error("path '{path}' is not a valid store path: {source}")]
    Path {
        path: String,
        #[source]
        source: Box<Error>,
    },
    #[error("'{0}' is too short to be a valid store path")]
    Short(String),
    #[error("store path '{path}' contains illegal base-32 character '{character}'")]
    Digest { path: String, character: char },
    #[error("path '{path}' is not in the Nix store")]
    NotInStore { path: String },
    #[error("store path '{0}' is not a valid derivation path")]
    NotDerivation(String),
    #[error("the store folder '{0}' must be an absolute path without a '/' at its end")]
    StoreDir(String),
    #[error(
        "fixed output derivation '{0}' is not allowed to refer to other store paths.\nYou may need to use the 'unsafeDiscardReferences' derivation attribute, see the manual for more details."
    )]
    References(String),
    #[error("Git file ingestion must use SHA-1 or SHA-256 hash, but instead using: {0}")]
    GitAlgo(HashAlgo),
    #[error("text hashing must use SHA-256, but instead using: {0}")]
    TextAlgo(HashAlgo),
    #[error("self-reference not allowed with text hashing")]
    TextSelfReference,
}

/// Checks that `name` may be a store path's name.
///
/// # Errors
/// If it is empty, too long, or has characters or a beginning that are not allowed.
pub fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::EmptyName);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(Error::LongName(name.to_owned()));
    }
    for component in [".", ".."] {
        if name == component {
            return Err(Error::Name(name.to_owned()));
        }
        if name.strip_prefix(component).is_some_and(|r| r.starts_with('-')) {
            return Err(Error::NameComponent { name: name.to_owned(), component });
        }
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    // Allowed characters are single bytes.
    if name.bytes().all(|b| allowed(char::from(b))) {
        return Ok(());
    }
    match name.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(character) => Err(Error::NameCharacter { name: name.to_owned(), character }),
    }
}

/// A path in a store, without the store's folder: `DIGEST-NAME`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(Arc<str>);

impl StorePath {
    /// Parses `DIGEST-NAME`.
    ///
    /// # Errors
    /// If the digest or the name is malformed.
    pub fn from_base_name(base: &str) -> Result<Self, Error> {
        if base.len() < HASH_PART_LEN + 1 {
            return Err(Error::Short(base.to_owned()));
        }
        for (at, b) in base.bytes().take(HASH_PART_LEN).enumerate() {
            if base32::VALUES[usize::from(b)] == 255 {
                let character = base.get(at..).and_then(|t| t.chars().next()).unwrap_or('\u{fffd}');
                return Err(Error::Digest { path: base.to_owned(), character });
            }
        }
        let wrap = |source| Error::Path { path: base.to_owned(), source: Box::new(source) };
        if base.as_bytes()[HASH_PART_LEN] != b'-' {
            return Err(wrap(Error::Name(base[HASH_PART_LEN..].to_owned())));
        }
        check_name(&base[HASH_PART_LEN + 1..]).map_err(wrap)?;
        Ok(Self(base.into()))
    }

    /// The path with the given 20-byte digest and name.
    ///
    /// # Errors
    /// If the name is not allowed.
    pub fn from_parts(digest: &[u8; 20], name: &str) -> Result<Self, Error> {
        let base = format!("{}-{name}", base32::encode(digest));
        check_name(name)
            .map_err(|source| Error::Path { path: base.clone(), source: Box::new(source) })?;
        Ok(Self(base.into()))
    }

    /// `DIGEST-NAME`.
    #[must_use]
    pub fn base_name(&self) -> &str {
        &self.0
    }

    /// The 32 characters of the digest.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        &self.0[..HASH_PART_LEN]
    }

    /// What follows the digest and its dash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[HASH_PART_LEN + 1..]
    }

    /// Whether the name ends in `.drv`.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.name().ends_with(".drv")
    }

    /// The derivation's name: this path's name without `.drv`.
    ///
    /// # Errors
    /// If this is not the path of a derivation.
    pub fn derivation_name(&self) -> Result<&str, Error> {
        self.name().strip_suffix(".drv").ok_or_else(|| Error::NotDerivation(self.0.to_string()))
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a content-addressed path refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Other store paths.
    pub paths: BTreeSet<StorePath>,
    /// Whether it refers to itself.
    pub self_reference: bool,
}

impl References {
    /// Whether it refers to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.self_reference
    }
}

/// The folder that store paths are printed with, `/nix/store` by default. It is part of every digest
/// and need not be where the files really are. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreDir(Arc<str>);

impl Default for StoreDir {
    fn default() -> Self {
        Self("/nix/store".into())
    }
}

impl StoreDir {
    /// A store folder.
    ///
    /// # Errors
    /// If it is not absolute or ends in a slash.
    pub fn new(dir: &str) -> Result<Self, Error> {
        if !dir.starts_with('/') || dir.ends_with('/') {
            return Err(Error::StoreDir(dir.to_owned()));
        }
        Ok(Self(dir.into()))
    }

    /// The folder, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole path of `path`.
    #[must_use]
    pub fn print(&self, path: &StorePath) -> String {
        let mut out = String::with_capacity(self.0.len() + 1 + path.0.len());
        self.push(&mut out, path);
        out
    }

    fn push(&self, out: &mut String, path: &StorePath) {
        out.push_str(&self.0);
        out.push('/');
        out.push_str(&path.0);
    }

    /// Parses a whole store path; nothing may follow it.
    ///
    /// # Errors
    /// If it is not directly in this folder or malformed.
    pub fn parse(&self, text: &str) -> Result<StorePath, Error> {
        match self.below(text) {
            Some(base) if !base.contains('/') => StorePath::from_base_name(base),
            _ => Err(Error::NotInStore { path: text.to_owned() }),
        }
    }

    /// Parses a path in or below a store path; also gives what follows (empty or from a `/` on).
    ///
    /// # Errors
    /// If it is not in this folder or malformed.
    pub fn parse_prefix<'t>(&self, text: &'t str) -> Result<(StorePath, &'t str), Error> {
        let base = self.below(text).ok_or_else(|| Error::NotInStore { path: text.to_owned() })?;
        let end = base.find('/').unwrap_or(base.len());
        Ok((StorePath::from_base_name(&base[..end])?, &base[end..]))
    }

    /// Whether `text` is a path below this folder.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.below(text).is_some()
    }

    fn below<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.strip_prefix(&*self.0)?.strip_prefix('/').filter(|rest| !rest.is_empty())
    }

    /// The path whose digest is computed from `kind:ALGO:HASH:STORE:NAME`.
    ///
    /// # Errors
    /// If the name is not allowed.
    pub fn make_path(&self, kind: &str, hash: &Hash, name: &str) -> Result<StorePath, Error> {
        let text = format!("{kind}:{}:{}:{}:{name}", hash.algo(), hash.to_base16(), self.as_str());
        let digest = Hash::digest(HashAlgo::Sha256, text.as_bytes());
        StorePath::from_parts(&compress(digest.as_bytes()), name)
    }

    /// The path of an input-addressed derivation's output; `hash` is the derivation's modulo hash.
    ///
    /// # Errors
    /// If the name is not allowed.
    pub fn make_output_path(
        &self,
        output: &str,
        hash: &Hash,
        drv_name: &str,
    ) -> Result<StorePath, Error> {
        self.make_path(&format!("output:{output}"), hash, &output_path_name(drv_name, output))
    }

    /// The path of a text file; `hash` is the SHA-256 of its content.
    ///
    /// # Errors
    /// If the name is not allowed.
    pub fn make_text_path(
        &self,
        name: &str,
        hash: &Hash,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, Error> {
        self.make_text_path_of(name, hash, references)
    }

    /// As [`StoreDir::make_text_path`], for references in their order.
    pub(crate) fn make_text_path_of<'p>(
        &self,
        name: &str,
        hash: &Hash,
        references: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<StorePath, Error> {
        if hash.algo() != HashAlgo::Sha256 {
            return Err(Error::TextAlgo(hash.algo()));
        }
        self.make_path(&self.kind_with_references("text", references, false), hash, name)
    }

    /// The path of something with the content address `ca`.
    ///
    /// # Errors
    /// If the name is not allowed, or the kind of address cannot have these references.
    pub fn make_fixed_output_path(
        &self,
        name: &str,
        ca: &ContentAddress,
        references: &References,
    ) -> Result<StorePath, Error> {
        match ca.method {
            Method::Text if references.self_reference => Err(Error::TextSelfReference),
            Method::Text => self.make_text_path(name, &ca.hash, &references.paths),
            Method::Nar if ca.hash.algo() == HashAlgo::Sha256 => {
                let kind = self.kind_with_references(
                    "source",
                    &references.paths,
                    references.self_reference,
                );
                self.make_path(&kind, &ca.hash, name)
            }
            Method::Git if !matches!(ca.hash.algo(), HashAlgo::Sha1 | HashAlgo::Sha256) => {
                Err(Error::GitAlgo(ca.hash.algo()))
            }
            _ if !references.is_empty() => Err(Error::References(name.to_owned())),
            _ => {
                let inner = format!(
                    "fixed:out:{}{}:{}:",
                    ca.method.prefix(),
                    ca.hash.algo(),
                    ca.hash.to_base16()
                );
                let digest = Hash::digest(HashAlgo::Sha256, inner.as_bytes());
                self.make_path("output:out", &digest, name)
            }
        }
    }

    fn kind_with_references<'p>(
        &self,
        kind: &str,
        references: impl IntoIterator<Item = &'p StorePath>,
        self_reference: bool,
    ) -> String {
        let mut out = kind.to_owned();
        for path in references {
            out.push(':');
            self.push(&mut out, path);
        }
        if self_reference {
            out.push_str(":self");
        }
        out
    }
}

/// The name of an output's store path: the derivation's name, and the output's unless it is `out`.
#[must_use]
pub fn output_path_name(drv_name: &str, output: &str) -> String {
    if output == "out" { drv_name.to_owned() } else { format!("{drv_name}-{output}") }
}

/// Folds a digest into 20 bytes by exclusive or.
#[must_use]
pub fn compress(digest: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    for (i, b) in digest.iter().enumerate() {
        out[i % 20] ^= b;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "ac4j2y5m5ssrs2k7sg2i5rhrmwnwc0h2-hello-2.12";

    #[test]
    fn parts_of_a_path() {
        let dir = StoreDir::default();
        let path = dir.parse(&format!("/nix/store/{BASE}")).unwrap();
        assert_eq!(path.name(), "hello-2.12");
        assert_eq!(path.hash_part(), &BASE[..32]);
        assert_eq!(dir.print(&path), format!("/nix/store/{BASE}"));
        let below = format!("/nix/store/{BASE}/bin/hello");
        assert_eq!(dir.parse_prefix(&below).unwrap(), (path, "/bin/hello"));
        assert!(dir.parse(&below).is_err());
    }

    #[test]
    fn bad_names_are_told() {
        let name = |n: &str| check_name(n).unwrap_err().to_string();
        assert_eq!(name(""), "name must not be empty");
        assert_eq!(name("a b"), "name 'a b' contains illegal character ' '");
        assert_eq!(name(".."), "name '..' is not valid");
        assert_eq!(
            name(".-x"),
            "name '.-x' is not valid: first dash-separated component must not be '.'"
        );
        assert!(check_name(".gitignore").is_ok());
        assert!(check_name("...").is_ok());
        assert!(name(&"x".repeat(212)).ends_with("must be no longer than 211 characters"));
    }

    #[test]
    fn text_and_source_paths_as_nix_computes_them() {
        // nix-instantiate --eval -E 'builtins.toFile "a.txt" "hello\n"'
        let dir = StoreDir::default();
        let hash = Hash::digest(HashAlgo::Sha256, b"hello\n");
        let path = dir.make_text_path("a.txt", &hash, &BTreeSet::new()).unwrap();
        assert_eq!(path.base_name(), TO_FILE);
        // nix-instantiate --eval -E 'builtins.toFile "b.txt" "${builtins.toFile "a.txt" "hello\n"}"'
        let text = dir.print(&path);
        let hash = Hash::digest(HashAlgo::Sha256, text.as_bytes());
        let path = dir.make_text_path("b.txt", &hash, &[path].into()).unwrap();
        assert_eq!(path.base_name(), TO_FILE_WITH_REFERENCE);
    }

    const TO_FILE: &str = "8hb1zapwkfr1j7zmxj7s7wj2pgci7zjm-a.txt";
    const TO_FILE_WITH_REFERENCE: &str = "r25ak71wkppfmdiibarvvvnc9cyjjkhh-b.txt";

    proptest! {
        #[test]
        fn base_names_parse_or_fail(text: String) {
            let _ = StorePath::from_base_name(&text);
            let _ = StoreDir::default().parse_prefix(&format!("/nix/store/{text}"));
        }
        #[test]
        fn made_paths_parse_back(data: Vec<u8>, name in "[a-zA-Z0-9+._?=][a-zA-Z0-9+._?=-]{0,30}") {
            prop_assume!(check_name(&name).is_ok());
            let dir = StoreDir::default();
            let path = dir.make_path("source", &Hash::digest(HashAlgo::Sha256, &data), &name).unwrap();
            prop_assert_eq!(dir.parse(&dir.print(&path)).unwrap(), path);
        }
    }
}
