//! `nix repl`, and the debugger that other commands open: the terminal side. What lines mean is in
//! `firn-repl`.
//!
//! | file | what |
//! | --- | --- |
//! | `lines` | the loop: reading lines and carrying out commands |
//! | `actions` | building, editing, shells, logs |
//! | `debugger` | what is shown and asked while evaluation stands still |
//! | `terminal` | editing lines, or reading them from a pipe |
//! | `world` | what commands need from outside |

mod actions;
mod debugger;
mod lines;
mod terminal;
mod world;

pub use debugger::debugging;

use std::sync::Arc;

use super::call::{Call, Stop};
use super::flags::{Flag, flag};
use super::flakes::Targets;
use super::installables::Installable;
use crate::common::eval::current_dir;
use crate::common::legacy::Outcome;
use lines::Repl;
use world::World;

/// The flag of all commands that evaluate.
pub const DEBUGGER: Flag =
    flag("debugger", None, "open a session where evaluation fails or 'builtins.break' is called");

/// `nix repl`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    call.targets = Targets::Whole;
    let mut texts = call.given.args.clone();
    if texts.is_empty() && call.has_source() {
        texts.push(String::new());
    }
    let items: Vec<Installable> =
        texts.iter().map(|text| call.installable(text)).collect::<Outcome<_>>()?;
    let session = call.session()?;
    let root = call.root(&session)?;
    let world = Arc::new(World::new(call, &session)?);
    call.out.flush()?;
    let mut settings = call.eval_settings(&session, false)?;
    settings.pure = session.settings.bool("pure-eval");
    settings.eval_cores = 1;
    if call.given.has("debugger") {
        settings.debugging = Some(debugger::with(&world, &session.settings));
    }
    call.evaluate_with(&session, settings, |vm, args| {
        let mut repl = Repl::new(vm, Arc::clone(&world), &current_dir());
        repl.args = Some(args);
        repl.greet(vm);
        for (item, text) in items.iter().zip(&texts) {
            repl.loaded.push((item.clone(), text.clone()));
        }
        repl.root = Some(&root);
        repl.load_installables(vm)?;
        repl.run(vm).map(|_| ()).map_err(Stop::from)
    })
}
