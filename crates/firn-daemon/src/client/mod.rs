//! A store at the other end of a connection that speaks the worker protocol.
//!
//! [`connection`] greets and exchanges messages, [`pool`] keeps connections, `remote` is the [`firn_store::Store`],
//! `managed` what daemons offer beyond that.

pub mod connection;
mod file;
mod kept;
mod managed;
pub mod pool;
mod remote;

pub use connection::{Connection, Streams};
pub(crate) use file::only_file;
pub(crate) use managed::as_build_results;
pub use pool::{Connect, Pool, Pooled};
pub use remote::{RemoteOptions, RemoteStore};

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Connects to a daemon's socket.
#[derive(Debug, Clone)]
pub struct UnixSocket {
    /// The socket.
    pub path: PathBuf,
}

impl Connect for UnixSocket {
    fn connect(&self) -> Result<Streams> {
        let fail = |source: std::io::Error| {
            Error::Refused(format!(
                "cannot connect to socket at '{}': {}",
                self.path.display(),
                firn_store::error::errno_text(&source)
            ))
        };
        let stream = connect_socket(&self.path).map_err(fail)?;
        let writer = stream.try_clone().map_err(fail)?;
        let closer = stream.try_clone().map_err(fail)?;
        Ok(Streams {
            reader: Box::new(stream),
            writer: Box::new(writer),
            close_write: Box::new(move || {
                let _ = closer.shutdown(std::net::Shutdown::Write);
            }),
            guard: Box::new(()),
        })
    }
}

/// Connects to a socket whose path may be longer than the system's addresses allow, by the folder's descriptor.
///
/// # Errors
/// If nobody listens there.
pub fn connect_socket(path: &Path) -> std::io::Result<UnixStream> {
    firn_store::fs::socket::connect(path)
}
