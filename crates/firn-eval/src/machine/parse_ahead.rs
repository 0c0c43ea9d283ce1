//! Files that are likely to be imported soon, parsed by a thread of its own.
//!
//! A list of paths to files of the language is most often one of modules, which are imported in their order: the
//! system of a NixOS configuration imports 1,700 from one list. Reading and parsing needs no machine, so that a
//! thread can be some files ahead of the one that evaluates. What it cannot read or parse it forgets: whoever imports
//! the file meets the error.

use super::Shared;
use super::files::{ByPath, as_path};
use firn_syntax::Ast;
use firn_syntax::source::{Origin, Source};
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// How many files may be parsed and not taken yet: they cost memory.
const AHEAD: usize = 64;
/// The thread is started for a list of at least so many files.
const WORTH: usize = 16;

#[derive(Default)]
struct State {
    queue: VecDeque<Box<[u8]>>,
    /// What the thread is parsing.
    busy: Option<Box<[u8]>>,
    parsed: ByPath<Ast>,
    /// Files that were in the queue once.
    seen: FxHashSet<Box<[u8]>>,
    thread: Option<JoinHandle<()>>,
    stopping: bool,
}

/// The files and the thread that parses them.
#[derive(Default)]
pub(crate) struct ParseAhead {
    state: Mutex<State>,
    /// There is something to do, or to take.
    changed: Condvar,
}

impl ParseAhead {
    /// Has the files parsed that a text has lists of.
    pub(super) fn offer(&self, shared: &Arc<Shared>, ast: &Ast) {
        let mut state = self.state.lock();
        let before = state.queue.len();
        for path in ast.listed_paths().filter(|path| path.ends_with(b".nix")) {
            if state.seen.insert(path.into()) {
                state.queue.push_back(path.into());
            }
        }
        if state.queue.len() == before {
            return;
        }
        if state.thread.is_none() {
            if state.queue.len() - before < WORTH {
                let State { queue, seen, .. } = &mut *state;
                for path in queue.drain(before..) {
                    seen.remove(&path);
                }
                return;
            }
            let shared = Arc::clone(shared);
            state.thread = super::run::start_helper(move |_| shared.parse_ahead.work(&shared)).ok();
        }
        self.changed.notify_all();
    }

    /// The tree of a file, if it was parsed or is being parsed. What the thread comes to after its import has begun it
    /// leaves out.
    pub(super) fn take(&self, path: &Path) -> Option<Ast> {
        let key = path.as_os_str().as_bytes();
        let mut state = self.state.lock();
        state.thread.as_ref()?;
        while state.busy.as_deref() == Some(key) {
            self.changed.wait(&mut state);
        }
        let found = state.parsed.remove(key);
        if found.is_some() {
            self.changed.notify_all();
        }
        found
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        let thread = {
            let mut state = self.state.lock();
            state.stopping = true;
            state.thread.take()
        };
        self.changed.notify_all();
        if let Some(thread) = thread {
            // one that panicked has already said so
            let _ = thread.join();
        }
        *self.state.lock() = State::default();
    }

    fn work(&self, shared: &Shared) {
        let mut state = self.state.lock();
        while !state.stopping {
            let next = match state.parsed.len() < AHEAD {
                true => state.queue.pop_front(),
                false => None,
            };
            let Some(path) = next else {
                self.changed.wait(&mut state);
                continue;
            };
            state.busy = Some(path.clone());
            drop(state);
            let parsed = parse(shared, as_path(&path));
            state = self.state.lock();
            state.busy = None;
            if let Some(ast) = parsed {
                state.parsed.insert(path, ast);
            }
            self.changed.notify_all();
        }
    }
}

/// The tree of a file, unless there is something wrong.
fn parse(shared: &Shared, path: &Path) -> Option<Ast> {
    let known = shared.files.values.read().contains_key(path.as_os_str().as_bytes());
    if known {
        return None;
    }
    let text = shared.io.read_file(path).ok()?;
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    let source = Source::new(Origin::Path(path.to_owned()), text);
    firn_syntax::parse(source, &base, &shared.parse_options()).ok()
}

#[cfg(test)]
mod tests {
    use super::AHEAD;
    use crate::io::DryIo;
    use crate::{Evaluator, Settings};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_thread_parses_what_a_long_list_names_and_stays_near() {
        let dir = tempfile::tempdir().unwrap();
        let mut list = String::new();
        for n in 0..2 * AHEAD {
            let text = if n == 1 { "{ broken" } else { "{ }" };
            std::fs::write(dir.path().join(format!("f{n}.nix")), text).unwrap();
            list.push_str(&format!("./f{n}.nix "));
        }
        std::fs::write(dir.path().join("list.nix"), format!("[ {list} ]")).unwrap();
        std::fs::write(dir.path().join("short.nix"), "[ ./list.nix ]").unwrap();
        let settings = Settings { eval_cores: 2, ..Settings::default() };
        let evaluator = Evaluator::new(Arc::new(DryIo::default()), settings);
        evaluator.run(|vm| {
            let shared = Arc::clone(&vm.shared);
            let ahead = &shared.parse_ahead;
            vm.eval_file(&dir.path().join("short.nix")).unwrap();
            assert!(ahead.state.lock().thread.is_none(), "one file is not worth a thread");
            vm.eval_file(&dir.path().join("list.nix")).unwrap();
            let file = |n: usize| dir.path().join(format!("f{n}.nix"));
            // all but the broken one, and no more than that many at a time
            let wait = |n: usize| {
                for _ in 0..1000 {
                    let state = ahead.state.lock();
                    assert!(state.parsed.len() <= AHEAD);
                    if state.parsed.len() == n && state.busy.is_none() {
                        return;
                    }
                    drop(state);
                    std::thread::sleep(Duration::from_millis(10));
                }
                panic!("{n} files are not parsed");
            };
            wait(AHEAD);
            assert!(ahead.take(&file(0)).is_some());
            assert!(ahead.take(&file(1)).is_none(), "whoever imports it meets the error");
            assert!(ahead.take(&file(0)).is_none(), "once is enough");
            wait(AHEAD);
            let mut left: Vec<_> = (2..2 * AHEAD).map(file).collect();
            for _ in 0..1000 {
                left.retain(|file| ahead.take(file).is_none());
                if left.is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(left.is_empty(), "{left:?}");
            wait(0);
        });
        assert!(evaluator.shared().parse_ahead.state.lock().thread.is_none());
    }
}
