//! What is shown and asked while evaluation stands still.

use std::fmt::Write as _;
use std::sync::Arc;

use firn_eval::Vm;
use firn_eval::error::render;
use firn_eval::machine::debug::{Debugger, Debugging, Go, Stop, TraceView};
use firn_store::settings::Settings;

use super::super::call::Call;
use super::lines::{End, Repl, say};
use super::world::World;
use crate::common::eval::{Session, current_dir};
use crate::common::legacy::Outcome;

const BLUE: &str = "\x1b[34;1m";
const RED: &str = "\x1b[31;1m";
const GREEN: &str = "\x1b[32;1m";
const MAGENTA: &str = "\x1b[35;1m";
const NORMAL: &str = "\x1b[0m";

struct Terminal {
    world: Arc<World>,
}

/// The debugger of a command, if it was called with `--debugger`.
pub fn debugging(call: &mut Call<'_>, session: &Session) -> Outcome<Option<Debugging>> {
    if !call.given.has("debugger") {
        return Ok(None);
    }
    let world = Arc::new(World::new(call, session)?);
    call.out.flush()?;
    Ok(Some(with(&world, &session.settings)))
}

/// A debugger in a world.
pub fn with(world: &Arc<World>, settings: &Settings) -> Debugging {
    Debugging {
        debugger: Arc::new(Terminal { world: Arc::clone(world) }),
        ignore_try: settings.bool("ignore-try"),
        on_trace: settings.bool("debugger-on-trace"),
        on_warn: settings.bool("debugger-on-warn"),
    }
}

impl Debugger for Terminal {
    fn stop(&self, vm: &mut Vm, why: Stop<'_>) -> Go {
        match why {
            Stop::Error(error) => {
                say(&format!("{}\n", self.world.rendered(error)));
                if vm.catching() > 0 {
                    say(&format!(
                        "error: This exception occurred in a 'tryEval' call. Use {GREEN}--ignore-try{NORMAL} to skip these.\n"
                    ));
                }
            }
            Stop::Break => say("info: breakpoint reached\n"),
            Stop::Step => {}
        }
        let mut repl = Repl::new(vm, Arc::clone(&self.world), &current_dir());
        repl.greet(vm);
        repl.bind_frame(vm, 0);
        match repl.run(vm) {
            Ok(End::Continue) => Go::Continue,
            Ok(End::Step) => Go::Step,
            Ok(End::Quit) | Err(_) => Go::Quit,
        }
    }
}

/// A step as `:bt` shows it.
pub fn trace(index: usize, view: &TraceView) -> String {
    let mut out = format!("\n{BLUE}{index}{NORMAL}: ");
    if view.is_error {
        out.push_str(&format!("{RED}error: {NORMAL}"));
    }
    out.push_str(&view.text);
    out.push('\n');
    if let Some(at) = view.pos.location() {
        let _ = write!(out, "{at}");
        if let Some(lines) = render::lines_around(view.pos, true).filter(|l| !l.is_empty()) {
            let _ = write!(out, "\n{lines}\n");
        }
    }
    out
}

/// The names in scope of a step, level by level, and the global ones.
pub fn environment(vm: &Vm, view: &TraceView) -> String {
    let mut out = String::new();
    let list = |names: &mut dyn Iterator<Item = String>| {
        let names: String = names.map(|name| name + " ").collect();
        format!("{MAGENTA}{names}{NORMAL}\n")
    };
    for (i, level) in view.levels.iter().enumerate() {
        let names = list(&mut level.names.iter().map(|(name, _)| name.to_string()));
        let _ = write!(out, "Env level {i}\nstatic: {names}");
        if let Some(with) = &level.with {
            let names = list(&mut with.iter().map(|(name, _)| name.to_string()));
            let _ = write!(out, "with: {names}");
        }
        out.push('\n');
    }
    let mut globals: Vec<String> =
        vm.shared.globals.names.keys().map(ToString::to_string).collect();
    // What begins with underscores is in `builtins`.
    globals.retain(|name| !name.starts_with("__"));
    globals.sort();
    let _ = writeln!(out, "Env level {}\n{}", view.levels.len(), list(&mut globals.into_iter()));
    out
}
