//! `nix store copy-log`, `copy-sigs`, `make-content-addressed`: what goes from one store to another besides paths.

use std::collections::BTreeSet;

use firn_event::Level;
use firn_store::content_addressed;
use serde_json::{Map, json};

use crate::commands::nix::call::Call;
use crate::commands::nix::flags::{Flag, option};
use crate::commands::nix::log::find_log;
use crate::common::legacy::{Outcome, fail, usage};
use crate::common::store::AnyStore;

/// Flags of commands between two stores.
pub const FROM_TO: &[Flag] = &[
    option("from", None, &["store-url"], "the store to read from"),
    option("to", None, &["store-url"], "the store to write to"),
];
/// Flags of `nix store copy-sigs`.
pub const SUBSTITUTERS: &[Flag] =
    &[option("substituter", Some('s'), &["store-url"], "a store to take signatures from")];

/// The stores that the flags name; the source is the one that installables are in.
fn stores(call: &mut Call<'_>) -> Outcome<(AnyStore, AnyStore)> {
    let from = call.given.value("from").map(str::to_owned);
    let to = call.given.value("to").map(str::to_owned);
    if let Some(from) = from {
        let store = call.common.open_store_at(Some(&from))?;
        call.use_store(store);
    }
    let source = call.store()?;
    let target = match to {
        Some(to) => call.common.open_store_at(Some(&to))?,
        None => call.common.open_store()?,
    };
    Ok((source, target))
}

/// `nix store copy-log`.
pub fn copy_log(call: &mut Call<'_>) -> Outcome {
    if call.given.value("from").is_none() && call.given.value("to").is_none() {
        return usage("you must pass '--from' and/or '--to'");
    }
    let (from, to) = (call.given.value("from").map(str::to_owned), call.given.value("to"));
    // derivations are known where evaluation happens
    let home = call.common.open_store()?;
    let source = match from {
        Some(from) => call.common.open_store_at(Some(&from))?,
        None => home.clone(),
    };
    let target = match to {
        Some(to) => call.common.open_store_at(Some(to))?,
        None => home.clone(),
    };
    call.use_store(home.clone());
    let items = call.installables()?;
    for wanted in call.derived_paths(&items)?.into_iter().flatten() {
        let path = wanted.store_path();
        let drv = if path.is_derivation() {
            path.clone()
        } else {
            match home.query_path_info(path)?.and_then(|info| info.deriver.clone()) {
                Some(drv) => drv,
                None => {
                    return fail(format!(
                        "'{}' does not have a known deriver",
                        home.store_dir().print(path)
                    ));
                }
            }
        };
        match find_log(&call.common, &source, &drv)? {
            Some(log) => target.add_build_log(&drv, &log)?,
            None => {
                return fail(format!(
                    "build log for '{}' is not available",
                    home.store_dir().print(&drv)
                ));
            }
        }
    }
    Ok(())
}

/// `nix store copy-sigs`.
pub fn copy_sigs(call: &mut Call<'_>) -> Outcome {
    let mut others = Vec::new();
    for values in call.given.all("substituter") {
        for uri in values {
            others.push(call.common.open_store_at(Some(uri))?);
        }
    }
    if others.is_empty() {
        return usage("you must specify at least one substituter using '-s'");
    }
    let store = call.store()?;
    let mut added = 0;
    for path in call.store_paths(false)? {
        let info = store.path_info(&path)?;
        let mut new = BTreeSet::new();
        for other in &others {
            let Some(theirs) = other.query_path_info(&path)? else { continue };
            // signatures of other contents are of no use
            if theirs.fingerprint(store.store_dir()) == info.fingerprint(store.store_dir()) {
                new.extend(theirs.signatures.difference(&info.signatures).cloned());
            }
        }
        if !new.is_empty() {
            store.add_signatures(&path, &new)?;
            added += new.len();
        }
    }
    call.say(Level::Info, format!("imported {added} signatures"));
    Ok(())
}

/// `nix store make-content-addressed`.
pub fn make_content_addressed(call: &mut Call<'_>) -> Outcome {
    let (source, target) = stores(call)?;
    let paths = call.store_paths(false)?;
    let became = content_addressed::make_content_addressed(
        &*source,
        &*target,
        &paths.iter().cloned().collect(),
        &call.common.logger(),
    )?;
    let shown: Vec<(String, String)> = paths
        .iter()
        .filter_map(|path| {
            let new = became.get(path)?;
            Some((source.store_dir().print(path), target.store_dir().print(new)))
        })
        .collect();
    if call.given.has("json") {
        let mut rewrites: Map<String, serde_json::Value> =
            shown.into_iter().map(|(old, new)| (old, new.into())).collect();
        rewrites.sort_keys();
        return call.print_json(&json!({ "rewrites": rewrites }));
    }
    for (old, new) in shown {
        call.say(Level::Notice, format!("rewrote '{old}' to '{new}'"));
    }
    Ok(())
}
