//! Nix files that are part of the evaluator.

use super::Builtin;
use crate::heap::Heap;
use crate::position::PosId;
use crate::value::{Thunk, Value, View};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The builtin that evaluates a file, not visible to programs: an internal one by its name, others by path.
pub(super) const LOAD: &str = "__internalFile";

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
    let loader =
        LOADER.get_or_init(|| super::all().iter().position(|b| b.name == LOAD).unwrap_or(0) as u32);
    let file = Value::path(heap, file.as_os_str().as_bytes());
    Thunk::apply(heap, Value::builtin(*loader), &[file]).value()
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
    ]
}
