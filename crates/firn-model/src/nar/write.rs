//! Writing a NAR, one event at a time.

use std::io::{self, Read, Write};

use super::{Error, MAGIC};

/// Writes the events of one file-system object to `W`.
///
/// The caller gives the events in order: `file`, `symlink`, or `begin_directory`, then for each entry
/// in byte order of the names `begin_entry`, an object, `end_entry`, and `end_directory`.
pub struct NarWriter<W> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> NarWriter<W> {
    /// Begins an archive.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut head = Vec::new();
        string(&mut head, MAGIC);
        out.write_all(&head)?;
        Ok(Self { out, buffer: Vec::new() })
    }

    /// A regular file of `size` bytes, read from `contents`.
    ///
    /// # Errors
    /// If either side fails, or `contents` ends before `size` bytes.
    pub fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<(), Error> {
        let mut head = Vec::with_capacity(160);
        for s in [&b"("[..], b"type", b"regular"] {
            string(&mut head, s);
        }
        if executable {
            string(&mut head, b"executable");
            string(&mut head, b"");
        }
        string(&mut head, b"contents");
        head.extend_from_slice(&size.to_le_bytes());
        // small files go out in one write
        if size <= 64 * 1024 {
            let start = head.len();
            let wanted = size as usize;
            head.resize(start + wanted, 0);
            read_full(contents, &mut head[start..], size)?;
            pad(&mut head, size);
            string(&mut head, b")");
            self.out.write_all(&head)?;
            return Ok(());
        }
        self.out.write_all(&head)?;
        self.buffer.resize(256 * 1024, 0);
        let mut left = size;
        while left > 0 {
            let want = left.min(self.buffer.len() as u64) as usize;
            let got = contents.read(&mut self.buffer[..want]);
            let got = match got {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if got == 0 {
                return Err(Error::ShortContent { size, got: size - left });
            }
            self.out.write_all(&self.buffer[..got])?;
            left -= got as u64;
        }
        head.clear();
        pad(&mut head, size);
        string(&mut head, b")");
        self.out.write_all(&head)?;
        Ok(())
    }

    /// A symbolic link.
    ///
    /// # Errors
    /// If the output fails.
    pub fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        self.strings(&[b"(", b"type", b"symlink", b"target", target, b")"])
    }

    /// The beginning of a directory.
    ///
    /// # Errors
    /// If the output fails.
    pub fn begin_directory(&mut self) -> io::Result<()> {
        self.strings(&[b"(", b"type", b"directory"])
    }

    /// The beginning of the entry `name`; its object follows.
    ///
    /// # Errors
    /// If the output fails.
    pub fn begin_entry(&mut self, name: &[u8]) -> io::Result<()> {
        self.strings(&[b"entry", b"(", b"name", name, b"node"])
    }

    /// The end of an entry.
    ///
    /// # Errors
    /// If the output fails.
    pub fn end_entry(&mut self) -> io::Result<()> {
        self.strings(&[b")"])
    }

    /// The end of a directory.
    ///
    /// # Errors
    /// If the output fails.
    pub fn end_directory(&mut self) -> io::Result<()> {
        self.strings(&[b")"])
    }

    /// Gives back the output.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn strings(&mut self, strings: &[&[u8]]) -> io::Result<()> {
        self.buffer.clear();
        for s in strings {
            string(&mut self.buffer, s);
        }
        self.out.write_all(&self.buffer)
    }
}

fn read_full(contents: &mut dyn Read, mut into: &mut [u8], size: u64) -> Result<(), Error> {
    while !into.is_empty() {
        match contents.read(into) {
            Ok(0) => return Err(Error::ShortContent { size, got: size - into.len() as u64 }),
            Ok(n) => into = &mut into[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn pad(out: &mut Vec<u8>, len: u64) {
    let zeros = (8 - len % 8) % 8;
    out.extend_from_slice(&[0; 8][..zeros as usize]);
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text);
    pad(out, text.len() as u64);
}
