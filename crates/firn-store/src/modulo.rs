//! Hashes of derivations modulo their inputs, from the derivations in a store, each computed once.

use std::collections::{BTreeMap, HashMap};

use firn_model::derivation::{self, Derivation, DrvHashModulo, Output, hash_modulo};
use firn_model::realisation::DrvOutput;
use firn_model::store_path::StorePath;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::store::Store;

/// The hashes that are known.
#[derive(Debug, Default)]
pub struct Modulos(Mutex<HashMap<StorePath, DrvHashModulo>>);

impl Modulos {
    /// The hash of a derivation that is in `store`.
    ///
    /// Works through a list of its own instead of calling itself, as graphs can be deep.
    ///
    /// # Errors
    /// If a derivation cannot be read, or has outputs of kinds that cannot be together.
    pub fn of<S: Store + ?Sized>(
        &self,
        store: &S,
        path: &StorePath,
    ) -> Result<DrvHashModulo, derivation::Error> {
        let unknown = |path: &StorePath| {
            derivation::Error::Input(path.clone(), "its hash is not known".to_owned())
        };
        let mut todo: Vec<(StorePath, Derivation)> = Vec::new();
        let mut next = Some(path.clone());
        loop {
            if let Some(path) = next.take()
                && !self.0.lock().contains_key(&path)
            {
                let drv = store
                    .read_derivation(&path)
                    .map_err(|e| derivation::Error::Input(path.clone(), e.to_string()))?;
                todo.push((path, drv));
            }
            let Some((top, drv)) = todo.last() else { break };
            let known = self.0.lock();
            if let Some(missing) = drv.input_drvs.keys().find(|p| !known.contains_key(*p)) {
                next = Some(missing.clone());
                continue;
            }
            let hash = hash_modulo(drv, store.store_dir(), false, &mut |p| {
                known.get(p).cloned().ok_or_else(|| unknown(p))
            })?;
            drop(known);
            self.0.lock().insert(top.clone(), hash);
            todo.pop();
        }
        self.0.lock().get(path).cloned().ok_or_else(|| unknown(path))
    }

    /// Gives a derivation's deferred outputs their paths, in `outputs` and in the environment, if those of its
    /// inputs are known.
    ///
    /// # Errors
    /// If an input cannot be read, or the outputs are of kinds that cannot be together.
    pub fn fill_output_paths<S: Store + ?Sized>(
        &self,
        store: &S,
        drv: &mut Derivation,
    ) -> Result<()> {
        let dir = store.store_dir();
        let hash = hash_modulo(drv, dir, true, &mut |input| self.of(store, input))
            .map_err(|e| Error::Format(format!("derivation '{}': {e}", drv.name)))?;
        drv.fill_output_paths(dir, &hash).map_err(Error::model)
    }

    /// Checks that a derivation's outputs, and the variables that name them, are what its contents lead to.
    ///
    /// # Errors
    /// If one is not, an input cannot be read, or the outputs are of kinds that cannot be together.
    pub fn check_outputs<S: Store + ?Sized>(&self, store: &S, drv: &Derivation) -> Result<()> {
        let dir = store.store_dir();
        let hash = hash_modulo(drv, dir, true, &mut |input| self.of(store, input))
            .map_err(|e| Error::Format(format!("derivation '{}': {e}", drv.name)))?;
        for (name, output) in &drv.outputs {
            let right = match (output, &hash) {
                (Output::InputAddressed(actual), DrvHashModulo::Derivation(hash)) => {
                    let right =
                        dir.make_output_path(name, hash, &drv.name).map_err(Error::model)?;
                    if right != *actual {
                        return Err(Error::Format(format!(
                            "derivation has incorrect output '{}', should be '{}'",
                            dir.print(actual),
                            dir.print(&right)
                        )));
                    }
                    right
                }
                (Output::InputAddressed(actual), _) => {
                    return Err(Error::Format(format!(
                        "derivation has output '{}', though its inputs do not lead to a path yet",
                        dir.print(actual)
                    )));
                }
                (Output::Fixed(_), _) => {
                    match output.path(dir, &drv.name, name).map_err(Error::model)? {
                        Some(path) => path,
                        None => continue,
                    }
                }
                _ => continue,
            };
            let right = dir.print(&right);
            let variable = drv.env.iter().find(|(key, _)| *key == name.as_str());
            match variable.map(|(_, value)| value) {
                Some(there) if *there == right => {}
                Some(there) => {
                    return Err(Error::Format(format!(
                        "derivation has incorrect environment variable '{name}', should be '{right}' but is actually '{there}'"
                    )));
                }
                None => {
                    return Err(Error::Format(format!(
                        "derivation has missing environment variable '{name}', should be '{right}' but is not present"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What names each output of a derivation in realisations.
    ///
    /// # Errors
    /// If an input cannot be read, or the outputs are of kinds that cannot be together.
    pub fn output_ids<S: Store + ?Sized>(
        &self,
        store: &S,
        drv: &Derivation,
    ) -> Result<BTreeMap<String, DrvOutput>> {
        let hash = hash_modulo(drv, store.store_dir(), true, &mut |input| self.of(store, input))
            .map_err(|e| Error::Format(format!("derivation '{}': {e}", drv.name)))?;
        let id = |name: &String| {
            let drv_hash = *hash.output(name)?;
            Some((name.clone(), DrvOutput { drv_hash, output_name: name.clone() }))
        };
        Ok(drv.outputs.keys().filter_map(id).collect())
    }
}
