//! Running nodes.

use super::Vm;
use crate::compile::{Attr, Cache, HasAttr, List, Name, Node, Select, WithVar};
use crate::error::{Error, Kind, Result, best_matches};
use crate::position::PosId;
use crate::print;
use crate::value::{self, Env, Function, Set, Value};
use firn_syntax::Symbol;
use firn_syntax::ast::quoted as shown;
use std::sync::atomic::Ordering;

/// The attribute's slot in a flat set, through the inline cache; or its value in a layered one.
#[inline(always)]
pub(crate) fn lookup(set: Set, name: Symbol, cache: &Cache) -> Option<(Value, Option<usize>)> {
    let known = cache.0.load(Ordering::Relaxed);
    if known >> 16 == set.shape_word() {
        let slot = (known & 0xffff) as usize;
        return Some((set.slot(slot), Some(slot)));
    }
    lookup_slow(set, name, cache)
}

/// As [`lookup`], for one element of a path: the cache only knows names that do not change.
#[inline(always)]
fn lookup_name(set: Set, symbol: Symbol, name: &Name) -> Option<(Value, Option<usize>)> {
    if name.dynamic.is_none() {
        lookup(set, symbol, &name.cache)
    } else {
        set.get(symbol).map(|v| (v, None))
    }
}

#[inline(never)]
fn lookup_slow(set: Set, name: Symbol, cache: &Cache) -> Option<(Value, Option<usize>)> {
    match set.shape() {
        None => set.get(name).map(|v| (v, None)),
        Some(shape) => {
            let slot = shape.find(name)?;
            let address = std::ptr::from_ref(shape) as u64;
            if slot < 0xffff && address < 1 << 48 {
                cache.0.store(address << 16 | slot as u64, Ordering::Relaxed);
            }
            Some((set.slot(slot), Some(slot)))
        }
    }
}

impl Vm {
    /// The value of a node, evaluated.
    #[inline(always)]
    pub(crate) fn eval(&mut self, node: &'static Node, env: Env) -> Result<Value> {
        // Most nodes are variables whose value is there, and take no call.
        let v = match node {
            // SAFETY: the compiler gave the environment this slot.
            Node::Local(slot, _) => unsafe { env.get(*slot) },
            // SAFETY: the compiler counted the levels and gave the environment this slot.
            Node::Outer(depth, slot, _) => unsafe { env.up(u32::from(*depth)).get(*slot) },
            _ => return self.eval_node(node, env),
        };
        if v.is_thunk() { self.eval_node(node, env) } else { Ok(v) }
    }

