//! Running nodes.

use super::Vm;
use crate::compile::{
    Arith, ArithOp, Attrs, Binary, Cache, HasAttr, Join, List, Name, Node, Select, UpdateNode,
    WithVar,
};
use crate::context::ContextBuilder;
use crate::error::{Error, Kind, Result, best_matches};
use crate::position::PosId;
use crate::print;
use crate::shape::{self, Update};
use crate::value::{self, Env, Function, Provenance, Set, SetBuilder, Str, Thunk, Value, View};
use firn_syntax::ast::quoted as shown;
use firn_syntax::{Symbol, sym};
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
    pub(crate) fn eval(&mut self, node: &'static Node, env: Env) -> Result<Value> {
        match node {
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
            Node::Select(s) => self.select(s, env),
            Node::Call(c) => self.call_node(c, env),
            Node::If(n) => {
                let branch = if self.eval_bool(
                    &n.cond,
                    env,
                    n.pos,
                    "while evaluating a branch condition",
                )? {
                    &n.then_node
                } else {
                    &n.else_node
                };
                self.eval(branch, env)
            }
            Node::Let(n) => {
                for (slot, value) in n.bindings {
                    let value = self.lazy(value, env);
                    // SAFETY: the compiler gave the environment this slot.
                    unsafe { env.set(*slot, value) };
                }
                self.eval(&n.body, env)
            }
            Node::Enter(slots, body) => {
                let env = Env::new(&mut self.heap, env, *slots);
                self.eval(body, env)
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
                self.eval(&n.body, env)
            }
            Node::Not(e, pos) => {
                let b = self.eval_bool(e, env, *pos, "in the argument of the not operator")?;
                Ok(Value::bool(!b))
            }
            Node::And(b) => Ok(Value::bool(
                self.eval_bool(&b.lhs, env, b.pos, "in the left operand of the AND (&&) operator")?
                    && self.eval_bool(
                        &b.rhs,
                        env,
                        b.pos,
                        "in the right operand of the AND (&&) operator",
                    )?,
            )),
            Node::Or(b) => Ok(Value::bool(
                self.eval_bool(&b.lhs, env, b.pos, "in the left operand of the OR (||) operator")?
                    || self.eval_bool(
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
                self.eval(&a.body, env)
            }
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
        }
    }

    #[inline(never)]
    fn eval_slot(&mut self, v: Value, env: Env, slot: u32, pos: PosId) -> Result<Value> {
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

    /// The value of a node in a lazy position: a thunk where evaluating could be noticed.
    #[inline]
    pub(crate) fn lazy(&mut self, node: &'static Node, env: Env) -> Value {
        match node {
            Node::Const(v) => *v,
            Node::Local(slot, _) => {
                // SAFETY: the compiler gave the environment this slot.
                let v = unsafe { env.get(*slot) };
                if v.is_unset() {
                    return Thunk::new(&mut self.heap, node, env).value();
                }
                resolved(v)
            }
            Node::Outer(depth, slot, _) => {
                // SAFETY: the compiler counted the levels and gave the environment this slot.
                let v = unsafe { env.up(u32::from(*depth)).get(*slot) };
                if v.is_unset() {
                    return Thunk::new(&mut self.heap, node, env).value();
                }
                resolved(v)
            }
            Node::Lambda(lambda) if !self.exact => {
                Function::new(&mut self.heap, lambda, env).value()
            }
            Node::List(list) if list.elements.is_empty() => value::List::empty().value(),
            Node::Attrs(attrs) if attrs.cheap && !self.exact => {
                self.plain_attrs(attrs, env).value()
            }
            Node::List(list) if list.cheap && !self.exact => self.list(list, env),
            Node::Select(select) if !self.exact => match self.peek_select(select, env) {
                Some(v) => v,
                None => Thunk::new(&mut self.heap, node, env).value(),
            },
            Node::With(var) if !self.exact => match Self::peek_with(var, env) {
                Some(v) => v,
                None => Thunk::new(&mut self.heap, node, env).value(),
            },
            Node::If(n) if !self.exact => match self.peek_bool(&n.cond, env) {
                Some(true) => self.lazy(&n.then_node, env),
                Some(false) => self.lazy(&n.else_node, env),
                None => Thunk::new(&mut self.heap, node, env).value(),
            },
            Node::HasAttr(_)
            | Node::Not(..)
            | Node::Eq(_)
            | Node::NotEq(_)
            | Node::And(_)
            | Node::Or(_)
                if !self.exact =>
            {
                match self.peek_bool(node, env) {
                    Some(b) => Value::bool(b),
                    None => Thunk::new(&mut self.heap, node, env).value(),
                }
            }
            _ => Thunk::new(&mut self.heap, node, env).value(),
        }
    }

    /// What a node evaluates to, if that takes only looking.
    fn peek(&self, node: &'static Node, env: Env) -> Option<Value> {
        let v = match node {
            Node::Const(v) => *v,
            // SAFETY: the compiler gave the environment this slot.
            Node::Local(slot, _) => unsafe { env.get(*slot) },
            // SAFETY: the compiler counted the levels and gave the environment this slot.
            Node::Outer(depth, slot, _) => unsafe { env.up(u32::from(*depth)).get(*slot) },
            Node::Select(select) => self.peek_select(select, env)?,
            Node::With(var) => Self::peek_with(var, env)?,
            _ => return None,
        };
        if v.is_unset() {
            return None;
        }
        match v.as_thunk() {
            None => Some(v),
            Some(thunk) => thunk.done(),
        }
    }

    /// A truth value, if having it takes only looking at evaluated values.
    fn peek_bool(&self, node: &'static Node, env: Env) -> Option<bool> {
        match node {
            Node::Not(e, _) => Some(!self.peek_bool(e, env)?),
            Node::And(b) => Some(self.peek_bool(&b.lhs, env)? && self.peek_bool(&b.rhs, env)?),
            Node::Or(b) => Some(self.peek_bool(&b.lhs, env)? || self.peek_bool(&b.rhs, env)?),
            Node::Eq(b) => self.peek_equal(b, env),
            Node::NotEq(b) => Some(!self.peek_equal(b, env)?),
            Node::HasAttr(h) => {
                let [name] = h.path else { return None };
                if name.dynamic.is_some() {
                    return None;
                }
                match self.peek(&h.subject, env)?.as_set() {
                    Some(set) => Some(lookup(set, name.name, &name.cache).is_some()),
                    None => Some(false),
                }
            }
            _ => self.peek(node, env)?.as_bool(),
        }
    }

    /// Whether two scalars are equal.
    fn peek_equal(&self, b: &'static Binary, env: Env) -> Option<bool> {
        let (x, y) = (self.peek(&b.lhs, env)?, self.peek(&b.rhs, env)?);
        match (x.view(), y.view()) {
            (View::Null, _) | (_, View::Null) => Some(x == y),
            (View::Bool(x), View::Bool(y)) => Some(x == y),
            (View::Int(x), View::Int(y)) => Some(x == y),
            (View::Str(x), View::Str(y)) => Some(x.bytes() == y.bytes()),
            _ => None,
        }
    }

    /// The attribute that a selection finds, if that takes only looking. It may be a thunk.
    fn peek_select(&self, select: &'static Select, env: Env) -> Option<Value> {
        let mut v = self.peek(&select.subject, env)?;
        let last = select.path.len() - 1;
        for (i, name) in select.path.iter().enumerate() {
            if name.dynamic.is_some() {
                return None;
            }
            let (found, _) = lookup(v.as_set()?, name.name, &name.cache)?;
            let found = resolved(found);
            if i == last {
                return Some(found);
            }
            if found.is_thunk() {
                return None;
            }
            v = found;
        }
        None
    }

    fn peek_with(var: &'static WithVar, env: Env) -> Option<Value> {
        for (depth, slot) in var.scopes {
            // SAFETY: the compiler counted the levels and gave the environment this slot.
            let v = unsafe { env.up(u32::from(*depth)).get(*slot) };
            if v.is_unset() {
                return None;
            }
            let set = resolved(v).as_set()?;
            if let Some((found, _)) = lookup(set, var.name, &var.cache) {
                return Some(resolved(found));
            }
        }
        None
    }

    /// A Boolean from a node.
    #[inline(always)]
    fn eval_bool(
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
    fn name(&mut self, name: &'static Name, env: Env, pos: PosId) -> Result<Symbol> {
        match &name.dynamic {
            None => Ok(name.name),
            Some(node) => {
                let v = self.eval(node, env)?;
                let s =
                    self.force_string_no_context(v, pos, "while evaluating an attribute name")?;
                Ok(s.symbol())
            }
        }
    }

    fn select(&mut self, select: &'static Select, env: Env) -> Result<Value> {
        let mut v = self.eval(&select.subject, env)?;
        let mut pos = PosId::NONE;
        for name in select.path {
            let symbol = self.name(name, env, select.pos)?;
            let Some(set) = v.as_set() else {
                return self.no_set(select, env, v, pos);
            };
            let Some((found, slot)) = lookup_name(set, symbol, name) else {
                return match &select.default {
                    Some(default) => self.eval(default, env),
                    None => Err(self.missing(select, set, symbol, env, pos)),
                };
            };
            if found.is_thunk() {
                v = match self.force(found, select.pos) {
                    Ok(v) => v,
                    Err(e) => {
                        pos = set.position(symbol);
                        let inner =
                            if e.kind() == Kind::InfiniteRecursion { e.or_at(pos) } else { e };
                        return Err(self.trace_select(inner, select, env, pos));
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

    #[cold]
    #[inline(never)]
    fn no_set(
        &mut self,
        select: &'static Select,
        env: Env,
        found: Value,
        pos: PosId,
    ) -> Result<Value> {
        if let Some(default) = &select.default {
            return self.eval(default, env);
        }
        let error = self
            .expected("a set", found)
            .at(select.pos)
            .trace(select.pos, "while selecting an attribute");
        Err(self.trace_select(error, select, env, pos))
    }

    #[cold]
    #[inline(never)]
    fn missing(
        &mut self,
        select: &'static Select,
        set: Set,
        name: Symbol,
        env: Env,
        pos: PosId,
    ) -> Error {
        let near = {
            let names: Vec<Symbol> = set.iter(&mut self.heap).map(|(n, _)| n).collect();
            best_matches(names.iter().map(|n| n.as_bytes()), name.as_bytes())
        };
        let error = Error::new(Kind::Missing, format!("attribute '{}' missing", shown(name)))
            .at(select.pos)
            .suggest(near);
        self.trace_select(error, select, env, pos)
    }

    /// Adds "while evaluating the attribute …", where the attribute was written.
    #[cold]
    fn trace_select(
        &mut self,
        error: Error,
        select: &'static Select,
        env: Env,
        pos: PosId,
    ) -> Error {
        if !pos.is_some() || crate::builtins::is_internal(pos) {
            return error;
        }
        let mut path = String::new();
        for (i, name) in select.path.iter().enumerate() {
            if i > 0 {
                path.push('.');
            }
            match self.name(name, env, select.pos) {
                Ok(symbol) => path.push_str(&shown(symbol)),
                Err(_) => path.push_str("\"${…}\""),
            }
        }
        error.trace(pos, format!("while evaluating the attribute '{path}'"))
    }

    fn has_attr(&mut self, h: &'static HasAttr, env: Env) -> Result<Value> {
        let mut v = self.eval(&h.subject, env)?;
        let last = h.path.len() - 1;
        for (i, name) in h.path.iter().enumerate() {
            v = self.force(v, h.pos)?;
            let symbol = self.name(name, env, h.pos)?;
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

    fn with_var(&mut self, var: &'static WithVar, env: Env) -> Result<Value> {
        for (depth, slot) in var.scopes {
            // SAFETY: the compiler counted the levels and gave the environment this slot.
            let scope = unsafe { env.up(u32::from(*depth)) };
            // SAFETY: as above.
            let v = unsafe { scope.get(*slot) };
            let set = match v.as_set() {
                Some(set) => set,
                None => {
                    let forced = self.force(v, var.pos).map_err(|e| {
                        e.trace(
                            var.pos,
                            "while evaluating the first subexpression of a with expression",
                        )
                    })?;
                    let Some(set) = forced.as_set() else {
                        return Err(self.expected("a set", forced).at(var.pos).trace(
                            var.pos,
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

    fn list(&mut self, list: &'static List, env: Env) -> Value {
        let out = value::List::room(&mut self.heap, list.elements.len());
        for (i, element) in list.elements.iter().enumerate() {
            let v = self.lazy(element, env);
            out.init(i, v);
        }
        out.value()
    }

    /// A set without `rec` bindings and computed names.
    fn plain_attrs(&mut self, attrs: &'static Attrs, env: Env) -> Set {
        let set = Set::room(&mut self.heap, attrs.shape, attrs.provenance);
        for (i, node) in attrs.values.iter().enumerate() {
            let v = self.lazy(node, env);
            set.init(i, v);
        }
        set
    }

    fn attrs(&mut self, attrs: &'static Attrs, env: Env) -> Result<Value> {
        if let Some(slots) = attrs.slots {
            if let Some(overrides) = attrs.overrides {
                return self.rec_with_overrides(attrs, slots, overrides, env);
            }
            // Functions and constants first, so that others find them.
            for (node, slot) in attrs.values.iter().zip(slots) {
                if matches!(node, Node::Lambda(_) | Node::Const(_)) {
                    let v = self.lazy(node, env);
                    // SAFETY: the compiler gave the environment this slot.
                    unsafe { env.set(*slot, v) };
                }
            }
        }
        for (slot, node) in attrs.sources {
            let v = self.lazy(node, env);
            // SAFETY: the compiler gave the environment this slot.
            unsafe { env.set(*slot, v) };
        }
        let set = match attrs.slots {
            None => self.plain_attrs(attrs, env),
            Some(slots) => {
                for (node, slot) in attrs.values.iter().zip(slots) {
                    if !matches!(node, Node::Lambda(_) | Node::Const(_)) {
                        let v = self.lazy(node, env);
                        // SAFETY: the compiler gave the environment this slot.
                        unsafe { env.set(*slot, v) };
                    }
                }
                let set = Set::room(&mut self.heap, attrs.shape, attrs.provenance);
                for (i, slot) in slots.iter().enumerate() {
                    // SAFETY: as above.
                    set.init(i, unsafe { env.get(*slot) });
                }
                set
            }
        };
        if attrs.dynamic.is_empty() {
            return Ok(set.value());
        }
        self.dynamic_attrs(attrs, set, env)
    }

    #[inline(never)]
    fn dynamic_attrs(&mut self, attrs: &'static Attrs, set: Set, env: Env) -> Result<Value> {
        let mut out = SetBuilder::with_capacity(set.len() + attrs.dynamic.len());
        let mut seen: Vec<(Symbol, PosId)> = Vec::new();
        for d in attrs.dynamic {
            let name = self.eval(&d.name, env)?;
            if name == Value::NULL {
                continue;
            }
            let name = self
                .force_string_no_context(
                    name,
                    d.pos,
                    "while evaluating the name of a dynamic attribute",
                )?
                .symbol();
            let before = match seen.iter().find(|(n, _)| *n == name) {
                Some((_, pos)) => Some(*pos),
                None if set.has(name) => Some(set.position(name)),
                None => None,
            };
            if let Some(before) = before {
                let at = before.location().map_or_else(String::new, |l| l.to_string());
                return Err(Error::other(format!(
                    "dynamic attribute '{}' already defined at {at}",
                    shown(name)
                ))
                .at(d.pos));
            }
            seen.push((name, d.pos));
            let v = self.lazy(&d.value, env);
            out.push_at(name, v, d.pos);
        }
        for (name, v) in set.iter(&mut self.heap) {
            out.push_at(name, v, set.position(name));
        }
        Ok(out.finish(&mut self.heap).value())
    }

    /// `rec { __overrides = …; … }`
    #[cold]
    #[inline(never)]
    fn rec_with_overrides(
        &mut self,
        attrs: &'static Attrs,
        slots: &'static [u32],
        overrides: u32,
        env: Env,
    ) -> Result<Value> {
        for (slot, node) in attrs.sources {
            let v = self.lazy(node, env);
            // SAFETY: the compiler gave the environment this slot.
            unsafe { env.set(*slot, v) };
        }
        for ((node, slot), inherited) in attrs.values.iter().zip(slots).zip(attrs.inherited) {
            let v = if *inherited {
                self.lazy(node, env)
            } else {
                Thunk::new(&mut self.heap, node, env).value()
            };
            // SAFETY: as above.
            unsafe { env.set(*slot, v) };
        }
        // SAFETY: as above.
        let given = unsafe { env.get(slots[overrides as usize]) };
        let given =
            self.force_set(given, attrs.pos, "while evaluating the `__overrides` attribute")?;
        let set = Set::room(&mut self.heap, attrs.shape, Provenance::NONE);
        for (i, name) in attrs.shape.names().iter().enumerate() {
            if let Some(v) = given.get(*name) {
                // SAFETY: as above.
                unsafe { env.set(slots[i], v) };
            }
            // SAFETY: as above.
            set.init(i, unsafe { env.get(slots[i]) });
        }
        let set = Set::update(&mut self.heap, set, given);
        if attrs.dynamic.is_empty() {
            return Ok(set.value());
        }
        self.dynamic_attrs(attrs, set, env)
    }

    fn equality(&mut self, b: &'static Binary, env: Env) -> Result<bool> {
        let lhs = self.eval(&b.lhs, env)?;
        let rhs = self.eval(&b.rhs, env)?;
        // Words that are equal are equal values, but for functions, NaN, and what contains them.
        if lhs.as_small_int().is_some() && rhs.as_small_int().is_some() {
            return Ok(lhs == rhs);
        }
        self.equal_top(lhs, rhs, b.pos)
    }

    fn update_node(&mut self, u: &'static UpdateNode, env: Env) -> Result<Value> {
        const RIGHT: &str = "in the right operand of the update (//) operator";
        const LEFT: &str = "in the left operand of the update (//) operator";
        let rhs = match self.eval(&u.operands.rhs, env) {
            Ok(v) => v,
            Err(e) if matches!(u.operands.rhs, Node::Update(_)) => return Err(e),
            Err(e) => return Err(e.trace(u.rhs_pos, RIGHT)),
        };
        let Some(right) = rhs.as_set() else {
            return Err(self.expected("a set", rhs).at(u.rhs_pos).trace(u.rhs_pos, RIGHT));
        };
        let lhs = match self.eval(&u.operands.lhs, env) {
            Ok(v) => v,
            Err(e) if matches!(u.operands.lhs, Node::Update(_)) => return Err(e),
            Err(e) => return Err(e.trace(u.lhs_pos, LEFT)),
        };
        let Some(left) = lhs.as_set() else {
            return Err(self.expected("a set", lhs).at(u.lhs_pos).trace(u.lhs_pos, LEFT));
        };
        self.stats.updates += 1;
        // SAFETY: null, or the address of a memoised update, which lives forever.
        let cached: Option<&'static Update> = unsafe { u.cache.load(Ordering::Relaxed).as_ref() };
        if let Some(how) = cached
            && std::ptr::from_ref(how.left) as u64 == left.shape_word()
            && std::ptr::from_ref(how.right) as u64 == right.shape_word()
        {
            self.stats.update_words += how.sources.len() as u64;
            return Ok(Set::update_by(&mut self.heap, how, left, right).value());
        }
        if right.is_empty() {
            return Ok(lhs);
        }
        if left.is_empty() {
            return Ok(rhs);
        }
        if let (Some(l), Some(r)) = (left.shape(), right.shape())
            && !left.takes_layer(right)
        {
            let how = shape::update(l, r);
            u.cache.store(std::ptr::from_ref(how).cast_mut(), Ordering::Relaxed);
            self.stats.update_words += how.sources.len() as u64;
            return Ok(Set::update_by(&mut self.heap, how, left, right).value());
        }
        let set = Set::update(&mut self.heap, left, right);
        Ok(set.value())
    }

    fn concat(&mut self, b: &'static Binary, env: Env) -> Result<Value> {
        const CONTEXT: &str = "while evaluating one of the elements to concatenate";
        let lhs = self.eval(&b.lhs, env)?;
        let rhs = self.eval(&b.rhs, env)?;
        let left = self.force_list(lhs, b.pos, CONTEXT)?;
        let right = self.force_list(rhs, b.pos, CONTEXT)?;
        if left.is_empty() {
            return Ok(rhs);
        }
        if right.is_empty() {
            return Ok(lhs);
        }
        let list = value::List::room(&mut self.heap, left.len() + right.len());
        for (i, v) in left.iter().chain(right.iter()).enumerate() {
            list.init(i, v);
        }
        Ok(list.value())
    }

    fn arith(&mut self, a: &'static Arith, env: Env) -> Result<Value> {
        let (pos, op) = (a.operands.pos, a.op);
        let result = match self.eval(&a.operands.lhs, env) {
            Ok(lhs) => match self.eval(&a.operands.rhs, env) {
                Ok(rhs) => {
                    if let (Some(x), Some(y)) = (lhs.as_small_int(), rhs.as_small_int()) {
                        match op {
                            ArithOp::Less => return Ok(Value::bool(x < y)),
                            ArithOp::Sub => return Ok(Value::int(&mut self.heap, x - y)),
                            _ => {}
                        }
                    }
                    crate::builtins::arith(self, op, lhs, rhs, pos)
                }
                Err(e) => Err(e),
            },
            Err(e) => Err(e),
        };
        result.map_err(|e| {
            let builtin = match op {
                ArithOp::Sub => "sub",
                ArithOp::Mul => "mul",
                ArithOp::Div => "div",
                ArithOp::Less => "lessThan",
            };
            e.trace(pos, format!("while calling the '{builtin}' builtin"))
        })
    }

    fn join(&mut self, j: &'static Join, env: Env) -> Result<Value> {
        let mut parts = j.parts.iter();
        let Some((first, first_pos)) = parts.next() else {
            return Ok(self.string(b""));
        };
        let v = self.eval(first, env)?;
        if !j.force_string {
            match v.view() {
                View::Int(n) => return self.sum_int(n, parts.as_slice(), env),
                View::Float(f) => return self.sum_float(f, parts.as_slice(), env),
                View::Path(p) => {
                    let mut path = p.bytes().to_vec();
                    let mut context = ContextBuilder::new();
                    for (node, pos) in parts {
                        let v = self.eval(node, env)?;
                        let text = self.coerce(
                            *pos,
                            v,
                            &mut context,
                            "while evaluating a path segment",
                            false,
                            false,
                            true,
                        )?;
                        path.extend_from_slice(&text);
                    }
                    if !context.is_empty() {
                        return Err(Error::other(
                            "a string that refers to a store path cannot be appended to a path",
                        )
                        .at(j.pos));
                    }
                    let path = crate::paths::canonical(&path);
                    return Ok(Value::path(&mut self.heap, &path));
                }
                _ => {}
            }
        }
        // The usual case: all parts are strings already.
        if let (Some(a), [(second, second_pos)]) = (v.as_str(), parts.as_slice()) {
            let w = self.eval(second, env)?;
            if let Some(b) = w.as_str() {
                return Ok(self.join_two(a, b));
            }
            let mut context = ContextBuilder::new();
            context.add(a.context());
            let text = self.segment(w, *second_pos, &mut context)?;
            return Ok(self.join_bytes(&[a.bytes(), &text], context));
        }
        let mut context = ContextBuilder::new();
        let mut buffer: Vec<u8> = Vec::with_capacity(128);
        let text = self.segment(v, *first_pos, &mut context)?;
        buffer.extend_from_slice(&text);
        for (node, pos) in parts {
            let v = self.eval(node, env)?;
            let text = self.segment(v, *pos, &mut context)?;
            buffer.extend_from_slice(&text);
        }
        let context = context.finish();
        Ok(self.string_with(&buffer, context))
    }

    #[inline]
    fn segment(
        &mut self,
        v: Value,
        pos: PosId,
        context: &mut ContextBuilder,
    ) -> Result<super::Text> {
        if let Some(s) = v.as_str() {
            context.add(s.context());
            return Ok(super::Text::Borrowed(s.bytes()));
        }
        self.coerce(pos, v, context, "while evaluating a path segment", false, true, true)
    }

    fn join_two(&mut self, a: Str, b: Str) -> Value {
        let mut context = ContextBuilder::new();
        context.add(a.context());
        context.add(b.context());
        let (s, room) = Str::room(&mut self.heap, a.len() + b.len(), context.finish());
        let (left, right) = room.split_at_mut(a.len());
        left.copy_from_slice(a.bytes());
        right.copy_from_slice(b.bytes());
        s.value()
    }

    fn join_bytes(&mut self, parts: &[&[u8]], context: ContextBuilder) -> Value {
        let bytes = parts.concat();
        self.string_with(&bytes, context.finish())
    }

    fn sum_int(&mut self, mut n: i64, parts: &'static [(Node, PosId)], env: Env) -> Result<Value> {
        for (i, (node, pos)) in parts.iter().enumerate() {
            let v = self.eval(node, env)?;
            match v.view() {
                View::Int(m) => {
                    n = n.checked_add(m).ok_or_else(|| {
                        Error::other(format!("integer overflow in adding {n} + {m}")).at(*pos)
                    })?;
                }
                View::Float(f) => return self.sum_float(n as f64 + f, &parts[i + 1..], env),
                _ => {
                    return Err(
                        Error::other(format!("cannot add {} to an integer", v.describe())).at(*pos)
                    );
                }
            }
        }
        Ok(self.int(n))
    }

    fn sum_float(
        &mut self,
        mut f: f64,
        parts: &'static [(Node, PosId)],
        env: Env,
    ) -> Result<Value> {
        for (node, pos) in parts {
            let v = self.eval(node, env)?;
            match v.view() {
                View::Int(m) => f += m as f64,
                View::Float(g) => f += g,
                _ => {
                    return Err(
                        Error::other(format!("cannot add {} to a float", v.describe())).at(*pos)
                    );
                }
            }
        }
        Ok(Value::float(&mut self.heap, f))
    }

    #[cold]
    #[inline(never)]
    fn assertion_failed(&mut self, a: &'static crate::compile::Assert, env: Env) -> Error {
        let text = a.text;
        if let Node::Eq(b) = &a.cond {
            let difference = (|| {
                let lhs = self.eval(&b.lhs, env)?;
                let rhs = self.eval(&b.rhs, env)?;
                self.assert_equal(lhs, rhs, b.pos, true)
            })();
            if let Err(e) = difference {
                return if e.is_catchable() {
                    e.trace(
                        a.pos,
                        format!("while evaluating the condition of the assertion '{text}'"),
                    )
                } else {
                    e
                };
            }
        }
        Error::new(Kind::Assertion, format!("assertion '{text}' failed")).at(a.pos)
    }

    /// The set with one more attribute, as builtins need it now and then.
    pub(crate) fn set_of(&mut self, attrs: &[(Symbol, Value)]) -> Value {
        let mut set = SetBuilder::with_capacity(attrs.len());
        for (name, value) in attrs {
            set.push(*name, *value);
        }
        set.finish(&mut self.heap).value()
    }

    /// Whether this set is a derivation.
    pub(crate) fn is_derivation(&mut self, set: Set) -> Result<bool> {
        let Some(t) = set.get(sym::TYPE) else { return Ok(false) };
        let t = self.force(t, PosId::NONE)?;
        Ok(t.as_str().is_some_and(|s| s.bytes() == b"derivation"))
    }
}

/// What a thunk became, or the thunk.
#[inline(always)]
pub(crate) fn resolved(v: Value) -> Value {
    match v.as_thunk() {
        None => v,
        Some(thunk) => thunk.done().unwrap_or(v),
    }
}
