//! The view of the store that a builder has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_build::recursive::Admit;
use firn_build::{BuildResult, DerivedPath, Missing};
use firn_model::content_address::Method;
use firn_model::derivation::Derivation;
use firn_model::hash::HashAlgo;
use firn_model::path_info::PathInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::Signature;
use firn_model::store_path::{StoreDir, StorePath};
use firn_store::error::Result as StoreResult;
use firn_store::local::roots::Roots;
use firn_store::{ClosureOptions, LocalStore, Repair, SourceFilter, Store};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::local::LocalService;
use crate::managed::{ClientOptions, ManagedStore, SubstitutableInfo};
use crate::protocol::{BuildMode, KeyedResult};

/// The store as a builder sees it.
pub(super) struct RestrictedStore {
    store: Arc<LocalStore>,
    service: LocalService,
    inputs: BTreeSet<StorePath>,
    added: Mutex<BTreeSet<StorePath>>,
    admit: Arc<Admit>,
}

impl RestrictedStore {
    pub fn new(
        store: Arc<LocalStore>,
        service: LocalService,
        inputs: BTreeSet<StorePath>,
        admit: Arc<Admit>,
    ) -> Self {
        Self { store, service, inputs, added: Mutex::default(), admit }
    }

    /// What the builder has added, or had built.
    pub fn added(&self) -> BTreeSet<StorePath> {
        self.added.lock().clone()
    }

    fn is_seen(&self, path: &StorePath) -> bool {
        self.inputs.contains(path) || self.added.lock().contains(path)
    }

    fn must_see(&self, path: &StorePath, what: &str) -> StoreResult<()> {
        if self.is_seen(path) {
            return Ok(());
        }
        Err(firn_store::Error::Usage(format!(
            "cannot {what} '{}' in recursive Nix",
            self.store.store_dir().print(path)
        )))
    }

    /// Lets the builder see `path`, in its sandbox too if it has one.
    fn add(&self, path: StorePath) -> StoreResult<StorePath> {
        if !self.inputs.contains(&path) {
            let mut added = self.added.lock();
            if !added.contains(&path) {
                (self.admit)(&path).map_err(|e| firn_store::Error::Usage(e.message))?;
                added.insert(path.clone());
            }
        }
        Ok(path)
    }
}

impl Store for RestrictedStore {
    fn store_dir(&self) -> &StoreDir {
        self.store.store_dir()
    }

    fn uri(&self) -> String {
        self.store.uri()
    }

    /// Who built it, and who vouches for it, is none of the builder's business.
    fn query_path_info(&self, path: &StorePath) -> StoreResult<Option<Arc<PathInfo>>> {
        if !self.is_seen(path) {
            return Ok(None);
        }
        let Some(info) = self.store.query_path_info(path)? else { return Ok(None) };
        let mut info = (*info).clone();
        info.deriver = None;
        info.registration_time = 0;
        info.ultimate = false;
        info.signatures.clear();
        Ok(Some(Arc::new(info)))
    }

    fn query_all_valid_paths(&self) -> StoreResult<BTreeSet<StorePath>> {
        let seen: BTreeSet<StorePath> = self.inputs.iter().cloned().chain(self.added()).collect();
        self.store.query_valid_paths(&seen)
    }

    fn query_path_from_hash_part(&self, _hash_part: &str) -> StoreResult<Option<StorePath>> {
        Err(self.unsupported("queryPathFromHashPart"))
    }

    fn query_referrers(&self, _path: &StorePath) -> StoreResult<BTreeSet<StorePath>> {
        Ok(BTreeSet::new())
    }

