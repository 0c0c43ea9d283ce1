//! What tells that a file was not changed, without reading it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A file that was changed so shortly before it was looked at may be changed again without a different time:
/// clocks of file systems are coarse.
const SETTLED: Duration = Duration::from_millis(100);

/// What the file system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp(u32, u64, u64, i64, i64, bool);

impl Stamp {
    /// The stamp of something with this metadata.
    #[must_use]
    pub fn of(meta: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
        let modified = nanoseconds(meta.mtime(), meta.mtime_nsec());
        let changed = nanoseconds(meta.ctime(), meta.ctime_nsec());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        let settled = i64::try_from(SETTLED.as_nanos()).unwrap_or(i64::MAX);
        // times that lie ahead say nothing either
        let fresh = changed.max(modified).saturating_add(settled) >= now;
        Self(meta.mode(), meta.ino(), meta.size(), modified, changed, fresh)
    }

    /// The stamp of what is at `path`, which may be a symlink; `None` if there is nothing.
    ///
    /// # Errors
    /// As the operating system reports them.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        absent(path.symlink_metadata())
    }

    /// As [`Stamp::at`], of what a symlink leads to.
    ///
    /// # Errors
    /// As the operating system reports them.
    pub fn behind(path: &Path) -> io::Result<Option<Self>> {
        absent(path.metadata())
    }

    /// Whether what has the other stamp now is what had this one: all is equal, and it had not just been
    /// changed.
    #[must_use]
    pub fn proves(&self, now: &Self) -> bool {
        !self.5 && self.equals(now)
    }

    /// Whether the file system says the same.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        (self.0, self.1, self.2, self.3, self.4) == (other.0, other.1, other.2, other.3, other.4)
    }

    /// Whether both were changed at the same time.
    #[must_use]
    pub fn same_time(&self, other: &Self) -> bool {
        self.3 == other.3
    }

    /// Whether files with the two stamps can be the same at all, but for their contents: they have the same
    /// kind and permissions.
    #[must_use]
    pub fn same_mode(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Whether it is of a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.0 & 0o170_000 == 0o100_000
    }

    /// Whether it is of a folder.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.0 & 0o170_000 == 0o040_000
    }
}

/// `None` where an error means that there is nothing.
fn absent(found: io::Result<Metadata>) -> io::Result<Option<Stamp>> {
    match found {
        Ok(meta) => Ok(Some(Stamp::of(&meta))),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
