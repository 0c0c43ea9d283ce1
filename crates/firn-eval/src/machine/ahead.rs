//! Other threads that evaluate ahead of this one.
//!
//! One thread, the first, evaluates as if it were alone. Where it is about to go through several values, it
//! offers them to helpers, which begin at the far end. What a helper evaluates is there when the first thread
//! comes to it. A helper's errors are dropped: its thunks are then as they were, so that the first thread
//! meets the same errors in the same order as without helpers. Only values that sequential evaluation forces
//! unless an error comes first are offered; once one does come, helpers are told to stop.
//!
//! Each thread only ever works on what its own stack needs, so that threads that wait for each other in a
//! circle are an infinite recursion of the program.

use super::{Settings, Shared, Vm, looked_at};
use crate::context::ContextBuilder;
use crate::error::Result;
use crate::position::PosId;
use crate::print;
use crate::value::Value;
use firn_syntax::sym;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How far a value is evaluated ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ahead {
    /// Itself.
    Force,
    /// With everything in it.
    Deep,
    /// As far as a string of it takes, as in a derivation's attributes.
    Text,
    /// As far as its JSON takes.
    Json,
}

/// Values that the thread that offers them goes through from the start.
struct Batch {
    items: Vec<Value>,
    how: Ahead,
    /// Nested calls of the thread that offers.
    depth: u32,
    /// The items below this are still to be taken by helpers.
    left: AtomicUsize,
    over: AtomicBool,
}

// SAFETY: values are words that all threads of an evaluation may use; the cells behind them live forever.
unsafe impl Send for Batch {}
// SAFETY: as above.
unsafe impl Sync for Batch {}

struct Helper {
    /// The helper's stack limit; the highest address to make it stop.
    limit: Arc<AtomicUsize>,
    at: Option<Arc<Batch>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    /// The batches that helpers may take from; the newest last. That one is taken from first, since what it
    /// needs is least likely to be under evaluation already.
    batches: Vec<Arc<Batch>>,
    helpers: Vec<Helper>,
    /// How many helpers have nothing to do.
    parked: usize,
    stopping: bool,
}

/// The helpers of an evaluation.
pub(crate) struct Pool {
    /// How many threads may run besides the first.
    size: usize,
    started: AtomicBool,
    /// How many processors have nothing to do: `size`, less the helpers at work, plus the threads that wait
    /// for others. Below zero while more threads run than should.
    idle: AtomicIsize,
    state: Mutex<State>,
    /// When helpers may start; none: at once.
    not_before: Option<Instant>,
    work: Condvar,
}

/// The stack limit that makes a thread stop at the next call.
const STOP: usize = usize::MAX;

/// What takes less has no helpers: they cost a few hundredths of a second and megabytes.
const PATIENCE: Duration = Duration::from_millis(150);

/// Threads that may wait for others at the same time.
const MAX_WAITING: usize = 32;

impl Pool {
    pub(crate) fn new(settings: &Settings) -> Pool {
        let cores = match settings.eval_cores {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        };
        Pool {
            // What must be as unevaluated as C++ Nix leaves it cannot be evaluated ahead, and what is
            // counted or profiled must be what one thread does.
            size: if settings.exact_laziness || settings.watching.is_some() {
                0
            } else {
                cores - 1
            },
            started: AtomicBool::new(false),
            idle: AtomicIsize::new(0),
            // Asked for by number, helpers are there from the start.
            not_before: (settings.eval_cores == 0).then(|| Instant::now() + PATIENCE),
            state: Mutex::default(),
            work: Condvar::new(),
        }
    }

    /// Whether there are other processors to use.
    pub(super) fn has_processors(&self) -> bool {
        self.size > 0
    }

    /// Whether evaluation takes long enough for helpers to be worth their start.
    fn is_due(&self) -> bool {
        self.not_before.is_none_or(|time| Instant::now() >= time)
    }

    fn start(&self) {
        self.state.lock().stopping = false;
        self.idle.store(self.size as isize, Ordering::Relaxed);
        self.started.store(true, Ordering::Relaxed);
    }

