//! The process-wide tables of shapes and of what operations do to them.

use super::{FROM_RIGHT, Shape, ShapeRef, Subset, Update};
use firn_syntax::Symbol;
use hashbrown::{HashMap, HashTable};
use parking_lot::RwLock;
use rustc_hash::{FxBuildHasher, FxHasher};
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

const SHARDS: usize = 16;

type Pairs<T> = [RwLock<HashMap<(usize, usize), &'static T, FxBuildHasher>>; SHARDS];

struct Tables {
    shapes: [RwLock<HashTable<ShapeRef>>; SHARDS],
    updates: Pairs<Update>,
    removals: Pairs<Subset>,
    intersections: Pairs<Subset>,
    empty: ShapeRef,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let shapes: [RwLock<HashTable<ShapeRef>>; SHARDS] = Default::default();
        let empty = leak(Box::new([]));
        let hash = hash(&[]);
        shapes[shard(hash)].write().insert_unique(hash, empty, |s| self::hash(s.names()));
        Tables {
            shapes,
            updates: Default::default(),
            removals: Default::default(),
            intersections: Default::default(),
            empty,
        }
    })
}

fn leak(names: Box<[Symbol]>) -> ShapeRef {
    Box::leak(Box::new(Shape { names, index: OnceLock::new(), order: OnceLock::new() }))
}

fn hash(names: &[Symbol]) -> u64 {
    names.iter().fold(names.len() as u64, |h, name| {
        (h.rotate_left(5) ^ u64::from(name.index())).wrapping_mul(0x517c_c1b7_2722_0a95)
    })
}

fn shard(hash: u64) -> usize {
    (hash >> 20) as usize % SHARDS
}

/// The shape without names.
pub fn empty() -> ShapeRef {
    tables().empty
}

/// The shape of these names, which must be sorted by symbol id and distinct.
pub fn intern(names: &[Symbol]) -> ShapeRef {
    debug_assert!(
        names.windows(2).all(|w| w[0] < w[1]),
        "names of a shape are sorted and distinct"
    );
    let hash = hash(names);
    let table = &tables().shapes[shard(hash)];
    if let Some(found) = table.read().find(hash, |s| s.names() == names) {
        return found;
    }
    let mut table = table.write();
    if let Some(found) = table.find(hash, |s| s.names() == names) {
        return found;
    }
    let shape = leak(names.into());
    table.insert_unique(hash, shape, |s| self::hash(s.names()));
    shape
}

fn memo<T>(
    table: &'static Pairs<T>,
    left: ShapeRef,
    right: ShapeRef,
    make: impl FnOnce() -> T,
) -> &'static T {
    let key = (std::ptr::from_ref(left) as usize, std::ptr::from_ref(right) as usize);
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    let shard = &table[(hasher.finish() >> 30) as usize % SHARDS];
    if let Some(found) = shard.read().get(&key) {
        return found;
    }
    let made = make();
    shard.write().entry(key).or_insert_with(|| Box::leak(Box::new(made)))
}

/// What `left // right` does.
pub fn update(left: ShapeRef, right: ShapeRef) -> &'static Update {
    memo(&tables().updates, left, right, || {
        let (l, r) = (left.names(), right.names());
        let mut names = Vec::with_capacity(l.len() + r.len());
        let mut sources = Vec::with_capacity(l.len() + r.len());
        let (mut i, mut j) = (0, 0);
        while i < l.len() || j < r.len() {
            let take_right = j < r.len() && (i == l.len() || r[j] <= l[i]);
            if take_right {
                if i < l.len() && l[i] == r[j] {
                    i += 1;
                }
                names.push(r[j]);
                sources.push(FROM_RIGHT | j as u32);
                j += 1;
            } else {
                names.push(l[i]);
                sources.push(i as u32);
                i += 1;
            }
        }
        Update { left, right, result: intern(&names), sources: sources.into() }
    })
}

fn subset(from: ShapeRef, keep: impl Fn(Symbol) -> bool) -> Subset {
    let mut names = Vec::with_capacity(from.len());
    let mut sources = Vec::with_capacity(from.len());
    for (slot, name) in from.names().iter().enumerate() {
        if keep(*name) {
            names.push(*name);
            sources.push(slot as u32);
        }
    }
    Subset { from, result: intern(&names), sources: sources.into() }
}

/// What removing the names of `removed` from `from` leaves.
pub fn removal(from: ShapeRef, removed: ShapeRef) -> &'static Subset {
    memo(&tables().removals, from, removed, || subset(from, |name| removed.find(name).is_none()))
}

/// Those slots of `right` whose names `left` has too: the result of `intersectAttrs left right`.
pub fn intersection(left: ShapeRef, right: ShapeRef) -> &'static Subset {
    memo(&tables().intersections, left, right, || {
        if left.len() * 8 < right.len() {
            let mut names = Vec::with_capacity(left.len());
            let mut sources = Vec::with_capacity(left.len());
            for name in left.names() {
                if let Some(slot) = right.find(*name) {
                    names.push(*name);
                    sources.push(slot as u32);
                }
            }
            Subset { from: right, result: intern(&names), sources: sources.into() }
        } else {
            subset(right, |name| left.find(name).is_some())
        }
    })
}