    /// As [`Vm::eval`], which is to be called. What is in tail position is a turn of the loop: it takes no
    /// stack.
    #[inline(never)]
    fn eval_node(&mut self, node: &'static Node, env: Env) -> Result<Value> {
        let (mut node, mut env) = (node, env);
        loop {
            return match node {
                Node::Const(v) => self.force(*v, PosId::NONE),
                Node::Local(slot, pos) => {
                    // SAFETY: the compiler gave the environment this slot.
                    let v = unsafe { env.get(*slot) };
                    if !v.is_thunk() {
                        return Ok(v);
                    }
                    self.eval_slot(v, env, *slot, *pos)
                }
                Node::Outer(depth, slot, pos) => {
                    // SAFETY: the compiler counted the levels and gave the environment this slot.
                    let env = unsafe { env.up(u32::from(*depth)) };
                    // SAFETY: as above.
                    let v = unsafe { env.get(*slot) };
                    if !v.is_thunk() {
                        return Ok(v);
                    }
                    self.eval_slot(v, env, *slot, *pos)
                }
                Node::Attr(a) => self.attr(a, env),
                Node::Select(s) => self.select(s, env),
                Node::Call(c) => self.call_node(c, env),
                Node::If(n) => {
                    node = if self.eval_bool(
                        &n.cond,
                        env,
                        n.pos,
                        "while evaluating a branch condition",
                    )? {
                        &n.then_node
                    } else {
                        &n.else_node
                    };
                    continue;
                }
                Node::Let(n) => {
                    for (slot, value) in n.bindings {
                        let value = self.lazy(value, env);
                        // SAFETY: the compiler gave the environment this slot.
                        unsafe { env.set(*slot, value) };
                    }
                    node = &n.body;
                    continue;
                }
                Node::Enter(slots, body) => {
                    env = Env::new(&mut self.heap, env, *slots);
                    node = body;
                    continue;
                }
                Node::Attrs(attrs) => self.attrs(attrs, env),
                Node::List(list) => Ok(self.list(list, env)),
                Node::Lambda(lambda) => Ok(Function::new(&mut self.heap, lambda, env).value()),
                Node::HasAttr(h) => self.has_attr(h, env),
                Node::With(var) => self.with_var(var, env),
                Node::WithIn(n) => {
                    let attrs = self.lazy(&n.attrs, env);
                    // SAFETY: the compiler gave the environment this slot.
                    unsafe { env.set(n.slot, attrs) };
                    node = &n.body;
                    continue;
                }
                Node::Not(e, pos) => {
                    let b = self.eval_bool(e, env, *pos, "in the argument of the not operator")?;
                    Ok(Value::bool(!b))
                }
                Node::And(b) => Ok(Value::bool(
                    self.eval_bool(
                        &b.lhs,
                        env,
                        b.pos,
                        "in the left operand of the AND (&&) operator",
                    )? && self.eval_bool(
                        &b.rhs,
                        env,
                        b.pos,
                        "in the right operand of the AND (&&) operator",
                    )?,
                )),
                Node::Or(b) => Ok(Value::bool(
                    self.eval_bool(
                        &b.lhs,
                        env,
                        b.pos,
                        "in the left operand of the OR (||) operator",
                    )? || self.eval_bool(
                        &b.rhs,
                        env,
                        b.pos,
                        "in the right operand of the OR (||) operator",
                    )?,
                )),
                Node::Implies(b) => Ok(Value::bool(
                    !self.eval_bool(
                        &b.lhs,
                        env,
                        b.pos,
                        "in the left operand of the IMPL (->) operator",
                    )? || self.eval_bool(
                        &b.rhs,
                        env,
                        b.pos,
                        "in the right operand of the IMPL (->) operator",
                    )?,
                )),
                Node::Eq(b) => self.equality(b, env).map(Value::bool),
                Node::NotEq(b) => self.equality(b, env).map(|eq| Value::bool(!eq)),
                Node::Update(u) => self.update_node(u, env),
                Node::Concat(b) => self.concat(b, env),
                Node::Join(j) => self.join(j, env),
                Node::Arith(a) => self.arith(a, env),
                Node::Assert(a) => {
                    if !self.eval_bool(
                        &a.cond,
                        env,
                        a.pos,
                        "in the condition of the assert statement",
                    )? {
                        return Err(self.assertion_failed(a, env));
                    }
                    node = &a.body;
                    continue;
                }
                Node::Failed(e) => Err((*e).clone()),
                Node::Watched(w) => self.watched(w, env),
                Node::Scoped(s) => {
                    // SAFETY: as for `Outer`.
                    let set = unsafe { env.up(u32::from(s.depth)).get(s.slot) };
                    let set = self.force(set, s.pos)?;
                    match set.as_set().and_then(|set| set.get(s.name)) {
                        Some(v) => self.force(v, s.pos),
                        None => Err(Error::new(
                            Kind::UndefinedVariable,
                            format!("undefined variable '{}'", shown(s.name)),
                        )
                        .at(s.pos)),
                    }
                }
            };
        }
    }

    #[inline(never)]
    pub(super) fn eval_slot(&mut self, v: Value, env: Env, slot: u32, pos: PosId) -> Result<Value> {
        if v.is_unset() {
            // Only a binding that needs itself before it is stored gets here.
            return Err(
                Error::new(Kind::InfiniteRecursion, "infinite recursion encountered").at(pos)
            );
        }
        let result = self.force(v, pos)?;
        // SAFETY: the slot was just read; storing what the thunk became changes nothing but speed.
        unsafe { env.set(slot, result) };
        Ok(result)
    }

