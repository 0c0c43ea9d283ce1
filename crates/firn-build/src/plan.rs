//! What has to be done for some paths to be valid: which derivations to build, which paths to
//! fetch, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use firn_event::Logger;
use firn_model::derivation::Derivation;
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};

use crate::derived_path::{DerivedPath, OutputsSpec};
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind};
use crate::missing::Missing;
use crate::options::{BuildOptions, Mode};
use crate::substitute::Substitutable;

/// A step: something to build or to fetch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Build this derivation.
    Build(StorePath),
    /// Fetch this path.
    Fetch(StorePath),
}

/// What has to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Steps, and what each needs to be done before.
    pub(crate) steps: BTreeMap<Step, BTreeSet<Step>>,
    /// What each thing that was asked for needs.
    pub(crate) roots: Vec<(DerivedPath, BTreeSet<Step>)>,
    /// The derivations that were read.
    pub(crate) drvs: BTreeMap<StorePath, Derivation>,
    /// Derivations to build, each after those that it needs.
    pub will_build: Vec<StorePath>,
    /// Paths to fetch.
    pub will_fetch: BTreeMap<StorePath, Substitutable>,
    /// Paths that nobody can provide.
    pub unknown: BTreeSet<StorePath>,
    /// Derivations that cannot be what they say, with the reason.
    pub(crate) bad: BTreeMap<StorePath, Failure>,
}

impl Plan {
    /// Bytes to download.
    #[must_use]
    pub fn download_size(&self) -> u64 {
        self.will_fetch.values().map(|s| s.download_size).sum()
    }

    /// Bytes that what is fetched takes unpacked.
    #[must_use]
    pub fn nar_size(&self) -> u64 {
        self.will_fetch.values().map(|s| s.nar_size).sum()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.will_build.is_empty() && self.will_fetch.is_empty() && self.unknown.is_empty()
    }

    /// What a user is told of it.
    #[must_use]
    pub fn missing(&self) -> Missing {
        Missing {
            will_build: self.will_build.clone(),
            will_fetch: self.will_fetch.keys().cloned().collect(),
            unknown: self.unknown.clone(),
            download_size: self.download_size(),
            nar_size: self.nar_size(),
        }
    }
}

/// Finds out what has to be done for `wanted`.
///
/// # Errors
/// When the store cannot be read.
pub fn plan(
    store: &LocalStore,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
) -> firn_store::Result<Plan> {
    plan_without(store, wanted, options, logger, &BTreeSet::new())
}

/// As [`plan`], but nothing of `not_fetched` is fetched.
pub(crate) fn plan_without(
    store: &LocalStore,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
    not_fetched: &BTreeSet<StorePath>,
) -> firn_store::Result<Plan> {
    let mut planner = Planner {
        store,
        options,
        logger,
        not_fetched,
        plan: Plan::default(),
        wanted_outputs: BTreeMap::new(),
        substitutable: BTreeMap::new(),
        valid: BTreeMap::new(),
        missing_drvs: BTreeSet::new(),
    };
    planner.collect(wanted)?;
    for path in wanted {
        let needs = match path {
            DerivedPath::Opaque(path) => planner.path(path)?,
            DerivedPath::Built { drv, .. } => planner.derivation(drv, true)?,
        };
        planner.plan.roots.push((path.clone(), needs));
    }
    let mut plan = planner.plan;
    plan.will_build = build_order(&plan.steps);
    Ok(plan)
}

struct Planner<'a> {
    store: &'a LocalStore,
    options: &'a BuildOptions,
    logger: &'a Logger,
    not_fetched: &'a BTreeSet<StorePath>,
    plan: Plan,
    /// Which outputs of each derivation are needed by anybody.
    wanted_outputs: BTreeMap<StorePath, OutputsSpec>,
    substitutable: BTreeMap<StorePath, Option<Substitutable>>,
    valid: BTreeMap<StorePath, bool>,
    missing_drvs: BTreeSet<StorePath>,
}

