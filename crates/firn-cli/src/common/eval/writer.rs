//! Writes what evaluation adds to the store, many things at a time and on a thread of its own.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;

use firn_eval::io::Contents;
use firn_eval::{Error, Kind, Result};
use firn_model::{Derivation, StoreDir, StorePath};
use firn_store::Store;
use firn_store::local::{NewObject, NewText};
use parking_lot::{Condvar, Mutex};

/// So many objects are written in one transaction.
const BATCH: usize = 256;
/// So many bytes wait at most, but for a single object that is larger.
const MOST_BYTES: usize = 64 << 20;

/// Objects on their way to a store.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    /// There is something to do for the thread.
    work: Condvar,
    /// Something was written.
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// In the order in which they came: what refers to others comes after them.
    queue: Vec<NewObject>,
    /// What the queue and what is being written hold.
    bytes: usize,
    /// Names of what is in the queue or being written.
    pending: HashSet<String>,
    writing: bool,
    /// How many wait for all to be written.
    hurry: usize,
    end: bool,
    /// The first error, until somebody takes it.
    error: Option<String>,
}

fn error(text: String) -> Error {
    Error::new(Kind::Io, text)
}

/// What the store needs to know of a derivation with these contents.
pub fn new_derivation(
    derivation: &Derivation,
    contents: Contents,
    path: &StorePath,
    dir: &StoreDir,
) -> Result<NewObject> {
    let outputs = derivation.output_paths(dir).map_err(|e| error(e.to_string()))?;
    Ok(NewObject::Text(NewText {
        path: path.clone(),
        contents: contents.text,
        hash: contents.hash,
        references: derivation.references(),
        outputs: outputs.into_iter().filter_map(|(name, path)| Some((name, path?))).collect(),
    }))
}

impl State {
    fn idle(&self) -> bool {
        self.queue.is_empty() && !self.writing
    }

    fn due(&self) -> bool {
        let many = self.queue.len() >= BATCH || self.bytes > MOST_BYTES / 2;
        !self.queue.is_empty() && (many || self.hurry > 0)
    }

    fn result(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), |e| Err(error(e)))
    }
}

impl Shared {
    fn write_batches(&self) {
        let mut state = self.state.lock();
        loop {
            while !state.due() {
                if state.end {
                    return;
                }
                self.work.wait(&mut state);
            }
            let size = state.queue.len().min(BATCH);
            let batch: Vec<NewObject> = state.queue.drain(..size).collect();
            state.writing = true;
            drop(state);
            let add = AssertUnwindSafe(|| self.store.add_objects(&batch));
            let result = match std::panic::catch_unwind(add) {
                Ok(result) => result.map_err(|e| e.to_string()),
                Err(_) => Err("the thread that writes to the store has panicked".into()),
            };
            state = self.state.lock();
            state.writing = false;
            state.bytes -= batch.iter().map(NewObject::size).sum::<usize>();
            for new in &batch {
                state.pending.remove(new.path().base_name());
            }
            if let Err(e) = result {
                state.error.get_or_insert(e);
                // what is left may refer to what could not be written
                state.queue.clear();
                state.pending.clear();
                state.bytes = 0;
            }
            self.done.notify_all();
        }
    }
}

impl Writer {
    /// A writer to this store.
    pub fn new(store: Arc<dyn Store>) -> Writer {
        let shared = Shared {
            store,
            state: Mutex::default(),
            work: Condvar::default(),
            done: Condvar::default(),
        };
        Writer { shared: Arc::new(shared), thread: Mutex::default() }
    }

    /// Takes an object to be written soon.
    ///
    /// # Errors
    /// If an earlier one could not be written.
    pub fn push(&self, new: NewObject) -> Result<()> {
        self.start();
        let mut state = self.shared.state.lock();
        while state.bytes > MOST_BYTES && state.error.is_none() {
            self.shared.done.wait(&mut state);
        }
        state.result()?;
        if state.pending.insert(new.path().base_name().to_owned()) {
            state.bytes += new.size();
            state.queue.push(new);
        }
        if state.due() {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    fn start(&self) {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            *thread = Some(std::thread::spawn(move || shared.write_batches()));
        }
    }

    /// Whether something with this name is about to be written.
    pub fn is_pending(&self, name: &str) -> bool {
        self.shared.state.lock().pending.contains(name)
    }

    /// Waits until all are written.
    ///
    /// # Errors
    /// If one could not be written.
    pub fn flush(&self) -> Result<()> {
        self.wait();
        self.shared.state.lock().result()
    }

    /// As [`Writer::flush`]; the next one to ask gets the error.
    pub fn flush_quietly(&self) {
        self.wait();
    }

    fn wait(&self) {
        let mut state = self.shared.state.lock();
        state.hurry += 1;
        while !state.idle() {
            self.shared.work.notify_one();
            self.shared.done.wait(&mut state);
        }
        state.hurry -= 1;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state.lock().end = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // its panics are caught and have become errors
            let _ = thread.join();
        }
    }
}
