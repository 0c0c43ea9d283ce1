//! The scheduler: works through a [`Plan`] with several threads.
//!
//! A step is ready when all that it needs is done. Of the ready steps, the one with the longest
//! time of work behind it goes first, as far as earlier builds tell, so that the critical path is kept busy. A step that finds that more has to
//! be done before it adds that to the plan and waits. After a failure everything that needs it fails; without
//! `keep-going` everything else is stopped too.

mod perform;
mod ranks;
mod results;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firn_event::{Activity, ActivityKind, Level, Logger, Report};
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};
use parking_lot::{Condvar, Mutex};

use self::perform::Outcome;
use self::ranks::{Times, own_rank, ranks};
use self::results::{Found, Record};
use crate::builder::{StopFlag, show_outputs};
use crate::derivations::Derivations;
use crate::derived_path::{DerivedPath, OutputsSpec};
use crate::error::{BuildError, Failure, FailureKind};
use crate::history::History;
use crate::hook::Slots;
use crate::options::{BuildOptions, Mode};
use crate::plan::{Known, Plan, Step, named, plan_without};
use crate::repair::Damage;
use crate::result::BuildResult;

pub use results::BuildResults;

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
    let state = work(store, wanted, options, logger)?;
    results::finish(store, &state, logger, options)?;
    let mut results = BuildResults::default();
    let derivations = Derivations::new(store, options);
    let found = Found { store, derivations, plan: &state.plan, known: &state.known };
    for path in wanted {
        results.outputs.push((path.clone(), found.derived(path)?));
    }
    results.built = state.built;
    results.fetched = state.fetched;
    Ok(results)
}

/// As [`build_paths`], but tells what came of each of `wanted`, in the same order, where that one would fail. What
/// was not finished since something else had failed is left out.
///
/// # Errors
/// When it could not be found out what has to be done.
pub fn build_paths_with_results(
    store: &LocalStore,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
) -> Result<Vec<(DerivedPath, BuildResult)>, BuildError> {
    let state = work(store, wanted, options, logger)?;
    Ok(results::results(store, &state, options))
}

/// Does what can be done; what failed stands in the state.
fn work(
    store: &LocalStore,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
) -> Result<State, BuildError> {
    let (forced, wanted) = match options.mode {
        Mode::Normal => (BTreeSet::new(), wanted.to_vec()),
        Mode::Check => (named(wanted), wanted.to_vec()),
        Mode::Repair => {
            let damage = Damage::find(store, wanted, logger)?;
            let drvs = damage.fetch_paths(store, options, logger)?;
            let again = drvs.iter().cloned().map(DerivedPath::all_outputs);
            let again: Vec<DerivedPath> = again.filter(|path| !wanted.contains(path)).collect();
            let all = wanted.iter().cloned().chain(again).collect();
            (drvs, all)
        }
    };
    let mut not_fetched = BTreeSet::new();
    let (mut built, mut fetched) = (Vec::new(), Vec::new());
    loop {
        let plan = plan_without(store, &wanted, options, logger, &not_fetched, &forced)?;
        if options.mode == Mode::Check {
            refuse_to_check_what_is_not_there(store, options, &plan)?;
        }
        let scheduler = Scheduler::new(store, options, logger, plan, &not_fetched);
        scheduler.run();
        let mut state = scheduler.state.into_inner();
        built.append(&mut state.built);
        fetched.append(&mut state.fetched);
        let again: BTreeSet<StorePath> =
            state.unfetched.difference(&not_fetched).cloned().collect();
        // what is lost is as if it had never been there
        let may_build = options.fallback || state.failed_fetches == state.gone_fetches;
        if may_build && !again.is_empty() && !stopped(options) {
            not_fetched.extend(again);
            continue;
        }
        return Ok(State { built, fetched, ..state });
    }
}

fn stopped(options: &BuildOptions) -> bool {
    options.cancel.load(Ordering::Relaxed)
}

