//! What the worker protocol's messages are made of: numbers of operations, versions, and how paths, derivations,
//! results and log messages are written in each version.
//!
//! Versions are `1.MINOR`; all from 1.18 to 1.38 are spoken, which is what C++ Nix 2.3 to 2.34 speak. Nothing here
//! knows stores or connections.

mod codec;
pub mod log;
#[cfg(test)]
mod tests;

pub use codec::Codec;

use firn_build::{BuildResult, DerivedPath, Mode};

/// What a client says first.
pub const WORKER_MAGIC_1: u64 = 0x6e69_7863;
/// What a daemon answers.
pub const WORKER_MAGIC_2: u64 = 0x6478_696f;

/// The version that this implementation speaks best.
pub const LATEST: Version = Version(38);
/// The oldest version that it speaks.
pub const MINIMUM: Version = Version(18);

/// The minor number of a version of the worker protocol; the major number is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u8);

impl Version {
    /// The number for the greeting.
    #[must_use]
    pub fn wire(self) -> u64 {
        0x100 | u64::from(self.0)
    }

    /// The version that a greeting names; `None` for another major number.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        ((number & 0xff00) >> 8 == 1).then_some(Self((number & 0xff) as u8))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// An operation that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum Op {
    IsValidPath = 1,
    QueryReferrers = 6,
    AddToStore = 7,
    AddTextToStore = 8,
    BuildPaths = 9,
    EnsurePath = 10,
    AddTempRoot = 11,
    AddIndirectRoot = 12,
    SyncWithGc = 13,
    FindRoots = 14,
    QueryDeriver = 18,
    SetOptions = 19,
    CollectGarbage = 20,
    QuerySubstitutablePathInfo = 21,
    QueryDerivationOutputs = 22,
    QueryAllValidPaths = 23,
    QueryPathInfo = 26,
    QueryDerivationOutputNames = 28,
    QueryPathFromHashPart = 29,
    QuerySubstitutablePathInfos = 30,
    QueryValidPaths = 31,
    QuerySubstitutablePaths = 32,
    QueryValidDerivers = 33,
    OptimiseStore = 34,
    VerifyStore = 35,
    BuildDerivation = 36,
    AddSignatures = 37,
    NarFromPath = 38,
    AddToStoreNar = 39,
    QueryMissing = 40,
    QueryDerivationOutputMap = 41,
    RegisterDrvOutput = 42,
    QueryRealisation = 43,
    AddMultipleToStore = 44,
    AddBuildLog = 45,
    BuildPathsWithResults = 46,
    AddPermRoot = 47,
}

impl Op {
    /// All operations.
    pub const ALL: [Self; 37] = [
        Self::IsValidPath,
        Self::QueryReferrers,
        Self::AddToStore,
        Self::AddTextToStore,
        Self::BuildPaths,
        Self::EnsurePath,
        Self::AddTempRoot,
        Self::AddIndirectRoot,
        Self::SyncWithGc,
        Self::FindRoots,
        Self::QueryDeriver,
        Self::SetOptions,
        Self::CollectGarbage,
        Self::QuerySubstitutablePathInfo,
        Self::QueryDerivationOutputs,
        Self::QueryAllValidPaths,
        Self::QueryPathInfo,
        Self::QueryDerivationOutputNames,
        Self::QueryPathFromHashPart,
        Self::QuerySubstitutablePathInfos,
        Self::QueryValidPaths,
        Self::QuerySubstitutablePaths,
        Self::QueryValidDerivers,
        Self::OptimiseStore,
        Self::VerifyStore,
        Self::BuildDerivation,
        Self::AddSignatures,
        Self::NarFromPath,
        Self::AddToStoreNar,
        Self::QueryMissing,
        Self::QueryDerivationOutputMap,
        Self::RegisterDrvOutput,
        Self::QueryRealisation,
        Self::AddMultipleToStore,
        Self::AddBuildLog,
        Self::BuildPathsWithResults,
        Self::AddPermRoot,
    ];

    /// The operation with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|op| *op as u64 == number)
    }
}

/// What a build is for, as clients say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum BuildMode {
    /// To have the outputs.
    #[default]
    Normal = 0,
    /// To have them whole again.
    Repair = 1,
    /// To see whether they come out the same again.
    Check = 2,
}

impl From<Mode> for BuildMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Check => Self::Check,
            _ => Self::Normal,
        }
    }
}

/// What came of one of the things that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedResult {
    /// What was asked for.
    pub path: DerivedPath,
    /// What came of it.
    pub result: BuildResult,
}
