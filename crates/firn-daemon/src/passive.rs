//! A store that only has what it was given, such as a binary cache, as the build hook wants stores: nothing is built,
//! fetched or verified here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use firn_build::{BuildResult, DerivedPath, Missing};
use firn_model::derivation::Derivation;
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::{Repair, Store};

use crate::error::{Error, Result};
use crate::managed::{ClientOptions, ManagedStore, SubstitutableInfo};
use crate::protocol::{BuildMode, KeyedResult};

/// A store that only has what it was given.
pub struct PassiveStore(Arc<dyn Store>);

impl PassiveStore {
    /// This one.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    fn unsupported<T>(&self, operation: &'static str) -> Result<T> {
        Err(Error::Store(self.0.unsupported(operation)))
    }
}

impl ManagedStore for PassiveStore {
    fn store(&self) -> &dyn Store {
        &*self.0
    }

    fn trusts_us(&self) -> Result<Option<bool>> {
        Ok(self.0.trusts_client())
    }

    fn version(&self) -> Result<Option<String>> {
        Ok(None)
    }

    fn set_options(&self, _options: &ClientOptions, _trusted: bool) -> Result<()> {
        Ok(())
    }

    fn build(&self, _wanted: &[DerivedPath], _mode: BuildMode) -> Result<Vec<KeyedResult>> {
        self.unsupported("buildPaths")
    }

    fn build_derivation(
        &self,
        _path: &StorePath,
        _drv: &Derivation,
        _mode: BuildMode,
    ) -> Result<BuildResult> {
        self.unsupported("buildDerivation")
    }

    fn query_missing(&self, _wanted: &[DerivedPath]) -> Result<Missing> {
        self.unsupported("queryMissing")
    }

    fn ensure_path(&self, path: &StorePath) -> Result<()> {
        match self.0.is_valid(path)? {
            true => Ok(()),
            false => self.unsupported("ensurePath"),
        }
    }

    fn query_substitutable(
        &self,
        _paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, SubstitutableInfo>> {
        Ok(BTreeMap::new())
    }

    fn query_valid(
        &self,
        paths: &BTreeSet<StorePath>,
        _substitute: bool,
    ) -> Result<BTreeSet<StorePath>> {
        Ok(self.0.query_valid_paths(paths)?)
    }

    fn add_to_store(
        &self,
        info: &PathInfo,
        nar: &mut (dyn Read + Send),
        repair: Repair,
        _check: bool,
    ) -> Result<()> {
        Ok(self.0.add_nar(info, nar, repair)?)
    }

    fn trusts_realisation(&self, _realisation: &Realisation) -> Result<bool> {
        Ok(false)
    }

    fn verify_store(&self, _check_contents: bool, _repair: Repair) -> Result<bool> {
        self.unsupported("verifyStore")
    }
}
