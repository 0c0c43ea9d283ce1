//! Reading a NAR, with every limit checked before anything is believed.

use std::io::{self, Read};

use super::{Error, MAGIC};

/// What a reader refuses to go beyond.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How deep directories may be nested.
    pub depth: usize,
    /// The longest name of an entry, in bytes.
    pub name: u64,
    /// The longest target of a symbolic link, in bytes.
    pub target: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // 64 is what C++ Nix allows; names and targets are Linux' NAME_MAX and PATH_MAX
        Self { depth: 64, name: 255, target: 4095 }
    }
}

/// Gets the objects of an archive, depth first, in order.
///
/// The path to an object is the sequence of entries entered and not yet left.
pub trait NarVisitor {
    /// What it fails with.
    type Error: From<Error>;
    /// A regular file; what it leaves of `contents` is skipped.
    ///
    /// # Errors
    /// Ends the reading.
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut Contents<'_>,
    ) -> Result<(), Self::Error>;
    /// A symbolic link.
    ///
    /// # Errors
    /// Ends the reading.
    fn symlink(&mut self, target: &[u8]) -> Result<(), Self::Error>;
    /// A directory begins.
    ///
    /// # Errors
    /// Ends the reading.
    fn begin_directory(&mut self) -> Result<(), Self::Error>;
    /// The entry `name` of the directory begins; it is no `.`, no `..`, has no slash and no NUL, and
    /// is greater than the one before.
    ///
    /// # Errors
    /// Ends the reading.
    fn begin_entry(&mut self, name: &[u8]) -> Result<(), Self::Error>;
    /// The entry has ended.
    ///
    /// # Errors
    /// Ends the reading.
    fn end_entry(&mut self) -> Result<(), Self::Error>;
    /// The directory has ended.
    ///
    /// # Errors
    /// Ends the reading.
    fn end_directory(&mut self) -> Result<(), Self::Error>;
}

/// The content of one file within the stream.
pub struct Contents<'a> {
    source: &'a mut dyn Read,
    left: u64,
}

impl Read for Contents<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let want = self.left.min(into.len() as u64) as usize;
        if want == 0 {
            return Ok(0);
        }
        let got = self.source.read(&mut into[..want])?;
        if got == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "unexpected end of the Nix archive",
            ));
        }
        self.left -= got as u64;
        Ok(got)
    }
}

/// Reads one archive from `source`, no byte more, into `visitor`.
///
/// # Errors
/// If the archive is malformed or beyond the default [`Limits`], or either side fails.
pub fn read<V: NarVisitor>(source: &mut dyn Read, visitor: &mut V) -> Result<(), V::Error> {
    read_with_limits(source, visitor, &Limits::default())
}

/// As [`read`], with limits of the caller's.
///
/// # Errors
/// As [`read`].
pub fn read_with_limits<V: NarVisitor>(
    source: &mut dyn Read,
    visitor: &mut V,
    limits: &Limits,
) -> Result<(), V::Error> {
    let mut reader = Reader { source, limits, small: Vec::new() };
    match reader.tag(MAGIC.len() as u64) {
        Ok(()) if reader.small == MAGIC => {}
        Ok(()) | Err(Error::Bad(_) | Error::Truncated) => {
            return Err(bad("input doesn't look like a Nix archive").into());
        }
        Err(e) => return Err(e.into()),
    }
    reader.object(visitor, 0)
}

fn bad(what: impl Into<String>) -> Error {
    Error::Bad(what.into())
}

struct Reader<'a> {
    source: &'a mut dyn Read,
    limits: &'a Limits,
    /// The string read last.
    small: Vec<u8>,
}

