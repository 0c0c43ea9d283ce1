//! Watching calls: how often each function is called (`NIX_COUNT_CALLS`), and samples of the stack of calls as
//! folded stacks, which flame graph programs read (`eval-profiler`).
//!
//! Nothing is watched unless asked for; then a call costs one look at an empty slot.

use crate::builtins::Builtin;
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::Value;
use firn_syntax::{Symbol, sym};
use rustc_hash::FxHashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// What is being watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watching {
    /// Count the calls of each function and builtin.
    pub count_calls: bool,
    /// Sample the stack of calls not more often than this; at every call if zero.
    pub sample_every: Option<Duration>,
}

/// A call on the stack.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CallFrame {
    /// A function: where it is called, where it is written, its name.
    Function(PosId, PosId, Option<Symbol>),
    /// A builtin: where it is called, its name, and for `derivationStrict` the derivation's name.
    Builtin(PosId, &'static str, Option<Box<str>>),
}

impl fmt::Display for CallFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallFrame::Function(call, written, name) => {
                if let Some(at) = call.or(*written).location() {
                    write!(f, "{at}")?;
                }
                name.map_or(Ok(()), |name| write!(f, ":{name}"))
            }
            CallFrame::Builtin(call, name, derivation) => {
                if let Some(at) = call.location() {
                    write!(f, "{at}:")?;
                }
                write!(f, "primop {name}")?;
                derivation.as_ref().map_or(Ok(()), |derivation| write!(f, ":{derivation}"))
            }
        }
    }
}

/// How often a function was called.
#[derive(Clone, Debug)]
pub struct FunctionCalls {
    /// Where it is written.
    pub pos: PosId,
    /// Its name.
    pub name: Option<Symbol>,
    /// How often.
    pub count: u64,
}

/// What was seen.
pub struct Watch {
    what: Watching,
    stack: Vec<CallFrame>,
    last: Instant,
    samples: FxHashMap<Vec<CallFrame>, u64>,
    functions: FxHashMap<PosId, (Option<Symbol>, u64)>,
    builtins: FxHashMap<&'static str, u64>,
}

impl Watch {
    /// Begins to watch.
    pub fn new(what: Watching) -> Watch {
        Watch {
            what,
            stack: Vec::new(),
            last: Instant::now(),
            samples: FxHashMap::default(),
            functions: FxHashMap::default(),
            builtins: FxHashMap::default(),
        }
    }

    fn enter(&mut self, frame: CallFrame) {
        if self.what.count_calls {
            match &frame {
                CallFrame::Function(_, written, name) => {
                    self.functions.entry(*written).or_insert((*name, 0)).1 += 1;
                }
                CallFrame::Builtin(_, name, _) => *self.builtins.entry(name).or_default() += 1,
            }
        }
        let Some(every) = self.what.sample_every else { return };
        self.stack.push(frame);
        let now = Instant::now();
        if now.duration_since(self.last) > every || every.is_zero() {
            self.last = now;
            match self.samples.get_mut(&self.stack) {
                Some(count) => *count += 1,
                None => {
                    self.samples.insert(self.stack.clone(), 1);
                }
            }
        }
    }

    fn leave(&mut self) {
        if self.what.sample_every.is_some() {
            self.stack.pop();
        }
    }

    /// The samples as folded stacks: on each line the calls from the outermost in, separated by semicolons, and
    /// how often that stack was seen.
    pub fn folded(&self) -> String {
        let mut lines: Vec<String> = self
            .samples
            .iter()
            .map(|(stack, count)| {
                let frames: Vec<String> = stack.iter().map(ToString::to_string).collect();
                format!("{} {count}\n", frames.join(";"))
            })
            .collect();
        lines.sort();
        lines.concat()
    }

    /// How often functions were called, in the order in which they are written.
    pub fn functions(&self) -> Vec<FunctionCalls> {
        let mut out: Vec<FunctionCalls> = self
            .functions
            .iter()
            .map(|(pos, (name, count))| FunctionCalls { pos: *pos, name: *name, count: *count })
            .collect();
        out.sort_by_key(|calls| calls.pos);
        out
    }

    /// How often builtins were called, by name.
    pub fn builtins(&self) -> Vec<(&'static str, u64)> {
        let mut out: Vec<_> = self.builtins.iter().map(|(name, count)| (*name, *count)).collect();
        out.sort_unstable();
        out
    }
}

impl Vm {
    #[cold]
    pub(crate) fn watch_function(&mut self, call: PosId, written: PosId, name: Option<Symbol>) {
        if let Some(watch) = &mut self.watch {
            watch.enter(CallFrame::Function(call, written, name));
        }
    }

    #[cold]
    pub(crate) fn watch_builtin(&mut self, call: PosId, builtin: &Builtin, args: &[Value]) {
        let derivation = (builtin.name == "derivationStrict")
            .then(|| args.first().and_then(|v| self.derivation_name(*v)))
            .flatten();
        if let Some(watch) = &mut self.watch {
            watch.enter(CallFrame::Builtin(call, builtin.short_name(), derivation));
        }
    }

    #[cold]
    pub(crate) fn watch_operator(&mut self, call: PosId, name: &'static str) {
        if let Some(watch) = &mut self.watch {
            watch.enter(CallFrame::Builtin(call, name, None));
        }
    }

    #[cold]
    pub(crate) fn unwatch(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.leave();
        }
    }

    /// The name that a set passed to `derivationStrict` has. Errors come again when the builtin looks.
    fn derivation_name(&mut self, v: Value) -> Option<Box<str>> {
        let set = self.force(v, PosId::NONE).ok()?.as_set()?;
        let name = self.force(set.get(sym::NAME)?, PosId::NONE).ok()?;
        Some(String::from_utf8_lossy(name.as_str()?.bytes()).into())
    }
}
