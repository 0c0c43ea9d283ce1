//! The memory that values live in: bump arenas, one for each evaluating thread.
//!
//! Nothing is freed before the process ends, so a pointer into an arena is `'static`; but for the frames of
//! calls, which are used again when their call has left nothing behind that refers to them. Memory comes from
//! the kernel zeroed and is handed out zeroed. What is put there, and how it is shared between threads, is
//! [`crate::value`]'s business.

use std::ptr::null_mut;

/// Size of the address range that is asked for at once. Pages that are never touched cost nothing.
const CHUNK_BYTES: usize = 64 << 20;

/// Frames with fewer words than this are used again.
const FRAME_SIZES: usize = 32;

/// A bump allocator of 8-byte words.
pub struct Heap {
    next: *mut u64,
    end: *mut u64,
    reserved: usize,
    /// For each number of words the frames that are free, each leading to the next by its first word.
    free: [*mut u64; FRAME_SIZES],
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
        Heap { next: null_mut(), end: null_mut(), reserved: 0, free: [null_mut(); FRAME_SIZES] }
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
        self.reserved - (self.end as usize - self.next as usize)
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, n: usize) -> *mut u64 {
        let wanted = n.saturating_mul(8);
        if wanted > CHUNK_BYTES / 4 {
            let size = (wanted + 4095) & !4095;
            self.reserved += size;
            return map(size);
        }
        let chunk = map(CHUNK_BYTES);
        self.reserved += CHUNK_BYTES;
        // SAFETY: `chunk` has CHUNK_BYTES bytes, and `n` words are at most a quarter of them.
        unsafe {
            self.next = chunk.add(n);
            self.end = chunk.add(CHUNK_BYTES / 8);
        }
        chunk
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
    fn huge_requests_get_their_own_mapping() {
        let mut heap = Heap::new();
        let at = heap.words(CHUNK_BYTES / 8 * 2);
        // SAFETY: the last word of what was just handed out.
        unsafe { *at.add(CHUNK_BYTES / 8 * 2 - 1) = 1 };
        assert!(heap.used() >= CHUNK_BYTES * 2);
    }
}
