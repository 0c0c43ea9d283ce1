//! `nix fmt` and `nix formatter`: the formatter that a flake names, and Firn's own where none is named.

mod files;

use std::path::PathBuf;

use firn_eval::position::PosId;
use firn_eval::{Value, Vm};
use firn_flake::lock_file::url_of;
use firn_model::input::FlakeRef;
use firn_syntax::Symbol;

use super::call::{Call, Stop};
use super::flags::{Flag, flag};
use super::flakes::{self, Targets, source_folder};
use super::installables::Installable;
use super::run::{Application, application, execute};
use crate::common::eval::current_dir;
use crate::common::legacy::{Outcome, fail, usage};

/// Flags of `nix fmt` alone.
#[rustfmt::skip]
pub const CHECK: &[Flag] = &[
    flag("check", None, "change nothing, and list what would change (only where there is no formatter to build)"),
];

/// `nix fmt`: the flake's formatter; without one, the built-in formatter for the files and folders named, or
/// for the whole flake.
pub fn fmt(call: &mut Call<'_>) -> Outcome {
    let args = std::mem::take(&mut call.given.args);
    let check = call.given.has("check");
    if call.has_source() {
        return run_formatter(call, &args);
    }
    let Ok((reference, _)) = firn_flake::reference::parse(".", &current_dir()) else {
        return files::run(call, &args, &current_dir(), check);
    };
    let Some(app) = formatter_of(call, &reference)? else {
        let folder = source_folder(&reference).map(|root| root.join(&reference.dir));
        return files::run(call, &args, &folder.unwrap_or_else(current_dir), check);
    };
    if check {
        return usage(
            "'--check' is for the built-in formatter, and this flake has one of its own; flags for that go behind '--'",
        );
    }
    start(call, app, &args, source_folder(&reference))
}

/// `nix formatter run`: the flake's formatter.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let args = std::mem::take(&mut call.given.args);
    run_formatter(call, &args)
}

/// `nix formatter build`: builds the flake's formatter and tells its program.
pub fn build(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let (app, _) = named_formatter(call)?;
    let build = app.wanted(call.store()?.store_dir())?;
    let bench = call.bench()?;
    let results = bench.build(&build).map_err(|e| super::realise::failure(&e))?;
    drop(bench);
    super::realise::link_results(call, &results)?;
    Ok(writeln!(call.out, "{}", app.program)?)
}

fn run_formatter(call: &mut Call<'_>, args: &[String]) -> Outcome {
    let (app, folder) = named_formatter(call)?;
    start(call, app, args, folder)
}

/// The formatter of the flake here, or what `--file` or `--expr` give, and the folder that it is for.
fn named_formatter(call: &mut Call<'_>) -> Outcome<(Application, Option<PathBuf>)> {
    call.targets = Targets::Formatter;
    let named = if call.has_source() { "" } else { "." };
    let item = call.installable(named)?;
    let folder = match &item {
        Installable::Flake { reference, .. } => source_folder(reference),
        Installable::Store(_) => return fail("the present folder is a store path and not a flake"),
        Installable::Attr { .. } => None,
    };
    let session = call.session()?;
    let source = call.root(&session)?;
    let app = call.evaluate(&session, false, |vm, args| {
        let found = source.values(args).get(vm, &item)?;
        application(vm, found.value, &found.attr)
    })?;
    Ok((app, folder))
}

/// The formatter that a flake has for this system, if it has one.
fn formatter_of(call: &mut Call<'_>, reference: &FlakeRef) -> Outcome<Option<Application>> {
    call.targets = Targets::Formatter;
    let session = call.session()?;
    let root = call.root(&session)?;
    call.evaluate(&session, false, |vm, _| {
        let locked = root.locking.lock(vm, reference)?;
        let outputs = flakes::outputs(vm, &locked)?;
        if !names_formatter(vm, outputs, &root.system)? {
            return Ok(None);
        }
        let candidates = Targets::Formatter.candidates("", &root.system);
        let (value, attr) = flakes::find(vm, outputs, &url_of(reference), &candidates)?;
        application(vm, value, &attr).map(Some)
    })
}

fn names_formatter(vm: &mut Vm, outputs: Value, system: &str) -> Result<bool, Stop> {
    let mut at = outputs;
    for name in ["formatter", system] {
        let Some(next) = at.as_set().and_then(|set| set.get(Symbol::intern(name.as_bytes())))
        else {
            return Ok(false);
        };
        at = vm.force(next, PosId::NONE)?;
    }
    Ok(true)
}

/// Builds a formatter and becomes it; it is told the folder of the flake.
fn start(
    call: &mut Call<'_>,
    app: Application,
    args: &[String],
    folder: Option<PathBuf>,
) -> Outcome {
    let build = app.wanted(call.store()?.store_dir())?;
    let bench = call.bench()?;
    bench.build(&build).map_err(|e| super::realise::failure(&e))?;
    drop(bench);
    let mut env: std::collections::BTreeMap<_, _> = std::env::vars_os().collect();
    if let Some(folder) = folder {
        env.insert("PRJ_ROOT".into(), folder.into());
    }
    execute(call, &app.program, args, env)
}
