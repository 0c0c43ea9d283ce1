//! Builds a derivation that need not be in the store: what a client of a daemon sends whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use firn_event::{ActivityKind, Level, Logger};
use firn_model::derivation::Derivation;
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};

use crate::builder::Job;
use crate::derived_path::DerivedPath;
use crate::drv_options::DrvOptions;
use crate::error::Failure;
use crate::options::{BuildOptions, Mode};
use crate::result::BuildStatus;
use crate::scheduler::build_paths;

/// Has all outputs of `drv`: those that are valid stay, else they are fetched if a substituter has them all, else
/// it is built. Its input sources are fetched if need be; it has no input derivations.
///
/// # Errors
/// When an input cannot be had, or the build fails.
pub fn build_derivation(
    store: &LocalStore,
    drv_path: &StorePath,
    drv: &Derivation,
    options: &BuildOptions,
    logger: &Logger,
) -> Result<(BuildStatus, BTreeMap<String, StorePath>), Failure> {
    let known = drv.output_paths(store.store_dir())?;
    let outputs: Option<BTreeMap<String, StorePath>> =
        known.into_iter().map(|(name, path)| Some((name, path?))).collect();
    if let Some(outputs) = outputs.filter(|_| options.mode == Mode::Normal) {
        let missing = missing(store, outputs.values())?;
        if missing.is_empty() {
            return Ok((BuildStatus::AlreadyValid, outputs));
        }
        let allowed = options.always_allow_substitutes
            || DrvOptions::parse(drv, store.store_dir())?.allow_substitutes;
        if allowed && fetch(store, &missing, options, logger)? {
            return Ok((BuildStatus::Substituted, outputs));
        }
    }
    let inputs = missing(store, &drv.input_srcs)?;
    if !inputs.is_empty() {
        let wanted: Vec<DerivedPath> = inputs.into_iter().map(DerivedPath::Opaque).collect();
        build_paths(
            store,
            &wanted,
            &BuildOptions { mode: Mode::Normal, ..options.clone() },
            logger,
        )
        .map_err(Failure::misc)?;
    }
    let builds = logger.start(ActivityKind::Builds, Level::Debug, "", vec![], 0);
    let stop = AtomicBool::new(false);
    let built =
        Job { store, options, logger, parent: builds.id(), drv_path, drv, stop: &stop }.run()?;
    let status = if built.built { BuildStatus::Built } else { BuildStatus::AlreadyValid };
    Ok((status, built.outputs))
}

fn missing<'p>(
    store: &LocalStore,
    paths: impl IntoIterator<Item = &'p StorePath>,
) -> Result<BTreeSet<StorePath>, Failure> {
    let mut missing = BTreeSet::new();
    for path in paths {
        store.add_temp_root(path)?;
        if !store.is_valid(path)? {
            missing.insert(path.clone());
        }
    }
    Ok(missing)
}

/// Fetches all of `paths`; whether they are valid now.
fn fetch(
    store: &LocalStore,
    paths: &BTreeSet<StorePath>,
    options: &BuildOptions,
    logger: &Logger,
) -> Result<bool, Failure> {
    let Some(substituter) = &options.substituter else { return Ok(false) };
    let found = match substituter.query(paths) {
        Ok(found) => found,
        Err(e) => {
            logger.warn(format!("{e}; going on without it"));
            return Ok(false);
        }
    };
    if found.len() < paths.len() {
        return Ok(false);
    }
    let wanted: Vec<DerivedPath> = paths.iter().cloned().map(DerivedPath::Opaque).collect();
    match build_paths(store, &wanted, options, logger) {
        Ok(_) => Ok(true),
        Err(e) if options.fallback => {
            logger.warn(e.message);
            Ok(false)
        }
        Err(e) => Err(Failure::misc(e)),
    }
}
