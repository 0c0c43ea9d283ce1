//! `nix registry`.

use std::path::PathBuf;

use firn_flake::lock_file::url_of;
use firn_flake::registry::{Entry, Registry, Use};
use firn_model::input::FlakeRef;

use super::call::Call;
use super::flags::{Flag, option};
use super::flakes::plain_reference;
use crate::common::eval::current_dir;
use crate::common::legacy::{Failure, Outcome, usage};

/// Flags of commands that change a registry.
pub const FLAGS: &[Flag] =
    &[option("registry", None, &["registry"], "the registry's file, the user's if not given")];

fn message(e: firn_eval::Error) -> Failure {
    Failure::Message(e.message().to_owned())
}

/// `nix registry list`.
pub fn list(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let session = call.session()?;
    let locking = call.locking(&session)?;
    // where one cannot be had, the others are shown all the same
    let all: Vec<_> =
        call.evaluate(&session, true, |vm, _| Ok(locking.registries.each(vm).collect::<Vec<_>>()))?;
    let mut failed = None;
    for (origin, registry) in all {
        match registry {
            Ok(registry) => {
                for Entry { from, to, .. } in registry.entries {
                    writeln!(call.out, "{} {} {}", origin.name(), url_of(&from), url_of(&to))?;
                }
            }
            Err(e) => failed = Some(e),
        }
    }
    failed.map_or(Ok(()), |e| Err(message(e)))
}

fn file(call: &Call<'_>) -> Outcome<PathBuf> {
    match call.given.value("registry") {
        Some(file) => Ok(current_dir().join(file)),
        None => Ok(call.common.env.config_dir()?.join("nix/registry.json")),
    }
}

fn change(call: &Call<'_>, work: impl FnOnce(&mut Registry)) -> Outcome {
    let file = file(call)?;
    let mut registry = Registry::read(&file).map_err(message)?;
    work(&mut registry);
    if let Some(dir) = file.parent() {
        firn_store::fs::create_dirs(dir)?;
    }
    Ok(firn_store::fs::write_atomically(&file, registry.text().as_bytes(), 0o644, false)?)
}

/// `nix registry add`.
pub fn add(call: &mut Call<'_>) -> Outcome {
    let [from, to] = &call.given.args[..] else {
        return usage("two arguments are needed: a name and what it stands for");
    };
    let (from, to) = (plain_reference(from)?, plain_reference(to)?);
    let entry = Entry { from, to, exact: false };
    change(call, |registry| registry.set(entry))
}

/// `nix registry remove`.
pub fn remove(call: &mut Call<'_>) -> Outcome {
    let from = plain_reference(call.one_argument("url")?)?;
    change(call, |registry| registry.entries.retain(|e| e.from != from))
}

/// `nix registry pin`.
pub fn pin(call: &mut Call<'_>) -> Outcome {
    let (from, to) = match &call.given.args[..] {
        [one] => (plain_reference(one)?, plain_reference(one)?),
        [from, to] => (plain_reference(from)?, plain_reference(to)?),
        _ => return usage("required argument 'url' is missing"),
    };
    let session = call.session()?;
    let locking = call.locking(&session)?;
    let to = call.evaluate(&session, true, |vm, _| {
        let (input, dir) = locking.registries.resolve(vm, &to.input, Use::All)?;
        let tree = firn_eval::builtins::fetch_input(vm, &input)?;
        Ok(FlakeRef { input: tree.input, dir: dir.unwrap_or(to.dir) })
    })?;
    let entry = Entry { from, to, exact: false };
    change(call, |registry| registry.set(entry))
}

/// `nix registry resolve`.
pub fn resolve(call: &mut Call<'_>) -> Outcome {
    let wanted = call.given.args.iter().map(|a| plain_reference(a)).collect::<Outcome<Vec<_>>>()?;
    let session = call.session()?;
    let locking = call.locking(&session)?;
    let found = call.evaluate(&session, true, |vm, _| {
        let mut found = Vec::new();
        for reference in &wanted {
            let (input, dir) = locking.registries.resolve(vm, &reference.input, Use::All)?;
            let dir = dir.unwrap_or_else(|| reference.dir.clone());
            found.push(url_of(&FlakeRef { input, dir }));
        }
        Ok(found)
    })?;
    for url in found {
        writeln!(call.out, "{url}")?;
    }
    Ok(())
}
