//! `--realise`, `--repair-path`: what needs builds or downloads.

use std::path::PathBuf;

use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store as _};

use super::Call;
use crate::common::legacy::{Common, Failure, Outcome, fail, usage};
use crate::common::store_paths::{follow_links, follow_links_with_outputs};

/// A path to realise; for a derivation the outputs, all if empty.
pub type Target = (StorePath, Vec<String>);

pub fn realise(store: &LocalStore, call: &mut Call<'_>) -> Outcome {
    let mut dry_run = false;
    let mut ignore_unknown = false;
    for flag in &call.flags {
        match flag.as_str() {
            "--dry-run" => dry_run = true,
            "--ignore-unknown" => ignore_unknown = true,
            _ => return usage(format!("unknown flag '{flag}'")),
        }
    }
    let mut targets = Vec::new();
    for arg in &call.args {
        targets.push(follow_links_with_outputs(store, arg)?);
    }
    if dry_run {
        return Ok(());
    }
    build(store, call.common, &targets)?;
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
    store: &LocalStore,
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
            if call.common.gc_warning && *number == 1 && shown.is_empty() {
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
    store: &LocalStore,
    drv: &StorePath,
    wanted: &[String],
) -> Outcome<Vec<(String, StorePath)>> {
    let all = store
        .read_derivation(drv)?
        .output_paths(store.store_dir())
        .map_err(|e| Failure::Message(e.to_string()))?;
    let printed = store.store_dir().print(drv);
    if let Some(missing) = wanted.iter().find(|w| !all.contains_key(*w)) {
        return fail(format!("derivation '{printed}' does not have an output named '{missing}'"));
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

/// Makes sure that all targets are valid.
pub fn build(store: &LocalStore, _common: &Common, targets: &[Target]) -> Outcome {
    for (path, wanted) in targets {
        let results = if path.is_derivation() {
            outputs(store, path, wanted)?.into_iter().map(|(_, p)| p).collect()
        } else {
            vec![path.clone()]
        };
        for result in results {
            if !store.is_valid(&result)? {
                return fail(format!(
                    "path '{}' does not exist and cannot be created",
                    store.store_dir().print(&result)
                ));
            }
        }
    }
    Ok(())
}

/// Gets a path's contents again.
pub fn repair(store: &LocalStore, _common: &Common, path: &StorePath) -> firn_store::Result<()> {
    Err(firn_store::Error::Format(format!(
        "cannot repair path '{}'",
        store.store_dir().print(path)
    )))
}

pub fn repair_path(store: &LocalStore, call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    for arg in &call.args {
        repair(store, call.common, &follow_links(store, arg)?)?;
    }
    Ok(())
}

/// Makes sure that one path is valid.
pub fn ensure(store: &LocalStore, common: &Common, path: &StorePath) -> Outcome {
    build(store, common, &[(path.clone(), Vec::new())])
}

/// Builds a derivation; gives its output `out`, or its first.
pub fn realise_one(store: &LocalStore, common: &Common, drv: &StorePath) -> Outcome<StorePath> {
    build(store, common, &[(drv.clone(), Vec::new())])?;
    let mut found = outputs(store, drv, &[])?;
    let at = found.iter().position(|(name, _)| name == "out").unwrap_or(0);
    if found.is_empty() {
        return fail(format!("derivation '{drv}' has no outputs"));
    }
    Ok(found.swap_remove(at).1)
}
