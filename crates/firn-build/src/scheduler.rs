//! The scheduler: works through a [`Plan`] with several threads.
//!
//! A step is ready when all that it needs is done. Of the ready steps, the one with the longest
//! chain of steps behind it goes first, so that the critical path is kept busy. After a failure
//! everything that needs it fails; without `keep-going` everything else is stopped too.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firn_event::{Activity, ActivityKind, Field, Level, Logger, Report};
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};
use parking_lot::{Condvar, Mutex};

use crate::builder::{Job, StopFlag, show_outputs};
use crate::derived_path::DerivedPath;
use crate::error::{BuildError, ExitFlags, Failure, FailureKind};
use crate::options::{BuildOptions, Mode};
use crate::plan::{Plan, Step, plan_without};

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

/// Makes all of `wanted` valid. `logger` hears of every step, and of every failure but one that is
/// alone and is the error.
///
/// # Errors
/// When not everything could be had; the error has the exit code for a command.
pub fn build_paths(
    store: &LocalStore,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
) -> Result<BuildResults, BuildError> {
    let mut results = BuildResults::default();
    let mut not_fetched = BTreeSet::new();
    loop {
        let plan = plan_without(store, wanted, options, logger, &not_fetched)?;
        if options.mode == Mode::Check {
            refuse_to_check_what_is_not_there(store, &plan)?;
        }
        let scheduler = Scheduler::new(store, options, logger, &plan);
        scheduler.run();
        let state = scheduler.state.into_inner();
        results.built.extend(state.built);
        results.fetched.extend(state.fetched);
        let again: BTreeSet<StorePath> =
            state.unfetched.difference(&not_fetched).cloned().collect();
        if options.fallback && !again.is_empty() && !stopped(options) {
            not_fetched.extend(again);
            continue;
        }
        finish(store, &plan, &state.failed, logger, options)?;
        for path in wanted {
            results.outputs.push((path.clone(), outputs_of(store, &plan, path)?));
        }
        return Ok(results);
    }
}

fn stopped(options: &BuildOptions) -> bool {
    options.cancel.load(Ordering::Relaxed)
}

fn refuse_to_check_what_is_not_there(store: &LocalStore, plan: &Plan) -> Result<(), BuildError> {
    for (root, _) in &plan.roots {
        let DerivedPath::Built { drv, outputs: wanted } = root else { continue };
        let Some(parsed) = plan.drvs.get(drv) else { continue };
        let outputs = parsed.output_paths(store.store_dir()).map_err(BuildError::other)?;
        let mut missing = Vec::new();
        for (name, path) in outputs {
            let Some(path) = path.filter(|_| wanted.contains(&name)) else { continue };
            if !store.is_valid(&path)? {
                missing.push(format!("'{}'", store.store_dir().print(&path)));
            }
        }
        if !missing.is_empty() {
            return Err(BuildError::other(format!(
                "some outputs of '{}' are not valid, so checking is not possible",
                store.store_dir().print(drv)
            )));
        }
    }
    Ok(())
}

fn outputs_of(
    store: &LocalStore,
    plan: &Plan,
    path: &DerivedPath,
) -> Result<BTreeMap<String, StorePath>, BuildError> {
    match path {
        DerivedPath::Opaque(path) => Ok([("out".to_owned(), path.clone())].into()),
        DerivedPath::Built { drv, outputs } => {
            let Some(parsed) = plan.drvs.get(drv) else { return Ok(BTreeMap::new()) };
            let all = parsed.output_paths(store.store_dir()).map_err(BuildError::other)?;
            Ok(all
                .into_iter()
                .filter(|(name, _)| outputs.contains(name))
                .filter_map(|(name, path)| Some((name, path?)))
                .collect())
        }
    }
}

