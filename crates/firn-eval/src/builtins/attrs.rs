//! Attribute sets.

use super::Builtin;
use crate::error::{Error, Result};
use crate::machine::{Vm, position_value};
use crate::position::PosId;
use crate::shape;
use crate::value::{List, Provenance, Set, SetBuilder, Str, Thunk, Value, View};
use firn_syntax::{Symbol, sym};
use rustc_hash::FxHashMap;
use std::sync::atomic::Ordering;

fn attr_names(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set =
        vm.force_set(args[0], pos, "while evaluating the argument passed to builtins.attrNames")?;
    let names: Vec<Symbol> = set.sorted(&mut vm.heap).map(|(name, _)| name).collect();
    let list = List::room(&mut vm.heap, names.len());
    for (i, name) in names.iter().enumerate() {
        let s = Str::of_symbol(&mut vm.heap, *name).value();
        list.init(i, s);
    }
    Ok(list.value())
}

fn attr_values(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set =
        vm.force_set(args[0], pos, "while evaluating the argument passed to builtins.attrValues")?;
    let attrs = set.sorted(&mut vm.heap);
    let list = List::room(&mut vm.heap, set.len());
    for (i, (_, v)) in attrs.enumerate() {
        list.init(i, v);
    }
    Ok(list.value())
}

fn get_attr(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.getAttr",
    )?;
    let set = vm.force_set(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.getAttr",
    )?;
    let v = vm.need_attr(set, name.symbol(), "in the attribute set under consideration")?;
    vm.force(v, pos)
}

fn has_attr(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.hasAttr",
    )?;
    let set = vm.force_set(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.hasAttr",
    )?;
    Ok(Value::bool(set.has(name.symbol())))
}

fn unsafe_get_attr_pos(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.unsafeGetAttrPos",
    )?;
    let set = vm.force_set(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.unsafeGetAttrPos",
    )?;
    let at = set.position(name.symbol());
    Ok(position_value(&mut vm.heap, at))
}

fn remove_attrs(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set = vm.force_set(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.removeAttrs",
    )?;
    let names = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.removeAttrs",
    )?;
    let mut removed: Vec<Symbol> = Vec::with_capacity(names.len());
    for v in names.iter() {
        let name = vm.force_string_no_context(
            v,
            pos,
            "while evaluating the values of the second argument passed to builtins.removeAttrs",
        )?;
        removed.push(name.symbol());
    }
    removed.retain(|name| set.has(*name));
    if removed.is_empty() {
        return Ok(set.value());
    }
    removed.sort_unstable();
    removed.dedup();
    let flat = set.flat(&mut vm.heap);
    let shape = flat.shape().unwrap_or(shape::empty());
    let how = shape::removal(shape, shape::intern(&removed));
    Ok(flat.subset(&mut vm.heap, how).value())
}

fn list_to_attrs(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.listToAttrs",
    )?;
    // Names first: a pair that another one hides need not have a value.
    let mut entries: Vec<(Symbol, u32, Set)> = Vec::with_capacity(list.len());
    for i in 0..list.len() {
        let v = list.get(i);
        let pair = vm.force_set(
            v,
            pos,
            "while evaluating an element of the list passed to builtins.listToAttrs",
        )?;
        let name = vm.need_attr(pair, sym::NAME, "in a {name=...; value=...;} pair")?;
        let name = vm.force_string_no_context(
            name,
            PosId::NONE,
            "while evaluating the `name` attribute of an element of the list passed to builtins.listToAttrs",
        )?;
        entries.push((name.symbol(), i as u32, pair));
    }
    entries.sort_unstable_by_key(|(name, i, _)| (*name, *i));
    entries.dedup_by_key(|(name, ..)| *name);
    let names: Vec<Symbol> = entries.iter().map(|(name, ..)| *name).collect();
    let set = Set::room(&mut vm.heap, shape::intern(&names), Provenance::NONE);
    for (slot, (_, _, pair)) in entries.iter().enumerate() {
        let v = vm.need_attr(*pair, sym::VALUE, "in a {name=...; value=...;} pair")?;
        set.init(slot, v);
    }
    Ok(set.value())
}

fn intersect_attrs(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let left = vm.force_set(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.intersectAttrs",
    )?;
    let right = vm.force_set(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.intersectAttrs",
    )?;
    if let (Some(l), Some(r)) = (left.shape(), right.shape()) {
        let how = shape::intersection(l, r);
        return Ok(right.subset(&mut vm.heap, how).value());
    }
    let mut out = SetBuilder::default();
    if left.len() < right.len() {
        for (name, _) in left.iter(&mut vm.heap) {
            if let Some(v) = right.get(name) {
                out.push_at(name, v, right.position(name));
            }
        }
    } else {
        for (name, v) in right.iter(&mut vm.heap) {
            if left.has(name) {
                out.push_at(name, v, right.position(name));
            }
        }
    }
    Ok(out.finish(&mut vm.heap).value())
}

fn cat_attrs(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm
        .force_string_no_context(
            args[0],
            pos,
            "while evaluating the first argument passed to builtins.catAttrs",
        )?
        .symbol();
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.catAttrs",
    )?;
    let mut found = Vec::with_capacity(list.len());
    for v in list.iter() {
        let set = vm.force_set(
            v,
            pos,
            "while evaluating an element in the list passed as second argument to builtins.catAttrs",
        )?;
        found.extend(set.get(name));
    }
    Ok(List::new(&mut vm.heap, &found).value())
}

