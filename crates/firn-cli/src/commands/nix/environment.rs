//! The environment of programs that `nix run`, `nix shell` and `nix develop` start, from the flags about it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::flags::{Flag, Given, flag, option};
use crate::common::legacy::{Outcome, usage};

/// How the environment of the program is made.
#[rustfmt::skip]
pub const ENVIRONMENT: &[Flag] = &[
    flag("ignore-env", Some('i'), "clear the environment, but for what '--keep-env-var' names"),
    flag("ignore-environment", None, "the same"),
    option("keep-env-var", Some('k'), &["name"], "keep this variable"),
    option("keep", None, &["name"], "the same"),
    option("set-env-var", Some('s'), &["name", "value"], "set this variable"),
    option("unset-env-var", Some('u'), &["name"], "remove this variable"),
    option("unset", None, &["name"], "the same"),
];

/// The environment that flags ask for.
pub fn environment(given: &Given) -> Outcome<BTreeMap<OsString, OsString>> {
    let ignore = given.has("ignore-env") || given.has("ignore-environment");
    let (mut keep, mut unset) = (BTreeSet::new(), BTreeSet::new());
    let mut set: BTreeMap<&str, &str> = BTreeMap::new();
    for (flag, values) in given.in_order() {
        match (flag, values) {
            ("keep-env-var" | "keep", [name]) => {
                keep.insert(name.as_str());
            }
            ("unset-env-var" | "unset", [name]) => {
                if set.contains_key(name.as_str()) {
                    return usage(format!(
                        "Cannot unset environment variable '{name}' that is set with '--set-env-var'"
                    ));
                }
                unset.insert(name.as_str());
            }
            ("set-env-var", [name, value]) => {
                if unset.contains(name.as_str()) {
                    return usage(format!(
                        "Cannot set environment variable '{name}' that is unset with '--unset-env-var'"
                    ));
                }
                if set.insert(name, value).is_some() {
                    return usage(format!(
                        "Duplicate definition of environment variable '{name}' with '--set-env-var' is ambiguous"
                    ));
                }
            }
            _ => {}
        }
    }
    if ignore && !unset.is_empty() {
        return usage("--unset-env-var does not make sense with --ignore-env");
    }
    if !ignore && !keep.is_empty() {
        return usage("--keep-env-var does not make sense without --ignore-env");
    }
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os()
        .filter(|(name, _)| !ignore || keep.iter().any(|k| name == *k))
        .collect();
    env.extend(set.into_iter().map(|(name, value)| (name.into(), value.into())));
    env.retain(|name, _| !unset.iter().any(|u| name == *u));
    Ok(env)
}
