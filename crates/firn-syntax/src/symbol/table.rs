//! The concurrent table behind [`super::Symbol`].
//!
//! Names hash into 16 shards. A shard is an open-addressing table of atomic words that readers probe without
//! a lock; one mutex a shard orders the writers. A table that is full is replaced by one twice the size and
//! stays allocated, because a reader may still be inside it: the tables left behind add up to less than the
//! current one. Names and tables live for the rest of the process.

use super::known;
use parking_lot::Mutex;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

const SHARDS: usize = 16;
const FIRST_SLOTS: usize = 1 << 10;
/// Entries in chunk 0; chunk `k` holds twice as many as chunk `k - 1`.
const FIRST_CHUNK: u32 = 1 << 12;
const CHUNKS: usize = 20;
const BLOCK: usize = 64 * 1024;

/// A published name: set once, before the id is visible to anybody else.
struct Entry {
    ptr: AtomicPtr<u8>,
    len: AtomicU32,
}

struct Slots {
    mask: usize,
    /// 0 when free, else the upper half of the hash and the id + 1.
    words: Box<[AtomicU64]>,
}

impl Slots {
    fn leak(size: usize) -> *mut Slots {
        let words = (0..size).map(|_| AtomicU64::new(0)).collect();
        Box::into_raw(Box::new(Slots { mask: size - 1, words }))
    }

    /// Where a search begins for a hash, or for the word of one: its upper half says it, so that a table
    /// grows without looking at any name.
    #[inline]
    fn first(&self, hash: u64) -> usize {
        (hash >> 32) as usize & self.mask
    }
}

#[derive(Default)]
struct Writer {
    used: usize,
    /// The rest of the block that new names are copied into.
    block: &'static mut [u8],
}

impl Writer {
    fn copy(&mut self, name: &[u8]) -> &'static [u8] {
        if name.len() > BLOCK / 8 {
            return Box::leak(name.to_vec().into_boxed_slice());
        }
        if self.block.len() < name.len() {
            self.block = Box::leak(vec![0; BLOCK].into_boxed_slice());
        }
        let (to, rest) = std::mem::take(&mut self.block).split_at_mut(name.len());
        self.block = rest;
        to.copy_from_slice(name);
        to
    }
}

struct Shard {
    slots: AtomicPtr<Slots>,
    writer: Mutex<Writer>,
}

pub(super) struct Table {
    shards: [Shard; SHARDS],
    chunks: [AtomicPtr<Entry>; CHUNKS],
    next: AtomicU32,
}

/// The one table of the process.
#[inline]
pub(super) fn global() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let table = Table::new();
        for text in known::TEXTS {
            table.intern(text.as_bytes());
        }
        table
    })
}

#[inline]
fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.write_usize(name.len());
    // The low bits of an Fx hash are its weak ones: fold the strong ones into them.
    let h = hasher.finish();
    h ^ (h >> 29)
}

#[inline]
fn chunk_of(id: u32) -> (usize, usize) {
    let n = id + FIRST_CHUNK;
    let chunk = n.ilog2() - FIRST_CHUNK.ilog2();
    (chunk as usize, (n - (FIRST_CHUNK << chunk)) as usize)
}

impl Table {
    pub(super) fn new() -> Table {
        Table {
            shards: std::array::from_fn(|_| Shard {
                slots: AtomicPtr::new(Slots::leak(FIRST_SLOTS)),
                writer: Mutex::new(Writer::default()),
            }),
            chunks: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            next: AtomicU32::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.next.load(Ordering::Acquire) as usize
    }

    #[inline]
    pub(super) fn bytes(&self, id: u32) -> &'static [u8] {
        let (chunk, index) = chunk_of(id);
        let chunk = self.chunks[chunk].load(Ordering::Acquire);
        assert!(!chunk.is_null(), "symbol {id} was never interned");
        // SAFETY: a chunk that is published has room for every index that `chunk_of` can yield for it, and is
        // never freed.
        let entry = unsafe { &*chunk.add(index) };
        let len = entry.len.load(Ordering::Acquire);
        let ptr = entry.ptr.load(Ordering::Acquire);
        if ptr.is_null() {
            assert!((id as usize) < self.len(), "symbol {id} was never interned");
            return &[];
        }
        // SAFETY: `ptr` and `len` were stored from a leaked slice, `ptr` after `len`, and never change.
        unsafe { std::slice::from_raw_parts(ptr, len as usize) }
    }