    /// Starts a helper; false if there cannot be another.
    fn add_helper(&self, state: &mut State, shared: &Arc<Shared>) -> bool {
        let number = state.helpers.len();
        if number >= self.size + MAX_WAITING {
            return false;
        }
        let limit = Arc::new(AtomicUsize::new(0));
        let (for_helper, shared) = (Arc::clone(&limit), Arc::clone(shared));
        let thread = super::run::start_helper(move |size| {
            let mut vm = Vm::starting(shared, for_helper, size);
            vm.helper = Some(number);
            vm.concurrent = true;
            vm.help(number);
        });
        let Ok(thread) = thread else { return false };
        state.helpers.push(Helper { limit, at: None, thread: Some(thread) });
        true
    }

    /// Ends the helpers, whatever they are doing.
    pub(crate) fn stop(&self) {
        if !self.started.swap(false, Ordering::Relaxed) {
            return;
        }
        let threads: Vec<_> = {
            let mut state = self.state.lock();
            state.stopping = true;
            state.batches.clear();
            for helper in &state.helpers {
                helper.limit.store(STOP, Ordering::Relaxed);
            }
            state.helpers.iter_mut().filter_map(|helper| helper.thread.take()).collect()
        };
        self.work.notify_all();
        for thread in threads {
            // A helper that panicked has already said so.
            let _ = thread.join();
        }
        *self.state.lock() = State::default();
    }

    fn offer(&self, batch: &Arc<Batch>, shared: &Arc<Shared>) {
        let mut state = self.state.lock();
        if state.parked == 0 && !self.add_helper(&mut state, shared) {
            return;
        }
        state.batches.push(Arc::clone(batch));
        self.work.notify_one();
    }

    /// Takes a batch back; those who are still at it stop if it failed.
    fn withdraw(&self, batch: &Arc<Batch>, failed: bool) {
        batch.over.store(true, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.batches.retain(|other| !Arc::ptr_eq(other, batch));
        if failed {
            for helper in &state.helpers {
                if helper.at.as_ref().is_some_and(|at| Arc::ptr_eq(at, batch)) {
                    helper.limit.store(STOP, Ordering::Relaxed);
                }
            }
        }
    }

    /// Waits for something to do; `None` at the end.
    fn next(&self, number: usize) -> Option<Arc<Batch>> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                return None;
            }
            if self.idle.load(Ordering::Relaxed) > 0
                && let Some(batch) = state.batches.last()
            {
                let batch = Arc::clone(batch);
                state.helpers[number].at = Some(Arc::clone(&batch));
                self.idle.fetch_sub(1, Ordering::Relaxed);
                return Some(batch);
            }
            state.parked += 1;
            self.work.wait(&mut state);
            state.parked -= 1;
        }
    }

    /// A helper is done with a batch, of which nothing is left to be taken.
    fn done(&self, number: usize, batch: &Arc<Batch>, limit: usize) {
        let mut state = self.state.lock();
        state.batches.retain(|other| !Arc::ptr_eq(other, batch));
        let stopping = state.stopping;
        let helper = &mut state.helpers[number];
        helper.at = None;
        if !stopping {
            helper.limit.store(limit, Ordering::Relaxed);
        }
        self.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// A thread begins to wait for another's thunk: its processor is free. The rest of what a helper was at
    /// likely needs the same thunk, so that nobody else should begin with it now.
    pub(crate) fn waits(&self, helper: Option<usize>) {
        if !self.started.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        if let Some(batch) = helper.and_then(|number| state.helpers.get(number)?.at.clone()) {
            state.batches.retain(|other| !Arc::ptr_eq(other, &batch));
        }
        self.idle.fetch_add(1, Ordering::Relaxed);
        if state.parked > 0 && !state.batches.is_empty() {
            self.work.notify_one();
        }
    }

    /// What [`Pool::waits`] announced is over.
    pub(crate) fn goes_on(&self, helper: Option<usize>) {
        if !self.started.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        self.idle.fetch_sub(1, Ordering::Relaxed);
        if let Some(batch) = helper.and_then(|number| state.helpers.get(number)?.at.clone())
            && batch.left.load(Ordering::Relaxed) > 1
            && !batch.over.load(Ordering::Relaxed)
            && !state.batches.iter().any(|other| Arc::ptr_eq(other, &batch))
        {
            state.batches.insert(0, batch);
        }
    }
}

