//! What came of the work: outputs of what was asked for, and failures as the one error of a command.

use std::collections::{BTreeMap, BTreeSet};

use firn_event::{Level, Logger};
use firn_model::derivation::Derivation;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};

use super::{State, stopped};
use crate::derivations::Derivations;
use crate::derived_path::{DerivedPath, OutputsSpec};
use crate::error::{BuildError, ExitFlags, Failure, FailureKind};
use crate::options::BuildOptions;
use crate::plan::{Known, Plan, Step};
use crate::result::{BuildResult, BuildStatus};
use crate::sandbox::CpuTimes;

/// What a build gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildResults {
    /// For each thing that was asked for, in the same order: the outputs, or the path itself under
    /// the name `out`.
    pub outputs: Vec<(DerivedPath, BTreeMap<String, StorePath>)>,
    /// Derivations that were built, in the order in which they were finished.
    pub built: Vec<StorePath>,
    /// Paths that were fetched.
    pub fetched: Vec<StorePath>,
}

/// How a derivation's build went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub status: BuildStatus,
    /// When its builder was started and had ended, in seconds since 1970; 0 if it was not.
    pub start: i64,
    pub stop: i64,
    /// The processor time of its cgroup, if it had one.
    pub cpu: Option<CpuTimes>,
}

impl Record {
    /// Of a build that did not run.
    pub fn new(status: BuildStatus) -> Self {
        Self { status, start: 0, stop: 0, cpu: None }
    }
}

/// Where outputs are looked for after the work.
pub(super) struct Found<'a> {
    pub store: &'a LocalStore,
    pub derivations: Derivations<'a>,
    pub plan: &'a Plan,
    pub known: &'a Known,
}

impl Found<'_> {
    fn derivation(&self, path: &StorePath) -> Result<Derivation, Failure> {
        match self.plan.drvs.get(path) {
            Some(drv) => Ok(drv.clone()),
            None => Ok(self.derivations.read(path)?),
        }
    }

    /// The outputs of a derivation that this run made, or else that the store knows.
    pub fn outputs(
        &self,
        drv_path: &StorePath,
        wanted: &OutputsSpec,
    ) -> Result<BTreeMap<String, StorePath>, Failure> {
        let drv = self.derivation(drv_path)?;
        let made = self.known.get(drv_path);
        let names = drv.outputs.keys().filter(|name| wanted.contains(name));
        if let Some(made) = made
            && names.clone().all(|name| made.contains_key(name))
        {
            let of = |name: &String| made.get(name).map(|path| (name.clone(), path.clone()));
            return Ok(names.filter_map(of).collect());
        }
        let known = self.derivations.known_outputs(&drv)?;
        Ok(known
            .into_iter()
            .filter(|(name, _)| wanted.contains(name))
            .filter_map(|(name, path)| Some((name, path?)))
            .collect())
    }

    /// The derivation that outputs lead to.
    pub fn at_end_of(&self, drv: &StorePath, via: &[String]) -> Result<StorePath, Failure> {
        let mut drv = drv.clone();
        for name in via {
            let mut outputs = self.outputs(&drv, &OutputsSpec::Names([name.clone()].into()))?;
            drv = outputs.remove(name).ok_or_else(|| {
                Failure::misc(format!(
                    "output '{name}' of derivation '{}' is not known",
                    self.store.store_dir().print(&drv)
                ))
            })?;
        }
        Ok(drv)
    }

    /// The outputs of what was asked for; a path as it is has the name `out`.
    pub fn derived(&self, path: &DerivedPath) -> Result<BTreeMap<String, StorePath>, Failure> {
        match path {
            DerivedPath::Opaque(path) => Ok([("out".to_owned(), path.clone())].into()),
            DerivedPath::Built { drv, outputs } => self.outputs(drv, outputs),
            DerivedPath::Dynamic { drv, via, outputs } => {
                self.outputs(&self.at_end_of(drv, via)?, outputs)
            }
        }
    }
}

/// Each root's own failure, if it has one; that it was stopped only if there is no other.
pub(super) fn failure_of(
    store: &LocalStore,
    state: &State,
    (root, needs): &(DerivedPath, BTreeSet<Step>),
) -> Option<Failure> {
    let failures = || needs.iter().filter_map(|step| state.failed.get(step));
    let own = failures().find(|failure| failure.kind != FailureKind::Interrupted);
    own.or_else(|| failures().next()).cloned().or_else(|| {
        let path = root.store_path();
        state.plan.unknown.contains(path).then(|| {
            Failure::misc(format!(
                "path '{}' does not exist and cannot be created",
                store.store_dir().print(path)
            ))
        })
    })
}

