//! Flake references as users write them: beside URLs and short names also relative paths, from which
//! `flake.nix` is searched upwards, and folders of Git repositories.

use std::path::{Path, PathBuf};

use firn_eval::{Error, Result};
use firn_model::input::{Attr, Attrs, FlakeRef, Input, InputUrl};

use crate::{enabled, input_error};

/// Reads a reference; relative paths are below `base`. The second part is what follows `#`.
///
/// # Errors
/// If it is not well-formed, or a path leads to no flake.
pub fn parse(text: &str, base: &Path) -> Result<(FlakeRef, String)> {
    if let Some(found) = path_reference(text, base)? {
        return Ok(found);
    }
    FlakeRef::parse(text, &enabled).map_err(|e| input_error(&e))
}

/// Reads an input's `url` in a `flake.nix`; a relative path stays one. With `tree`, what may be a file or an
/// archive is an archive.
///
/// # Errors
/// If it is not well-formed.
pub fn parse_input(text: &str, tree: bool) -> Result<FlakeRef> {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    if !fragment.is_empty() {
        return Err(Error::other(format!(
            "unexpected fragment '{fragment}' in flake reference '{text}'"
        )));
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("path:").unwrap_or(path);
    let relative = path.starts_with("./") || path.starts_with("../") || path == "." || path == "..";
    let relative = relative || (rest.starts_with("path:") && !path.starts_with('/'));
    if !relative {
        let (found, _) = FlakeRef::parse_as(text, tree, &enabled).map_err(|e| input_error(&e))?;
        return Ok(found);
    }
    let mut attrs = Attrs::from([("type".into(), "path".into()), ("path".into(), path.into())]);
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = match value.parse::<u64>() {
            Ok(n) if matches!(name, "lastModified" | "revCount") => Attr::Int(n),
            _ => value.into(),
        };
        attrs.insert(name.to_owned(), value);
    }
    FlakeRef::from_attrs(attrs, &enabled).map_err(|e| input_error(&e))
}

/// A path on this machine: relative, or with `flake.nix` in a folder above.
fn path_reference(text: &str, base: &Path) -> Result<Option<(FlakeRef, String)>> {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
    if let Some(path) = name.strip_prefix("path:")
        && !path.starts_with('/')
    {
        // a tree as it is, without a search
        let path = absolute(&base.join(path));
        return found(InputUrl::of_path("path", &shown(&path)), query, fragment).map(Some);
    }
    let is_path = name.is_empty()
        || name.starts_with(['.', '/', '~'])
        || (name.contains('/') && !name.contains(':') && base.join(name).exists());
    if !is_path {
        return Ok(None);
    }
    let path = absolute(&base.join(name));
    // a flake is where it really is, not where a link to it is
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let mut at = path.clone();
    let meta = at
        .metadata()
        .map_err(|e| Error::other(format!("getting status of '{}': {e}", at.display())))?;
    if !meta.is_dir() {
        return Err(Error::other(format!(
            "path \"{}\" is not a flake (because it's not a directory)",
            at.display()
        )));
    }
    let device = device_of(&at);
    while !at.join("flake.nix").exists() {
        if at.join(".git").exists() {
            return Err(Error::other(format!(
                "path '{}' is not part of a flake (neither it nor its parent directories contain a 'flake.nix' file)",
                path.display()
            )));
        }
        match at.parent() {
            Some(parent) if device_of(parent) == device && parent != Path::new("/") => {
                at = parent.to_owned();
            }
            _ => {
                return Err(Error::other(format!(
                    "could not find a flake.nix file in '{}' or the folders above it",
                    path.display()
                )));
            }
        }
    }
    // in a Git repository it is the files that Git knows
    for root in at.ancestors() {
        if !root.join(".git").exists() {
            continue;
        }
        let mut url = InputUrl::of_path("git+file", &shown(root));
        let inside = at.strip_prefix(root).map(shown).unwrap_or_default();
        if !inside.is_empty() {
            url.query.insert("dir".into(), inside);
        }
        if root.join(".git/shallow").exists() {
            url.query.insert("shallow".into(), "1".into());
        }
        return found(url, query, fragment).map(Some);
    }
    found(InputUrl::of_path("path", &shown(&at)), query, fragment).map(Some)
}

fn found(mut url: InputUrl, query: &str, fragment: &str) -> Result<(FlakeRef, String)> {
    let more = firn_model::input::url::decode_query(query).map_err(|e| input_error(&e))?;
    for (name, value) in more {
        url.query.insert(name, value);
    }
    let dir = url.query.remove("dir").unwrap_or_default();
    let input = Input::from_url(&url, true, &enabled).map_err(|e| input_error(&e))?;
    let fragment = firn_model::input::url::percent_decode(fragment).map_err(|e| input_error(&e))?;
    Ok((FlakeRef { input, dir }, fragment))
}

fn absolute(path: &Path) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let bytes = firn_eval::paths::canonical(path.as_os_str().as_bytes());
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn device_of(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|m| m.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_searched_upwards() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let deep = root.join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.join("a/flake.nix"), "{}").unwrap();
        let (found, fragment) = parse(".#x.y", &deep).unwrap();
        assert_eq!(found.input.text("path"), root.join("a").to_str());
        assert_eq!(fragment, "x.y");

        std::fs::create_dir(root.join(".git")).unwrap();
        let (found, _) = parse("./b", &root.join("a")).unwrap();
        assert_eq!(found.input.kind(), "git");
        assert_eq!(found.dir, "a");
        std::fs::remove_file(root.join("a/flake.nix")).unwrap();
        let error = parse(".", &deep).unwrap_err();
        assert!(error.message().contains("is not part of a flake"), "{error}");
        assert!(parse("./missing", &deep).unwrap_err().message().contains("missing"));
    }

    #[test]
    fn inputs_keep_relative_paths() {
        for (text, path) in [("./x", "./x"), ("path:../y", "../y"), ("path:./z", "./z")] {
            let found = parse_input(text, true).unwrap();
            assert_eq!((found.input.kind(), found.input.text("path")), ("path", Some(path)));
        }
        assert_eq!(parse_input("nixpkgs/branch", true).unwrap().input.kind(), "indirect");
        assert!(parse_input("./x#y", true).is_err());
        let kind =
            |tree| parse_input("https://example.org/x", tree).unwrap().input.kind().to_owned();
        assert_eq!((kind(true).as_str(), kind(false).as_str()), ("tarball", "file"));
    }
}
