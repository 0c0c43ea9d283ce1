//! The names of outputs in realisations: hashes of derivations modulo their inputs.

use std::collections::BTreeMap;

use firn_model::derivation::Derivation;
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::Store;

use crate::error::Result;

/// Realisations of the outputs of `drv`, as far as it has outputs of these names. Those that the store knows are
/// taken as it has them, with their signatures.
///
/// # Errors
/// If an input cannot be read.
pub fn realisations(
    store: &dyn Store,
    drv: &Derivation,
    outputs: BTreeMap<String, StorePath>,
) -> Result<BTreeMap<String, Realisation>> {
    if outputs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut ids = store.output_ids(drv)?;
    let mut found = BTreeMap::new();
    for (name, path) in outputs {
        let Some(id) = ids.remove(&name) else { continue };
        let realisation = match store.query_realisation(&id)? {
            Some(kept) if kept.out_path == path => kept,
            _ => Realisation::new(id, path),
        };
        found.insert(name, realisation);
    }
    Ok(found)
}
