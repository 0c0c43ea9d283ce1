//! String contexts.

use super::Builtin;
use crate::context::{ContextBuilder, DerivedPath, Element};
use crate::error::{Error, Result};
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::{List, SetBuilder, Value};
use firn_model::StorePath;
use firn_syntax::{Symbol, sym};
use std::collections::BTreeMap;

fn coerced(
    vm: &mut Vm,
    v: Value,
    pos: PosId,
    name: &str,
) -> Result<(crate::machine::Text, ContextBuilder)> {
    let mut context = ContextBuilder::new();
    let text = vm.coerce(
        pos,
        v,
        &mut context,
        &format!("while evaluating the argument passed to builtins.{name}"),
        false,
        true,
        true,
    )?;
    Ok((text, context))
}

fn discard(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let (text, _) = coerced(vm, args[0], pos, "unsafeDiscardStringContext")?;
    Ok(vm.string(&text))
}

fn has_context(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let s = vm.force_string(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.hasContext",
    )?;
    Ok(Value::bool(s.context().is_some()))
}

fn discard_output_dependency(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let (text, context) = coerced(vm, args[0], pos, "unsafeDiscardOutputDependency")?;
    let mut out = ContextBuilder::new();
    if let Some(context) = context.finish() {
        for element in context.elements() {
            out.add_element(match element {
                Element::DrvDeep(path) => Element::Opaque(path.clone()),
                other => other.clone(),
            });
        }
    }
    Ok(vm.string_with(&text, out.finish()))
}

fn add_output_dependencies(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let (text, context) = coerced(vm, args[0], pos, "addDrvOutputDependencies")?;
    let elements: Vec<&'static Element> =
        context.finish().map(|c| c.elements().collect()).unwrap_or_default();
    let [element] = &*elements else {
        return Err(Error::other(format!(
            "context of string '{}' must have exactly one element, but has {}",
            String::from_utf8_lossy(&text),
            elements.len()
        ))
        .at(pos));
    };
    let deep = match element {
        Element::Opaque(path) if path.is_derivation() => path,
        Element::Opaque(path) => {
            let path = vm.store_dir().print(path);
            return Err(Error::other(format!("path '{path}' is not a derivation")).at(pos));
        }
        Element::DrvDeep(path) => path,
        Element::Built { output, .. } => {
            return Err(Error::other(format!(
                "`addDrvOutputDependencies` can only act on derivations, not on a derivation output such as '{output}'"
            ))
            .at(pos));
        }
    };
    let mut out = ContextBuilder::new();
    out.add_element(Element::DrvDeep(deep.clone()));
    Ok(vm.string_with(&text, out.finish()))
}

#[derive(Default)]
struct Info {
    path: bool,
    all_outputs: bool,
    outputs: Vec<Box<str>>,
}

fn get_context(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let s = vm.force_string(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.getContext",
    )?;
    let mut infos: BTreeMap<StorePath, Info> = BTreeMap::new();
    if let Some(context) = s.context() {
        for element in context.elements() {
            match element {
                Element::Opaque(path) => infos.entry(path.clone()).or_default().path = true,
                Element::DrvDeep(path) => {
                    infos.entry(path.clone()).or_default().all_outputs = true;
                }
                Element::Built { drv: DerivedPath::Opaque(path), output } => {
                    infos.entry(path.clone()).or_default().outputs.push(output.clone());
                }
                Element::Built { drv, .. } => {
                    return Err(Error::other(format!(
                        "the derivation '{}' is itself the output of a derivation that is not built yet",
                        drv.print(vm.store_dir())
                    ))
                    .at(pos));
                }
            }
        }
    }
    let mut set = SetBuilder::with_capacity(infos.len());
    for (path, info) in infos {
        let mut attrs = SetBuilder::with_capacity(3);
        if info.path {
            attrs.push(sym::PATH, Value::TRUE);
        }
        if info.all_outputs {
            attrs.push(sym::ALL_OUTPUTS, Value::TRUE);
        }
        if !info.outputs.is_empty() {
            let mut names = Vec::new();
            for output in &info.outputs {
                names.push(vm.string(output.as_bytes()));
            }
            let names = List::new(&mut vm.heap, &names).value();
            attrs.push(sym::OUTPUTS, names);
        }
        let attrs = attrs.finish(&mut vm.heap).value();
        let name = vm.store_dir().print(&path);
        set.push(Symbol::intern(name.as_bytes()), attrs);
    }
    Ok(set.finish(&mut vm.heap).value())
}

fn append_context(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let s = vm.force_string(
        args[0],
        PosId::NONE,
        "while evaluating the first argument passed to builtins.appendContext",
    )?;
    let mut context = ContextBuilder::new();
    context.add(s.context());
    let added = vm.force_set(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.appendContext",
    )?;
    for (name, v) in added.iter(&mut vm.heap) {
        let at = added.position(name);
        let text = name.as_str();
        let Ok(path) = vm.store_dir().parse(&text) else {
            return Err(Error::other(format!("context key '{text}' is not a store path")).at(at));
        };
        if !vm.shared.settings.read_only {
            vm.shared.io.ensure(&path)?;
        }
        let info = vm.force_set(v, at, "while evaluating the value of a string context")?;
        if let Some(v) = info.get(sym::PATH)
            && vm.force_bool(
                v,
                info.position(sym::PATH),
                "while evaluating the `path` attribute of a string context",
            )?
        {
            context.add_element(Element::Opaque(path.clone()));
        }
        if let Some(v) = info.get(sym::ALL_OUTPUTS)
            && vm.force_bool(
                v,
                info.position(sym::ALL_OUTPUTS),
                "while evaluating the `allOutputs` attribute of a string context",
            )?
        {
            if !path.is_derivation() {
                return Err(Error::other(format!(
                    "tried to add all-outputs context of \"{text}\", which is not a derivation, to a string"
                ))
                .at(at));
            }
            context.add_element(Element::DrvDeep(path.clone()));
        }
        if let Some(v) = info.get(sym::OUTPUTS) {
            let at_outputs = info.position(sym::OUTPUTS);
            let outputs = vm.force_list(
                v,
                at_outputs,
                "while evaluating the `outputs` attribute of a string context",
            )?;
            if !outputs.is_empty() && !path.is_derivation() {
                return Err(Error::other(format!(
                    "tried to add derivation output context of \"{text}\", which is not a derivation, to a string"
                ))
                .at(at));
            }
            for v in outputs.iter() {
                let output = vm.force_string_no_context(
                    v,
                    at_outputs,
                    "while evaluating an output name within a string context",
                )?;
                context.add_element(Element::Built {
                    drv: DerivedPath::Opaque(path.clone()),
                    output: String::from_utf8_lossy(output.bytes()).into(),
                });
            }
        }
    }
    Ok(vm.string_with(s.bytes(), context.finish()))
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__unsafeDiscardStringContext", 1, discard),
        Builtin::new("__hasContext", 1, has_context)
            .strict("while evaluating the argument passed to builtins.hasContext"),
        Builtin::new("__unsafeDiscardOutputDependency", 1, discard_output_dependency),
        Builtin::new("__addDrvOutputDependencies", 1, add_output_dependencies),
        Builtin::new("__getContext", 1, get_context)
            .strict("while evaluating the argument passed to builtins.getContext"),
        Builtin::new("__appendContext", 2, append_context),
    ]
}
