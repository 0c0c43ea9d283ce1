//! How a running collector hears of new temporary roots: a socket to which processes send one store
//! path a line and wait for a `1`.
//!
//! A process that names a path which is being deleted just then gets its answer when that is done,
//! so that it finds the path gone rather than going.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use firn_model::store_path::{StoreDir, StorePath};
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::fs::create_dirs;

/// What collector and server share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Hash parts of the temporary roots: whatever begins with one of them is kept, lock files and
    /// the like included.
    roots: HashSet<String>,
    /// Hash parts of what is being deleted.
    pending: HashSet<String>,
}

impl Shared {
    /// Keeps everything with this hash part, waiting if it is being deleted.
    pub(super) fn add(&self, hash_part: &str) {
        let mut state = self.state.lock();
        state.roots.insert(hash_part.to_owned());
        while state.pending.contains(hash_part) && !self.stopping.load(Ordering::Relaxed) {
            self.changed.wait(&mut state);
        }
    }

    /// Claims paths for deletion, except those that are roots by now, which are given back.
    pub(super) fn claim(&self, paths: &mut Vec<StorePath>) -> Vec<StorePath> {
        let mut state = self.state.lock();
        let (kept, free): (Vec<_>, Vec<_>) =
            paths.drain(..).partition(|p| state.roots.contains(p.hash_part()));
        state.pending.extend(free.iter().map(|p| p.hash_part().to_owned()));
        *paths = free;
        kept
    }

    /// Whether this hash part is a root.
    pub(super) fn is_root(&self, hash_part: &str) -> bool {
        self.state.lock().roots.contains(hash_part)
    }

    /// These claimed paths are gone, or stay after all.
    pub(super) fn release<'p>(&self, paths: impl IntoIterator<Item = &'p StorePath>) {
        let mut state = self.state.lock();
        for path in paths {
            state.pending.remove(path.hash_part());
        }
        drop(state);
        self.changed.notify_all();
    }

    /// No path is claimed any more.
    pub(super) fn release_all(&self) {
        self.state.lock().pending.clear();
        self.changed.notify_all();
    }
}

/// The running server; it ends when dropped.
pub(super) struct Server {
    shared: Arc<Shared>,
    socket: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `socket`.
    pub(super) fn start(socket: &Path, dir: &StoreDir, shared: Arc<Shared>) -> Result<Self> {
        if let Some(parent) = socket.parent() {
            create_dirs(parent)?;
        }
        crate::fs::remove_file_if_present(socket)?;
        let listener =
            crate::fs::socket::bind(socket).map_err(Error::io("cannot bind to socket", socket))?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))
            .map_err(Error::io("changing mode of", socket))?;
        let (dir, state) = (dir.clone(), shared.clone());
        let thread = std::thread::spawn(move || serve(&listener, &dir, &state));
        Ok(Self { shared, socket: socket.to_owned(), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.release_all();
        // a connection of our own ends the waiting for one
        let _ = crate::fs::socket::connect(&self.socket);
        let _ = std::fs::remove_file(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: &UnixListener, dir: &StoreDir, shared: &Arc<Shared>) {
    let mut clients: Vec<UnixStream> = Vec::new();
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::Relaxed) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let Ok(copy) = stream.try_clone() else { continue };
        clients.push(copy);
        let (dir, shared) = (dir.clone(), shared.clone());
        threads.push(std::thread::spawn(move || client(stream, &dir, &shared)));
    }
    for client in clients {
        let _ = client.shutdown(std::net::Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn client(stream: UnixStream, dir: &StoreDir, shared: &Shared) {
    let Ok(mut answer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(std::io::Read::take(stream, u64::MAX));
    let mut line = String::new();
    loop {
        line.clear();
        // a line that never ends is no client of ours
        let mut limited = std::io::Read::take(&mut reader, 64 * 1024);
        match limited.read_line(&mut line) {
            Ok(n) if n > 0 && line.ends_with('\n') => {}
            _ => return,
        }
        if let Ok(path) = dir.parse(line.trim_end_matches('\n')) {
            shared.add(path.hash_part());
        }
        if answer.write_all(b"1").is_err() {
            return;
        }
    }
}
