//! What outputs are, also where no realisation of the derivation itself is known: it may be one of the derivation
//! that it is with its inputs' outputs put in.

use std::collections::BTreeMap;

use firn_model::store_path::StorePath;

use crate::error::{Error, Result};
use crate::store::Store;

type Outputs = BTreeMap<String, Option<StorePath>>;

/// The outputs of a derivation in `store` with their paths, where these are known.
///
/// Works through a list of its own instead of calling itself, as graphs can be deep.
///
/// # Errors
/// If a derivation cannot be read, or has outputs of kinds that cannot be together.
pub fn realised_outputs(store: &dyn Store, drv: &StorePath) -> Result<Outputs> {
    let mut found: BTreeMap<StorePath, Outputs> = BTreeMap::new();
    let mut stack = vec![(drv.clone(), false)];
    while let Some((path, entered)) = stack.pop() {
        if found.contains_key(&path) {
            continue;
        }
        let drv = store.read_derivation(&path)?;
        let mut outputs = store.known_outputs(&drv)?;
        let unknown = outputs.values().any(Option::is_none);
        if unknown && drv.should_resolve(false).map_err(Error::model)? {
            if !entered {
                stack.push((path, true));
                stack.extend(drv.input_drvs.keys().map(|input| (input.clone(), false)));
                continue;
            }
            let resolved = drv
                .resolve(store.store_dir(), &mut |input, chain| {
                    let mut at = input.clone();
                    for name in chain {
                        at = found.get(&at)?.get(name)?.clone()?;
                    }
                    Some(at)
                })
                .map_err(Error::model)?;
            if let Some(resolved) = resolved {
                for (name, path) in store.known_outputs(&resolved)? {
                    if let (Some(slot @ None), Some(_)) = (outputs.get_mut(&name), &path) {
                        *slot = path;
                    }
                }
            }
        }
        found.insert(path, outputs);
    }
    Ok(found.remove(drv).unwrap_or_default())
}
