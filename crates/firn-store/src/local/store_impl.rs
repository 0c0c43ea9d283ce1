//! [`Store`] for [`LocalStore`]: hands on to the modules that do the work.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_model::content_address::Method;
use firn_model::derivation::Derivation;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::path_info::PathInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::Signature;
use firn_model::store_path::{StoreDir, StorePath};

use super::gc::{GcOptions, GcResults};
use super::optimise::OptimiseStats;
use super::roots::Roots;
use super::verify::RepairHook;
use super::{LocalStore, NewObject, Prepared};
use crate::error::{Error, Result};
use crate::store::{Repair, SourceFilter, Store};

impl Store for LocalStore {
    fn store_dir(&self) -> &StoreDir {
        &self.layout.store_dir
    }

    fn uri(&self) -> String {
        match self.layers() {
            Some(_) => "local-overlay://".to_owned(),
            None => self.layout.uri(),
        }
    }

    fn as_local(&self) -> Option<&LocalStore> {
        Some(self)
    }

    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>> {
        self.info_of(path)
    }

    fn refresh(&self) {
        self.clear_cache();
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool> {
        self.is_registered(path)
    }

    fn query_all_valid_paths(&self) -> Result<BTreeSet<StorePath>> {
        self.all_paths()
    }

    fn query_path_from_hash_part(&self, hash_part: &str) -> Result<Option<StorePath>> {
        self.path_of_hash_part(hash_part)
    }

    fn query_referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        self.referrers_of(path)
    }

    fn query_valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        self.derivers_of(path)
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, Option<StorePath>>> {
        // outputs whose paths are not known before the build are not in the table of outputs
        let outputs = self.outputs_of(drv)?;
        if !outputs.is_empty() {
            return Ok(outputs);
        }
        self.known_outputs(&self.read_derivation(drv)?)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        self.put_text(name, contents, references, repair, None)
    }

    /// The derivation's output paths are taken as they are: whoever has the derivation as data has
    /// computed them.
    fn add_derivation(&self, drv: &Derivation, repair: Repair) -> Result<StorePath> {
        let contents = drv.to_aterm(&self.layout.store_dir);
        let name = format!("{}.drv", drv.name);
        self.put_text(&name, &contents, &drv.references(), repair, Some(drv))
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
    ) -> Result<StorePath> {
        self.put_path(name, source, (method, algo), filter, references, repair)
    }

    fn add_dump(
        &self,
        name: &str,
        source: &mut dyn Read,
        method: Method,
        algo: HashAlgo,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        self.put_dump(name, source, (method, algo), references, repair)
    }

    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read, repair: Repair) -> Result<()> {
        self.put_nar(info, nar, repair)
    }

    fn nar_from_path(&self, path: &StorePath, sink: &mut dyn Write) -> Result<()> {
        self.write_nar(path, sink)
    }

    fn register_valid(&self, infos: &[PathInfo]) -> Result<()> {
        self.register(infos)
    }

    fn add_signatures(&self, path: &StorePath, signatures: &BTreeSet<Signature>) -> Result<()> {
        self.add_sigs(path, signatures)
    }

    fn add_temp_root(&self, path: &StorePath) -> Result<()> {
        self.add_temporary_root(path)
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        let name = path.derivation_name().map_err(Error::model)?;
        let file = self.layout.real_path(path);
        let text = std::fs::read(&file).map_err(Error::io("opening file", &file))?;
        Derivation::parse(name, &text, &self.layout.store_dir)
            .map_err(|e| Error::InFile { path: file, source: e.into() })
    }

    fn fill_output_paths(&self, drv: &mut Derivation) -> Result<()> {
        self.modulos.fill_output_paths(self, drv)
    }

    fn real_path(&self, path: &StorePath) -> PathBuf {
        self.layout.real_path(path)
    }

    fn output_ids(&self, drv: &Derivation) -> Result<BTreeMap<String, DrvOutput>> {
        self.modulos.output_ids(self, drv)
    }

    fn query_realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>> {
        self.realisation_of(id)
    }

    fn register_realisation(&self, realisation: &Realisation) -> Result<()> {
        self.keep_realisation(realisation)
    }

    fn build_log(&self, drv: &StorePath) -> Result<Option<Vec<u8>>> {
        self.read_log(drv)
    }

    fn add_objects(&self, objects: &[NewObject]) -> Result<()> {
        Self::add_objects(self, objects)
    }

    fn prepare_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
    ) -> Result<Prepared> {
        self.prepare(name, source, (method, algo), filter, references, Repair::No)
    }

    fn add_build_log(&self, drv: &StorePath, log: &[u8]) -> Result<()> {
        Self::add_build_log(self, drv, log)
    }

    fn add_indirect_root(&self, root: &Path) -> Result<()> {
        Self::add_indirect_root(self, root)
    }

    fn find_roots(&self) -> Result<Roots> {
        Self::find_roots(self)
    }

    fn collect_garbage_into(&self, options: &GcOptions, results: &mut GcResults) -> Result<()> {
        Self::collect_garbage_into(self, options, results)
    }

    fn optimise(&self) -> Result<OptimiseStats> {
        Self::optimise(self)
    }

    fn verify(&self, check_contents: bool, repair: Option<&mut RepairHook<'_>>) -> Result<bool> {
        Self::verify(self, check_contents, repair)
    }

    fn check_path(&self, path: &StorePath) -> Result<Option<Hash>> {
        Self::check_path(self, path)
    }
}
