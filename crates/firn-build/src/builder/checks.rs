//! What outputs must fulfil before they are registered: the hash of a fixed output, and the
//! derivation's own checks on references and sizes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use firn_model::derivation::{Derivation, Output};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};

use crate::drv_options::{DrvOptions, OutputChecks, Reference};
use crate::error::{Failure, FailureKind};

/// Checks all outputs of a build.
pub(super) fn check_outputs(
    store: &LocalStore,
    drv_path: &StorePath,
    drv: &Derivation,
    options: &DrvOptions,
    outputs: &BTreeMap<String, PathInfo>,
) -> Result<(), Failure> {
    let dir = store.store_dir();
    for (name, info) in outputs {
        if let Some(Output::Fixed(wanted)) = drv.outputs.get(name) {
            if let Some(got) = info.ca.as_ref().filter(|got| got.hash != wanted.hash) {
                return Err(Failure::new(
                    FailureKind::HashMismatch,
                    format!(
                        "hash mismatch in fixed-output derivation '{}':\n  specified: {}\n     got:    {}",
                        dir.print(drv_path),
                        wanted.hash.to_sri(),
                        got.hash.to_sri()
                    ),
                ));
            }
            if let Some(first) = info.references.first() {
                return Err(Failure::new(
                    FailureKind::OutputRejected,
                    format!(
                        "fixed-output derivations must not reference store paths: '{}' references {} distinct paths, e.g. '{}'",
                        dir.print(drv_path),
                        info.references.len(),
                        dir.print(first)
                    ),
                ));
            }
        }
        if let Some(checks) = options.checks.get(name) {
            Check { store, drv_path, name, info, outputs, checks }.run()?;
        }
    }
    Ok(())
}

struct Check<'a> {
    store: &'a LocalStore,
    drv_path: &'a StorePath,
    name: &'a str,
    info: &'a PathInfo,
    outputs: &'a BTreeMap<String, PathInfo>,
    checks: &'a OutputChecks,
}

impl Check<'_> {
    fn run(&self) -> Result<(), Failure> {
        let (checks, info) = (self.checks, self.info);
        let path = self.store.store_dir().print(&info.path);
        if let Some(limit) = checks.max_size.filter(|limit| info.nar_size > *limit) {
            return Err(rejected(format!(
                "path '{path}' is too large at {} bytes; limit is {limit} bytes",
                info.nar_size
            )));
        }
        if let Some(limit) = checks.max_closure_size {
            let (_, size) = self.closure()?;
            if size > limit {
                return Err(rejected(format!(
                    "closure of path '{path}' is too large at {size} bytes; limit is {limit} bytes"
                )));
            }
        }
        if let Some(allowed) = &checks.allowed_references {
            self.references(allowed, true, false)?;
        }
        if let Some(allowed) = &checks.allowed_requisites {
            self.references(allowed, true, true)?;
        }
        if !checks.disallowed_references.is_empty() {
            self.references(&checks.disallowed_references, false, false)?;
        }
        if !checks.disallowed_requisites.is_empty() {
            self.references(&checks.disallowed_requisites, false, true)?;
        }
        Ok(())
    }

    fn references(
        &self,
        specified: &BTreeSet<Reference>,
        allowed: bool,
        recursive: bool,
    ) -> Result<(), Failure> {
        let dir = self.store.store_dir();
        let mut paths = BTreeSet::new();
        for reference in specified {
            match reference {
                Reference::Path(path) => {
                    paths.insert(path.clone());
                }
                Reference::Output(name) => match self.outputs.get(name) {
                    Some(info) => {
                        paths.insert(info.path.clone());
                    }
                    None => {
                        let valid: Vec<&str> = self.outputs.keys().map(String::as_str).collect();
                        return Err(rejected(format!(
                            "derivation '{}' output check for '{}' contains output name '{name}', but this is not a valid output of this derivation. (Valid outputs are [{}].)",
                            dir.print(self.drv_path),
                            self.name,
                            valid.join(", ")
                        )));
                    }
                },
            }
        }
        let mut used = if recursive { self.closure()?.0 } else { self.info.references.clone() };
        if recursive && self.checks.ignore_self_references {
            used.remove(&self.info.path);
        }
        let bad: Vec<String> = used
            .iter()
            .filter(|path| paths.contains(*path) != allowed)
            .map(|path| format!("\n  {}", dir.print(path)))
            .collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(rejected(format!(
            "output '{}' is not allowed to refer to the following paths:{}",
            dir.print(&self.info.path),
            bad.concat()
        )))
    }

    /// The output's closure and its size. Other outputs are not valid yet.
    fn closure(&self) -> Result<(BTreeSet<StorePath>, u64), Failure> {
        let mut done = BTreeSet::new();
        let mut size = 0;
        let mut left: VecDeque<StorePath> = [self.info.path.clone()].into();
        while let Some(path) = left.pop_front() {
            if !done.insert(path.clone()) {
                continue;
            }
            let known;
            let info = match self.outputs.values().find(|info| info.path == path) {
                Some(info) => info,
                None => {
                    known = self.store.path_info(&path)?;
                    &*known
                }
            };
            size += info.nar_size;
            left.extend(info.references.iter().cloned());
        }
        Ok((done, size))
    }
}

fn rejected(message: String) -> Failure {
    Failure::new(FailureKind::OutputRejected, message)
}
