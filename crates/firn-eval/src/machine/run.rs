//! Starting evaluation: the shared state, and threads with a large stack.

use super::{Settings, Shared, Stats, Vm, stack_address};
use crate::builtins;
use crate::error::Error;
use crate::heap::{Budget, Heap};
use crate::io::{EvalIo, GuardedIo};
use crate::watch::Watch;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The native stack of an evaluating thread. Pages that are never touched cost nothing.
pub const STACK_BYTES: usize = 1 << 30;

/// What is left of the stack when evaluation stops with an error: room for making the error.
const STACK_MARGIN: usize = 1 << 20;

static THREADS: AtomicU32 = AtomicU32::new(1);

/// An evaluation: files, settings and builtins, to be run on one or more threads.
pub struct Evaluator {
    shared: Arc<Shared>,
    observer: Option<Box<Observer>>,
}

/// Looks at an evaluator when it is done.
pub type Observer = dyn Fn(&Vm) + Send + Sync;

impl Vm {
    /// The evaluator of a thread that is just starting, with a stack of this size.
    pub(super) fn starting(shared: Arc<Shared>, stack_limit: Arc<AtomicUsize>, size: usize) -> Vm {
        stack_limit.store(stack_address() - size + STACK_MARGIN, Ordering::Relaxed);
        let heap = match &shared.budget {
            Some(budget) => Heap::limited(Arc::clone(budget), Arc::clone(&stack_limit)),
            None => Heap::new(),
        };
        Vm {
            heap,
            depth: 0,
            max_depth: shared.settings.max_call_depth,
            stack_limit,
            thread: THREADS.fetch_add(1, Ordering::Relaxed),
            concurrent: false,
            first: false,
            helper: None,
            exact: shared.settings.exact_laziness,
            show_trace: shared.settings.show_trace,
            catching: 0,
            failed: Vec::new(),
            debug: shared
                .settings
                .debugging
                .clone()
                .map(|how| Box::new(super::debug::Debug::new(how))),
            interrupted: Arc::default(),
            watch: shared.settings.watching.map(|what| Box::new(Watch::new(what))),
            stats: Stats::default(),
            shared,
        }
    }
}

/// Starts a thread for evaluating ahead, which is told its stack's size.
pub(super) fn start_helper(
    body: impl FnOnce(usize) + Send + Clone + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let mut shift = 0;
    loop {
        let size = STACK_BYTES >> shift;
        let body = body.clone();
        let builder = std::thread::Builder::new().name("evaluator".into()).stack_size(size);
        match builder.spawn(move || body(size)) {
            // Smaller stacks where the system does not give a large one.
            Err(_) if shift < 4 => shift += 1,
            result => return result,
        }
    }
}

/// The world, guarded if evaluation is restricted or pure. The search path may be read.
fn guarded(io: Arc<dyn EvalIo>, settings: &Settings) -> Arc<dyn EvalIo> {
    if !settings.restrict && !settings.pure {
        return io;
    }
    let io = GuardedIo::new(io, settings.pure);
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    for (_, location) in &settings.search_path {
        if !crate::paths::is_pseudo_url(location) {
            let path = cwd.join(location).into_os_string().into_encoded_bytes();
            let path = crate::paths::canonical(&path);
            io.allow(std::path::Path::new(<std::ffi::OsStr as OsStrExt>::from_bytes(&path)));
        }
    }
    Arc::new(io)
}

impl Evaluator {
    /// An evaluator of this world.
    pub fn new(io: Arc<dyn EvalIo>, settings: Settings) -> Evaluator {
        let io = guarded(io, &settings);
        let mut heap = Heap::new();
        let globals = builtins::globals(&mut heap, &settings, io.store_dir());
        let pool = super::ahead::Pool::new(&settings);
        let budget =
            (settings.memory_limit > 0).then(|| Arc::new(Budget::new(settings.memory_limit)));
        let shared = Shared {
            io,
            settings,
            globals,
            files: super::files::Files::default(),
            derivations: super::derived::Derivations::default(),
            regexes: builtins::RegexCache::default(),
            pool,
            parse_ahead: super::parse_ahead::ParseAhead::default(),
            budget,
        };
        Evaluator { shared: Arc::new(shared), observer: None }
    }

    /// Calls `observer` at the end of each run, for statistics and profiles.
    #[must_use]
    pub fn with_observer(mut self, observer: Box<Observer>) -> Evaluator {
        self.observer = Some(observer);
        self
    }

    /// The state that all threads share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs `work` on a thread of its own with a large stack.
    ///
    /// # Panics
    /// If `work` does, or if the thread cannot be started.
    pub fn run<R: Send>(&self, work: impl FnOnce(&mut Vm) -> R + Send) -> R {
        let result = self.spawn(false, work);
        self.shared.pool.stop();
        self.shared.parse_ahead.stop();
        result
    }

    /// As [`Evaluator::run`]; what evaluation added to the store is there afterwards, also after an error.
    ///
    /// # Errors
    /// Those of `work`, or that something could not be written.
    ///
    /// # Panics
    /// As [`Evaluator::run`].
    pub fn complete<T: Send, E: From<Error> + Send>(
        &self,
        work: impl FnOnce(&mut Vm) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let result = self.run(work);
        let flushed = self.shared.io.flush();
        result.and_then(|value| flushed.map(|()| value).map_err(E::from))
    }

    /// As [`Evaluator::run`], while other threads do the same.
    ///
    /// # Panics
    /// As [`Evaluator::run`].
    pub fn run_concurrently<R: Send>(&self, work: impl FnOnce(&mut Vm) -> R + Send) -> R {
        self.spawn(true, work)
    }

    fn spawn<R: Send>(&self, concurrent: bool, work: impl FnOnce(&mut Vm) -> R + Send) -> R {
        let shared = Arc::clone(&self.shared);
        let work = std::sync::Mutex::new(Some(work));
        let body = |size: usize| {
            let work = work.lock().ok().and_then(|mut w| w.take());
            let work = work.unwrap_or_else(|| unreachable!("each thread starts once"));
            let mut vm = Vm::starting(shared, Arc::default(), size);
            vm.concurrent = concurrent;
            vm.first = !concurrent;
            let result = work(&mut vm);
            if let Some(observer) = &self.observer {
                observer(&vm);
            }
            result
        };
        let body = std::sync::Mutex::new(Some(body));
        std::thread::scope(|scope| {
            // Smaller stacks where the system does not give a large one.
            for shift in 0..5 {
                let size = STACK_BYTES >> shift;
                let builder = std::thread::Builder::new().name("evaluator".into()).stack_size(size);
                let body = &body;
                let run = move || {
                    let body = body.lock().ok().and_then(|mut b| b.take());
                    body.unwrap_or_else(|| unreachable!("each thread starts once"))(size)
                };
                match builder.spawn_scoped(scope, run) {
                    Ok(thread) => {
                        return thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
                    }
                    Err(_) if shift < 4 => {}
                    Err(e) => panic!("cannot start a thread for evaluation: {e}"),
                }
            }
            unreachable!("the last attempt returns or panics")
        })
    }
}
