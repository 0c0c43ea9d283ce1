//! Values of nodes in lazy positions: thunks, unless looking is enough.
//!
//! Nothing is evaluated here that C++ Nix would not evaluate with a visible effect: only what other code has
//! evaluated already is looked at.

use super::Vm;
use super::eval::{lookup, resolved};
use crate::compile::{Attr, Binary, Node, Select, WithVar};
use crate::value::{self, Env, Function, Thunk, Value, View};

impl Vm {
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
            Node::Attr(attr) if !self.exact => match self.peek_attr(attr, env) {
                Some(v) => v,
                None => Thunk::new(&mut self.heap, node, env).value(),
            },
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
    pub(super) fn peek(&self, node: &'static Node, env: Env) -> Option<Value> {
        let v = match node {
            Node::Const(v) => *v,
            // SAFETY: the compiler gave the environment this slot.
            Node::Local(slot, _) => unsafe { env.get(*slot) },
            // SAFETY: the compiler counted the levels and gave the environment this slot.
            Node::Outer(depth, slot, _) => unsafe { env.up(u32::from(*depth)).get(*slot) },
            Node::Attr(attr) => self.peek_attr(attr, env)?,
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
    pub(super) fn peek_bool(&self, node: &'static Node, env: Env) -> Option<bool> {
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
    pub(super) fn peek_equal(&self, b: &'static Binary, env: Env) -> Option<bool> {
        let (x, y) = (self.peek(&b.lhs, env)?, self.peek(&b.rhs, env)?);
        match (x.view(), y.view()) {
            (View::Null, _) | (_, View::Null) => Some(x == y),
            (View::Bool(x), View::Bool(y)) => Some(x == y),
            (View::Int(x), View::Int(y)) => Some(x == y),
            (View::Str(x), View::Str(y)) => Some(x.bytes() == y.bytes()),
            _ => None,
        }
    }

    /// The attribute that `e.a` finds, if that takes only looking. It may be a thunk.
    #[inline]
    fn peek_attr(&self, attr: &'static Attr, env: Env) -> Option<Value> {
        let set = self.peek(&attr.subject, env)?.as_set()?;
        let (found, _) = lookup(set, attr.name, &attr.cache)?;
        Some(resolved(found))
    }

    /// The attribute that a selection finds, if that takes only looking. It may be a thunk.
    pub(super) fn peek_select(&self, select: &'static Select, env: Env) -> Option<Value> {
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

    pub(super) fn peek_with(var: &'static WithVar, env: Env) -> Option<Value> {
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
}
