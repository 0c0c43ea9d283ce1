//! Copying to stores that can fetch for themselves what they can have from elsewhere. The copying itself is
//! [`firn_store::copy`]'s.

use std::collections::BTreeSet;

use firn_event::Logger;
use firn_model::store_path::StorePath;
use firn_store::copy::{CopyOptions, copy_paths as copy};
use firn_store::{Store, Trust};

use crate::error::Result;
use crate::managed::ManagedStore;

/// Copies those of `paths` that the target does not have, each after what it refers to; with `substitute`, after the
/// target has fetched those that it can have from elsewhere. What they refer to must be among them or in the target.
/// No signatures are demanded.
///
/// # Errors
/// If a path is not valid in the source, or the target does not take it.
pub fn copy_paths(
    from: &dyn Store,
    to: &dyn ManagedStore,
    paths: &BTreeSet<StorePath>,
    substitute: bool,
    logger: &Logger,
) -> Result<()> {
    let valid = to.query_valid(paths, substitute)?;
    let missing: BTreeSet<StorePath> = paths.difference(&valid).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let options = CopyOptions::new(Trust::Everybody, logger.clone());
    Ok(copy(from, to.store(), &missing, &options).map(drop)?)
}