impl Planner<'_> {
    fn is_valid(&mut self, path: &StorePath) -> firn_store::Result<bool> {
        if let Some(valid) = self.valid.get(path) {
            return Ok(*valid);
        }
        let valid = self.store.is_valid(path)?;
        self.valid.insert(path.clone(), valid);
        Ok(valid)
    }

    /// Reads all derivations that may have to be built and finds out what is substitutable, a level
    /// at a time, so that a cache is asked for many paths at once.
    fn collect(&mut self, wanted: &[DerivedPath]) -> firn_store::Result<()> {
        let mut level: Vec<(StorePath, OutputsSpec)> = Vec::new();
        let mut paths = BTreeSet::new();
        for path in wanted {
            match path {
                DerivedPath::Built { drv, outputs } => level.push((drv.clone(), outputs.clone())),
                DerivedPath::Opaque(path) => {
                    paths.insert(path.clone());
                }
            }
        }
        // In check mode what is asked for is built although it is valid; its inputs are not.
        let mut forced = self.options.mode == Mode::Check;
        self.ask(paths)?;
        while !level.is_empty() {
            let mut candidates = BTreeMap::new();
            let mut queries = BTreeSet::new();
            for (drv_path, outputs) in std::mem::take(&mut level) {
                match self.wanted_outputs.get_mut(&drv_path) {
                    Some(known) => {
                        let before = known.clone();
                        known.join(&outputs);
                        if *known == before {
                            continue;
                        }
                    }
                    None => {
                        self.wanted_outputs.insert(drv_path.clone(), outputs);
                    }
                }
                if !self.read(&drv_path)? {
                    queries.insert(drv_path);
                    continue;
                }
                let Some(missing) = self.missing(&drv_path, forced)? else { continue };
                if missing.is_empty() {
                    continue;
                }
                if self.may_substitute(&drv_path) && !forced {
                    queries.extend(missing.iter().cloned());
                }
                candidates.insert(drv_path, missing);
            }
            self.ask(queries)?;
            for (drv_path, missing) in candidates {
                if !forced && self.may_substitute(&drv_path) && self.all_known(&missing) {
                    continue;
                }
                let Some(drv) = self.plan.drvs.get(&drv_path) else { continue };
                level.extend(drv.input_drvs.iter().map(|(input, outputs)| {
                    (input.clone(), OutputsSpec::Names(outputs.outputs.clone()))
                }));
            }
            forced = false;
        }
        Ok(())
    }

    /// Whether the derivation could be read; keeps it.
    fn read(&mut self, path: &StorePath) -> firn_store::Result<bool> {
        if self.plan.drvs.contains_key(path) || self.plan.bad.contains_key(path) {
            return Ok(true);
        }
        if !self.is_valid(path)? {
            self.missing_drvs.insert(path.clone());
            return Ok(false);
        }
        match self.store.read_derivation(path) {
            Ok(drv) => {
                self.plan.drvs.insert(path.clone(), drv);
            }
            Err(error) => {
                self.plan.bad.insert(path.clone(), Failure::misc(error));
            }
        }
        Ok(true)
    }

    /// The wanted outputs of a derivation that are not valid. `None`: they are not known.
    fn missing(
        &mut self,
        drv_path: &StorePath,
        forced: bool,
    ) -> firn_store::Result<Option<Vec<StorePath>>> {
        let dir = self.store.store_dir();
        let Some(drv) = self.plan.drvs.get(drv_path) else { return Ok(None) };
        let outputs = match drv.output_paths(dir) {
            Ok(outputs) => outputs,
            Err(error) => {
                self.plan.bad.insert(drv_path.clone(), Failure::misc(error));
                return Ok(None);
            }
        };
        let wanted = self.wanted_outputs.get(drv_path).cloned().unwrap_or(OutputsSpec::All);
        if let OutputsSpec::Names(names) = &wanted
            && let Some(name) = names.iter().find(|name| !outputs.contains_key(*name))
        {
            let message = format!(
                "derivation '{}' does not have wanted outputs '{name}'",
                dir.print(drv_path)
            );
            self.plan
                .bad
                .insert(drv_path.clone(), Failure::new(FailureKind::InputRejected, message));
            return Ok(None);
        }
        let mut missing = Vec::new();
        for (name, path) in outputs {
            if !wanted.contains(&name) {
                continue;
            }
            let Some(path) = path else {
                let message = format!(
                    "the path of output '{name}' of derivation '{}' is not known before the build; such derivations cannot be built by this version",
                    dir.print(drv_path)
                );
                self.plan
                    .bad
                    .insert(drv_path.clone(), Failure::new(FailureKind::InputRejected, message));
                return Ok(None);
            };
            if forced || !self.is_valid(&path)? {
                missing.push(path);
            }
        }
        Ok(Some(missing))
    }

    fn may_substitute(&self, drv_path: &StorePath) -> bool {
        if self.options.substituter.is_none() {
            return false;
        }
        let Some(drv) = self.plan.drvs.get(drv_path) else { return true };
        self.options.always_allow_substitutes
            || DrvOptions::parse(drv, self.store.store_dir())
                .map_or(true, |options| options.allow_substitutes)
    }

    fn all_known(&self, paths: &[StorePath]) -> bool {
        paths.iter().all(|path| matches!(self.substitutable.get(path), Some(Some(_))))
    }

    /// Asks the substituter for what was not asked yet, and for all that it refers to.
    fn ask(&mut self, paths: BTreeSet<StorePath>) -> firn_store::Result<()> {
        let Some(substituter) = self.options.substituter.clone() else { return Ok(()) };
        let mut paths = paths;
        loop {
            let mut unasked = BTreeSet::new();
            for path in paths {
                if !self.substitutable.contains_key(&path)
                    && !self.not_fetched.contains(&path)
                    && !self.is_valid(&path)?
                {
                    unasked.insert(path);
                }
            }
            if unasked.is_empty() {
                return Ok(());
            }
            let mut answers = match substituter.query(&unasked) {
                Ok(answers) => answers,
                Err(error) => {
                    self.logger.warn(format!("{error}; going on without it"));
                    BTreeMap::new()
                }
            };
            paths = answers.values().flat_map(|s| s.references.iter().cloned()).collect();
            for path in unasked {
                let answer = answers.remove(&path);
                self.substitutable.insert(path, answer);
            }
        }
    }

    /// What has to be done for a path as it is.
    fn path(&mut self, path: &StorePath) -> firn_store::Result<BTreeSet<Step>> {
        if self.is_valid(path)? {
            return Ok(BTreeSet::new());
        }
        if let Some(Some(_)) = self.substitutable.get(path) {
            return self.fetch(path);
        }
        self.plan.unknown.insert(path.clone());
        Ok(BTreeSet::new())
    }

    fn fetch(&mut self, start: &StorePath) -> firn_store::Result<BTreeSet<Step>> {
        // Closures may be deep, so this is a loop and no recursion.
        let mut left = vec![start.clone()];
        while let Some(path) = left.pop() {
            let step = Step::Fetch(path.clone());
            if self.plan.steps.contains_key(&step) {
                continue;
            }
            let Some(Some(info)) = self.substitutable.get(&path).cloned() else {
                self.plan.unknown.insert(path);
                continue;
            };
            let mut needs = BTreeSet::new();
            for reference in &info.references {
                if *reference != path && !self.is_valid(reference)? {
                    needs.insert(Step::Fetch(reference.clone()));
                    left.push(reference.clone());
                }
            }
            self.plan.will_fetch.insert(path, info);
            self.plan.steps.insert(step, needs);
        }
        Ok([Step::Fetch(start.clone())].into())
    }

    /// What has to be done for the wanted outputs of a derivation.
    fn derivation(&mut self, root: &StorePath, top: bool) -> firn_store::Result<BTreeSet<Step>> {
        let mut results: BTreeMap<StorePath, BTreeSet<Step>> = BTreeMap::new();
        let mut stack = vec![(root.clone(), false)];
        while let Some((drv_path, entered)) = stack.pop() {
            if results.contains_key(&drv_path) {
                continue;
            }
            let forced = top && drv_path == *root && self.options.mode == Mode::Check;
            if !entered {
                match self.leaf(&drv_path, forced)? {
                    Some(needs) => {
                        results.insert(drv_path, needs);
                    }
                    None => {
                        let inputs: Vec<StorePath> = self
                            .plan
                            .drvs
                            .get(&drv_path)
                            .map(|drv| drv.input_drvs.keys().cloned().collect())
                            .unwrap_or_default();
                        stack.push((drv_path, true));
                        stack.extend(inputs.into_iter().map(|input| (input, false)));
                    }
                }
                continue;
            }
            let step = Step::Build(drv_path.clone());
            let mut needs = BTreeSet::new();
            let (inputs, sources) = match self.plan.drvs.get(&drv_path) {
                Some(drv) => (
                    drv.input_drvs.keys().cloned().collect::<Vec<_>>(),
                    drv.input_srcs.iter().cloned().collect::<Vec<_>>(),
                ),
                None => Default::default(),
            };
            for input in inputs {
                needs.extend(results.get(&input).cloned().unwrap_or_default());
            }
            for source in sources {
                if !self.is_valid(&source)? {
                    if let Some(Some(_)) = self.substitutable.get(&source) {
                        needs.extend(self.fetch(&source)?);
                    } else {
                        self.ask([source.clone()].into())?;
                        if let Some(Some(_)) = self.substitutable.get(&source) {
                            needs.extend(self.fetch(&source)?);
                        } else {
                            let dir = self.store.store_dir();
                            let message = format!(
                                "dependency '{}' of '{}' does not exist, and substitution is disabled",
                                dir.print(&source),
                                dir.print(&drv_path)
                            );
                            self.plan.bad.insert(drv_path.clone(), Failure::misc(message));
                        }
                    }
                }
            }
            self.plan.steps.insert(step.clone(), needs);
            results.insert(drv_path, [step].into());
        }
        Ok(results.remove(root).unwrap_or_default())
    }

    /// The steps for a derivation that need not look at its inputs; `None` if it must be built.
    fn leaf(
        &mut self,
        drv_path: &StorePath,
        forced: bool,
    ) -> firn_store::Result<Option<BTreeSet<Step>>> {
        let step = Step::Build(drv_path.clone());
        if self.plan.steps.contains_key(&step) {
            return Ok(Some([step].into()));
        }
        if self.missing_drvs.contains(drv_path) {
            self.plan.unknown.insert(drv_path.clone());
            return Ok(Some(BTreeSet::new()));
        }
        if self.plan.bad.contains_key(drv_path) {
            self.plan.steps.insert(step.clone(), BTreeSet::new());
            return Ok(Some([step].into()));
        }
        let Some(missing) = self.missing(drv_path, forced)? else {
            self.plan.steps.insert(step.clone(), BTreeSet::new());
            return Ok(Some([step].into()));
        };
        if missing.is_empty() {
            return Ok(Some(BTreeSet::new()));
        }
        if !forced && self.may_substitute(drv_path) && self.all_known(&missing) {
            let mut needs = BTreeSet::new();
            for path in missing {
                needs.extend(self.fetch(&path)?);
            }
            return Ok(Some(needs));
        }
        Ok(None)
    }
}

/// The derivations among the steps, each after those it needs; otherwise by name.
fn build_order(steps: &BTreeMap<Step, BTreeSet<Step>>) -> Vec<StorePath> {
    let mut order = Vec::new();
    let mut done: BTreeSet<&Step> = BTreeSet::new();
    let mut starts: Vec<&Step> = steps.keys().collect();
    starts.sort_by_key(|step| match step {
        Step::Build(path) | Step::Fetch(path) => (path.name(), path.hash_part()),
    });
    for start in starts {
        let mut stack = vec![(start, false)];
        while let Some((step, entered)) = stack.pop() {
            if done.contains(step) {
                continue;
            }
            if entered {
                done.insert(step);
                if let Step::Build(path) = step {
                    order.push(path.clone());
                }
                continue;
            }
            stack.push((step, true));
            if let Some(needs) = steps.get(step) {
                stack.extend(needs.iter().filter(|n| steps.contains_key(*n)).map(|n| (n, false)));
            }
        }
    }
    order
}
