//! Builders that use the store themselves (experimental feature `recursive-nix`): who serves them.

use std::collections::BTreeSet;
use std::path::Path;

use firn_event::Logger;
use firn_model::store_path::StorePath;
use firn_store::StoreLayout;

use crate::error::Failure;

/// The feature that a derivation asks for.
pub const FEATURE: &str = "recursive-nix";

/// The name of the socket in the build directory.
pub const SOCKET: &str = ".nix-socket";

/// A build whose builder is to be served.
#[derive(Debug)]
pub struct RecursiveRequest<'a> {
    /// The directories of the store.
    pub store: &'a StoreLayout,
    /// Where the builder looks for the daemon.
    pub socket: &'a Path,
    /// All that the builder may see.
    pub inputs: &'a BTreeSet<StorePath>,
    /// Where messages go.
    pub logger: &'a Logger,
}

/// Serves a builder as long as it lives.
pub trait RecursiveServer: Send {
    /// Ends the service; gives the paths that the builder has added, to which its outputs may refer.
    fn finish(self: Box<Self>) -> BTreeSet<StorePath>;
}

/// Serves builders.
pub trait RecursiveNix: Send + Sync {
    /// Begins to serve a builder, which sees only its inputs and what it adds.
    ///
    /// # Errors
    /// When the socket cannot be made or the store not opened.
    fn serve(&self, request: &RecursiveRequest<'_>) -> Result<Box<dyn RecursiveServer>, Failure>;
}
