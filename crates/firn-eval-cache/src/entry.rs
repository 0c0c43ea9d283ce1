//! The files in which answers are kept: one for each question, in a folder of the user's cache.
//!
//! Files are written under another name and then renamed, so that processes need not know of each other. One that
//! cannot be read or understood counts as absent; one that cannot be written only costs time.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::input::{Found, Input, hash};
use crate::record::{Message, Record};

/// The format of the files. Others are not read.
const VERSION: u32 = 1;

/// When more bytes than this are in the folder, the files that were used longest ago go.
const LIMIT: u64 = 128 << 20;

/// A single file may not be larger than this.
const LARGEST: usize = 32 << 20;

/// Kept answers.
#[derive(Debug, Clone)]
pub struct EvalCache {
    dir: PathBuf,
    limit: u64,
}

/// An answer that still holds, as far as the files of this machine say.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The answer.
    pub answer: Value,
    /// What was said to the user while it was found.
    pub messages: Vec<Message>,
    /// Store paths, in full, that must be valid for the answer to be worth something.
    pub paths: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    version: u32,
    answer: Value,
    messages: Vec<Message>,
    paths: Vec<String>,
    inputs: Vec<Input>,
}

impl EvalCache {
    /// The answers that are kept in this folder.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, limit: LIMIT }
    }

    /// The same with another limit for the size of the folder, in bytes.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    fn file(&self, question: &str) -> PathBuf {
        self.dir.join(hash(question.as_bytes()))
    }

    /// The answer to a question, if there is one and all that it was found from is still the same.
    #[must_use]
    pub fn get(&self, question: &str) -> Option<Hit> {
        let file = self.file(question);
        let text = std::fs::read(&file).ok()?;
        let mut entry: Entry = serde_json::from_slice(&text).ok()?;
        if entry.version != VERSION {
            return None;
        }
        let mut restamped = false;
        for input in &mut entry.inputs {
            match input.check() {
                Found::Same => {}
                Found::Restamped(now) => {
                    *input = now;
                    restamped = true;
                }
                Found::Different => return None,
            }
        }
        if restamped || !is_recent(&file) {
            self.write(&file, &entry);
        }
        Some(Hit { answer: entry.answer, messages: entry.messages, paths: entry.paths })
    }

    /// Keeps an answer, with what was read to find it and the store paths that it needs.
    pub fn put(&self, question: &str, answer: Value, record: Record, paths: Vec<String>) {
        let Record { inputs, messages } = record;
        let entry = Entry { version: VERSION, answer, messages, paths, inputs };
        self.write(&self.file(question), &entry);
        self.shrink();
    }

    fn write(&self, file: &Path, entry: &Entry) {
        let written = || -> std::io::Result<()> {
            let text = serde_json::to_vec(entry)?;
            if text.len() > LARGEST {
                return Ok(());
            }
            std::fs::create_dir_all(&self.dir)?;
            let mut new = tempfile::NamedTempFile::new_in(&self.dir)?;
            std::io::Write::write_all(&mut new, &text)?;
            new.persist(file)?;
            Ok(())
        };
        // nothing is lost but time
        let _ = written();
    }

    /// Removes what was used longest ago until the folder is well below its limit.
    fn shrink(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let meta = entry.metadata().ok()?;
                Some((meta.modified().ok()?, meta.len(), entry.path()))
            })
            .collect();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        if total <= self.limit {
            return;
        }
        files.sort();
        for (_, size, path) in files {
            if total <= self.limit / 4 * 3 {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }
}

/// Whether a file was written within a day: then it need not be written again to tell that it is in use.
fn is_recent(file: &Path) -> bool {
    let age = file.metadata().and_then(|meta| meta.modified()).ok().and_then(|t| t.elapsed().ok());
    age.is_some_and(|age| age.as_secs() < 24 * 3600)
}
