//! Values: one 64-bit word each, copied freely between threads.
//!
//! The low three bits of a word say what it is: a small integer or an immediate, or the address of a cell in
//! a [`Heap`](crate::heap::Heap) that lives forever. A thunk is such a cell too; its first word is replaced by
//! the result. Slots that may still change (thunks, environments) are read and written with acquire and
//! release ordering, so that whoever sees an address also sees what is behind it.
//!
//! This module and its children hold all the unsafe code that looks into cells. What values *do* (forcing,
//! calling, comparing) is [`crate::machine`]'s business.

mod boxed;
mod list;
mod set;
mod string;
#[cfg(test)]
mod tests;
mod thunk;

pub use boxed::{Applied, Partial};
pub use list::List;
pub use set::{Provenance, Set, SetBuilder};
pub use string::Str;
pub use thunk::{Env, Function, State, Thunk};

use crate::heap::Heap;
use boxed::Boxed;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Value(pub(crate) u64);

pub(crate) const TAG_MASK: u64 = 7;
pub(crate) const TAG_THUNK: u64 = 0;
pub(crate) const TAG_INT: u64 = 1;
pub(crate) const TAG_SET: u64 = 2;
pub(crate) const TAG_LIST: u64 = 3;
pub(crate) const TAG_STR: u64 = 4;
pub(crate) const TAG_FUNCTION: u64 = 5;
pub(crate) const TAG_BOXED: u64 = 6;
pub(crate) const TAG_IMMEDIATE: u64 = 7;

const KIND_SHIFT: u32 = 3;
const PAYLOAD_SHIFT: u32 = 8;
const KIND_NULL: u64 = 0;
const KIND_FALSE: u64 = 1;
const KIND_TRUE: u64 = 2;
const KIND_BUILTIN: u64 = 3;
/// Never a value of the language: the state of a thunk that a thread is evaluating.
pub(crate) const KIND_BUSY: u64 = 4;
/// In the state of a busy thunk: another thread waits for it.
const AWAITED: u64 = 1 << 63;

const SMALL_MIN: i64 = -(1 << 60);
const SMALL_MAX: i64 = (1 << 60) - 1;

/// What an evaluated value is, with access to its parts.
#[derive(Clone, Copy)]
pub enum View {
    /// `null`
    Null,
    /// A Boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Str(Str),
    /// A path, by its absolute name.
    Path(Str),
    /// An attribute set.
    Set(Set),
    /// A list.
    List(List),
    /// A function written in the language.
    Function(Function),
    /// A function of several arguments that has some of them.
    Partial(Partial),
    /// A builtin function, by its number.
    Builtin(u32),
    /// A builtin function that has some of its arguments.
    Applied(Applied),
    /// Not evaluated yet.
    Thunk(Thunk),
}

const fn immediate(kind: u64, payload: u64) -> Value {
    Value(TAG_IMMEDIATE | kind << KIND_SHIFT | payload << PAYLOAD_SHIFT)
}

impl Value {
    /// `null`
    pub const NULL: Value = immediate(KIND_NULL, 0);
    /// `true`
    pub const TRUE: Value = immediate(KIND_TRUE, 0);
    /// `false`
    pub const FALSE: Value = immediate(KIND_FALSE, 0);

    /// A Boolean.
    #[inline(always)]
    pub const fn bool(b: bool) -> Value {
        if b { Value::TRUE } else { Value::FALSE }
    }

    /// The builtin function with this number.
    pub const fn builtin(id: u32) -> Value {
        immediate(KIND_BUILTIN, id as u64)
    }

    /// The state of a thunk that thread `owner` evaluates.
    pub(crate) const fn busy(owner: u32) -> Value {
        immediate(KIND_BUSY, owner as u64)
    }

    /// The same state of a thunk, with another thread waiting for it.
    pub(crate) const fn awaited(self) -> Value {
        Value(self.0 | AWAITED)
    }

    /// Whether a thread waits for the thunk of this state.
    #[inline(always)]
    pub(crate) const fn is_awaited(self) -> bool {
        self.0 & AWAITED != 0
    }

    /// The thread that [`Value::busy`] was made with.
    pub(crate) const fn busy_owner(self) -> Option<u32> {
        if self.0 & 0xff == TAG_IMMEDIATE | KIND_BUSY << KIND_SHIFT {
            Some((self.0 >> PAYLOAD_SHIFT) as u32)
        } else {
            None
        }
    }

    /// An integer. Those that need more than 61 bits are put on the heap.
    #[inline(always)]
    pub fn int(heap: &mut Heap, i: i64) -> Value {
        match Value::small_int(i) {
            Some(v) => v,
            None => boxed::int(heap, i),
        }
    }

    /// An integer of at most 61 bits.
    #[inline(always)]
    pub const fn small_int(i: i64) -> Option<Value> {
        if i >= SMALL_MIN && i <= SMALL_MAX { Some(Value((i as u64) << 3 | TAG_INT)) } else { None }
    }

    /// A floating-point number.
    pub fn float(heap: &mut Heap, f: f64) -> Value {
        boxed::float(heap, f)
    }

    /// A path with this absolute, normalised name.
    pub fn path(heap: &mut Heap, name: &[u8]) -> Value {
        let name = Str::new(heap, name);
        boxed::path(heap, name)
    }

    #[inline(always)]
    pub(crate) const fn tag(self) -> u64 {
        self.0 & TAG_MASK
    }

    /// Whether this is a thunk, evaluated or not.
    #[inline(always)]
    pub const fn is_thunk(self) -> bool {
        self.tag() == TAG_THUNK
    }

    #[inline(always)]
    pub(crate) const fn is_unset(self) -> bool {
        self.0 == 0
    }

