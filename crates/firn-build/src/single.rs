//! Builds a derivation that need not be in the store: what a client of a daemon sends whole.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use firn_event::{ActivityKind, Level, Logger};
use firn_model::derivation::Derivation;
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};

use crate::builder::Job;
use crate::derived_path::DerivedPath;
use crate::drv_options::DrvOptions;
use crate::error::Failure;
use crate::history::History;
use crate::hook::Slots;
use crate::options::{BuildOptions, Mode};
use crate::result::{BuildResult, BuildStatus};
use crate::scheduler::build_paths;

/// Has all outputs of `drv`: those that are valid stay, else they are fetched if a substituter has them all, else
/// it is built. Its input sources are fetched if need be; it has no input derivations.
///
/// # Errors
/// When the store fails; a failed build is a result.
pub fn build_derivation(
    store: &LocalStore,
    drv_path: &StorePath,
    drv: &Derivation,
    options: &BuildOptions,
    logger: &Logger,
) -> firn_store::Result<BuildResult> {
    let (mut result, outputs) = match attempt(store, drv_path, drv, options, logger) {
        Ok(done) => done,
        Err(failure) => return Ok(BuildResult::from(&failure)),
    };
    let mut ids = store.output_ids(drv)?;
    for (name, path) in outputs {
        let Some(id) = ids.remove(&name) else { continue };
        let realisation = match store.query_realisation(&id)? {
            Some(kept) if kept.out_path == path => kept,
            _ => Realisation::new(id, path),
        };
        result.built_outputs.insert(name, realisation);
    }
    Ok(result)
}

fn attempt(
    store: &LocalStore,
    drv_path: &StorePath,
    drv: &Derivation,
    options: &BuildOptions,
    logger: &Logger,
) -> Result<(BuildResult, BTreeMap<String, StorePath>), Failure> {
    let known = store.known_outputs(drv)?;
    let outputs: Option<BTreeMap<String, StorePath>> =
        known.into_iter().map(|(name, path)| Some((name, path?))).collect();
    if let Some(outputs) = outputs.filter(|_| options.mode == Mode::Normal) {
        let missing = missing(store, outputs.values())?;
        if missing.is_empty() {
            return Ok((BuildResult::new(BuildStatus::AlreadyValid), outputs));
        }
        let allowed = options.always_allow_substitutes
            || DrvOptions::parse(drv, store.store_dir())?.allow_substitutes;
        if allowed && fetch(store, &missing, options, logger)? {
            return Ok((BuildResult::new(BuildStatus::Substituted), outputs));
        }
    }
    let inputs = missing(store, &drv.input_srcs)?;
    if !inputs.is_empty() {
        let wanted: Vec<DerivedPath> = inputs.into_iter().map(DerivedPath::Opaque).collect();
        let options = BuildOptions { mode: Mode::Normal, ..options.clone() };
        build_paths(store, &wanted, &options, logger).map_err(Failure::misc)?;
    }
    let builds = logger.start(ActivityKind::Builds, Level::Debug, "", vec![], 0);
    let stop = AtomicBool::new(false);
    let slots = Slots::new(options.max_jobs.max(1));
    let parent = builds.id();
    let estimate = History::read(&store.layout().state_dir).estimate(drv);
    let (stop, slots) = (&stop, &slots);
    let turn = Cell::default();
    let job = Job { store, options, logger, parent, drv_path, drv, stop, slots, estimate, turn };
    let built = job.run()?;
    let mut result = BuildResult::new(BuildStatus::AlreadyValid);
    if built.built {
        result.status = BuildStatus::Built;
        (result.times_built, result.start_time, result.stop_time) = (1, built.start, built.stop);
        result.cpu_user = built.cpu.map(|cpu| cpu.user);
        result.cpu_system = built.cpu.map(|cpu| cpu.system);
    }
    Ok((result, built.outputs))
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
