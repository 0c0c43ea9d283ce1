//! From a NAR, or from other files, to files: beneath a directory descriptor, created anew.
//!
//! Every file is made with `O_EXCL` and every directory opened with `O_NOFOLLOW`, so an archive can
//! only write below its target. In canonical form, modes and times are set as a file is finished,
//! which saves a second pass.

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use firn_model::nar::{self, Contents, NarVisitor};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

use super::dump::{TreeSink, walk};
use super::{BUFFER, STORE_TIME, case_hack, dir, split};
use crate::error::{Error, Result};
use crate::store::SourceFilter;

/// How files are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// With the user's usual modes, times of now.
    Plain,
    /// As a store has them: read-only, one second after 1970.
    Canonical,
}

/// Unpacks the NAR in `source` as `path`, where nothing may be yet.
///
/// Reads no byte beyond the archive. What was made before an error stays, for the caller to delete.
///
/// # Errors
/// If the archive is malformed, or something cannot be made.
pub fn restore_path(source: &mut dyn Read, path: &Path, how: Restore) -> Result<()> {
    let mut restorer = Restorer::new(path, how)?;
    nar::read(source, &mut restorer).map_err(|e| e.0)
}

/// Makes the file `path` from the bytes in `source`; gives their number.
///
/// # Errors
/// If it is there already, or one side fails.
pub fn restore_flat(source: &mut dyn Read, path: &Path, how: Restore) -> Result<u64> {
    let mut restorer = Restorer::new(path, how)?;
    restorer.make_file(false, None, source)
}

/// Makes the file `path` with these contents, as a store has them.
///
/// # Errors
/// If it is there already, or cannot be written.
pub fn write_flat(contents: &[u8], path: &Path) -> Result<()> {
    let fd = rustix::fs::openat(rustix::fs::CWD, path, CREATE, Mode::from_raw_mode(0o600))
        .map_err(Error::os("creating file", path))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(contents).map_err(Error::io("writing file", path))?;
    make_canonical(&file, false, path)
}

/// How every file is opened: made now, and by nobody else.
const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Gives a file that has been written the mode and times of files in a store.
fn make_canonical(file: &std::fs::File, executable: bool, path: &Path) -> Result<()> {
    let mode = if executable { 0o555 } else { 0o444 };
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
        .map_err(Error::os("changing mode of", path))?;
    rustix::fs::futimens(file, &store_times())
        .map_err(Error::os("changing modification time of", path))
}

/// Copies the tree at `from` to `to`, where nothing may be yet, with what `filter` leaves.
///
/// # Errors
/// If something cannot be read, made, or be in a store.
pub fn copy_path(
    from: &Path,
    to: &Path,
    how: Restore,
    filter: Option<&mut SourceFilter<'_>>,
) -> Result<()> {
    let mut restorer = Restorer::new(to, how)?;
    walk(from, &mut restorer, filter)
}

struct Restorer {
    /// The directory that will hold the object.
    parent: OwnedFd,
    /// The directories that are being filled.
    open: Vec<OwnedFd>,
    /// Names of what is being made, from the object down.
    names: Vec<CString>,
    /// The whole path of what is being made, for messages.
    path: PathBuf,
    /// What was made in the directories that are being filled, with the case hack.
    taken: Option<Vec<case_hack::Names>>,
    how: Restore,
    buffer: Vec<u8>,
}

impl Restorer {
    fn new(path: &Path, how: Restore) -> Result<Self> {
        let (parent, name) = split(path)?;
        Ok(Self {
            parent: dir::open(parent)?,
            open: Vec::new(),
            names: vec![dir::c_name(name)?],
            path: path.to_owned(),
            taken: case_hack::enabled().then(Vec::new),
            how,
            buffer: Vec::new(),
        })
    }

    /// The directory and name of what is to be made now.
    fn place(&self) -> Result<(BorrowedFd<'_>, &CString)> {
        let dir = self.open.last().unwrap_or(&self.parent).as_fd();
        match self.names.last() {
            Some(name) => Ok((dir, name)),
            None => Err(Error::Format("bad archive: an object without a name".to_owned())),
        }
    }

