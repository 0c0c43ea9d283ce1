//! Builders that use the store themselves (experimental feature `recursive-nix`): who serves them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use firn_event::Logger;
use firn_model::store_path::StorePath;
use firn_store::StoreLayout;

use crate::error::Failure;

/// The feature that a derivation asks for.
pub const FEATURE: &str = "recursive-nix";

/// The name of the socket in the build directory.
pub const SOCKET: &str = ".nix-socket";

/// Lets a builder have a path that it has just added, before it is told of it.
pub type Admit = dyn Fn(&StorePath) -> Result<(), Failure> + Send + Sync;

/// A build whose builder is to be served.
pub struct RecursiveRequest<'a> {
    /// The directories of the store.
    pub store: &'a StoreLayout,
    /// Where the builder looks for the daemon.
    pub socket: &'a Path,
    /// All that the builder may see from the start.
    pub inputs: &'a BTreeSet<StorePath>,
    /// Called once for each path that it may see besides.
    pub admit: Arc<Admit>,
    /// Where messages go.
    pub logger: &'a Logger,
}

/// Serves a builder as long as it lives.
pub trait RecursiveServer: Send {
    /// Ends the service; gives the paths that the builder has added, to which its outputs may refer. They are kept
    /// from collection until this is dropped.
    fn finish(&mut self) -> BTreeSet<StorePath>;
}

/// Serves builders.
pub trait RecursiveNix: Send + Sync {
    /// Begins to serve a builder, which sees only its inputs and what it adds.
    ///
    /// # Errors
    /// When the socket cannot be made or the store not opened.
    fn serve(&self, request: &RecursiveRequest<'_>) -> Result<Box<dyn RecursiveServer>, Failure>;
}