fn refuse_to_check_what_is_not_there(
    store: &LocalStore,
    options: &BuildOptions,
    plan: &Plan,
) -> Result<(), BuildError> {
    for (root, _) in &plan.roots {
        let DerivedPath::Built { drv, outputs: wanted } = root else { continue };
        let Some(parsed) = plan.drvs.get(drv) else { continue };
        for (name, path) in Derivations::new(store, options).known_outputs(parsed)? {
            if !wanted.contains(&name) {
                continue;
            }
            let valid = match path {
                Some(path) => store.is_valid(&path)?,
                None => false,
            };
            if !valid {
                return Err(BuildError::other(format!(
                    "some outputs of '{}' are not valid, so checking is not possible\n\
                     Hint: --rebuild and --check error if the derivation was not previously built and cannot be substituted.\n      \
                     Remove it to perform a fresh build, or use --repair to rewrite missing or corrupted builds in the store.",
                    store.store_dir().print(drv)
                )));
            }
        }
    }
    Ok(())
}

/// How many builds may be on other machines at a time.
const BUILDS_ELSEWHERE: usize = 64;
/// How often it is looked whether it is time to look how much space is left.
const SPACE_CHECK: Duration = Duration::from_millis(500);

/// A step that waits for nothing but a thread: what is behind it, and its name where that is equal.
type Ready = (u64, Reverse<(String, Step)>);

struct State {
    plan: Plan,
    /// Outputs that were made or found.
    known: Arc<Known>,
    records: BTreeMap<StorePath, Record>,
    /// What derivations were resolved to.
    resolved: BTreeMap<StorePath, StorePath>,
    /// Who waits for each step.
    dependents: BTreeMap<Step, Vec<Step>>,
    ranks: BTreeMap<Step, u64>,
    /// What each step still waits for.
    waiting: BTreeMap<Step, usize>,
    ready_builds: BinaryHeap<Ready>,
    ready_fetches: BinaryHeap<Ready>,
    /// How long builds may take that are neither done nor failed.
    times: Times,
    /// Steps in work, with when they began.
    running: BTreeMap<Step, Instant>,
    /// Steps that are neither done nor failed.
    left: usize,
    running_builds: u64,
    running_fetches: u64,
    done: BTreeSet<Step>,
    failed: BTreeMap<Step, Failure>,
    unfetched: BTreeSet<StorePath>,
    built: Vec<StorePath>,
    fetched: Vec<StorePath>,
    failed_builds: u64,
    failed_fetches: u64,
    /// How many of these failed because what was promised was not there.
    gone_fetches: u64,
    expected_builds: u64,
    expected_fetches: u64,
}

impl State {
    fn make_ready(&mut self, step: Step) {
        let rank = self.ranks.get(&step).copied().unwrap_or(0);
        let heap = match step {
            Step::Fetch(_) => &mut self.ready_fetches,
            Step::Build(_) | Step::Realise(..) | Step::Obtain(_) => &mut self.ready_builds,
        };
        heap.push((rank, Reverse((step.name().to_owned(), step))));
    }

    fn expect(&mut self, step: &Step, history: &History) {
        match step {
            Step::Build(drv) => {
                self.expected_builds += 1;
                let time = self.plan.drvs.get(drv).and_then(|drv| history.estimate(drv));
                self.times.insert(step, time);
            }
            Step::Fetch(_) => self.expected_fetches += 1,
            Step::Realise(..) | Step::Obtain(_) => {}
        }
    }

    /// How many of `needs` are not settled; `step` is told when they are.
    fn wait_for(&mut self, step: &Step, needs: &BTreeSet<Step>) -> usize {
        let mut count = 0;
        for need in needs {
            let settled = self.done.contains(need) || self.failed.contains_key(need);
            if self.plan.steps.contains_key(need) && !settled {
                self.dependents.entry(need.clone()).or_default().push(step.clone());
                count += 1;
            }
        }
        count
    }

    /// Does builds again that are done, but of which more outputs are wanted than are known: of a derivation that
    /// resolved to another, not all need be there.
    fn reopen(&mut self, wanted: &BTreeMap<StorePath, OutputsSpec>) -> Vec<Step> {
        let mut again = Vec::new();
        for (drv, outputs) in wanted {
            let step = Step::Build(drv.clone());
            let known = self.known.get(drv);
            let has = |name: &String| known.is_some_and(|known| known.contains_key(name));
            let all = match (outputs, self.plan.drvs.get(drv)) {
                (OutputsSpec::Names(names), _) => names.iter().all(has),
                (OutputsSpec::All, Some(drv)) => drv.outputs.keys().all(has),
                (OutputsSpec::All, None) => true,
            };
            if !all && self.done.remove(&step) {
                self.left += 1;
                self.waiting.insert(step.clone(), 0);
                // who waited for it has been told
                self.dependents.remove(&step);
                again.push(step);
            }
        }
        again
    }

