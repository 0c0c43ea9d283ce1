//! The formats of the Nix world: hashes, base32, store paths, content addresses, derivations (ATerm
//! and JSON), NAR, narinfo and signatures.
//!
//! Pure and streaming: nothing here opens a file, a socket or a process. Each module names where its
//! format is defined; every parser takes bytes from anywhere and gives an error, never a panic.

pub mod base32;
pub mod content_address;
pub mod derivation;
pub mod hash;
pub mod input;
pub mod nar;
pub mod narinfo;
pub mod path_info;
pub mod realisation;
pub mod signature;
pub mod store_path;

pub use content_address::{ContentAddress, Method};
pub use derivation::Derivation;
pub use hash::{Hash, HashAlgo, Hasher};
pub use path_info::PathInfo;
pub use realisation::{DrvOutput, Realisation};
pub use store_path::{StoreDir, StorePath};