    fn query_valid_derivers(&self, _path: &StorePath) -> StoreResult<BTreeSet<StorePath>> {
        Ok(BTreeSet::new())
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> StoreResult<BTreeMap<String, Option<StorePath>>> {
        self.must_see(drv, "query output map for unknown path")?;
        self.store.query_derivation_outputs(drv)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> StoreResult<StorePath> {
        self.add(self.store.add_text(name, contents, references, repair)?)
    }

    fn add_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> StoreResult<StorePath> {
        let path = self.store.add_path(name, source, method, algo, filter, references, repair)?;
        self.add(path)
    }

    fn add_dump(
        &self,
        name: &str,
        source: &mut dyn Read,
        method: Method,
        algo: HashAlgo,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> StoreResult<StorePath> {
        self.add(self.store.add_dump(name, source, method, algo, references, repair)?)
    }

    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read, repair: Repair) -> StoreResult<()> {
        self.store.add_nar(info, nar, repair)?;
        self.add(info.path.clone())?;
        Ok(())
    }

    fn nar_from_path(&self, path: &StorePath, sink: &mut dyn Write) -> StoreResult<()> {
        self.must_see(path, "dump unknown path")?;
        self.store.nar_from_path(path, sink)
    }

    fn register_valid(&self, _infos: &[PathInfo]) -> StoreResult<()> {
        Err(self.unsupported("registerValidPaths"))
    }

    fn add_signatures(
        &self,
        _path: &StorePath,
        _signatures: &BTreeSet<Signature>,
    ) -> StoreResult<()> {
        Err(self.unsupported("addSignatures"))
    }

    /// What the builder sees is kept by the build.
    fn add_temp_root(&self, _path: &StorePath) -> StoreResult<()> {
        Ok(())
    }

    fn read_derivation(&self, path: &StorePath) -> StoreResult<Derivation> {
        self.must_see(path, "read unknown derivation")?;
        self.store.read_derivation(path)
    }

    fn real_path(&self, path: &StorePath) -> PathBuf {
        self.store.real_path(path)
    }

    fn query_realisation(&self, id: &DrvOutput) -> StoreResult<Option<Realisation>> {
        let found = self.store.query_realisation(id)?;
        Ok(found.filter(|realisation| self.is_seen(&realisation.out_path)))
    }

    fn build_log(&self, _drv: &StorePath) -> StoreResult<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Links of a builder are gone with it.
    fn add_indirect_root(&self, _root: &Path) -> StoreResult<()> {
        Ok(())
    }

    fn find_roots(&self) -> StoreResult<Roots> {
        Ok(Roots::new())
    }

    fn optimise(&self) -> StoreResult<firn_store::local::optimise::OptimiseStats> {
        Err(self.unsupported("optimiseStore"))
    }
}

impl ManagedStore for RestrictedStore {
    fn store(&self) -> &dyn Store {
        self
    }

    fn trusts_us(&self) -> Result<Option<bool>> {
        Ok(Some(false))
    }

    fn version(&self) -> Result<Option<String>> {
        self.service.version()
    }

    fn set_options(&self, _options: &ClientOptions, _trusted: bool) -> Result<()> {
        Ok(())
    }

    fn build(&self, wanted: &[DerivedPath], mode: BuildMode) -> Result<Vec<KeyedResult>> {
        if mode != BuildMode::Normal {
            return Err(Error::Store(self.unsupported("buildPaths (check or repair)")));
        }
        for path in wanted {
            if !self.is_seen(path.store_path()) {
                return Err(Error::Refused(format!(
                    "cannot build '{}' in recursive Nix because path is unknown",
                    path.print(self.store.store_dir())
                )));
            }
        }
        let results = self.service.build(wanted, mode)?;
        let outputs: BTreeSet<StorePath> = results
            .iter()
            .flat_map(|each| each.result.built_outputs.values())
            .map(|realisation| realisation.out_path.clone())
            .collect();
        for path in self.store.compute_closure(&outputs, ClosureOptions::default())? {
            self.add(path)?;
        }
        Ok(results)
    }

    fn build_derivation(
        &self,
        _path: &StorePath,
        _drv: &Derivation,
        _mode: BuildMode,
    ) -> Result<BuildResult> {
        Err(Error::Store(self.unsupported("buildDerivation")))
    }

    fn query_missing(&self, wanted: &[DerivedPath]) -> Result<Missing> {
        let (seen, unseen): (Vec<_>, Vec<_>) =
            wanted.iter().cloned().partition(|path| self.is_seen(path.store_path()));
        let mut missing = self.service.query_missing(&seen)?;
        missing.unknown.extend(unseen.iter().map(|path| path.store_path().clone()));
        Ok(missing)
    }

    fn ensure_path(&self, path: &StorePath) -> Result<()> {
        Ok(self.must_see(path, "substitute unknown path")?)
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
        let seen = paths.iter().filter(|path| self.is_seen(path)).cloned().collect();
        Ok(self.store.query_valid_paths(&seen)?)
    }

    fn add_to_store(
        &self,
        info: &PathInfo,
        nar: &mut (dyn Read + Send),
        repair: Repair,
        check: bool,
    ) -> Result<()> {
        self.service.add_to_store(info, nar, repair, check)?;
        self.add(info.path.clone())?;
        Ok(())
    }

    fn trusts_realisation(&self, _realisation: &Realisation) -> Result<bool> {
        Ok(false)
    }

    fn verify_store(&self, _check_contents: bool, _repair: Repair) -> Result<bool> {
        Err(Error::Store(self.unsupported("verifyStore")))
    }
}
