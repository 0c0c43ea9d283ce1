//! Debian archives: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*` (format: deb(5)).

use std::collections::BTreeMap;
use std::path::Path;

use crate::archive::tar;
use crate::error::{Error, Result};
use crate::tree::{Node, Tree};

/// The members of an `ar` archive (the common format; long names are not used in `.deb` files).
///
/// # Errors
/// When the archive is damaged.
pub fn members<'a>(path: &Path, data: &'a [u8]) -> Result<Vec<(String, &'a [u8])>> {
    let damaged =
        |reason: &str| Error::Archive { path: path.to_owned(), reason: reason.to_owned() };
    let mut rest =
        data.strip_prefix(b"!<arch>\n").ok_or_else(|| damaged("is not an ar archive"))?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (header, after) =
            rest.split_at_checked(60).ok_or_else(|| damaged("has a cut member header"))?;
        if &header[58..60] != b"`\n" {
            return Err(damaged("has a damaged member header"));
        }
        let field = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let name = field(&header[..16]).trim_end_matches('/').to_owned();
        let size: usize =
            field(&header[48..58]).parse().map_err(|_| damaged("has a member without a size"))?;
        let (contents, after) =
            after.split_at_checked(size).ok_or_else(|| damaged("has a cut member"))?;
        found.push((name, contents));
        // Members start at even offsets.
        rest = if size % 2 == 1 { after.get(1..).unwrap_or_default() } else { after };
    }
    Ok(found)
}

fn member<'a>(path: &Path, data: &'a [u8], stem: &str) -> Result<&'a [u8]> {
    members(path, data)?
        .into_iter()
        .find(|(name, _)| {
            name == stem || name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'))
        })
        .map(|(_, contents)| contents)
        .ok_or_else(|| Error::Archive { path: path.to_owned(), reason: format!("has no {stem}") })
}

/// Reads the files of a package into the tree; `place` gives each path its place. Returns conflicts.
///
/// # Errors
/// When the archive is damaged or a member must not be unpacked.
pub fn read_data(
    path: &Path,
    data: &[u8],
    place: &dyn Fn(&str) -> Option<String>,
    tree: &mut Tree,
) -> Result<Vec<String>> {
    let options = tar::Options { strip: 0, target: "", links_inside: false, place };
    tar::read(path, member(path, data, "data.tar")?, &options, tree)
}

/// The fields of a package's control file, names as they are written.
///
/// # Errors
/// When the archive is damaged or has no control file.
pub fn control(path: &Path, data: &[u8]) -> Result<BTreeMap<String, String>> {
    let mut tree = Tree::default();
    let place = |name: &str| Some(name.to_owned());
    let options = tar::Options { strip: 0, target: "", links_inside: false, place: &place };
    tar::read(path, member(path, data, "control.tar")?, &options, &mut tree)?;
    match tree.get("control") {
        Some(Node::File { data, .. }) => Ok(paragraph(&String::from_utf8_lossy(data))),
        _ => Err(Error::Archive { path: path.to_owned(), reason: "has no control file".into() }),
    }
}

/// The fields of one paragraph of Debian's control format: `Name: value`, continued by indented lines.
#[must_use]
pub fn paragraph(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = last.as_ref().and_then(|name| fields.get_mut(name)) {
                let value: &mut String = value;
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.insert(name.to_owned(), value.trim().to_owned());
            last = Some(name.to_owned());
        }
    }
    fields
}