    /// Adds the steps of another plan that are not there yet; gives those that wait for nothing.
    fn merge(&mut self, more: Plan, rank: u64, history: &History) -> Vec<Step> {
        let Plan { steps, drvs, wanted, forced, realisations, will_fetch, unknown, bad, .. } = more;
        self.plan.drvs.extend(drvs);
        self.plan.forced.extend(forced);
        self.plan.realisations.extend(realisations);
        self.plan.will_fetch.extend(will_fetch);
        self.plan.unknown.extend(unknown);
        self.plan.bad.extend(bad);
        let mut free = self.reopen(&wanted);
        for (drv, outputs) in wanted {
            self.plan.wanted.entry(drv).and_modify(|w| w.join(&outputs)).or_insert(outputs);
        }
        let new: Vec<(Step, BTreeSet<Step>)> =
            steps.into_iter().filter(|(step, _)| !self.plan.steps.contains_key(step)).collect();
        for (step, needs) in &new {
            self.plan.steps.insert(step.clone(), needs.clone());
            if rank > 0 {
                let own = own_rank(&self.plan, history, step);
                self.ranks.insert(step.clone(), rank.saturating_add(own));
            }
            self.left += 1;
            self.expect(step, history);
        }
        for (step, needs) in new {
            let count = self.wait_for(&step, &needs);
            self.waiting.insert(step.clone(), count);
            if count == 0 {
                free.push(step);
            }
        }
        free
    }
}

struct Scheduler<'a> {
    store: &'a LocalStore,
    options: &'a BuildOptions,
    logger: &'a Logger,
    not_fetched: &'a BTreeSet<StorePath>,
    builds: Activity,
    fetches: Activity,
    /// Lives as long as the work does.
    _realise: Activity,
    state: Mutex<State>,
    changed: Condvar,
    stop: StopFlag,
    slots: Slots,
    history: History,
    /// Held by the thread that takes the next of the first builds, until its builder runs.
    turn: Mutex<()>,
    /// How many steps of builds were taken.
    begun: AtomicUsize,
    /// What was last told of the time that all builds may still take.
    told_left: AtomicU64,
}

impl<'a> Scheduler<'a> {
    fn new(
        store: &'a LocalStore,
        options: &'a BuildOptions,
        logger: &'a Logger,
        plan: Plan,
        not_fetched: &'a BTreeSet<StorePath>,
    ) -> Self {
        let realise = logger.start(ActivityKind::Realise, Level::Debug, "", vec![], 0);
        let builds = logger.start(ActivityKind::Builds, Level::Debug, "", vec![], realise.id());
        let fetches = logger.start(ActivityKind::CopyPaths, Level::Debug, "", vec![], realise.id());
        if plan.download_size() > 0 {
            let expected = |kind, size| realise.report(Report::SetExpected(kind, size));
            expected(ActivityKind::FileTransfer, plan.download_size());
            expected(ActivityKind::CopyPath, plan.nar_size());
        }
        let mut dependents: BTreeMap<Step, Vec<Step>> = BTreeMap::new();
        let mut waiting = BTreeMap::new();
        for (step, needs) in &plan.steps {
            let needs: Vec<&Step> = needs.iter().filter(|n| plan.steps.contains_key(*n)).collect();
            waiting.insert(step.clone(), needs.len());
            for need in needs {
                dependents.entry(need.clone()).or_default().push(step.clone());
            }
        }
        let builds_any = plan.steps.keys().any(|step| matches!(step, Step::Build(_)));
        let history = match builds_any {
            true => History::read(&store.layout().state_dir),
            false => History::default(),
        };
        let mut state = State {
            // With one job the order makes no difference for when all is done: then it is that of names.
            ranks: match options.max_jobs {
                0 | 1 => BTreeMap::new(),
                _ => ranks(&plan, &history, &dependents),
            },
            times: Times::default(),
            running: BTreeMap::new(),
            left: plan.steps.len(),
            dependents,
            waiting,
            known: Arc::default(),
            records: BTreeMap::new(),
            resolved: BTreeMap::new(),
            ready_builds: BinaryHeap::new(),
            ready_fetches: BinaryHeap::new(),
            running_builds: 0,
            running_fetches: 0,
            done: BTreeSet::new(),
            failed: BTreeMap::new(),
            unfetched: BTreeSet::new(),
            built: Vec::new(),
            fetched: Vec::new(),
            failed_builds: 0,
            failed_fetches: 0,
            gone_fetches: 0,
            expected_builds: 0,
            expected_fetches: 0,
            plan,
        };
        let steps: Vec<Step> = state.plan.steps.keys().cloned().collect();
        for step in steps {
            state.expect(&step, &history);
            if state.waiting.get(&step) == Some(&0) {
                state.make_ready(step);
            }
        }
        let scheduler = Self {
            store,
            options,
            logger,
            not_fetched,
            builds,
            fetches,
            _realise: realise,
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: Arc::new(AtomicBool::new(false)),
            slots: Slots::new(options.max_jobs),
            history,
            turn: Mutex::new(()),
            begun: AtomicUsize::new(0),
            told_left: AtomicU64::new(0),
        };
        scheduler.report(&scheduler.state.lock());
        scheduler
    }

