//! Set literals and `//`.

use super::Vm;
use crate::compile::{Attrs, MoreAttrs, Node, UpdateNode};
use crate::error::{Error, Result};
use crate::position::PosId;
use crate::shape::{self, Update};
use crate::value::{Env, Provenance, Set, SetBuilder, Thunk, Value};
use firn_syntax::ast::quoted as shown;
use firn_syntax::{Symbol, sym};
use std::sync::atomic::Ordering;

impl Vm {
    /// A set without `rec` bindings and computed names.
    pub(super) fn plain_attrs(&mut self, attrs: &'static Attrs, env: Env) -> Set {
        let set = Set::room(&mut self.heap, attrs.shape, attrs.provenance);
        for (i, node) in attrs.values.iter().enumerate() {
            let v = self.lazy(node, env);
            set.init(i, v);
        }
        set
    }

    pub(super) fn attrs(&mut self, attrs: &'static Attrs, env: Env) -> Result<Value> {
        let Some(more) = attrs.more else { return Ok(self.plain_attrs(attrs, env).value()) };
        if let Some(slots) = more.slots {
            if let Some(overrides) = more.overrides {
                return self.rec_with_overrides(attrs, more, overrides, env);
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
        for (slot, node) in more.sources {
            let v = self.lazy(node, env);
            // SAFETY: the compiler gave the environment this slot.
            unsafe { env.set(*slot, v) };
        }
        let set = match more.slots {
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
        if more.dynamic.is_empty() {
            return Ok(set.value());
        }
        self.dynamic_attrs(more, set, env)
    }

    #[inline(never)]
    pub(super) fn dynamic_attrs(
        &mut self,
        attrs: &'static MoreAttrs,
        set: Set,
        env: Env,
    ) -> Result<Value> {
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
    pub(super) fn rec_with_overrides(
        &mut self,
        attrs: &'static Attrs,
        more: &'static MoreAttrs,
        overrides: u32,
        env: Env,
    ) -> Result<Value> {
        let slots = more.slots.unwrap_or_default();
        for (slot, node) in more.sources {
            let v = self.lazy(node, env);
            // SAFETY: the compiler gave the environment this slot.
            unsafe { env.set(*slot, v) };
        }
        for ((node, slot), inherited) in attrs.values.iter().zip(slots).zip(more.inherited) {
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
            self.force_set(given, PosId::NONE, "while evaluating the `__overrides` attribute")?;
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
        if more.dynamic.is_empty() {
            return Ok(set.value());
        }
        self.dynamic_attrs(more, set, env)
    }

    pub(super) fn update_node(&mut self, u: &'static UpdateNode, env: Env) -> Result<Value> {
        const RIGHT: &str = "in the right operand of the update (//) operator";
        const LEFT: &str = "in the left operand of the update (//) operator";
        let rhs = match self.eval(&u.operands.rhs, env) {
            Ok(v) => v,
            Err(e) if matches!(u.operands.rhs, Node::Update(_)) => return Err(e),
            Err(e) => return Err(e.trace(u.rhs_pos, RIGHT)),
        };
        let Some(right) = rhs.as_set() else {
            return Err(self.expected("a set", rhs).trace(u.rhs_pos, RIGHT));
        };
        let lhs = match self.eval(&u.operands.lhs, env) {
            Ok(v) => v,
            Err(e) if matches!(u.operands.lhs, Node::Update(_)) => return Err(e),
            Err(e) => return Err(e.trace(u.lhs_pos, LEFT)),
        };
        let Some(left) = lhs.as_set() else {
            return Err(self.expected("a set", lhs).trace(u.lhs_pos, LEFT));
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

    /// The set with one more attribute, as builtins need it now and then.
    pub(crate) fn set_of(&mut self, attrs: &[(Symbol, Value)]) -> Value {
        let mut set = SetBuilder::with_capacity(attrs.len());
        for (name, value) in attrs {
            set.push(*name, *value);
        }
        set.finish(&mut self.heap).value()
    }

    /// Whether this set is a derivation.
    ///
    /// # Errors
    /// What evaluating its type raises.
    pub fn is_derivation(&mut self, set: Set) -> Result<bool> {
        let Some(t) = set.get(sym::TYPE) else { return Ok(false) };
        let t = self.force(t, PosId::NONE)?;
        Ok(t.as_str().is_some_and(|s| s.bytes() == b"derivation"))
    }
}
