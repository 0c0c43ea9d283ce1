//! NAR, the Nix archive: a file-system object as one canonical byte stream.
//!
//! Defined in the Nix manual under "Nix Archive (NAR) format": strings are a little-endian 64-bit
//! length, the bytes, and zeros up to a multiple of 8. [`NarWriter`] writes one event at a time;
//! [`read`] parses a stream, with all limits checked, into a [`NarVisitor`]. Nothing here touches the
//! file system.

pub mod listing;
mod read;
mod write;

pub use read::{Contents, Limits, NarVisitor, read, read_with_limits};
pub use write::NarWriter;

/// What every NAR begins with.
pub const MAGIC: &[u8] = b"nix-archive-1";

/// Why a NAR could not be read or written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("bad archive: {0}")]
    Bad(String),
    #[error("unexpected end of the Nix archive")]
    Truncated,
    #[error("a file's content ended after {got} of {size} bytes: it changed while it was read")]
    ShortContent { size: u64, got: u64 },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
