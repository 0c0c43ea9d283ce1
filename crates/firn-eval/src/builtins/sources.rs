//! Putting files and texts into the store; names of paths.

use super::Builtin;
use crate::context::{Context, ContextBuilder, Element};
use crate::error::{Error, Kind, Result};
use crate::io::{AddPath, FileKind};
use crate::machine::Vm;
use crate::paths;
use crate::position::PosId;
use crate::trees;
use crate::value::{Value, View};
use firn_model::content_address::ContentAddress;
use firn_model::store_path::References;
use firn_model::{Hash, HashAlgo, Method, StorePath};
use firn_syntax::sym;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A store path as a string that refers to it.
pub(super) fn path_string(vm: &mut Vm, path: StorePath) -> Value {
    let text = vm.store_dir().print(&path);
    vm.string_with(text, Some(Context::of(Element::Opaque(path))))
}

fn to_path(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let mut context = ContextBuilder::new();
    let path = vm.coerce_path(
        pos,
        args[0],
        &mut context,
        "while evaluating the first argument passed to builtins.toPath",
    )?;
    let path = trees::reveal(&path)?;
    Ok(vm.string_with(&path, context.finish()))
}

fn store_path(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    if vm.shared.settings.pure {
        return Err(
            Error::other("'builtins.storePath' is not allowed in pure evaluation mode").at(pos)
        );
    }
    let mut context = ContextBuilder::new();
    let text = vm.coerce_path(
        pos,
        args[0],
        &mut context,
        "while evaluating the first argument passed to 'builtins.storePath'",
    )?;
    let mut path = trees::reveal(&text)?.into_owned();
    let whole = |vm: &Vm, path: &[u8]| {
        std::str::from_utf8(path).ok().and_then(|p| vm.store_dir().parse(p).ok())
    };
    if whole(vm, &path).is_none() {
        let resolved = vm.resolve_links(Path::new(OsStr::from_bytes(&path)), true)?;
        path = trees::reveal(resolved.as_os_str().as_bytes())?.into_owned();
    }
    let text = String::from_utf8_lossy(&path).into_owned();
    let found = vm
        .store_dir()
        .parse_prefix(&text)
        .map(|(path, _)| path)
        .map_err(|_| Error::other(format!("path '{text}' is not in the Nix store")).at(pos))?;
    if !vm.shared.settings.read_only {
        vm.shared.io.ensure(&found)?;
    }
    context.add_element(Element::Opaque(found));
    Ok(vm.string_with(&path, context.finish()))
}

fn base_name_of(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let mut context = ContextBuilder::new();
    let text = vm.coerce(
        pos,
        args[0],
        &mut context,
        "while evaluating the first argument passed to builtins.baseNameOf",
        false,
        false,
        true,
    )?;
    // One trailing slash does not count; more do.
    let mut path: &[u8] = &text;
    if path.len() > 1
        && let Some(rest) = path.strip_suffix(b"/")
    {
        path = rest;
    }
    let name = match path.iter().rposition(|b| *b == b'/') {
        Some(at) => &path[at + 1..],
        None => path,
    };
    Ok(vm.string_with(name, context.finish()))
}

fn dir_of(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let v = vm.force(args[0], pos)?;
    let parent = |path: &[u8], none: &'static [u8]| match path.iter().rposition(|b| *b == b'/') {
        None => none.to_vec(),
        Some(0) => b"/".to_vec(),
        Some(at) => path[..at].to_vec(),
    };
    if let View::Path(path) = v.view() {
        let dir = parent(path.bytes(), b"/");
        return Ok(Value::path(&mut vm.heap, &dir));
    }
    let mut context = ContextBuilder::new();
    let text = vm.coerce(
        pos,
        v,
        &mut context,
        "while evaluating the first argument passed to 'builtins.dirOf'",
        false,
        false,
        true,
    )?;
    let dir = parent(&text, b".");
    Ok(vm.string_with(&dir, context.finish()))
}

fn to_file(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.toFile",
    )?;
    let text = vm.force_string(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.toFile",
    )?;
    let name = String::from_utf8_lossy(name.bytes()).into_owned();
    let mut references = BTreeSet::new();
    if let Some(context) = text.context() {
        for element in context.elements() {
            match element {
                Element::Opaque(path) => {
                    references.insert(path.clone());
                }
                other => {
                    let shown = other.encode(true, vm.store_dir());
                    return Err(Error::other(format!(
                        "files created by builtins.toFile may not reference derivations, but {name} references {shown}"
                    ))
                    .at(pos));
                }
            }
        }
    }
    let dry = vm.shared.settings.read_only;
    let path = vm.shared.io.add_text(&name, text.bytes(), &references, dry)?;
    Ok(path_string(vm, path))
}

struct Request<'a> {
    name: &'a str,
    path: &'a [u8],
    filter: Option<Value>,
    method: Method,
    hash: Option<Hash>,
    context: ContextBuilder,
}

fn add(vm: &mut Vm, request: Request<'_>, pos: PosId) -> Result<Value> {
    let shown = String::from_utf8_lossy(request.path).into_owned();
    add_inner(vm, request, pos).map_err(|e| e.trace(pos, format!("while adding path '{shown}'")))
}