    /// A Boolean from a node.
    #[inline(always)]
    pub(super) fn eval_bool(
        &mut self,
        node: &'static Node,
        env: Env,
        pos: PosId,
        context: &'static str,
    ) -> Result<bool> {
        match self.eval(node, env) {
            Ok(v) => match v.as_bool() {
                Some(b) => Ok(b),
                None => Err(self.expected("a Boolean", v).at(pos).trace(pos, context)),
            },
            Err(e) => Err(e.trace(pos, context)),
        }
    }

    /// "expected … but found …"
    #[cold]
    pub(crate) fn expected(&mut self, what: &str, found: Value) -> Error {
        let shown = print::for_error(self, found);
        Error::type_error(format!("expected {what} but found {}: {shown}", found.describe()))
    }

    /// The name that a path's element stands for.
    #[inline(always)]
    pub(super) fn name(&mut self, name: &'static Name, env: Env) -> Result<Symbol> {
        match &name.dynamic {
            None => Ok(name.name),
            Some(dynamic) => {
                let v = self.eval(&dynamic.node, env)?;
                let s = self.force_string_no_context(
                    v,
                    dynamic.pos,
                    "while evaluating an attribute name",
                )?;
                Ok(s.symbol())
            }
        }
    }

    pub(super) fn select(&mut self, select: &'static Select, env: Env) -> Result<Value> {
        let mut v = self.eval(&select.subject, env)?;
        // The attribute that was selected last, for errors.
        let mut last: Option<(Set, Symbol)> = None;
        for name in select.path {
            let symbol = match self.name(name, env) {
                Ok(symbol) => symbol,
                Err(e) => return Err(self.trace_select(e, select, env, last)),
            };
            let Some(set) = v.as_set() else {
                if let Some(default) = select.default {
                    return self
                        .eval(default, env)
                        .map_err(|e| self.trace_select(e, select, env, last));
                }
                let error = self.no_set(select.pos, v);
                return Err(self.trace_select(error, select, env, last));
            };
            let Some((found, slot)) = lookup_name(set, symbol, name) else {
                if let Some(default) = select.default {
                    return self
                        .eval(default, env)
                        .map_err(|e| self.trace_select(e, select, env, last));
                }
                let error = self.missing(select.pos, set, symbol);
                return Err(self.trace_select(error, select, env, last));
            };
            last = Some((set, symbol));
            if found.is_thunk() {
                v = match self.force(found, PosId::NONE) {
                    Ok(v) => v,
                    Err(e) => {
                        let at = set.position(symbol).or(select.pos);
                        let inner = match e.kind() {
                            Kind::InfiniteRecursion | Kind::StackOverflow => e.or_at(at),
                            _ => e,
                        };
                        return Err(self.trace_select(inner, select, env, last));
                    }
                };
                if let Some(slot) = slot {
                    set.resolve(slot, v);
                }
            } else {
                v = found;
            }
        }
        Ok(v)
    }

    /// `e.a`: as [`Vm::select`] for one name without default.
    #[inline]
    fn attr(&mut self, attr: &'static Attr, env: Env) -> Result<Value> {
        let subject = self.eval(&attr.subject, env)?;
        let Some(set) = subject.as_set() else { return Err(self.no_set(attr.pos, subject)) };
        let Some((found, slot)) = lookup(set, attr.name, &attr.cache) else {
            return Err(self.missing(attr.pos, set, attr.name));
        };
        if !found.is_thunk() {
            return Ok(found);
        }
        match self.force(found, PosId::NONE) {
            Ok(v) => {
                if let Some(slot) = slot {
                    set.resolve(slot, v);
                }
                Ok(v)
            }
            Err(e) => Err(attribute_failed(e, attr, set)),
        }
    }

    #[cold]
    #[inline(never)]
    fn no_set(&mut self, pos: PosId, found: Value) -> Error {
        self.expected("a set", found).trace(pos, "while selecting an attribute")
    }

    #[cold]
    #[inline(never)]
    fn missing(&mut self, pos: PosId, set: Set, name: Symbol) -> Error {
        let near = {
            let names: Vec<Symbol> = set.iter(&mut self.heap).map(|(n, _)| n).collect();
            best_matches(names.iter().map(|n| n.as_bytes()), name.as_bytes())
        };
        Error::new(Kind::Missing, format!("attribute '{}' missing", shown(name)))
            .at(pos)
            .suggest(near)
    }