    #[inline]
    fn probe(&self, slots: &Slots, hash: u64, name: &[u8]) -> Option<u32> {
        let mut at = slots.first(hash);
        loop {
            let word = slots.words[at].load(Ordering::Acquire);
            if word == 0 {
                return None;
            }
            if word >> 32 == hash >> 32 {
                let id = word as u32 - 1;
                if self.bytes(id) == name {
                    return Some(id);
                }
            }
            at = (at + 1) & slots.mask;
        }
    }

    #[inline]
    fn slots(&self, shard: &Shard) -> &Slots {
        // SAFETY: points to a leaked `Slots` from the start, and only ever to another one.
        unsafe { &*shard.slots.load(Ordering::Acquire) }
    }

    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        let hash = hash(name);
        self.probe(self.slots(&self.shards[hash as usize % SHARDS]), hash, name)
    }

    #[inline]
    pub(super) fn intern(&self, name: &[u8]) -> u32 {
        let hash = hash(name);
        let shard = &self.shards[hash as usize % SHARDS];
        match self.probe(self.slots(shard), hash, name) {
            Some(id) => id,
            None => self.insert(shard, hash, name),
        }
    }

    #[cold]
    fn insert(&self, shard: &Shard, hash: u64, name: &[u8]) -> u32 {
        let mut writer = shard.writer.lock();
        let mut slots = self.slots(shard);
        if let Some(id) = self.probe(slots, hash, name) {
            return id;
        }
        if (writer.used + 1) * 2 > slots.words.len() {
            slots = self.grow(shard, slots);
        }
        let copy = writer.copy(name);
        let id = self.next.fetch_add(1, Ordering::AcqRel);
        let (chunk, index) = chunk_of(id);
        assert!(chunk < CHUNKS, "more than {id} different names");
        let chunk = self.chunk(chunk);
        // SAFETY: as in `bytes`.
        let entry = unsafe { &*chunk.add(index) };
        entry.len.store(copy.len() as u32, Ordering::Release);
        entry.ptr.store(copy.as_ptr().cast_mut(), Ordering::Release);
        writer.used += 1;
        Self::publish(slots, hash >> 32 << 32 | u64::from(id + 1));
        id
    }

    fn publish(slots: &Slots, word: u64) {
        let mut at = slots.first(word);
        while slots.words[at].load(Ordering::Relaxed) != 0 {
            at = (at + 1) & slots.mask;
        }
        slots.words[at].store(word, Ordering::Release);
    }

    fn grow(&self, shard: &Shard, old: &Slots) -> &Slots {
        let new = Slots::leak(old.words.len() * 2);
        // SAFETY: just allocated and never freed.
        let slots = unsafe { &*new };
        for word in &old.words {
            let word = word.load(Ordering::Relaxed);
            if word != 0 {
                Self::publish(slots, word);
            }
        }
        shard.slots.store(new, Ordering::Release);
        slots
    }

    /// The chunk, allocated by whoever comes first.
    fn chunk(&self, index: usize) -> *mut Entry {
        let present = self.chunks[index].load(Ordering::Acquire);
        if !present.is_null() {
            return present;
        }
        let entries: Box<[Entry]> = (0..(FIRST_CHUNK as usize) << index)
            .map(|_| Entry { ptr: AtomicPtr::new(std::ptr::null_mut()), len: AtomicU32::new(0) })
            .collect();
        let new = Box::into_raw(entries).cast::<Entry>();
        match self.chunks[index].compare_exchange(
            std::ptr::null_mut(),
            new,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => new,
            Err(theirs) => {
                let len = (FIRST_CHUNK as usize) << index;
                // SAFETY: `new` came from a boxed slice of this length and nobody else saw it.
                drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(new, len)) });
                theirs
            }
        }
    }
}
