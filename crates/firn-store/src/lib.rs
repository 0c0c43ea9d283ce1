//! Stores: the local SQLite store (as root or in a chroot), its garbage collector, roots,
//! profiles and verification.
//!
//! Nothing here knows the language, and nothing prints: messages go to the event stream, settings
//! and environment come in as plain data.
//!
//! ```no_run
//! use firn_store::layout::{Environment, StoreLayout};
//! use firn_store::{LocalStore, Repair, Store as _, StoreOptions};
//!
//! # fn main() -> firn_store::Result<()> {
//! let (layout, _warnings) = StoreLayout::detect(&Environment::current())?;
//! let store = LocalStore::open(layout, StoreOptions::default())?;
//! let path = store.add_text("greeting", b"hello\n", &Default::default(), Repair::No)?;
//! assert!(store.is_valid(&path)?);
//! # Ok(())
//! # }
//! ```

pub mod closure;
pub mod content_addressed;
pub mod copy;
pub mod db;
pub mod error;
pub mod export;
pub mod fs;
pub mod hashing;
pub mod layout;
pub mod local;
pub mod modulo;
pub mod profile;
pub mod realised;
pub mod references;
pub mod registration;
pub mod rewrite;
pub mod settings;
pub mod store;
pub mod stream;
pub mod trust;

pub use error::{Error, Result};
pub use layout::StoreLayout;
pub use local::{LocalStore, Overlay, StoreOptions};
pub use settings::Settings;
pub use store::{
    ClosureOptions, FileKind, NarSource, Repair, SourceFilter, Store, SubstituterRole,
};
pub use trust::Trust;
