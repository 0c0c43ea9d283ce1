//! Reading files and importing them.

use super::Builtin;
use super::internal::{IMPORTED, internal_name};
use super::strings::algorithm;
use crate::context::{Context, ContextBuilder, DerivedPath, Element};
use crate::error::{Error, Kind, Result};
use crate::io::FileKind;
use crate::io::tree::file_error;
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::{List, SetBuilder, Value};
use firn_model::Hash;
use firn_model::StorePath;
use firn_syntax::{Symbol, sym};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn missing(path: &Path) -> Error {
    Error::new(Kind::Io, crate::trees::absent(path))
}

/// Whether an error says that there is nothing at `path`: also when something above it is no folder.
fn absent(path: &Path, e: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    e.kind() == NotFound || (e.kind() == NotADirectory && !path.exists())
}

/// What reading a file's error says.
fn reading(path: &Path, e: &std::io::Error) -> Error {
    if absent(path, e) {
        missing(path)
    } else if e.kind() == std::io::ErrorKind::IsADirectory {
        // as much as a file of that size would be read at once
        let size = path.metadata().map_or(4096, |meta| meta.len().min(1 << 16));
        Error::new(Kind::Io, format!("read of {size} bytes: Is a directory"))
    } else {
        file_error("opening file", path, e)
    }
}

fn import(vm: &mut Vm, scope: Option<Value>, v: Value, pos: PosId) -> Result<Value> {
    let path = vm.realise_path(v, pos, None)?;
    if super::internal_file(&path).is_some() {
        return vm.eval_file(&path);
    }
    let text = path.to_string_lossy();
    if text.ends_with(".drv")
        && let Ok(store_path) = vm.store_dir().parse(&text)
        && vm.shared.io.is_valid(&store_path)
    {
        return imported_derivation(vm, &store_path, &path, pos);
    }
    match scope {
        None => vm.eval_file(&path),
        Some(scope) => {
            let scope = vm.force_set(
                scope,
                pos,
                "while evaluating the first argument passed to builtins.scopedImport",
            )?;
            vm.scoped_import(scope, &path)
        }
    }
}

/// What importing a `.drv` file of the store gives.
fn imported_derivation(
    vm: &mut Vm,
    store_path: &StorePath,
    path: &Path,
    pos: PosId,
) -> Result<Value> {
    let derivation = vm.shared.io.read_derivation(store_path)?;
    let dir = vm.store_dir().clone();
    let mut set = SetBuilder::default();
    let drv_path = vm.string_with(
        path.as_os_str().as_bytes(),
        Some(Context::of(Element::DrvDeep(store_path.clone()))),
    );
    set.push(sym::DRV_PATH, drv_path);
    let name = derivation.env.get(bstr::BStr::new("name")).cloned().unwrap_or_default();
    let name = vm.string(&*name);
    set.push(sym::NAME, name);
    let mut outputs = Vec::new();
    for (output, declared) in &derivation.outputs {
        let known = declared
            .path(&dir, &derivation.name, output)
            .map_err(|e| Error::other(e.to_string()).at(pos))?;
        let drv = DerivedPath::Opaque(store_path.clone());
        let text = match known {
            Some(path) => dir.print(&path),
            None => super::downstream_placeholder(&drv, output)?,
        };
        let context = Context::of(Element::Built { drv, output: output.as_str().into() });
        let value = vm.string_with(text, Some(context));
        set.push(Symbol::intern(output.as_bytes()), value);
        outputs.push(vm.string(output));
    }
    let outputs = List::new(&mut vm.heap, &outputs).value();
    set.push(sym::OUTPUTS, outputs);
    let set = set.finish(&mut vm.heap).value();
    let f = vm.eval_file(Path::new(&internal_name(IMPORTED)))?;
    vm.apply1(f, set, pos)
}

