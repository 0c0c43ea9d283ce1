//! The one form that all files in a store have: mode 0444 or 0555, changed one second after 1970,
//! owned by the store's owner, without extended attributes.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::restore::store_times;
use super::{MAX_DEPTH, STORE_TIME, dir, split};
use crate::error::{Error, Result};

/// How metadata is made canonical.
#[derive(Debug, Default)]
pub struct Canonicalise {
    /// The user ids (first and last) that a build ran as: files of others are refused, so that a
    /// build cannot get hold of a hard link to somebody else's file.
    pub uid_range: Option<(u32, u32)>,
    /// Extended attributes that stay (setting `ignored-acls`).
    pub ignored_xattrs: Vec<String>,
    /// Device and inode of files that were done already; shared by all outputs of one build, which
    /// may be hard links of each other.
    pub seen: HashSet<(u64, u64)>,
}

/// Makes the metadata of everything below `path` canonical.
///
/// # Errors
/// If there is a file that a store cannot hold, or one of another user, or the system refuses.
pub fn canonicalise_metadata(path: &Path, options: &mut Canonicalise) -> Result<()> {
    let (parent, name) = split(path)?;
    let parent = dir::open(parent)?;
    let mut pass = Pass { options, path: path.to_owned(), depth: 0 };
    pass.object(parent.as_fd(), &dir::c_name(name)?)
}

struct Pass<'a> {
    options: &'a mut Canonicalise,
    path: PathBuf,
    depth: usize,
}

impl Pass<'_> {
    fn object(&mut self, parent: BorrowedFd<'_>, name: &CString) -> Result<()> {
        let before =
            dir::stat_at(parent, name).map_err(Error::os("getting status of", &self.path))?;
        match dir::file_type(&before) {
            FileType::Symlink => self.symlink(parent, name, &before),
            FileType::RegularFile | FileType::Directory => self.opened(parent, name),
            _ => Err(Error::UnsupportedType { path: self.path.clone() }),
        }
    }

    /// Whether there is more to do for this file: not for one seen before through another name.
    fn owner_is_right(&mut self, stat: &Stat) -> Result<bool> {
        let inode = (stat.st_dev, stat.st_ino);
        if let Some((first, last)) = self.options.uid_range
            && !(first..=last).contains(&stat.st_uid)
        {
            if dir::file_type(stat) == FileType::Directory || !self.options.seen.contains(&inode) {
                return Err(Error::InvalidOwnership { path: self.path.clone() });
            }
            return Ok(false);
        }
        self.options.seen.insert(inode);
        Ok(true)
    }

    fn symlink(&mut self, parent: BorrowedFd<'_>, name: &CString, stat: &Stat) -> Result<()> {
        if !self.owner_is_right(stat)? {
            return Ok(());
        }
        if stat.st_mtime != STORE_TIME || stat.st_mtime_nsec != 0 {
            rustix::fs::utimensat(parent, name, &store_times(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Error::os("changing modification time of", &self.path))?;
        }
        if let Some((uid, gid)) = wrong_owner(stat) {
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Error::os("changing owner of", &self.path))?;
        }
        Ok(())
    }

    fn opened(&mut self, parent: BorrowedFd<'_>, name: &CString) -> Result<()> {
        // opened as a path first: a build may have left a file without read permission
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, name, flags, Mode::empty())
            .map_err(Error::os("opening file", &self.path))?;
        let stat =
            rustix::fs::fstat(&handle).map_err(Error::os("getting status of", &self.path))?;
        let kind = dir::file_type(&stat);
        if !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Err(Error::UnsupportedType { path: self.path.clone() });
        }
        if !self.owner_is_right(&stat)? {
            return Ok(());
        }
        let is_dir = kind == FileType::Directory;
        self.remove_xattrs(&handle)?;
        if is_dir {
            if self.depth >= MAX_DEPTH {
                return Err(Error::Format(format!(
                    "path '{}' exceeds maximum NAR directory depth of {MAX_DEPTH}",
                    self.path.display()
                )));
            }
            if stat.st_mode & 0o700 != 0o700 {
                chmod(&handle, 0o755).map_err(Error::os("changing mode of", &self.path))?;
            }
            let fd =
                dir::open_at(parent, name).map_err(Error::os("opening directory", &self.path))?;
            let names = dir::names(&fd).map_err(Error::os("reading directory", &self.path))?;
            self.depth += 1;
            for name in &names {
                self.path.push(dir::os_name(name));
                self.object(fd.as_fd(), name)?;
                self.path.pop();
            }
            self.depth -= 1;
        }
        if let Some((uid, gid)) = wrong_owner(&stat) {
            rustix::fs::chownat(&handle, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
                .map_err(Error::os("changing owner of", &self.path))?;
        }
        // after the owner: a change of owner takes the set-user-id bit away, this the rest
        let mode = if is_dir || stat.st_mode & 0o100 != 0 { 0o555 } else { 0o444 };
        chmod(&handle, mode).map_err(Error::os("changing mode of", &self.path))?;
        let link = proc_link(&handle);
        rustix::fs::utimensat(rustix::fs::CWD, link.as_str(), &store_times(), AtFlags::empty())
            .map_err(Error::os("changing modification time of", &self.path))
    }

    fn remove_xattrs(&self, handle: &OwnedFd) -> Result<()> {
        let link = proc_link(handle);
        let mut size = 256;
        let list = loop {
            let mut buffer = vec![0u8; size];
            match rustix::fs::listxattr(link.as_str(), &mut buffer[..]) {
                Ok(len) => {
                    buffer.truncate(len);
                    break buffer;
                }
                Err(Errno::RANGE) if size < 1 << 20 => size *= 4,
                Err(Errno::NOTSUP | Errno::NODATA) => return Ok(()),
                Err(e) => {
                    return Err(Error::os("querying extended attributes of", &self.path)(e));
                }
            }
        };
        for name in list.split(|b| *b == 0).filter(|n| !n.is_empty()) {
            if self.options.ignored_xattrs.iter().any(|i| i.as_bytes() == name) {
                continue;
            }
            rustix::fs::removexattr(link.as_str(), name)
                .map_err(Error::os("removing an extended attribute from", &self.path))?;
        }
        Ok(())
    }
}

/// Changes the mode of a file opened as a path, which `fchmod` refuses.
fn chmod(handle: &OwnedFd, mode: u32) -> Result<(), Errno> {
    rustix::fs::chmod(proc_link(handle).as_str(), Mode::from_raw_mode(mode))
}

/// A name that leads to exactly this open file.
fn proc_link(handle: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn wrong_owner(stat: &Stat) -> Option<(Uid, Gid)> {
    let uid = rustix::process::geteuid();
    (stat.st_uid != uid.as_raw()).then(|| (uid, rustix::process::getegid()))
}
