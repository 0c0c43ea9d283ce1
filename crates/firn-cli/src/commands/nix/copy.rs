//! `nix copy`: closures from one store to another.

use std::collections::BTreeSet;

use firn_build::{BuildResults, DerivedPath};
use firn_model::StorePath;
use firn_model::realisation::Realisation;
use firn_store::copy::{CopyOptions, copy_paths};
use firn_store::{ClosureOptions, Trust};

use super::call::Call;
use super::flags::{Flag, flag, option};
use super::installables::outputs;
use super::realise::link_results;
use crate::common::interrupt;
use crate::common::legacy::{Outcome, absolute, fail, usage};
use crate::common::store::AnyStore;

/// Flags of `nix copy`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("from", None, &["store-url"], "the store to copy from"),
    option("to", None, &["store-url"], "the store to copy to"),
    flag("no-recursive", None, "copy the paths alone, without their closures"),
    flag("no-check-sigs", None, "do not demand signatures of trusted keys"),
    flag("substitute-on-destination", Some('s'), "let the destination use its substituters"),
    option("profile", None, &["path"], "make the path the next generation of this profile"),
    option("out-link", Some('o'), &["path"], "make a link to what was copied"),
];

/// `nix copy`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let (from, to) =
        (call.given.value("from").map(str::to_owned), call.given.value("to").map(str::to_owned));
    if from.is_none() && to.is_none() {
        return usage("you must pass '--from' and/or '--to'");
    }
    let source = from.as_deref().map(|uri| call.common.open_store_at(Some(uri))).transpose()?;
    let target = to.as_deref().map(|uri| call.common.open_store_at(Some(uri))).transpose()?;
    if let Some(source) = &source {
        call.use_store(source.clone());
    }
    // built only where there is a store to build in
    let build = source.is_none();
    let source = call.store()?;
    let target = match target {
        Some(target) => target,
        None => call.common.open_store()?,
    };
    let (paths, wanted) = call.store_paths_and_wanted(build)?;
    let mut paths: BTreeSet<StorePath> = paths.into_iter().collect();
    let named = paths.clone();
    if !call.given.has("no-recursive") {
        paths = source.compute_closure(&paths, ClosureOptions::default())?;
    }
    let trust = if call.given.has("no-check-sigs") {
        Trust::Everybody
    } else {
        call.common.trust(&target, to.as_deref())?
    };
    if call.given.has("substitute-on-destination") {
        substitute(call, &target, &paths)?;
    }
    let mut options = CopyOptions::new(trust, call.common.logger());
    options.cancel = interrupt::flag();
    copy_paths(&*source, &*target, &paths, &options)?;
    let mut realisations = realisations(&source, &named)?;
    realisations.extend(named_realisations(call, &source, &wanted)?);
    copy_realisations(&realisations, &target, &options.trust)?;
    keep(call, target, &named)
}

/// Lets the destination fetch what it can from elsewhere; the rest is copied.
fn substitute(call: &Call<'_>, target: &AnyStore, paths: &BTreeSet<StorePath>) -> Outcome {
    if let Some(managed) = target.managed() {
        managed.query_valid(paths, true)?;
        return Ok(());
    }
    let mut options = call.common.build_options();
    let Some(substituter) = &options.substituter else { return Ok(()) };
    let valid = target.query_valid_paths(paths)?;
    let missing: BTreeSet<StorePath> = paths.difference(&valid).cloned().collect();
    let wanted: Vec<DerivedPath> =
        substituter.available(&missing)?.into_iter().map(DerivedPath::Opaque).collect();
    options.keep_going = true;
    let logger = call.common.logger();
    if let Err(e) = target.build(&wanted, &options, &logger) {
        logger.warn(e.message);
    }
    Ok(())
}

/// Copies what is known of outputs whose paths follow from their contents, where the destination can have it.
fn copy_realisations(realisations: &[Realisation], target: &AnyStore, trust: &Trust) -> Outcome {
    for realisation in realisations {
        if !trust.accepts_realisation(realisation) {
            continue;
        }
        match target.register_realisation(realisation) {
            Ok(()) | Err(firn_store::Error::Unsupported { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// What the derivations that were named came to be. They need not be the derivers: those are what they were
/// resolved to.
fn named_realisations(
    call: &Call<'_>,
    source: &AnyStore,
    wanted: &[DerivedPath],
) -> Outcome<Vec<Realisation>> {
    if call.given.has("derivation") || !call.common.settings.has_feature("ca-derivations") {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for wanted in wanted {
        let DerivedPath::Built { drv, .. } = wanted else { continue };
        let ids = source.output_ids(&source.read_derivation(drv)?)?;
        for (name, path) in outputs(source, wanted)? {
            let Some(id) = ids.get(&name) else { continue };
            let known = source.query_realisation(id)?;
            found.push(known.unwrap_or_else(|| Realisation::new(id.clone(), path)));
        }
    }
    Ok(found)
}

/// What is known of these paths as outputs of their derivers.
fn realisations(source: &AnyStore, paths: &BTreeSet<StorePath>) -> Outcome<Vec<Realisation>> {
    let mut found = Vec::new();
    for path in paths {
        let Some(info) = source.query_path_info(path)? else { continue };
        let Some(drv) = info.deriver.as_ref().filter(|_| info.ca.is_some()) else { continue };
        if !source.is_valid(drv)? {
            continue;
        }
        let drv = source.read_derivation(drv)?;
        for (_, id) in source.output_ids(&drv)? {
            if let Some(realisation) = source.query_realisation(&id)?
                && realisation.out_path == *path
            {
                found.push(realisation);
            }
        }
    }
    Ok(found)
}

/// Makes the links that `--out-link` and `--profile` ask for, in the destination.
fn keep(call: &mut Call<'_>, target: AnyStore, paths: &BTreeSet<StorePath>) -> Outcome {
    if call.given.has("out-link") {
        let outputs = paths
            .iter()
            .map(|path| {
                let output = ("out".to_owned(), path.clone());
                (DerivedPath::Opaque(path.clone()), [output].into())
            })
            .collect();
        call.use_store(target.clone());
        link_results(call, &BuildResults { outputs, ..BuildResults::default() })?;
    }
    if let Some(profile) = call.given.value("profile") {
        let mut each = paths.iter();
        let (Some(path), None) = (each.next(), each.next()) else {
            return fail("'--profile' requires that the arguments produce a single store path");
        };
        let profile = absolute(profile)?;
        firn_store::profile::set(&*target, &profile, path)?;
    }
    Ok(())
}
