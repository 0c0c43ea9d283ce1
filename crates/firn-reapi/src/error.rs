//! What can go wrong with a cluster. Which one it is says whoever shows the error.

use std::path::PathBuf;

use crate::wire::grpc::{Code, Status};

/// Why a cluster could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed.
    #[error("{what}: {status}")]
    Call {
        /// What was being done.
        what: String,
        /// How it failed.
        status: Status,
    },
    /// The server said something that makes no sense.
    #[error("the server's answer makes no sense: {0}")]
    Answer(String),
    /// A blob is not what its name says.
    #[error("the server's contents of blob {wanted} are not what that name says ({found})")]
    Corrupt {
        /// Its name.
        wanted: String,
        /// What the contents are.
        found: String,
    },
    /// The cluster cannot do what is needed.
    #[error("{0}")]
    Unsuited(String),
    /// Its address or files that this names make no sense.
    #[error("{0}")]
    Address(String),
    /// A file of this machine.
    #[error("{action} '{}': {}", .path.display(), firn_store::error::errno_text(.source))]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it could not be.
        source: std::io::Error,
    },
    /// A name that the protocol cannot say.
    #[error("the name or target of '{0}' is not UTF-8, which the protocol wants")]
    NotText(String),
}

impl Error {
    /// Notes what was being done when a call failed.
    pub(crate) fn call(what: impl Into<String>) -> impl FnOnce(Status) -> Self {
        let what = what.into();
        move |status| Self::Call { what, status }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// Whether the same may go well in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Call { status, .. } => matches!(
                status.code,
                Code::UNAVAILABLE
                    | Code::RESOURCE_EXHAUSTED
                    | Code::ABORTED
                    | Code::INTERNAL
                    | Code::UNKNOWN
                    | Code::CANCELLED
                    | Code::DEADLINE_EXCEEDED
            ),
            Self::Corrupt { .. } => true,
            _ => false,
        }
    }

    /// Whether the server has lost something that it had.
    pub(crate) fn is_lost_blob(&self) -> bool {
        match self {
            Self::Call { status, .. } => {
                matches!(status.code, Code::FAILED_PRECONDITION | Code::NOT_FOUND)
            }
            _ => false,
        }
    }
}

/// What goes wrong here.
pub(crate) type Result<T> = std::result::Result<T, Error>;
