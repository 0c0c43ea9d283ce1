//! Lists.

use super::Builtin;
use crate::error::{Error, Result};
use crate::machine::{Ahead, Vm};
use crate::position::PosId;
use crate::value::{List, Provenance, Set, Thunk, Value};
use crate::{print, shape};
use firn_syntax::{Symbol, sym};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::collections::VecDeque;

fn elem_at(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    // the index comes first
    let n = vm.force_int(
        args[1],
        pos,
        "while evaluating the second argument passed to 'builtins.elemAt'",
    )?;
    let list = vm.force_list(
        args[0],
        pos,
        "while evaluating the first argument passed to 'builtins.elemAt'",
    )?;
    match usize::try_from(n) {
        Ok(i) if i < list.len() => element(vm, list, i, pos),
        _ => Err(Error::other(format!(
            "'builtins.elemAt' called with index {n} on a list of size {}",
            list.len()
        ))
        .at(pos)),
    }
}

fn element(vm: &mut Vm, list: List, i: usize, pos: PosId) -> Result<Value> {
    let v = list.get(i);
    if !v.is_thunk() {
        return Ok(v);
    }
    let v = vm.force(v, pos)?;
    list.resolve(i, v);
    Ok(v)
}

fn head(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[0],
        pos,
        "while evaluating the first argument passed to 'builtins.head'",
    )?;
    if list.is_empty() {
        return Err(Error::other("'builtins.head' called on an empty list").at(pos));
    }
    element(vm, list, 0, pos)
}

fn tail(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[0],
        pos,
        "while evaluating the first argument passed to 'builtins.tail'",
    )?;
    if list.is_empty() {
        return Err(Error::other("'builtins.tail' called on an empty list").at(pos));
    }
    let out = List::room(&mut vm.heap, list.len() - 1);
    for i in 1..list.len() {
        out.init(i - 1, list.get(i));
    }
    Ok(out.value())
}

fn map(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list =
        vm.force_list(args[1], pos, "while evaluating the second argument passed to builtins.map")?;
    if list.is_empty() {
        return Ok(list.value());
    }
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.map",
    )?;
    let out = List::room(&mut vm.heap, list.len());
    let thunks = Thunk::mapping(&mut vm.heap, f, list.value(), list.len());
    for (i, v) in thunks.enumerate() {
        out.init(i, v);
    }
    Ok(out.value())
}

/// Lists shorter than this are not worth being gone through by several threads.
const WORTH_HELP: usize = 16;

/// Goes through a list whose elements `f` is applied to one by one, each with the thunk of its application
/// where helpers may have evaluated it ahead.
fn applied_ahead(
    vm: &mut Vm,
    f: Value,
    list: List,
    mut each: impl FnMut(&mut Vm, Value, Option<Value>) -> Result<()>,
) -> Result<()> {
    if list.len() < WORTH_HELP || !vm.has_helpers() {
        return list.iter().try_for_each(|v| each(vm, v, None));
    }
    let thunks: Vec<Value> = Thunk::mapping(&mut vm.heap, f, list.value(), list.len()).collect();
    let items = thunks.clone();
    vm.ahead(
        Ahead::Force,
        list.len(),
        |_| items,
        |vm| list.iter().zip(thunks).try_for_each(|(v, thunk)| each(vm, v, Some(thunk))),
    )
}

fn filter(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.filter",
    )?;
    if list.is_empty() {
        return Ok(list.value());
    }
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.filter",
    )?;
    let mut kept = Vec::with_capacity(list.len());
    applied_ahead(vm, f, list, |vm, v, thunk| {
        let keep = match thunk {
            Some(thunk) => vm.force(thunk, PosId::NONE)?,
            None => vm.apply1(f, v, PosId::NONE)?,
        };
        if vm.force_bool(
            keep,
            pos,
            "while evaluating the return value of the filtering function passed to builtins.filter",
        )? {
            kept.push(v);
        }
        Ok(())
    })?;
    if kept.len() == list.len() {
        return Ok(list.value());
    }
    Ok(List::new(&mut vm.heap, &kept).value())
}

fn elem(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.elem",
    )?;
    for v in list.iter() {
        if vm.equal(args[0], v, pos)? {
            return Ok(Value::TRUE);
        }
    }
    Ok(Value::FALSE)
}

