//! `nix flake prefetch`, `nix flake archive`, `nix flake clone`: getting the trees of flakes.

use std::collections::{BTreeMap, BTreeSet};

use firn_eval::Vm;
use firn_eval::builtins::fetch_input;
use firn_event::Level;
use firn_flake::lock_file::{Edge, json_of};
use firn_flake::registry::Use;
use firn_flake::{LockFile, LockedFlake};
use firn_store::Trust;
use firn_store::copy::{CopyOptions, copy_paths};
use serde_json::{Map, Value, json};

use super::{reference, with_flake};
use crate::commands::nix::call::{Call, Stop};
use crate::commands::nix::flags::{Flag, flag, option};
use crate::commands::nix::flakes::plain_reference;
use crate::common::eval::current_dir;
use crate::common::legacy::{Failure, Outcome, fail, usage};

/// Flags of `nix flake archive`.
#[rustfmt::skip]
pub const ARCHIVE: &[Flag] = &[
    flag("dry-run", None, "fetch nothing that is not needed to tell the paths"),
    option("to", None, &["store-url"], "the store to copy to"),
    flag("no-check-sigs", None, "do not demand signatures of trusted keys"),
];
/// Flags of `nix flake prefetch`.
pub const PREFETCH: &[Flag] =
    &[option("out-link", Some('o'), &["path"], "the name of a link to the tree")];
/// Flags of `nix flake clone`.
pub const CLONE: &[Flag] = &[option("dest", Some('f'), &["path"], "the folder to clone into")];

/// `nix flake prefetch`.
pub fn prefetch(call: &mut Call<'_>) -> Outcome {
    let wanted = reference(call)?;
    let session = call.session()?;
    let locking = call.locking(&session)?;
    let (tree, input, original) = call.evaluate(&session, true, |vm, _| {
        let (input, _) = locking.registries.resolve(vm, &wanted.input, Use::All)?;
        let tree = fetch_input(vm, &input)?;
        Ok((tree.store_path()?, tree.input, wanted.clone()))
    })?;
    let store = call.store()?;
    let path = store.store_dir().print(&tree);
    let hash = store.path_info(&tree)?.nar_hash.to_sri();
    if let Some(link) = call.given.value("out-link") {
        store.add_perm_root(&tree, &current_dir().join(link))?;
    }
    if call.given.has("json") {
        let mut locked = input.attrs.clone();
        // of these the hash is not what fixes them
        if matches!(input.kind(), "path" | "git") {
            locked.remove("narHash");
        }
        return call.print_json(&json!({
            "hash": hash,
            "locked": json_of(&locked),
            "original": json_of(&original.to_attrs()),
            "storePath": path,
        }));
    }
    let shown = input.shown();
    call.say(Level::Notice, format!("Downloaded '{shown}' to '{path}' (hash '{hash}')."));
    Ok(())
}

/// `nix flake archive`.
pub fn archive(call: &mut Call<'_>) -> Outcome {
    let wanted = reference(call)?;
    let (root, inputs) = with_flake(call, &wanted, true, false, |vm, locked| {
        let root = vm.store_dir().print(&locked.flake.tree.store_path()?);
        let mut paths = BTreeMap::new();
        let inputs = trees(vm, locked, &locked.locks, 0, &mut paths)?;
        Ok((root, inputs))
    })?;
    let to = call.given.value("to").map(str::to_owned);
    if let Some(uri) = to.as_deref().filter(|_| !call.given.has("dry-run")) {
        let target = call.common.open_store_at(Some(uri))?;
        let source = call.store()?;
        let mut texts = vec![root.clone()];
        paths_of(&inputs, &mut texts);
        let mut paths = BTreeSet::new();
        for text in &texts {
            let path = source.store_dir().parse(text);
            paths.insert(path.map_err(|e| Failure::Message(e.to_string()))?);
        }
        let trust = match call.given.has("no-check-sigs") {
            true => Trust::Everybody,
            false => call.common.trust(&target, Some(uri))?,
        };
        let options = CopyOptions::new(trust, call.common.logger());
        copy_paths(&*source, &*target, &paths, &options)?;
    }
    if call.given.has("json") {
        return call.print_json(&json!({ "inputs": inputs, "path": root }));
    }
    call.say(Level::Talkative, format!("archived '{root}'"));
    Ok(())
}

