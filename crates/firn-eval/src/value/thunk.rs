//! Thunks, functions, and the environments they close over.
//!
//! * Thunk: `[state, environment]` or `[APPLY_n, function, arguments…]`. The state is the address of the
//!   expression's node or `APPLY_n` while nothing has happened, a busy word with the evaluating thread's
//!   number during evaluation, and then the result.
//! * Mapping: `[function, source, states…]`: the thunks of `mapAttrs`, `map` or `genList`, one word each. An
//!   untouched state is `MAPPED` and the thunk's place, which leads back to the function.
//! * Function: `[lambda, environment]`.
//! * Environment: `[parent and CAPTURED, slots…]`. As long as it is not captured, nothing on the heap has
//!   its address, so that a call may give its environment back when it is done.

use super::{TAG_FUNCTION, TAG_MASK, TAG_THUNK, Value, load, slot, store};
use crate::compile::{Lambda, Node};
use crate::heap::Heap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thunk's cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Thunk(*const u64);

/// States below this are no addresses but the number of arguments, times 8, of an application.
const APPLICATIONS: u64 = 64;

/// Marks a state that is the place of a thunk in its mapping, times 8.
const MAPPED: u64 = 1 << 63;

/// Words of a mapping before its states.
const MAPPING_HEADER: usize = 2;

/// What a thunk is at the moment.
pub enum State {
    /// Evaluated.
    Done(Value),
    /// Being evaluated by this thread.
    Busy(u32),
    /// An expression to evaluate.
    Code(&'static Node),
    /// A function to apply to this many arguments.
    Apply(usize),
    /// A function to apply to the element of a mapping's source at this place.
    Mapped(usize),
}

impl Thunk {
    /// # Safety
    /// The word must come from [`Thunk::value`].
    #[inline(always)]
    pub(crate) unsafe fn from_word(word: u64) -> Thunk {
        Thunk(word as *const u64)
    }

    /// The thunk as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value(self.0 as u64 | TAG_THUNK)
    }

    /// A thunk of an expression in an environment.
    #[inline(always)]
    pub(crate) fn new(heap: &mut Heap, code: &'static Node, env: Env) -> Thunk {
        let at = heap.words(2);
        // SAFETY: freshly allocated with two words.
        unsafe {
            *at = std::ptr::from_ref(code) as u64;
            *at.add(1) = env.capture();
        }
        Thunk(at)
    }

    /// `n` thunks that each apply `function` to what stands at their place in `source`: an attribute's name
    /// and value, an element of a list, or the place itself where `source` is neither.
    pub(crate) fn mapping(
        heap: &mut Heap,
        function: Value,
        source: Value,
        n: usize,
    ) -> impl ExactSizeIterator<Item = Value> + use<> {
        let at = heap.words(MAPPING_HEADER + n);
        // SAFETY: freshly allocated with that many words.
        unsafe {
            *at = function.0;
            *at.add(1) = source.0;
            for i in 0..n {
                *at.add(MAPPING_HEADER + i) = MAPPED | (i as u64 * 8);
            }
        }
        (0..n).map(move |i| {
            // SAFETY: within the cell.
            Thunk(unsafe { at.add(MAPPING_HEADER + i) }).value()
        })
    }

    /// A thunk of `function arguments…` (at most 7).
    #[inline]
    pub(crate) fn apply(heap: &mut Heap, function: Value, args: &[Value]) -> Thunk {
        assert!(!args.is_empty() && (args.len() as u64) < APPLICATIONS / 8);
        let at = heap.words(2 + args.len());
        // SAFETY: freshly allocated with that many words; `Value` is a transparent u64.
        unsafe {
            *at = args.len() as u64 * 8;
            *at.add(1) = function.0;
            std::ptr::copy_nonoverlapping(args.as_ptr().cast(), at.add(2), args.len());
        }
        Thunk(at)
    }

