//! SHA-256 of several streams at a time, where that takes hardly longer than one: streams of this process whose pieces wait
//! stand in one queue, and whoever hashes takes as many of them as there are lanes.
//!
//! Few streams, and such as never meet, have a thread that hashes whatever comes at once, so that they need not wait. Many
//! streams do it themselves: who brings the piece that makes enough hashes those of all. A stream may be some pieces ahead,
//! since threads run one after the other where there are few processors. One that is further ahead is patient for a
//! moment, in which the others come, and then hashes what there is. How patient it is follows from whether that helped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Once};
use std::time::{Duration, Instant};

use firn_model::hash::Sha256Stream;
use parking_lot::{Condvar, Mutex};

/// Fewer pieces than this are not worth waiting for: side by side they take about as long as two or three do one after the other.
const FEW: usize = 4;
/// How many pieces of a stream may wait.
const AHEAD: usize = 4;
/// The longest that a piece waits for others, in microseconds.
const LONGEST: u32 = 16_000;
/// The shortest patience; it grows from there again when pieces meet.
const SHORTEST: u32 = 250;

/// A stream, as its owner and those who hash share it.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stream: Sha256Stream,
    /// The pieces that wait, each with the time when it came.
    pieces: VecDeque<(Vec<u8>, Instant)>,
    /// Whether it stands in the queue, or somebody has it in work.
    busy: bool,
    /// A buffer to use again.
    spare: Vec<u8>,
}

#[derive(Default)]
struct Queue {
    streams: Mutex<VecDeque<Arc<Shared>>>,
    changed: Condvar,
}

static QUEUE: LazyLock<Queue> = LazyLock::new(Queue::default);
static LANES: LazyLock<usize> = LazyLock::new(Sha256Stream::lanes);
static THREAD: Once = Once::new();
/// How many streams there are.
static STREAMS: AtomicUsize = AtomicUsize::new(0);
/// How long a piece waits for others, in microseconds.
static PATIENCE: AtomicU32 = AtomicU32::new(LONGEST);
static PROCESSORS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));

/// How many pieces are enough, with so many streams: nearly all of them where there are few processors. Many
/// processors would only wait for the one that hashes, so there the work is shared out.
fn enough(streams: usize, processors: usize, lanes: usize) -> usize {
    let share = streams * 3 / 2 / processors.max(2);
    share.clamp(FEW, lanes.max(FEW))
}

/// Hashes a piece of each stream in the queue, as many as there are lanes. Gives their number.
fn work() -> usize {
    let taken: Vec<Arc<Shared>> = {
        let mut waiting = QUEUE.streams.lock();
        let count = waiting.len().min(*LANES);
        waiting.drain(..count).collect()
    };
    if taken.is_empty() {
        return 0;
    }
    // nobody else touches them as long as they are busy
    let mut jobs: Vec<(Sha256Stream, Vec<u8>)> = taken
        .iter()
        .map(|shared| {
            let mut state = shared.state.lock();
            let piece = state.pieces.pop_front().map(|(piece, _)| piece).unwrap_or_default();
            (std::mem::take(&mut state.stream), piece)
        })
        .collect();
    let mut pieces: Vec<(&mut Sha256Stream, &[u8])> =
        jobs.iter_mut().map(|(stream, piece)| (stream, &piece[..])).collect();
    Sha256Stream::update_all(&mut pieces);
    for (shared, (stream, piece)) in taken.iter().zip(jobs) {
        let mut state = shared.state.lock();
        state.stream = stream;
        state.spare = piece;
        state.busy = !state.pieces.is_empty();
        if state.busy {
            QUEUE.streams.lock().push_back(Arc::clone(shared));
        }
        shared.changed.notify_one();
    }
    taken.len()
}

fn start_thread() {
    // where no thread can be made, the streams do it all themselves
    let _ = std::thread::Builder::new().name("hash".to_owned()).spawn(|| {
        loop {
            {
                let mut streams = QUEUE.streams.lock();
                while streams.is_empty() {
                    QUEUE.changed.wait(&mut streams);
                }
            }
            learn(work());
        }
    });
}

