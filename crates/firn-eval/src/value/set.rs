//! Attribute sets.
//!
//! * Flat: `[shape, provenance, words…]`.
//! * Layered: `[LAYERED, base, over, flat copy, length]`: `base // over` where `base` is wide and `over` small,
//!   so that neither is copied. The flat copy is made when somebody first needs all attributes in order.
//!
//! Where attributes were written is not part of the shape, or each literal would have one of its own. A set
//! carries its *provenance* instead: the positions of the literal, or how to find them through the operations
//! that made the set. It is only looked into for error messages and `unsafeGetAttrPos`.

use super::{TAG_MASK, TAG_SET, Value, load, slot, store};
use crate::heap::Heap;
use crate::position::PosId;
use crate::shape::{self, FROM_RIGHT, Shape, ShapeRef, Subset, Update};
use firn_syntax::Symbol;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// A set's cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Set(*const u64);

const HEADER: usize = 2;
/// Where a shape's address stands, in layered sets.
const LAYERED: u64 = 1;
const BASE: usize = 1;
const OVER: usize = 2;
const FLAT: usize = 3;
const LENGTH: usize = 4;

/// From this size on the left operand of `//` is worth keeping as a layer.
const WIDE: usize = 32;
/// A layer may have one attribute for this many of the base.
const LAYER_SHARE: usize = 4;

/// Where a set's attributes were written: nothing, or a kind and an address in one word.
///
/// * `LITERAL`: the positions, one for each slot, and that of the whole.
/// * `UPDATED`: `[how, left's provenance, right's provenance]`
/// * `REDUCED`: `[how, provenance]`
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Provenance(u64);

const LITERAL: u64 = 1;
const UPDATED: u64 = 2;
const REDUCED: u64 = 3;

impl Provenance {
    /// Nobody wrote the attributes.
    pub const NONE: Provenance = Provenance(0);

    /// The positions of a literal, one for each slot, and where it begins.
    pub(crate) fn literal(heap: &mut Heap, positions: &[PosId], whole: PosId) -> Provenance {
        const { assert!(size_of::<PosId>() == 4 && align_of::<PosId>() <= 8) };
        let at = heap.words((positions.len() + 1).div_ceil(2));
        // SAFETY: freshly allocated with room for two positions a word.
        unsafe {
            std::ptr::copy_nonoverlapping(positions.as_ptr(), at.cast(), positions.len());
            at.cast::<PosId>().add(positions.len()).write(whole);
        }
        Provenance(at as u64 | LITERAL)
    }

    fn updated(heap: &mut Heap, how: &'static Update, l: Provenance, r: Provenance) -> Provenance {
        if l == Provenance::NONE && r == Provenance::NONE {
            return Provenance::NONE;
        }
        let at = heap.words(3);
        // SAFETY: freshly allocated with three words.
        unsafe {
            *at = std::ptr::from_ref(how) as u64;
            *at.add(1) = l.0;
            *at.add(2) = r.0;
        }
        Provenance(at as u64 | UPDATED)
    }

    fn reduced(heap: &mut Heap, how: &'static Subset, from: Provenance) -> Provenance {
        if from == Provenance::NONE {
            return from;
        }
        let at = heap.words(2);
        // SAFETY: freshly allocated with two words.
        unsafe {
            *at = std::ptr::from_ref(how) as u64;
            *at.add(1) = from.0;
        }
        Provenance(at as u64 | REDUCED)
    }

    /// Where a literal with this many slots begins.
    fn whole(self, slots: usize) -> PosId {
        if self.0 & TAG_MASK != LITERAL {
            return PosId::NONE;
        }
        // SAFETY: the position of the whole is behind those of the slots.
        unsafe { *((self.0 & !TAG_MASK) as *const PosId).add(slots) }
    }

