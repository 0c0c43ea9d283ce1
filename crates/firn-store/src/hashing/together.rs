//! SHA-256 of several streams at a time, where that takes hardly longer than one: pieces of all streams of this process wait in
//! one queue. A thread takes as many as there are lanes; a stream whose last piece still waits when it has the
//! next does the same itself.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Once};

use firn_model::hash::Sha256Stream;
use parking_lot::{Condvar, Mutex};

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

/// Hashes the pieces that wait, as many as there are lanes. False if there are none.
fn work() -> bool {
    let mut jobs: Vec<Job> = {
        let mut waiting = QUEUE.jobs.lock();
        let count = waiting.len().min(*LANES);
        waiting.drain(..count).collect()
    };
    if jobs.is_empty() {
        return false;
    }
    let mut pieces: Vec<(&mut Sha256Stream, &[u8])> =
        jobs.iter_mut().map(|job| (&mut job.stream, &job.piece[..])).collect();
    Sha256Stream::update_all(&mut pieces);
    for Job { stream, piece, answer } in jobs {
        *answer.done.lock() = Some((stream, piece));
        answer.changed.notify_one();
    }
    true
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
            work();
        }
    });
}

/// A stream whose pieces are hashed together with those of others.
#[derive(Default)]
pub(super) struct Together {
    answer: Arc<Answer>,
    /// The state, unless a piece waits.
    stream: Option<Sha256Stream>,
    waiting: bool,
}

impl Together {
    /// Whether this processor gains from it.
    pub(super) fn pays() -> bool {
        *LANES > 1
    }

    /// Hashes a piece of whole blocks some time. Gives a buffer to use again.
    pub(super) fn put(&mut self, piece: Vec<u8>) -> Vec<u8> {
        THREAD.call_once(start_thread);
        let buffer = self.wait();
        let job = Job {
            stream: self.stream.take().unwrap_or_default(),
            piece,
            answer: Arc::clone(&self.answer),
        };
        QUEUE.jobs.lock().push_back(job);
        QUEUE.changed.notify_one();
        self.waiting = true;
        buffer
    }

    /// Waits until the piece is hashed.
    fn wait(&mut self) -> Vec<u8> {
        if !self.waiting {
            return Vec::new();
        }
        loop {
            let mut done = self.answer.done.lock();
            if done.is_none() {
                drop(done);
                if work() {
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
                self.waiting = false;
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
