//! Replacing equal files in the store by hard links to one file each, in `.links`.
//!
//! Files there are named by the base-32 SHA-256 of their NAR, so a file and an executable of the
//! same contents stay two.
//!
//! Here: which paths, and by how many threads. `walk` finds and hashes the files, `link` replaces them.

mod link;
mod walk;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use firn_event::{ActivityKind, Level};
use firn_model::store_path::StorePath;
use parking_lot::Mutex;

use self::link::Links;
use self::walk::Walker;
use super::LocalStore;
use crate::error::{Error, Result};
use crate::store::{Repair, Store as _};

/// How many threads there are at most. Each may have [`walk`]'s number of directories open.
const MAX_THREADS: usize = 4;

/// What optimising has gained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OptimiseStats {
    /// How many files became links.
    pub files_linked: u64,
    /// Bytes that were freed, if nothing else refers to the files that were replaced.
    pub bytes_freed: u64,
}

impl LocalStore {
    /// Optimises all valid paths.
    ///
    /// # Errors
    /// If files cannot be read or linked.
    pub fn optimise(&self) -> Result<OptimiseStats> {
        let activity =
            self.logger().start(ActivityKind::OptimiseStore, Level::Info, "", Vec::new(), 0);
        if let Some(layers) = self.layers() {
            return self.optimise_layers(layers);
        }
        let all = self.query_all_valid_paths()?;
        // what is valid now that it is a root stays until this process ends
        self.add_temporary_roots(&all)?;
        let valid = self.registered_among(&all.iter())?;
        let paths: Vec<&StorePath> = valid.into_iter().collect();
        let linked = self.linked_inodes()?;
        let links = Links::open(self, Repair::No)?;
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let work = || {
            let mut walker = Walker::new(&links, &linked);
            let mut result = Ok(());
            while let (Ok(()), Some(path)) =
                (&result, paths.get(next.fetch_add(1, Ordering::Relaxed)))
            {
                result = walker.add(&self.real_path(path));
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                activity.progress(done, paths.len() as u64);
            }
            // also after a failure: what was hashed already need not be hashed again
            if let Err(error) = result.and(walker.finish()) {
                next.store(paths.len(), Ordering::Relaxed);
                failed.lock().get_or_insert(error);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        match failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(links.stats()),
        }
    }

    /// Optimises a path that was just registered, if `auto-optimise-store` is set.
    ///
    /// # Errors
    /// If files cannot be read or linked.
    pub fn optimise_new(&self, path: &StorePath) -> Result<()> {
        if self.options.auto_optimise {
            self.optimise_path(&self.real_path(path), Repair::No)?;
        }
        Ok(())
    }

    /// Optimises one path, which was just made.
    pub(super) fn optimise_path(&self, real: &Path, repair: Repair) -> Result<()> {
        let links = Links::open(self, repair)?;
        let linked = HashSet::new();
        let mut walker = Walker::new(&links, &linked);
        walker.add(real)?;
        walker.finish()
    }

    /// Inodes of files in `.links`.
    fn linked_inodes(&self) -> Result<HashSet<u64>> {
        use std::os::unix::fs::DirEntryExt as _;
        let dir = self.layout.links_dir();
        std::fs::read_dir(&dir)
            .map_err(Error::io("opening directory", &dir))?
            .map(|entry| Ok(entry.map_err(Error::io("reading directory", &dir))?.ino()))
            .collect()
    }
}
