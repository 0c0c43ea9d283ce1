//! Hashing beside other work: long streams are hashed by a thread of their own, so that reading and writing files does not
//! wait for it. Short ones are hashed where they are, for a thread costs more than they do. Where the processor can hash many
//! streams at once, those of one process share a thread (see `together`).

mod together;

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use firn_model::hash::{Hash, HashAlgo, Hasher, Sha256Stream};

use self::together::Together;

/// Size of a buffer in bytes.
const BUFFER: usize = 256 * 1024;
/// How much at the end of a long stream is hashed together with others, in bytes.
const WORTH_WAITING: usize = 16 * 1024;
/// How many full buffers may wait.
const WAITING: usize = 8;
/// What is hashed before a thread is started, in bytes.
const SHORT: u64 = 2 * 1024 * 1024;

/// Hashes what is written to it.
pub struct HashSink {
    state: State,
    /// What is not given to the hasher yet.
    buffer: Vec<u8>,
    len: u64,
}

enum State {
    Here(Hasher),
    Thread {
        full: SyncSender<Vec<u8>>,
        /// Buffers to use again.
        empty: Receiver<Vec<u8>>,
        thread: JoinHandle<Hasher>,
    },
    Together(Box<Together>),
    /// A thread that panicked has been reported.
    Failed,
}

impl HashSink {
    /// A sink that has seen nothing.
    #[must_use]
    pub fn new(algo: HashAlgo) -> Self {
        Self::with(algo, algo == HashAlgo::Sha256 && Together::pays())
    }

    fn with(algo: HashAlgo, together: bool) -> Self {
        let state = match together {
            true => State::Together(Box::default()),
            false => State::Here(Hasher::new(algo)),
        };
        Self { state, buffer: Vec::new(), len: 0 }
    }

    /// How many bytes it has seen.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has seen nothing yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The hash of everything seen.
    ///
    /// # Errors
    /// If the thread that hashes failed.
    pub fn finish(mut self) -> io::Result<Hash> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        let mut hasher = match state {
            State::Here(hasher) => hasher,
            State::Thread { full, thread, .. } => {
                drop(full);
                thread.join().map_err(|_| failed())?
            }
            State::Together(mut together) => {
                let whole = self.buffer.len() / Sha256Stream::BLOCK * Sha256Stream::BLOCK;
                let mut rest = &self.buffer[..];
                let end;
                if whole >= WORTH_WAITING && self.len >= BUFFER as u64 {
                    end = self.buffer.split_off(whole);
                    together.put(std::mem::take(&mut self.buffer));
                    rest = &end;
                }
                let digest = together.finish(rest);
                return Hash::from_bytes(HashAlgo::Sha256, &digest).map_err(io::Error::other);
            }
            State::Failed => return Err(failed()),
        };
        hasher.update(&self.buffer);
        Ok(hasher.finish())
    }

    /// Gives away the full buffer.
    fn send(&mut self) -> io::Result<()> {
        if let State::Here(hasher) = &mut self.state
            && (self.len < SHORT || one_processor())
        {
            hasher.update(&self.buffer);
            self.buffer.clear();
            return Ok(());
        }
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Here(hasher) => start(hasher)?,
            other => other,
        };
        let State::Thread { full, empty, .. } = &self.state else { return Err(failed()) };
        let mut next = empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
        next.clear();
        full.send(std::mem::replace(&mut self.buffer, next)).map_err(|_| failed())
    }
}

fn one_processor() -> bool {
    std::thread::available_parallelism().is_ok_and(|n| n.get() == 1)
}

fn failed() -> io::Error {
    io::Error::other("the thread that hashes failed")
}

fn start(mut hasher: Hasher) -> io::Result<State> {
    let (full, to_hash) = sync_channel::<Vec<u8>>(WAITING);
    let (hashed, empty) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("hash".to_owned()).spawn(move || {
        for buffer in to_hash {
            hasher.update(&buffer);
            // where nobody needs it, it is just freed
            let _ = hashed.try_send(buffer);
        }
        hasher
    })?;
    Ok(State::Thread { full, empty, thread })
}

impl Write for HashSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if let State::Here(hasher) = &mut self.state
            && self.len < SHORT
        {
            hasher.update(data);
            self.len += data.len() as u64;
            return Ok(data.len());
        }
        if let State::Together(together) = &mut self.state {
            // pieces of whole blocks
            let mut left = data;
            while self.buffer.len() + left.len() >= BUFFER {
                let (now, later) = left.split_at(BUFFER - self.buffer.len());
                self.buffer.extend_from_slice(now);
                left = later;
                self.buffer = together.put(std::mem::take(&mut self.buffer));
                self.buffer.clear();
                self.buffer.reserve_exact(BUFFER);
            }
            self.buffer.extend_from_slice(left);
            self.len += data.len() as u64;
            return Ok(data.len());
        }
        if self.buffer.len() + data.len() > BUFFER {
            self.send()?;
        }
        self.buffer.extend_from_slice(data);
        self.len += data.len() as u64;
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes what is read through it.
pub struct HashReader<R> {
    source: R,
    sink: HashSink,
}

impl<R: Read> HashReader<R> {
    /// Reads from `source`.
    pub fn new(source: R, algo: HashAlgo) -> Self {
        Self { source, sink: HashSink::new(algo) }
    }

    /// The hash of everything read, and its length in bytes.
    ///
    /// # Errors
    /// As [`HashSink::finish`].
    pub fn finish(self) -> io::Result<(Hash, u64)> {
        let len = self.sink.len();
        Ok((self.sink.finish()?, len))
    }
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(into)?;
        self.sink.write_all(&into[..got])?;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_streams_have_their_hashes() {
        let data: Vec<u8> = (0..5_000_000u32).map(|n| (n.wrapping_mul(7919) >> 8) as u8).collect();
        let lengths = [0, 1, 1000, BUFFER, SHORT as usize - 1, SHORT as usize + 1, 5_000_000];
        for len in lengths {
            let expected = Hash::digest(HashAlgo::Sha256, &data[..len]);
            for piece in [777, BUFFER - 1, BUFFER, BUFFER + 1, 3_000_000] {
                for together in [false, true] {
                    let mut sink = HashSink::with(HashAlgo::Sha256, together);
                    for piece in data[..len].chunks(piece) {
                        sink.write_all(piece).unwrap();
                    }
                    assert_eq!(sink.len(), len as u64);
                    assert_eq!(sink.finish().unwrap(), expected, "{len}, {piece}, {together}");
                }
            }
        }
        let mut reader = HashReader::new(&data[..], HashAlgo::Sha1);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let expected = (Hash::digest(HashAlgo::Sha1, &data), data.len() as u64);
        assert_eq!(reader.finish().unwrap(), expected);
    }

    #[test]
    fn many_streams_at_once() {
        let data: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(31) >> 3) as u8).collect();
        std::thread::scope(|scope| {
            for n in 0..40 {
                let data = &data[n * 1000..data.len() - n * 50_000];
                scope.spawn(move || {
                    let mut sink = HashSink::with(HashAlgo::Sha256, true);
                    for piece in data.chunks(100_000) {
                        sink.write_all(piece).unwrap();
                    }
                    let expected = Hash::digest(HashAlgo::Sha256, data);
                    assert_eq!(sink.finish().unwrap(), expected);
                    // one that is given up leaves nobody waiting
                    let mut sink = HashSink::with(HashAlgo::Sha256, true);
                    sink.write_all(data).unwrap();
                });
            }
        });
    }
}
