//! Running systems: generations, activation, units to restart, containers and virtual machines to
//! try a system in.
//!
//! A *toplevel* is the store path of a whole system; its `activation.json` ([`manifest`]) says what
//! `/etc`, the users and the units are to be. [`activate`] makes a running system match it,
//! [`switch`] decides which units to stop, start, restart and reload, and [`try_system`] boots it in a
//! container or a virtual machine. Nothing here knows the command line.

pub mod activate;
pub mod manifest;
pub mod switch;
pub mod try_system;

use std::io;
use std::path::{Path, PathBuf};

/// Why something with a system failed. Every message names the file, user or unit to blame.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot {what} '{path}': {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("'{path}' is not a system that this version of Firn can activate: {what}")]
    Manifest { path: PathBuf, what: String },
    #[error("cannot run '{program}': {source}")]
    Run { program: String, source: io::Error },
    #[error("'{program}' failed with {status}{}", if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") })]
    Failed { program: String, status: String, stderr: String },
    #[error("another switch is going on (it holds the lock '{0}'); wait for it to end")]
    Busy(PathBuf),
    #[error("{0}")]
    Other(String),
}

/// What most functions here give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) trait IoContext<T> {
    /// Says what was being done to which path.
    fn at(self, what: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, what: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::Io { what, path: path.as_ref().to_owned(), source })
    }
}

impl<T> IoContext<T> for std::result::Result<T, rustix::io::Errno> {
    fn at(self, what: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(io::Error::from).at(what, path)
    }
}
