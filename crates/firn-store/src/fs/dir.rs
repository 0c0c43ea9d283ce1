//! Directory descriptors: opening without following links, and listing.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Result};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory `path`, which may be reached through links.
pub fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(Error::os("opening directory", path))
}

/// Opens the directory `name` in `dir`; a link there is an error.
pub fn open_at(dir: impl AsFd, name: &CString) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())
}

/// What is at `name` in `dir`, itself if it is a link.
pub fn stat_at(dir: impl AsFd, name: &CString) -> Result<Stat, Errno> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// The type of a file.
pub fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The names in a directory, without `.` and `..`, in no order.
pub fn names(dir: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// What a directory says of something in it.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: CString,
    /// Its inode.
    pub inode: u64,
    /// Its type, where the file system tells it here.
    pub kind: FileType,
}

/// As [`names`], with all that the directory says.
pub fn entries(dir: impl AsFd) -> Result<Vec<Entry>, Errno> {
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            let name = name.to_owned();
            entries.push(Entry { name, inode: entry.ino(), kind: entry.file_type() });
        }
    }
    Ok(entries)
}

/// A name for a system call.
pub fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| {
        Error::Format(format!("file name '{}' contains a NUL character", name.to_string_lossy()))
    })
}

/// A name from a system call, for messages and paths.
pub fn os_name(name: &CString) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}
