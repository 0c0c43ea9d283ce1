//! Strings: bytes with a context. Cell: `[context, length | symbol, bytes…]`.

use super::{TAG_MASK, TAG_STR, Value};
use crate::context::Context;
use crate::heap::Heap;
use firn_syntax::Symbol;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// A string's cell.
#[derive(Clone, Copy)]
pub struct Str(*const u64);

const HEADER: usize = 2;

impl Str {
    /// # Safety
    /// The word must come from [`Str::value`].
    #[inline(always)]
    pub(crate) unsafe fn from_word(word: u64) -> Str {
        Str((word & !TAG_MASK) as *const u64)
    }

    /// The string as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value(self.0 as u64 | TAG_STR)
    }

    /// A string without context.
    pub fn new(heap: &mut Heap, bytes: &[u8]) -> Str {
        Str::with_context(heap, bytes, None)
    }

    /// A string with a context.
    pub fn with_context(heap: &mut Heap, bytes: &[u8], context: Option<Context>) -> Str {
        let (s, room) = Str::room(heap, bytes.len(), context);
        room.copy_from_slice(bytes);
        s
    }

    /// A string of `len` bytes that the caller fills in before anyone else sees the string.
    pub(crate) fn room(
        heap: &mut Heap,
        len: usize,
        context: Option<Context>,
    ) -> (Str, &'static mut [u8]) {
        assert!(u32::try_from(len).is_ok(), "a string of 4 GiB or more");
        let at = heap.words(HEADER + len.div_ceil(8));
        // SAFETY: freshly allocated with room for the header and `len` bytes; nobody else has the address.
        unsafe {
            *at = context.map_or(0, Context::word);
            *at.add(1) = len as u64;
            (Str(at), std::slice::from_raw_parts_mut(at.add(HEADER).cast(), len))
        }
    }

    /// The bytes.
    #[inline(always)]
    pub fn bytes(self) -> &'static [u8] {
        // SAFETY: the header's length was allocated, and the bytes do not change any more.
        unsafe { std::slice::from_raw_parts(self.0.add(HEADER).cast(), self.len()) }
    }

    /// The number of bytes.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.meta().load(Ordering::Relaxed) as u32 as usize
    }

    /// Whether there are no bytes.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline(always)]
    fn meta(self) -> &'static AtomicU64 {
        // SAFETY: the second word of the cell; the symbol half of it is written at any time.
        unsafe { super::slot(self.0.add(1)) }
    }

    /// What the string refers to; `None` when to nothing.
    #[inline(always)]
    pub fn context(self) -> Option<Context> {
        // SAFETY: the first word of the cell, written before the string was published.
        unsafe { Context::from_word(*self.0) }
    }

    /// The string as a name. Remembered in the string.
    pub fn symbol(self) -> Symbol {
        let meta = self.meta().load(Ordering::Relaxed);
        match (meta >> 32) as u32 {
            0 => {
                let symbol = Symbol::intern(self.bytes());
                self.meta().store(
                    meta & 0xffff_ffff | u64::from(symbol.index() + 1) << 32,
                    Ordering::Relaxed,
                );
                symbol
            }
            n => Symbol::from_index(n - 1),
        }
    }

    /// A name as a string: the same cell each time.
    pub fn of_symbol(heap: &mut Heap, symbol: Symbol) -> Str {
        let slot = symbol_slot(symbol);
        let known = slot.load(Ordering::Acquire);
        if known != 0 {
            // SAFETY: only words of strings are stored below.
            return unsafe { Str::from_word(known) };
        }
        let s = Str::new(heap, symbol.as_bytes());
        s.meta().fetch_or(u64::from(symbol.index() + 1) << 32, Ordering::Relaxed);
        slot.store(s.value().0, Ordering::Release);
        s
    }
}

const PAGE: usize = 4096;
const PAGES: usize = 1 << 14;
type Page = [AtomicU64; PAGE];

/// Where the string of each symbol is remembered.
fn symbol_slot(symbol: Symbol) -> &'static AtomicU64 {
    static STRINGS: [AtomicPtr<Page>; PAGES] =
        [const { AtomicPtr::new(std::ptr::null_mut()) }; PAGES];
    let index = symbol.index() as usize;
    assert!(index / PAGE < PAGES, "more than {} names", PAGE * PAGES);
    let page = &STRINGS[index / PAGE];
    let mut at = page.load(Ordering::Acquire);
    if at.is_null() {
        let fresh = Box::into_raw(Box::new([const { AtomicU64::new(0) }; PAGE]));
        match page.compare_exchange(at, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => at = fresh,
            Err(theirs) => {
                // SAFETY: just made by `Box::into_raw`, and nobody else saw it.
                drop(unsafe { Box::from_raw(fresh) });
                at = theirs;
            }
        }
    }
    // SAFETY: pages are leaked boxes.
    unsafe { &(*at)[index % PAGE] }
}
