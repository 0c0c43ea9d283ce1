//! The serve protocol, which `nix-store --serve` speaks: older than the worker protocol, and simpler. Versions 2.1
//! to 2.7.
//!
//! `connection` and `store` are the client's side ([`ServeStore`]), [`server`] the other. There are no log messages:
//! what the other side has to say goes to its standard error.

mod codec;
mod connection;
pub mod server;
mod store;

pub use codec::BuildSettings;
pub use store::{ServeOptions, ServeStore};

/// What a client says first.
pub const SERVE_MAGIC_1: u64 = 0x390c_9deb;
/// What a server answers.
pub const SERVE_MAGIC_2: u64 = 0x5452_eecb;

/// The version that is spoken best: 2.7.
pub const LATEST: Version = Version(7);

/// The minor number of a version of the serve protocol; the major number is 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u8);

impl Version {
    /// The number for the greeting.
    #[must_use]
    pub fn wire(self) -> u64 {
        0x200 | u64::from(self.0)
    }

    /// The version that a greeting names; `None` for another major number.
    #[must_use]
    pub fn from_wire(number: u64) -> Option<Self> {
        ((number & 0xff00) >> 8 == 2).then_some(Self((number & 0xff) as u8))
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum Command {
    QueryValidPaths = 1,
    QueryPathInfos = 2,
    DumpStorePath = 3,
    ImportPaths = 4,
    BuildPaths = 6,
    QueryClosure = 7,
    BuildDerivation = 8,
    AddToStoreNar = 9,
}

impl Command {
    /// The command with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        [
            Self::QueryValidPaths,
            Self::QueryPathInfos,
            Self::DumpStorePath,
            Self::ImportPaths,
            Self::BuildPaths,
            Self::QueryClosure,
            Self::BuildDerivation,
            Self::AddToStoreNar,
        ]
        .into_iter()
        .find(|command| *command as u64 == number)
    }
}