/// One list of all elements of the lists.
pub(super) fn concat(vm: &mut Vm, lists: &[List]) -> Value {
    let total = lists.iter().map(|l| l.len()).sum();
    if let Some(only) = lists.iter().find(|l| l.len() == total) {
        return only.value();
    }
    let out = List::room(&mut vm.heap, total);
    let mut at = 0;
    for list in lists {
        for v in list.iter() {
            out.init(at, v);
            at += 1;
        }
    }
    out.value()
}

fn concat_lists(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.concatLists",
    )?;
    let mut lists = Vec::with_capacity(list.len());
    for v in list.iter() {
        lists.push(vm.force_list(
            v,
            pos,
            "while evaluating a value of the list passed to builtins.concatLists",
        )?);
    }
    Ok(concat(vm, &lists))
}

fn concat_map(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.concatMap",
    )?;
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.concatMap",
    )?;
    let mut lists = Vec::with_capacity(list.len());
    applied_ahead(vm, f, list, |vm, v, thunk| {
        let part = match thunk {
            Some(thunk) => vm.force(thunk, pos)?,
            None => vm.apply1(f, v, pos)?,
        };
        lists.push(vm.force_list(
            part,
            pos,
            "while evaluating the return value of the function passed to builtins.concatMap",
        )?);
        Ok(())
    })?;
    Ok(concat(vm, &lists))
}

fn length(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.length",
    )?;
    Ok(vm.int(list.len() as i64))
}

fn fold(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.foldlStrict",
    )?;
    let list = vm.force_list(
        args[2],
        pos,
        "while evaluating the third argument passed to builtins.foldlStrict",
    )?;
    let mut v = args[1];
    for element in list.iter() {
        v = vm.apply(f, &[v, element], pos)?;
    }
    vm.force(v, pos)
}

fn any_or_all(vm: &mut Vm, args: &[Value], pos: PosId, any: bool) -> Result<Value> {
    let [first, second, result] = if any {
        [
            "while evaluating the first argument passed to builtins.any",
            "while evaluating the second argument passed to builtins.any",
            "while evaluating the return value of the function passed to builtins.any",
        ]
    } else {
        [
            "while evaluating the first argument passed to builtins.all",
            "while evaluating the second argument passed to builtins.all",
            "while evaluating the return value of the function passed to builtins.all",
        ]
    };
    let f = vm.force_function(args[0], pos, first)?;
    let list = vm.force_list(args[1], pos, second)?;
    for v in list.iter() {
        let found = vm.apply1(f, v, pos)?;
        if vm.force_bool(found, pos, result)? == any {
            return Ok(Value::bool(any));
        }
    }
    Ok(Value::bool(!any))
}

fn gen_list(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let n = vm.force_int(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.genList",
    )?;
    let Some(len) = usize::try_from(n).ok().filter(|n| *n < 1 << 40) else {
        return Err(Error::other(format!("cannot create list of size {n}")).at(pos));
    };
    let f = vm.force_function(
        args[0],
        PosId::NONE,
        "while evaluating the first argument passed to builtins.genList",
    )?;
    let list = List::room(&mut vm.heap, len);
    let thunks = Thunk::mapping(&mut vm.heap, f, Value::NULL, len);
    for (i, v) in thunks.enumerate() {
        list.init(i, v);
    }
    Ok(list.value())
}

/// A stable merge sort whose result is a permutation whatever the comparison says, and which asks it as
/// few times as it can: whether the right one comes before the left one.
fn merge_sort(
    values: &mut [Value],
    scratch: &mut Vec<Value>,
    less: &mut dyn FnMut(Value, Value) -> Result<bool>,
) -> Result<()> {
    let n = values.len();
    if n < 2 {
        return Ok(());
    }
    if n <= 8 {
        for i in 1..n {
            let mut at = i;
            while at > 0 && less(values[at], values[at - 1])? {
                values.swap(at, at - 1);
                at -= 1;
            }
        }
        return Ok(());
    }
    let middle = n / 2;
    merge_sort(&mut values[..middle], scratch, less)?;
    merge_sort(&mut values[middle..], scratch, less)?;
    if !less(values[middle], values[middle - 1])? {
        return Ok(());
    }
    let start = scratch.len();
    scratch.extend_from_slice(&values[..middle]);
    let (mut left, mut right, mut out) = (start, middle, 0);
    let end = start + middle;
    while left < end && right < n {
        if less(values[right], scratch[left])? {
            values[out] = values[right];
            right += 1;
        } else {
            values[out] = scratch[left];
            left += 1;
        }
        out += 1;
    }
    while left < end {
        values[out] = scratch[left];
        left += 1;
        out += 1;
    }
    scratch.truncate(start);
    Ok(())
}

