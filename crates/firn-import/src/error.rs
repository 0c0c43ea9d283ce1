//! What can go wrong in an import, and the words for it. No behaviour.

use std::path::PathBuf;

/// The result of anything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a package could not be imported. Each names the file, member or parameter to blame.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The builder's parameters cannot be understood.
    #[error("the importer's parameters ('spec') are not valid: {0}")]
    Spec(String),
    /// An operation on a file failed.
    #[error("cannot {action} '{}': {source}", path.display())]
    Io {
        /// What was being done, as a verb: "read", "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An archive is damaged or of an unknown kind.
    #[error("archive '{}': {reason}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An archive's member has a name or a target that must not be unpacked.
    #[error("archive '{}': member '{member}' {reason}", path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// The member's name, as in the archive.
        member: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// An ELF file could not be edited.
    #[error("ELF file '{file}': {reason}")]
    Elf {
        /// The file, relative to the output.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A step of the parameters found nothing to work on.
    #[error("'{key}' of the importer's parameters: {reason}")]
    Step {
        /// The parameter.
        key: &'static str,
        /// What it asked for and why it cannot be had.
        reason: String,
    },
    /// A library or interpreter is missing, and `allowUnresolved` is false.
    #[error("nothing provides {}; add the package that has it to 'dependencies'", .0.join(", "))]
    Unresolved(Vec<String>),
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