/// What came of each root that is done or has failed.
pub(super) fn results(
    store: &LocalStore,
    state: &State,
    options: &BuildOptions,
) -> Vec<(DerivedPath, BuildResult)> {
    let result = |root: &(DerivedPath, BTreeSet<Step>)| {
        if let Some(failure) = failure_of(store, state, root) {
            return BuildResult::from(&failure);
        }
        if stopped(options) {
            let failure = Failure::new(FailureKind::Interrupted, "interrupted by the user");
            return BuildResult::from(&failure);
        }
        success(store, state, options, root).unwrap_or_else(|failure| BuildResult::from(&failure))
    };
    let kinds =
        || state.plan.roots.iter().filter_map(|root| Some(failure_of(store, state, root)?.kind));
    // The failed dependency is among what was asked for, and says more.
    let only_first = !options.keep_going
        && kinds()
            .any(|kind| !matches!(kind, FailureKind::Interrupted | FailureKind::DependencyFailed));
    let is_settled = |root: &&(DerivedPath, BTreeSet<Step>)| match failure_of(store, state, root) {
        Some(failure) if failure.kind == FailureKind::DependencyFailed => !only_first,
        Some(failure) => failure.kind != FailureKind::Interrupted,
        None => root.1.iter().all(|step| state.done.contains(step)),
    };
    let roots = state.plan.roots.iter().filter(|root| stopped(options) || is_settled(root));
    roots.map(|root| (root.0.clone(), result(root))).collect()
}

fn success(
    store: &LocalStore,
    state: &State,
    options: &BuildOptions,
    (root, _): &(DerivedPath, BTreeSet<Step>),
) -> Result<BuildResult, Failure> {
    let derivations = Derivations::new(store, options);
    let found = Found { store, derivations, plan: &state.plan, known: &state.known };
    let drv_path = match root {
        DerivedPath::Opaque(path) => {
            let fetched = state.fetched.contains(path);
            return Ok(BuildResult::new(match fetched {
                true => BuildStatus::Substituted,
                false => BuildStatus::AlreadyValid,
            }));
        }
        DerivedPath::Built { drv, .. } => drv.clone(),
        DerivedPath::Dynamic { drv, via, .. } => found.at_end_of(drv, via)?,
    };
    let outputs = found.derived(root)?;
    let mut result = match state.records.get(&drv_path) {
        Some(record) => BuildResult {
            times_built: u64::from(record.status == BuildStatus::Built),
            start_time: record.start,
            stop_time: record.stop,
            cpu_user: record.cpu.map(|cpu| cpu.user),
            cpu_system: record.cpu.map(|cpu| cpu.system),
            ..BuildResult::new(record.status)
        },
        None if outputs.values().any(|path| state.fetched.contains(path)) => {
            BuildResult::new(BuildStatus::Substituted)
        }
        None => BuildResult::new(BuildStatus::AlreadyValid),
    };
    let ids = found.derivations.output_ids(&found.derivation(&drv_path)?)?;
    for (name, path) in outputs {
        if let Some(id) = ids.get(&name) {
            let id: DrvOutput = id.clone();
            result.built_outputs.insert(name, Realisation::new(id, path));
        }
    }
    Ok(result)
}

/// Turns failures into the one error that ends the command.
pub(super) fn finish(
    store: &LocalStore,
    state: &State,
    logger: &Logger,
    options: &BuildOptions,
) -> Result<(), BuildError> {
    let dir = store.store_dir();
    let (plan, failed) = (&state.plan, &state.failed);
    let mut flags = ExitFlags::default();
    for failure in failed.values() {
        flags.add(failure.kind);
    }
    let mut tops: Vec<(StorePath, Failure)> = Vec::new();
    for root in &plan.roots {
        let path = root.0.store_path();
        if tops.iter().any(|(p, _)| p == path) {
            continue;
        }
        if let Some(failure) = failure_of(store, state, root) {
            tops.push((path.clone(), failure));
        }
    }
    if stopped(options) {
        return Err(BuildError {
            message: "interrupted by the user".into(),
            exit_code: 1,
            failed: tops.into_iter().map(|(path, _)| path).collect(),
            interrupted: true,
        });
    }
    // Without keep-going, what was stopped because of another failure has not failed by itself.
    tops.retain(|(_, failure)| failure.kind != FailureKind::Interrupted);
    if !options.keep_going && tops.iter().any(|(_, f)| f.kind != FailureKind::DependencyFailed) {
        // The failed dependency is among what was asked for, and says more.
        tops.retain(|(_, failure)| failure.kind != FailureKind::DependencyFailed);
    }
    if tops.is_empty() {
        return Ok(());
    }
    let paths: Vec<StorePath> = tops.iter().map(|(path, _)| path.clone()).collect();
    let exit_code = flags.exit_code();
    let mut failures = tops.into_iter();
    if let (1, Some((_, failure))) = (paths.len(), failures.next()) {
        return Err(BuildError {
            message: failure.message,
            exit_code,
            failed: paths,
            interrupted: false,
        });
    }
    // The scheduler has told of all but those that nothing else waited for.
    for (root, needs) in &plan.roots {
        if let Some(failure) = needs.iter().find_map(|step| failed.get(step))
            && paths.contains(root.store_path())
            && !is_needed(plan, needs)
        {
            logger.message(Level::Error, failure.message.clone());
        }
    }
    let mut list: Vec<String> = paths.iter().map(|path| format!("'{}'", dir.print(path))).collect();
    list.sort();
    Err(BuildError {
        message: format!("build of {} failed", list.join(", ")),
        exit_code,
        failed: paths,
        interrupted: false,
    })
}

/// Whether another step waits for one of these.
fn is_needed(plan: &Plan, steps: &BTreeSet<Step>) -> bool {
    plan.steps.values().any(|needs| needs.intersection(steps).next().is_some())
}
