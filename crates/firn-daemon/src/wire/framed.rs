//! Streams in frames: pieces with their length before them and no padding; a piece of length 0 ends the stream.

use std::io::{self, Read, Write};

use super::WireWrite as _;

/// The largest frame that is believed in. Nothing is set aside for it.
const MAX_FRAME: u64 = 1 << 32;

/// The bytes of a stream in frames.
#[derive(Debug)]
pub struct FramedReader<R> {
    source: R,
    /// What is left of the frame.
    left: u64,
    ended: bool,
    broken: bool,
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame is too long")
}

impl<R: Read> FramedReader<R> {
    /// The stream that begins here in `source`.
    pub fn new(source: R) -> Self {
        Self { source, left: 0, ended: false, broken: false }
    }

    /// Skips what has not been read, so that what follows the stream can be.
    ///
    /// # Errors
    /// If the source fails or ends.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink()).map(drop)
    }
}

impl<R: Read> Read for FramedReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        // nobody knows where the next frame would begin
        if self.broken {
            return Err(too_long());
        }
        while self.left == 0 {
            if self.ended {
                return Ok(0);
            }
            let mut bytes = [0; 8];
            self.source.read_exact(&mut bytes)?;
            let length = u64::from_le_bytes(bytes);
            if length > MAX_FRAME {
                self.broken = true;
                return Err(too_long());
            }
            self.left = length;
            self.ended = length == 0;
        }
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let got = self.source.read(&mut into[..want])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        Ok(got)
    }
}

/// Writes a stream in frames.
#[derive(Debug)]
pub struct FramedWriter<W: Write> {
    sink: W,
    pending: Vec<u8>,
}

/// The size of frames, in bytes.
const FRAME: usize = 64 * 1024;

impl<W: Write> FramedWriter<W> {
    /// A stream that begins here in `sink`.
    pub fn new(sink: W) -> Self {
        Self { sink, pending: Vec::with_capacity(FRAME) }
    }

    fn send(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.sink.number(self.pending.len() as u64)?;
            self.sink.write_all(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.sink.number(0)?;
        self.sink.flush()
    }

    /// Ends the stream without what is still pending, after a failure.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn abandon(mut self) -> io::Result<()> {
        self.pending.clear();
        self.sink.number(0)?;
        self.sink.flush()
    }
}

impl<W: Write> Write for FramedWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.pending.len() + data.len() > FRAME {
            self.send()?;
        }
        if data.len() >= FRAME {
            self.sink.number(data.len() as u64)?;
            self.sink.write_all(data)?;
        } else {
            self.pending.extend_from_slice(data);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()?;
        self.sink.flush()
    }
}
