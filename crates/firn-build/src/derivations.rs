//! Where derivations are read: the store that is built in, or else the one that evaluation wrote them to
//! (`--eval-store`).

use std::collections::{BTreeMap, BTreeSet};

use firn_event::Logger;
use firn_model::derivation::Derivation;
use firn_model::realisation::DrvOutput;
use firn_model::store_path::StorePath;
use firn_store::copy::{CopyOptions, copy_closure};
use firn_store::trust::Trust;
use firn_store::{LocalStore, Result, Store};

use crate::options::BuildOptions;

/// Both stores.
#[derive(Clone, Copy)]
pub(crate) struct Derivations<'a> {
    store: &'a LocalStore,
    eval: Option<&'a dyn Store>,
}

impl<'a> Derivations<'a> {
    pub fn new(store: &'a LocalStore, options: &'a BuildOptions) -> Self {
        Self { store, eval: options.eval_store.as_deref() }
    }

    /// Whether a derivation can be read.
    pub fn is_valid(&self, path: &StorePath) -> Result<bool> {
        Ok(self.store.is_valid(path)?
            || match self.eval {
                Some(eval) => eval.is_valid(path)?,
                None => false,
            })
    }

    /// Reads a derivation.
    pub fn read(&self, path: &StorePath) -> Result<Derivation> {
        match self.eval {
            Some(eval) if !self.store.is_valid(path)? => eval.read_derivation(path),
            _ => self.store.read_derivation(path),
        }
    }

    /// What names a derivation's outputs in realisations.
    pub fn output_ids(&self, drv: &Derivation) -> Result<BTreeMap<String, DrvOutput>> {
        match self.eval {
            Some(eval) if !drv.input_drvs.is_empty() => eval.output_ids(drv),
            _ => self.store.output_ids(drv),
        }
    }

    /// A derivation's outputs with their paths, where these are known to the store that is built in.
    pub fn known_outputs(&self, drv: &Derivation) -> Result<BTreeMap<String, Option<StorePath>>> {
        let dir = self.store.store_dir();
        let mut outputs = drv.output_paths(dir).map_err(firn_store::Error::model)?;
        if outputs.values().all(Option::is_some) {
            return Ok(outputs);
        }
        for (name, id) in self.output_ids(drv)? {
            if let Some(slot) = outputs.get_mut(&name)
                && slot.is_none()
            {
                *slot = self.store.query_realisation(&id)?.map(|found| found.out_path);
            }
        }
        Ok(outputs)
    }

    /// Copies a source of a derivation, with all that it refers to, from the store of evaluation. Whether it is
    /// valid then.
    pub fn copy_source(&self, path: &StorePath, logger: &Logger) -> Result<bool> {
        let Some(eval) = self.eval else { return Ok(false) };
        if !eval.is_valid(path)? {
            return Ok(false);
        }
        // Sources are content-addressed, and this user's evaluation has made them.
        let options = CopyOptions::new(Trust::Everybody, logger.clone());
        copy_closure(eval, self.store, &BTreeSet::from([path.clone()]), &options)?;
        Ok(true)
    }
}
