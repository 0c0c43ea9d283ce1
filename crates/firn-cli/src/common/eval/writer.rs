//! Writes the derivations of an evaluation, many at a time and on a thread of its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use firn_eval::io::Contents;
use firn_eval::{Error, Kind, Result};
use firn_model::{Derivation, StoreDir, StorePath};
use firn_store::Store;
use firn_store::local::NewDerivation;
use parking_lot::Mutex;

/// So many derivations are written in one transaction.
const BATCH: usize = 256;

/// Derivations on their way to a store.
pub struct Writer {
    store: Arc<dyn Store>,
    queue: Mutex<Vec<NewDerivation>>,
    worker: Mutex<Worker>,
}

#[derive(Default)]
struct Worker {
    /// The thread that writes the batch before. Batches are written one after the other, since a derivation
    /// refers to earlier ones.
    thread: Option<JoinHandle<firn_store::Result<()>>>,
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
) -> Result<NewDerivation> {
    let outputs = derivation.output_paths(dir).map_err(|e| error(e.to_string()))?;
    Ok(NewDerivation {
        path: path.clone(),
        contents: contents.text,
        hash: contents.hash,
        references: derivation.references(),
        outputs: outputs.into_iter().filter_map(|(name, path)| Some((name, path?))).collect(),
    })
}

impl Worker {
    fn finish(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let result = match thread.join() {
            Ok(result) => result.map_err(|e| e.to_string()),
            Err(_) => Err("the thread that writes derivations has panicked".into()),
        };
        if let Err(e) = result {
            self.error.get_or_insert(e);
        }
    }

    fn result(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), |e| Err(error(e)))
    }
}

impl Writer {
    /// A writer to this store.
    pub fn new(store: Arc<dyn Store>) -> Writer {
        Writer { store, queue: Mutex::default(), worker: Mutex::default() }
    }

    /// Takes a derivation to be written soon.
    ///
    /// # Errors
    /// If an earlier one could not be written.
    pub fn push(&self, new: NewDerivation) -> Result<()> {
        let full = {
            let mut queue = self.queue.lock();
            queue.push(new);
            queue.len() >= BATCH
        };
        if !full {
            return Ok(());
        }
        let mut worker = self.worker.lock();
        let batch = std::mem::take(&mut *self.queue.lock());
        worker.finish();
        worker.result()?;
        let store = Arc::clone(&self.store);
        worker.thread = Some(std::thread::spawn(move || store.add_derivations(&batch)));
        Ok(())
    }

    /// Waits until all are written.
    ///
    /// # Errors
    /// If one could not be written.
    pub fn flush(&self) -> Result<()> {
        let mut worker = self.worker.lock();
        self.write_all(&mut worker);
        worker.result()
    }

    /// As [`Writer::flush`]; the next one to ask gets the error.
    pub fn flush_quietly(&self) {
        self.write_all(&mut self.worker.lock());
    }

    fn write_all(&self, worker: &mut Worker) {
        worker.finish();
        let batch = std::mem::take(&mut *self.queue.lock());
        if !batch.is_empty()
            && worker.error.is_none()
            && let Err(e) = self.store.add_derivations(&batch)
        {
            worker.error = Some(e.to_string());
        }
    }
}
