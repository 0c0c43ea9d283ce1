//! What can go wrong between a client and a daemon.

use std::io;

use firn_store::error::errno_text;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a client and a daemon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other side said that it failed; the connection is good.
    #[error("{message}")]
    Remote {
        /// Its message.
        message: String,
        /// The exit status that it asks for, 1 where it does not say.
        status: u64,
    },
    /// The connection broke.
    #[error("{action}: {}", errno_text(.source))]
    Io {
        /// What was done, such as `reading from the daemon`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The other side hung up.
    #[error("{0}")]
    Disconnected(String),
    /// The other side sent what makes no sense.
    #[error("{0}")]
    Protocol(String),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] firn_store::Error),
    /// Something may not or cannot be done.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Makes the function that turns an I/O error into an [`Error`].
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Disconnected("unexpected end-of-file".into()),
            _ => Self::Io { action, source },
        }
    }

    /// An error about what the other side sent.
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into())
    }

    /// Wraps an error of `firn-model`.
    pub(crate) fn model(error: impl std::fmt::Display) -> Self {
        Self::Protocol(error.to_string())
    }

    /// Whether the connection can be used on after it.
    #[must_use]
    pub fn leaves_connection_good(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

impl From<Error> for firn_store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => firn_store::Error::model(other),
        }
    }
}
