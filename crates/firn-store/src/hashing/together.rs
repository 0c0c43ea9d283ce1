//! SHA-256 of several streams at a time, where that takes hardly longer than one: pieces of all streams of this process wait in
//! one queue until there are enough of them to fill the lanes.
//!
//! Few streams, and such as never meet, have a thread that hashes whatever comes at once, so that they need not wait. Many
//! streams do it themselves: who brings the piece that makes enough hashes all that wait. A stream that has its next
//! piece while the last one still waits is patient for a moment, in which the others come, and then hashes what there is.
//! How patient it is follows from whether that helped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Once};
use std::time::{Duration, Instant};

use firn_model::hash::Sha256Stream;
use parking_lot::{Condvar, Mutex};

/// Fewer pieces than this are not worth waiting for: side by side they take about as long as two or three do one after the other.
const FEW: usize = 4;
/// The longest that a piece waits for others, in microseconds.
const LONGEST: u32 = 16_000;
/// The shortest patience; it grows from there again when pieces meet.
const SHORTEST: u32 = 250;

/// A piece that waits.
struct Job {
    stream: Sha256Stream,
    piece: Vec<u8>,
    answer: Arc<Answer>,
}

/// Where a stream finds its state again, with the buffer of the piece.
#[derive(Default)]
struct Answer {
    done: Mutex<Option<(Sha256Stream, Vec<u8>)>>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<Job>>,
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

/// Hashes the pieces that wait, as many as there are lanes. Gives their number.
fn work() -> usize {
    let mut jobs: Vec<Job> = {
        let mut waiting = QUEUE.jobs.lock();
        let count = waiting.len().min(*LANES);
        waiting.drain(..count).collect()
    };
    if jobs.is_empty() {
        return 0;
    }
    let mut pieces: Vec<(&mut Sha256Stream, &[u8])> =
        jobs.iter_mut().map(|job| (&mut job.stream, &job.piece[..])).collect();
    Sha256Stream::update_all(&mut pieces);
    let count = jobs.len();
    for Job { stream, piece, answer } in jobs {
        *answer.done.lock() = Some((stream, piece));
        answer.changed.notify_one();
    }
    count
}

fn start_thread() {
    // where no thread can be made, the streams do it all themselves
    let _ = std::thread::Builder::new().name("hash".to_owned()).spawn(|| {
        loop {
            {
                let mut jobs = QUEUE.jobs.lock();
                while jobs.is_empty() {
                    QUEUE.changed.wait(&mut jobs);
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
    answer: Arc<Answer>,
    /// The state, unless a piece waits.
    stream: Option<Sha256Stream>,
    /// Since when a piece waits.
    waiting: Option<Instant>,
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
        let buffer = self.wait();
        let job = Job {
            stream: self.stream.take().unwrap_or_default(),
            piece,
            answer: Arc::clone(&self.answer),
        };
        let waiting = {
            let mut jobs = QUEUE.jobs.lock();
            jobs.push_back(job);
            jobs.len()
        };
        self.waiting = Some(Instant::now());
        let streams = STREAMS.load(Ordering::Relaxed);
        if streams >= FEW && waiting >= enough(streams, *PROCESSORS, *LANES) {
            learn(work());
        } else if streams < FEW || PATIENCE.load(Ordering::Relaxed) == SHORTEST {
            QUEUE.changed.notify_one();
        }
        buffer
    }

    /// Waits until the piece is hashed.
    fn wait(&mut self) -> Vec<u8> {
        let Some(since) = self.waiting.take() else { return Vec::new() };
        let patience = match STREAMS.load(Ordering::Relaxed) < FEW {
            true => 0,
            false => PATIENCE.load(Ordering::Relaxed),
        };
        let until = since + Duration::from_micros(patience.into());
        loop {
            let mut done = self.answer.done.lock();
            if done.is_none() && Instant::now() < until {
                self.answer.changed.wait_until(&mut done, until);
            }
            if done.is_none() {
                drop(done);
                let met = work();
                if met > 0 {
                    learn(met);
                    continue;
                }
                // nothing waits, so that somebody has it in work
                done = self.answer.done.lock();
                while done.is_none() {
                    self.answer.changed.wait(&mut done);
                }
            }
            if let Some((stream, buffer)) = done.take() {
                self.stream = Some(stream);
                return buffer;
            }
        }
    }

    /// The hash, with what follows the last piece.
    pub(super) fn finish(mut self, rest: &[u8]) -> [u8; 32] {
        self.wait();
        self.stream.take().unwrap_or_default().finish(rest)
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
