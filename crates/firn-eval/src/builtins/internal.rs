//! Nix files that are part of the evaluator.

use super::Builtin;
use crate::error::{Error, Result};
use crate::heap::Heap;
use crate::machine::Vm;
use crate::position::PosId;
use crate::trees;
use crate::value::{Str, Thunk, Value, View};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The builtin that evaluates a file, not visible to programs: an internal one by its name, others by path.
pub(super) const LOAD: &str = "__internalFile";

/// The builtin that tells what follows from the contents of a tree that is copied when somebody asks, not visible to
/// programs either.
const FACT: &str = "__treeFact";

/// The builtins that programs do not see.
pub(super) const HIDDEN: [&str; 2] = [LOAD, FACT];

/// What `derivation` is.
pub(super) const DERIVATION: &str = "derivation-internal.nix";

/// What importing a `.drv` file gives.
pub(super) const IMPORTED: &str = "imported-drv-to-derivation.nix";

/// Where internal files seem to be.
pub(crate) const PREFIX: &str = "/__corepkgs__/";

/// `derivation`: adds to a set what `derivationStrict` computes of it, lazily, once for each output.
const DERIVATION_TEXT: &str = r#"arguments@{ outputs ? [ "out" ], ... }:
let
  computed = derivationStrict arguments;
  shared = arguments // builtins.listToAttrs named // {
    all = map (entry: entry.value) named;
    drvAttrs = arguments;
  };
  named = map (name: {
    inherit name;
    value = shared // {
      outPath = builtins.getAttr name computed;
      drvPath = computed.drvPath;
      type = "derivation";
      outputName = name;
    };
  }) outputs;
in (builtins.head named).value
"#;

/// The derivation that importing a `.drv` file gives.
const IMPORTED_TEXT: &str = r#"imported@{ drvPath, outputs, name, ... }:
let
  shared = builtins.listToAttrs named // {
    all = map (entry: entry.value) named;
    inherit drvPath name;
    type = "derivation";
  };
  named = map (output: {
    name = output;
    value = shared // {
      outPath = builtins.getAttr output imported;
      outputName = output;
    };
  }) outputs;
in (builtins.head named).value
"#;

/// `<nix/fetchurl.nix>`: a fixed-output derivation that the builtin builder `builtin:fetchurl` builds.
const FETCHURL_TEXT: &str = r#"{ system ? ""
, url
, hash ? ""
, md5 ? "", sha1 ? "", sha256 ? "", sha512 ? ""
, outputHash ?
    if hash != "" then hash
    else if sha512 != "" then sha512
    else if sha1 != "" then sha1
    else if md5 != "" then md5
    else sha256
, outputHashAlgo ?
    if hash != "" then ""
    else if sha512 != "" then "sha512"
    else if sha1 != "" then "sha1"
    else if md5 != "" then "md5"
    else "sha256"
, executable ? false
, unpack ? false
, name ? baseNameOf (toString url)
, impure ? false
}:
derivation ({
  inherit name url executable unpack;
  builder = "builtin:fetchurl";
  system = "builtin";
  outputHashMode = if unpack || executable then "recursive" else "flat";
  preferLocalBuild = true;
  impureEnvVars = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
  urls = [ url ];
} // (if impure then { __impure = true; } else { inherit outputHash outputHashAlgo; }))
"#;

/// The text of an internal file.
pub(crate) fn internal_file(path: &Path) -> Option<&'static [u8]> {
    let text = match path.to_str()?.strip_prefix(PREFIX)? {
        DERIVATION => DERIVATION_TEXT,
        IMPORTED => IMPORTED_TEXT,
        "fetchurl.nix" => FETCHURL_TEXT,
        _ => return None,
    };
    Some(text.as_bytes())
}

/// The path by which an internal file is known.
pub(crate) fn internal_name(file: &str) -> String {
    format!("{PREFIX}{file}")
}

/// Whether a position is in an internal file: nothing to show to users.
pub(crate) fn is_internal(pos: PosId) -> bool {
    pos.location().is_some_and(|at| at.path().is_some_and(|p| p.starts_with(PREFIX)))
}

/// A thunk that evaluates a file.
pub(crate) fn load_file(heap: &mut Heap, file: &Path) -> Value {
    static LOADER: OnceLock<u32> = OnceLock::new();
    let loader = LOADER.get_or_init(|| number_of(LOAD));
    let file = Value::path(heap, file.as_os_str().as_bytes());
    Thunk::apply(heap, Value::builtin(*loader), &[file]).value()
}

fn number_of(name: &str) -> u32 {
    super::all().iter().position(|b| b.name == name).unwrap_or(0) as u32
}

/// A thunk that becomes something which follows from the contents of a tree that is not in the store yet: one of its
/// attributes, or with no name the store path of a file in it.
pub(crate) fn tree_fact(heap: &mut Heap, path: &[u8], name: &str) -> Value {
    static TELLER: OnceLock<u32> = OnceLock::new();
    let teller = TELLER.get_or_init(|| number_of(FACT));
    let path = Value::path(heap, path);
    let name = Str::new(heap, name.as_bytes()).value();
    Thunk::apply(heap, Value::builtin(*teller), &[path, name]).value()
}

/// The name of a file, in a tree that is not in the store yet, as a string.
pub(crate) fn revealed(heap: &mut Heap, path: &[u8]) -> Value {
    tree_fact(heap, path, "")
}

fn fact(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string(args[1], pos, "")?;
    let path = vm.force(args[0], pos)?;
    let View::Path(path) = path.view() else { return Ok(Value::NULL) };
    if name.bytes().is_empty() {
        let path = trees::reveal(path.bytes())?;
        return Ok(vm.string(&*path));
    }
    let Some((tree, _)) = trees::lazy(Path::new(OsStr::from_bytes(path.bytes()))) else {
        return Ok(Value::NULL);
    };
    let settled = tree.settle()?;
    let input = &settled.input;
    Ok(match name.bytes() {
        b"outPath" => super::sources::path_string(vm, settled.path),
        b"narHash" => {
            let hash = input.nar_hash().map_err(|e| Error::other(e.message))?;
            vm.string(hash.map(|hash| hash.to_sri()).unwrap_or_default())
        }
        b"lastModified" => {
            let time = input.int("lastModified").unwrap_or(0);
            vm.int(i64::try_from(time).unwrap_or(i64::MAX))
        }
        _ => vm.string(super::utc(input.int("lastModified").unwrap_or(0))),
    })
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new(LOAD, 1, |vm, args, pos| {
            if let View::Path(file) = args[0].view() {
                return vm.load_file(Path::new(OsStr::from_bytes(file.bytes())));
            }
            let name = vm.force_string(args[0], pos, "")?;
            let name = String::from_utf8_lossy(name.bytes()).into_owned();
            vm.eval_file(&PathBuf::from(internal_name(&name)))
        })
        .untraced(),
        Builtin::new(FACT, 2, fact).untraced(),
    ]
}