    /// Where the attribute of this slot was written. The slot must be one of the set's.
    fn position(mut self, mut i: usize) -> PosId {
        loop {
            let at = (self.0 & !TAG_MASK) as *const u64;
            // SAFETY: the functions above made the word, with the cell that belongs to each kind; all live
            // forever.
            unsafe {
                match self.0 & TAG_MASK {
                    LITERAL => return *at.cast::<PosId>().add(i),
                    UPDATED => {
                        let source = (*(*at as *const Update)).sources[i];
                        i = (source & !FROM_RIGHT) as usize;
                        self = Provenance(*at.add(if source & FROM_RIGHT == 0 { 1 } else { 2 }));
                    }
                    REDUCED => {
                        i = (*(*at as *const Subset)).sources[i] as usize;
                        self = Provenance(*at.add(1));
                    }
                    _ => return PosId::NONE,
                }
            }
        }
    }
}

impl Set {
    /// # Safety
    /// The word must come from [`Set::value`].
    #[inline(always)]
    pub(crate) unsafe fn from_word(word: u64) -> Set {
        Set((word & !TAG_MASK) as *const u64)
    }

    /// The set as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value(self.0 as u64 | TAG_SET)
    }

    #[inline(always)]
    fn word(self, i: usize) -> u64 {
        // SAFETY: callers stay within the cell; these words do not change (except FLAT, read by `flat`).
        unsafe { *self.0.add(i) }
    }

    /// The set without attributes.
    pub fn empty() -> Set {
        static EMPTY: OnceLock<[u64; 2]> = OnceLock::new();
        Set(EMPTY.get_or_init(|| [std::ptr::from_ref(shape::empty()) as u64, 0]).as_ptr())
    }

    /// A flat set whose slots the caller stores with [`Set::init`] before anyone else sees it.
    #[inline(always)]
    pub(crate) fn room(heap: &mut Heap, shape: ShapeRef, provenance: Provenance) -> Set {
        let at = heap.words(HEADER + shape.len());
        // SAFETY: freshly allocated with at least two words.
        unsafe {
            *at = std::ptr::from_ref(shape) as u64;
            *at.add(1) = provenance.0;
        }
        Set(at)
    }

    /// Stores a slot of a flat set.
    #[inline(always)]
    pub(crate) fn init(self, i: usize, value: Value) {
        debug_assert!(self.shape().is_some_and(|s| i < s.len()));
        // SAFETY: only called for flat sets with a slot of their shape.
        store(unsafe { slot(self.0.add(HEADER + i)) }, value);
    }

    /// A slot of a flat set.
    #[inline(always)]
    pub(crate) fn slot(self, i: usize) -> Value {
        debug_assert!(self.shape().is_some_and(|s| i < s.len()));
        // SAFETY: as in `init`.
        load(unsafe { slot(self.0.add(HEADER + i)) })
    }

    /// The address that inline caches compare: the shape's, or one that no shape has.
    #[inline(always)]
    pub(crate) fn shape_word(self) -> u64 {
        self.word(0)
    }

    /// The shape of a flat set.
    #[inline(always)]
    pub fn shape(self) -> Option<ShapeRef> {
        match self.word(0) {
            LAYERED => None,
            // SAFETY: flat sets begin with the address of a shape.
            word => Some(unsafe { &*(word as *const Shape) }),
        }
    }

    fn layers(self) -> (Set, Set) {
        // SAFETY: only called for layered sets.
        unsafe { (Set::from_word(self.word(BASE)), Set::from_word(self.word(OVER))) }
    }

    /// The number of attributes.
    #[inline]
    pub fn len(self) -> usize {
        match self.shape() {
            Some(shape) => shape.len(),
            None => self.word(LENGTH) as usize,
        }
    }

    /// Whether there are no attributes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// An attribute, perhaps a thunk.
    #[inline]
    pub fn get(self, name: Symbol) -> Option<Value> {
        let mut set = self;
        loop {
            match set.shape() {
                Some(shape) => return shape.find(name).map(|i| set.slot(i)),
                None => {
                    let (base, over) = set.layers();
                    if let Some(v) = over.get(name) {
                        return Some(v);
                    }
                    set = base;
                }
            }
        }
    }

    /// Whether there is such an attribute.
    pub fn has(self, name: Symbol) -> bool {
        self.get(name).is_some()
    }

    /// Where the set was written, if it is as it was written.
    pub fn written(self) -> PosId {
        match self.shape() {
            Some(_) => Provenance(self.word(1)).whole(self.len()),
            None => PosId::NONE,
        }
    }

    /// Where an attribute was written.
    pub fn position(self, name: Symbol) -> PosId {
        let mut set = self;
        loop {
            match set.shape() {
                Some(shape) => {
                    return match shape.find(name) {
                        Some(i) => Provenance(set.word(1)).position(i),
                        None => PosId::NONE,
                    };
                }
                None => {
                    let (base, over) = set.layers();
                    set = if over.has(name) { over } else { base };
                }
            }
        }
    }

    /// The same set as a flat one.
    pub fn flat(self, heap: &mut Heap) -> Set {
        if self.shape().is_some() {
            return self;
        }
        // SAFETY: FLAT is a word of every layered set's cell.
        let cache = unsafe { slot(self.0.add(FLAT)) };
        let known = cache.load(Ordering::Acquire);
        if known != 0 {
            // SAFETY: only words of sets are stored below.
            return unsafe { Set::from_word(known) };
        }
        let (base, over) = self.layers();
        let base = base.flat(heap);
        let over = over.flat(heap);
        let flat = Set::update_flat(heap, base, over);
        cache.store(flat.value().0, Ordering::Release);
        flat
    }

    fn update_flat(heap: &mut Heap, left: Set, right: Set) -> Set {
        let (Some(l), Some(r)) = (left.shape(), right.shape()) else {
            unreachable!("both operands are flat");
        };
        Set::update_by(heap, shape::update(l, r), left, right)
    }

    /// `left // right` for flat sets of the shapes in `how`.
    #[inline]
    pub(crate) fn update_by(heap: &mut Heap, how: &'static Update, left: Set, right: Set) -> Set {
        let provenance =
            Provenance::updated(heap, how, Provenance(left.word(1)), Provenance(right.word(1)));
        let set = Set::room(heap, how.result, provenance);
        for (i, source) in how.sources.iter().enumerate() {
            let from = if source & FROM_RIGHT == 0 { left } else { right };
            set.init(i, from.slot((source & !FROM_RIGHT) as usize));
        }
        set
    }

    /// Whether `self // right` should keep `self` as it is under a layer.
    #[inline]
    pub(crate) fn takes_layer(self, right: Set) -> bool {
        let n = self.len();
        n >= WIDE && right.len() * LAYER_SHARE <= n
    }

    /// `left // right`.
    pub fn update(heap: &mut Heap, left: Set, right: Set) -> Set {
        if right.is_empty() {
            return left;
        }
        if left.is_empty() {
            return right;
        }
        if left.takes_layer(right) {
            return Set::layered(heap, left, right);
        }
        let left = left.flat(heap);
        let right = right.flat(heap);
        Set::update_flat(heap, left, right)
    }

    fn layered(heap: &mut Heap, left: Set, right: Set) -> Set {
        let (mut base, mut over) = (left, right.flat(heap));
        let mut length = left.len();
        if let Some(shape) = over.shape() {
            length += shape.names().iter().filter(|name| !left.has(**name)).count();
        }
        if left.shape().is_none() {
            // SAFETY: FLAT is a word of every layered set's cell.
            let flat = unsafe { slot(left.0.add(FLAT)) }.load(Ordering::Acquire);
            if flat != 0 {
                // SAFETY: as in `flat`.
                base = unsafe { Set::from_word(flat) };
            } else {
                // One layer only: the two small ones become one.
                let (below, middle) = left.layers();
                over = Set::update_flat(heap, middle, over);
                base = below;
                if over.len() * LAYER_SHARE > base.len() {
                    return Set::update_flat(heap, base, over);
                }
            }
        }
        let at = heap.words(5);
        // SAFETY: freshly allocated with five words.
        unsafe {
            *at = LAYERED;
            *at.add(BASE) = base.value().0;
            *at.add(OVER) = over.value().0;
            *at.add(LENGTH) = length as u64;
        }
        Set(at)
    }

    /// Those attributes of a flat set that `how` keeps.
    pub(crate) fn subset(self, heap: &mut Heap, how: &'static Subset) -> Set {
        if how.sources.len() == how.from.len() {
            return self;
        }
        let provenance = Provenance::reduced(heap, how, Provenance(self.word(1)));
        let set = Set::room(heap, how.result, provenance);
        for (i, source) in how.sources.iter().enumerate() {
            set.init(i, self.slot(*source as usize));
        }
        set
    }

    /// The attributes with their slots in the order of the names' bytes.
    pub fn sorted(
        self,
        heap: &mut Heap,
    ) -> impl ExactSizeIterator<Item = (Symbol, Value)> + Clone + use<> {
        let flat = self.flat(heap);
        let shape = flat.shape().unwrap_or(shape::empty());
        shape.order().iter().map(move |i| (shape.names()[*i as usize], flat.slot(*i as usize)))
    }

    /// The attributes in the order of symbols, which is unspecified but the same for equal sets of names.
    pub fn iter(
        self,
        heap: &mut Heap,
    ) -> impl ExactSizeIterator<Item = (Symbol, Value)> + Clone + use<> {
        let flat = self.flat(heap);
        let shape = flat.shape().unwrap_or(shape::empty());
        shape.names().iter().enumerate().map(move |(i, name)| (*name, flat.slot(i)))
    }

    /// Stores the value of a thunk that was found in a slot.
    #[inline(always)]
    pub(crate) fn resolve(self, i: usize, value: Value) {
        self.init(i, value);
    }
}

