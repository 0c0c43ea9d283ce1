//! Watching calls: how often each function is called (`NIX_COUNT_CALLS`), and samples of the stack of calls as
//! folded stacks, which flame graph programs read (`eval-profiler`).
//!
//! Nothing is watched unless asked for; then a call costs one look at an empty slot.

use crate::builtins;
use crate::machine::{Vm, looked_at};
use crate::position::PosId;
use crate::value::{Value, View};
use firn_syntax::{Symbol, sym};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt;
use std::time::{Duration, Instant};

/// What is being watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watching {
    /// Count the calls of each function and builtin.
    pub count_calls: bool,
    /// Sample the stack of calls not more often than this; at every call if zero.
    pub sample_every: Option<Duration>,
    /// Tell when each call begins and ends.
    pub tell_calls: bool,
}

/// A call on the stack, by what is called. Frames are ordered as they are written first, then as they are called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CallFrame {
    /// A function: where it is written, where it is called, its name.
    Function(PosId, PosId, Option<Symbol>),
    /// A builtin, perhaps with some of its arguments: its name, where it is called.
    Builtin(&'static str, PosId),
    /// A set with `__functor`: where it is called.
    Functor(PosId),
    /// `derivationStrict`: where it is called, the derivation's name.
    Derivation(PosId, Box<str>),
    /// What cannot be called: where that is tried.
    Other(PosId),
}

impl fmt::Display for CallFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |f: &mut fmt::Formatter<'_>, pos: PosId| match pos.location() {
            Some(at) => write!(f, "{at}:"),
            None => Ok(()),
        };
        match self {
            CallFrame::Function(written, call, name) => {
                if let Some(at) = call.or(*written).location() {
                    write!(f, "{at}")?;
                }
                name.map_or(Ok(()), |name| write!(f, ":{name}"))
            }
            CallFrame::Builtin(name, call) => {
                place(f, *call)?;
                write!(f, "primop {name}")
            }
            CallFrame::Functor(call) => {
                place(f, *call)?;
                f.write_str("functor")
            }
            CallFrame::Derivation(call, name) => {
                place(f, *call)?;
                write!(f, "primop derivationStrict:{name}")
            }
            CallFrame::Other(call) => match call.location() {
                Some(at) => write!(f, "{at}"),
                None => Ok(()),
            },
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
    /// Functors that have been called.
    functors: FxHashSet<u64>,
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
            functors: FxHashSet::default(),
        }
    }

    fn enter(&mut self, frame: CallFrame) {
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
        let mut samples: Vec<(&Vec<CallFrame>, &u64)> = self.samples.iter().collect();
        samples.sort();
        let mut text = String::new();
        for (stack, count) in samples {
            let frames: Vec<String> = stack.iter().map(ToString::to_string).collect();
            text.push_str(&format!("{} {count}\n", frames.join(";")));
        }
        text
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
    /// Counts a call of a function.
    #[cold]
    pub(crate) fn count_function(&mut self, written: PosId, name: Option<Symbol>) {
        if let Some(watch) = &mut self.watch
            && watch.what.count_calls
        {
            watch.functions.entry(written).or_insert((name, 0)).1 += 1;
        }
    }

    /// Counts a call of a builtin.
    #[cold]
    pub(crate) fn count_builtin(&mut self, name: &'static str) {
        if let Some(watch) = &mut self.watch
            && watch.what.count_calls
        {
            *watch.builtins.entry(name).or_default() += 1;
        }
    }

    /// Begins a call of `f`, whatever it is.
    #[cold]
    pub(crate) fn watch_call(&mut self, f: Value, args: &[Value], call: PosId) {
        let sampled = self.watch.as_ref().is_some_and(|w| w.what.sample_every.is_some());
        let frame = match f.view() {
            _ if !sampled => CallFrame::Other(call),
            // C++ Nix makes attributes that are functions when they are first asked for, and names no call before.
            View::Function(_) if self.first_functor_call(f, args) => CallFrame::Other(call),
            View::Function(f) => {
                let lambda = f.lambda();
                CallFrame::Function(lambda.params[0].pos, call, lambda.name)
            }
            View::Partial(partial) => {
                let lambda = partial.function().lambda();
                let param = lambda.params.get(partial.args().len()).unwrap_or(&lambda.params[0]);
                CallFrame::Function(param.pos, call, lambda.name)
            }
            View::Builtin(id) => {
                let builtin = builtins::get(id);
                let derivation = (builtin.name == "derivationStrict")
                    .then(|| args.first().and_then(|v| self.derivation_name(*v)))
                    .flatten();
                match derivation {
                    Some(name) => CallFrame::Derivation(call, name),
                    None => CallFrame::Builtin(builtin.short_name(), call),
                }
            }
            View::Applied(applied) => {
                CallFrame::Builtin(builtins::get(applied.builtin()).short_name(), call)
            }
            View::Set(set) if set.has(sym::FUNCTOR) => {
                CallFrame::Functor(call.or(set.position(sym::FUNCTOR)))
            }
            _ => CallFrame::Other(call),
        };
        self.tell_call("entered", call);
        if let Some(watch) = &mut self.watch {
            watch.enter(frame);
        }
    }

    /// Whether a set's functor is called with that set for the first time.
    fn first_functor_call(&mut self, f: Value, args: &[Value]) -> bool {
        let functor =
            args.first().and_then(|v| looked_at(*v).as_set()).and_then(|set| set.get(sym::FUNCTOR));
        functor.map(looked_at) == Some(f)
            && self.watch.as_mut().is_some_and(|watch| watch.functors.insert(f.0))
    }

    /// Begins a call that was written as an operator.
    #[cold]
    pub(crate) fn watch_operator(&mut self, call: PosId, name: &'static str) {
        self.count_builtin(name);
        self.tell_call("entered", call);
        if let Some(watch) = &mut self.watch {
            watch.enter(CallFrame::Builtin(name, call));
        }
    }

    /// Ends a call.
    #[cold]
    pub(crate) fn unwatch(&mut self, call: PosId) {
        self.tell_call("exited", call);
        if let Some(watch) = &mut self.watch {
            watch.leave();
        }
    }

    fn tell_call(&mut self, what: &str, call: PosId) {
        if !self.watch.as_ref().is_some_and(|w| w.what.tell_calls) {
            return;
        }
        let place = match call.location() {
            Some(at) => at.to_string(),
            None => "«none»:0".to_owned(),
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |time| time.as_nanos());
        self.shared.io.message(format!("function-trace {what} {place} at {now}").as_bytes());
    }

    /// The name that a set passed to `derivationStrict` has. Errors come again when the builtin looks.
    fn derivation_name(&mut self, v: Value) -> Option<Box<str>> {
        let set = self.force(v, PosId::NONE).ok()?.as_set()?;
        let name = self.force(set.get(sym::NAME)?, PosId::NONE).ok()?;
        Some(String::from_utf8_lossy(name.as_str()?.bytes()).into())
    }
}
