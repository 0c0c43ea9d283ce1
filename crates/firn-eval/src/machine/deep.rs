//! Forcing whole structures.

use super::{Ahead, Vm};
use crate::error::Result;
use crate::position::PosId;
use crate::value::{State, Value, View};
use rustc_hash::FxHashSet;

impl Vm {
    /// Forces a value and everything in it.
    ///
    /// # Errors
    /// The first error in the order of the structure.
    pub fn force_deep(&mut self, v: Value) -> Result<Value> {
        let mut seen = FxHashSet::default();
        self.force_deep_in(v, &mut seen)
    }

    fn force_deep_in(&mut self, v: Value, seen: &mut FxHashSet<u64>) -> Result<Value> {
        self.enter(PosId::NONE).map_err(|e| e.or_at(position_of(v)))?;
        let result = self.force_deep_entered(v, seen);
        self.leave();
        result
    }

    fn force_deep_entered(&mut self, v: Value, seen: &mut FxHashSet<u64>) -> Result<Value> {
        let v = self.force(v, position_of(v))?;
        match v.view() {
            View::Set(set) => {
                if set.is_empty() || !seen.insert(v.0) {
                    return Ok(v);
                }
                let values = |vm: &mut Vm| set.iter(&mut vm.heap).map(|(_, v)| v).collect();
                self.ahead(Ahead::Deep, set.len(), values, |vm| {
                    for (name, element) in set.iter(&mut vm.heap) {
                        vm.force_deep_in(element, seen).map_err(|e| {
                            e.trace(
                                set.position(name),
                                format!("while evaluating the attribute '{name}'"),
                            )
                        })?;
                    }
                    Ok(())
                })?;
            }
            View::List(list) => {
                if list.is_empty() || !seen.insert(v.0) {
                    return Ok(v);
                }
                let values = |_: &mut Vm| list.iter().collect();
                self.ahead(Ahead::Deep, list.len(), values, |vm| {
                    for i in 0..list.len() {
                        vm.force_deep_in(list.get(i), seen).map_err(|e| {
                            e.trace(
                                PosId::NONE,
                                format!("while evaluating list element at index {i}"),
                            )
                        })?;
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(v)
    }
}

/// Where a function, a set, or the function that a thunk is to call, is written.
pub(crate) fn position_of(v: Value) -> PosId {
    match v.view() {
        View::Function(f) => f.lambda().params[0].pos,
        View::Set(set) => set.written(),
        View::Partial(p) => p.function().lambda().params[p.args().len()].pos,
        View::Thunk(t) => match t.state() {
            State::Apply(n) => position_of(t.application(n).0),
            State::Mapped(i) => position_of(t.mapped(i).0),
            _ => PosId::NONE,
        },
        _ => PosId::NONE,
    }
}
