//! The file system beneath a store: NARs out of and into it, copying, metadata, deleting, locks.
//!
//! Everything works beneath directory descriptors and follows no symbolic link, so that nobody who
//! can rename or replace files meanwhile leads it elsewhere. Nothing here knows the database.

mod canonicalise;
mod case_hack;
mod delete;
pub(crate) mod dir;
mod dump;
mod git;
pub mod lock;
mod restore;
pub mod socket;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

pub use canonicalise::{Canonicalise, canonicalise_metadata};
pub use case_hack::use_case_hack;
pub use delete::{delete_beneath, delete_path};
pub use dump::{dump_path, dump_path_filtered, hash_path, kind_of};
pub use git::git_hash;
pub use restore::{Restore, copy_path, restore_flat, restore_path, write_flat};

use crate::error::{Error, Result};

/// How deep directories in a store path may be nested: what a NAR can hold.
pub const MAX_DEPTH: usize = 64;

/// The time that all files in a store have been changed at, in seconds since 1970.
pub const STORE_TIME: i64 = 1;

/// Size of the buffers that file contents go through, in bytes.
const BUFFER: usize = 256 * 1024;

/// A name for a temporary file that no other thread or process uses.
#[must_use]
pub fn unique_suffix() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |t| t.subsec_nanos());
    format!("{}-{}-{time:x}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Creates a directory and those above it, with mode 0755.
///
/// # Errors
/// If one cannot be created.
pub fn create_dirs(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(Error::io("creating directory", dir))
}

/// Writes a file by renaming a complete one into place.
///
/// # Errors
/// If it cannot be written; what was there before is untouched then.
pub fn write_atomically(file: &Path, contents: &[u8], mode: u32, sync: bool) -> Result<()> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(format!(".tmp-{}", unique_suffix()));
    let temporary = PathBuf::from(temporary);
    let write = || -> std::io::Result<()> {
        let mut out =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        out.write_all(contents)?;
        out.set_permissions(std::fs::Permissions::from_mode(mode))?;
        if sync {
            out.sync_all()?;
        }
        drop(out);
        std::fs::rename(&temporary, file)?;
        if sync && let Some(dir) = file.parent() {
            std::fs::File::open(dir)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        Error::io("writing file", file)(e)
    })
}

/// Makes `link` a symbolic link to `target`, replacing what was there in one step.
///
/// # Errors
/// If it cannot be made; what was there before is untouched then.
pub fn replace_symlink(target: &Path, link: &Path) -> Result<()> {
    let mut temporary = link.as_os_str().to_owned();
    temporary.push(format!(".tmp-{}", unique_suffix()));
    let temporary = PathBuf::from(temporary);
    std::os::unix::fs::symlink(target, &temporary)
        .map_err(Error::io("creating symlink", &temporary))?;
    std::fs::rename(&temporary, link).map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        Error::io("renaming to", link)(e)
    })
}

/// Removes a file if it is there; whether it was.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove_file_if_present(file: &Path) -> Result<bool> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("removing file", file)(e)),
    }
}

/// Reads a symbolic link; `None` if nothing or something else is there.
///
/// # Errors
/// If the system refuses to tell.
pub fn read_link(link: &Path) -> Result<Option<PathBuf>> {
    match std::fs::read_link(link) {
        Ok(target) => Ok(Some(target)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(None),
        Err(e) => Err(Error::io("reading symbolic link", link)(e)),
    }
}

/// Waits until everything written to the file system that holds `path` is on the disk.
///
/// # Errors
/// If the disk fails.
pub fn sync_file_system(path: &Path) -> Result<()> {
    let file = std::fs::File::open(path).map_err(Error::io("opening", path))?;
    rustix::fs::syncfs(&file).map_err(Error::os("syncing", path))
}

/// Splits a path into the directory that holds it and its name there.
///
/// # Errors
/// If it has no name, such as `/`.
pub(crate) fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr)> {
    let name = path.file_name().ok_or_else(|| Error::Io {
        action: "opening",
        path: path.to_owned(),
        source: ErrorKind::InvalidInput.into(),
    })?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    debug_assert!(!name.as_bytes().contains(&b'/'));
    Ok((parent, name))
}

/// Gives a folder in a store path its mode and time back after something in it was replaced.
pub(crate) fn reset_directory(fd: impl std::os::fd::AsFd, dir: &Path) -> Result<()> {
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o555))
        .map_err(Error::os("changing mode of", dir))?;
    rustix::fs::futimens(&fd, &restore::store_times())
        .map_err(Error::os("changing modification time of", dir))
}
