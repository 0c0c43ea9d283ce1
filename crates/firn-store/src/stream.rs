//! From a store that writes a NAR to one that reads it: a bounded queue of buffers between two threads.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Size of a buffer in bytes.
const BUFFER: usize = 128 * 1024;
/// How many buffers may wait.
const WAITING: usize = 4;

/// Both ends of a queue. What is written must be [finished](QueueWriter::finish); a reader whose writer just went
/// away gets an error, for a part must not be taken for the whole.
#[must_use]
pub fn queue() -> (QueueWriter, QueueReader) {
    let (to, from) = sync_channel(WAITING);
    (
        QueueWriter { to, buffer: Vec::with_capacity(BUFFER) },
        QueueReader { from, current: Vec::new(), at: 0, ended: false },
    )
}

/// The end that is written to.
#[derive(Debug)]
pub struct QueueWriter {
    to: SyncSender<Vec<u8>>,
    buffer: Vec<u8>,
}

impl QueueWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER));
        self.to.send(full).map_err(|_| gone())
    }

    /// Says that there is no more.
    ///
    /// # Errors
    /// If there is something left that nobody reads.
    pub fn finish(mut self) -> io::Result<()> {
        self.send()?;
        // An empty buffer is the end. A reader that knows the end of its format need not have waited for it.
        let _ = self.to.send(Vec::new());
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads what is written")
}

impl Write for QueueWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + data.len() > BUFFER {
            self.send()?;
        }
        if data.len() >= BUFFER {
            self.to.send(data.to_vec()).map_err(|_| gone())?;
        } else {
            self.buffer.extend_from_slice(data);
        }
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// The end that is read from.
#[derive(Debug)]
pub struct QueueReader {
    from: Receiver<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for QueueReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            if self.ended {
                return Ok(0);
            }
            self.current = self.from.recv().map_err(|_| {
                io::Error::new(io::ErrorKind::UnexpectedEof, "the other store stopped sending")
            })?;
            self.at = 0;
            self.ended = self.current.is_empty();
        }
        let n = into.len().min(self.current.len() - self.at);
        into[..n].copy_from_slice(&self.current[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order() {
        let (mut to, mut from) = queue();
        let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let copy = data.clone();
        let writer = std::thread::spawn(move || {
            for piece in copy.chunks(7777) {
                to.write_all(piece).unwrap();
            }
            to.write_all(&[1; 300_000]).unwrap();
            to.finish().unwrap();
        });
        let mut got = Vec::new();
        from.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert_eq!(got[..data.len()], data);
        assert_eq!(got.len(), data.len() + 300_000);
    }

    #[test]
    fn a_reader_need_not_wait_for_the_end() {
        let (mut to, mut from) = queue();
        to.write_all(b"all").unwrap();
        to.flush().unwrap();
        from.read_exact(&mut [0; 3]).unwrap();
        drop(from);
        to.finish().unwrap();
    }

    #[test]
    fn a_part_is_not_the_whole() {
        let (mut to, mut from) = queue();
        to.write_all(b"half").unwrap();
        drop(to);
        let error = from.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let (mut to, from) = queue();
        drop(from);
        assert!(to.write_all(&[0; BUFFER]).is_err());
    }
}