fn add_inner(vm: &mut Vm, request: Request<'_>, pos: PosId) -> Result<Value> {
    let Request { name, path, filter, method, hash, context } = request;
    let mut path = path.to_vec();
    let mut references = BTreeSet::new();
    if !context.is_empty() && vm.store_dir().contains(&String::from_utf8_lossy(&path)) {
        for (from, to) in vm.realise_context(context.finish())? {
            path = paths::replace_all(&path, &from, &to);
        }
        if let Ok((store_path, _)) = vm.store_dir().parse_prefix(&String::from_utf8_lossy(&path)) {
            references = vm.shared.io.references(&store_path);
        }
    }
    let bad = |e: firn_model::store_path::Error| Error::other(e.to_string()).at(pos);
    let expected = match hash {
        Some(hash) => {
            let references = References { paths: references.clone(), self_reference: false };
            let path = vm
                .store_dir()
                .make_fixed_output_path(name, &ContentAddress { method, hash }, &references)
                .map_err(bad)?;
            if vm.shared.io.is_valid(&path) {
                return Ok(path_string(vm, path));
            }
            Some(path)
        }
        None => None,
    };
    let source = vm.resolve_links(Path::new(OsStr::from_bytes(&path)), true)?;
    vm.refuse_store_itself(&source)?;
    if vm.kind(&source)?.is_none() {
        return Err(Error::new(Kind::Io, crate::trees::absent(&source)));
    }
    let what = AddPath {
        name,
        path: &source,
        method,
        algo: HashAlgo::Sha256,
        references: &references,
        dry: vm.shared.settings.read_only,
    };
    let io = std::sync::Arc::clone(&vm.shared.io);
    let added = match filter {
        None => io.add_path(&what, None)?,
        Some(f) => {
            let mut ask = |path: &Path, kind: FileKind| {
                let path = trees::reveal(path.as_os_str().as_bytes())?;
                let path = vm.string(&*path);
                let kind = vm.symbol_string(firn_syntax::Symbol::intern(kind.name().as_bytes()));
                let answer = vm.apply(f, &[path, kind], pos)?;
                vm.force_bool(
                    answer,
                    pos,
                    "while evaluating the return value of the path filter function",
                )
            };
            io.add_path(&what, Some(&mut ask))?
        }
    };
    if expected.is_some_and(|e| e != added) {
        return Err(Error::other(format!(
            "store path mismatch in (possibly filtered) path added from '{}'",
            String::from_utf8_lossy(&path)
        ))
        .at(pos));
    }
    Ok(path_string(vm, added))
}

fn filter_source(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let mut context = ContextBuilder::new();
    let path = vm.coerce_path(
        pos,
        args[1],
        &mut context,
        "while evaluating the second argument (the path to filter) passed to 'builtins.filterSource'",
    )?;
    let filter = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.filterSource",
    )?;
    let name = paths::store_name(&trees::reveal_root(&path)?);
    let request = Request {
        name: &name,
        path: &path,
        filter: Some(filter),
        method: Method::Nar,
        hash: None,
        context,
    };
    add(vm, request, pos)
}

fn path(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set =
        vm.force_set(args[0], pos, "while evaluating the argument passed to 'builtins.path'")?;
    let mut context = ContextBuilder::new();
    let mut path = None;
    let mut name = String::new();
    let mut filter = None;
    let mut method = Method::Nar;
    let mut hash = None;
    for (attr, v) in set.iter(&mut vm.heap) {
        let at = set.position(attr);
        match attr {
            sym::PATH => {
                path = Some(vm.coerce_path(
                    at,
                    v,
                    &mut context,
                    "while evaluating the 'path' attribute passed to 'builtins.path'",
                )?);
            }
            sym::NAME => {
                let s = vm.force_string_no_context(
                    v,
                    at,
                    "while evaluating the `name` attribute passed to builtins.path",
                )?;
                name = String::from_utf8_lossy(s.bytes()).into_owned();
            }
            sym::FILTER => {
                filter = Some(vm.force_function(
                    v,
                    at,
                    "while evaluating the `filter` parameter passed to builtins.path",
                )?);
            }
            sym::RECURSIVE => {
                method = if vm.force_bool(
                    v,
                    at,
                    "while evaluating the `recursive` attribute passed to builtins.path",
                )? {
                    Method::Nar
                } else {
                    Method::Flat
                };
            }
            sym::SHA256 => {
                let s = vm.force_string_no_context(
                    v,
                    at,
                    "while evaluating the `sha256` attribute passed to builtins.path",
                )?;
                hash = Some(super::derivation::parse_hash(
                    vm,
                    &String::from_utf8_lossy(s.bytes()),
                    Some(HashAlgo::Sha256),
                )?);
            }
            other => {
                return Err(Error::other(format!(
                    "unsupported argument '{other}' to 'builtins.path'"
                ))
                .at(at));
            }
        }
    }
    let Some(path) = path else {
        return Err(Error::other(
            "missing required 'path' attribute in the first argument to 'builtins.path'",
        )
        .at(pos));
    };
    if name.is_empty() {
        name = paths::store_name(&trees::reveal_root(&path)?);
    }
    let request = Request { name: &name, path: &path, filter, method, hash, context };
    add(vm, request, pos)
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__toPath", 1, to_path),
        Builtin::new("__storePath", 1, store_path),
        Builtin::new("baseNameOf", 1, base_name_of),
        Builtin::new("dirOf", 1, dir_of).strict(""),
        Builtin::new("__toFile", 2, to_file)
            .strict("while evaluating the first argument passed to builtins.toFile"),
        Builtin::new("__filterSource", 2, filter_source),
        Builtin::new("__path", 1, path).strict(""),
    ]
}
