//! The machine: what runs nodes and makes values of them.
//!
//! A [`Vm`] belongs to one thread and has that thread's heap; what all threads share is in [`Shared`].
//! Nothing here knows where files and the store are: that is behind [`crate::io::EvalIo`].

mod ahead;
mod call;
mod coerce;
mod compare;
pub mod debug;
mod deep;
pub(crate) mod derived;
mod eval;
mod files;
mod force;
mod lazy;
mod operators;
mod parse_ahead;
mod run;
mod session;
mod sets;

pub(crate) use ahead::Ahead;
pub use coerce::Text;
pub use compare::Ordering3;
pub(crate) use deep::position_of;
pub(crate) use derived::Known;
pub use files::FileKindCache;
pub use run::{Evaluator, Observer, STACK_BYTES};
pub use session::{Interrupter, SessionNames};

use crate::compile::Globals;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::heap::{Budget, Heap};
use crate::io::EvalIo;
use crate::position::PosId;
use crate::value::{SetBuilder, Str, Value};
use crate::watch::{Watch, Watching};
use firn_model::StoreDir;
use firn_syntax::source::Origin;
use firn_syntax::{Symbol, sym};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What makes the value of a flake of a reference; for `builtins.getFlake`.
#[derive(Clone)]
pub struct FlakeLoader(pub Arc<LoadFlake>, pub Arc<FindFlake>);

/// Fetches the tree of a flake that the search path names, and gives its folder.
pub type FindFlake = dyn Fn(&Vm, &str) -> Result<PathBuf> + Send + Sync;

/// Loads the flake that a text refers to.
pub type LoadFlake = dyn Fn(&mut Vm, &str, PosId) -> Result<Value> + Send + Sync;

impl std::fmt::Debug for FlakeLoader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlakeLoader")
    }
}

/// What changes how evaluation goes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// No access outside the search path and the store (`restrict-eval`).
    pub restrict: bool,
    /// No access to anything that is not fixed by a hash (`pure-eval`).
    pub pure: bool,
    /// Whether evaluation may build (`allow-import-from-derivation`).
    pub allow_import_from_derivation: bool,
    /// Nested calls beyond which evaluation stops (`max-call-depth`).
    pub max_call_depth: u32,
    /// What `builtins.currentSystem` is (`eval-system`).
    pub system: String,
    /// Steps of calls in errors too (`--show-trace`).
    pub show_trace: bool,
    /// Whether `builtins.traceVerbose` prints (`trace-verbose`).
    pub trace_verbose: bool,
    /// Whether `builtins.warn` ends evaluation (`abort-on-warn`).
    pub abort_on_warn: bool,
    /// Whether derivations are only computed and not written (`--eval` without `--read-write-mode`).
    pub read_only: bool,
    /// The search path behind `<…>`: prefix and location.
    pub search_path: Vec<(String, String)>,
    /// Enabled experimental features.
    pub features: Vec<String>,
    /// In restricted evaluation: what may be fetched, as beginnings of URLs (`allowed-uris`).
    pub allowed_uris: Vec<String>,
    /// Whether `exec` and `importNative` exist (`allow-unsafe-native-code-during-evaluation`).
    pub native_code: bool,
    /// What to count and sample.
    pub watching: Option<Watching>,
    /// Literals to warn about or to refuse (`lint-…`).
    pub lints: firn_syntax::Lints,
    /// Whether values that are printed unevaluated must be as unevaluated as C++ Nix leaves them. Costs time.
    pub exact_laziness: bool,
    /// What loads flakes; without it there are none.
    pub flakes: Option<FlakeLoader>,
    /// How many threads evaluate (`eval-cores`); 0: as many as there are processors.
    pub eval_cores: usize,
    /// The debugger, if there is one. Costs time.
    pub debugging: Option<debug::Debugging>,
    /// How many bytes values may take before evaluation ends with an error (`eval-memory-limit`); 0: any.
    pub memory_limit: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            restrict: false,
            pure: false,
            allow_import_from_derivation: true,
            max_call_depth: 10_000,
            system: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            show_trace: false,
            trace_verbose: false,
            abort_on_warn: false,
            read_only: true,
            search_path: Vec::new(),
            features: Vec::new(),
            allowed_uris: Vec::new(),
            native_code: false,
            watching: None,
            lints: firn_syntax::Lints::default(),
            exact_laziness: false,
            flakes: None,
            eval_cores: 1,
            debugging: None,
            memory_limit: 0,
        }
    }
}

impl Settings {
    /// Whether an experimental feature is enabled.
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.iter().any(|f| f == name)
    }
}

/// What all threads of an evaluation share.
pub struct Shared {
    /// Files, store, environment.
    pub io: Arc<dyn EvalIo>,
    /// Settings.
    pub settings: Settings,
    /// What global names mean.
    pub globals: Globals,
    pub(crate) files: files::Files,
    pub(crate) derivations: derived::Derivations,
    pub(crate) regexes: crate::builtins::RegexCache,
    pub(crate) pool: ahead::Pool,
    pub(crate) parse_ahead: parse_ahead::ParseAhead,
    pub(crate) budget: Option<Arc<Budget>>,
}