fn find_file(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.findFile",
    )?;
    let mut search_path = Vec::with_capacity(list.len());
    for v in list.iter() {
        let set = vm.force_set(
            v,
            pos,
            "while evaluating an element of the list passed to builtins.findFile",
        )?;
        let prefix = match set.get(sym::PREFIX) {
            Some(v) => {
                let s = vm.force_string_no_context(
                    v,
                    pos,
                    "while evaluating the `prefix` attribute of an element of the list passed to builtins.findFile",
                )?;
                String::from_utf8_lossy(s.bytes()).into_owned()
            }
            None => String::new(),
        };
        let location = vm.need_attr(set, sym::PATH, "in an element of the __nixPath")?;
        let mut context = ContextBuilder::new();
        let text = vm.coerce(
            pos,
            location,
            &mut context,
            "while evaluating the `path` attribute of an element of the list passed to builtins.findFile",
            false,
            false,
            true,
        )?;
        let mut bytes = text.to_vec();
        let rewrites = vm.realise_context(context.finish()).map_err(|e| {
            Error::other(format!(
                "cannot find '{}', since {}",
                String::from_utf8_lossy(&text),
                e.message()
            ))
            .at(pos)
        })?;
        for (from, to) in rewrites {
            bytes = crate::paths::replace_all(&bytes, &from, &to);
        }
        search_path.push((prefix, String::from_utf8_lossy(&bytes).into_owned()));
    }
    let name = vm.force_string_no_context(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.findFile",
    )?;
    let name = String::from_utf8_lossy(name.bytes());
    let path = vm.find_file(&search_path, &name, pos)?;
    Ok(Value::path(&mut vm.heap, path.as_os_str().as_bytes()))
}

fn path_exists(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let v = vm.force(args[0], pos)?;
    let directory =
        v.as_str().is_some_and(|s| s.bytes().ends_with(b"/") || s.bytes().ends_with(b"/."));
    let kind = vm
        .realise_path(v, pos, Some(directory))
        .and_then(|path| vm.kind(&path).map(|kind| (path, kind)));
    let (path, kind) = match kind {
        // Restricted evaluation does not even tell that something is there.
        Err(e) if e.kind() == Kind::Restricted => return Ok(Value::FALSE),
        other => other?,
    };
    Ok(Value::bool(match kind {
        Some(kind) => !directory || kind == FileKind::Directory,
        None => super::internal_file(&path).is_some(),
    }))
}

fn read_file(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let path = vm.realise_path(args[0], pos, Some(true))?;
    let text = match super::internal_file(&path) {
        Some(text) => text.to_vec(),
        None => vm.shared.io.read_file(&path).map_err(|e| reading(&path, &e))?,
    };
    if text.contains(&0) {
        return Err(Error::other(format!(
            "the contents of the file '{}' cannot be represented as a Nix string",
            path.display()
        ))
        .at(pos));
    }
    // What the file's store path refers to, as far as the text mentions it.
    let mut context = ContextBuilder::new();
    if let Ok((store_path, _)) = vm.store_dir().parse_prefix(&path.to_string_lossy()) {
        for reference in vm.shared.io.references(&store_path) {
            if memchr::memmem::find(&text, reference.hash_part().as_bytes()).is_some() {
                context.add_element(Element::Opaque(reference));
            }
        }
    }
    Ok(vm.string_with(&text, context.finish()))
}

fn hash_file(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.hashFile",
    )?;
    let algo = algorithm(vm, name.bytes(), pos)?;
    let path = vm.realise_path(args[1], pos, Some(true))?;
    let text = vm.shared.io.read_file(&path).map_err(|e| reading(&path, &e))?;
    Ok(vm.string(Hash::digest(algo, &text).to_base16()))
}

fn kind_name(vm: &mut Vm, kind: FileKind) -> Value {
    vm.symbol_string(Symbol::intern(kind.name().as_bytes()))
}

fn read_file_type(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let path = vm.realise_path(args[0], pos, None)?;
    // The last part is not followed, those before it are.
    let place = vm.resolve_links(&path, false)?;
    match vm.kind(&place)? {
        Some(kind) => Ok(kind_name(vm, kind)),
        None => Err(missing(&path)),
    }
}

fn read_dir(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let path = vm.realise_path(args[0], pos, Some(true))?;
    let entries = vm.shared.io.read_dir(&path).map_err(|e| {
        if absent(&path, &e) {
            missing(&path)
        } else {
            file_error("cannot read directory", &path, &e)
        }
    })?;
    let mut set = SetBuilder::with_capacity(entries.len());
    for (name, kind) in entries {
        let kind = kind_name(vm, kind);
        set.push(Symbol::intern(name.as_bytes()), kind);
    }
    Ok(set.finish(&mut vm.heap).value())
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("import", 1, |vm, args, pos| import(vm, None, args[0], pos)).strict(""),
        Builtin::new("scopedImport", 2, |vm, args, pos| import(vm, Some(args[0]), args[1], pos)),
        Builtin::new("__findFile", 2, find_file).strict(""),
        Builtin::new("__pathExists", 1, path_exists).strict(""),
        Builtin::new("__readFile", 1, read_file),
        Builtin::new("__hashFile", 2, hash_file),
        Builtin::new("__readFileType", 1, read_file_type),
        Builtin::new("__readDir", 1, read_dir),
    ]
}
