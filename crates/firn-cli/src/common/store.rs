//! Opening the store that the environment selects.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use firn_store::layout::{Environment, StoreLayout};
use firn_store::{ClosureOptions, LocalStore, Store as _, StoreOptions};

/// The local store, with the few questions that trials ask.
pub struct Local(LocalStore);

/// Opens the local store.
pub fn open_local() -> Result<Local, String> {
    let (layout, _) = StoreLayout::detect(&Environment::current()).map_err(|e| e.to_string())?;
    LocalStore::open(layout, StoreOptions::default()).map(Local).map_err(|e| e.to_string())
}

impl Local {
    /// Where the store's contents really are.
    pub fn real_store_dir(&self) -> PathBuf {
        self.0.layout().real_store_dir.clone()
    }

    /// Where the host has a path in the store (or below one).
    pub fn host_path(&self, path: &Path) -> Result<PathBuf, String> {
        let text = path.to_string_lossy();
        let (store_path, rest) =
            self.0.store_dir().parse_prefix(&text).map_err(|e| e.to_string())?;
        let base = self.0.layout().real_store_dir.join(store_path.base_name());
        Ok(if rest.is_empty() { base } else { base.join(rest.trim_start_matches('/')) })
    }

    /// Makes `link` lead to a path of the store, and keeps that from garbage collection while it does.
    pub fn add_root(&self, path: &Path, link: &Path) -> Result<(), String> {
        let path = self.0.store_dir().parse(&path.to_string_lossy()).map_err(|e| e.to_string())?;
        self.0.add_perm_root(&path, link).map(drop).map_err(|e| e.to_string())
    }

    /// Registers everything that is valid here in the database below `state_dir`, for a guest that
    /// sees this store's contents; `roots` must be among it.
    pub fn copy_registrations(&self, roots: &[PathBuf], state_dir: &Path) -> Result<(), String> {
        let fail = |e: firn_store::Error| e.to_string();
        let mut wanted = BTreeSet::new();
        for root in roots {
            let text = root.to_string_lossy();
            wanted.insert(self.0.store_dir().parse(&text).map_err(|e| e.to_string())?);
        }
        // a root that is not whole would be a system that breaks when it is used
        self.0.compute_closure(&wanted, ClosureOptions::default()).map_err(fail)?;
        let layout = StoreLayout {
            state_dir: state_dir.to_owned(),
            log_dir: state_dir.join("../../log/nix"),
            ..self.0.layout().clone()
        };
        let guest = LocalStore::open(layout, StoreOptions::default()).map_err(fail)?;
        let mut infos = Vec::new();
        for path in self.0.query_all_valid_paths().map_err(fail)? {
            if let Some(info) = self.0.query_path_info(&path).map_err(fail)? {
                infos.push((*info).clone());
            }
        }
        guest.register_valid(&infos).map_err(fail)
    }
}