fn sort(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.sort",
    )?;
    if list.is_empty() {
        return Ok(list.value());
    }
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.sort",
    )?;
    let mut values = Vec::with_capacity(list.len());
    for i in 0..list.len() {
        values.push(element(vm, list, i, pos)?);
    }
    let direct = f.as_builtin().is_some_and(|id| super::get(id).name == "__lessThan");
    let mut less = |a: Value, b: Value| -> Result<bool> {
        if direct {
            return vm.less(
                a,
                b,
                PosId::NONE,
                "while evaluating the ordering function passed to builtins.sort",
            );
        }
        let v = vm.apply(f, &[a, b], PosId::NONE)?;
        vm.force_bool(
            v,
            pos,
            "while evaluating the return value of the sorting function passed to builtins.sort",
        )
    };
    merge_sort(&mut values, &mut Vec::new(), &mut less)?;
    Ok(List::new(&mut vm.heap, &values).value())
}

fn partition(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.partition",
    )?;
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.partition",
    )?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for i in 0..list.len() {
        let v = element(vm, list, i, pos)?;
        let answer = vm.apply1(f, v, pos)?;
        if vm.force_bool(
            answer,
            pos,
            "while evaluating the return value of the partition function passed to builtins.partition",
        )? {
            right.push(v);
        } else {
            wrong.push(v);
        }
    }
    let right = List::new(&mut vm.heap, &right).value();
    let wrong = List::new(&mut vm.heap, &wrong).value();
    Ok(vm.set_of(&[(sym::RIGHT, right), (sym::WRONG, wrong)]))
}

fn group_by(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let f = vm.force_function(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.groupBy",
    )?;
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.groupBy",
    )?;
    let mut groups: Vec<(Symbol, Vec<Value>)> = Vec::new();
    let mut index: FxHashMap<Symbol, usize> = FxHashMap::default();
    for v in list.iter() {
        let name = vm.apply1(f, v, pos)?;
        let name = vm
            .force_string_no_context(
                name,
                pos,
                "while evaluating the return value of the grouping function passed to builtins.groupBy",
            )?
            .symbol();
        let at = *index.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(v);
    }
    groups.sort_unstable_by_key(|(name, _)| *name);
    let names: Vec<Symbol> = groups.iter().map(|(name, _)| *name).collect();
    let set = Set::room(&mut vm.heap, shape::intern(&names), Provenance::NONE);
    for (i, (_, values)) in groups.iter().enumerate() {
        let v = List::new(&mut vm.heap, values).value();
        set.init(i, v);
    }
    Ok(set.value())
}

fn generic_closure(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set = vm.force_set(
        args[0],
        PosId::NONE,
        "while evaluating the first argument passed to builtins.genericClosure",
    )?;
    const WHERE: &str = "in the attrset passed as argument to builtins.genericClosure";
    let start = vm.need_attr(set, sym::START_SET, WHERE)?;
    let start = vm.force_list(
        start,
        PosId::NONE,
        "while evaluating the 'startSet' attribute passed as argument to builtins.genericClosure",
    )?;
    if start.is_empty() {
        return Ok(start.value());
    }
    let operator = vm.need_attr(set, sym::OPERATOR, WHERE)?;
    let operator = vm.force_function(
        operator,
        PosId::NONE,
        "while evaluating the 'operator' attribute passed as argument to builtins.genericClosure",
    )?;
    let mut work: VecDeque<Value> = start.iter().collect();
    let mut keys = Keys::default();
    let mut result = Vec::new();
    while let Some(v) = work.pop_front() {
        let element = vm
            .force_set(v, PosId::NONE, "")
            .and_then(|set| vm.need_attr(set, sym::KEY, "").map(|key| (set, key)));
        let (element, key) = match element {
            Ok(found) => found,
            Err(e) => {
                let shown = print::for_error(vm, v);
                return Err(e.trace(PosId::NONE, format!("in genericClosure element {shown}")));
            }
        };
        let element = element.value();
        let key = vm.force(key, PosId::NONE)?;
        match keys.insert(vm, key, element) {
            Ok(true) => {}
            Ok(false) => continue,
            Err((e, other)) => {
                let shown = print::for_error(vm, element);
                return Err(match other {
                    Some(other) => {
                        let other = print::for_error(vm, other);
                        e.trace(PosId::NONE, format!("with element {other}"))
                            .trace(PosId::NONE, format!("while comparing element {shown}"))
                    }
                    None => e.trace(PosId::NONE, format!("while checking key of element {shown}")),
                });
            }
        }
        result.push(element);
        let next = vm.apply1(operator, element, PosId::NONE).and_then(|new| {
            let new = vm.force_list(
                new,
                PosId::NONE,
                "while evaluating the return value of the `operator` passed to builtins.genericClosure",
            )?;
            for v in new.iter() {
                vm.force(v, PosId::NONE)?;
                work.push_back(v);
            }
            Ok(())
        });
        if let Err(e) = next {
            let shown = print::for_error(vm, element);
            return Err(e.trace(
                PosId::NONE,
                format!("while calling operator on genericClosure element {shown}"),
            ));
        }
    }
    let _ = pos;
    Ok(List::new(&mut vm.heap, &result).value())
}