impl Reader<'_> {
    fn exact(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.source.read_exact(into).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::Truncated,
            _ => Error::Io(e),
        })
    }

    fn number(&mut self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn padding(&mut self, len: u64) -> Result<(), Error> {
        let count = ((8 - len % 8) % 8) as usize;
        let mut zeros = [0; 8];
        self.exact(&mut zeros[..count])?;
        if zeros != [0; 8] {
            return Err(bad("non-zero padding"));
        }
        Ok(())
    }

    /// Reads a string of at most `max` bytes into `small`.
    fn string(&mut self, max: u64, what: &str) -> Result<(), Error> {
        let len = self.number()?;
        if len > max {
            return Err(bad(format!("{what} of {len} bytes is longer than {max}")));
        }
        let mut buffer = std::mem::take(&mut self.small);
        buffer.clear();
        buffer.resize(len as usize, 0);
        let result = self.exact(&mut buffer);
        self.small = buffer;
        result?;
        self.padding(len)
    }

    /// Reads a word of the format itself.
    fn tag(&mut self, max: u64) -> Result<(), Error> {
        self.string(max, "a tag")
    }

    fn expect(&mut self, tag: &str) -> Result<(), Error> {
        self.tag(1024)?;
        if self.small != tag.as_bytes() {
            return Err(bad(format!("expected tag '{tag}', got '{}'", self.shown())));
        }
        Ok(())
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.small).into_owned()
    }

    fn object<V: NarVisitor>(&mut self, visitor: &mut V, depth: usize) -> Result<(), V::Error> {
        self.expect("(")?;
        self.expect("type")?;
        self.tag(1024)?;
        match &self.small[..] {
            b"regular" => self.file(visitor),
            b"symlink" => {
                self.expect("target")?;
                self.string(self.limits.target, "the target of a symlink")?;
                if self.small.is_empty() || self.small.contains(&0) {
                    return Err(bad("a symlink has an empty target or one with a NUL").into());
                }
                visitor.symlink(&self.small)?;
                Ok(self.expect(")")?)
            }
            b"directory" => self.directory(visitor, depth),
            _ => Err(bad(format!("unknown file type '{}'", self.shown())).into()),
        }
    }

    fn file<V: NarVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        let mut executable = false;
        self.tag(1024)?;
        if self.small == b"executable" {
            self.tag(1024)?;
            if !self.small.is_empty() {
                return Err(bad("executable marker has non-empty value").into());
            }
            executable = true;
            self.tag(1024)?;
        }
        if self.small != b"contents" {
            return Err(bad(format!("expected tag 'contents', got '{}'", self.shown())).into());
        }
        let size = self.number()?;
        if size > i64::MAX as u64 {
            return Err(bad(format!("a file of {size} bytes is too large")).into());
        }
        let mut contents = Contents { source: self.source, left: size };
        visitor.file(executable, size, &mut contents)?;
        if contents.left > 0 {
            io::copy(&mut contents, &mut io::sink()).map_err(Error::Io)?;
        }
        self.padding(size)?;
        Ok(self.expect(")")?)
    }

    fn directory<V: NarVisitor>(&mut self, visitor: &mut V, depth: usize) -> Result<(), V::Error> {
        if depth >= self.limits.depth {
            return Err(
                bad(format!("directories are nested deeper than {}", self.limits.depth)).into()
            );
        }
        visitor.begin_directory()?;
        let mut previous: Vec<u8> = Vec::new();
        loop {
            self.tag(1024)?;
            match &self.small[..] {
                b")" => break,
                b"entry" => {}
                _ => {
                    let got = self.shown();
                    return Err(bad(format!("expected tag 'entry' or ')', got '{got}'")).into());
                }
            }
            self.expect("(")?;
            self.expect("name")?;
            self.string(self.limits.name, "a file name")?;
            let name = &self.small;
            if matches!(&name[..], b"" | b"." | b"..") || name.iter().any(|b| matches!(b, b'/' | 0))
            {
                let shown = self.shown();
                return Err(bad(format!("NAR contains invalid file name '{shown}'")).into());
            }
            if *name <= previous {
                return Err(bad("NAR directory is not sorted").into());
            }
            previous.clone_from(name);
            visitor.begin_entry(&previous)?;
            self.expect("node")?;
            self.object(visitor, depth + 1)?;
            visitor.end_entry()?;
            self.expect(")")?;
        }
        visitor.end_directory()
    }
}
