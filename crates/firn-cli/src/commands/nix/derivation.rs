//! `nix derivation`.

use std::collections::BTreeSet;
use std::io::Read as _;

use firn_model::content_address::Method;
use firn_model::derivation::{Derivation, JSON_VERSION, Output};
use firn_store::{ClosureOptions, Repair};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::flags::{Flag, flag};
use super::installables::Installable;
use crate::common::legacy::{Failure, Outcome, fail};

/// Flags of `nix derivation add`.
pub const ADD: &[Flag] = &[flag("dry-run", None, "print the path and add nothing")];

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
    let mut derivation =
        Derivation::from_json(&value).map_err(|e| Failure::Message(e.to_string()))?;
    for output in derivation.outputs.values() {
        let method = match output {
            Output::Floating { method, .. } => {
                call.need_feature("ca-derivations")?;
                Some(*method)
            }
            Output::Impure { method, .. } => {
                call.need_feature("impure-derivations")?;
                Some(*method)
            }
            Output::Fixed(ca) => Some(ca.method),
            Output::InputAddressed(_) | Output::Deferred => None,
        };
        match method {
            Some(Method::Text) => call.need_feature("dynamic-derivations")?,
            Some(Method::Git) => call.need_feature("git-hashing")?,
            Some(Method::Flat | Method::Nar) | None => {}
        }
    }
    let store = call.store()?;
    let given = derivation.env.clone();
    store.fill_output_paths(&mut derivation)?;
    for name in derivation.outputs.keys() {
        // a path that was left out is put in, but what says something else is not overwritten
        if let Some(text) = given.get(name.as_bytes()).filter(|text| !text.is_empty()) {
            derivation.env.insert(name.as_str().into(), text.clone());
        }
    }
    firn_store::modulo::Modulos::default().check_outputs(&*store, &derivation)?;
    let path = if call.given.has("dry-run") {
        derivation.store_path(store.store_dir()).map_err(|e| Failure::Message(e.to_string()))?
    } else {
        store.add_derivation(&derivation, Repair::No)?
    };
    Ok(writeln!(call.out, "{}", store.store_dir().print(&path))?)
}