/// One thread's evaluator.
pub struct Vm {
    /// Where this thread's values are made.
    pub heap: Heap,
    /// What is common to all threads.
    pub shared: Arc<Shared>,
    depth: u32,
    max_depth: u32,
    /// The lowest address that the stack may reach. Others raise it to make this thread stop.
    stack_limit: Arc<AtomicUsize>,
    thread: u32,
    /// Whether other threads evaluate at the same time.
    concurrent: bool,
    /// Which helper this is, if it is one: see [`ahead`].
    helper: Option<usize>,
    /// Whether this is the thread whose results and errors count, and which may start helpers.
    first: bool,
    exact: bool,
    show_trace: bool,
    /// How many calls of `tryEval` are under way.
    pub(crate) catching: u32,
    /// What the debugger needs, if there is one.
    debug: Option<Box<debug::Debug>>,
    /// Told to stop by somebody else.
    interrupted: Arc<AtomicBool>,
    /// Counts and samples of calls, if somebody wants them.
    pub watch: Option<Box<Watch>>,
    /// Thunks that failed within them with errors that can be caught, and the words they had.
    pub(crate) failed: Vec<(crate::value::Thunk, u64)>,
    /// Counters, for `NIX_SHOW_STATS` and profiling.
    pub stats: Stats,
}

/// What was done.
#[derive(Default, Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Stats {
    pub calls: u64,
    pub builtin_calls: u64,
    pub thunks: u64,
    pub updates: u64,
    pub update_words: u64,
}

/// An address in the present stack frame.
#[inline(always)]
fn stack_address() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here) as usize
}

impl Vm {
    /// The store's directory.
    pub fn store_dir(&self) -> &StoreDir {
        self.shared.io.store_dir()
    }

    /// A string value without context.
    pub fn string(&mut self, bytes: impl AsRef<[u8]>) -> Value {
        Str::new(&mut self.heap, bytes.as_ref()).value()
    }

    /// A string value with a context.
    pub fn string_with(&mut self, bytes: impl AsRef<[u8]>, context: Option<Context>) -> Value {
        Str::with_context(&mut self.heap, bytes.as_ref(), context).value()
    }

    /// A name as a string value.
    pub fn symbol_string(&mut self, symbol: Symbol) -> Value {
        Str::of_symbol(&mut self.heap, symbol).value()
    }

    /// An integer value.
    #[inline(always)]
    pub fn int(&mut self, i: i64) -> Value {
        Value::int(&mut self.heap, i)
    }

    /// Counts a level of calls.
    #[inline(always)]
    pub(crate) fn enter(&mut self, pos: PosId) -> Result<()> {
        if self.depth > self.max_depth {
            return Err(stack_overflow().at(pos));
        }
        self.depth += 1;
        self.check_stack(pos)
    }

    #[inline(always)]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An error if the native stack is nearly used up. Every recursion passes here now and then.
    #[inline(always)]
    pub(crate) fn check_stack(&self, pos: PosId) -> Result<()> {
        if stack_address() < self.stack_limit.load(Ordering::Relaxed) {
            Err(self.stopped().at(pos))
        } else {
            Ok(())
        }
    }

    /// Why this thread must stop.
    #[cold]
    fn stopped(&self) -> Error {
        if self.interrupted.load(Ordering::Relaxed) {
            return Error::new(Kind::Interrupted, "interrupted by the user");
        }
        match self.heap.spent() {
            None => stack_overflow(),
            Some(budget) => Error::other(format!(
                "evaluation needs more than the {} MiB that 'eval-memory-limit' allows",
                budget.limit() >> 20
            )),
        }
    }

    /// Runs one level of a recursion that counts as a call, as walks over values do.
    pub(crate) fn nested<T>(
        &mut self,
        pos: PosId,
        level: impl FnOnce(&mut Vm) -> Result<T>,
    ) -> Result<T> {
        self.enter(pos)?;
        let result = level(self);
        self.leave();
        result
    }
}

#[cold]
fn stack_overflow() -> Error {
    Error::new(Kind::StackOverflow, "stack overflow; max-call-depth exceeded")
}

/// What a thunk became, or the thunk itself.
pub(crate) fn looked_at(v: Value) -> Value {
    eval::resolved(v)
}

/// `__curPos` and `unsafeGetAttrPos`: a set of file, line and column, or null where there is no file.
pub(crate) fn position_value(heap: &mut Heap, pos: PosId) -> Value {
    let Some(at) = pos.location() else { return Value::NULL };
    let Origin::Path(path) = at.source.origin() else { return Value::NULL };
    let mut set = SetBuilder::with_capacity(3);
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    let file = match crate::trees::lazy(path) {
        Some(_) => crate::builtins::revealed(heap, bytes),
        None => Str::new(heap, bytes).value(),
    };
    set.push(sym::FILE, file);
    set.push(sym::LINE, Value::int(heap, i64::from(at.line)));
    set.push(sym::COLUMN, Value::int(heap, i64::from(at.column)));
    set.finish(heap).value()
}
