//! The debugger's side of the machine: which steps evaluation is in, what names mean there, and stopping.
//!
//! What people see and type while evaluation stands still is behind [`Debugger`].

use super::Vm;
use super::looked_at;
use crate::compile::{Level, Place, Step, Watched};
use crate::error::{Error, Kind, Result};
use crate::position::PosId;
use crate::value::{Env, Value};
use firn_syntax::Symbol;
use firn_syntax::ast::quoted;
use std::sync::Arc;

/// Why evaluation stands still.
#[derive(Clone, Copy)]
pub enum Stop<'a> {
    /// This error was raised.
    Error(&'a Error),
    /// `builtins.break` was called.
    Break,
    /// A step began, or a message was printed.
    Step,
}

/// How to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Go {
    /// To the next breakpoint or error.
    Continue,
    /// To the next step.
    Step,
    /// Evaluation ends.
    Quit,
}

/// What evaluation calls when it stands still.
pub trait Debugger: Send + Sync {
    /// Looks at the evaluator and says how to go on.
    fn stop(&self, vm: &mut Vm, why: Stop<'_>) -> Go;
}

/// A debugger with what makes evaluation call it.
#[derive(Clone)]
pub struct Debugging {
    /// The debugger.
    pub debugger: Arc<dyn Debugger>,
    /// Whether errors within `tryEval` pass (`ignore-try`).
    pub ignore_try: bool,
    /// Whether `trace` and `warn` stop (`debugger-on-trace`).
    pub on_trace: bool,
    /// Whether `warn` stops (`debugger-on-warn`).
    pub on_warn: bool,
}

impl std::fmt::Debug for Debugging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Debugging")
    }
}

/// What a thread's evaluator knows for its debugger.
pub struct Debug {
    debugging: Debugging,
    /// The steps that are under way, the outermost first.
    traces: Vec<Trace>,
    /// Whether to stop at the next step.
    stepping: bool,
    /// Whether evaluation stands still: what is evaluated now is for the person who looks.
    stopped: bool,
}

impl Debug {
    /// Nothing is under way yet.
    pub(super) fn new(debugging: Debugging) -> Debug {
        Debug { debugging, traces: Vec::new(), stepping: false, stopped: false }
    }
}

/// A step that is under way.
#[derive(Clone, Copy)]
struct Trace {
    what: What,
    pos: PosId,
    /// The names in scope, in this environment with this number. The environment is in use as long as the
    /// step is under way.
    level: Option<&'static Level>,
    env: Env,
    frame: u32,
}

