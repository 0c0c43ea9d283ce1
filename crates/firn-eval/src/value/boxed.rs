//! The rarer values: large integers, floats, paths, and functions that have some of their arguments.
//!
//! Cell: `[kind, …]`.

use super::{Function, Str, TAG_BOXED, TAG_MASK, Value, View};
use crate::heap::Heap;

const INT: u64 = 0;
const FLOAT: u64 = 1;
const PATH: u64 = 2;
/// `[kind, function, count, arguments…]`
const PARTIAL: u64 = 3;
/// `[kind, builtin's number, count, arguments…]`
const APPLIED: u64 = 4;

#[derive(Clone, Copy)]
pub(super) struct Boxed(*const u64);

impl Boxed {
    /// # Safety
    /// The word must come from this module.
    pub(super) unsafe fn from_word(word: u64) -> Boxed {
        Boxed((word & !TAG_MASK) as *const u64)
    }

    fn word(self, i: usize) -> u64 {
        // SAFETY: callers stay within the cell of their kind; cells are never written after they are made.
        unsafe { *self.0.add(i) }
    }

    pub(super) fn view(self) -> View {
        match self.word(0) {
            INT => View::Int(self.word(1) as i64),
            FLOAT => View::Float(f64::from_bits(self.word(1))),
            // SAFETY: `path` stored a string's word.
            PATH => View::Path(unsafe { Str::from_word(self.word(1)) }),
            PARTIAL => View::Partial(Partial(self)),
            _ => View::Applied(Applied(self)),
        }
    }
}

fn cell(heap: &mut Heap, words: &[u64]) -> Value {
    let at = heap.words(words.len());
    // SAFETY: freshly allocated with this length.
    unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), at, words.len()) };
    Value(at as u64 | TAG_BOXED)
}

#[cold]
pub(super) fn int(heap: &mut Heap, i: i64) -> Value {
    cell(heap, &[INT, i as u64])
}

pub(super) fn float(heap: &mut Heap, f: f64) -> Value {
    cell(heap, &[FLOAT, f.to_bits()])
}

pub(super) fn path(heap: &mut Heap, name: Str) -> Value {
    cell(heap, &[PATH, name.value().0])
}

fn with_args(heap: &mut Heap, kind: u64, function: u64, first: &[Value], more: &[Value]) -> Value {
    let n = first.len() + more.len();
    let at = heap.words(3 + n);
    // SAFETY: freshly allocated with 3 + n words; `Value` is a transparent u64.
    unsafe {
        *at = kind;
        *at.add(1) = function;
        *at.add(2) = n as u64;
        std::ptr::copy_nonoverlapping(first.as_ptr().cast(), at.add(3), first.len());
        std::ptr::copy_nonoverlapping(more.as_ptr().cast(), at.add(3 + first.len()), more.len());
    }
    Value(at as u64 | TAG_BOXED)
}

fn args(cell: Boxed) -> &'static [Value] {
    // SAFETY: `with_args` laid the cell out, and it never changes.
    unsafe { std::slice::from_raw_parts(cell.0.add(3).cast(), cell.word(2) as usize) }
}

/// A function of several arguments that has some of them.
#[derive(Clone, Copy)]
pub struct Partial(Boxed);

impl Partial {
    /// A partial application of `function` to `first` and then `more`.
    pub fn make(heap: &mut Heap, function: Function, first: &[Value], more: &[Value]) -> Value {
        with_args(heap, PARTIAL, function.value().0, first, more)
    }

    /// The function.
    pub fn function(self) -> Function {
        // SAFETY: `make` stored a function's word.
        unsafe { Function::from_word(self.0.word(1)) }
    }

    /// The arguments so far.
    pub fn args(self) -> &'static [Value] {
        args(self.0)
    }
}

/// A builtin function that has some of its arguments.
#[derive(Clone, Copy)]
pub struct Applied(Boxed);

impl Applied {
    /// A partial application of a builtin to `first` and then `more`.
    pub fn make(heap: &mut Heap, builtin: u32, first: &[Value], more: &[Value]) -> Value {
        with_args(heap, APPLIED, u64::from(builtin), first, more)
    }

    /// The builtin's number.
    pub fn builtin(self) -> u32 {
        self.0.word(1) as u32
    }

    /// The arguments so far.
    pub fn args(self) -> &'static [Value] {
        args(self.0)
    }
}
