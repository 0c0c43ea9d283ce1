//! Temporary roots: what this process is working with, so that no collector deletes it.
//!
//! They stand in the file `temproots/PID`, each ended by a NUL, whose exclusive lock the process
//! holds as long as it lives. While a collector runs, roots are also told to it through its socket
//! (see `gc_server`). File and socket are those of C++ Nix.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use firn_model::store_path::StorePath;
use parking_lot::Mutex;

use super::LocalStore;
use crate::error::{Error, Result};
use crate::fs::lock::{FileLock, LockKind};
use crate::layout::StoreLayout;

/// The temporary roots of this process in one store.
#[derive(Debug)]
pub(super) struct TempRoots {
    state_dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<FileLock>,
    gc_lock: Option<FileLock>,
    collector: Option<UnixStream>,
    /// What has been added, so that it is added once.
    added: HashSet<StorePath>,
}

/// A process has one file for each store, however often it opens the store.
static OPEN: Mutex<Vec<Weak<TempRoots>>> = Mutex::new(Vec::new());

impl TempRoots {
    pub(super) fn of(layout: &StoreLayout) -> Arc<Self> {
        let mut open = OPEN.lock();
        open.retain(|o| o.strong_count() > 0);
        if let Some(found) =
            open.iter().filter_map(Weak::upgrade).find(|o| o.state_dir == layout.state_dir)
        {
            return found;
        }
        let new = Arc::new(Self { state_dir: layout.state_dir.clone(), state: Mutex::default() });
        open.push(Arc::downgrade(&new));
        new
    }

    /// Adds roots, given with their printed paths; gives those that were none before.
    fn add<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
        print: impl Fn(&StorePath) -> String,
    ) -> Result<Vec<&'p StorePath>> {
        let mut state = self.state.lock();
        let new: Vec<&StorePath> =
            paths.into_iter().filter(|path| !state.added.contains(*path)).collect();
        if new.is_empty() {
            return Ok(new);
        }
        let printed: Vec<String> = new.iter().map(|path| print(path)).collect();
        if state.file.is_none() {
            state.file = Some(own_file(&self.state_dir.join("temproots"))?);
        }
        let mut gc_lock = match state.gc_lock.take() {
            Some(lock) => lock,
            None => FileLock::open(&self.state_dir.join("gc.lock"))?,
        };
        // shared: no collector can start before the root is in the file
        let quiet = loop {
            if gc_lock.try_lock(LockKind::Shared)? {
                break true;
            }
            let mut told = true;
            for path in &printed {
                told = told && state.tell_collector(&self.state_dir, path)?;
            }
            if told {
                break false;
            }
        };
        if let Some(file) = &state.file {
            let text = printed.iter().flat_map(|path| [path, "\0"]).collect::<String>();
            file.file()
                .write_all(text.as_bytes())
                .map_err(Error::io("writing temporary roots file", file.path()))?;
        }
        if quiet {
            gc_lock.unlock()?;
        }
        state.gc_lock = Some(gc_lock);
        state.added.extend(new.iter().copied().cloned());
        Ok(new)
    }
}

