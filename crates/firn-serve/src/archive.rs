//! Archives as they are sent: the parts that the format adds, and the files between them, which go to the network
//! without passing through this program. Any part of an archive can be had.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use firn_model::nar::listing::Node;
use rustix::net::SendFlags;

/// Files up to this size are read and sent together with what is around them.
const SMALL: u64 = 32 * 1024;
/// How much is gathered before it is sent.
const GATHERED: usize = 128 * 1024;
/// How much of a file is sent at a time.
const AT_A_TIME: u64 = 1024 * 1024 * 1024;
/// How deep folders may be, as in any archive.
const MAX_DEPTH: usize = 64;

/// A part of an archive.
#[derive(Debug)]
enum Part {
    /// These of the archive's own bytes.
    Own(Range<usize>),
    /// A file.
    File { path: PathBuf, size: u64 },
}

/// How an archive is made.
#[derive(Debug)]
pub(crate) struct Archive {
    own: Vec<u8>,
    parts: Vec<Part>,
    size: u64,
    listing: Node,
}

impl Archive {
    /// The archive of the tree at `path`.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut builder = Builder { own: Vec::new(), parts: Vec::new(), size: 0, begun: 0 };
        builder.text(b"nix-archive-1");
        let listing = builder.object(path, 0)?;
        builder.cut();
        let Builder { own, parts, size, .. } = builder;
        Ok(Self { own, parts, size, listing })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is in it.
    pub fn listing(&self) -> &Node {
        &self.listing
    }

    /// How much memory this takes, roughly.
    pub fn weight(&self) -> usize {
        self.own.len() + self.parts.len() * 160
    }

    /// Writes `range` of the archive.
    pub fn write(&self, range: Range<u64>, out: &mut dyn Write) -> io::Result<()> {
        self.each(range, |piece| match piece {
            Piece::Own(bytes) => out.write_all(bytes),
            Piece::File(path, part) => {
                let mut file = open(path, &part)?;
                let want = part.end - part.start;
                let copied = io::copy(&mut Read::by_ref(&mut file).take(want), out)?;
                if copied == want { Ok(()) } else { Err(changed(path)) }
            }
        })
    }

    /// Sends `head` and then `range` of the archive to a socket.
    pub fn send(
        &self,
        head: Vec<u8>,
        range: Range<u64>,
        to: &std::net::TcpStream,
    ) -> io::Result<()> {
        let mut gathered = head;
        self.each(range, |piece| {
            match piece {
                Piece::Own(bytes) => gathered.extend_from_slice(bytes),
                Piece::File(path, part) => {
                    let size = part.end - part.start;
                    let mut file = open(path, &part)?;
                    if size <= SMALL {
                        let old = gathered.len();
                        gathered.resize(old + usize::try_from(size).unwrap_or(0), 0);
                        file.read_exact(&mut gathered[old..])?;
                    } else {
                        send_all(to, &gathered, SendFlags::MORE)?;
                        gathered.clear();
                        send_file(to, &file, &part, path)?;
                    }
                }
            }
            if gathered.len() >= GATHERED {
                send_all(to, &gathered, SendFlags::MORE)?;
                gathered.clear();
            }
            Ok(())
        })?;
        send_all(to, &gathered, SendFlags::empty())
    }

