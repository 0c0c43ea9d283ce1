//! Completions that have to be looked up: files, flakes, their inputs and their attributes.

use std::path::PathBuf;

use firn_eval::Vm;
use firn_eval::position::PosId;
use firn_eval::value::Set;
use firn_flake::lock::get_flake;
use firn_flake::lock_file::url_of;
use firn_flake::registry::Use;

use super::super::Command;
use super::super::call::{Call, Stop};
use super::super::flakes::{self, Targets, plain_reference};
use super::super::installables::Installable;
use super::{Completions, Kinds};
use crate::common::legacy::Outcome;

/// `~/x` as a path in the home folder.
fn expand_tilde(text: &str) -> String {
    match (text.strip_prefix('~'), std::env::var("HOME")) {
        (Some(rest), Ok(home)) if rest.is_empty() || rest.starts_with('/') => home + rest,
        _ => text.to_owned(),
    }
}

/// Files, or only folders, whose path begins with `prefix`.
pub fn files(prefix: &str, only_folders: bool, to: &mut Completions) {
    to.kinds = Kinds::Filenames;
    let (shown, start) = match prefix.rfind('/') {
        Some(slash) => prefix.split_at(slash + 1),
        None => ("", prefix),
    };
    let folder = match shown {
        "" => PathBuf::from("."),
        shown => PathBuf::from(expand_tilde(shown)),
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && !start.starts_with('.');
        if hidden || !name.starts_with(start) || (only_folders && !entry.path().is_dir()) {
            continue;
        }
        to.add(format!("{shown}{name}"));
    }
}

/// A reference to a flake: a folder, or a name of the registries.
pub fn flake(call: &mut Call<'_>, prefix: &str, to: &mut Completions) -> Outcome {
    if prefix.is_empty() {
        to.add(".");
    }
    files(prefix, true, to);
    // a path is in no registry
    if prefix.starts_with(['.', '/', '~']) {
        return Ok(());
    }
    let session = call.session()?;
    let registries = session.registries();
    // what cannot be had now has no names to offer
    let known = call.evaluate(&session, true, |vm, _| {
        Ok(registries.each(vm).filter_map(|(_, registry)| registry.ok()).collect::<Vec<_>>())
    })?;
    for entry in known.iter().flat_map(|registry| &registry.entries) {
        let from = url_of(&entry.from);
        let short = from.strip_prefix("flake:").unwrap_or(&from);
        for name in [short, &from] {
            if name.starts_with(prefix) {
                to.add(name);
                break;
            }
        }
    }
    Ok(())
}

/// Names of the inputs of the flakes that the line names, or of the one in this folder.
pub fn inputs(call: &mut Call<'_>, prefix: &str, to: &mut Completions) -> Outcome {
    let mut texts: Vec<String> = call.given.all("flake").flatten().cloned().collect();
    if texts.is_empty() && call.given.value("file").is_none() {
        texts = call.given.args.clone();
    }
    if texts.is_empty() {
        texts.push(".".to_owned());
    }
    let session = call.session()?;
    let registries = session.registries();
    for text in texts {
        let text = text.split('#').next().unwrap_or_default();
        let reference = plain_reference(&expand_tilde(text))?;
        let names = call.evaluate(&session, true, |vm, _| {
            let flake = get_flake(vm, &registries, &reference, Use::All)?;
            Ok(flake.inputs.into_keys().collect::<Vec<_>>())
        });
        for name in names.unwrap_or_default() {
            if name.starts_with(prefix) {
                to.add(name);
            }
        }
    }
    Ok(())
}

/// What a command may be given to work on.
pub fn installable(
    call: &mut Call<'_>,
    command: &Command,
    prefix: &str,
    to: &mut Completions,
) -> Outcome {
    if call.has_source() {
        return attribute(call, prefix, to);
    }
    if prefix.starts_with('/') && !prefix.contains('#') {
        files(prefix, false, to);
        return Ok(());
    }
    call.targets = match command.path {
        "run" => Targets::Apps,
        "develop" | "print-dev-env" => Targets::Shells,
        "search" => Targets::Search,
        _ => Targets::Packages,
    };
    let system = call.common.settings.text("system").to_owned();
    // the prefixes and defaults are what short and empty names may stand for
    let short = call.targets.candidates("?", &system);
    let defaults = call.targets.candidates("", &system);
    let mut places: Vec<(&str, &str)> =
        short.iter().filter_map(|c| Some((c.strip_suffix('?')?, ""))).collect();
    places.extend(defaults.iter().map(|d| ("", d.as_str())));
    fragment(call, &places, prefix, to)
}