    /// What the thunk is now.
    #[inline(always)]
    pub(crate) fn state(self) -> State {
        let word = self.state_word();
        if word & TAG_MASK != TAG_THUNK {
            match Value(word).busy_owner() {
                Some(owner) => State::Busy(owner),
                None => State::Done(Value(word)),
            }
        } else if word < APPLICATIONS {
            State::Apply(word as usize / 8)
        } else if word & MAPPED != 0 {
            State::Mapped((word & !MAPPED) as usize / 8)
        } else {
            // SAFETY: only `new` stores such words, and nodes live forever.
            State::Code(unsafe { &*(word as *const Node) })
        }
    }

    #[inline(always)]
    pub(crate) fn state_word(self) -> u64 {
        // SAFETY: the first word of the cell.
        unsafe { slot(self.0) }.load(Ordering::Acquire)
    }

    /// The value, if it has been evaluated.
    #[inline(always)]
    pub fn done(self) -> Option<Value> {
        let word = self.state_word();
        if word & TAG_MASK != TAG_THUNK && Value(word).busy_owner().is_none() {
            Some(Value(word))
        } else {
            None
        }
    }

    /// Sets the state from `from` to busy; false if another thread was faster.
    #[inline(always)]
    pub(crate) fn claim(self, from: u64, owner: u32, shared: bool) -> bool {
        // SAFETY: the first word of the cell.
        let state = unsafe { slot(self.0) };
        let busy = Value::busy(owner).0;
        if shared {
            state.compare_exchange(from, busy, Ordering::AcqRel, Ordering::Acquire).is_ok()
        } else {
            state.store(busy, Ordering::Relaxed);
            true
        }
    }

    /// Publishes the result, or the original state after an error. Says whether a thread waits for it, which
    /// only happens if `shared`.
    #[inline(always)]
    #[must_use]
    pub(crate) fn finish(self, word: u64, shared: bool) -> bool {
        // SAFETY: the first word of the cell.
        let state = unsafe { slot(self.0) };
        if shared {
            Value(state.swap(word, Ordering::AcqRel)).is_awaited()
        } else {
            state.store(word, Ordering::Release);
            false
        }
    }

    /// Marks a busy thunk as awaited; false if it is not busy any more.
    pub(crate) fn wait(self) -> bool {
        // SAFETY: the first word of the cell.
        let state = unsafe { slot(self.0) };
        let wait = |word| Value(word).busy_owner().map(|_| Value(word).awaited().0);
        state.fetch_update(Ordering::AcqRel, Ordering::Acquire, wait).is_ok()
    }

    /// The environment of a thunk of an expression.
    #[inline(always)]
    pub(crate) fn env(self) -> Env {
        // SAFETY: the second word of the cell, which never changes.
        Env(unsafe { *self.0.add(1) } as *const u64)
    }

    /// The function and the source of a thunk at place `i` of what [`Thunk::mapping`] made.
    #[inline]
    pub(crate) fn mapped(self, i: usize) -> (Value, Value) {
        // SAFETY: `mapping` laid the words out, and the first two never change.
        unsafe {
            let at = self.0.sub(MAPPING_HEADER + i);
            (Value(*at), Value(*at.add(1)))
        }
    }

    /// The function and the arguments of a thunk that [`Thunk::apply`] made.
    #[inline]
    pub(crate) fn application(self, n: usize) -> (Value, &'static [Value]) {
        // SAFETY: `apply` allocated these words, and they never change.
        unsafe { (Value(*self.0.add(1)), std::slice::from_raw_parts(self.0.add(2).cast(), n)) }
    }
}

/// A function's cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Function(*const u64);

impl Function {
    /// # Safety
    /// The word must come from [`Function::value`].
    #[inline(always)]
    pub(crate) unsafe fn from_word(word: u64) -> Function {
        Function((word & !TAG_MASK) as *const u64)
    }

