//! What the scheduler asks of whatever can provide paths without building them.

use std::collections::{BTreeMap, BTreeSet};

use firn_event::Logger;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store as _};

/// What a substituter says about a path before it is fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Substitutable {
    /// What it refers to, itself perhaps among it.
    pub references: BTreeSet<StorePath>,
    /// Bytes to download, 0 if unknown.
    pub download_size: u64,
    /// Bytes of its NAR, 0 if unknown.
    pub nar_size: u64,
}

/// Provides paths: binary caches, other stores.
pub trait Substituter: Send + Sync {
    /// Which of `paths` it has.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn query(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> firn_store::Result<BTreeMap<StorePath, Substitutable>>;

    /// What an output of a derivation came to be, with its signatures checked.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn query_realisation(&self, _id: &DrvOutput) -> firn_store::Result<Option<Realisation>> {
        Ok(None)
    }

    /// Puts a path into `store`, whose references are valid there, with its signatures checked.
    ///
    /// # Errors
    /// When the path cannot be had or is not what it should be.
    fn fetch(
        &self,
        path: &StorePath,
        store: &LocalStore,
        logger: &Logger,
        parent: u64,
    ) -> firn_store::Result<()>;

    /// As [`Substituter::fetch`], for a path that is valid but damaged: puts the right contents in place.
    ///
    /// # Errors
    /// As there, and where this cannot be done.
    fn repair(
        &self,
        path: &StorePath,
        store: &LocalStore,
        _logger: &Logger,
        _parent: u64,
    ) -> firn_store::Result<()> {
        Err(firn_store::Error::Usage(format!(
            "path '{}' cannot be fetched again",
            store.store_dir().print(path)
        )))
    }
}
