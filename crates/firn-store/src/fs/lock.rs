//! Locks between processes: `flock` on a file, and the locks of store paths.
//!
//! A store path is locked by an exclusive lock on `PATH.lock`. Whoever removes a lock file writes a
//! byte into it first or last, so that a waiter who then gets the lock sees that the file it holds
//! is no longer the one that others will open (as C++ Nix does; both work on one store).

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A kind of lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Many may hold it at once.
    Shared,
    /// One alone holds it.
    Exclusive,
}

/// An open lock file. The lock goes with it, also when the process dies.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Opens a lock file, creating it if needed, without locking it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(Error::io("opening lock file", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// A lock on a file or directory that is open already.
    #[must_use]
    pub fn on(file: File, path: &Path) -> Self {
        Self { file, path: path.to_owned() }
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// If the system cannot lock this file.
    pub fn lock(&mut self, kind: LockKind) -> Result<()> {
        let operation = match kind {
            LockKind::Shared => FlockOperation::LockShared,
            LockKind::Exclusive => FlockOperation::LockExclusive,
        };
        self.flock(operation).map(drop)
    }

    /// Takes the lock if nobody is in the way; whether it did.
    ///
    /// # Errors
    /// If the system cannot lock this file.
    pub fn try_lock(&mut self, kind: LockKind) -> Result<bool> {
        self.flock(match kind {
            LockKind::Shared => FlockOperation::NonBlockingLockShared,
            LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        })
    }

    /// Gives the lock back; the file stays open.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn unlock(&mut self) -> Result<()> {
        self.flock(FlockOperation::Unlock).map(drop)
    }

    fn flock(&self, operation: FlockOperation) -> Result<bool> {
        loop {
            match flock(&self.file, operation) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(e) => return Err(Error::os("acquiring/releasing lock", &self.path)(e)),
            }
        }
    }

    /// Whether the file was removed by an earlier holder of the lock.
    ///
    /// # Errors
    /// If the file's status cannot be had.
    pub fn is_stale(&self) -> Result<bool> {
        let meta = self.file.metadata().map_err(Error::io("getting status of", &self.path))?;
        Ok(meta.len() != 0 || meta.nlink() == 0)
    }

    /// Removes the lock file and tells those who wait for it.
    pub fn remove(&mut self) {
        // an optimisation only: should it fail, an empty file stays
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.write_all(b"d");
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Exclusive locks of some paths; given back when dropped.
#[derive(Debug, Default)]
pub struct PathLocks {
    locks: Vec<FileLock>,
    remove: bool,
}

impl PathLocks {
    /// Waits for the locks of all `paths` (whose lock files are `PATH.lock`).
    ///
    /// Locks are taken in the paths' order, so that two processes never wait for each other.
    ///
    /// # Errors
    /// If a lock file cannot be opened or locked.
    pub fn lock<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Self> {
        Self::take(paths, true).map(Option::unwrap_or_default)
    }

    /// Takes the locks if nobody holds any of them.
    ///
    /// # Errors
    /// As [`PathLocks::lock`].
    pub fn try_lock<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Option<Self>> {
        Self::take(paths, false)
    }

    fn take<'p>(paths: impl IntoIterator<Item = &'p Path>, wait: bool) -> Result<Option<Self>> {
        let mut paths: Vec<&Path> = paths.into_iter().collect();
        paths.sort_unstable();
        paths.dedup();
        let mut taken = Self::default();
        for path in paths {
            let mut name = path.as_os_str().to_owned();
            name.push(".lock");
            let name = PathBuf::from(name);
            loop {
                let mut lock = FileLock::open(&name)?;
                if wait {
                    lock.lock(LockKind::Exclusive)?;
                } else if !lock.try_lock(LockKind::Exclusive)? {
                    return Ok(None);
                }
                if !lock.is_stale()? {
                    taken.locks.push(lock);
                    break;
                }
            }
        }
        Ok(Some(taken))
    }

    /// Whether the lock files are removed when the locks are given back. To be set once the paths
    /// are done, so that nobody needs the locks again.
    pub fn set_removal(&mut self, remove: bool) {
        self.remove = remove;
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        if self.remove {
            for lock in &mut self.locks {
                lock.remove();
            }
        }
    }
}
