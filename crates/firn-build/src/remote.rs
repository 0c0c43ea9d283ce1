//! Stores that build by themselves: a daemon's, one on another machine.
//!
//! What they are asked is what [`crate::build_paths`] and [`crate::plan`] do for a store on this machine.

use firn_event::Logger;
use firn_store::Store;

use crate::derived_path::DerivedPath;
use crate::error::BuildError;
use crate::missing::Missing;
use crate::options::BuildOptions;
use crate::scheduler::BuildResults;

/// A store that builds by itself.
pub trait BuildStore: Store {
    /// What it would build and fetch for `wanted`.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn missing(&self, wanted: &[DerivedPath]) -> firn_store::Result<Missing>;

    /// Makes all of `wanted` valid in it. Of the options only those count that its owner lets a client set.
    ///
    /// # Errors
    /// When not everything could be had; the error has the exit code for a command.
    fn build_paths(
        &self,
        wanted: &[DerivedPath],
        options: &BuildOptions,
        logger: &Logger,
    ) -> Result<BuildResults, BuildError>;

    /// Makes a path valid in it, by fetching it.
    ///
    /// # Errors
    /// When it is not valid and cannot be had.
    fn ensure_path(&self, path: &firn_model::store_path::StorePath) -> firn_store::Result<()>;
}
