//! The names of outputs in realisations: hashes of derivations modulo their inputs.

use std::collections::{BTreeMap, HashMap};

use firn_model::derivation::{self, Derivation, DrvHashModulo, hash_modulo};
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::StorePath;
use firn_store::Store;

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
    let fail = |e: derivation::Error| Error::Refused(format!("derivation '{}': {e}", drv.name));
    let mut known = HashMap::new();
    for input in drv.input_drvs.keys() {
        add_hash(store, input, &mut known).map_err(fail)?;
    }
    let hash = hash_modulo(drv, store.store_dir(), true, &mut |path| get(&known, path))
        .map_err(fail)?;
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

fn get(
    known: &HashMap<StorePath, DrvHashModulo>,
    path: &StorePath,
) -> Result<DrvHashModulo, derivation::Error> {
    known
        .get(path)
        .cloned()
        .ok_or_else(|| derivation::Error::Input(path.clone(), "its hash is not known".to_owned()))
}

/// Finds the hash of a derivation in the store. Works through a list of its own, as graphs can be deep.
fn add_hash(
    store: &dyn Store,
    path: &StorePath,
    known: &mut HashMap<StorePath, DrvHashModulo>,
) -> Result<(), derivation::Error> {
    let mut todo: Vec<(StorePath, Derivation)> = Vec::new();
    let mut next = Some(path.clone());
    loop {
        if let Some(path) = next.take()
            && !known.contains_key(&path)
        {
            let drv = store
                .read_derivation(&path)
                .map_err(|e| derivation::Error::Input(path.clone(), e.to_string()))?;
            todo.push((path, drv));
        }
        let Some((path, drv)) = todo.last() else { return Ok(()) };
        if let Some(missing) = drv.input_drvs.keys().find(|p| !known.contains_key(*p)) {
            next = Some(missing.clone());
            continue;
        }
        let hash = hash_modulo(drv, store.store_dir(), false, &mut |p| get(known, p))?;
        known.insert(path.clone(), hash);
        todo.pop();
    }
}
