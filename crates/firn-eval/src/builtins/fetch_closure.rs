//! `fetchClosure`: store paths from binary caches, as they are or made content-addressed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use firn_model::store_path::StorePath;

use super::Builtin;
use super::sources::path_string;
use crate::context::ContextBuilder;
use crate::error::{Error, Result};
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::Value;

/// A value that names a store path.
fn store_path(vm: &mut Vm, value: Value, at: PosId, step: &str) -> Result<StorePath> {
    let mut context = ContextBuilder::new();
    let path = vm.coerce_path(at, value, &mut context, step)?.into_owned();
    let text = String::from_utf8_lossy(&path).into_owned();
    if let Ok(found) = vm.store_dir().parse(&text) {
        return Ok(found);
    }
    // perhaps a link to one
    let resolved = vm
        .resolve_links(Path::new(OsStr::from_bytes(&path)), true)
        .ok()
        .and_then(|p| vm.store_dir().parse(&p.to_string_lossy()).ok());
    resolved.ok_or_else(|| Error::other(format!("path '{text}' is not in the Nix store")).at(at))
}

/// What `toPath` says.
enum Target {
    /// The path that is expected.
    Path(StorePath),
    /// Nothing: the error tells what it would be.
    Gap,
}

fn fetch_closure(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set = vm.force_set(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.fetchClosure",
    )?;
    let (mut from_store, mut from_path, mut target, mut input_addressed) =
        (None, None, None, false);
    for (attr, value) in set.iter(&mut vm.heap) {
        let at = set.position(attr);
        let name = attr.to_string();
        let step =
            format!("while evaluating the attribute '{name}' passed to builtins.fetchClosure");
        match name.as_str() {
            "fromPath" => from_path = Some(store_path(vm, value, at, &step)?),
            "toPath" => {
                let forced = vm.force(value, at)?;
                let empty = forced.as_str().is_some_and(|s| s.bytes().is_empty());
                target = Some(if empty {
                    Target::Gap
                } else {
                    Target::Path(store_path(vm, forced, at, &step)?)
                });
            }
            "fromStore" => {
                let text = vm.force_string_no_context(value, at, &step)?;
                from_store = Some(String::from_utf8_lossy(text.bytes()).into_owned());
            }
            "inputAddressed" => input_addressed = vm.force_bool(value, at, &step)?,
            _ => {
                return Err(Error::other(format!(
                    "attribute '{name}' isn't supported in call to 'fetchClosure'"
                ))
                .at(pos));
            }
        }
    }
    let missing = |name: &str| {
        Error::other(format!("attribute '{name}' is missing in call to 'fetchClosure'")).at(pos)
    };
    let from_path = from_path.ok_or_else(|| missing("fromPath"))?;
    if input_addressed && target.is_some() {
        return Err(Error::other(
            "attribute 'inputAddressed' is set to true, but 'toPath' is also set. Please remove one of them",
        )
        .at(pos));
    }
    let from_store = from_store.ok_or_else(|| missing("fromStore"))?;
    check_store(vm, &from_store).map_err(|e| e.at(pos))?;
    let found = match target {
        Some(target) => rewritten(vm, &from_store, &from_path, target),
        None => as_it_is(vm, &from_store, &from_path, input_addressed),
    };
    Ok(path_string(vm, found.map_err(|e| e.at(pos))?))
}

/// Only caches on the web are asked, whose addresses are the whole truth.
fn check_store(vm: &Vm, uri: &str) -> Result<()> {
    let scheme = uri.split_once("://").map_or("", |(scheme, _)| scheme);
    let in_test = scheme == "file" && vm.shared.io.env("_NIX_IN_TEST").is_some();
    if !matches!(scheme, "http" | "https") && !in_test {
        return Err(Error::other("'fetchClosure' only supports http:// and https:// stores"));
    }
    if uri.contains('?') {
        return Err(Error::other(format!(
            "'fetchClosure' does not support URL query parameters (in '{uri}')"
        )));
    }
    Ok(())
}

fn rewritten(vm: &mut Vm, store: &str, from: &StorePath, target: Target) -> Result<StorePath> {
    let io = vm.shared.io.clone();
    let dir = vm.store_dir();
    let (shown, expected) = (
        dir.print(from),
        match target {
            Target::Path(path) => Some(path),
            Target::Gap => None,
        },
    );
    let valid = expected.as_ref().filter(|path| io.is_valid(path));
    if valid.is_none() {
        let made = io.fetch_closure(store, from, true)?;
        let yielded =
            format!("rewriting '{shown}' to content-addressed form yielded '{}'", dir.print(&made));
        match &expected {
            None => {
                return Err(Error::other(format!(
                    "{yielded}\nUse this value for the 'toPath' attribute passed to 'fetchClosure'"
                )));
            }
            Some(path) if *path != made => {
                return Err(Error::other(format!(
                    "{yielded}, while '{}' was expected",
                    dir.print(path)
                )));
            }
            Some(_) => {}
        }
    }
    let Some(path) = expected else { return Err(Error::other("'toPath' is missing")) };
    if !io.is_content_addressed(&path)? {
        return Err(Error::other(format!(
            "The 'toPath' value '{}' is input-addressed, so it can't possibly be the result of rewriting to a content-addressed path.\n\nSet 'toPath' to an empty string to make Nix report the correct content-addressed path.",
            dir.print(&path)
        )));
    }
    io.ensure(&path)?;
    Ok(path)
}

fn as_it_is(
    vm: &mut Vm,
    store: &str,
    from: &StorePath,
    input_addressed: bool,
) -> Result<StorePath> {
    let io = vm.shared.io.clone();
    let path = io.fetch_closure(store, from, false)?;
    let shown = vm.store_dir().print(&path);
    match (io.is_content_addressed(&path)?, input_addressed) {
        (false, false) => Err(Error::other(format!(
            "The 'fromPath' value '{shown}' is input-addressed, but 'inputAddressed' is set to 'false' (default).\n\nIf you do intend to fetch an input-addressed store path, add\n\n    inputAddressed = true;\n\nto the 'fetchClosure' arguments.\n\nNote that to ensure authenticity input-addressed store paths, users must configure a trusted binary cache public key on their systems. This is not needed for content-addressed paths."
        ))),
        (true, true) => Err(Error::other(format!(
            "The store object referred to by 'fromPath' at '{shown}' is not input-addressed, but 'inputAddressed' is set to 'true'.\n\nRemove the 'inputAddressed' attribute (it defaults to 'false') to expect 'fromPath' to be content-addressed"
        ))),
        _ => Ok(path),
    }
}

pub(super) fn table() -> Vec<Builtin> {
    vec![Builtin::new("__fetchClosure", 1, fetch_closure).feature("fetch-closure")]
}
