//! Stores that other processes look after: the worker protocol (daemons, `ssh-ng`) and the older serve protocol
//! (`ssh`), both sides of each, and remote builders.
//!
//! - [`wire`]: numbers, texts and frames, with limits on all that is believed.
//! - [`protocol`]: what the worker protocol's messages are made of, for each of its versions.
//! - [`ManagedStore`]: what a daemon offers beyond [`firn_store::Store`]: builds, collection, roots.
//! - [`client`]: such a store at the other end of a connection; [`local`]: one on this machine.
//! - [`passive`]: a store that only has what it was given, for remote builders to fill.
//! - [`server`]: offers a store to clients, and decides whom to trust.
//! - [`serve`]: the serve protocol.
//! - [`ssh`]: connections by the system's `ssh`.
//! - [`restricted`]: the store for builders that use it themselves.
//! - [`hook`]: remote builders: machines, the build hook's protocol, and the hook itself.
//!
//! Nothing here prints or reads the user's configuration.

pub mod client;
pub mod copy;
pub mod error;
pub mod hook;
pub mod local;
pub mod managed;
pub mod passive;
mod pipe;
pub mod protocol;
pub mod restricted;
pub mod serve;
pub mod server;
pub mod ssh;
pub mod wire;

pub use error::{Error, Result};
pub use managed::{ClientOptions, ManagedStore, SubstitutableInfo};