/// Notes how many pieces met.
fn learn(met: usize) {
    if STREAMS.load(Ordering::Relaxed) < FEW {
        return;
    }
    let patience = PATIENCE.load(Ordering::Relaxed);
    let next = match met {
        0 => return,
        _ if met < FEW => patience / 2,
        _ => patience.saturating_mul(2),
    };
    PATIENCE.store(next.clamp(SHORTEST, LONGEST), Ordering::Relaxed);
}

/// A stream whose pieces are hashed together with those of others.
#[derive(Default)]
pub(super) struct Together {
    shared: Arc<Shared>,
    /// Whether it is one of the streams that are counted.
    counted: bool,
}

impl Drop for Together {
    fn drop(&mut self) {
        if self.counted {
            STREAMS.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Together {
    /// Whether this processor gains from it.
    pub(super) fn pays() -> bool {
        *LANES > 1
    }

    /// Hashes a piece of whole blocks some time. Gives a buffer to use again.
    pub(super) fn put(&mut self, piece: Vec<u8>) -> Vec<u8> {
        THREAD.call_once(start_thread);
        if !self.counted {
            self.counted = true;
            STREAMS.fetch_add(1, Ordering::Relaxed);
        }
        self.wait(AHEAD - 1);
        let mut state = self.shared.state.lock();
        state.pieces.push_back((piece, Instant::now()));
        let spare = std::mem::take(&mut state.spare);
        let waiting = {
            let mut streams = QUEUE.streams.lock();
            if !state.busy {
                state.busy = true;
                streams.push_back(Arc::clone(&self.shared));
            }
            streams.len()
        };
        drop(state);
        let streams = STREAMS.load(Ordering::Relaxed);
        if streams >= FEW && waiting >= enough(streams, *PROCESSORS, *LANES) {
            learn(work());
        } else if streams < FEW || PATIENCE.load(Ordering::Relaxed) == SHORTEST {
            QUEUE.changed.notify_one();
        }
        spare
    }

    /// Waits until no more than so many pieces wait, and none is in work if that is none.
    fn wait(&mut self, left: usize) {
        let done = |state: &State| state.pieces.len() <= left && (left > 0 || !state.busy);
        loop {
            let mut state = self.shared.state.lock();
            if done(&state) {
                return;
            }
            let patience = match STREAMS.load(Ordering::Relaxed) < FEW {
                true => 0,
                false => PATIENCE.load(Ordering::Relaxed),
            };
            let since = state.pieces.back().map(|(_, since)| *since);
            let until = since.map(|since| since + Duration::from_micros(patience.into()));
            while !done(&state)
                && let Some(until) = until
                && Instant::now() < until
            {
                self.shared.changed.wait_until(&mut state, until);
            }
            if done(&state) {
                return;
            }
            drop(state);
            let met = work();
            if met > 0 {
                learn(met);
                continue;
            }
            // nobody stands in the queue, so that somebody has it in work
            let mut state = self.shared.state.lock();
            if !done(&state) {
                self.shared.changed.wait_for(&mut state, Duration::from_millis(5));
            }
        }
    }

    /// The hash, with what follows the last piece.
    pub(super) fn finish(mut self, rest: &[u8]) -> [u8; 32] {
        self.wait(0);
        std::mem::take(&mut self.shared.state.lock().stream).finish(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW, enough};

    #[test]
    fn lanes_are_filled_where_there_are_few_processors() {
        // streams, processors, lanes
        assert_eq!(enough(16, 2, 16), 12);
        assert_eq!(enough(16, 1, 16), 12);
        assert_eq!(enough(4, 2, 16), FEW);
        assert_eq!(enough(100, 2, 16), 16);
        assert_eq!(enough(100, 2, 8), 8);
        assert_eq!(enough(16, 16, 16), FEW);
    }
}
