//! The memory that values live in: bump arenas, one for each evaluating thread.
//!
//! Nothing is freed before the process ends, so a pointer into an arena is `'static`; but for the frames of
//! calls, which are used again when their call has left nothing behind that refers to them. Memory comes from
//! the kernel zeroed and is handed out zeroed. What is put there, and how it is shared between threads, is
//! [`crate::value`]'s business.

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Size of the address range that is asked for at once. Pages that are never touched cost nothing.
const CHUNK_BYTES: usize = 64 << 20;

/// At most so much is asked to be backed by pages at a time: the kernel gives many at once for less than one by
/// one as they are touched, and what it has zeroed is still in the cache when it is written.
const MAX_STEP: usize = 512 << 10;

/// The least that is asked for.
const MIN_STEP: usize = 16 << 10;

/// Frames with fewer words than this are used again.
const FRAME_SIZES: usize = 32;

/// How much memory the values of an evaluation may take, on all threads together.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub const fn new(limit: usize) -> Budget {
        Budget { used: AtomicUsize::new(0), limit }
    }

    /// The number of bytes.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Counts more bytes; false when they are too many.
    fn spend(&self, bytes: usize) -> bool {
        self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.limit
    }
}

/// Whom a heap asks for memory, and what it tells when there is none left.
struct Limited {
    budget: Arc<Budget>,
    /// Set to the highest value when the budget is spent.
    stop: Arc<AtomicUsize>,
    spent: bool,
}

/// A bump allocator of 8-byte words.
pub struct Heap {
    next: *mut u64,
    /// The end of what may be used at once; the chunk goes on after it.
    end: *mut u64,
    chunk_end: *mut u64,
    reserved: usize,
    /// For each number of words the frames that are free, each leading to the next by its first word.
    free: [*mut u64; FRAME_SIZES],
    limited: Option<Limited>,
}

// SAFETY: the pointers delimit memory that only this `Heap` hands out, so it may move between threads.
unsafe impl Send for Heap {}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

impl Heap {
    /// An arena without memory; the first allocation asks for some.
    pub const fn new() -> Heap {
        Heap {
            next: null_mut(),
            end: null_mut(),
            chunk_end: null_mut(),
            reserved: 0,
            free: [null_mut(); FRAME_SIZES],
            limited: None,
        }
    }

    /// An arena that stores the highest number in `stop` once `budget` is spent. It goes on giving memory:
    /// it is for its owner to stop.
    pub fn limited(budget: Arc<Budget>, stop: Arc<AtomicUsize>) -> Heap {
        Heap { limited: Some(Limited { budget, stop, spent: false }), ..Heap::new() }
    }

    /// The budget, if this arena has found it spent.
    pub fn spent(&self) -> Option<&Budget> {
        self.limited.as_ref().filter(|limited| limited.spent).map(|limited| &*limited.budget)
    }

    fn count(&mut self, bytes: usize) {
        if let Some(limited) = &mut self.limited
            && !limited.budget.spend(bytes)
        {
            limited.spent = true;
            limited.stop.store(usize::MAX, Ordering::Relaxed);
        }
    }

    /// Room for a frame of `n` words, all zero, that [`Heap::reuse`] may get back.
    #[inline(always)]
    pub fn frame(&mut self, n: usize) -> *mut u64 {
        if n < FRAME_SIZES && !self.free[n].is_null() {
            let at = self.free[n];
            // SAFETY: `reuse` got a frame of `n` words and stored the next free one's address in the first.
            unsafe {
                self.free[n] = *at as *mut u64;
                for i in 0..n {
                    at.add(i).write(0);
                }
            }
            return at;
        }
        self.words(n)
    }

    /// Takes back what [`Heap::frame`] gave.
    ///
    /// # Safety
    /// `at` must come from a call of this heap's `frame` with the same `n`, and nobody may use it any more.
    #[inline(always)]
    pub unsafe fn reuse(&mut self, at: *mut u64, n: usize) {
        if n < FRAME_SIZES {
            // SAFETY: by the caller's promise; a frame has at least one word.
            unsafe { *at = self.free[n] as u64 };
            self.free[n] = at;
        }
    }

    /// Room for `n` words, all zero.
    #[inline(always)]
    pub fn words(&mut self, n: usize) -> *mut u64 {
        let at = self.next;
        if (self.end as usize - at as usize) / 8 >= n && !at.is_null() {
            // SAFETY: the comparison says that `n` more words are inside the chunk.
            self.next = unsafe { at.add(n) };
            at
        } else {
            self.refill(n)
        }
    }