    fn each(
        &self,
        range: Range<u64>,
        mut take: impl FnMut(Piece<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut at = 0;
        for part in &self.parts {
            let size = match part {
                Part::Own(own) => own.len() as u64,
                Part::File { size, .. } => *size,
            };
            let from = range.start.saturating_sub(at).min(size);
            let to = range.end.saturating_sub(at).min(size);
            at += size;
            if from >= to {
                if at >= range.end {
                    break;
                }
                continue;
            }
            match part {
                Part::Own(own) => {
                    let index = |n: u64| own.start + usize::try_from(n).unwrap_or(0);
                    take(Piece::Own(&self.own[index(from)..index(to)]))?;
                }
                Part::File { path, .. } => take(Piece::File(path, from..to))?,
            }
        }
        Ok(())
    }
}

enum Piece<'a> {
    Own(&'a [u8]),
    File(&'a Path, Range<u64>),
}

fn open(path: &Path, part: &Range<u64>) -> io::Result<File> {
    let mut file = File::open(path)?;
    if part.start > 0 {
        file.seek(io::SeekFrom::Start(part.start))?;
    }
    Ok(file)
}

fn changed(path: &Path) -> io::Error {
    io::Error::other(format!("file '{}' is shorter than it was", path.display()))
}

/// Sends all bytes; with `MORE` the system may wait for what follows.
pub(crate) fn send_all(
    to: &std::net::TcpStream,
    mut bytes: &[u8],
    flags: SendFlags,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::net::send(to, bytes, flags | SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn send_file(
    to: &std::net::TcpStream,
    file: &File,
    part: &Range<u64>,
    path: &Path,
) -> io::Result<()> {
    let mut offset = part.start;
    while offset < part.end {
        let count = usize::try_from((part.end - offset).min(AT_A_TIME)).unwrap_or(usize::MAX);
        match rustix::fs::sendfile(to.as_fd(), file.as_fd(), Some(&mut offset), count) {
            Ok(0) => return Err(changed(path)),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

struct Builder {
    own: Vec<u8>,
    parts: Vec<Part>,
    size: u64,
    /// Where the own bytes that are in no part yet begin.
    begun: usize,
}

impl Builder {
    fn text(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.own.extend_from_slice(bytes);
        self.pad(bytes.len() as u64);
    }

    fn pad(&mut self, length: u64) {
        let zeros = usize::try_from((8 - length % 8) % 8).unwrap_or(0);
        self.own.extend_from_slice(&[0; 8][..zeros]);
    }

    /// Where the next byte of the archive is.
    fn at(&self) -> u64 {
        self.size + (self.own.len() - self.begun) as u64
    }

    /// Makes a part of what was added since the last.
    fn cut(&mut self) {
        if self.begun < self.own.len() {
            self.size += (self.own.len() - self.begun) as u64;
            self.parts.push(Part::Own(self.begun..self.own.len()));
            self.begun = self.own.len();
        }
    }

    fn object(&mut self, path: &Path, depth: usize) -> io::Result<Node> {
        let meta = path.symlink_metadata()?;
        for word in [&b"("[..], b"type"] {
            self.text(word);
        }
        let node = if meta.is_symlink() {
            let target = std::fs::read_link(path)?.into_os_string();
            self.text(b"symlink");
            self.text(b"target");
            self.text(target.as_bytes());
            Node::Link(target.as_bytes().to_vec())
        } else if meta.is_dir() {
            self.folder(path, depth)?
        } else if meta.is_file() {
            let (size, executable) = (meta.len(), meta.mode() & 0o100 != 0);
            self.text(b"regular");
            if executable {
                self.text(b"executable");
                self.text(b"");
            }
            self.text(b"contents");
            self.own.extend_from_slice(&size.to_le_bytes());
            let offset = Some(self.at());
            if size > 0 {
                self.cut();
                self.parts.push(Part::File { path: path.to_owned(), size });
                self.size += size;
            }
            self.pad(size);
            Node::File { executable, size, offset }
        } else {
            return Err(io::Error::other(format!(
                "file '{}' has an unsupported type",
                path.display()
            )));
        };
        self.text(b")");
        Ok(node)
    }

    fn folder(&mut self, path: &Path, depth: usize) -> io::Result<Node> {
        if depth >= MAX_DEPTH {
            return Err(io::Error::other(format!("'{}' is nested too deep", path.display())));
        }
        self.text(b"directory");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            names.push(entry?.file_name());
        }
        names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            for word in [&b"entry"[..], b"(", b"name", name.as_bytes(), b"node"] {
                self.text(word);
            }
            let node = self.object(&path.join(&name), depth + 1)?;
            self.text(b")");
            entries.push((name.as_bytes().to_vec(), node));
        }
        Ok(Node::Folder(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn any_part_of_an_archive_is_that_of_the_real_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("r");
        std::fs::create_dir_all(root.join("sub/empty")).unwrap();
        std::fs::write(root.join("a"), "").unwrap();
        std::fs::write(root.join("b"), vec![7; 100_003]).unwrap();
        std::fs::write(root.join("sub/run"), "#!x").unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(root.join("sub/run"), mode).unwrap();
        std::os::unix::fs::symlink("target", root.join("sub/l")).unwrap();
        let mut real = Vec::new();
        firn_store::fs::dump_path(&root, &mut real).unwrap();
        let archive = Archive::of(&root).unwrap();
        assert_eq!(archive.size(), real.len() as u64);
        assert_eq!(*archive.listing(), Node::read(&mut &real[..]).unwrap());
        let size = real.len() as u64;
        for (from, to) in
            [(0, size), (0, 1), (5, 300), (200, 60_000), (100_000, size), (size, size)]
        {
            let mut out = Vec::new();
            archive.write(from..to, &mut out).unwrap();
            assert_eq!(out, real[from as usize..to as usize], "{from}..{to}");
        }
    }
}
