//! A locked flake as a value: its outputs with its inputs passed to them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use firn_eval::io::TreePlace;
use firn_eval::position::PosId;
use firn_eval::value::SetBuilder;
use firn_eval::{Error, Result, Value, Vm};
use firn_model::input::{Attr, FlakeRef, Input};
use firn_syntax::{Origin, Symbol};

use crate::lock::{LockFlags, LockedFlake, lock_flake};
use crate::registry::Registries;
use crate::{enabled, input_error};

/// Makes the value of the root from the lock file's text and the trees that are there already. Each node
/// is made once, and only if something asks for it.
const TEXT: &str = r#"
lockText: present:
let
  lock = builtins.fromJSON lockText;

  # The name of the node that an input leads to: its own, or at the end of a path from the root.
  leadsTo = spec: if builtins.isList spec then builtins.foldl' step lock.root spec else spec;
  step = from: input: leadsTo lock.nodes.${from}.inputs.${input};

  load = name: node:
    let
      locked = node.locked or { };
      here = present ? ${name};
      relative = locked.type or "" == "path" && builtins.substring 0 1 locked.path != "/";
      parent = nodes.${builtins.foldl' step lock.root node.parent};
      below = dir: if dir == "" then "" else "/" + dir;
      plain = path: if builtins.substring 0 2 path == "./" then builtins.substring 2 (-1) path else path;

      sourceInfo =
        if here then present.${name}.sourceInfo
        else if relative then parent.sourceInfo
        else builtins.fetchTree (node.info or { } // builtins.removeAttrs locked [ "dir" ]);
      outPath =
        if relative && !here then parent.outPath + below (plain locked.path)
        else sourceInfo.outPath + below (present.${name}.dir or locked.dir or "");

      # As outPath, but of a tree that is not in the store a path that asks for no store path.
      readable =
        if relative && !here then parent.readable + below (plain locked.path)
        else if here && present.${name} ? root then present.${name}.root + below (present.${name}.dir)
        else outPath;

      flake = import (readable + "/flake.nix");
      inputs = builtins.mapAttrs (_: spec: nodes.${leadsTo spec}.value) (node.inputs or { });
      outputs = flake.outputs (inputs // { self = whole; });
      whole = outputs // sourceInfo // {
        inherit outPath inputs outputs sourceInfo;
        _type = "flake";
      };
    in
    {
      inherit outPath readable sourceInfo;
      value =
        if !(node.flake or true) then sourceInfo // { inherit sourceInfo outPath; }
        else if builtins.isFunction flake.outputs then whole
        else throw "the 'outputs' of flake '${outPath}' are not a function";
    };

  nodes = builtins.mapAttrs load lock.nodes;
in
nodes.${lock.root}.value
"#;

/// The value of a flake.
///
/// # Errors
/// If its outputs are not a set.
pub fn value_of(vm: &mut Vm, locked: &LockedFlake) -> Result<Value> {
    let (_, keys) = locked.locks.to_json();
    let mut present = SetBuilder::default();
    for (at, (tree, folder)) in &locked.fetched {
        let Some(Some(key)) = keys.get(*at) else { continue };
        let root = tree.root(vm.store_dir());
        let dir = folder.strip_prefix(&root).map(|d| d.to_string_lossy().into_owned());
        let mut info = tree.clone();
        match &locked.locks.nodes[*at].lock {
            Some(lock) => info.input = lock.locked.input.clone(),
            // a tree whose locks are not what its files say is no commit
            None if locked.changed() => mark_dirty(&mut info.input),
            None => {}
        }
        let source_info = firn_eval::builtins::tree_value(vm, &info, false);
        let dir = vm.string(dir.unwrap_or_default());
        let mut set = SetBuilder::default();
        set.push(Symbol::intern(b"sourceInfo"), source_info);
        set.push(Symbol::intern(b"dir"), dir);
        if let TreePlace::Lazy(lazy) = &tree.place {
            let root = Value::path(&mut vm.heap, lazy.root().as_os_str().as_bytes());
            set.push(Symbol::intern(b"root"), root);
        }
        let value = set.finish(&mut vm.heap).value();
        present.push(Symbol::intern(key.as_bytes()), value);
    }
    let present = present.finish(&mut vm.heap).value();
    let text = vm.string(locked.locks.text());
    let call = vm.eval_text(Origin::Internal("flake"), TEXT.as_bytes(), Path::new("/"))?;
    vm.apply(call, &[text, present], PosId::NONE)
}

/// What `builtins.getFlake` gives.
///
/// # Errors
/// If the reference is not well-formed, or in pure evaluation not locked; and as [`lock_flake`].
pub fn get_flake(vm: &mut Vm, registries: &Registries, text: &str, pos: PosId) -> Result<Value> {
    let (reference, fragment) =
        FlakeRef::parse(text, &enabled).map_err(|e| input_error(&e).at(pos))?;
    if !fragment.is_empty() {
        return Err(Error::other(format!(
            "unexpected fragment '{fragment}' in flake reference '{text}'"
        ))
        .at(pos));
    }
    let pure = vm.shared.settings.pure;
    if pure && !reference.input.is_locked() {
        return Err(Error::other(format!(
            "cannot call 'getFlake' on unlocked flake reference '{text}' (use --impure to override)"
        ))
        .at(pos));
    }
    let flags = LockFlags { no_registries: pure, only_locked: pure, ..LockFlags::default() };
    let locked = lock_flake(vm, registries, &reference, &flags)?;
    value_of(vm, &locked)
}

/// Makes a commit one with changes.
fn mark_dirty(input: &mut Input) {
    if let Some(Attr::String(rev)) = input.attrs.remove("rev") {
        let short = rev.get(..7).unwrap_or(&rev);
        input.attrs.insert("dirtyShortRev".into(), format!("{short}-dirty").into());
        input.attrs.insert("dirtyRev".into(), format!("{rev}-dirty").into());
        input.attrs.remove("revCount");
    }
}
