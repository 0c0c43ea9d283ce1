//! The names of outputs in realisations: hashes of derivations modulo their inputs.

use std::collections::BTreeMap;

use firn_model::derivation::{Derivation, hash_modulo};
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::StorePath;
use firn_store::Store;
use firn_store::modulo::Modulos;

use crate::error::{Error, Result};

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
    let modulos = Modulos::default();
    let hash = hash_modulo(drv, store.store_dir(), true, &mut |path| modulos.of(store, path))
        .map_err(|e| Error::Refused(format!("derivation '{}': {e}", drv.name)))?;
    let mut found = BTreeMap::new();
    for (name, path) in outputs {
        let Some(drv_hash) = hash.output(&name).copied() else { continue };
        let id = DrvOutput { drv_hash, output_name: name.clone() };
        let realisation = match store.query_realisation(&id)? {
            Some(kept) if kept.out_path == path => kept,
            _ => Realisation::new(id, path),
        };
        found.insert(name, realisation);
    }
    Ok(found)
}