    /// The function as a value.
    #[inline(always)]
    pub fn value(self) -> Value {
        Value(self.0 as u64 | TAG_FUNCTION)
    }

    /// A function with the environment it was written in.
    #[inline(always)]
    pub(crate) fn new(heap: &mut Heap, lambda: &'static Lambda, env: Env) -> Function {
        let at = heap.words(2);
        // SAFETY: freshly allocated with two words.
        unsafe {
            *at = std::ptr::from_ref(lambda) as u64;
            *at.add(1) = env.capture();
        }
        Function(at)
    }

    /// The code.
    #[inline(always)]
    pub fn lambda(self) -> &'static Lambda {
        // SAFETY: `new` stored the address of a lambda, which lives forever.
        unsafe { &*(*self.0 as *const Lambda) }
    }

    /// The environment.
    #[inline(always)]
    pub(crate) fn env(self) -> Env {
        // SAFETY: the second word of the cell.
        Env(unsafe { *self.0.add(1) } as *const u64)
    }
}

/// An environment's cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Env(pub(super) *const u64);

/// Set in an environment's first word once a thunk, a function or another environment refers to it.
const CAPTURED: u64 = 1;

/// The environment of what needs none.
static NOWHERE: AtomicU64 = AtomicU64::new(CAPTURED);

impl Env {
    /// No environment: what constants are evaluated in.
    pub const NONE: Env = Env(NOWHERE.as_ptr());

    /// An environment with `slots` unset slots.
    #[inline(always)]
    pub(crate) fn new(heap: &mut Heap, parent: Env, slots: u32) -> Env {
        let at = heap.frame(slots as usize + 1);
        // SAFETY: freshly allocated.
        unsafe { *at = parent.capture() };
        Env(at)
    }

    /// The address, for a cell that refers to the environment.
    #[inline(always)]
    fn capture(self) -> u64 {
        // SAFETY: the first word of the cell. Other threads only know environments that are captured
        // already, and to those nothing is stored.
        let word = unsafe { slot(self.0) };
        let parent = word.load(Ordering::Relaxed);
        if parent & CAPTURED == 0 {
            word.store(parent | CAPTURED, Ordering::Relaxed);
        }
        self.0 as u64
    }

    /// Gives the memory of an environment with `slots` slots back, if nothing refers to it.
    ///
    /// # Safety
    /// `heap` must have made it, and the caller must not use it any more.
    #[inline(always)]
    pub(crate) unsafe fn release(self, heap: &mut Heap, slots: u32) {
        // SAFETY: the first word of the cell.
        if unsafe { *self.0 } & CAPTURED == 0 {
            // SAFETY: by the caller's promise and since nothing on the heap has the address.
            unsafe { heap.reuse(self.0.cast_mut(), slots as usize + 1) };
        }
    }

    /// The environment `depth` levels out.
    ///
    /// # Safety
    /// There must be that many.
    #[inline(always)]
    pub(crate) unsafe fn up(self, depth: u32) -> Env {
        let mut at = self.0;
        for _ in 0..depth {
            // SAFETY: by the caller's promise, `at` is an environment with a parent.
            at = (unsafe { slot(at) }.load(Ordering::Relaxed) & !CAPTURED) as *const u64;
        }
        Env(at)
    }

    /// A slot's value, unset if nothing was stored yet.
    ///
    /// # Safety
    /// The environment must have been made with more than `i` slots.
    #[inline(always)]
    pub(crate) unsafe fn get(self, i: u32) -> Value {
        // SAFETY: by the caller's promise.
        load(unsafe { slot(self.0.add(1 + i as usize)) })
    }

    /// Stores into a slot.
    ///
    /// # Safety
    /// As for [`Env::get`].
    #[inline(always)]
    pub(crate) unsafe fn set(self, i: u32, value: Value) {
        // SAFETY: by the caller's promise.
        store(unsafe { slot(self.0.add(1 + i as usize)) }, value);
    }
}
