//! Where downloaded bytes go, and how a transfer begins again when the server cannot resume.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use firn_model::hash::{Hash, HashAlgo, Hasher};

/// Takes a download in order.
pub trait Sink {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they cannot be kept; the transfer is then given up.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Forgets everything taken so far, because the transfer begins again. `false`: this sink
    /// cannot, the transfer may only be resumed.
    ///
    /// # Errors
    /// When what was kept cannot be dropped.
    fn restart(&mut self) -> io::Result<bool>;
}

/// Keeps a download in memory.
#[derive(Debug, Default)]
pub struct MemorySink {
    /// What has arrived.
    pub bytes: Vec<u8>,
}

impl Sink for MemorySink {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn restart(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        Ok(true)
    }
}

/// Writes a download to a file and hashes it on the way.
pub struct FileSink {
    file: File,
    algo: Option<HashAlgo>,
    hasher: Option<Hasher>,
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink").field("file", &self.file).field("algo", &self.algo).finish()
    }
}

impl FileSink {
    /// Writes to `file`, which is empty, and computes the hash if `algo` is given.
    #[must_use]
    pub fn new(file: File, algo: Option<HashAlgo>) -> Self {
        Self { file, algo, hasher: algo.map(Hasher::new) }
    }

    /// The file and the hash of what was written.
    #[must_use]
    pub fn finish(self) -> (File, Option<Hash>) {
        (self.file, self.hasher.map(Hasher::finish))
    }
}

impl Sink for FileSink {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.file.write_all(bytes)
    }

    fn restart(&mut self) -> io::Result<bool> {
        self.hasher = self.algo.map(Hasher::new);
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(true)
    }
}

/// Passes a download on to a writer that cannot go back, such as an unpacker.
#[derive(Debug)]
pub struct WriteSink<W>(
    /// The writer.
    pub W,
);

impl<W: Write> Sink for WriteSink<W> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn restart(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}
