//! From files to a NAR, in one pass: sorted entries, big buffers, no link followed.

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use firn_model::hash::{Hash, HashAlgo};
use firn_model::nar::NarWriter;
use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::{MAX_DEPTH, case_hack, dir, split};
use crate::error::{Error, Result};
use crate::hashing::HashSink;
use crate::store::{FileKind, SourceFilter};

/// Takes the objects of a tree, depth first, in order of their names.
pub(super) trait TreeSink {
    fn file(&mut self, executable: bool, size: u64, contents: &mut dyn Read) -> Result<()>;
    fn symlink(&mut self, target: &[u8]) -> Result<()>;
    fn begin_directory(&mut self) -> Result<()>;
    fn begin_entry(&mut self, name: &[u8]) -> Result<()>;
    fn end_entry(&mut self) -> Result<()>;
    fn end_directory(&mut self) -> Result<()>;
}

impl<W: Write> TreeSink for NarWriter<W> {
    fn file(&mut self, executable: bool, size: u64, contents: &mut dyn Read) -> Result<()> {
        NarWriter::file(self, executable, size, contents).map_err(Error::model)
    }
    fn symlink(&mut self, target: &[u8]) -> Result<()> {
        NarWriter::symlink(self, target).map_err(Error::stream("writing NAR"))
    }
    fn begin_directory(&mut self) -> Result<()> {
        NarWriter::begin_directory(self).map_err(Error::stream("writing NAR"))
    }
    fn begin_entry(&mut self, name: &[u8]) -> Result<()> {
        NarWriter::begin_entry(self, name).map_err(Error::stream("writing NAR"))
    }
    fn end_entry(&mut self) -> Result<()> {
        NarWriter::end_entry(self).map_err(Error::stream("writing NAR"))
    }
    fn end_directory(&mut self) -> Result<()> {
        NarWriter::end_directory(self).map_err(Error::stream("writing NAR"))
    }
}

/// The kind of a file, as a source filter is told it.
#[must_use]
pub fn kind_of(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Unknown,
    }
}

/// Writes the NAR of the file, link or directory at `path` to `sink`.
///
/// # Errors
/// If something there cannot be read or be in a NAR, or `sink` fails.
pub fn dump_path(path: &Path, sink: &mut dyn Write) -> Result<()> {
    dump_path_filtered(path, sink, None)
}

/// As [`dump_path`], with what `filter` leaves.
///
/// # Errors
/// As [`dump_path`], and if `filter` fails.
pub fn dump_path_filtered(
    path: &Path,
    sink: &mut dyn Write,
    filter: Option<&mut SourceFilter<'_>>,
) -> Result<()> {
    let mut writer = NarWriter::new(sink).map_err(Error::stream("writing NAR"))?;
    walk(path, &mut writer, filter)
}

/// The hash of the NAR of `path`, and its size in bytes.
///
/// # Errors
/// As [`dump_path`].
pub fn hash_path(path: &Path, algo: HashAlgo) -> Result<(Hash, u64)> {
    let mut sink = HashSink::new(algo);
    dump_path(path, &mut sink)?;
    let size = sink.len();
    Ok((sink.finish().map_err(Error::stream("hashing"))?, size))
}

/// Gives the tree at `path` to `sink`.
pub(super) fn walk(
    path: &Path,
    sink: &mut dyn TreeSink,
    filter: Option<&mut SourceFilter<'_>>,
) -> Result<()> {
    // a path that ends in `/` or `/.` or is `.` names a directory; links in what is above it are
    // the caller's business
    let (parent, name) = match split(path) {
        Ok((parent, name)) => (dir::open(parent)?, dir::c_name(name)?),
        Err(_) => (dir::open(path)?, c".".to_owned()),
    };
    let mut walker = Walker { sink, filter, path: path.to_owned(), depth: 0 };
    walker.object(parent.as_fd(), &name)
}

struct Walker<'a, 'f> {
    sink: &'a mut dyn TreeSink,
    filter: Option<&'a mut SourceFilter<'f>>,
    path: PathBuf,
    depth: usize,
}

impl Walker<'_, '_> {
    fn object(&mut self, parent: impl AsFd, name: &CString) -> Result<()> {
        let stat = match dir::stat_at(&parent, name) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => {
                return Err(Error::Format(format!(
                    "path '{}' does not exist",
                    self.path.display()
                )));
            }
            Err(e) => return Err(Error::os("getting status of", &self.path)(e)),
        };
        match dir::file_type(&stat) {
            FileType::RegularFile => self.file(parent, name),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())
                    .map_err(Error::os("reading symbolic link", &self.path))?;
                self.sink.symlink(target.to_bytes())
            }
            FileType::Directory => {
                let fd = dir::open_at(parent, name)
                    .map_err(Error::os("opening directory", &self.path))?;
                self.directory(&fd)
            }
            _ => Err(Error::UnsupportedType { path: self.path.clone() }),
        }
    }

    fn file(&mut self, parent: impl AsFd, name: &CString) -> Result<()> {
        // NONBLOCK: should it have become a FIFO meanwhile, opening must not hang
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty())
            .map_err(Error::os("opening file", &self.path))?;
        let stat: Stat =
            rustix::fs::fstat(&fd).map_err(Error::os("getting status of", &self.path))?;
        if dir::file_type(&stat) != FileType::RegularFile {
            return Err(Error::UnsupportedType { path: self.path.clone() });
        }
        let mut file = std::fs::File::from(fd);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.sink.file(stat.st_mode & 0o100 != 0, size, &mut file).map_err(|e| match e {
            Error::Model(source) => Error::InFile { path: self.path.clone(), source },
            other => other,
        })
    }

    fn directory(&mut self, fd: &OwnedFd) -> Result<()> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::Format(format!(
                "path '{}' exceeds maximum NAR directory depth of {MAX_DEPTH}",
                self.path.display()
            )));
        }
        self.sink.begin_directory()?;
        let mut names = dir::names(fd).map_err(Error::os("reading directory", &self.path))?;
        if case_hack::enabled() {
            for (packed, name) in case_hack::packed(names, &self.path)? {
                self.entry(fd, &packed, &name)?;
            }
        } else {
            // by bytes, as the format demands
            names.sort_unstable();
            for name in &names {
                self.entry(fd, name.to_bytes(), name)?;
            }
        }
        self.sink.end_directory()
    }

    /// Gives the entry `name`, which is called `packed` in the archive, if it is wanted.
    fn entry(&mut self, fd: &OwnedFd, packed: &[u8], name: &CString) -> Result<()> {
        self.path.push(dir::os_name(name));
        if self.wanted(fd, name)? {
            self.depth += 1;
            self.sink.begin_entry(packed)?;
            self.object(fd, name)?;
            self.sink.end_entry()?;
            self.depth -= 1;
        }
        self.path.pop();
        Ok(())
    }

    fn wanted(&mut self, parent: &OwnedFd, name: &CString) -> Result<bool> {
        let Some(filter) = &mut self.filter else { return Ok(true) };
        let stat =
            dir::stat_at(parent, name).map_err(Error::os("getting status of", &self.path))?;
        filter(&self.path, kind_of(dir::file_type(&stat))).map_err(Error::Callback)
    }
}
