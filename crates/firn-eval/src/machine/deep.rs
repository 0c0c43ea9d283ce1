//! Forcing whole structures.

use super::{Ahead, Vm};
use crate::error::Result;
use crate::position::PosId;
use crate::value::{Value, View};
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
        let v = self.force(v, PosId::NONE)?;
        match v.view() {
            View::Set(set) => {
                if set.is_empty() || !seen.insert(v.0) {
                    return Ok(v);
                }
                let values = |vm: &mut Vm| set.iter(&mut vm.heap).map(|(_, v)| v).collect();
                self.deep_ahead(set.len(), values, |vm| {
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
                self.deep_ahead(
                    list.len(),
                    |_| list.iter().collect(),
                    |vm| {
                        for i in 0..list.len() {
                            let element = vm.force_deep_in(list.get(i), seen).map_err(|e| {
                                e.trace(
                                    PosId::NONE,
                                    format!("while evaluating list element at index {i}"),
                                )
                            })?;
                            list.resolve(i, element);
                        }
                        Ok(())
                    },
                )?;
            }
            _ => {}
        }
        Ok(v)
    }

    /// One level of the walk, with helpers.
    fn deep_ahead(
        &mut self,
        count: usize,
        items: impl FnOnce(&mut Vm) -> Vec<Value>,
        level: impl FnOnce(&mut Vm) -> Result<()>,
    ) -> Result<()> {
        self.nested(PosId::NONE, |vm| vm.ahead(Ahead::Deep, count, items, level))
    }
}
