//! Comparing database, files and hashes with each other.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use firn_event::Level;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;

use super::LocalStore;
use crate::error::{Error, Result};
use crate::fs::hash_path;
use crate::fs::lock::{FileLock, LockKind};
use crate::store::Store as _;

/// Gets the right contents of a path from somewhere and puts them in place (by
/// [`crate::Store::add_nar`] with [`crate::Repair::Yes`]).
pub type RepairHook<'a> = dyn FnMut(&LocalStore, &StorePath) -> Result<()> + 'a;

impl LocalStore {
    /// Checks that all valid paths are there, and with `check_contents` that they have the hash they
    /// were registered with. Whether errors remain; each is told to the log. Paths that have
    /// disappeared and that nothing refers to become invalid.
    ///
    /// # Errors
    /// If the check itself cannot be done.
    pub fn verify(
        &self,
        check_contents: bool,
        mut repair: Option<&mut RepairHook<'_>>,
    ) -> Result<bool> {
        self.info("reading the Nix store...");
        let mut lock = FileLock::open(&self.layout.state_dir.join("gc.lock"))?;
        if !lock.try_lock(LockKind::Shared)? {
            self.info("waiting for the big garbage collector lock...");
            lock.lock(LockKind::Shared)?;
        }
        self.clear_cache();
        let (mut errors, valid) = self.verify_existence(&mut repair)?;
        // repairing adds roots, which asks for the lock again
        drop(lock);
        if check_contents {
            self.info("checking link hashes...");
            errors |= self.verify_links(repair.is_some())?;
            self.info("checking store hashes...");
            for path in &valid {
                errors |= self.verify_contents(path, &mut repair)?;
            }
        }
        Ok(errors)
    }

    /// Tells of an error that does not end the check.
    fn error(&self, text: String) {
        self.logger().message(Level::Notice, text);
    }

    fn verify_existence(
        &self,
        repair: &mut Option<&mut RepairHook<'_>>,
    ) -> Result<(bool, BTreeSet<StorePath>)> {
        let dir = &self.layout.real_store_dir;
        let mut present = HashSet::new();
        for entry in std::fs::read_dir(dir).map_err(Error::io("opening directory", dir))? {
            let entry = entry.map_err(Error::io("reading directory", dir))?;
            if let Some(path) =
                entry.file_name().to_str().and_then(|n| StorePath::from_base_name(n).ok())
            {
                present.insert(path);
            }
        }
        self.info("checking path existence...");
        let all = self.query_all_valid_paths()?;
        // referrers first: they may go themselves, and then so may what they refer to
        let order = self.topo_sort(&all)?;
        let mut errors = false;
        let mut valid = BTreeSet::new();
        for path in order {
            if present.contains(&path) {
                valid.insert(path);
                continue;
            }
            let printed = self.print(&path);
            let needed =
                self.query_referrers(&path)?.into_iter().any(|r| r != path && valid.contains(&r));
            if !needed {
                self.info(format!("path '{printed}' disappeared, removing from database..."));
                self.invalidate_checked(&path)?;
                continue;
            }
            self.error(format!("path '{printed}' disappeared, but it still has valid referrers!"));
            match repair {
                Some(hook) => match hook(self, &path) {
                    Ok(()) => {}
                    Err(e) => {
                        self.logger().warn(e.to_string());
                        errors = true;
                    }
                },
                None => errors = true,
            }
        }
        Ok((errors, valid))
    }

    fn verify_links(&self, repair: bool) -> Result<bool> {
        let dir = self.layout.links_dir();
        let mut errors = false;
        for entry in std::fs::read_dir(&dir).map_err(Error::io("opening directory", &dir))? {
            let entry = entry.map_err(Error::io("reading directory", &dir))?;
            let (link, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            self.logger().message(Level::Talkative, format!("checking contents of \"{name}\""));
            let hash = hash_path(&link, HashAlgo::Sha256)?.0.to_base32();
            if hash == name {
                continue;
            }
            self.error(format!(
                "link {link:?} was modified! expected hash \"{name}\", got '{hash}'"
            ));
            if repair {
                std::fs::remove_file(&link).map_err(Error::io("removing file", &link))?;
                self.info(format!("removed link {link:?}"));
            } else {
                errors = true;
            }
        }
        Ok(errors)
    }

    /// Whether an error remains.
    fn verify_contents(
        &self,
        path: &StorePath,
        repair: &mut Option<&mut RepairHook<'_>>,
    ) -> Result<bool> {
        let printed = self.print(path);
        self.logger().message(Level::Talkative, format!("checking contents of '{printed}'"));
        let checked = self
            .path_info(path)
            .and_then(|info| Ok((hash_path(&self.real_path(path), info.nar_hash.algo())?, info)));
        let ((hash, size), info) = match checked {
            Ok(found) => found,
            Err(e) => {
                // it may have been collected meanwhile
                if self.is_valid(path)? {
                    self.error(e.to_string());
                } else {
                    self.logger().warn(e.to_string());
                }
                return Ok(true);
            }
        };
        let unknown = info.nar_hash.as_bytes().iter().all(|b| *b == 0);
        if info.nar_hash != hash && !unknown {
            self.error(format!(
                "path '{printed}' was modified! expected hash '{}', got '{hash}'",
                info.nar_hash
            ));
            return match repair {
                Some(hook) => match hook(self, path) {
                    Ok(()) => Ok(false),
                    Err(error) => {
                        self.error(error.to_string());
                        Ok(true)
                    }
                },
                None => Ok(true),
            };
        }
        if unknown || info.nar_size == 0 {
            if unknown {
                self.info(format!("fixing missing hash on '{printed}'"));
            }
            if info.nar_size == 0 {
                self.info(format!("updating size field on '{printed}' to {size}"));
            }
            self.update_info(&PathInfo { nar_hash: hash, nar_size: size, ..(*info).clone() })?;
        }
        Ok(false)
    }

    /// Whether the contents of a valid path still have the hash they were registered with; the hash
    /// they have now if not.
    ///
    /// # Errors
    /// If the path is not valid or cannot be read.
    pub fn check_path(&self, path: &StorePath) -> Result<Option<Hash>> {
        let info = self.path_info(path)?;
        let real: &Path = &self.real_path(path);
        let (hash, _) = hash_path(real, info.nar_hash.algo())?;
        Ok((hash != info.nar_hash).then_some(hash))
    }
}
