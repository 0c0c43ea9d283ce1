//! `fetchurl` and `fetchTarball`, and what may be fetched.

use super::Builtin;
use super::derivation::parse_hash;
use super::sources::path_string;
use crate::error::{Error, Kind, Result};
use crate::io::Fetch;
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::Value;
use firn_model::content_address::ContentAddress;
use firn_model::input::InputUrl;
use firn_model::store_path::{References, check_name};
use firn_model::{HashAlgo, Method};
use firn_syntax::sym;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `fetchurl` and `fetchTarball`: a URL, or a set of url, name and sha256.
fn fetch(vm: &mut Vm, args: &[Value], pos: PosId, who: &str, unpack: bool) -> Result<Value> {
    let v = vm.force(args[0], pos)?;
    let mut url = None;
    let mut name = unpack.then(|| "source".to_owned());
    let mut named = false;
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
                    named = true;
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
    check_uri(vm, &url)?;
    let name_given = name.is_some() && (named || !unpack);
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| {
        url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
    });
    if let Err(e) = check_name(&name) {
        let advice = if name_given {
            format!(
                "Please change the value for the 'name' attribute passed to '{who}', so that it can create a valid store path."
            )
        } else if v.as_set().is_some() {
            format!(
                "Please add a valid 'name' attribute to the argument for '{who}', so that it can create a valid store path."
            )
        } else {
            format!(
                "Please pass an attribute set with 'url' and 'name' attributes to '{who}',  so that it can create a valid store path."
            )
        };
        return Err(Error::other(format!(
            "invalid store path name when fetching URL '{url}': {e}. {advice}"
        ))
        .at(pos));
    }
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
        // valid by now, so this asks no substituter
        if vm.shared.io.is_valid(&path) && vm.shared.io.ensure(&path).is_ok() {
            return Ok(path_string(vm, path));
        }
    }
    let path = vm.shared.io.fetch(&Fetch { url: &url, name: &name, unpack, hash })?;
    Ok(path_string(vm, path))
}

/// In restricted evaluation, whether a URL (or path) may be fetched.
///
/// # Errors
/// If it may not.
pub(super) fn check_uri(vm: &Vm, uri: &str) -> Result<()> {
    let settings = &vm.shared.settings;
    if !settings.restrict || is_allowed_uri(uri, &settings.allowed_uris) {
        return Ok(());
    }
    let path = match InputUrl::parse(uri, false) {
        _ if uri.starts_with('/') => Some(uri.to_owned()),
        Ok(url) if url.scheme == "file" => Some(url.plain_path()),
        _ => None,
    };
    match path {
        Some(path) => {
            let path = crate::paths::canonical(path.as_bytes());
            vm.shared.io.check_path(Path::new(OsStr::from_bytes(&path)))
        }
        None => Err(Error::new(
            Kind::Restricted,
            format!("access to URI '{uri}' is forbidden in restricted mode"),
        )),
    }
}

/// Whether a URL is one of the allowed ones, or below one. One that is a scheme alone allows all of its URLs.
fn is_allowed_uri(uri: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|prefix| {
        let Some(rest) = uri.strip_prefix(prefix.as_str()) else { return false };
        let is_scheme = prefix.strip_suffix(':').is_some_and(|scheme| {
            scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c))
        });
        rest.is_empty()
            || !prefix.is_empty() && (prefix.ends_with('/') || rest.starts_with('/') || is_scheme)
    })
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__fetchurl", 1, |vm, args, pos| fetch(vm, args, pos, "fetchurl", false)),
        Builtin::new("fetchTarball", 1, |vm, args, pos| fetch(vm, args, pos, "fetchTarball", true)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_urls_are_whole_parts() {
        let allowed = |uri: &str, prefix: &str| is_allowed_uri(uri, &[prefix.to_owned()]);
        assert!(allowed("https://a.org", "https://a.org"));
        assert!(allowed("https://a.org/x", "https://a.org"));
        assert!(allowed("https://a.org/x", "https://a.org/"));
        assert!(!allowed("https://a.orgx", "https://a.org"));
        assert!(allowed("github:a/b", "github:"));
        assert!(!allowed("github:a/b", "git"));
        assert!(!allowed("x", ""));
    }
}
