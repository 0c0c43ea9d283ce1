//! What needs the network or flakes.

use super::Builtin;
use super::derivation::parse_hash;
use super::sources::path_string;
use crate::error::{Error, Result};
use crate::io::Fetch;
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::Value;
use firn_model::content_address::ContentAddress;
use firn_model::store_path::References;
use firn_model::{HashAlgo, Method};
use firn_syntax::sym;

/// `fetchurl` and `fetchTarball`: a URL, or a set of url, name and sha256.
fn fetch(vm: &mut Vm, args: &[Value], pos: PosId, who: &str, unpack: bool) -> Result<Value> {
    let v = vm.force(args[0], pos)?;
    let mut url = None;
    let mut name = unpack.then(|| "source".to_owned());
    let mut hash = None;
    let string = |vm: &mut Vm, v: Value, at: PosId, context: &str| {
        vm.force_string_no_context(v, at, context)
            .map(|s| String::from_utf8_lossy(s.bytes()).into_owned())
    };
    if let Some(set) = v.as_set() {
        for (attr, v) in set.iter(&mut vm.heap) {
            let at = set.position(attr);
            match attr {
                sym::URL => {
                    url = Some(string(vm, v, at, "while evaluating the url we should fetch")?);
                }
                sym::SHA256 => {
                    let text = string(
                        vm,
                        v,
                        at,
                        "while evaluating the sha256 of the content we should fetch",
                    )?;
                    hash = Some(parse_hash(vm, &text, Some(HashAlgo::Sha256))?);
                }
                sym::NAME => {
                    name = Some(string(
                        vm,
                        v,
                        at,
                        "while evaluating the name of the content we should fetch",
                    )?);
                }
                other => {
                    return Err(
                        Error::other(format!("unsupported argument '{other}' to '{who}'")).at(pos)
                    );
                }
            }
        }
    } else {
        url = Some(string(vm, v, pos, "while evaluating the url we should fetch")?);
    }
    let Some(url) = url else {
        return Err(Error::other("'url' argument required").at(pos));
    };
    let url = match url.strip_prefix("channel:") {
        Some(channel) if unpack => {
            format!("https://channels.nixos.org/{channel}/nixexprs.tar.xz")
        }
        _ => url,
    };
    let name = name.unwrap_or_else(|| {
        url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
    });
    if vm.shared.settings.pure && hash.is_none() {
        return Err(Error::other(format!(
            "in pure evaluation mode, '{who}' requires a 'sha256' argument"
        ))
        .at(pos));
    }
    if let Some(hash) = hash {
        let method = if unpack { Method::Nar } else { Method::Flat };
        let path = vm
            .store_dir()
            .make_fixed_output_path(&name, &ContentAddress { method, hash }, &References::default())
            .map_err(|e| Error::other(e.to_string()).at(pos))?;
        if vm.shared.io.is_valid(&path) {
            return Ok(path_string(vm, path));
        }
    }
    let path = vm.shared.io.fetch(&Fetch { url: &url, name: &name, unpack, hash })?;
    Ok(path_string(vm, path))
}

fn missing(name: &'static str, pos: PosId) -> Result<Value> {
    Err(Error::other(format!("'builtins.{name}' is not available in this version of Firn")).at(pos))
}

/// Builtins that give an error that says so.
macro_rules! unavailable {
    ($name:literal, $short:literal) => {
        Builtin::new($name, 1, |_, _, pos| missing($short, pos))
    };
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__fetchurl", 1, |vm, args, pos| fetch(vm, args, pos, "fetchurl", false)),
        Builtin::new("fetchTarball", 1, |vm, args, pos| fetch(vm, args, pos, "fetchTarball", true)),
        unavailable!("fetchGit", "fetchGit"),
        unavailable!("fetchMercurial", "fetchMercurial"),
        unavailable!("fetchTree", "fetchTree").feature("fetch-tree"),
        unavailable!("__getFlake", "getFlake").feature("flakes"),
        unavailable!("__parseFlakeRef", "parseFlakeRef").feature("flakes"),
        unavailable!("__flakeRefToString", "flakeRefToString").feature("flakes"),
    ]
}
