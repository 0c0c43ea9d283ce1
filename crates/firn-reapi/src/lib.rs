//! Builders in clusters that speak the Remote Execution API, version 2.
//!
//! A build becomes an *action*: a command, and a tree of files that the machine which runs it finds. [`cluster`] has
//! the command run and fetches what came of it; the rest of a build is firn-build's. The command is this program
//! itself, as the [`runner`] that makes the builder's sandbox on that machine.
//!
//! ```text
//! firn-build ── Executor ──> cluster ── gRPC ──> server ──> worker: runner ──> sandbox: builder
//! ```
//!
//! Format: <https://github.com/bazelbuild/remote-apis>, `build/bazel/remote/execution/v2/remote_execution.proto`.
//! Nothing here knows derivations, references or signatures, nor how clusters are named in settings other than by
//! their [`address`].

pub mod address;
mod api;
mod client;
pub mod cluster;
mod error;
pub mod runner;
mod tree;
pub mod wire;

pub use cluster::Cluster;
pub use error::Error;
