//! Names as numbers: the global table of identifiers and attribute names.
//!
//! A [`Symbol`] is a 32-bit id of a byte string that lives for the rest of the process, so that names are
//! compared and hashed as integers. The table is shared by all threads: looking up a name that exists takes
//! no lock. Ordering of names is *not* the ordering of ids; compare [`Symbol::as_bytes`] where the order of
//! attribute names matters.
//!
//! Nothing here knows about syntax trees or values.

mod known;
mod table;
#[cfg(test)]
mod tests;

pub use known::sym;

use std::borrow::Cow;
use std::fmt;

/// An interned name. Copyable, 4 bytes; equal exactly if the names are equal byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Symbol(u32);

impl Symbol {
    /// The symbol of `name`, which is added to the table if it is new. Any bytes are allowed.
    #[inline]
    pub fn intern(name: &[u8]) -> Symbol {
        Symbol(table::global().intern(name))
    }

    /// The symbol of `name` if somebody interned it before.
    #[inline]
    pub fn find(name: &[u8]) -> Option<Symbol> {
        table::global().find(name).map(Symbol)
    }

    /// The bytes of the name.
    #[inline]
    pub fn as_bytes(self) -> &'static [u8] {
        table::global().bytes(self.0)
    }

    /// The name as text, with replacement characters where it is not UTF-8.
    pub fn as_str(self) -> Cow<'static, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// The id: dense, starting at 0, in the order of first use.
    #[inline]
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The symbol with this id. It must come from [`Symbol::index`]; using the name of any other id panics.
    #[inline]
    pub const fn from_index(index: u32) -> Symbol {
        Symbol(index)
    }

    /// How many symbols there are at present.
    pub fn count() -> usize {
        table::global().len()
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_str())
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}