#[derive(Clone, Copy)]
enum What {
    Step(Step),
    File(&'static str),
    /// An error's or a breakpoint's message.
    Error(&'static str),
}

/// A step as people look at it.
pub struct TraceView {
    /// What is being done.
    pub text: String,
    /// Whether the text is an error's.
    pub is_error: bool,
    /// Where, if anywhere.
    pub pos: PosId,
    /// The names in scope, the innermost level first. The global names are not among them.
    pub levels: Vec<LevelView>,
}

/// The names of one level.
pub struct LevelView {
    /// What is bound, with values where they are known by now.
    pub names: Vec<(Symbol, Option<Value>)>,
    /// The attributes that a `with` brings in, if its set is evaluated.
    pub with: Option<Vec<(Symbol, Value)>>,
}

impl TraceView {
    /// What names mean: those of inner levels come last.
    pub fn bindings(&self) -> Vec<(Symbol, Value)> {
        let mut all = Vec::new();
        for level in self.levels.iter().rev() {
            all.extend(level.names.iter().filter_map(|(name, value)| Some((*name, (*value)?))));
            all.extend(level.with.iter().flatten());
        }
        all
    }
}

impl Vm {
    /// Whether there is a debugger.
    pub fn is_debugged(&self) -> bool {
        self.debug.is_some()
    }

    /// How many steps are under way.
    pub fn trace_count(&self) -> usize {
        self.debug.as_ref().map_or(0, |debug| debug.traces.len())
    }

    /// The step with this number, from the innermost out.
    pub fn trace_view(&mut self, index: usize) -> Option<TraceView> {
        let trace = {
            let traces = &self.debug.as_ref()?.traces;
            traces[traces.len().checked_sub(index + 1)?]
        };
        let text = match trace.what {
            What::Error(text) => text.to_owned(),
            What::File(file) => format!("while evaluating the file '{file}':"),
            What::Step(Step::Call) => "while calling a function".to_owned(),
            What::Step(Step::Let) => "while evaluating a 'let' expression".to_owned(),
            What::Step(Step::Attribute(path)) => format!("while evaluating the attribute '{path}'"),
            What::Step(Step::Function(Some(name))) => format!("while calling '{}'", quoted(name)),
            What::Step(Step::Function(None)) => "while calling anonymous lambda".to_owned(),
            What::Step(Step::Plain | Step::Subject) => String::new(),
        };
        let mut levels = Vec::new();
        let mut at = trace.level;
        while let Some(level) = at {
            // SAFETY: the compiler counted the environments from the outermost in, and this one is in use.
            let env = unsafe { trace.env.up(trace.frame - level.frame) };
            // SAFETY: the compiler gave the environment this slot.
            let slot = |slot: u32| unsafe { env.get(slot) };
            let names = level.names.iter().map(|(name, place)| {
                let value = match place {
                    Place::Known(value) => *value,
                    Place::Slot(i) => slot(*i),
                };
                (*name, (!value.is_unset()).then_some(value))
            });
            let names = names.collect();
            let with = level.with.map(slot).filter(|set| !set.is_unset());
            let with = with
                .and_then(|set| looked_at(set).as_set())
                .map(|set| set.iter(&mut self.heap).collect());
            levels.push(LevelView { names, with });
            at = level.up;
        }
        let is_error = matches!(trace.what, What::Error(_));
        Some(TraceView { text, is_error, pos: trace.pos, levels })
    }

    /// How many calls of `tryEval` are under way.
    pub fn catching(&self) -> u32 {
        self.catching
    }

    /// Evaluates a node that the debugger looks at.
    #[cold]
    #[inline(never)]
    pub(super) fn watched(&mut self, w: &'static Watched, env: Env) -> Result<Value> {
        let trace =
            Trace { what: What::Step(w.step), pos: w.pos, level: w.level, env, frame: w.frame };
        let result = match w.step {
            Step::Plain => self.eval(&w.node, env),
            Step::Subject => {
                // The selection begins when its subject is there.
                let selection = self.debug.as_mut().and_then(|debug| debug.traces.pop());
                let result = self.eval(&w.node, env);
                if let (Some(debug), Some(selection)) = (&mut self.debug, selection) {
                    debug.traces.push(selection);
                }
                result
            }
            _ => self.in_step(trace, |vm| vm.eval(&w.node, env)),
        };
        match result {
            Err(e) if !e.was_shown() => Err(self.raised(e, trace)),
            result => result,
        }
    }

    /// Runs `work` as a step that is under way.
    fn in_step(
        &mut self,
        trace: Trace,
        work: impl FnOnce(&mut Vm) -> Result<Value>,
    ) -> Result<Value> {
        let Some(debug) = &mut self.debug else { return work(self) };
        debug.traces.push(trace);
        let depth = debug.traces.len();
        let stop = debug.stepping && !debug.stopped;
        let result =
            if stop && self.stand_still(Stop::Step) == Go::Quit { Err(quit()) } else { work(self) };
        if let Err(e) = &result
            && !e.was_shown()
        {
            // The step itself failed: the debugger shows it as under way.
            let error = result.err().map(|e| self.raised(e, trace));
            if let Some(debug) = &mut self.debug {
                debug.traces.truncate(depth - 1);
            }
            return Err(error.unwrap_or_else(quit));
        }
        if let Some(debug) = &mut self.debug {
            debug.traces.truncate(depth - 1);
        }
        result
    }

    /// Evaluates a file as a step.
    pub(super) fn in_file(
        &mut self,
        file: &std::path::Path,
        work: impl FnOnce(&mut Vm) -> Result<Value>,
    ) -> Result<Value> {
        if self.debug.is_none() {
            return work(self);
        }
        let file = Box::leak(file.display().to_string().into_boxed_str());
        let what = What::File(file);
        let trace = Trace { what, pos: PosId::NONE, level: None, env: Env::NONE, frame: 0 };
        self.in_step(trace, work)
    }

    /// An error of a builtin, before the step of its call is added.
    pub(super) fn builtin_raised(&mut self, error: Error) -> Error {
        let innermost = self.debug.as_ref().and_then(|debug| debug.traces.last().copied());
        match innermost {
            Some(trace) if !error.was_shown() => self.raised(error, trace),
            _ => error,
        }
    }

    /// Lets the debugger look at an error that was just raised.
    fn raised(&mut self, error: Error, trace: Trace) -> Error {
        let Some(debug) = &mut self.debug else { return error };
        let passes = debug.stopped
            || self.catching > 0 && debug.debugging.ignore_try
            || matches!(error.kind(), Kind::Interrupted | Kind::Quit | Kind::Syntax);
        if passes {
            return error;
        }
        let error = error.shown();
        let message = Box::leak(error.message().to_owned().into_boxed_str());
        let pos = error.details().pos.or(trace.pos);
        debug.traces.push(Trace { what: What::Error(message), pos, ..trace });
        self.stand_still(Stop::Error(&error));
        if let Some(debug) = &mut self.debug {
            debug.traces.pop();
        }
        error
    }

    /// A breakpoint.
    ///
    /// # Errors
    /// If the person who looks wants evaluation to end.
    pub(crate) fn breakpoint(&mut self) -> Result<()> {
        let Some(debug) = &mut self.debug else { return Ok(()) };
        let passes = debug.stopped || self.catching > 0 && debug.debugging.ignore_try;
        let Some(innermost) = debug.traces.last().copied().filter(|_| !passes) else {
            return Ok(());
        };
        let what = What::Error("breakpoint reached");
        debug.traces.push(Trace { what, pos: PosId::NONE, ..innermost });
        let go = self.stand_still(Stop::Break);
        if let Some(debug) = &mut self.debug {
            debug.traces.pop();
        }
        if go == Go::Quit { Err(quit()) } else { Ok(()) }
    }

    /// A message was printed: by `warn`, or by `trace`.
    ///
    /// # Errors
    /// As for [`Vm::breakpoint`].
    pub(crate) fn said(&mut self, warning: bool) -> Result<()> {
        let Some(debug) = &self.debug else { return Ok(()) };
        let set = &debug.debugging;
        let stops = set.on_trace || warning && set.on_warn;
        let passes =
            debug.stopped || debug.traces.is_empty() || self.catching > 0 && set.ignore_try;
        if stops && !passes && self.stand_still(Stop::Step) == Go::Quit {
            return Err(quit());
        }
        Ok(())
    }

    fn stand_still(&mut self, why: Stop<'_>) -> Go {
        let Some(debug) = &mut self.debug else { return Go::Continue };
        debug.stopped = true;
        let debugger = Arc::clone(&debug.debugging.debugger);
        let depth = std::mem::take(&mut self.depth);
        let failed = std::mem::take(&mut self.failed);
        let go = debugger.stop(self, why);
        self.depth = depth;
        self.failed = failed;
        if let Some(debug) = &mut self.debug {
            debug.stopped = false;
            debug.stepping = go == Go::Step;
        }
        go
    }
}

fn quit() -> Error {
    Error::new(Kind::Quit, "evaluation was ended in the debugger").shown()
}