/// Whether there is something to evaluate, as far as a glance tells.
fn is_work(v: Value, how: Ahead) -> bool {
    let v = looked_at(v);
    if v.is_thunk() {
        return true;
    }
    if !matches!(how, Ahead::Text | Ahead::Json) {
        return false;
    }
    let out = v.as_set().and_then(|set| set.get(sym::OUT_PATH));
    out.is_some_and(|out| looked_at(out).is_thunk())
}

impl Vm {
    /// Runs `work`, which goes through the values that `items` gives in their order, while helpers that have
    /// nothing else to do evaluate them from the end.
    #[inline]
    pub(crate) fn ahead<T>(
        &mut self,
        how: Ahead,
        count: usize,
        items: impl FnOnce(&mut Vm) -> Vec<Value>,
        work: impl FnOnce(&mut Vm) -> Result<T>,
    ) -> Result<T> {
        if count < 2 || !self.has_helpers() {
            return work(self);
        }
        let items = items(self);
        // The first is for this thread.
        if items.iter().skip(1).any(|v| is_work(*v, how)) {
            self.with_batch(how, items, work)
        } else {
            work(self)
        }
    }

    /// Whether offering something would help.
    #[inline]
    pub(crate) fn has_helpers(&self) -> bool {
        let pool = &self.shared.pool;
        pool.size > 0
            && (pool.idle.load(Ordering::Relaxed) > 0
                || self.first && !pool.started.load(Ordering::Relaxed) && pool.is_due())
    }

    #[inline(never)]
    fn with_batch<T>(
        &mut self,
        how: Ahead,
        items: Vec<Value>,
        work: impl FnOnce(&mut Vm) -> Result<T>,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        if self.first && !shared.pool.started.load(Ordering::Relaxed) {
            self.concurrent = true;
            shared.pool.start();
        }
        let left = AtomicUsize::new(items.len());
        let over = AtomicBool::new(false);
        let batch = Arc::new(Batch { items, how, depth: self.depth, left, over });
        shared.pool.offer(&batch, &shared);
        let result = work(self);
        shared.pool.withdraw(&batch, result.is_err());
        result
    }

    /// What a helper does all its life.
    fn help(&mut self, number: usize) {
        let shared = Arc::clone(&self.shared);
        let own_limit = self.stack_limit.load(Ordering::Relaxed);
        while let Some(batch) = shared.pool.next(number) {
            while !batch.over.load(Ordering::Relaxed) {
                // The first item is always left to the one who offered it.
                let taken = batch.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                    if n > 1 { Some(n - 1) } else { None }
                });
                let Ok(i) = taken else { break };
                self.depth = batch.depth;
                // Errors are for the one who offered to find.
                let _ = self.evaluate_ahead(batch.items[i - 1], batch.how);
            }
            shared.pool.done(number, &batch, own_limit);
        }
    }

    fn evaluate_ahead(&mut self, v: Value, how: Ahead) -> Result<()> {
        self.check_stack(PosId::NONE)?;
        match how {
            Ahead::Force => {
                self.force(v, PosId::NONE)?;
            }
            Ahead::Deep => {
                self.force_deep(v)?;
            }
            Ahead::Text => {
                let mut context = ContextBuilder::new();
                self.coerce(PosId::NONE, v, &mut context, "", true, true, true)?;
            }
            Ahead::Json => {
                let (mut context, mut out) = (ContextBuilder::new(), Vec::new());
                print::json::to_json(self, v, PosId::NONE, &mut context, true, true, &mut out)?;
            }
        }
        Ok(())
    }
}