    /// How many bytes have been handed out or skipped.
    pub fn used(&self) -> usize {
        self.reserved - (self.chunk_end as usize - self.next as usize)
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, n: usize) -> *mut u64 {
        let wanted = n.saturating_mul(8);
        if wanted > CHUNK_BYTES / 4 {
            let size = (wanted + 4095) & !4095;
            self.reserved += size;
            self.count(size);
            return map(size);
        }
        if self.chunk_end as usize - self.next as usize >= wanted && !self.next.is_null() {
            let at = self.next;
            // SAFETY: the comparison says that `n` more words are inside the chunk.
            self.next = unsafe { at.add(n) };
            self.back();
            return at;
        }
        // A chunk counts when it is full: most threads only ever touch a little of theirs.
        if self.reserved > 0 {
            self.count(CHUNK_BYTES);
        }
        let chunk = map(CHUNK_BYTES);
        self.reserved += CHUNK_BYTES;
        // SAFETY: `chunk` has CHUNK_BYTES bytes, and `n` words are at most a quarter of them.
        unsafe {
            self.next = chunk.add(n);
            self.end = chunk;
            self.chunk_end = chunk.add(CHUNK_BYTES / 8);
        }
        self.back();
        chunk
    }

    /// Moves the end of what may be used behind `next` and a step further.
    fn back(&mut self) {
        // In small evaluations small steps.
        let step = (self.used() / 8).clamp(MIN_STEP, MAX_STEP);
        let to = (self.next as usize + step).next_multiple_of(MIN_STEP);
        let bytes = to.min(self.chunk_end as usize) - self.end as usize;
        // SAFETY: from one page boundary (a chunk's begin, or where this ended before) to another one in the
        // same chunk; what is in these pages stays. A kernel that does not know the advice says so, and pages
        // come when they are touched.
        unsafe {
            libc::madvise(self.end.cast(), bytes, libc::MADV_POPULATE_WRITE);
            self.end = self.end.add(bytes / 8);
        }
    }
}

/// Fresh zeroed pages: small ones, since what is zeroed is written at once, while it is still in the cache.
/// Huge pages took twice the time of the whole arena here.
///
/// Running out of address space ends the process as any failed allocation does.
fn map(size: usize) -> *mut u64 {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory.
    let at = unsafe {
        libc::mmap(
            null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED {
        std::alloc::handle_alloc_error(
            std::alloc::Layout::from_size_align(size, 4096)
                .unwrap_or(std::alloc::Layout::new::<u64>()),
        );
    }
    at.cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_zero_distinct_and_survive_refills() {
        let mut heap = Heap::new();
        let mut seen = Vec::new();
        for i in 1..200usize {
            let n = i * 1000;
            let at = heap.words(n);
            // SAFETY: the arena just handed these words out.
            let words = unsafe { std::slice::from_raw_parts_mut(at, n) };
            assert!(words.iter().all(|w| *w == 0));
            words.fill(i as u64);
            seen.push((at, n, i as u64));
        }
        for (at, n, i) in seen {
            // SAFETY: as above; nothing is freed.
            assert!(unsafe { std::slice::from_raw_parts(at, n) }.iter().all(|w| *w == i));
        }
    }

    #[test]
    fn frames_come_back_zeroed() {
        let mut heap = Heap::new();
        let (a, b, other) = (heap.frame(3), heap.frame(3), heap.frame(4));
        for at in [a, b] {
            // SAFETY: three words each, used by nobody else.
            unsafe {
                std::slice::from_raw_parts_mut(at, 3).fill(7);
                heap.reuse(at, 3);
            }
        }
        assert!(![a, b, other].contains(&heap.frame(4)));
        let again = [heap.frame(3), heap.frame(3)];
        assert_eq!(again, [b, a]);
        for at in again {
            // SAFETY: three words each.
            assert_eq!(unsafe { std::slice::from_raw_parts(at, 3) }, [0; 3]);
        }
        assert!(![a, b].contains(&heap.frame(3)));
    }

    #[test]
    fn a_spent_budget_is_told() {
        let budget = Arc::new(Budget::new(CHUNK_BYTES * 3));
        let stop = Arc::new(AtomicUsize::new(1));
        let mut heap = Heap::limited(Arc::clone(&budget), Arc::clone(&stop));
        heap.words(CHUNK_BYTES / 8 * 2);
        assert!(heap.spent().is_none());
        let mut other = Heap::limited(budget, Arc::default());
        other.words(CHUNK_BYTES / 8);
        assert_eq!((stop.load(Ordering::Relaxed), heap.spent().is_none()), (1, true));
        heap.words(CHUNK_BYTES / 8);
        assert_eq!(stop.load(Ordering::Relaxed), usize::MAX);
        assert!(heap.spent().is_some());
    }

    #[test]
    fn huge_requests_get_their_own_mapping() {
        let mut heap = Heap::new();
        let at = heap.words(CHUNK_BYTES / 8 * 2);
        // SAFETY: the last word of what was just handed out.
        unsafe { *at.add(CHUNK_BYTES / 8 * 2 - 1) = 1 };
        assert!(heap.used() >= CHUNK_BYTES * 2);
    }
}
