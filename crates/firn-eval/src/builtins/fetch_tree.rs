//! `fetchTree` and its relatives: sources as inputs; flake references.

use super::Builtin;
use super::fetch::check_uri;
use super::internal::tree_fact;
use super::sources::path_string;
use crate::context::ContextBuilder;
use crate::error::{Error, Kind, Result};
use crate::io::{FetchedTree, TreePlace};
use crate::machine::Vm;
use crate::position::PosId;
use crate::print;
use crate::value::{SetBuilder, Value, View};
use firn_model::input::{Attr, Attrs, FlakeRef, Input, InputError, InputUrl};
use firn_model::{Hash, HashAlgo};
use firn_syntax::{Symbol, sym};
use std::os::unix::ffi::OsStrExt;

/// Which builtin it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Tree,
    Git,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Which::Tree => "fetchTree",
            Which::Git => "fetchGit",
        }
    }
}

fn input_error(e: &InputError) -> Error {
    Error::other(e.message.clone())
}

/// Whether a feature is enabled, for the input model.
fn enabled(vm: &Vm) -> impl Fn(&str) -> bool + use<> {
    let features = vm.shared.settings.features.clone();
    move |name: &str| features.iter().any(|f| f == name)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The attributes that a set passed to `fetchTree` or `fetchGit` gives.
fn attributes(
    vm: &mut Vm,
    v: Value,
    which: Which,
    context: &mut ContextBuilder,
    pos: PosId,
) -> Result<Attrs> {
    let who = which.name();
    let set = vm.force_set(v, pos, &format!("while evaluating the argument passed to '{who}'"))?;
    let mut attrs = Attrs::new();
    let kind = match (set.get(sym::TYPE), which) {
        (Some(_), Which::Git) => return Err(Error::other("unexpected argument 'type'").at(pos)),
        (Some(v), Which::Tree) => {
            let at = set.position(sym::TYPE);
            let what = format!("while evaluating the `type` argument passed to '{who}'");
            text_of(vm.force_string_no_context(v, at, &what)?.bytes())
        }
        (None, Which::Git) => "git".to_owned(),
        (None, Which::Tree) => {
            return Err(
                Error::other(format!("argument 'type' is missing in call to '{who}'")).at(pos)
            );
        }
    };
    attrs.insert("type".into(), kind.as_str().into());
    for (name, v) in set.iter(&mut vm.heap) {
        if name == sym::TYPE {
            continue;
        }
        let at = set.position(name);
        let v = vm.force(v, at)?;
        let key = name.to_string();
        let value = match v.view() {
            View::Str(_) | View::Path(_) => {
                let text = text_of(&vm.coerce(at, v, context, "", false, false, true)?);
                if which == Which::Git && key == "url" {
                    let url = firn_model::input::url::fix_git_url(&text);
                    Attr::String(url.map_err(|e| input_error(&e))?.to_string())
                } else {
                    Attr::String(text)
                }
            }
            View::Bool(b) => Attr::Bool(b),
            View::Int(i) => Attr::Int(u64::try_from(i).map_err(|_| {
                Error::other(format!("negative value given for '{who}' argument '{key}': {i}"))
                    .at(pos)
            })?),
            _ if key == "publicKeys" => {
                let mut out = Vec::new();
                print::json::to_json(vm, v, pos, context, true, true, &mut out)?;
                Attr::String(text_of(&out))
            }
            _ => {
                return Err(Error::type_error(format!(
                    "argument '{key}' to '{who}' is {} while a string, Boolean or integer is expected",
                    v.describe()
                )));
            }
        };
        attrs.insert(key, value);
    }
    if which == Which::Git {
        export_ignore(&mut attrs);
    } else {
        if kind == "git" {
            attrs.entry("shallow".into()).or_insert(Attr::Bool(true));
        }
        if attrs.contains_key("name") {
            return Err(Error::other(format!(
                "argument 'name' isn’t supported in call to '{who}'"
            ))
            .at(pos));
        }
    }
    Ok(attrs)
}

/// `fetchGit` leaves out what is marked `export-ignore`, unless submodules are wanted.
fn export_ignore(attrs: &mut Attrs) {
    if attrs.get("submodules") != Some(&Attr::Bool(true)) {
        attrs.entry("exportIgnore".into()).or_insert(Attr::Bool(true));
    }
}

fn fetch_tree(vm: &mut Vm, args: &[Value], pos: PosId, which: Which) -> Result<Value> {
    let who = which.name();
    let enabled = enabled(vm);
    let mut context = ContextBuilder::new();
    let v = vm.force(args[0], pos)?;
    let input = if v.as_set().is_some() {
        let attrs = attributes(vm, v, which, &mut context, pos)?;
        Input::from_attrs(attrs, &enabled)
    } else {
        let what = format!("while evaluating the first argument passed to '{who}'");
        let url = text_of(&vm.coerce(pos, v, &mut context, &what, false, false, true)?);
        if which == Which::Git {
            let url = firn_model::input::url::fix_git_url(&url).map_err(|e| input_error(&e))?;
            let mut attrs = Attrs::from([
                ("type".into(), "git".into()),
                ("url".into(), url.to_string().into()),
            ]);
            export_ignore(&mut attrs);
            Input::from_attrs(attrs, &enabled)
        } else if vm.shared.settings.has_feature("flakes") {
            InputUrl::parse(&url, false).and_then(|url| Input::from_url(&url, true, &enabled))
        } else {
            return Err(Error::other(format!(
                "passing a string argument to '{who}' requires the 'flakes' experimental feature"
            ))
            .at(pos));
        }
    };
    let input = input.map_err(|e| input_error(&e))?;
    let locked = input.is_locked();
    if vm.shared.settings.pure && !locked {
        let shown = input.shown();
        if input.text("narHash").is_none() {
            return Err(Error::other(format!(
                "in pure evaluation mode, '{who}' doesn't fetch unlocked input '{shown}'"
            ))
            .at(pos));
        }
        vm.shared.io.message(
            format!(
                "warning: Input '{shown}' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. \
                 This is not reproducible and will break after garbage collection or when shared."
            )
            .as_bytes(),
        );
    }
    let url = input.to_url().map_err(|e| input_error(&e))?;
    check_uri(vm, &url.to_string())?;
    if input.attrs.contains_key("__final") {
        return Err(Error::other(format!(
            "input '{url}' is not allowed to use the '__final' attribute"
        )));
    }
    let tree = vm.fetched(&input, || open_input(vm, &input))?;
    Ok(tree_value(vm, &tree, which == Which::Git))
}

/// Fetches an input and compares what came with what was asked for.
///
/// # Errors
/// If it cannot be fetched, or is not what its locks say.
pub fn fetch_input(vm: &Vm, input: &Input) -> Result<FetchedTree> {
    fetch_with(input, || vm.shared.io.fetch_tree(input))
}

/// As [`fetch_input`]; trees of this machine need not be copied to the store.
///
/// # Errors
/// As [`fetch_input`].
pub fn open_input(vm: &Vm, input: &Input) -> Result<FetchedTree> {
    fetch_with(input, || vm.shared.io.open_tree(input))
}

fn fetch_with(input: &Input, fetch: impl Fn() -> Result<FetchedTree>) -> Result<FetchedTree> {
    let checked = || {
        check_local_archive(input)?;
        if !input.is_direct() {
            return Err(Error::other(format!(
                "indirect input '{}' cannot be fetched directly",
                input.shown()
            )));
        }
        let tree = fetch()?;
        check_locks(input, &tree.input)?;
        Ok(tree)
    };
    checked().map_err(|e: Error| {
        e.trace(PosId::NONE, format!("while fetching the input '{}'", input.shown()))
    })
}

/// A tarball on this machine must have an absolute path.
fn check_local_archive(input: &Input) -> Result<()> {
    let (Some(url), "tarball") = (input.text("url"), input.kind()) else { return Ok(()) };
    match InputUrl::parse(url, false) {
        Ok(parsed) if parsed.scheme == "file" && !parsed.plain_path().starts_with('/') => {
            Err(Error::other(format!(
                "tarball '{url}' must use an absolute path. The 'file' scheme does not support relative paths."
            )))
        }
        Ok(_) => Ok(()),
        Err(e) => Err(input_error(&e)),
    }
}

fn check_locks(wanted: &Input, found: &Input) -> Result<()> {
    let bad = |e: InputError| input_error(&e);
    if let Some(expected) = wanted.nar_hash().map_err(bad)? {
        let got = found.nar_hash().map_err(bad)?;
        if got != Some(expected) {
            let got = got.map_or_else(|| "none".to_owned(), |hash| format!("'{}'", hash.to_sri()));
            let hint = match wanted.kind() {
                "path" => {
                    "\nthe folder is not what it was when it was locked; 'nix flake update' locks what it is now"
                }
                _ => "",
            };
            return Err(Error::other(format!(
                "NAR hash mismatch in input '{}', expected '{}' but got {got}{hint}",
                wanted.shown(),
                expected.to_sri()
            )));
        }
    }
    if let Some(expected) = wanted.int("lastModified")
        && found.int("lastModified") != Some(expected)
    {
        let got = found.int("lastModified").map_or(-1, |n| n as i64);
        return Err(Error::other(format!(
            "'lastModified' attribute mismatch in input '{}', expected {expected}, got {got}",
            found.shown()
        )));
    }
    if let Some(expected) = wanted.rev().map_err(bad)?
        && found.rev().map_err(bad)? != Some(expected)
    {
        return Err(Error::other(format!(
            "'rev' attribute mismatch in input '{}', expected {}",
            found.shown(),
            expected.to_base16()
        )));
    }
    if let Some(expected) = wanted.int("revCount")
        && found.int("revCount") != Some(expected)
    {
        return Err(Error::other(format!(
            "'revCount' attribute mismatch in input '{}', expected {expected}",
            found.shown()
        )));
    }
    Ok(())
}

/// What `fetchTree` gives. `fetchGit` gives a commit of zeros where there is none.
pub fn tree_value(vm: &mut Vm, tree: &FetchedTree, git: bool) -> Value {
    let input = &tree.input;
    let mut set = SetBuilder::with_capacity(12);
    match &tree.place {
        TreePlace::Stored(path) => {
            let out = path_string(vm, path.clone());
            set.push(sym::OUT_PATH, out);
        }
        TreePlace::Lazy(lazy) => {
            let root = lazy.root().as_os_str().as_bytes();
            for name in ["outPath", "narHash", "lastModified", "lastModifiedDate"] {
                if input.attrs.contains_key(name)
                    || name == "lastModifiedDate" && input.attrs.contains_key("lastModified")
                {
                    continue;
                }
                let value = tree_fact(&mut vm.heap, root, name);
                set.push(Symbol::intern(name.as_bytes()), value);
            }
        }
    }
    let mut push = |vm: &mut Vm, name: &str, value: Attr| {
        let value = match value {
            Attr::String(text) => vm.string(text),
            Attr::Int(n) => vm.int(i64::try_from(n).unwrap_or(i64::MAX)),
            Attr::Bool(b) => Value::bool(b),
        };
        set.push(Symbol::intern(name.as_bytes()), value);
    };
    if let Ok(Some(hash)) = input.nar_hash() {
        push(vm, "narHash", hash.to_sri().into());
    }
    if input.kind() == "git" {
        push(vm, "submodules", Attr::Bool(input.flag("submodules")));
    }
    let rev = match input.rev() {
        Ok(Some(rev)) => Some(rev),
        _ if git => Hash::from_bytes(HashAlgo::Sha1, &[0; 20]).ok(),
        _ => None,
    };
    if let Some(rev) = rev {
        let rev = rev.to_base16();
        push(vm, "shortRev", rev[..7].into());
        push(vm, "rev", rev.into());
    }
    match input.int("revCount") {
        Some(n) => push(vm, "revCount", Attr::Int(n)),
        None if git => push(vm, "revCount", Attr::Int(0)),
        None => {}
    }
    for name in ["dirtyRev", "dirtyShortRev"] {
        if let Some(text) = input.text(name) {
            push(vm, name, text.into());
        }
    }
    if let Some(seconds) = input.int("lastModified") {
        push(vm, "lastModified", Attr::Int(seconds));
        push(vm, "lastModifiedDate", utc(seconds).into());
    }
    set.finish(&mut vm.heap).value()
}

/// A time as `YYYYMMDDhhmmss` in UTC.
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days since 1970, in years that begin in March (Howard Hinnant's algorithm).
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

fn fetch_mercurial(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let mut context = ContextBuilder::new();
    let v = vm.force(args[0], pos)?;
    let (mut url, mut rev, mut branch) = (String::new(), None, None);
    let mut name = "source".to_owned();
    match v.as_set() {
        None => {
            let what = "while evaluating the first argument passed to builtins.fetchMercurial";
            url = text_of(&vm.coerce(pos, v, &mut context, what, false, false, true)?);
        }
        Some(set) => {
            for (attr, v) in set.iter(&mut vm.heap) {
                let at = set.position(attr);
                let what = format!(
                    "while evaluating the `{attr}` attribute passed to builtins.fetchMercurial"
                );
                match attr.as_bytes() {
                    b"url" => {
                        url =
                            text_of(&vm.coerce(at, v, &mut context, &what, false, false, true)?);
                    }
                    b"rev" => {
                        let text = text_of(vm.force_string_no_context(v, at, &what)?.bytes());
                        if text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
                            rev = Some(text);
                        } else {
                            branch = Some(text);
                        }
                    }
                    b"name" => name = text_of(vm.force_string_no_context(v, at, &what)?.bytes()),
                    _ => {
                        return Err(Error::other(format!(
                            "unsupported argument '{attr}' to 'fetchMercurial'"
                        ))
                        .at(at));
                    }
                }
            }
            if url.is_empty() {
                return Err(Error::other("'url' argument required").at(pos));
            }
        }
    }
    check_uri(vm, &url)?;
    if vm.shared.settings.pure && rev.is_none() {
        return Err(Error::new(
            Kind::Restricted,
            "in pure evaluation mode, 'fetchMercurial' requires a Mercurial revision",
        ));
    }
    let url = if url.contains("://") { url } else { format!("file://{url}") };
    let mut attrs = Attrs::from([
        ("type".into(), "hg".into()),
        ("url".into(), url.into()),
        ("name".into(), name.into()),
    ]);
    attrs.extend(branch.map(|b| ("ref".to_owned(), b.into())));
    attrs.extend(rev.map(|r| ("rev".to_owned(), r.into())));
    let input = Input::from_attrs(attrs, &enabled(vm)).map_err(|e| input_error(&e))?;
    let tree = fetch_input(vm, &input)?;
    let zeros = "0".repeat(40);
    let rev = tree.input.text("rev").unwrap_or(&zeros).to_owned();
    let mut set = SetBuilder::with_capacity(5);
    let out = path_string(vm, tree.store_path()?);
    set.push(sym::OUT_PATH, out);
    if let Some(branch) = tree.input.text("ref") {
        let value = vm.string(branch);
        set.push(Symbol::intern(b"branch"), value);
    }
    let short = vm.string(rev.get(..12).unwrap_or(&rev));
    set.push(Symbol::intern(b"shortRev"), short);
    let rev = vm.string(rev);
    set.push(Symbol::intern(b"rev"), rev);
    if let Some(n) = tree.input.int("revCount") {
        let n = vm.int(i64::try_from(n).unwrap_or(i64::MAX));
        set.push(Symbol::intern(b"revCount"), n);
    }
    Ok(set.finish(&mut vm.heap).value())
}

fn get_flake(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let text = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.getFlake",
    )?;
    let text = text_of(text.bytes());
    match vm.shared.settings.flakes.clone() {
        Some(loader) => (loader.0)(vm, &text, pos),
        None => Err(Error::other("flakes cannot be loaded here").at(pos)),
    }
}

