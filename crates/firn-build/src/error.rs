//! Why builds fail, in C++ Nix's words and with its exit codes.

use firn_model::store_path::StorePath;

/// How a build failed, as far as others must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The builder failed, and would fail again.
    Permanent,
    /// The derivation cannot be built here or makes no sense.
    InputRejected,
    /// The output may not be what it is.
    OutputRejected,
    /// The builder failed, but may not fail the next time.
    Transient,
    /// It took too long or was silent for too long.
    TimedOut,
    /// Something that it needs failed.
    DependencyFailed,
    /// It wrote more to its log than is allowed.
    LogLimitExceeded,
    /// It made something else than the first time.
    NotDeterministic,
    /// A fixed output is not what it was said to be.
    HashMismatch,
    /// A substituter no longer has what it said to have.
    SubstituteGone,
    /// The user stopped it.
    Interrupted,
    /// Anything else, such as a full disk.
    Misc,
}

/// A failed build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// How.
    pub kind: FailureKind,
    /// The text for the user, without "error: ".
    pub message: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn misc(error: impl std::fmt::Display) -> Self {
        Self::new(FailureKind::Misc, error.to_string())
    }
}

impl From<firn_store::Error> for Failure {
    fn from(error: firn_store::Error) -> Self {
        match error {
            firn_store::Error::Gone(message) => Self::new(FailureKind::SubstituteGone, message),
            other => Self::misc(other),
        }
    }
}

impl From<firn_model::derivation::Error> for Failure {
    fn from(error: firn_model::derivation::Error) -> Self {
        Self::misc(error)
    }
}

impl From<firn_model::store_path::Error> for Failure {
    fn from(error: firn_model::store_path::Error) -> Self {
        Self::misc(error)
    }
}

/// Makes the function that turns an I/O error into a failure that says what was being done.
pub(crate) fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Failure {
    let what = what.to_string();
    move |error| Failure::misc(format!("{what}: {}", firn_store::error::errno_text(&error)))
}

/// What kinds of failures there were; decides the exit code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExitFlags {
    permanent: bool,
    timed_out: bool,
    hash_mismatch: bool,
    check_mismatch: bool,
}

impl ExitFlags {
    /// Notes a failure.
    pub fn add(&mut self, kind: FailureKind) {
        match kind {
            FailureKind::TimedOut => self.timed_out = true,
            FailureKind::HashMismatch => self.hash_mismatch = true,
            FailureKind::NotDeterministic => self.check_mismatch = true,
            FailureKind::Permanent | FailureKind::InputRejected => self.permanent = true,
            _ => {}
        }
    }

    /// The exit code after a failure: 100 and the bits 1 (timed out), 2 (hash mismatch),
    /// 4 (a builder failed), 8 (not deterministic) as C++ Nix combines them; 1 for anything else.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let mut mask = 0;
        if self.permanent || self.timed_out || self.hash_mismatch {
            mask |= 0x04;
        }
        if self.timed_out {
            mask |= 0x01;
        }
        if self.hash_mismatch {
            mask |= 0x02;
        }
        if self.check_mismatch {
            mask |= 0x08;
        }
        if mask == 0 { 1 } else { mask | 0x60 }
    }
}

/// Why not everything that was asked for could be built.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// The text for the user, without "error: ".
    pub message: String,
    /// The exit code for a command: 100 to 111 for failed builds, else 1.
    pub exit_code: u8,
    /// The derivations and paths that failed, of those that were asked for.
    pub failed: Vec<StorePath>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

impl BuildError {
    /// An error without a failed build.
    #[must_use]
    pub fn other(error: impl std::fmt::Display) -> Self {
        Self { message: error.to_string(), exit_code: 1, failed: Vec::new(), interrupted: false }
    }
}

impl From<firn_store::Error> for BuildError {
    fn from(error: firn_store::Error) -> Self {
        Self::other(error)
    }
}

impl From<Failure> for BuildError {
    fn from(failure: Failure) -> Self {
        let mut flags = ExitFlags::default();
        flags.add(failure.kind);
        Self {
            message: failure.message,
            exit_code: flags.exit_code(),
            failed: Vec::new(),
            interrupted: failure.kind == FailureKind::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_cpp_nix() {
        for (kind, code) in [
            (FailureKind::Permanent, 100),
            (FailureKind::InputRejected, 100),
            (FailureKind::TimedOut, 101),
            (FailureKind::HashMismatch, 102),
            (FailureKind::NotDeterministic, 104),
            (FailureKind::OutputRejected, 1),
            (FailureKind::Misc, 1),
        ] {
            let mut flags = ExitFlags::default();
            flags.add(kind);
            assert_eq!(flags.exit_code(), code, "{kind:?}");
        }
        let mut flags = ExitFlags::default();
        flags.add(FailureKind::NotDeterministic);
        flags.add(FailureKind::Permanent);
        assert_eq!(flags.exit_code(), 108);
    }
}
