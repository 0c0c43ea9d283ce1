//! The links: making one of a file, or putting one in the place of a file. Knows no contents, only their hashes.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use firn_event::Level;
use firn_model::hash::{Hash, HashAlgo};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, Stat};
use rustix::io::Errno;

use super::OptimiseStats;
use crate::error::{Error, Result, errno_text};
use crate::fs::{dir, hash_path, reset_directory};
use crate::local::LocalStore;
use crate::store::Repair;

/// A directory in the store whose files are replaced.
pub(super) struct Directory {
    pub fd: OwnedFd,
    pub path: PathBuf,
    /// Whether it is the store's own folder, which is writable and stays as it is.
    pub is_store: bool,
    /// Whether something in it was replaced: then it gets its mode and time back when all is done.
    changed: AtomicBool,
}

impl Directory {
    pub(super) fn new(fd: OwnedFd, path: PathBuf, is_store: bool) -> Self {
        Self { fd, path, is_store, changed: AtomicBool::new(false) }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_store && *self.changed.get_mut() {
            let _ = reset_directory(&self.fd, &self.path);
        }
    }
}

/// The folder `.links` of a store, for any number of threads.
pub(super) struct Links<'s> {
    pub store: &'s LocalStore,
    repair: Repair,
    links: OwnedFd,
    folder: OwnedFd,
    /// The inodes of links that were seen in this run, so that each is looked at once.
    known: Mutex<HashMap<Hash, u64>>,
    files_linked: AtomicU64,
    bytes_freed: AtomicU64,
}

impl<'s> Links<'s> {
    pub(super) fn open(store: &'s LocalStore, repair: Repair) -> Result<Self> {
        Ok(Self {
            store,
            repair,
            links: dir::open(&store.layout.links_dir())?,
            folder: dir::open(&store.layout.real_store_dir)?,
            known: Mutex::default(),
            files_linked: AtomicU64::new(0),
            bytes_freed: AtomicU64::new(0),
        })
    }

    pub(super) fn stats(&self) -> OptimiseStats {
        OptimiseStats {
            files_linked: self.files_linked.load(Ordering::Relaxed),
            bytes_freed: self.bytes_freed.load(Ordering::Relaxed),
        }
    }

    fn path_of(&self, hash: &Hash) -> PathBuf {
        self.store.layout.links_dir().join(hash.to_base32())
    }

    /// The file or link `name` in `dir` has the NAR with this hash: it becomes the link, or is replaced by it.
    pub(super) fn file(
        &self,
        dir: &Directory,
        name: &CString,
        stat: &Stat,
        hash: Hash,
    ) -> Result<()> {
        let link = dir::c_name(hash.to_base32().as_ref())?;
        // another process may delete a link that nobody shares between any two steps
        for _ in 0..100 {
            let known = self.known.lock().get(&hash).copied();
            let inode = match known {
                Some(inode) => inode,
                None => match self.find_or_make(dir, name, stat, &link, &hash)? {
                    Some(inode) => inode,
                    None => return Ok(()),
                },
            };
            if inode == stat.st_ino || self.replace(dir, name, stat, &link, &hash)? {
                return Ok(());
            }
            self.known.lock().remove(&hash);
        }
        Err(Error::Format(format!(
            "link {:?} disappears as often as it is made",
            self.path_of(&hash)
        )))
    }

    /// The inode of a link that is sound; the file's own, if it became the link. None if it must stay on its own.
    fn find_or_make(
        &self,
        dir: &Directory,
        name: &CString,
        stat: &Stat,
        link: &CString,
        hash: &Hash,
    ) -> Result<Option<u64>> {
        loop {
            match rustix::fs::linkat(&dir.fd, name, &self.links, link, AtFlags::empty()) {
                Ok(()) => {
                    self.known.lock().insert(*hash, stat.st_ino);
                    return Ok(Some(stat.st_ino));
                }
                Err(Errno::EXIST) => {}
                Err(e @ (Errno::NOSPC | Errno::MLINK)) => {
                    // the folder's index is full, or there are too many links: this file just stays on its own
                    if stat.st_size > 0 {
                        let (link, path) = (self.path_of(hash), dir.path.join(dir::os_name(name)));
                        let text = errno_text(&e.into());
                        self.store.info(format!("cannot link {link:?} to {path:?}: {text}"));
                    }
                    return Ok(None);
                }
                Err(e) => return Err(Error::os("creating hard link", &self.path_of(hash))(e)),
            }
            let there = match dir::stat_at(&self.links, link) {
                Ok(there) => there,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(Error::os("getting status of", &self.path_of(hash))(e)),
            };
            let sound = there.st_size == stat.st_size
                && (self.repair == Repair::No
                    || hash_path(&self.path_of(hash), HashAlgo::Sha256)?.0 == *hash);
            if sound {
                self.known.lock().insert(*hash, there.st_ino);
                return Ok(Some(there.st_ino));
            }
            let path = self.path_of(hash);
            let logger = self.store.logger();
            logger.warn(format!("removing corrupted link {path:?}"));
            logger.warn(
                "There may be more corrupted paths.\nYou should run `nix-store --verify \
                 --check-contents --repair` to fix them all",
            );
            match rustix::fs::unlinkat(&self.links, link, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(Error::os("removing file", &path)(e)),
            }
        }
    }

    /// Puts a link in the place of the file `name`. False if the link is gone.
    fn replace(
        &self,
        dir: &Directory,
        name: &CString,
        stat: &Stat,
        link: &CString,
        hash: &Hash,
    ) -> Result<bool> {
        let path = || dir.path.join(dir::os_name(name));
        let message = format!("linking {:?} to {:?}", path(), self.path_of(hash));
        self.store.logger().message(Level::Talkative, message);
        let temporary = format!(".tmp-link-{}", crate::fs::unique_suffix());
        let shown = self.store.layout.real_store_dir.join(&temporary);
        let temporary = dir::c_name(temporary.as_ref())?;
        match rustix::fs::linkat(&self.links, link, &self.folder, &temporary, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(false),
            Err(Errno::MLINK) => {
                // happens with empty files
                if stat.st_size > 0 {
                    let link = self.path_of(hash);
                    self.store.info(format!("{link:?} has maximum number of links"));
                }
                return Ok(true);
            }
            Err(e) => return Err(Error::os("creating hard link", &shown)(e)),
        }
        let rename = || rustix::fs::renameat(&self.folder, &temporary, &dir.fd, name);
        if !dir.is_store {
            dir.changed.store(true, Ordering::Relaxed);
        }
        let renamed = match rename() {
            // who is not the superuser needs the permission; it is taken away again with the time
            Err(Errno::ACCESS) if !dir.is_store => {
                rustix::fs::fchmod(&dir.fd, Mode::from_raw_mode(0o755))
                    .map_err(Error::os("changing mode of", &dir.path))
                    .and_then(|()| rename().map_err(Error::os("renaming to", &path())))
            }
            Err(Errno::MLINK) => {
                let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
                return Ok(true);
            }
            other => other.map_err(Error::os("renaming to", &path())),
        };
        if let Err(error) = renamed {
            let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
            return Err(error);
        }
        self.files_linked.fetch_add(1, Ordering::Relaxed);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.bytes_freed.fetch_add(size, Ordering::Relaxed);
        Ok(true)
    }
}

/// Opens the directory that holds `path`.
pub(super) fn parent_of(store: &LocalStore, path: &Path) -> Result<Directory> {
    let (parent, _) = crate::fs::split(path)?;
    let is_store = parent == store.layout.real_store_dir;
    Ok(Directory::new(dir::open(parent)?, parent.to_owned(), is_store))
}
