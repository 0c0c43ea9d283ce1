//! What can go wrong in a store. Each error names the path, file or option to blame.
//!
//! No error here is shown by this crate; wording follows C++ Nix where it reports the same thing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error from a foreign callback (a source filter), handed through unchanged.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A store path that the database does not know.
    #[error("path '{path}' is not valid")]
    InvalidPath {
        /// The printed store path.
        path: String,
    },
    /// This kind of store cannot do it.
    #[error("operation '{operation}' is not supported by store '{store}'")]
    Unsupported {
        /// What it cannot do, such as `queryAllValidPaths`.
        operation: &'static str,
        /// The store's address.
        store: String,
    },
    /// A path that others refer to cannot be invalidated.
    #[error("cannot delete path '{path}' because it is in use by {}", quoted_list(.referrers))]
    PathInUse {
        /// The printed store path.
        path: String,
        /// The printed referrers.
        referrers: Vec<String>,
    },
    /// A path that is reachable from a root cannot be deleted.
    #[error(
        "Cannot delete path '{path}' since it is still alive. To find out why, use: \
         nix-store --query --roots and nix-store --query --referrers"
    )]
    StillAlive {
        /// The printed store path.
        path: String,
    },
    /// An operating system call failed.
    #[error("{action} {path:?}: {}", errno_text(.source))]
    Io {
        /// What was done, such as `opening file`.
        action: &'static str,
        /// The file it was done to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading or writing a stream that is no file of ours failed.
    #[error("{action}: {}", errno_text(.source))]
    Stream {
        /// What was done, such as `writing NAR`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The database failed.
    #[error("executing SQLite {action}: {source} (in '{}')", .file.display())]
    Database {
        /// What was done, such as `statement` or `transaction`.
        action: &'static str,
        /// The database file.
        file: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The database was written by a newer program.
    #[error("current Nix store schema is version {found}, but I only support {supported}")]
    SchemaTooNew {
        /// The version in the file `schema`.
        found: u64,
        /// What this crate can work with.
        supported: u64,
    },
    /// The database is of a kind that is no longer read.
    #[error(
        "the Nix store database is in the format of schema version {found}, which is no longer supported; \
         upgrade it with Nix 2.0 or later first"
    )]
    SchemaTooOld {
        /// The version in the file `schema`.
        found: u64,
    },
    /// A file of the store's own state has impossible contents.
    #[error("{path:?} is corrupt")]
    CorruptFile {
        /// The file.
        path: PathBuf,
    },
    /// A row in the database has impossible contents.
    #[error("invalid-path entry for '{path}': {reason}")]
    CorruptEntry {
        /// The printed store path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The contents that were given do not have the hash that was promised.
    #[error("{what} importing path '{path}';\n  specified: {specified}\n  got:       {got}")]
    Mismatch {
        /// `hash mismatch`, `size mismatch` or `ca hash mismatch`.
        what: &'static str,
        /// The printed store path.
        path: String,
        /// What was promised.
        specified: String,
        /// What came.
        got: String,
    },
    /// The contents of a valid path have changed since it was registered.
    #[error("hash of path '{path}' has changed from '{registered}' to '{actual}'!")]
    PathModified {
        /// The printed store path.
        path: String,
        /// The registered hash.
        registered: String,
        /// The hash of what is there now.
        actual: String,
    },
    /// A path claims a content address that does not lead to its name.
    #[error(
        "cannot add path '{path}' to the Nix store because it claims to be content-addressed but isn't"
    )]
    NotContentAddressed {
        /// The printed store path.
        path: String,
    },
    /// An output of a derivation is said to be another path than is known of it.
    #[error(
        "Trying to register a realisation of '{id}', but we already have another one locally.\n\
         Local:  {known}\nRemote: {new}"
    )]
    OtherRealisation {
        /// The output, by its derivation's hash.
        id: String,
        /// The printed store path that is known.
        known: String,
        /// The printed store path that was to be registered.
        new: String,
    },
    /// Something that is only done if an experimental feature is on.
    #[error(
        "experimental Nix feature '{0}' is disabled; add '--extra-experimental-features {0}' to enable it"
    )]
    FeatureOff(&'static str),
    /// References that form a cycle.
    #[error("cycle detected in the references of '{path}' from '{parent}'")]
    Cycle {
        /// The printed path that is reached again.
        path: String,
        /// The printed path that refers to it.
        parent: String,
    },
    /// A file that no store path can hold: a device, a socket, a FIFO.
    #[error("file {path:?} has an unsupported type")]
    UnsupportedType {
        /// The file.
        path: PathBuf,
    },
    /// A file in a build's output that another user owns.
    #[error("invalid ownership on file {path:?}")]
    InvalidOwnership {
        /// The file.
        path: PathBuf,
    },
    /// A directory where another one is to be made.
    #[error("path '{}' already exists", path.display())]
    PathExists {
        /// The directory.
        path: PathBuf,
    },
    /// A link that would replace something that is not ours.
    #[error("cannot create symlink {path:?}; already exists")]
    LinkExists {
        /// The link.
        path: PathBuf,
    },
    /// A root within the store itself.
    #[error(
        "creating a garbage collector root ({path:?}) in the Nix store is forbidden (are you running nix-build inside the store?)"
    )]
    RootInStore {
        /// The root.
        path: PathBuf,
    },
    /// The store directory is reached through a symbolic link.
    #[error(
        "the path {path:?} is a symlink; this is not allowed for the Nix store and its parent directories"
    )]
    SymlinkedStore {
        /// The link.
        path: PathBuf,
    },
    /// Text or a file is not in the format that it should be in.
    #[error("{0}")]
    Format(String),
    /// A name, path, archive or derivation that `firn-model` refuses.
    #[error(transparent)]
    Model(BoxError),
    /// An error in a file's contents, with the file.
    #[error("error reading {path:?}: {source}")]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BoxError,
    },
    /// A profile operation that makes no sense.
    #[error("{0}")]
    Profile(String),
    /// A path that nobody trusted vouches for.
    #[error("cannot add path '{path}' because it lacks a signature by a trusted key")]
    Untrusted {
        /// The printed store path.
        path: String,
    },
    /// A wrong setting or store address.
    #[error("{0}")]
    Usage(String),
    /// What a store says to have is not there: a binary cache lost an archive, say.
    #[error("{0}")]
    Gone(String),
    /// A substituter that failed a short while ago and is left alone for now.
    #[error("substituter '{0}' is disabled")]
    Disabled(String),
    /// A store of another crate failed.
    #[error(transparent)]
    Remote(BoxError),
    /// A callback of the caller failed.
    #[error(transparent)]
    Callback(BoxError),
}

impl Error {
    /// Makes the function that turns an I/O error at `path` into an [`Error`].
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The same for errors of `rustix`.
    pub(crate) fn os(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.as_ref().to_owned();
        move |errno| Self::Io { action, path, source: errno.into() }
    }

    /// Makes the function that turns an error on a stream into an [`Error`].
    pub(crate) fn stream(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Stream { action, source }
    }

    /// Wraps an error of `firn-model`.
    pub fn model(source: impl Into<BoxError>) -> Self {
        Self::Model(source.into())
    }

    /// Wraps the error of a store of another crate.
    pub fn remote(source: impl Into<BoxError>) -> Self {
        Self::Remote(source.into())
    }

    /// The operating system's kind, if this is an I/O error.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } | Self::Stream { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

/// The system's own text for an error, without the number that Rust puts behind it.
#[must_use]
pub fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// `'a', 'b'`
fn quoted_list(items: &[String]) -> impl fmt::Display {
    items.iter().map(|i| format!("'{i}'")).collect::<Vec<_>>().join(", ")
}