    fn report(&self, state: &State) {
        let left = self.time_left(state);
        if self.told_left.swap(left, Ordering::Relaxed) != left {
            self.builds.report(Report::SetExpected(ActivityKind::Build, left));
        }
        self.builds.report(Report::Progress {
            done: state.built.len() as u64,
            expected: state.expected_builds,
            running: state.running_builds,
            failed: state.failed_builds,
        });
        self.fetches.report(Report::Progress {
            done: state.fetched.len() as u64,
            expected: state.expected_fetches,
            running: state.running_fetches,
            failed: state.failed_fetches,
        });
    }

    /// How many milliseconds all builds may still take that are not done: the longest chain, or all of them on so
    /// many jobs, whichever is more. 0 if it cannot be guessed for each.
    fn time_left(&self, state: &State) -> u64 {
        let Some(mut sum) = state.times.sum() else { return 0 };
        // Behind what waits there is always something that runs or is ready, and has a higher rank.
        let mut longest = state.ready_builds.peek().map_or(0, |(rank, _)| *rank);
        for (step, begin) in &state.running {
            // what takes longer than it did before may be done at any moment
            let passed = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            let passed = passed.min(state.times.of(step));
            sum = sum.saturating_sub(passed);
            let rank = state.ranks.get(step).copied().unwrap_or(0);
            longest = longest.max(rank.saturating_sub(passed));
        }
        (sum / self.options.max_jobs.max(1) as u64).max(longest)
    }

    fn run(&self) {
        let (builds, fetches) = {
            let state = self.state.lock();
            if state.left == 0 {
                return;
            }
            let is_fetch = |step: &&Step| matches!(step, Step::Fetch(_));
            let fetches = state.plan.steps.keys().filter(is_fetch).count();
            let builds = state.plan.steps.len() - fetches;
            // Where a build may lead to more of them, there may be work for more threads later.
            let open = builds > 0 && self.options.has_feature("ca-derivations");
            let substitutes = self.options.substituter.is_some();
            match open {
                true => (usize::MAX, if substitutes { usize::MAX } else { fetches }),
                false => (builds, fetches),
            }
        };
        std::thread::scope(|scope| {
            // Without any job there still are derivations that resolve to what is there. Builds on other machines
            // need threads of this one too.
            let elsewhere = match self.options.builds_elsewhere() {
                true => BUILDS_ELSEWHERE,
                false => 0,
            };
            for _ in 0..self.options.max_jobs.saturating_add(elsewhere).max(1).min(builds) {
                scope.spawn(|| self.work(true));
            }
            for _ in 0..self.options.max_substitution_jobs.min(fetches) {
                scope.spawn(|| self.work(false));
            }
            if self.store.options().min_free > 0 {
                scope.spawn(|| self.watch_space());
            }
        });
    }

