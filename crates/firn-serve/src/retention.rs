//! How long and how much of what was uploaded is kept.
//!
//! Every uploaded path has a root, `gcroots/firn-serve/NAME`, whose time is when it was last asked for. Only paths that
//! were uploaded here are deleted, and only if nothing else needs them.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firn_event::Level;
use firn_model::store_path::StorePath;
use firn_store::local::gc::{Action, GcOptions};
use firn_store::{Error, Result, Store as _};

use crate::server::Shared;

/// Limits of what is kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Paths that nobody asked for so long are deleted.
    pub max_age: Option<Duration>,
    /// The most bytes of archives; those that were not asked for the longest are deleted first.
    pub max_size: Option<u64>,
    /// How often to look.
    pub interval: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_age: None, max_size: None, interval: Duration::from_secs(600) }
    }
}

/// An uploaded path.
struct Uploaded {
    path: StorePath,
    /// When it was last asked for, in seconds since 1970.
    time: i64,
    size: u64,
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX))
}

impl Retention {
    /// Whether anything is ever deleted.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.max_age.is_some() || self.max_size.is_some()
    }

    fn folder(shared: &Shared) -> PathBuf {
        shared.store.layout().gc_roots_dir().join("firn-serve")
    }

    /// Keeps an uploaded path from being collected.
    pub(crate) fn keep(&self, shared: &Shared, path: &StorePath) -> Result<()> {
        let folder = Self::folder(shared);
        firn_store::fs::create_dirs(&folder)?;
        let target = PathBuf::from(shared.store.store_dir().print(path));
        firn_store::fs::replace_symlink(&target, &folder.join(path.base_name()))
    }

    fn uploaded(shared: &Shared) -> Result<Vec<Uploaded>> {
        let folder = Self::folder(shared);
        let mut all = Vec::new();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            Err(source) => {
                return Err(Error::Io { action: "reading directory", path: folder, source });
            }
        };
        let asked = std::mem::take(&mut *shared.asked.lock());
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(path) = name.to_str().and_then(|n| StorePath::from_base_name(n).ok()) else {
                continue;
            };
            let Ok(meta) = entry.path().symlink_metadata() else { continue };
            let Some(info) = shared.store.query_path_info(&path)? else {
                let _ = std::fs::remove_file(entry.path());
                continue;
            };
            let mut time = meta.mtime();
            if asked.contains(&path) {
                // a new link has the time of now
                let target = PathBuf::from(shared.store.store_dir().print(&path));
                firn_store::fs::replace_symlink(&target, &entry.path())?;
                time = now();
            }
            all.push(Uploaded { path, time, size: info.nar_size });
        }
        Ok(all)
    }

    /// Deletes what is beyond the limits.
    pub(crate) fn sweep(&self, shared: &Shared) -> Result<()> {
        let mut all = Self::uploaded(shared)?;
        all.sort_by_key(|u| u.time);
        let oldest = match self.max_age {
            Some(age) => now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
            None => i64::MIN,
        };
        let mut size: u64 = all.iter().map(|u| u.size).sum();
        let limit = self.max_size.unwrap_or(u64::MAX);
        let mut gone = BTreeSet::new();
        for uploaded in &all {
            if uploaded.time >= oldest && size <= limit {
                break;
            }
            size = size.saturating_sub(uploaded.size);
            let link = Self::folder(shared).join(uploaded.path.base_name());
            std::fs::remove_file(&link).map_err(|source| Error::Io {
                action: "deleting",
                path: link,
                source,
            })?;
            gone.insert(uploaded.path.clone());
        }
        if gone.is_empty() {
            return Ok(());
        }
        // what was added by this process is safe from collection while it lives, unless it says otherwise
        let _deleting = shared.adding.write();
        shared.store.release_temp_roots()?;
        // those that refer to others first
        for path in shared.store.topo_sort(&gone)? {
            let options = GcOptions {
                action: Action::DeleteSpecific([path.clone()].into()),
                ..GcOptions::default()
            };
            match shared.store.collect_garbage(&options) {
                Ok(_) => shared.options.logger.message(
                    Level::Info,
                    format!("deleted '{}'", shared.store.store_dir().print(&path)),
                ),
                // something that is kept needs it; its root comes back with the next upload
                Err(Error::StillAlive { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