/// Turns failures into the one error that ends the command.
fn finish(
    store: &LocalStore,
    plan: &Plan,
    failed: &BTreeMap<Step, Failure>,
    logger: &Logger,
    options: &BuildOptions,
) -> Result<(), BuildError> {
    let dir = store.store_dir();
    let mut flags = ExitFlags::default();
    for failure in failed.values() {
        flags.add(failure.kind);
    }
    let mut tops: Vec<(StorePath, Failure)> = Vec::new();
    for (root, needs) in &plan.roots {
        let path = root.store_path();
        if tops.iter().any(|(p, _)| p == path) {
            continue;
        }
        let failure = needs.iter().find_map(|step| failed.get(step)).cloned().or_else(|| {
            plan.unknown.contains(path).then(|| {
                Failure::misc(format!(
                    "path '{}' does not exist and cannot be created",
                    dir.print(path)
                ))
            })
        });
        if let Some(failure) = failure {
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

struct State {
    /// What each step still waits for.
    waiting: BTreeMap<Step, usize>,
    ready_builds: BinaryHeap<(u64, std::cmp::Reverse<Step>)>,
    ready_fetches: BinaryHeap<(u64, std::cmp::Reverse<Step>)>,
    /// Steps that are neither done nor failed.
    left: usize,
    running_builds: u64,
    running_fetches: u64,
    failed: BTreeMap<Step, Failure>,
    unfetched: BTreeSet<StorePath>,
    built: Vec<StorePath>,
    fetched: Vec<StorePath>,
    failed_builds: u64,
    failed_fetches: u64,
}

struct Scheduler<'a> {
    store: &'a LocalStore,
    options: &'a BuildOptions,
    logger: &'a Logger,
    plan: &'a Plan,
    dependents: BTreeMap<Step, Vec<Step>>,
    ranks: BTreeMap<Step, u64>,
    builds: Activity,
    fetches: Activity,
    /// Lives as long as the work does.
    _realise: Activity,
    state: Mutex<State>,
    changed: Condvar,
    stop: StopFlag,
}

impl<'a> Scheduler<'a> {
    fn new(
        store: &'a LocalStore,
        options: &'a BuildOptions,
        logger: &'a Logger,
        plan: &'a Plan,
    ) -> Self {
        let mut dependents: BTreeMap<Step, Vec<Step>> = BTreeMap::new();
        let mut waiting = BTreeMap::new();
        for (step, needs) in &plan.steps {
            let needs: Vec<&Step> = needs.iter().filter(|n| plan.steps.contains_key(*n)).collect();
            waiting.insert(step.clone(), needs.len());
            for need in needs {
                dependents.entry(need.clone()).or_default().push(step.clone());
            }
        }
        let ranks = ranks(plan, &dependents);
        let realise = logger.start(ActivityKind::Realise, Level::Debug, "", vec![], 0);
        let builds = logger.start(ActivityKind::Builds, Level::Debug, "", vec![], realise.id());
        let fetches = logger.start(ActivityKind::CopyPaths, Level::Debug, "", vec![], realise.id());
        if plan.download_size() > 0 {
            let expected = |kind, size| realise.report(Report::SetExpected(kind, size));
            expected(ActivityKind::FileTransfer, plan.download_size());
            expected(ActivityKind::CopyPath, plan.nar_size());
        }
        let scheduler = Self {
            store,
            options,
            logger,
            plan,
            dependents,
            ranks,
            builds,
            fetches,
            _realise: realise,
            state: Mutex::new(State {
                left: plan.steps.len(),
                waiting,
                ready_builds: BinaryHeap::new(),
                ready_fetches: BinaryHeap::new(),
                running_builds: 0,
                running_fetches: 0,
                failed: BTreeMap::new(),
                unfetched: BTreeSet::new(),
                built: Vec::new(),
                fetched: Vec::new(),
                failed_builds: 0,
                failed_fetches: 0,
            }),
            changed: Condvar::new(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        {
            let mut state = scheduler.state.lock();
            let free: Vec<Step> = state
                .waiting
                .iter()
                .filter(|(_, needs)| **needs == 0)
                .map(|(step, _)| step.clone())
                .collect();
            for step in free {
                scheduler.make_ready(&mut state, step);
            }
            scheduler.report(&state);
        }
        scheduler
    }

    fn make_ready(&self, state: &mut State, step: Step) {
        let rank = self.ranks.get(&step).copied().unwrap_or(0);
        let heap = match step {
            Step::Build(_) => &mut state.ready_builds,
            Step::Fetch(_) => &mut state.ready_fetches,
        };
        heap.push((rank, std::cmp::Reverse(step)));
    }

    fn report(&self, state: &State) {
        let count = |is: fn(&Step) -> bool| self.plan.steps.keys().filter(|s| is(s)).count() as u64;
        self.builds.report(Report::Progress {
            done: state.built.len() as u64,
            expected: count(|s| matches!(s, Step::Build(_))),
            running: state.running_builds,
            failed: state.failed_builds,
        });
        self.fetches.report(Report::Progress {
            done: state.fetched.len() as u64,
            expected: count(|s| matches!(s, Step::Fetch(_))),
            running: state.running_fetches,
            failed: state.failed_fetches,
        });
    }

    fn run(&self) {
        if self.plan.steps.is_empty() {
            return;
        }
        let builds = self.plan.will_build.len();
        let fetches = self.plan.will_fetch.len();
        if builds > 0 && self.options.max_jobs == 0 {
            self.fail_all_builds();
        }
        std::thread::scope(|scope| {
            for _ in 0..self.options.max_jobs.min(builds) {
                scope.spawn(|| self.work(true));
            }
            for _ in 0..self.options.max_substitution_jobs.min(fetches) {
                scope.spawn(|| self.work(false));
            }
        });
    }

    fn fail_all_builds(&self) {
        let mut state = self.state.lock();
        let failure = Failure::new(
            FailureKind::InputRejected,
            "Unable to start any build; either increase '--max-jobs' or enable remote builds.\n\n\
             For more information run 'man nix.conf' and search for '/machines'.",
        );
        for drv in &self.plan.will_build {
            if state.failed.insert(Step::Build(drv.clone()), failure.clone()).is_none() {
                state.left -= 1;
            }
        }
        state.ready_builds.clear();
    }

    /// What a thread does: takes a ready step, does it, until none is left.
    fn work(&self, builds: bool) {
        loop {
            let step = {
                let mut state = self.state.lock();
                loop {
                    if state.left == 0 || self.must_stop() {
                        self.changed.notify_all();
                        return;
                    }
                    let heap =
                        if builds { &mut state.ready_builds } else { &mut state.ready_fetches };
                    if let Some((_, std::cmp::Reverse(step))) = heap.pop() {
                        if state.failed.contains_key(&step) {
                            continue;
                        }
                        if builds {
                            state.running_builds += 1;
                        } else {
                            state.running_fetches += 1;
                        }
                        self.report(&state);
                        break step;
                    }
                    // The user's wish to stop wakes nobody, so look now and then.
                    self.changed.wait_for(&mut state, Duration::from_millis(100));
                }
            };
            let result =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.perform(&step)))
                    .unwrap_or_else(|_| {
                        Err(Failure::misc(
                            "a bug in this program stopped the build; please report it",
                        ))
                    });
            self.done(&step, result, builds);
        }
    }

    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || stopped(self.options)
    }

    /// Does a step; whether there was anything to do.
    fn perform(&self, step: &Step) -> Result<bool, Failure> {
        match step {
            Step::Build(drv_path) => {
                if let Some(failure) = self.plan.bad.get(drv_path) {
                    return Err(failure.clone());
                }
                let Some(drv) = self.plan.drvs.get(drv_path) else {
                    return Err(Failure::misc("the derivation was not read"));
                };
                // Inputs of what is checked are built as usual.
                let top = self.plan.roots.iter().any(|(root, _)| root.store_path() == drv_path);
                let normal;
                let options = if self.options.mode == Mode::Check && !top {
                    normal = BuildOptions { mode: Mode::Normal, ..self.options.clone() };
                    &normal
                } else {
                    self.options
                };
                Job {
                    store: self.store,
                    options,
                    logger: self.logger,
                    // programs that read these events expect builds to be part of nothing
                    parent: 0,
                    drv_path,
                    drv,
                    stop: &self.stop,
                }
                .run()
                .map(|built| built.built)
            }
            Step::Fetch(path) => {
                let Some(substituter) = &self.options.substituter else { return Ok(false) };
                self.store.add_temp_root(path)?;
                let shown = self.store.store_dir().print(path);
                let activity = self.logger.start(
                    ActivityKind::Substitute,
                    Level::Info,
                    format!("fetching '{shown}'"),
                    vec![Field::Text(shown), Field::Text(String::new())],
                    self.fetches.id(),
                );
                substituter.fetch(path, self.store, self.logger, activity.id())?;
                Ok(true)
            }
        }
    }

    fn done(&self, step: &Step, result: Result<bool, Failure>, builds: bool) {
        let mut state = self.state.lock();
        if builds {
            state.running_builds -= 1;
        } else {
            state.running_fetches -= 1;
        }
        match result {
            Ok(_) => {
                state.left -= 1;
                match step {
                    Step::Build(drv) => state.built.push(drv.clone()),
                    Step::Fetch(path) => state.fetched.push(path.clone()),
                }
                self.settle(&mut state, step);
            }
            Err(failure) => self.fail(&mut state, step, failure),
        }
        self.report(&state);
        self.changed.notify_all();
    }

    /// Notes a failure and lets everything fail that needs this step.
    fn fail(&self, state: &mut State, step: &Step, failure: Failure) {
        if failure.kind == FailureKind::Interrupted {
            state.failed.insert(step.clone(), failure);
            state.left -= 1;
            return;
        }
        match step {
            Step::Build(_) => state.failed_builds += 1,
            Step::Fetch(path) => {
                state.failed_fetches += 1;
                state.unfetched.insert(path.clone());
            }
        }
        let tried_again = self.options.fallback && matches!(step, Step::Fetch(_));
        if !(self.options.keep_going || tried_again) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.fail_one(state, step, failure);
        self.settle(state, step);
    }

    /// Notes one failure. What others wait for is told now; the last failure becomes the command's
    /// error.
    fn fail_one(&self, state: &mut State, step: &Step, failure: Failure) {
        if self.dependents.get(step).is_some_and(|d| !d.is_empty()) {
            self.logger.message(Level::Error, failure.message.clone());
        }
        if state.failed.insert(step.clone(), failure).is_none() {
            state.left -= 1;
        }
    }

    /// Tells those that wait for `done`, which is done or has failed. A step fails when all that it
    /// needs is settled and something failed, or at once where nothing more will be done.
    fn settle(&self, state: &mut State, done: &Step) {
        let mut settled = vec![done.clone()];
        while let Some(step) = settled.pop() {
            for dependent in self.dependents.get(&step).into_iter().flatten() {
                let Some(waiting) = state.waiting.get_mut(dependent) else { continue };
                *waiting = waiting.saturating_sub(1);
                let waits = *waiting > 0;
                if state.failed.contains_key(dependent) {
                    continue;
                }
                let failed = self.plan.steps.get(dependent).map_or(0, |needs| {
                    needs.iter().filter(|n| state.failed.contains_key(*n)).count()
                });
                if failed > 0 && (!waits || self.stop.load(Ordering::Relaxed)) {
                    let failure = self.dependency_failed(dependent, failed);
                    self.fail_one(state, dependent, failure);
                    settled.push(dependent.clone());
                } else if failed == 0 && !waits {
                    self.make_ready(state, dependent.clone());
                }
            }
        }
    }

    fn dependency_failed(&self, step: &Step, failed: usize) -> Failure {
        let dir = self.store.store_dir();
        let message = match step {
            Step::Build(drv_path) => {
                let noun = if failed == 1 { "dependency" } else { "dependencies" };
                let mut message = format!(
                    "Cannot build '{}'.\nReason: {failed} {noun} failed.",
                    dir.print(drv_path)
                );
                if let Some(drv) = self.plan.drvs.get(drv_path) {
                    message.push_str(&show_outputs(self.store, drv));
                }
                message
            }
            Step::Fetch(path) => {
                format!("some references of path '{}' could not be realised", dir.print(path))
            }
        };
        Failure::new(FailureKind::DependencyFailed, message)
    }
}

/// How long the longest chain of steps behind each step is.
fn ranks(plan: &Plan, dependents: &BTreeMap<Step, Vec<Step>>) -> BTreeMap<Step, u64> {
    let mut ranks: BTreeMap<Step, u64> = BTreeMap::new();
    for start in plan.steps.keys() {
        let mut stack = vec![(start, false)];
        while let Some((step, entered)) = stack.pop() {
            if ranks.contains_key(step) {
                continue;
            }
            let after = dependents.get(step).map_or(&[][..], Vec::as_slice);
            if entered {
                // A build counts more than a download.
                let own = if matches!(step, Step::Build(_)) { 10 } else { 1 };
                let longest = after.iter().filter_map(|d| ranks.get(d)).max().copied();
                ranks.insert(step.clone(), own + longest.unwrap_or(0));
            } else {
                stack.push((step, true));
                stack.extend(after.iter().map(|d| (d, false)));
            }
        }
    }
    ranks
}
