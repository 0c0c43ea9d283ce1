//! Finding the files below store paths and hashing them, many small ones together.

use std::collections::HashSet;
use std::ffi::CString;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use firn_model::hash::{Hash, HashAlgo, Hasher, sha256_many};
use firn_model::nar::NarWriter;
use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::link::{Directory, Links, parent_of};
use crate::error::{Error, Result};
use crate::fs::{MAX_DEPTH, dir};

/// The bytes of archives that are hashed together.
const BATCH: usize = 4 << 20;
/// How many directories may be open because of files that wait to be hashed.
const DIRECTORIES: usize = 96;
/// Files from this size on are not read into memory.
const LARGE: u64 = 1 << 20;

/// A file whose archive waits to be hashed.
struct Waiting {
    dir: Arc<Directory>,
    name: CString,
    stat: Stat,
    nar: Range<usize>,
}

/// What one thread does.
pub(super) struct Walker<'a> {
    links: &'a Links<'a>,
    /// Inodes that are links already.
    linked: &'a HashSet<u64>,
    waiting: Vec<Waiting>,
    archives: Vec<u8>,
    /// How many directories were opened since the last files were linked.
    opened: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(links: &'a Links<'a>, linked: &'a HashSet<u64>) -> Self {
        Self { links, linked, waiting: Vec::new(), archives: Vec::new(), opened: 0 }
    }

    /// Takes all files below `path`; they are linked at the latest with [`Walker::finish`].
    pub(super) fn add(&mut self, path: &Path) -> Result<()> {
        let parent = Arc::new(parent_of(self.links.store, path)?);
        let (_, name) = crate::fs::split(path)?;
        self.object(&parent, dir::c_name(name)?, FileType::Unknown, 0)
    }

    /// Hashes and links what waits.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.opened = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let archives: Vec<&[u8]> = waiting.iter().map(|w| &self.archives[w.nar.clone()]).collect();
        let digests = sha256_many(&archives);
        self.archives.clear();
        for (file, digest) in waiting.iter().zip(digests) {
            let hash = Hash::from_bytes(HashAlgo::Sha256, &digest).map_err(Error::model)?;
            self.links.file(&file.dir, &file.name, &file.stat, hash)?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        parent: &Arc<Directory>,
        name: CString,
        kind: FileType,
        depth: usize,
    ) -> Result<()> {
        let path = || parent.path.join(dir::os_name(&name));
        let stat_at = || {
            dir::stat_at(&parent.fd, &name).map_err(|e| Error::os("getting status of", &path())(e))
        };
        let kind = match kind {
            FileType::Unknown => dir::file_type(&stat_at()?),
            known => known,
        };
        match kind {
            FileType::Directory => {
                let fd = dir::open_at(&parent.fd, &name)
                    .map_err(|e| Error::os("opening directory", &path())(e))?;
                self.directory(Directory::new(fd, path(), false), depth)
            }
            FileType::RegularFile => self.file(parent, name),
            // links can be hard-linked too
            FileType::Symlink => {
                let stat = stat_at()?;
                if self.is_linked(&stat) {
                    return Ok(());
                }
                let target = rustix::fs::readlinkat(&parent.fd, &name, Vec::new())
                    .map_err(|e| Error::os("reading symbolic link", &path())(e))?;
                let start = self.archives.len();
                NarWriter::new(&mut self.archives)
                    .and_then(|mut nar| nar.symlink(target.to_bytes()))
                    .map_err(Error::stream("writing NAR"))?;
                self.wait(parent, name, stat, start)
            }
            _ => Ok(()),
        }
    }

    fn directory(&mut self, directory: Directory, depth: usize) -> Result<()> {
        if depth >= MAX_DEPTH {
            return Err(Error::Format(format!(
                "path '{}' exceeds maximum NAR directory depth of {MAX_DEPTH}",
                directory.path.display()
            )));
        }
        let entries =
            dir::entries(&directory.fd).map_err(Error::os("reading directory", &directory.path))?;
        self.opened += 1;
        let directory = Arc::new(directory);
        for entry in entries {
            if !self.linked.contains(&entry.inode) {
                self.object(&directory, entry.name, entry.kind, depth + 1)?;
            }
        }
        Ok(())
    }

    fn is_linked(&self, stat: &Stat) -> bool {
        stat.st_nlink > 1 && self.linked.contains(&stat.st_ino)
    }

    fn file(&mut self, parent: &Arc<Directory>, name: CString) -> Result<()> {
        let path = parent.path.join(dir::os_name(&name));
        // NONBLOCK: should it have become a FIFO meanwhile, opening must not hang
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&parent.fd, &name, flags, Mode::empty())
            .map_err(Error::os("opening file", &path))?;
        let stat = rustix::fs::fstat(&fd).map_err(Error::os("getting status of", &path))?;
        if dir::file_type(&stat) != FileType::RegularFile {
            return Ok(());
        }
        if stat.st_mode & 0o200 != 0 {
            let shown = path.display();
            self.links.store.logger().warn(format!("skipping suspicious writable file '{shown}'"));
            return Ok(());
        }
        if self.is_linked(&stat) {
            return Ok(());
        }
        let (executable, size) =
            (stat.st_mode & 0o100 != 0, u64::try_from(stat.st_size).unwrap_or(0));
        let mut file = File::from(fd);
        if size >= LARGE {
            let mut hasher = Hasher::new(HashAlgo::Sha256);
            archive(&mut hasher, executable, size, &mut file, &path)?;
            return self.links.file(parent, &name, &stat, hasher.finish());
        }
        let start = self.archives.len();
        archive(&mut self.archives, executable, size, &mut file, &path)?;
        self.wait(parent, name, stat, start)
    }

    /// The archive of this file is what was written from `start` on.
    fn wait(
        &mut self,
        parent: &Arc<Directory>,
        name: CString,
        stat: Stat,
        start: usize,
    ) -> Result<()> {
        let nar = start..self.archives.len();
        self.waiting.push(Waiting { dir: Arc::clone(parent), name, stat, nar });
        match self.archives.len() >= BATCH || self.opened >= DIRECTORIES {
            true => self.finish(),
            false => Ok(()),
        }
    }
}

/// Writes the archive of a file.
fn archive(
    out: &mut impl std::io::Write,
    executable: bool,
    size: u64,
    file: &mut File,
    path: &Path,
) -> Result<()> {
    NarWriter::new(out)
        .map_err(Error::stream("writing NAR"))?
        .file(executable, size, file)
        .map_err(|e| Error::InFile { path: path.to_owned(), source: e.into() })
}