/// Keys that were seen: a hash table while all are strings, otherwise sorted by comparison.
#[derive(Default)]
struct Keys {
    /// By their text: the keys themselves, and their elements.
    strings: FxHashMap<&'static [u8], (Value, Value)>,
    sorted: Vec<(Value, Value)>,
}

impl Keys {
    /// Adds a key; false if it was there. An error names the element that could not be compared with.
    fn insert(
        &mut self,
        vm: &mut Vm,
        key: Value,
        element: Value,
    ) -> std::result::Result<bool, (Error, Option<Value>)> {
        if self.sorted.is_empty()
            && let Some(s) = key.as_str()
        {
            return Ok(self.strings.insert(s.bytes(), (key, element)).is_none());
        }
        if !self.strings.is_empty() {
            // Comparing with any of the strings fails.
            let other = self.strings.values().next().copied();
            if let Some((text, other)) = other {
                return match vm.less(key, text, PosId::NONE, "") {
                    Err(e) => Err((e, Some(other))),
                    Ok(_) => Ok(false),
                };
            }
        }
        let (mut low, mut high) = (0, self.sorted.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let (k, other) = self.sorted[middle];
            let order = (|| {
                // In this order, so that the error names the new key first.
                if vm.less(key, k, PosId::NONE, "")? {
                    return Ok(Ordering::Greater);
                }
                Ok(if vm.less(k, key, PosId::NONE, "")? { Ordering::Less } else { Ordering::Equal })
            })();
            match order {
                Ok(Ordering::Less) => low = middle + 1,
                Ok(Ordering::Greater) => high = middle,
                Ok(Ordering::Equal) => return Ok(false),
                Err(e) => return Err((e, Some(other))),
            }
        }
        self.sorted.insert(low, (key, element));
        Ok(true)
    }
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__isList", 1, |vm, a, pos| {
            Ok(Value::bool(vm.force(a[0], pos)?.as_list().is_some()))
        })
        .strict(""),
        Builtin::new("__elemAt", 2, elem_at),
        Builtin::new("__head", 1, head).strict(""),
        Builtin::new("__tail", 1, tail).strict(""),
        Builtin::new("map", 2, map),
        Builtin::new("__filter", 2, filter),
        Builtin::new("__elem", 2, elem),
        Builtin::new("__concatLists", 1, concat_lists).strict(""),
        Builtin::new("__concatMap", 2, concat_map)
            .strict("while evaluating the first argument passed to builtins.concatMap"),
        Builtin::new("__length", 1, length).strict(""),
        Builtin::new("__foldl'", 3, fold)
            .strict("while evaluating the first argument passed to builtins.foldlStrict"),
        Builtin::new("__any", 2, |vm, a, pos| any_or_all(vm, a, pos, true))
            .strict("while evaluating the first argument passed to builtins.any"),
        Builtin::new("__all", 2, |vm, a, pos| any_or_all(vm, a, pos, false))
            .strict("while evaluating the first argument passed to builtins.all"),
        Builtin::new("__genList", 2, gen_list),
        Builtin::new("__sort", 2, sort),
        Builtin::new("__partition", 2, partition)
            .strict("while evaluating the first argument passed to builtins.partition"),
        Builtin::new("__groupBy", 2, group_by)
            .strict("while evaluating the first argument passed to builtins.groupBy"),
        Builtin::new("__genericClosure", 1, generic_closure).strict(""),
    ]
}
