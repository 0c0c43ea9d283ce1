//! Repairing: finding what is damaged, and getting it again by fetching it or by building what made it.

use std::collections::{BTreeMap, BTreeSet};

use firn_event::{Level, Logger};
use firn_model::store_path::StorePath;
use firn_store::{ClosureOptions, LocalStore, Store};

use crate::derived_path::DerivedPath;
use crate::error::BuildError;
use crate::options::{BuildOptions, Mode};
use crate::scheduler::build_paths;

/// Whether a valid path has the contents that it was registered with.
pub(crate) fn is_good(store: &LocalStore, path: &StorePath) -> firn_store::Result<bool> {
    if store.real_path(path).symlink_metadata().is_err() {
        return Ok(false);
    }
    Ok(store.check_path(path)?.is_none())
}

/// What is damaged in the closures of `wanted`: paths, each with the derivation that is known to make it.
#[derive(Debug, Default)]
pub(crate) struct Damage(BTreeMap<StorePath, Option<StorePath>>);

impl Damage {
    /// Looks at all that is valid of `wanted` and of what it needs.
    pub fn find(
        store: &LocalStore,
        wanted: &[DerivedPath],
        logger: &Logger,
    ) -> firn_store::Result<Self> {
        let (mut drvs, mut outputs) = (BTreeSet::new(), BTreeSet::new());
        for path in wanted {
            match path {
                DerivedPath::Opaque(path) => {
                    outputs.insert(path.clone());
                }
                DerivedPath::Built { drv, .. } | DerivedPath::Dynamic { drv, .. } => {
                    drvs.insert(drv.clone());
                }
            }
        }
        let drvs = store.query_valid_paths(&drvs)?;
        let mut makers: BTreeMap<StorePath, StorePath> = BTreeMap::new();
        for drv in store.compute_closure(&drvs, ClosureOptions::default())? {
            if !drv.is_derivation() {
                continue;
            }
            for output in store.query_derivation_outputs(&drv)?.into_values().flatten() {
                if drvs.contains(&drv) {
                    outputs.insert(output.clone());
                }
                makers.insert(output, drv.clone());
            }
        }
        let mut damage = Self::default();
        let valid = store.query_valid_paths(&outputs)?;
        for path in store.compute_closure(&valid, ClosureOptions::default())? {
            if is_good(store, &path)? {
                continue;
            }
            logger.message(
                Level::Error,
                format!("found corrupted or missing path '{}'", store.store_dir().print(&path)),
            );
            let maker = makers.get(&path).cloned();
            damage.0.insert(path, maker);
        }
        Ok(damage)
    }

    /// Fetches what is damaged where somebody has it. Gives the derivations that have to be built for the rest.
    ///
    /// # Errors
    /// If something can be had neither way.
    pub fn fetch_paths(
        self,
        store: &LocalStore,
        options: &BuildOptions,
        logger: &Logger,
    ) -> Result<BTreeSet<StorePath>, BuildError> {
        let mut drvs = BTreeSet::new();
        for (path, maker) in self.0 {
            match maker {
                Some(drv) if drvs.contains(&drv) => {}
                Some(drv) => {
                    if !fetch_again(store, &path, options, logger) {
                        drvs.insert(drv);
                    }
                }
                None => repair_path(store, &path, options, logger)?,
            }
        }
        Ok(drvs)
    }
}

/// Fetches a valid path once more; whether that worked.
fn fetch_again(
    store: &LocalStore,
    path: &StorePath,
    options: &BuildOptions,
    logger: &Logger,
) -> bool {
    let Some(substituter) = &options.substituter else { return false };
    match substituter.repair(path, store, logger, 0) {
        Ok(()) => true,
        Err(error) => {
            logger.message(Level::Talkative, error.to_string());
            false
        }
    }
}

/// Gets the contents of a valid path again: fetches them, or else builds the derivation that made it.
///
/// # Errors
/// If they can be had neither way.
pub fn repair_path(
    store: &LocalStore,
    path: &StorePath,
    options: &BuildOptions,
    logger: &Logger,
) -> Result<(), BuildError> {
    if fetch_again(store, path, options, logger) {
        return Ok(());
    }
    let shown = store.store_dir().print(path);
    let deriver = store.query_path_info(path)?.and_then(|info| info.deriver.clone());
    let Some(drv) = deriver.filter(|drv| store.is_valid(drv).unwrap_or(false)) else {
        return Err(BuildError::other(format!("cannot repair path '{shown}'")));
    };
    let options = BuildOptions { mode: Mode::Repair, ..options.clone() };
    build_paths(store, &[DerivedPath::all_outputs(drv)], &options, logger).map(drop)
}