fn parse_flake_ref(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let text = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.parseFlakeRef",
    )?;
    let text = text_of(text.bytes());
    let (flake, fragment) = FlakeRef::parse(&text, &enabled(vm)).map_err(|e| input_error(&e))?;
    if !fragment.is_empty() {
        return Err(Error::other(format!(
            "unexpected fragment '{fragment}' in flake reference '{text}'"
        )));
    }
    let attrs = flake.to_attrs();
    let mut set = SetBuilder::with_capacity(attrs.len());
    for (name, value) in attrs {
        let value = match value {
            Attr::String(text) => vm.string(text),
            Attr::Int(n) => vm.int(i64::try_from(n).unwrap_or(i64::MAX)),
            Attr::Bool(b) => Value::bool(b),
        };
        set.push(Symbol::intern(name.as_bytes()), value);
    }
    Ok(set.finish(&mut vm.heap).value())
}

fn flake_ref_to_string(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set = vm.force_set(
        args[0],
        PosId::NONE,
        "while evaluating the argument passed to builtins.flakeRefToString",
    )?;
    let mut attrs = Attrs::new();
    for (name, v) in set.iter(&mut vm.heap) {
        let v = vm.force(v, set.position(name))?;
        let value = match v.view() {
            View::Int(i) => Attr::Int(u64::try_from(i).map_err(|_| {
                Error::other(format!("negative value given for flake ref attr {name}: {i}")).at(pos)
            })?),
            View::Bool(b) => Attr::Bool(b),
            View::Str(s) => Attr::String(text_of(s.bytes())),
            _ => {
                return Err(Error::other(format!(
                    "flake reference attribute sets may only contain integers, Booleans, \
                     and strings, but attribute '{name}' is {}",
                    v.describe()
                )));
            }
        };
        attrs.insert(name.to_string(), value);
    }
    let url = FlakeRef::from_attrs(attrs, &enabled(vm)).and_then(|flake| flake.to_url());
    let url = url.map_err(|e| input_error(&e))?;
    Ok(vm.string(url.to_string()))
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("fetchGit", 1, |vm, args, pos| fetch_tree(vm, args, pos, Which::Git)),
        Builtin::new("fetchMercurial", 1, fetch_mercurial),
        Builtin::new("fetchTree", 1, |vm, args, pos| fetch_tree(vm, args, pos, Which::Tree))
            .feature("fetch-tree"),
        Builtin::new("__getFlake", 1, get_flake).feature("flakes"),
        Builtin::new("__parseFlakeRef", 1, parse_flake_ref).feature("flakes"),
        Builtin::new("__flakeRefToString", 1, flake_ref_to_string).feature("flakes"),
    ]
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_dates() {
        assert_eq!(utc(0), "19700101000000");
        assert_eq!(utc(951_782_399), "20000228235959");
        assert_eq!(utc(951_782_400), "20000229000000");
        assert_eq!(utc(1_700_000_000), "20231114221320");
    }
}
