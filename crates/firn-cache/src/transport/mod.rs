//! Where the files of a cache are: a folder, a web server, a bucket. A transport knows names of files and nothing of
//! what is in them.

mod aws;
mod file;
mod http;

use std::io::Read;
use std::path::PathBuf;

use firn_store::Result;
use tempfile::NamedTempFile;

pub use aws::S3Transport;
pub use file::FileTransport;
pub use http::{Disabling, HttpTransport};

/// What is written to a cache.
#[derive(Debug)]
pub enum Body<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// A file that may be moved to where it belongs.
    Temporary(NamedTempFile),
}

/// Reads and writes the files of a cache; all names are relative to it.
pub trait Transport: Send + Sync {
    /// The cache's address without parameters.
    fn uri(&self) -> String;

    /// Makes what must be there before anything is written.
    ///
    /// # Errors
    /// If it cannot be made.
    fn prepare(&self, _debug_info: bool) -> Result<()> {
        Ok(())
    }

    /// Whether there is a file.
    ///
    /// # Errors
    /// If nobody can say.
    fn exists(&self, name: &str) -> Result<bool>;

    /// A small file; `None` if it is not there. `parent` is the activity that this is part of.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, name: &str, parent: u64) -> Result<Option<Vec<u8>>>;

    /// A file to read from; `None` if it is not there.
    ///
    /// # Errors
    /// If it cannot be read.
    fn open(&self, name: &str, parent: u64) -> Result<Option<Box<dyn Read + Send>>>;

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    fn put(&self, name: &str, body: Body<'_>, mime: &str) -> Result<()>;

    /// The hash parts of all paths, where they can be listed.
    ///
    /// # Errors
    /// If they can be but reading them fails.
    fn hash_parts(&self) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// A folder for temporary files that become files of the cache.
    fn scratch(&self) -> Option<PathBuf> {
        None
    }

    /// How many small files are asked for at a time. It may become more with the first answer.
    fn parallel(&self) -> usize;

    /// Whether asking is so dear that answers are kept on disk.
    fn is_remote(&self) -> bool;
}
