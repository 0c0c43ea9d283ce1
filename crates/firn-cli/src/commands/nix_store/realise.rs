//! `--realise`, `--repair-path`: what needs builds or downloads.

use std::path::PathBuf;

use firn_build::{BuildOptions, DerivedPath, Mode, OutputsSpec};
use firn_event::Level;
use firn_model::store_path::StorePath;
use firn_store::LocalStore;

use super::Call;
use crate::common::legacy::{Common, Failure, Outcome, fail, usage};
use crate::common::store::AnyStore;
use crate::common::store_paths::{follow_links, follow_links_with_outputs};

/// A path to realise; for a derivation the outputs, all if empty.
pub type Target = (StorePath, Vec<String>);

pub fn realise(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let (mut dry_run, mut check, mut ignore_unknown, mut repair) = (false, false, false, false);
    for flag in &call.flags {
        match flag.as_str() {
            "--dry-run" => dry_run = true,
            "--check" => check = true,
            "--ignore-unknown" => ignore_unknown = true,
            "--repair" => repair = true,
            _ => return usage(format!("unknown flag '{flag}'")),
        }
    }
    let mut targets = Vec::new();
    for arg in &call.args {
        let target = follow_links_with_outputs(store, arg)?;
        if !target.1.is_empty() && store.is_valid(&target.0)? {
            outputs(store, &target.0, &target.1)?;
        }
        targets.push(target);
    }
    let mut options = call.common.build_options();
    if check {
        options.mode = Mode::Check;
    }
    if repair {
        options.mode = Mode::Repair;
    }
    let logger = call.common.logger();
    let plan = store.missing(&derived(&targets), &options, &logger)?;
    if ignore_unknown {
        targets.retain(|(path, _)| !plan.unknown.contains(path));
    }
    if call.common.settings.bool("print-missing") {
        for line in plan.describe(store.store_dir()) {
            logger.message(Level::Info, line);
        }
    }
    if dry_run {
        return Ok(());
    }
    build_with(store, call.common, &targets, &options)?;
    if ignore_unknown {
        return Ok(());
    }
    let mut number = 0;
    for target in &targets {
        for path in rooted(store, call, target, &mut number)? {
            if !call.no_output {
                writeln!(call.out, "{}", path.display())?;
            }
        }
    }
    Ok(())
}

/// The results of a target, after making roots for them if that was asked for.
fn rooted(
    store: &AnyStore,
    call: &Call<'_>,
    (path, wanted): &Target,
    number: &mut u32,
) -> Outcome<Vec<PathBuf>> {
    *number += 1;
    let results = if path.is_derivation() {
        outputs(store, path, wanted)?
    } else {
        vec![(String::new(), path.clone())]
    };
    let mut shown = Vec::new();
    for (output, result) in results {
        let Some(root) = &call.root else {
            let collects = store.is_local();
            if collects && call.common.gc_warning && *number == 1 && shown.is_empty() {
                call.common.logger().warn(
                    "you did not specify '--add-root'; the result might be removed by the garbage collector",
                );
            }
            shown.push(store.store_dir().print(&result).into());
            continue;
        };
        let mut link = root.clone().into_os_string();
        if *number > 1 {
            link.push(format!("-{number}"));
        }
        if !output.is_empty() && output != "out" {
            link.push(format!("-{output}"));
        }
        shown.push(store.add_perm_root(&result, link.as_ref())?);
    }
    shown.sort_unstable();
    Ok(shown)
}

fn outputs(
    store: &AnyStore,
    drv: &StorePath,
    wanted: &[String],
) -> Outcome<Vec<(String, StorePath)>> {
    let all = store.known_outputs(&store.read_derivation(drv)?)?;
    let printed = store.store_dir().print(drv);
    if let Some(missing) = wanted.iter().find(|w| !all.contains_key(*w)) {
        return fail(format!("derivation '{printed}' does not have output '{missing}'"));
    }
    let mut found = Vec::new();
    for (name, path) in all {
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        match path {
            Some(path) => found.push((name, path)),
            None => return fail(format!("output '{name}' of '{printed}' is not known")),
        }
    }
    Ok(found)
}

fn derived(targets: &[Target]) -> Vec<DerivedPath> {
    targets
        .iter()
        .map(|(path, outputs)| match outputs {
            _ if !path.is_derivation() => DerivedPath::Opaque(path.clone()),
            outputs if outputs.is_empty() => DerivedPath::all_outputs(path.clone()),
            outputs => DerivedPath::Built {
                drv: path.clone(),
                outputs: OutputsSpec::Names(outputs.iter().cloned().collect()),
            },
        })
        .collect()
}

/// Makes sure that all targets are valid.
pub fn build(store: &AnyStore, common: &Common, targets: &[Target]) -> Outcome {
    build_with(store, common, targets, &common.build_options())
}

fn build_with(
    store: &AnyStore,
    common: &Common,
    targets: &[Target],
    options: &BuildOptions,
) -> Outcome {
    let logger = common.logger();
    match store.build(&derived(targets), options, &logger) {
        Ok(_) => Ok(()),
        Err(e) => {
            logger.message(Level::Error, e.message);
            Err(Failure::Exit(e.exit_code))
        }
    }
}

/// Gets a path's contents again.
pub fn repair(store: &LocalStore, common: &Common, path: &StorePath) -> firn_store::Result<()> {
    firn_build::repair_path(store, path, &common.build_options(), &common.logger())
        .map_err(|e| firn_store::Error::Format(e.message))
}

pub fn repair_path(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    let local = store.local("repairPath")?;
    for arg in &call.args {
        repair(local, call.common, &follow_links(store, arg)?)?;
    }
    Ok(())
}
