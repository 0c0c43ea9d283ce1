//! Inputs: sources that `fetchTree` and flakes name, as attributes and as URLs (`git+https://…`, `github:…`,
//! `path:…`, `tarball+https://…`). Flake references are inputs with a folder in them.
//!
//! Only their form is known here; fetching is elsewhere.

mod flake_ref;
mod scheme;
#[cfg(test)]
mod tests;
pub mod url;

pub use flake_ref::FlakeRef;
pub use scheme::is_legal_ref;
pub use url::InputUrl;

use crate::hash::{Hash, HashAlgo};
use std::collections::BTreeMap;

/// A value of an input's attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attr {
    /// A string.
    String(String),
    /// A number that is not negative.
    Int(u64),
    /// A Boolean.
    Bool(bool),
}

impl From<&str> for Attr {
    fn from(text: &str) -> Attr {
        Attr::String(text.to_owned())
    }
}

impl From<String> for Attr {
    fn from(text: String) -> Attr {
        Attr::String(text)
    }
}

/// An input's attributes.
pub type Attrs = BTreeMap<String, Attr>;

/// Why something is no input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InputError {
    /// What is wrong, as C++ Nix words it.
    pub message: String,
    /// The experimental feature that is missing.
    pub feature: Option<&'static str>,
    /// Whether it is the URL that is wrong.
    pub bad_url: bool,
}

impl InputError {
    pub(crate) fn other(message: impl Into<String>) -> InputError {
        InputError { message: message.into(), feature: None, bad_url: false }
    }

    pub(crate) fn bad_url(message: impl Into<String>) -> InputError {
        InputError { message: message.into(), feature: None, bad_url: true }
    }

    pub(crate) fn needs(feature: &'static str) -> InputError {
        InputError {
            message: format!(
                "experimental Nix feature '{feature}' is disabled; add '--extra-experimental-features {feature}' to enable it"
            ),
            feature: Some(feature),
            bad_url: false,
        }
    }
}

/// A source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Everything that is known of it, with its `type`.
    pub attrs: Attrs,
    /// Whether the type is a known one.
    known: bool,
}

impl Input {
    /// An input from its attributes.
    ///
    /// # Errors
    /// If an attribute is not one of the input's type, or not well-formed; if the type belongs to an
    /// experimental feature that `enabled` does not have.
    pub fn from_attrs(attrs: Attrs, enabled: &dyn Fn(&str) -> bool) -> Result<Input, InputError> {
        let Some(kind) = text(&attrs, "type")?.map(str::to_owned) else {
            return Err(InputError::other(
                "'type' attribute to specify input scheme is required but not provided",
            ));
        };
        let input = scheme::from_attrs(&kind, attrs, enabled)?;
        input.check()
    }

    /// An input from a URL. With `tree`, a URL that may be a file or a tarball is a tarball.
    ///
    /// # Errors
    /// If nothing is fetched with such URLs, or it is not well-formed.
    pub fn from_url(
        url: &InputUrl,
        tree: bool,
        enabled: &dyn Fn(&str) -> bool,
    ) -> Result<Input, InputError> {
        scheme::from_url(url, tree, enabled)?.check()
    }

    fn check(self) -> Result<Input, InputError> {
        text(&self.attrs, "ref")?;
        int(&self.attrs, "revCount")?;
        int(&self.attrs, "lastModified")?;
        Ok(self)
    }

    pub(crate) fn new(attrs: Attrs, known: bool) -> Input {
        Input { attrs, known }
    }

