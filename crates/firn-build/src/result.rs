//! What came of a build, as plain data: what the worker protocol and the build hook hand on.
//!
//! The numbers of [`BuildStatus`] are those of the worker protocol (C++ Nix, `build-result.hh`).

use std::collections::BTreeMap;
use std::time::Duration;

use firn_model::realisation::Realisation;

use crate::error::{Failure, FailureKind};

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BuildStatus {
    /// It was built.
    Built = 0,
    /// It came from somewhere else.
    Substituted = 1,
    /// It was there.
    AlreadyValid = 2,
    /// The builder failed, and would fail again.
    PermanentFailure = 3,
    /// The derivation cannot be built here or makes no sense.
    InputRejected = 4,
    /// An output may not be what it is.
    OutputRejected = 5,
    /// The builder failed, but may not fail the next time.
    TransientFailure = 6,
    /// No longer used.
    CachedFailure = 7,
    /// It took too long or was silent for too long.
    TimedOut = 8,
    /// Anything else, such as a full disk.
    MiscFailure = 9,
    /// Something that it needs failed.
    DependencyFailed = 10,
    /// It wrote more to its log than is allowed.
    LogLimitExceeded = 11,
    /// It made something else than the first time.
    NotDeterministic = 12,
    /// With its inputs in place it is a derivation whose outputs were there.
    ResolvesToAlreadyValid = 13,
    /// Nobody has it.
    NoSubstituters = 14,
    /// A fixed output is not what it was said to be. Protocols do not have this: [`BuildStatus::wire`].
    HashMismatch = 15,
}

/// All but [`BuildStatus::HashMismatch`], by their numbers.
const ON_THE_WIRE: [BuildStatus; 15] = [
    BuildStatus::Built,
    BuildStatus::Substituted,
    BuildStatus::AlreadyValid,
    BuildStatus::PermanentFailure,
    BuildStatus::InputRejected,
    BuildStatus::OutputRejected,
    BuildStatus::TransientFailure,
    BuildStatus::CachedFailure,
    BuildStatus::TimedOut,
    BuildStatus::MiscFailure,
    BuildStatus::DependencyFailed,
    BuildStatus::LogLimitExceeded,
    BuildStatus::NotDeterministic,
    BuildStatus::ResolvesToAlreadyValid,
    BuildStatus::NoSubstituters,
];

impl BuildStatus {
    /// Whether the outputs are valid now.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(
            self,
            Self::Built | Self::Substituted | Self::AlreadyValid | Self::ResolvesToAlreadyValid
        )
    }

    /// The number in protocols, which know a hash mismatch as a rejected output.
    #[must_use]
    pub const fn wire(self) -> u8 {
        match self {
            Self::HashMismatch => Self::OutputRejected as u8,
            other => other as u8,
        }
    }

    /// The status that a protocol's number means; `None` if it means none.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        ON_THE_WIRE.get(usize::try_from(number).ok()?).copied()
    }
}

impl From<FailureKind> for BuildStatus {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Permanent => Self::PermanentFailure,
            FailureKind::InputRejected => Self::InputRejected,
            FailureKind::OutputRejected => Self::OutputRejected,
            FailureKind::Transient => Self::TransientFailure,
            FailureKind::TimedOut => Self::TimedOut,
            FailureKind::DependencyFailed => Self::DependencyFailed,
            FailureKind::LogLimitExceeded => Self::LogLimitExceeded,
            FailureKind::NotDeterministic => Self::NotDeterministic,
            FailureKind::HashMismatch => Self::HashMismatch,
            FailureKind::SubstituteGone => Self::NoSubstituters,
            FailureKind::Interrupted | FailureKind::Misc => Self::MiscFailure,
        }
    }
}

/// What came of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildResult {
    /// How it ended.
    pub status: BuildStatus,
    /// The text for the user if it failed, without "error: "; else empty.
    pub error: String,
    /// How many times it was built.
    pub times_built: u64,
    /// Whether it was seen to make something else another time.
    pub non_deterministic: bool,
    /// When the builder was started, in seconds since 1970; 0 if it was not.
    pub start_time: i64,
    /// When it ended.
    pub stop_time: i64,
    /// Time that its processes had of processors, in their own code.
    pub cpu_user: Option<Duration>,
    /// The same, in the kernel.
    pub cpu_system: Option<Duration>,
    /// The outputs that were wanted, by name; empty if it failed.
    pub built_outputs: BTreeMap<String, Realisation>,
}

impl BuildResult {
    /// A result that says no more than how it ended.
    #[must_use]
    pub fn new(status: BuildStatus) -> Self {
        Self {
            status,
            error: String::new(),
            times_built: 0,
            non_deterministic: false,
            start_time: 0,
            stop_time: 0,
            cpu_user: None,
            cpu_system: None,
            built_outputs: BTreeMap::new(),
        }
    }
}

impl From<&Failure> for BuildResult {
    fn from(failure: &Failure) -> Self {
        Self {
            error: failure.message.clone(),
            non_deterministic: failure.kind == FailureKind::NotDeterministic,
            ..Self::new(failure.kind.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_protocol() {
        for number in 0..15 {
            let status = BuildStatus::from_wire(number).unwrap();
            assert_eq!(u64::from(status.wire()), number);
        }
        assert_eq!(BuildStatus::from_wire(15), None);
        assert_eq!(BuildStatus::HashMismatch.wire(), 5);
        assert_eq!(BuildStatus::ResolvesToAlreadyValid.wire(), 13);
    }

    #[test]
    fn only_what_makes_outputs_valid_is_a_success() {
        let successes: Vec<u64> =
            (0..15).filter(|n| BuildStatus::from_wire(*n).unwrap().is_success()).collect();
        assert_eq!(successes, [0, 1, 2, 13]);
    }
}
