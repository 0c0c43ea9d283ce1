//! The files of a working tree: those that Git knows, as they are now.

use super::program::{GitError, Repository};
use super::tree::check_attribute;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a working tree holds.
#[derive(Debug, Default)]
pub(super) struct Workdir {
    /// Files that Git tracks and that are there, relative to the tree.
    pub files: BTreeSet<PathBuf>,
    /// Folders of submodules.
    pub submodules: Vec<PathBuf>,
    /// Whether it differs from the commit that is checked out.
    pub dirty: bool,
    /// A file that differs, if there is one.
    pub changed: Option<PathBuf>,
    /// That commit, if there is any.
    pub head: Option<String>,
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Looks at a working tree.
pub(super) fn look(repository: &Repository) -> Result<Workdir, GitError> {
    let listing = repository.output(&["ls-files", "-z", "--stage"])?;
    let mut out = Workdir { head: repository.commit("HEAD"), ..Workdir::default() };
    let mut known = BTreeMap::new();
    for line in listing.split(|b| *b == 0).filter(|l| !l.is_empty()) {
        if let Some(tab) = line.iter().position(|b| *b == b'\t') {
            known.insert(path_of(&line[tab + 1..]), line.starts_with(b"160000"));
        }
    }
    for (path, submodule) in known {
        if submodule {
            out.submodules.push(path);
        } else if repository.path.join(&path).symlink_metadata().is_ok() {
            out.files.insert(path);
        }
    }
    let status = repository.output(&[
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=no",
        "--ignore-submodules=all",
        "--no-renames",
    ])?;
    out.dirty = !status.is_empty();
    // XY PATH
    out.changed = status.split(|b| *b == 0).next().and_then(|line| line.get(3..)).map(path_of);
    Ok(out)
}

/// Leaves out the files that `.gitattributes` mark `export-ignore`.
pub(super) fn drop_ignored(
    repository: &Repository,
    files: &mut BTreeSet<PathBuf>,
) -> Result<(), GitError> {
    let mut paths: BTreeSet<&Path> = BTreeSet::new();
    for file in &*files {
        paths.extend(file.ancestors().filter(|p| !p.as_os_str().is_empty()));
    }
    let ignored = check_attribute(repository, None, paths.into_iter(), "export-ignore", b"set")?;
    if !ignored.is_empty() {
        files.retain(|file| !file.ancestors().any(|above| ignored.contains(above)));
    }
    Ok(())
}
