//! Shapes: the interned, immutable lists of attribute names that sets share.
//!
//! A set is a pointer to its shape and one word for each name. Two sets have the same names exactly if they
//! have the same shape, so that a selection can remember (shape, slot), and what `//`, `removeAttrs` and
//! `intersectAttrs` do to names is computed once for each pair of shapes. Nothing here knows about values.

mod table;
#[cfg(test)]
mod tests;

pub use table::{empty, intern, intersection, removal, update};

use firn_syntax::Symbol;
use std::sync::OnceLock;

/// Up to this many names a lookup compares them one by one.
const LINEAR: usize = 8;
/// Up to this many names a lookup counts those before; above, it hashes.
const COUNTED: usize = 48;

/// The names of a set. Slot `i` of a set belongs to name `i`; names are sorted by symbol id.
pub struct Shape {
    names: Box<[Symbol]>,
    /// Open-addressed table of slot + 1, made at the first lookup in a wide shape.
    index: OnceLock<Box<[u32]>>,
    /// Slots in the order of the names' bytes.
    order: OnceLock<Box<[u32]>>,
}

/// A shape that lives forever.
pub type ShapeRef = &'static Shape;

#[inline]
fn spread(symbol: Symbol) -> u32 {
    symbol.index().wrapping_mul(0x9E37_79B1).rotate_left(15)
}

impl Shape {
    /// The names, sorted by symbol id.
    #[inline]
    pub fn names(&self) -> &[Symbol] {
        &self.names
    }

    /// How many names there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no names.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The slot of a name.
    #[inline]
    pub fn find(&self, name: Symbol) -> Option<usize> {
        let names = &*self.names;
        if names.len() <= LINEAR {
            names.iter().position(|n| *n == name)
        } else if names.len() <= COUNTED {
            // No branches that go wrong as those of a binary search do, and vector instructions.
            let before: u32 = names.iter().map(|n| u32::from(n.index() < name.index())).sum();
            let slot = before as usize;
            (names.get(slot) == Some(&name)).then_some(slot)
        } else {
            self.find_hashed(name)
        }
    }

    fn find_hashed(&self, name: Symbol) -> Option<usize> {
        let index = self.index.get_or_init(|| {
            let size = (self.names.len() * 2).next_power_of_two();
            let mut table = vec![0u32; size].into_boxed_slice();
            for (slot, name) in self.names.iter().enumerate() {
                let mut at = spread(*name) as usize & (size - 1);
                while table[at] != 0 {
                    at = (at + 1) & (size - 1);
                }
                table[at] = slot as u32 + 1;
            }
            table
        });
        let mask = index.len() - 1;
        let mut at = spread(name) as usize & mask;
        loop {
            match index[at] {
                0 => return None,
                slot if self.names[slot as usize - 1] == name => return Some(slot as usize - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// The slots in the order of the names' bytes: the order in which users see attributes.
    pub fn order(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let mut order: Box<[u32]> = (0..self.names.len() as u32).collect();
            order.sort_unstable_by_key(|slot| self.names[*slot as usize].as_bytes());
            order
        })
    }
}

/// From which side and slot each slot of the result of `left // right` comes.
pub struct Update {
    /// Shape of the left operand.
    pub left: ShapeRef,
    /// Shape of the right operand.
    pub right: ShapeRef,
    /// Shape of the result.
    pub result: ShapeRef,
    /// For each slot of the result: a slot of the left operand, or [`FROM_RIGHT`] + a slot of the right one.
    pub sources: Box<[u32]>,
}

/// Marks a source slot as one of the right operand.
pub const FROM_RIGHT: u32 = 1 << 31;

/// A part of a set: which slots stay.
pub struct Subset {
    /// Shape of the whole.
    pub from: ShapeRef,
    /// Shape of the part.
    pub result: ShapeRef,
    /// For each slot of the result the slot of the whole.
    pub sources: Box<[u32]>,
}
