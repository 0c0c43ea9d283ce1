//! Flake references: an input and the folder in it where `flake.nix` is.

use super::scheme::{is_flake_id, is_rev};
use super::url::{decode_query, percent_decode};
use super::{Attr, Attrs, Input, InputError, InputUrl, text};

/// A reference to a flake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakeRef {
    /// The source.
    pub input: Input,
    /// The folder in it, or empty.
    pub dir: String,
}

impl FlakeRef {
    /// Reads a reference that names no relative path: a URL, `name/branch`, or an absolute path. What follows
    /// `#` is the second part of the result.
    ///
    /// # Errors
    /// If it is not well-formed, or needs an experimental feature that `enabled` does not have.
    pub fn parse(
        reference: &str,
        enabled: &dyn Fn(&str) -> bool,
    ) -> Result<(FlakeRef, String), InputError> {
        Self::parse_as(reference, true, enabled)
    }

    /// As [`FlakeRef::parse`]; without `tree`, a URL that may be a file or an archive is what its name says.
    ///
    /// # Errors
    /// As [`FlakeRef::parse`].
    pub fn parse_as(
        reference: &str,
        tree: bool,
        enabled: &dyn Fn(&str) -> bool,
    ) -> Result<(FlakeRef, String), InputError> {
        if let Some(found) = parse_id(reference, enabled)? {
            return Ok(found);
        }
        match InputUrl::parse(reference, true).and_then(|url| from_url(url, tree, enabled)) {
            Err(e) if e.bad_url => {}
            other => return other,
        }
        let (rest, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !path.starts_with('/') {
            return Err(InputError::bad_url(format!(
                "flake reference '{reference}' is not an absolute path"
            )));
        }
        let mut url = InputUrl::of_path("path", path);
        url.query = decode_query(query)?;
        url.fragment = percent_decode(fragment)?;
        from_url(url, tree, enabled)
    }

    /// A reference from its attributes.
    ///
    /// # Errors
    /// As [`Input::from_attrs`].
    pub fn from_attrs(
        mut attrs: Attrs,
        enabled: &dyn Fn(&str) -> bool,
    ) -> Result<FlakeRef, InputError> {
        let dir = text(&attrs, "dir")?.unwrap_or_default().to_owned();
        attrs.remove("dir");
        Ok(FlakeRef { input: Input::from_attrs(attrs, enabled)?, dir })
    }

    /// The reference as attributes.
    #[must_use]
    pub fn to_attrs(&self) -> Attrs {
        let mut attrs = self.input.attrs.clone();
        if !self.dir.is_empty() {
            attrs.entry("dir".into()).or_insert_with(|| Attr::String(self.dir.clone()));
        }
        attrs
    }

    /// The reference as a URL.
    ///
    /// # Errors
    /// As [`Input::to_url`].
    pub fn to_url(&self) -> Result<InputUrl, InputError> {
        let mut url = self.input.to_url()?;
        if !self.dir.is_empty() {
            url.query.entry("dir".into()).or_insert_with(|| self.dir.clone());
        }
        Ok(url)
    }
}

fn from_url(
    mut url: InputUrl,
    tree: bool,
    enabled: &dyn Fn(&str) -> bool,
) -> Result<(FlakeRef, String), InputError> {
    let dir = url.query.remove("dir").unwrap_or_default();
    let fragment = std::mem::take(&mut url.fragment);
    Ok((FlakeRef { input: Input::from_url(&url, tree, enabled)?, dir }, fragment))
}

/// `nixpkgs`, `nixpkgs/branch`, `nixpkgs/branch/commit`, with a fragment.
fn parse_id(
    reference: &str,
    enabled: &dyn Fn(&str) -> bool,
) -> Result<Option<(FlakeRef, String)>, InputError> {
    let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let (id, rest) = match path.split_once('/') {
        Some((id, rest)) => (id, Some(rest)),
        None => (path, None),
    };
    let is_ref = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_./@+-".contains(c))
    };
    let in_fragment = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'\"()*+,;=:@/? ^".contains(c);
    if !is_flake_id(id)
        || !rest.is_none_or(|rest| is_rev(rest) || is_ref(rest))
        || !fragment.chars().all(in_fragment)
    {
        return Ok(None);
    }
    let url = InputUrl {
        scheme: "flake".into(),
        path: path.split('/').map(str::to_owned).collect(),
        ..InputUrl::default()
    };
    let input = Input::from_url(&url, true, enabled)?;
    Ok(Some((FlakeRef { input, dir: String::new() }, percent_decode(fragment)?)))
}