impl State {
    /// Tells the running collector; false if it seems to be gone.
    fn tell_collector(&mut self, state_dir: &Path, printed: &str) -> Result<bool> {
        let socket = state_dir.join("gc-socket/socket");
        if self.collector.is_none() {
            match crate::fs::socket::connect(&socket) {
                Ok(stream) => self.collector = Some(stream),
                Err(e)
                    if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) =>
                {
                    // it has ended, or has not made its socket yet
                    std::thread::sleep(Duration::from_millis(20));
                    return Ok(false);
                }
                Err(e) => return Err(Error::io("connecting to socket at", &socket)(e)),
            }
        }
        let Some(stream) = &mut self.collector else { return Ok(false) };
        let mut answer = [0];
        let told = stream
            .write_all(format!("{printed}\n").as_bytes())
            .and_then(|()| stream.read_exact(&mut answer));
        match told {
            Ok(()) if answer == *b"1" => Ok(true),
            Ok(()) => {
                self.collector = None;
                Err(Error::Format(format!(
                    "the garbage collector at {socket:?} gave a wrong answer"
                )))
            }
            Err(_) => {
                self.collector = None;
                Ok(false)
            }
        }
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        if let Some(file) = self.state.get_mut().file.take() {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Makes this process's file and locks it.
fn own_file(dir: &Path) -> Result<FileLock> {
    let path = dir.join(std::process::id().to_string());
    loop {
        // a file that is there is of a process that had this number before
        crate::fs::remove_file_if_present(&path)?;
        let mut lock = FileLock::open(&path)?;
        lock.lock(LockKind::Exclusive)?;
        // a collector may have taken it for stale between these two steps
        if !lock.is_stale()? {
            return Ok(lock);
        }
    }
}

impl LocalStore {
    pub(super) fn add_temporary_root(&self, path: &StorePath) -> Result<()> {
        self.add_temporary_roots([path])
    }

    /// Gives up all temporary roots of this process, for a process that lives long and is done with them. The caller
    /// sees to it that no other thread of it works with any of them.
    ///
    /// # Errors
    /// If their file cannot be changed.
    pub fn release_temp_roots(&self) -> Result<()> {
        use std::io::Seek as _;
        let mut state = self.temp_roots.state.lock();
        if let Some(lock) = &state.file {
            let mut file = lock.file();
            file.set_len(0)
                .and_then(|()| file.rewind())
                .map_err(Error::io("writing temporary roots file", lock.path()))?;
        }
        state.added.clear();
        Ok(())
    }

    /// As [`LocalStore::add_temporary_root`], for many at once.
    pub(super) fn add_temporary_roots<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<()> {
        if self.options.read_only {
            return Ok(());
        }
        for path in self.temp_roots.add(paths, |path| self.print(path))? {
            // what was known of it is from before it was safe from collectors
            self.forget(path);
        }
        Ok(())
    }

    /// The temporary roots of all living processes, with `{temp:PID}`; files of dead ones are
    /// removed.
    pub(super) fn find_temp_roots(&self) -> Result<Vec<(StorePath, String)>> {
        let dir = self.layout.temp_roots_dir();
        let mut found = Vec::new();
        let entries = std::fs::read_dir(&dir).map_err(Error::io("reading directory", &dir))?;
        for entry in entries {
            let entry = entry.map_err(Error::io("reading directory", &dir))?;
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
                continue;
            };
            let path = entry.path();
            let file = match File::options().read(true).write(true).open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io("opening temporary roots file", &path)(e)),
            };
            let mut lock = FileLock::on(file, &path);
            // only the file of a process that is gone can be locked
            if lock.try_lock(LockKind::Exclusive)? {
                self.info(format!("removing stale temporary roots file {path:?}"));
                lock.remove();
                continue;
            }
            let mut contents = Vec::new();
            lock.file()
                .read_to_end(&mut contents)
                .map_err(Error::io("reading temporary roots file", &path))?;
            // what follows the last NUL is not written to its end yet
            let whole = contents.iter().rposition(|b| *b == 0).map_or(0, |at| at + 1);
            for text in contents[..whole].split(|b| *b == 0).filter(|t| !t.is_empty()) {
                let text = std::str::from_utf8(text).unwrap_or_default();
                // anything else is no path of this store, and so keeps nothing alive
                if let Ok(root) = self.layout.store_dir.parse(text) {
                    found.push((root, format!("{{temp:{pid}}}")));
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
impl LocalStore {
    /// As if another process had added what was added so far and had ended.
    pub(super) fn temp_roots_for_tests_forget(&self) {
        let mut state = self.temp_roots.state.lock();
        if let Some(file) = state.file.take() {
            let _ = std::fs::remove_file(file.path());
        }
        state.added.clear();
        drop(state);
        self.clear_cache();
    }
}
