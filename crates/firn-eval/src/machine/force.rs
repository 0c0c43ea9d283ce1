//! Forcing thunks, also while other threads do.

use super::Vm;
use crate::compile::Node;
use crate::error::{Error, Kind, Result};
use crate::position::PosId;
use crate::value::{Env, State, Str, Thunk, Value};
use parking_lot::{Condvar, Mutex};
use std::time::Duration;

impl Vm {
    /// The value, evaluated if it was not.
    #[inline(always)]
    pub fn force(&mut self, value: Value, pos: PosId) -> Result<Value> {
        match value.as_thunk() {
            None => Ok(value),
            Some(thunk) => self.force_thunk(thunk, pos),
        }
    }

    #[inline(always)]
    pub(crate) fn force_thunk(&mut self, thunk: Thunk, pos: PosId) -> Result<Value> {
        match thunk.done() {
            Some(value) => Ok(value),
            None => self.run_thunk(thunk, pos),
        }
    }

    #[inline(never)]
    fn run_thunk(&mut self, thunk: Thunk, pos: PosId) -> Result<Value> {
        loop {
            let word = thunk.state_word();
            let result = match thunk.state() {
                State::Done(value) => return Ok(value),
                State::Busy(owner) => {
                    self.wait(thunk, owner, pos)?;
                    continue;
                }
                State::Code(node) => {
                    self.check_stack(pos)?;
                    if !thunk.claim(word, self.thread, self.concurrent) {
                        continue;
                    }
                    // What failed has no environment, whatever it was before.
                    let failed = matches!(node, Node::Failed(_));
                    self.eval(node, if failed { Env::NONE } else { thunk.env() })
                }
                State::Apply(n) => {
                    self.check_stack(pos)?;
                    if !thunk.claim(word, self.thread, self.concurrent) {
                        continue;
                    }
                    let (function, args) = thunk.application(n);
                    self.apply(function, args, pos)
                }
                State::Mapped(i) => {
                    self.check_stack(pos)?;
                    if !thunk.claim(word, self.thread, self.concurrent) {
                        continue;
                    }
                    self.apply_mapped(thunk, i, pos)
                }
            };
            self.stats.thunks += 1;
            return match result {
                Ok(value) => {
                    debug_assert!(!value.is_thunk());
                    if thunk.finish(value.0, self.concurrent) {
                        wake();
                    }
                    Ok(value)
                }
                Err(error) => {
                    // As it was, so that another attempt gives the same error.
                    let awaited = thunk.finish(word, self.concurrent);
                    if self.catching > 0 && error.is_catchable() {
                        self.failed.push((thunk, word));
                    }
                    if awaited {
                        wake();
                    }
                    Err(if error.kind() == Kind::InfiniteRecursion {
                        error.or_at(pos)
                    } else {
                        error
                    })
                }
            };
        }
    }

    fn apply_mapped(&mut self, thunk: Thunk, i: usize, pos: PosId) -> Result<Value> {
        let (function, source) = thunk.mapped(i);
        if let Some(list) = source.as_list() {
            return self.apply(function, &[list.get(i)], pos);
        }
        match source.as_set().and_then(|set| set.shape().map(|shape| (set, shape))) {
            Some((set, shape)) => {
                let name = Str::of_symbol(&mut self.heap, shape.names()[i]).value();
                self.apply(function, &[name, set.slot(i)], pos)
            }
            None => {
                let i = self.int(i as i64);
                self.apply(function, &[i], pos)
            }
        }
    }

    /// Remembers in the thunks that failed since `from` that they did so with this error, which `tryEval`
    /// catches: they are not evaluated again.
    pub(crate) fn remember_failure(&mut self, from: usize, error: Error) {
        if self.failed.len() == from {
            return;
        }
        let error: &'static Error = Box::leak(Box::new(error));
        let node: &'static Node = Box::leak(Box::new(Node::Failed(error)));
        for (thunk, word) in self.failed.drain(from..) {
            // Another thread may be at it again.
            if thunk.state_word() == word
                && thunk.claim(word, self.thread, self.concurrent)
                && thunk.finish(std::ptr::from_ref(node) as u64, self.concurrent)
            {
                wake();
            }
        }
    }

    /// Waits until another thread is done with a thunk.
    #[cold]
    fn wait(&mut self, thunk: Thunk, owner: u32, pos: PosId) -> Result<()> {
        let recursion =
            || Error::new(Kind::InfiniteRecursion, "infinite recursion encountered").at(pos);
        if owner == self.thread {
            return Err(recursion());
        }
        self.shared.pool.waits(self.helper);
        let result = self.wait_for(thunk, owner, pos, recursion);
        self.shared.pool.goes_on(self.helper);
        result
    }

    fn wait_for(
        &self,
        thunk: Thunk,
        owner: u32,
        pos: PosId,
        recursion: impl Fn() -> Error,
    ) -> Result<()> {
        let mut waits = WAITS.lock();
        while matches!(thunk.state(), State::Busy(now) if now == owner) {
            // Who waits for whom: a circle that comes back to us is an infinite recursion. A thread
            // whose thunk is done but which has not been woken yet waits for nobody. The first thread leaves
            // it to the helper in the circle to give up: then it meets the recursion where it would without.
            let mut at = owner;
            while !(self.first && self.concurrent)
                && let Some(wait) = waits.iter().find(|wait| wait.waiter == at)
            {
                if !matches!(wait.thunk.state(), State::Busy(now) if now == wait.owner) {
                    break;
                }
                at = wait.owner;
                if at == self.thread {
                    return Err(recursion());
                }
                if at == owner {
                    // A circle of others, who will find it.
                    break;
                }
            }
            self.check_stack(pos)?;
            if !thunk.wait() {
                break;
            }
            waits.push(Wait { waiter: self.thread, owner, thunk });
            // The timeout is for circles and for being told to stop.
            WOKEN.wait_for(&mut waits, Duration::from_millis(1));
            waits.retain(|wait| wait.waiter != self.thread);
        }
        Ok(())
    }
}

/// A thread that waits for another to finish a thunk.
struct Wait {
    waiter: u32,
    owner: u32,
    thunk: Thunk,
}

// SAFETY: a thunk's cell is made of atomics for just this; it outlives the wait, since the waiting
// thread holds the evaluator whose heap it is in.
unsafe impl Send for Wait {}

/// The threads that wait.
static WAITS: Mutex<Vec<Wait>> = Mutex::new(Vec::new());
static WOKEN: Condvar = Condvar::new();

#[cold]
#[inline(never)]
fn wake() {
    // With the lock nobody can be between looking at the state and waiting.
    let _waits = WAITS.lock();
    WOKEN.notify_all();
}
