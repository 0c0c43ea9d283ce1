//! Lists. Cell: `[length, elements…]`.

use super::{TAG_LIST, TAG_MASK, Value, load, slot};
use crate::heap::Heap;

/// A list's cell. Its elements do not change, except that thunks get evaluated.
#[derive(Clone, Copy)]
pub struct List(*const u64);

static EMPTY: u64 = 0;

impl List {
    /// # Safety
    /// The word must come from [`List::value`].
    #[inline(always)]
    pub(crate) unsafe fn from_word(word: u64) -> List {
        List((word & !TAG_MASK) as *const u64)
    }

    /// The list as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value(self.0 as u64 | TAG_LIST)
    }

    /// The list without elements.
    pub fn empty() -> List {
        List(&raw const EMPTY)
    }

    /// A list of `n` elements that the caller stores with [`List::init`] before anyone else sees the list.
    #[inline]
    pub(crate) fn room(heap: &mut Heap, n: usize) -> List {
        if n == 0 {
            return List::empty();
        }
        let at = heap.words(n + 1);
        // SAFETY: freshly allocated with n + 1 words.
        unsafe { *at = n as u64 };
        List(at)
    }

    /// A list of these elements.
    pub fn new(heap: &mut Heap, elements: &[Value]) -> List {
        let list = List::room(heap, elements.len());
        if !elements.is_empty() {
            // SAFETY: `room` allocated the elements; `Value` is a transparent u64.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    elements.as_ptr().cast(),
                    list.0.cast_mut().add(1),
                    elements.len(),
                );
            }
        }
        list
    }

    /// Stores an element of a list under construction.
    #[inline(always)]
    pub(crate) fn init(self, i: usize, value: Value) {
        assert!(i < self.len());
        // SAFETY: within the cell.
        super::store(unsafe { slot(self.0.add(1 + i)) }, value);
    }

    /// The number of elements.
    #[inline(always)]
    pub fn len(self) -> usize {
        // SAFETY: the first word of the cell, which never changes.
        unsafe { *self.0 as usize }
    }

    /// Whether there are no elements.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// An element. Panics outside the list.
    #[inline(always)]
    pub fn get(self, i: usize) -> Value {
        assert!(i < self.len());
        // SAFETY: within the cell.
        load(unsafe { slot(self.0.add(1 + i)) })
    }

    /// Replaces a thunk by its value, so that the next reader need not look through it.
    #[inline(always)]
    pub(crate) fn resolve(self, i: usize, value: Value) {
        self.init(i, value);
    }

    /// The elements.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value> + DoubleEndedIterator + Clone {
        (0..self.len()).map(move |i| self.get(i))
    }
}