    /// Collects garbage while builds run, if too little space is left.
    fn watch_space(&self) {
        loop {
            {
                let mut state = self.state.lock();
                if state.left == 0 || self.must_stop() {
                    return;
                }
                self.changed.wait_for(&mut state, SPACE_CHECK);
            }
            if let Err(error) = self.store.collect_if_space_is_short() {
                self.logger.warn(format!("collecting garbage since space is short: {error}"));
                return;
            }
        }
    }

    /// What a thread does: takes a ready step, does it, until none is left.
    fn work(&self, builds: bool) {
        loop {
            // As long as not every job has had its first build, whoever waits for a step waits for all others that
            // would. Later they come at different moments by themselves.
            let first = builds && self.begun.load(Ordering::Relaxed) < self.options.max_jobs;
            let turn = first.then(|| self.turn.lock());
            let step = {
                let mut state = self.state.lock();
                loop {
                    if state.left == 0 || self.must_stop() {
                        self.changed.notify_all();
                        return;
                    }
                    let heap =
                        if builds { &mut state.ready_builds } else { &mut state.ready_fetches };
                    if let Some((_, Reverse((_, step)))) = heap.pop() {
                        if state.failed.contains_key(&step) {
                            continue;
                        }
                        if builds {
                            self.begun.fetch_add(1, Ordering::Relaxed);
                            state.running_builds += 1;
                        } else {
                            state.running_fetches += 1;
                        }
                        state.running.insert(step.clone(), Instant::now());
                        self.report(&state);
                        break step;
                    }
                    // The user's wish to stop wakes nobody, so look now and then.
                    self.changed.wait_for(&mut state, Duration::from_millis(100));
                }
            };
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.perform(&step, turn)
            }))
            .unwrap_or_else(|_| {
                Err(Failure::misc("a bug in this program stopped the build; please report it"))
            });
            self.done(&step, result, builds);
        }
    }

    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || stopped(self.options)
    }

    fn done(&self, step: &Step, result: Result<Outcome, Failure>, builds: bool) {
        let mut state = self.state.lock();
        state.running.remove(step);
        if builds {
            state.running_builds -= 1;
        } else {
            state.running_fetches -= 1;
        }
        match result {
            Ok(Outcome::Done { record, outputs }) => {
                state.left -= 1;
                state.times.remove(step);
                state.done.insert(step.clone());
                if let Some((drv, outputs)) = outputs {
                    Arc::make_mut(&mut state.known).entry(drv).or_default().extend(outputs);
                }
                match step {
                    Step::Build(drv) => state.built.push(drv.clone()),
                    Step::Fetch(path) => state.fetched.push(path.clone()),
                    Step::Realise(..) | Step::Obtain(_) => {}
                }
                if let (Some(record), Step::Build(drv) | Step::Realise(drv, _)) = (record, step) {
                    state.records.insert(drv.clone(), record);
                }
                self.settle(&mut state, step);
            }
            Ok(Outcome::More(plan, needs)) => self.wait_again(&mut state, step, *plan, needs),
            Err(failure) => self.fail(&mut state, step, failure),
        }
        self.report(&state);
        self.changed.notify_all();
    }

    /// Lets a step wait for others, which `more` adds.
    fn wait_again(&self, state: &mut State, step: &Step, more: Plan, needs: BTreeSet<Step>) {
        let rank = state.ranks.get(step).copied().unwrap_or(0);
        let mut free = state.merge(more, rank, &self.history);
        let count = state.wait_for(step, &needs);
        state.waiting.insert(step.clone(), count);
        if let Some(known) = state.plan.steps.get_mut(step) {
            known.extend(needs);
        }
        if count == 0 {
            free.push(step.clone());
        }
        for step in free {
            self.start_or_fail(state, &step);
        }
    }

    /// A step that waits for nothing is ready, unless something that it needs has failed.
    fn start_or_fail(&self, state: &mut State, step: &Step) {
        let failed = self.failed_needs(state, step);
        if failed > 0 {
            let failure = self.dependency_failed(state, step, failed);
            self.fail_one(state, step, failure);
            self.settle(state, step);
        } else {
            state.make_ready(step.clone());
        }
    }

    fn failed_needs(&self, state: &State, step: &Step) -> usize {
        let needs = state.plan.steps.get(step);
        needs.map_or(0, |n| n.iter().filter(|n| state.failed.contains_key(*n)).count())
    }

    /// Notes a failure and lets everything fail that needs this step.
    fn fail(&self, state: &mut State, step: &Step, failure: Failure) {
        if failure.kind == FailureKind::Interrupted || self.stop.load(Ordering::Relaxed) {
            // What fails while everything is being stopped would have been stopped a moment later. Otherwise it
            // would depend on the moment how many failures there are.
            let stopped = Failure::new(FailureKind::Interrupted, failure.message);
            state.failed.insert(step.clone(), stopped);
            state.times.remove(step);
            state.left -= 1;
            return;
        }
        match step {
            Step::Build(_) => state.failed_builds += 1,
            Step::Realise(..) | Step::Obtain(_) => {}
            Step::Fetch(path) => {
                state.failed_fetches += 1;
                state.unfetched.insert(path.clone());
            }
        }
        let gone = failure.kind == FailureKind::SubstituteGone;
        if gone {
            state.gone_fetches += 1;
            self.logger.warn(failure.message.clone());
        }
        let tried_again = (self.options.fallback || gone) && matches!(step, Step::Fetch(_));
        if !(self.options.keep_going || tried_again) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.fail_one(state, step, failure);
        self.settle(state, step);
    }

    /// Notes one failure. What others wait for is told now; the last failure becomes the command's
    /// error.
    fn fail_one(&self, state: &mut State, step: &Step, failure: Failure) {
        let told = failure.kind == FailureKind::SubstituteGone;
        if !told && state.dependents.get(step).is_some_and(|d| !d.is_empty()) {
            self.logger.message(Level::Error, failure.message.clone());
        }
        state.times.remove(step);
        if state.failed.insert(step.clone(), failure).is_none() {
            state.left -= 1;
        }
    }

    /// Tells those that wait for `done`, which is done or has failed. A step fails when all that it
    /// needs is settled and something failed, or at once where nothing more will be done.
    fn settle(&self, state: &mut State, done: &Step) {
        let mut settled = vec![done.clone()];
        while let Some(step) = settled.pop() {
            let dependents = state.dependents.get(&step).cloned().unwrap_or_default();
            for dependent in dependents {
                let Some(waiting) = state.waiting.get_mut(&dependent) else { continue };
                *waiting = waiting.saturating_sub(1);
                let waits = *waiting > 0;
                if state.failed.contains_key(&dependent) {
                    continue;
                }
                let failed = self.failed_needs(state, &dependent);
                if failed > 0 && (!waits || self.stop.load(Ordering::Relaxed)) {
                    let failure = self.dependency_failed(state, &dependent, failed);
                    self.fail_one(state, &dependent, failure);
                    settled.push(dependent);
                } else if failed == 0 && !waits {
                    state.make_ready(dependent);
                }
            }
        }
    }

    fn dependency_failed(&self, state: &State, step: &Step, failed: usize) -> Failure {
        let dir = self.store.store_dir();
        let message = match step {
            Step::Build(drv_path) => match state.resolved.get(drv_path) {
                Some(to) => format!("build of resolved derivation '{}' failed", dir.print(to)),
                None => {
                    let noun = if failed == 1 { "dependency" } else { "dependencies" };
                    let mut message = format!(
                        "Cannot build '{}'.\nReason: {failed} {noun} failed.",
                        dir.print(drv_path)
                    );
                    if let Some(drv) = state.plan.drvs.get(drv_path) {
                        message.push_str(&show_outputs(self.store, drv));
                    }
                    message
                }
            },
            Step::Fetch(path) | Step::Realise(path, _) => {
                format!("some references of path '{}' could not be realised", dir.print(path))
            }
            Step::Obtain(obtain) => {
                format!("failed to obtain derivation of '{}'", obtain.derivation(dir))
            }
        };
        Failure::new(FailureKind::DependencyFailed, message)
    }
}