    /// Adds "while evaluating the attribute …", where the attribute was written.
    #[cold]
    pub(super) fn trace_select(
        &mut self,
        error: Error,
        select: &'static Select,
        env: Env,
        last: Option<(Set, Symbol)>,
    ) -> Error {
        let pos = last.map_or(PosId::NONE, |(set, symbol)| set.position(symbol));
        if !pos.is_some() || crate::builtins::is_internal(pos) {
            return error;
        }
        let mut path = String::new();
        for (i, name) in select.path.iter().enumerate() {
            if i > 0 {
                path.push('.');
            }
            match self.name(name, env) {
                Ok(symbol) => path.push_str(&shown(symbol)),
                Err(_) => {
                    let text = name.dynamic.map_or("", |dynamic| dynamic.text);
                    path.push_str(&format!("\"${{{text}}}\""));
                }
            }
        }
        error.trace(pos, format!("while evaluating the attribute '{path}'"))
    }

    pub(super) fn has_attr(&mut self, h: &'static HasAttr, env: Env) -> Result<Value> {
        let mut v = self.eval(&h.subject, env)?;
        let last = h.path.len() - 1;
        for (i, name) in h.path.iter().enumerate() {
            v = self.force(v, h.pos)?;
            let symbol = self.name(name, env)?;
            let Some((found, _)) = v.as_set().and_then(|s| lookup_name(s, symbol, name)) else {
                return Ok(Value::FALSE);
            };
            if i == last {
                return Ok(Value::TRUE);
            }
            v = found;
        }
        Ok(Value::TRUE)
    }

    pub(super) fn with_var(&mut self, var: &'static WithVar, env: Env) -> Result<Value> {
        for (i, (depth, slot)) in var.scopes.iter().enumerate() {
            // SAFETY: the compiler counted the levels and gave the environment this slot.
            let scope = unsafe { env.up(u32::from(*depth)) };
            // SAFETY: as above.
            let v = unsafe { scope.get(*slot) };
            let set = match v.as_set() {
                Some(set) => set,
                None => {
                    let forced = self.force(v, var.pos)?;
                    let Some(set) = forced.as_set() else {
                        return Err(self.expected("a set", forced).trace(
                            var.places.get(i).copied().unwrap_or(var.pos),
                            "while evaluating the first subexpression of a with expression",
                        ));
                    };
                    // SAFETY: as above.
                    unsafe { scope.set(*slot, forced) };
                    set
                }
            };
            if let Some((found, slot)) = lookup(set, var.name, &var.cache) {
                if !found.is_thunk() {
                    return Ok(found);
                }
                let v = self.force(found, var.pos)?;
                if let Some(slot) = slot {
                    set.resolve(slot, v);
                }
                return Ok(v);
            }
        }
        Err(Error::new(
            Kind::UndefinedVariable,
            format!("undefined variable '{}'", shown(var.name)),
        )
        .at(var.pos))
    }

    pub(super) fn list(&mut self, list: &'static List, env: Env) -> Value {
        let out = value::List::room(&mut self.heap, list.elements.len());
        for (i, element) in list.elements.iter().enumerate() {
            let v = self.lazy(element, env);
            out.init(i, v);
        }
        out.value()
    }
}

/// The error that an attribute's value raised, with the attribute.
#[cold]
fn attribute_failed(e: Error, attr: &Attr, set: Set) -> Error {
    let pos = set.position(attr.name);
    let e = match e.kind() {
        Kind::InfiniteRecursion | Kind::StackOverflow => e.or_at(pos.or(attr.pos)),
        _ => e,
    };
    if !pos.is_some() || crate::builtins::is_internal(pos) {
        return e;
    }
    e.trace(pos, format!("while evaluating the attribute '{}'", shown(attr.name)))
}

/// What a thunk became, or the thunk.
#[inline(always)]
pub(crate) fn resolved(v: Value) -> Value {
    match v.as_thunk() {
        None => v,
        Some(thunk) => thunk.done().unwrap_or(v),
    }
}