/// Collects attributes in any order; of several with one name the first stays.
#[derive(Default)]
pub struct SetBuilder {
    attrs: Vec<(Symbol, Value, PosId)>,
}

impl SetBuilder {
    /// An empty collection with room for `n` attributes.
    pub fn with_capacity(n: usize) -> SetBuilder {
        SetBuilder { attrs: Vec::with_capacity(n) }
    }

    /// Adds an attribute.
    #[inline]
    pub fn push(&mut self, name: Symbol, value: Value) {
        self.attrs.push((name, value, PosId::NONE));
    }

    /// Adds an attribute with the place where it was written.
    pub fn push_at(&mut self, name: Symbol, value: Value, pos: PosId) {
        self.attrs.push((name, value, pos));
    }

    /// The set.
    pub fn finish(mut self, heap: &mut Heap) -> Set {
        if self.attrs.is_empty() {
            return Set::empty();
        }
        if !self.attrs.is_sorted_by_key(|(name, ..)| *name) {
            self.attrs.sort_by_key(|(name, ..)| *name);
        }
        self.attrs.dedup_by_key(|(name, ..)| *name);
        let names: Vec<Symbol> = self.attrs.iter().map(|(name, ..)| *name).collect();
        let provenance = if self.attrs.iter().any(|(.., pos)| pos.is_some()) {
            let positions: Vec<PosId> = self.attrs.iter().map(|(.., pos)| *pos).collect();
            Provenance::literal(heap, &positions, PosId::NONE)
        } else {
            Provenance::NONE
        };
        let set = Set::room(heap, shape::intern(&names), provenance);
        for (i, (_, value, _)) in self.attrs.iter().enumerate() {
            set.init(i, *value);
        }
        set
    }
}

impl Set {
    /// The set without one attribute.
    pub(crate) fn subset_without(self, heap: &mut Heap, name: Symbol) -> Set {
        let flat = self.flat(heap);
        match flat.shape() {
            Some(shape) => flat.subset(heap, shape::removal(shape, shape::intern(&[name]))),
            None => flat,
        }
    }
}
