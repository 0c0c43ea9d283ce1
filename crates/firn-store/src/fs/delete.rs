//! Deleting trees beneath a directory descriptor, whatever is done to their names meanwhile.
//!
//! Goes down with `openat(O_NOFOLLOW)` and up with `..` checked against the directory that it came
//! from, so that two descriptors are enough for any depth and a swapped directory is noticed.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{dir, split};
use crate::error::{Error, Result};

/// Deletes the file or tree at `path`, if there is one. Gives the bytes that were likely freed.
///
/// # Errors
/// If something cannot be deleted.
pub fn delete_path(path: &Path) -> Result<u64> {
    let (parent, name) = split(path)?;
    let parent = match dir::open(parent) {
        Ok(fd) => fd,
        Err(e) if e.io_kind() == Some(std::io::ErrorKind::NotFound) => return Ok(0),
        Err(e) => return Err(e),
    };
    delete_beneath(parent.as_fd(), &dir::c_name(name)?, path)
}

/// Deletes the entry `name` of the directory `parent`; `path` is its path for messages.
///
/// # Errors
/// If something cannot be deleted.
pub fn delete_beneath(parent: BorrowedFd<'_>, name: &CString, path: &Path) -> Result<u64> {
    let mut freed = 0;
    let Some(first) = remove_or_open(parent, name, path, &mut freed)? else { return Ok(freed) };
    let mut path = path.to_owned();
    let mut here = first.fd;
    // what is left to do in the directories above, and which ones those are
    let mut above: Vec<Frame> = Vec::new();
    let mut frame = Frame { inode: (0, 0), names: first.names, name: name.clone() };
    loop {
        if let Some(child) = frame.names.pop() {
            path.push(dir::os_name(&child));
            let removed = match remove_or_open(here.as_fd(), &child, &path, &mut freed) {
                // a superuser who may not do everything: see `open_writable`
                Err(e) if e.io_kind() == Some(std::io::ErrorKind::PermissionDenied) => {
                    rustix::fs::fchmod(&here, Mode::RWXU).map_err(|_| e)?;
                    remove_or_open(here.as_fd(), &child, &path, &mut freed)
                }
                other => other,
            };
            match removed? {
                None => {
                    path.pop();
                }
                Some(open) => {
                    // to know it again on the way up
                    let stat = rustix::fs::fstat(&here)
                        .map_err(Error::os("getting status of the folder of", &path))?;
                    frame.inode = (stat.st_dev, stat.st_ino);
                    here = open.fd;
                    let next = Frame { inode: (0, 0), names: open.names, name: child };
                    above.push(std::mem::replace(&mut frame, next));
                }
            }
            continue;
        }
        // empty: go up and remove it by name
        let Some(parent_frame) = above.pop() else {
            remove_directory(parent, &frame.name, &path)?;
            return Ok(freed);
        };
        let up = dir::open_at(&here, &c"..".to_owned())
            .map_err(Error::os("opening the parent directory of", &path))?;
        let stat = rustix::fs::fstat(&up).map_err(Error::os("getting status of", &path))?;
        if (stat.st_dev, stat.st_ino) != parent_frame.inode {
            return Err(Error::Format(format!(
                "directory {path:?} was moved while it was being deleted"
            )));
        }
        here = up;
        remove_directory(here.as_fd(), &frame.name, &path)?;
        path.pop();
        frame = parent_frame;
    }
}

struct Frame {
    /// Device and inode, from when it was left for something below it.
    inode: (u64, u64),
    names: Vec<CString>,
    name: CString,
}

struct Open {
    fd: OwnedFd,
    names: Vec<CString>,
}

/// Removes `name` if it is no directory, else opens it.
fn remove_or_open(
    parent: BorrowedFd<'_>,
    name: &CString,
    path: &Path,
    freed: &mut u64,
) -> Result<Option<Open>> {
    let stat = match dir::stat_at(parent, name) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(Error::os("getting status of", path)(e)),
    };
    if dir::file_type(&stat) != FileType::Directory {
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(Error::os("cannot unlink", path)(e)),
        }
        // two links: likely the second is the one that optimising made, which goes too
        if stat.st_nlink <= 2 {
            *freed += u64::try_from(stat.st_size).unwrap_or(0);
        }
        return Ok(None);
    }
    let fd = match open_writable(parent, name, &stat) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(Error::os("opening directory", path)(e)),
    };
    let names = dir::names(&fd).map_err(Error::os("reading directory", path))?;
    Ok(Some(Open { fd, names }))
}

/// Opens a directory after making sure that its owner may change it. The superuser mostly may without that.
fn open_writable(parent: BorrowedFd<'_>, name: &CString, stat: &Stat) -> Result<OwnedFd, Errno> {
    if stat.st_mode & 0o700 != 0o700 && !rustix::process::geteuid().is_root() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        let link = format!("/proc/self/fd/{}", handle.as_raw_fd());
        let mode = Mode::from_raw_mode((stat.st_mode & 0o7777) | 0o700);
        rustix::fs::chmod(link.as_str(), mode)?;
    }
    dir::open_at(parent, name)
}

fn remove_directory(parent: BorrowedFd<'_>, name: &CString, path: &Path) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::os("cannot unlink", PathBuf::from(path))(e)),
    }
}