/// A flake and an attribute of it. Each of `places` is the start of paths that need not be written, and the
/// attribute that is meant by an empty one, if any.
pub fn fragment(
    call: &mut Call<'_>,
    places: &[(&str, &str)],
    prefix: &str,
    to: &mut Completions,
) -> Outcome {
    let Some((url, fragment)) = prefix.split_once('#') else { return flake(call, prefix, to) };
    to.kinds = Kinds::Attrs;
    let (dot, fragment) = match fragment.strip_prefix('.') {
        Some(rest) => (".", rest),
        None => ("", fragment),
    };
    let (parent, start) = divide(fragment);
    let reference = plain_reference(&expand_tilde(url))?;
    let session = call.session()?;
    let mut locking = call.locking(&session)?;
    locking.no_write = true;
    let found = call.evaluate(&session, true, |vm, args| {
        let locked = locking.lock(vm, &reference)?;
        let outputs = flakes::outputs(vm, &locked)?;
        let mut found = Vec::new();
        let mut empty = false;
        let mut starts: Vec<&str> =
            if dot.is_empty() { places.iter().map(|(p, _)| *p).collect() } else { Vec::new() };
        starts.push("");
        starts.sort_unstable();
        starts.dedup();
        for place in starts {
            let path = format!("{place}{parent}");
            // what fails to evaluate only has no names
            let names = names(vm, outputs, path.trim_end_matches('.'), args).unwrap_or_default();
            found.extend(names.into_iter().map(|name| format!("{parent}{name}")));
        }
        if fragment.is_empty() {
            for (_, default) in places.iter().filter(|(_, d)| !d.is_empty()) {
                let default = vec![(*default).to_owned()];
                empty |= flakes::find(vm, outputs, url, &default).is_ok();
            }
        }
        Ok((found, empty))
    })?;
    if found.1 {
        to.add(format!("{url}#{dot}"));
    }
    for path in found.0 {
        if divide(&path).1.starts_with(start) {
            to.add(format!("{url}#{dot}{path}"));
        }
    }
    Ok(())
}

/// An attribute of the file or expression that a flag names.
fn attribute(call: &mut Call<'_>, prefix: &str, to: &mut Completions) -> Outcome {
    to.kinds = Kinds::Attrs;
    let (parent, start) = divide(prefix);
    let session = call.session()?;
    let root = call.root(&session)?;
    let path = parent.trim_end_matches('.').to_owned();
    let found = call.evaluate(&session, true, |vm, args| {
        let item = Installable::Attr { path, outputs: None };
        let value = root.values(args).get(vm, &item)?.value;
        names(vm, value, "", args)
    })?;
    for name in found.iter().filter(|name| name.starts_with(start)) {
        to.add(format!("{parent}{name}"));
    }
    Ok(())
}

/// The names of the set at a path of attributes in a value.
fn names(vm: &mut Vm, value: firn_eval::Value, path: &str, args: Set) -> Result<Vec<String>, Stop> {
    let (value, _) = firn_eval::packages::select(vm, path, args, value)?;
    let value = vm.force(value, PosId::NONE)?;
    let value = if value.as_set().is_none() { vm.auto_call(args, value)? } else { value };
    let Some(set) = value.as_set() else { return Ok(Vec::new()) };
    let names: Vec<_> = set.iter(&mut vm.heap).map(|(name, _)| name).collect();
    Ok(names
        .iter()
        .map(|name| {
            let text = String::from_utf8_lossy(name.as_bytes()).into_owned();
            if text.contains('.') { format!("\"{text}\"") } else { text }
        })
        .collect())
}

/// Divides `a.b.c` into `a.b.` and `c`.
fn divide(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('.').map_or(0, |dot| dot + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_divided_behind_their_last_dot() {
        assert_eq!(divide("a.b.c"), ("a.b.", "c"));
        assert_eq!(divide("a"), ("", "a"));
        assert_eq!(divide("a."), ("a.", ""));
    }

    #[test]
    fn folders_are_told_from_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("foo")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::fs::write(dir.path().join(".hidden"), "").unwrap();
        let found = |only_folders| {
            let mut to = Completions { kinds: Kinds::Normal, found: Default::default() };
            files(&format!("{}/", dir.path().display()), only_folders, &mut to);
            to.found.len()
        };
        assert_eq!((found(false), found(true)), (2, 1));
    }
}
