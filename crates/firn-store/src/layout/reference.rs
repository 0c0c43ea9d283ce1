//! Store addresses: `auto`, `daemon`, `local?root=…`, a path, or a URL.

use std::collections::BTreeMap;

use super::Environment;
use crate::error::{Error, Result};

/// A parsed store address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreReference {
    /// `auto`, `local`, `daemon`, `unix`, `https`, `ssh-ng`, `file`, …
    pub scheme: String,
    /// What follows `scheme://`, without parameters; a path for `local` and `unix`.
    pub authority: String,
    /// The parameters, decoded.
    pub params: BTreeMap<String, String>,
}

impl StoreReference {
    /// Parses a store address.
    ///
    /// # Errors
    /// If it is neither a known word, nor a path, nor a URL.
    pub fn parse(uri: &str, _env: &Environment) -> Result<Self> {
        let bad = || Error::Usage(format!("Cannot parse Nix store '{uri}'"));
        let (base, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut params = BTreeMap::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(bad)?;
            params.insert(decode(name).ok_or_else(bad)?, decode(value).ok_or_else(bad)?);
        }
        let (scheme, authority) = match base {
            "" | "auto" => ("auto", String::new()),
            "daemon" | "local" => (base, String::new()),
            _ => match base.split_once("://") {
                Some((scheme, rest)) if !scheme.is_empty() && is_scheme(scheme) => {
                    (scheme, decode(rest).ok_or_else(bad)?)
                }
                // a URL without a host
                None => match base.split_once(":/") {
                    Some((scheme, rest)) if is_scheme(scheme) => {
                        (scheme, decode(&format!("/{rest}")).ok_or_else(bad)?)
                    }
                    _ if base.contains('/') => ("local", absolute(base)?),
                    _ => return Err(bad()),
                },
                _ => return Err(bad()),
            },
        };
        Ok(Self { scheme: scheme.to_owned(), authority, params })
    }

    /// Writes the address.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = self.scheme.clone();
        if !self.authority.is_empty() {
            out.push_str("://");
            out.push_str(&self.authority);
        }
        for (n, (name, value)) in self.params.iter().enumerate() {
            out.push(if n == 0 { '?' } else { '&' });
            out.push_str(&format!("{}={}", encode(name), encode(value)));
        }
        out
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn absolute(path: &str) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|source| Error::Stream { action: "finding the current directory", source })?;
    Ok(super::canonical(absolute.as_os_str()).to_string_lossy().into_owned())
}

/// Percent-decoding; `None` if malformed or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let digit = |b: Option<u8>| (b? as char).to_digit(16).map(|d| d as u8);
            out.push(digit(bytes.next())? << 4 | digit(bytes.next())?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~!$'()*+,;:@/".contains(&b) {
            out.push(b as char);
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}
