//! An HTTP binary cache server for a store on this machine.
//!
//! Paths are served as they are in the store: archives are made on the way out, files go from the disk's cache to the
//! network without passing through this program, and what is known of paths is signed when it is asked for. With a
//! token, paths can be uploaded as to any other cache; they are checked and added to the store.
//!
//! One thread serves one connection. Nothing here speaks TLS: that is a reverse proxy's business.

mod archive;
mod http;
mod retention;
mod routes;
mod server;
mod upload;

pub use retention::Retention;
pub use server::{ServeOptions, Server};
