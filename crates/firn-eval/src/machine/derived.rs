//! Derivations of this run, by their store paths: hashes for output paths of those that depend on them.

use super::Vm;
use crate::error::{Error, Kind, Result};
use firn_model::derivation::{DrvHashModulo, hash_modulo};
use firn_model::{Derivation, StorePath};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What is known of a derivation.
#[derive(Clone)]
pub(crate) struct Known {
    /// Its hash without the spelling of its inputs.
    pub(crate) modulo: DrvHashModulo,
    /// What is kept of the derivation: its outputs and inputs, without builder and environment.
    pub(crate) derivation: Option<Arc<Derivation>>,
}

#[derive(Default)]
pub(crate) struct Derivations {
    known: RwLock<FxHashMap<StorePath, Known>>,
}

impl Derivations {
    pub(crate) fn get(&self, path: &StorePath) -> Option<Known> {
        self.known.read().get(path).cloned()
    }

    pub(crate) fn insert(&self, path: StorePath, known: Known) {
        self.known.write().insert(path, known);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.read().len()
    }
}

impl Vm {
    /// How many derivations this run has made or read.
    pub fn derivation_count(&self) -> usize {
        self.shared.derivations.len()
    }

    /// Outputs and inputs of a derivation of this run or of the store; the rest may be left out.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn derivation(&self, path: &StorePath) -> Result<Arc<Derivation>> {
        if let Some(known) = self.shared.derivations.get(path)
            && let Some(derivation) = known.derivation
        {
            return Ok(derivation);
        }
        let derivation = self
            .shared
            .io
            .read_derivation(path)
            .map_err(|e| Error::new(Kind::Io, e.to_string()))?;
        Ok(Arc::new(derivation))
    }

    /// The hash of a derivation for those that depend on it.
    pub(crate) fn modulo(
        &self,
        path: &StorePath,
    ) -> std::result::Result<DrvHashModulo, firn_model::derivation::Error> {
        if let Some(known) = self.shared.derivations.get(path) {
            return Ok(known.modulo);
        }
        let derivation = self.derivation(path).map_err(|e| {
            firn_model::derivation::Error::Input(path.clone(), e.message().to_owned())
        })?;
        let modulo =
            hash_modulo(&derivation, self.store_dir(), false, &mut |input| self.modulo(input))?;
        self.shared
            .derivations
            .insert(path.clone(), Known { modulo: modulo.clone(), derivation: Some(derivation) });
        Ok(modulo)
    }
}
