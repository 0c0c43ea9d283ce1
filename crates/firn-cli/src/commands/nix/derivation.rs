//! `nix derivation`.

use std::collections::BTreeSet;
use std::io::Read as _;

use firn_model::derivation::{Derivation, JSON_VERSION, Kind, Output};
use firn_store::{ClosureOptions, Repair, Store};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::installables::Installable;
use crate::common::legacy::{Failure, Outcome, fail};

/// `nix derivation show`.
pub fn show(call: &mut Call<'_>) -> Outcome {
    let items: Vec<Installable> = call.installables()?;
    let store = call.store()?;
    let mut drvs = BTreeSet::new();
    for wanted in call.derived_paths(&items)?.into_iter().flatten() {
        let path = wanted.store_path().clone();
        if path.is_derivation() {
            drvs.insert(path);
            continue;
        }
        match store.path_info(&path)?.deriver.clone() {
            Some(drv) => drvs.insert(drv),
            None => {
                return fail(format!(
                    "'{}' does not have a known deriver",
                    store.store_dir().print(&path)
                ));
            }
        };
    }
    if call.given.has("recursive") {
        drvs = store.compute_closure(&drvs, ClosureOptions::default())?;
        drvs.retain(firn_model::StorePath::is_derivation);
    }
    let mut shown = Map::new();
    for drv in drvs {
        let derivation = store.read_derivation(&drv)?;
        let value = derivation.to_json().map_err(|e| Failure::Message(e.to_string()))?;
        shown.insert(drv.base_name().to_owned(), value);
    }
    call.print_json(&json!({ "derivations": shown, "version": JSON_VERSION }))
}

/// `nix derivation add`.
pub fn add(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| Failure::Message(format!("reading standard input: {e}")))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|e| Failure::Message(format!("reading a derivation from standard input: {e}")))?;
    let derivation = Derivation::from_json(&value).map_err(|e| Failure::Message(e.to_string()))?;
    let store = call.store()?;
    let derivation = with_output_paths(&*store, derivation)?;
    let path = store.add_derivation(&derivation, Repair::No)?;
    Ok(writeln!(call.out, "{}", store.store_dir().print(&path))?)
}

/// A derivation with the paths of its outputs where they are left out. Those that are given must be right.
fn with_output_paths(store: &dyn Store, given: Derivation) -> Outcome<Derivation> {
    let kind = given.kind().map_err(|e| Failure::Message(e.to_string()))?;
    if !matches!(kind, Kind::InputAddressed { .. }) {
        return Ok(given);
    }
    let dir = store.store_dir();
    let mut right = given.clone();
    for output in right.outputs.values_mut() {
        *output = Output::Deferred;
    }
    store.fill_output_paths(&mut right)?;
    for (name, output) in &right.outputs {
        match (given.outputs.get(name), output) {
            (Some(Output::InputAddressed(path)), Output::InputAddressed(should))
                if path != should =>
            {
                return fail(format!(
                    "derivation has incorrect output '{}', should be '{}'",
                    dir.print(path),
                    dir.print(should)
                ));
            }
            (Some(Output::InputAddressed(path)), Output::Deferred) => {
                return fail(format!(
                    "derivation has incorrect output '{}', should be deferred",
                    dir.print(path)
                ));
            }
            _ => {}
        }
        let key = name.as_bytes();
        let (had, should) = (given.env.get(key), right.env.get(key));
        if let (Some(had), Some(should)) = (had, should)
            && !had.is_empty()
            && had != should
        {
            return fail(format!(
                "derivation has incorrect environment variable '{name}', should be '{}' but is actually '{}'",
                String::from_utf8_lossy(should),
                String::from_utf8_lossy(had)
            ));
        }
    }
    Ok(right)
}
