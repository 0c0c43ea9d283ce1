//! Replacing equal files in the store by hard links to one file each, in `.links`.
//!
//! Files there are named by the base-32 SHA-256 of their NAR, so a file and an executable of the
//! same contents stay two.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use firn_event::{ActivityKind, Level};
use firn_model::hash::HashAlgo;
use firn_model::store_path::StorePath;

use super::LocalStore;
use crate::error::{Error, Result, errno_text};
use crate::fs::hash_path;
use crate::store::{Repair, Store as _};

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
        let mut pass = Pass::new(self, Repair::No)?;
        let paths = self.query_all_valid_paths()?;
        for (n, path) in paths.iter().enumerate() {
            self.add_temp_root(path)?;
            self.forget(path);
            if self.is_valid(path)? {
                pass.object(&self.real_path(path))?;
            }
            activity.progress(n as u64 + 1, paths.len() as u64);
        }
        Ok(pass.stats)
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
        let mut pass =
            Pass { store: self, repair, linked: HashSet::new(), stats: OptimiseStats::default() };
        pass.object(real)
    }
}

struct Pass<'a> {
    store: &'a LocalStore,
    repair: Repair,
    /// Inodes of files in `.links`.
    linked: HashSet<u64>,
    stats: OptimiseStats,
}

impl<'a> Pass<'a> {
    fn new(store: &'a LocalStore, repair: Repair) -> Result<Self> {
        let dir = store.layout.links_dir();
        let mut linked = HashSet::new();
        for entry in std::fs::read_dir(&dir).map_err(Error::io("opening directory", &dir))? {
            linked.insert(entry.map_err(Error::io("reading directory", &dir))?.ino());
        }
        Ok(Self { store, repair, linked, stats: OptimiseStats::default() })
    }

    fn object(&mut self, path: &Path) -> Result<()> {
        let meta = path.symlink_metadata().map_err(Error::io("getting status of", path))?;
        if meta.is_dir() {
            let entries = std::fs::read_dir(path).map_err(Error::io("opening directory", path))?;
            for entry in entries {
                let entry = entry.map_err(Error::io("reading directory", path))?;
                if !self.linked.contains(&entry.ino()) {
                    self.object(&entry.path())?;
                }
            }
            return Ok(());
        }
        if !meta.is_file() {
            // links can be hard-linked too
            return if meta.is_symlink() { self.file(path, &meta) } else { Ok(()) };
        }
        if meta.permissions().mode() & 0o200 != 0 {
            self.store
                .logger()
                .warn(format!("skipping suspicious writable file '{}'", path.display()));
            return Ok(());
        }
        self.file(path, &meta)
    }

    fn file(&mut self, path: &Path, meta: &std::fs::Metadata) -> Result<()> {
        if meta.nlink() > 1 && self.linked.contains(&meta.ino()) {
            return Ok(());
        }
        let hash = hash_path(path, HashAlgo::Sha256)?.0;
        let link = self.store.layout.links_dir().join(hash.to_base32());
        if let Ok(there) = link.symlink_metadata() {
            let wrong = there.len() != meta.len()
                || (self.repair == Repair::Yes && hash_path(&link, HashAlgo::Sha256)?.0 != hash);
            if wrong {
                let logger = self.store.logger();
                logger.warn(format!("removing corrupted link {link:?}"));
                logger.warn(
                    "There may be more corrupted paths.\nYou should run `nix-store --verify \
                     --check-contents --repair` to fix them all",
                );
                std::fs::remove_file(&link).map_err(Error::io("removing file", &link))?;
            }
        }
        match std::fs::hard_link(path, &link) {
            Ok(()) => {
                self.linked.insert(meta.ino());
                return Ok(());
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == ErrorKind::StorageFull => {
                // the folder's index is full: this file just stays on its own
                self.store.info(format!("cannot link {link:?} to {path:?}: {}", errno_text(&e)));
                return Ok(());
            }
            Err(e) => return Err(Error::io("creating hard link", &link)(e)),
        }
        let there = link.symlink_metadata().map_err(Error::io("getting status of", &link))?;
        if there.ino() == meta.ino() {
            return Ok(());
        }
        self.replace(path, &link, meta.len())
    }

    /// Puts a link to `link` in the place of `path`.
    fn replace(&mut self, path: &Path, link: &Path, size: u64) -> Result<()> {
        let store_dir = &self.store.layout.real_store_dir;
        self.store.logger().message(Level::Talkative, format!("linking {path:?} to {link:?}"));
        let parent = path.parent().unwrap_or(store_dir);
        // the store's own folder is writable and stays as it is
        let _writable = if parent == store_dir { None } else { Some(Writable::make(parent)?) };
        let temporary = store_dir.join(format!(".tmp-link-{}", crate::fs::unique_suffix()));
        match std::fs::hard_link(link, &temporary) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::TooManyLinks => {
                // happens with empty files
                if size > 0 {
                    self.store.info(format!("{link:?} has maximum number of links"));
                }
                return Ok(());
            }
            Err(e) => return Err(Error::io("creating hard link", &temporary)(e)),
        }
        if let Err(e) = std::fs::rename(&temporary, path) {
            let _ = std::fs::remove_file(&temporary);
            if e.kind() == ErrorKind::TooManyLinks {
                return Ok(());
            }
            return Err(Error::io("renaming to", path)(e));
        }
        self.stats.files_linked += 1;
        self.stats.bytes_freed += size;
        Ok(())
    }
}

/// A folder in a store path that is writable until this is dropped.
struct Writable {
    dir: PathBuf,
}

impl Writable {
    fn make(dir: &Path) -> Result<Self> {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
            .map_err(Error::io("changing mode of", dir))?;
        Ok(Self { dir: dir.to_owned() })
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        let _ = crate::fs::reset_directory(&self.dir);
    }
}
