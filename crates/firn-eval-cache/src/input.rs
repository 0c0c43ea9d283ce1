//! One thing that an evaluation read, and whether it is still the same.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use firn_eval::io::FileKind;
use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;
use crate::tree;

/// Something that an evaluation depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The contents of a file, or that there is none.
    File {
        /// The file.
        path: PathBuf,
        /// Its stamp and the hash of its contents.
        found: Option<(Stamp, String)>,
    },
    /// What is at a path, without following symlinks.
    Kind {
        /// The path.
        path: PathBuf,
        /// As [`FileKind::name`] has it; `None` for nothing.
        kind: Option<String>,
    },
    /// Where a symlink points.
    Link {
        /// The symlink.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
    },
    /// Names and kinds of a folder's entries.
    Dir {
        /// The folder.
        path: PathBuf,
        /// Its stamp.
        stamp: Stamp,
        /// The hash of its entries.
        hash: String,
    },
    /// A file in a tree that is copied whole, or that it is missing there.
    Member {
        /// The file, folder or symlink.
        path: PathBuf,
        /// Whether the time of its last change counts, and not only its contents.
        timed: bool,
        /// Its stamp, and the hash of its contents if the stamp alone proves nothing.
        found: Option<(Stamp, Option<String>)>,
    },
    /// What Git tracks in a working tree.
    Tracked {
        /// The working tree.
        path: PathBuf,
        /// Git's index.
        index: PathBuf,
        /// Its stamp.
        stamp: Option<Stamp>,
        /// The hash of the list of files.
        hash: String,
    },
    /// An environment variable, by the hash of its value.
    Variable {
        /// Its name.
        name: String,
        /// The hash of its value.
        hash: Option<String>,
    },
}

/// What comparing an input with the world found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is the same.
    Same,
    /// It is the same, but for its stamp.
    Restamped(Input),
    /// It differs, or cannot be looked at.
    Different,
}

/// The hash of some bytes. Only ever compared with others of this machine.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let hash = blake3::hash(bytes);
    // half of it is more than enough against chance, and nobody gains by deceiving themself
    hash.to_hex().as_str()[..32].to_owned()
}

/// The hash of a folder's entries, in whatever order they come.
pub(crate) fn hash_entries<'a>(entries: impl Iterator<Item = (&'a OsStr, FileKind)>) -> String {
    let mut lines: Vec<Vec<u8>> = entries
        .map(|(name, kind)| [name.as_bytes(), b"\0", kind.name().as_bytes(), b"\n"].concat())
        .collect();
    lines.sort_unstable();
    hash(&lines.concat())
}

fn entries_of(path: &Path) -> io::Result<String> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        entries.push((entry.file_name(), FileKind::from(entry.file_type()?)));
    }
    Ok(hash_entries(entries.iter().map(|(name, kind)| (name.as_os_str(), *kind))))
}

impl Input {
    /// What tells inputs apart that may not be both there with different contents.
    pub(crate) fn key(&self) -> (u8, &OsStr) {
        match self {
            Self::File { path, .. } => (0, path.as_os_str()),
            Self::Kind { path, .. } => (1, path.as_os_str()),
            Self::Link { path, .. } => (2, path.as_os_str()),
            Self::Dir { path, .. } => (3, path.as_os_str()),
            Self::Member { path, .. } => (4, path.as_os_str()),
            Self::Tracked { path, .. } => (5, path.as_os_str()),
            Self::Variable { name, .. } => (6, OsStr::new(name)),
        }
    }

    /// Whether another input with the same key says the same; stamps may differ.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { found: a, .. }, Self::File { found: b, .. }) => {
                a.as_ref().map(|(_, hash)| hash) == b.as_ref().map(|(_, hash)| hash)
            }
            (Self::Dir { hash: a, .. }, Self::Dir { hash: b, .. })
            | (Self::Tracked { hash: a, .. }, Self::Tracked { hash: b, .. }) => a == b,
            (
                Self::Member { found: Some((a, _)), .. },
                Self::Member { found: Some((b, _)), .. },
            ) => a.equals(b),
            (a, b) => a == b,
        }
    }

    /// Compares it with the world.
    pub(crate) fn check(&self) -> Found {
        self.look().unwrap_or(Found::Different)
    }

    fn look(&self) -> io::Result<Found> {
        let when = |same: bool| if same { Found::Same } else { Found::Different };
        Ok(match self {
            Self::File { path, found } => match (found, Stamp::behind(path)?) {
                (None, None) => Found::Same,
                (Some((stamp, _)), Some(now)) if stamp.proves(&now) => Found::Same,
                (Some((_, old)), Some(now))
                    if now.is_file() && hash(&std::fs::read(path)?) == *old =>
                {
                    let found = Some((now, old.clone()));
                    Found::Restamped(Self::File { path: path.clone(), found })
                }
                _ => Found::Different,
            },
            Self::Kind { path, kind } => {
                let now = match path.symlink_metadata() {
                    Ok(meta) => Some(FileKind::from(meta.file_type()).name()),
                    Err(e)
                        if matches!(
                            e.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                        ) =>
                    {
                        None
                    }
                    Err(e) => return Err(e),
                };
                when(now == kind.as_deref())
            }
            Self::Link { path, target } => when(std::fs::read_link(path)? == *target),
            Self::Dir { path, stamp, hash } => {
                let Some(now) = Stamp::behind(path)? else { return Ok(Found::Different) };
                if stamp.proves(&now) {
                    return Ok(Found::Same);
                }
                if entries_of(path)? != *hash {
                    return Ok(Found::Different);
                }
                Found::Restamped(Self::Dir { path: path.clone(), stamp: now, hash: hash.clone() })
            }
            Self::Member { path, timed, found } => match (found, Stamp::at(path)?) {
                (None, None) => Found::Same,
                (Some((stamp, _)), Some(now)) if stamp.proves(&now) => Found::Same,
                (Some((stamp, Some(old))), Some(now))
                    if stamp.same_mode(&now)
                        && (!timed || stamp.same_time(&now))
                        && tree::contents(path, &now)? == *old =>
                {
                    let found = Some((now, Some(old.clone())));
                    Found::Restamped(Self::Member { path: path.clone(), timed: *timed, found })
                }
                _ => Found::Different,
            },
            Self::Tracked { path, index, stamp, hash } => {
                let now = Stamp::at(index)?;
                match (stamp, &now) {
                    (None, None) => return Ok(Found::Same),
                    (Some(stamp), Some(now)) if stamp.proves(now) => return Ok(Found::Same),
                    _ => {}
                }
                // Git also writes its index when it only has looked at files
                if tree::tracked_files(path).map(|list| crate::input::hash(&list))
                    != Some(hash.clone())
                {
                    return Ok(Found::Different);
                }
                Found::Restamped(Self::Tracked {
                    path: path.clone(),
                    index: index.clone(),
                    stamp: now,
                    hash: hash.clone(),
                })
            }
            Self::Variable { name, hash: old } => {
                let now = std::env::var_os(name).map(|value| hash(value.as_bytes()));
                when(now == *old)
            }
        })
    }
}