    /// The input's type.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// Whether the type is one that can be fetched.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// A string attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attrs.get(name) {
            Some(Attr::String(text)) => Some(text),
            _ => None,
        }
    }

    /// A number attribute.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<u64> {
        match self.attrs.get(name) {
            Some(Attr::Int(n)) => Some(*n),
            _ => None,
        }
    }

    /// A Boolean attribute, false if it is not there.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.attrs.get(name), Some(Attr::Bool(true)))
    }

    /// The commit, if the input names one.
    ///
    /// # Errors
    /// If it is not a hash.
    pub fn rev(&self) -> Result<Option<Hash>, InputError> {
        let Some(rev) = self.text("rev") else { return Ok(None) };
        Hash::parse_any(rev, Some(HashAlgo::Sha1))
            .or_else(|e| Hash::parse_any(rev, None).map_err(|_| e))
            .map(Some)
            .map_err(|e| InputError::other(e.to_string()))
    }

    /// The hash of the tree's archive, if it is known.
    ///
    /// # Errors
    /// If it is not a SHA-256 hash.
    pub fn nar_hash(&self) -> Result<Option<Hash>, InputError> {
        let Some(text) = self.text("narHash") else { return Ok(None) };
        let hash = if text.is_empty() {
            Hash::from_bytes(HashAlgo::Sha256, &[0; 32])
        } else {
            Hash::parse_sri(text)
        };
        let hash = hash.map_err(|e| InputError::other(e.to_string()))?;
        if hash.algo() != HashAlgo::Sha256 {
            return Err(InputError::other("narHash must use SHA-256"));
        }
        Ok(Some(hash))
    }

    /// The name in the store.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("name").unwrap_or("source")
    }

    /// Whether the input names one content for ever.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        match self.kind() {
            "git" | "hg" => self.text("rev").is_some_and(|rev| rev.bytes().any(|b| b != b'0')),
            "path" | "tarball" | "file" => self.text("narHash").is_some(),
            "github" | "gitlab" | "sourcehut" => self.text("rev").is_some(),
            _ => false,
        }
    }

    /// Whether it can be fetched as it is; otherwise a registry says what it is.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.kind() != "indirect"
    }

    /// The input as a URL.
    ///
    /// # Errors
    /// If its type is not known or an attribute is not well-formed.
    pub fn to_url(&self) -> Result<InputUrl, InputError> {
        if !self.known {
            return Err(InputError::other(format!(
                "cannot show unsupported input '{}'",
                to_json(&self.attrs)
            )));
        }
        scheme::to_url(self)
    }

    /// The input as a URL for messages, or its attributes where it has none.
    #[must_use]
    pub fn shown(&self) -> String {
        self.to_url().map_or_else(|_| to_json(&self.attrs), |url| url.to_string())
    }
}

/// A string attribute, if it is there.
pub(crate) fn text<'a>(attrs: &'a Attrs, name: &str) -> Result<Option<&'a str>, InputError> {
    match attrs.get(name) {
        None => Ok(None),
        Some(Attr::String(text)) => Ok(Some(text)),
        Some(_) => Err(InputError::other(format!(
            "input attribute '{name}' is not a string {}",
            to_json(attrs)
        ))),
    }
}

/// A string attribute that must be there.
pub(crate) fn need<'a>(attrs: &'a Attrs, name: &str) -> Result<&'a str, InputError> {
    text(attrs, name)?
        .ok_or_else(|| InputError::other(format!("input attribute '{name}' is missing")))
}

fn int(attrs: &Attrs, name: &str) -> Result<(), InputError> {
    match attrs.get(name) {
        None | Some(Attr::Int(_)) => Ok(()),
        Some(_) => Err(InputError::other(format!("input attribute '{name}' is not an integer"))),
    }
}

pub(crate) fn flag(attrs: &Attrs, name: &str) -> Result<(), InputError> {
    match attrs.get(name) {
        None | Some(Attr::Bool(_)) => Ok(()),
        Some(_) => Err(InputError::other(format!("input attribute '{name}' is not a Boolean"))),
    }
}

/// Attributes as JSON, as messages show them.
#[must_use]
pub fn to_json(attrs: &Attrs) -> String {
    let mut map = serde_json::Map::new();
    for (name, value) in attrs {
        let value = match value {
            Attr::String(text) => serde_json::Value::from(text.as_str()),
            Attr::Int(n) => serde_json::Value::from(*n),
            Attr::Bool(b) => serde_json::Value::from(*b),
        };
        map.insert(name.clone(), value);
    }
    serde_json::Value::Object(map).to_string()
}