    /// The integer, if it is a small one. The fast path; others are found by [`Value::view`].
    #[inline(always)]
    pub const fn as_small_int(self) -> Option<i64> {
        if self.tag() == TAG_INT { Some(self.0 as i64 >> 3) } else { None }
    }

    /// The set, if this is one.
    #[inline(always)]
    pub fn as_set(self) -> Option<Set> {
        // SAFETY: words with this tag are made by `Set` only.
        if self.tag() == TAG_SET { Some(unsafe { Set::from_word(self.0) }) } else { None }
    }

    /// The list, if this is one.
    #[inline(always)]
    pub fn as_list(self) -> Option<List> {
        // SAFETY: words with this tag are made by `List` only.
        if self.tag() == TAG_LIST { Some(unsafe { List::from_word(self.0) }) } else { None }
    }

    /// The string, if this is one.
    #[inline(always)]
    pub fn as_str(self) -> Option<Str> {
        // SAFETY: words with this tag are made by `Str` only.
        if self.tag() == TAG_STR { Some(unsafe { Str::from_word(self.0) }) } else { None }
    }

    /// The function, if this is one written in the language without arguments so far.
    #[inline(always)]
    pub fn as_function(self) -> Option<Function> {
        // SAFETY: words with this tag are made by `Function` only.
        if self.tag() == TAG_FUNCTION { Some(unsafe { Function::from_word(self.0) }) } else { None }
    }

    /// The thunk, if this is one.
    #[inline(always)]
    pub fn as_thunk(self) -> Option<Thunk> {
        // SAFETY: words with this tag are made by `Thunk` only.
        if self.tag() == TAG_THUNK { Some(unsafe { Thunk::from_word(self.0) }) } else { None }
    }

    /// The builtin's number, if this is a builtin function.
    #[inline(always)]
    pub const fn as_builtin(self) -> Option<u32> {
        if self.0 & 0xff == TAG_IMMEDIATE | KIND_BUILTIN << KIND_SHIFT {
            Some((self.0 >> PAYLOAD_SHIFT) as u32)
        } else {
            None
        }
    }

    /// The Boolean, if this is one.
    #[inline(always)]
    pub const fn as_bool(self) -> Option<bool> {
        if self.0 == Value::TRUE.0 {
            Some(true)
        } else if self.0 == Value::FALSE.0 {
            Some(false)
        } else {
            None
        }
    }

    /// What the value is.
    #[inline]
    pub fn view(self) -> View {
        // SAFETY (all arms): a word's tag says which type made it.
        match self.tag() {
            TAG_INT => View::Int(self.0 as i64 >> 3),
            // SAFETY: the tag says what kind of cell the word points to.
            TAG_SET => View::Set(unsafe { Set::from_word(self.0) }),
            // SAFETY: the tag says what kind of cell the word points to.
            TAG_LIST => View::List(unsafe { List::from_word(self.0) }),
            // SAFETY: the tag says what kind of cell the word points to.
            TAG_STR => View::Str(unsafe { Str::from_word(self.0) }),
            // SAFETY: the tag says what kind of cell the word points to.
            TAG_FUNCTION => View::Function(unsafe { Function::from_word(self.0) }),
            // SAFETY: the tag says what kind of cell the word points to.
            TAG_BOXED => unsafe { Boxed::from_word(self.0) }.view(),
            TAG_IMMEDIATE => match self.0 >> KIND_SHIFT & 31 {
                KIND_NULL => View::Null,
                KIND_FALSE => View::Bool(false),
                KIND_TRUE => View::Bool(true),
                _ => View::Builtin((self.0 >> PAYLOAD_SHIFT) as u32),
            },
            // SAFETY: the tag says what kind of cell the word points to.
            _ => View::Thunk(unsafe { Thunk::from_word(self.0) }),
        }
    }

    /// The kind of value as error messages say it: "an integer", "a set", "the built-in function 'map'", ….
    pub fn describe(self) -> Cow<'static, str> {
        let name = |id| crate::builtins::get(id).short_name();
        match self.view() {
            View::Builtin(id) => format!("the built-in function '{}'", name(id)).into(),
            View::Applied(applied) => {
                let name = name(applied.builtin());
                format!("the partially applied built-in function '{name}'").into()
            }
            View::Str(s) if s.context().is_some() => "a string with context".into(),
            _ => self.type_name().into(),
        }
    }

    /// The type by itself: all functions have the same.
    pub fn type_name(self) -> &'static str {
        match self.view() {
            View::Null => "null",
            View::Bool(_) => "a Boolean",
            View::Int(_) => "an integer",
            View::Float(_) => "a float",
            View::Str(_) => "a string",
            View::Path(_) => "a path",
            View::Set(_) => "a set",
            View::List(_) => "a list",
            View::Function(_) | View::Partial(_) | View::Builtin(_) | View::Applied(_) => {
                "a function"
            }
            View::Thunk(_) => "a thunk",
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.view() {
            View::Int(i) => write!(f, "Int({i})"),
            View::Str(s) => write!(f, "Str({})", bstr::BStr::new(s.bytes())),
            _ => f.write_str(&self.describe()),
        }
    }
}

/// A word that may be written while others read it.
///
/// # Safety
/// `at` must point to a word in memory that lives forever.
#[inline(always)]
pub(crate) unsafe fn slot(at: *const u64) -> &'static AtomicU64 {
    // SAFETY: by the caller's promise; AtomicU64 has the layout of u64.
    unsafe { AtomicU64::from_ptr(at.cast_mut()) }
}

#[inline(always)]
pub(crate) fn load(slot: &AtomicU64) -> Value {
    Value(slot.load(Ordering::Acquire))
}

#[inline(always)]
pub(crate) fn store(slot: &AtomicU64, value: Value) {
    slot.store(value.0, Ordering::Release);
}