    fn make_file(
        &mut self,
        executable: bool,
        size: Option<u64>,
        contents: &mut dyn Read,
    ) -> Result<u64> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.make_file_with(executable, size, contents, &mut buffer);
        self.buffer = buffer;
        result
    }

    fn make_file_with(
        &self,
        executable: bool,
        size: Option<u64>,
        contents: &mut dyn Read,
        buffer: &mut Vec<u8>,
    ) -> Result<u64> {
        let (dir, name) = self.place()?;
        let mode = match (self.how, executable) {
            (Restore::Canonical, _) => 0o600,
            (Restore::Plain, true) => 0o777,
            (Restore::Plain, false) => 0o666,
        };
        let fd = rustix::fs::openat(dir, name, CREATE, Mode::from_raw_mode(mode))
            .map_err(Error::os("creating file", &self.path))?;
        let mut file = std::fs::File::from(fd);
        let written = match size {
            Some(size) if size <= BUFFER as u64 => {
                let len = usize::try_from(size).unwrap_or(BUFFER);
                // Small files have small buffers: making a large one costs more than they do.
                if buffer.len() < len {
                    buffer.resize(len.next_power_of_two(), 0);
                }
                contents
                    .read_exact(&mut buffer[..len])
                    .map_err(Error::stream("reading the contents of a file"))?;
                file.write_all(&buffer[..len]).map_err(Error::io("writing file", &self.path))?;
                size
            }
            _ => self.copy(contents, &mut file, buffer)?,
        };
        if let Some(size) = size
            && written != size
        {
            return Err(Error::Format(format!(
                "file '{}' has {written} bytes instead of {size}",
                self.path.display()
            )));
        }
        if self.how == Restore::Canonical {
            make_canonical(&file, executable, &self.path)?;
        }
        Ok(written)
    }

    fn copy(
        &self,
        contents: &mut dyn Read,
        file: &mut std::fs::File,
        buffer: &mut Vec<u8>,
    ) -> Result<u64> {
        buffer.resize(BUFFER, 0);
        let mut written = 0;
        loop {
            let got = match contents.read(buffer) {
                Ok(0) => return Ok(written),
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::stream("reading the contents of a file")(e)),
            };
            file.write_all(&buffer[..got]).map_err(Error::io("writing file", &self.path))?;
            written += got as u64;
        }
    }

    fn make_symlink(&mut self, target: &[u8]) -> Result<()> {
        let (dir, name) = self.place()?;
        rustix::fs::symlinkat(target, dir, name)
            .map_err(Error::os("creating symlink", &self.path))?;
        if self.how == Restore::Canonical {
            rustix::fs::utimensat(dir, name, &store_times(), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Error::os("changing modification time of", &self.path))?;
        }
        Ok(())
    }

    fn make_directory(&mut self) -> Result<()> {
        let (dir, name) = self.place()?;
        let mode = if self.how == Restore::Canonical { 0o700 } else { 0o777 };
        rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode)).map_err(|error| {
            if error == rustix::io::Errno::EXIST && self.path.is_dir() {
                Error::PathExists { path: self.path.clone() }
            } else {
                Error::os("creating directory", &self.path)(error)
            }
        })?;
        let fd = dir::open_at(dir, name).map_err(Error::os("opening directory", &self.path))?;
        self.open.push(fd);
        if let Some(taken) = &mut self.taken {
            taken.push(case_hack::Names::default());
        }
        Ok(())
    }

    fn finish_directory(&mut self) -> Result<()> {
        let Some(fd) = self.open.pop() else { return Ok(()) };
        if let Some(taken) = &mut self.taken {
            taken.pop();
        }
        if self.how == Restore::Canonical {
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o555))
                .map_err(Error::os("changing mode of", &self.path))?;
            rustix::fs::futimens(&fd, &store_times())
                .map_err(Error::os("changing modification time of", &self.path))?;
        }
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> Result<()> {
        let name = match self.taken.as_mut().and_then(|taken| taken.last_mut()) {
            Some(taken) => taken.next(name)?,
            None => name.to_owned(),
        };
        let name = CString::new(name)
            .map_err(|_| Error::Format("bad archive: a file name with a NUL".to_owned()))?;
        self.path.push(dir::os_name(&name));
        self.names.push(name);
        Ok(())
    }

    fn leave(&mut self) {
        self.names.pop();
        self.path.pop();
    }
}

/// Both times of a file in a store.
pub(super) fn store_times() -> Timestamps {
    let time = Timespec { tv_sec: STORE_TIME, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

impl TreeSink for Restorer {
    fn file(&mut self, executable: bool, size: u64, contents: &mut dyn Read) -> Result<()> {
        // a file that grows meanwhile is cut where it ended when it was opened
        self.make_file(executable, Some(size), &mut contents.take(size)).map(drop)
    }
    fn symlink(&mut self, target: &[u8]) -> Result<()> {
        self.make_symlink(target)
    }
    fn begin_directory(&mut self) -> Result<()> {
        self.make_directory()
    }
    fn begin_entry(&mut self, name: &[u8]) -> Result<()> {
        self.enter(name)
    }
    fn end_entry(&mut self) -> Result<()> {
        self.leave();
        Ok(())
    }
    fn end_directory(&mut self) -> Result<()> {
        self.finish_directory()
    }
}

/// Carries our errors through the NAR reader.
struct Failed(Error);

impl From<nar::Error> for Failed {
    fn from(error: nar::Error) -> Self {
        Self(match error {
            nar::Error::Io(e) => Error::stream("reading NAR")(e),
            other => Error::model(other),
        })
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl NarVisitor for Restorer {
    type Error = Failed;
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut Contents<'_>,
    ) -> Result<(), Failed> {
        self.make_file(executable, Some(size), contents)?;
        Ok(())
    }
    fn symlink(&mut self, target: &[u8]) -> Result<(), Failed> {
        Ok(self.make_symlink(target)?)
    }
    fn begin_directory(&mut self) -> Result<(), Failed> {
        Ok(self.make_directory()?)
    }
    fn begin_entry(&mut self, name: &[u8]) -> Result<(), Failed> {
        Ok(self.enter(name)?)
    }
    fn end_entry(&mut self) -> Result<(), Failed> {
        self.leave();
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), Failed> {
        Ok(self.finish_directory()?)
    }
}