/// The names that a function's set pattern takes, in the order of the source; none if it has no pattern.
pub fn formals(f: Value) -> Vec<Symbol> {
    let param = match f.view() {
        View::Function(f) => &f.lambda().params[0],
        View::Partial(p) => &p.function().lambda().params[p.args().len()],
        _ => return Vec::new(),
    };
    param.pattern.map(|p| p.formals.iter().map(|f| f.name).collect()).unwrap_or_default()
}

/// The name of a function's argument; none if it takes a set apart, or is no function of the language.
pub fn argument(f: Value) -> Option<Symbol> {
    let param = match f.view() {
        View::Function(f) => &f.lambda().params[0],
        View::Partial(p) => &p.function().lambda().params[p.args().len()],
        _ => return None,
    };
    if param.pattern.is_some() { None } else { param.arg }
}

fn function_args(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let f = vm.force(args[0], pos)?;
    let param = match f.view() {
        View::Function(f) => &f.lambda().params[0],
        View::Partial(p) => &p.function().lambda().params[p.args().len()],
        View::Builtin(_) | View::Applied(_) => return Ok(Set::empty().value()),
        _ => return Err(Error::type_error("'functionArgs' requires a function").at(pos)),
    };
    let Some(pattern) = param.pattern else { return Ok(Set::empty().value()) };
    let known = pattern.function_args.load(Ordering::Acquire);
    if known != 0 {
        return Ok(Value(known));
    }
    let mut set = SetBuilder::with_capacity(pattern.formals.len());
    for formal in pattern.formals {
        set.push_at(formal.name, Value::bool(formal.default.is_some()), formal.pos);
    }
    let set = set.finish(&mut vm.heap).value();
    pattern.function_args.store(set.0, Ordering::Release);
    Ok(set)
}

fn map_attrs(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set = vm
        .force_set(
            args[1],
            pos,
            "while evaluating the second argument passed to builtins.mapAttrs",
        )?
        .flat(&mut vm.heap);
    let Some(shape) = set.shape() else { return Ok(set.value()) };
    let out = Set::room(&mut vm.heap, shape, Provenance::NONE);
    let thunks = Thunk::mapping(&mut vm.heap, args[0], set.value(), shape.len());
    for (i, v) in thunks.enumerate() {
        out.init(i, v);
    }
    Ok(out.value())
}

fn zip_attrs_with(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.zipAttrsWith",
    )?;
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.zipAttrsWith",
    )?;
    let mut found: Vec<(Symbol, Vec<Value>)> = Vec::new();
    let mut index: FxHashMap<Symbol, usize> = FxHashMap::default();
    for v in list.iter() {
        let set = vm.force_set(
            v,
            PosId::NONE,
            "while evaluating a value of the list passed as second argument to builtins.zipAttrsWith",
        )?;
        for (name, v) in set.iter(&mut vm.heap) {
            let at = *index.entry(name).or_insert_with(|| {
                found.push((name, Vec::new()));
                found.len() - 1
            });
            found[at].1.push(v);
        }
    }
    found.sort_unstable_by_key(|(name, _)| *name);
    let names: Vec<Symbol> = found.iter().map(|(name, _)| *name).collect();
    let shape = shape::intern(&names);
    let lists = Set::room(&mut vm.heap, shape, Provenance::NONE);
    for (i, (_, values)) in found.iter().enumerate() {
        let values = List::new(&mut vm.heap, values).value();
        lists.init(i, values);
    }
    let out = Set::room(&mut vm.heap, shape, Provenance::NONE);
    let thunks = Thunk::mapping(&mut vm.heap, f, lists.value(), shape.len());
    for (i, v) in thunks.enumerate() {
        out.init(i, v);
    }
    Ok(out.value())
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__attrNames", 1, attr_names).strict(""),
        Builtin::new("__attrValues", 1, attr_values).strict(""),
        Builtin::new("__getAttr", 2, get_attr)
            .strict("while evaluating the first argument passed to builtins.getAttr"),
        Builtin::new("__hasAttr", 2, has_attr)
            .strict("while evaluating the first argument passed to builtins.hasAttr"),
        Builtin::new("__unsafeGetAttrPos", 2, unsafe_get_attr_pos)
            .strict("while evaluating the first argument passed to builtins.unsafeGetAttrPos"),
        Builtin::new("removeAttrs", 2, remove_attrs).strict(""),
        Builtin::new("__listToAttrs", 1, list_to_attrs).strict(""),
        Builtin::new("__intersectAttrs", 2, intersect_attrs).strict(""),
        Builtin::new("__catAttrs", 2, cat_attrs)
            .strict("while evaluating the first argument passed to builtins.catAttrs"),
        Builtin::new("__functionArgs", 1, function_args).strict(""),
        Builtin::new("__mapAttrs", 2, map_attrs),
        Builtin::new("__zipAttrsWith", 2, zip_attrs_with)
            .strict("while evaluating the first argument passed to builtins.zipAttrsWith"),
    ]
}