/// Fetches the inputs of a node, and tells their paths.
fn trees(
    vm: &mut Vm,
    locked: &LockedFlake,
    locks: &LockFile,
    at: usize,
    paths: &mut BTreeMap<usize, String>,
) -> Result<Map<String, Value>, Stop> {
    let mut found = Map::new();
    for (name, edge) in &locks.nodes[at].inputs {
        let Edge::Node(next) = edge else { continue };
        let Some(lock) = &locks.nodes[*next].lock else { continue };
        let relative = lock.locked.input.text("path").is_some_and(|p| !p.starts_with('/'));
        let path = match (paths.get(next), locked.fetched.get(next)) {
            (Some(path), _) => path.clone(),
            (None, Some((tree, _))) => vm.store_dir().print(&tree.store_path()?),
            (None, None) if relative && lock.locked.input.kind() == "path" => String::new(),
            (None, None) => {
                let tree = fetch_input(vm, &lock.locked.input)?;
                vm.store_dir().print(&tree.store_path()?)
            }
        };
        paths.insert(*next, path.clone());
        let inputs = trees(vm, locked, locks, *next, paths)?;
        let mut entry = Map::new();
        entry.insert("inputs".into(), inputs.into());
        if !path.is_empty() {
            entry.insert("path".into(), path.into());
        }
        found.insert(name.clone(), entry.into());
    }
    Ok(found)
}

/// All paths in what [`trees`] gives.
fn paths_of(inputs: &Map<String, Value>, paths: &mut Vec<String>) {
    for input in inputs.values() {
        paths.extend(input.get("path").and_then(Value::as_str).map(str::to_owned));
        if let Some(inner) = input.get("inputs").and_then(Value::as_object) {
            paths_of(inner, paths);
        }
    }
}

/// Copies the tree of an input that is no Git repository.
fn clone_tree(
    call: &mut Call<'_>,
    input: &firn_model::input::Input,
    target: &std::path::Path,
) -> Outcome {
    if target.symlink_metadata().is_ok() {
        return fail(format!("cannot clone into existing path {target:?}"));
    }
    let session = call.session()?;
    let tree = call.evaluate(&session, false, |vm, _| Ok(fetch_input(vm, input)?.store_path()?))?;
    let source = call.store()?.real_path(&tree);
    super::init::copy_tree(&source, target)
        .map_err(|e| Failure::Message(format!("writing '{}': {e}", target.display())))
}

/// `nix flake clone`.
pub fn clone(call: &mut Call<'_>) -> Outcome {
    let text = call.one_argument("flake-url")?;
    let wanted = plain_reference(text)?;
    let Some(target) = call.given.value("dest") else {
        return usage("missing flag '--dest'");
    };
    let target = current_dir().join(target);
    let session = call.session()?;
    let locking = call.locking(&session)?;
    let input = call.evaluate(&session, true, |vm, _| {
        Ok(locking.registries.resolve(vm, &wanted.input, Use::All)?.0)
    })?;
    let url = match input.kind() {
        "git" => input.text("url").unwrap_or_default().to_owned(),
        "github" | "gitlab" => {
            let host =
                input.text("host").map_or_else(|| format!("{}.com", input.kind()), str::to_owned);
            let part = |name: &str| input.text(name).unwrap_or_default().to_owned();
            format!("https://{host}/{}/{}.git", part("owner"), part("repo"))
        }
        _ => return clone_tree(call, &input, &target),
    };
    let mut git = std::process::Command::new("git");
    git.args(["clone", &url]);
    if let Some(name) = input.text("ref") {
        git.args(["--branch", name]);
    }
    let status =
        git.arg(&target).status().map_err(|e| Failure::Message(format!("starting 'git': {e}")))?;
    if status.success() { Ok(()) } else { fail(format!("cloning '{url}' failed")) }
}
