//! Making paths valid and invalid: the only places that change the database's rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use firn_model::derivation::{self, Derivation, DrvHashModulo, Kind, Output, hash_modulo};
use firn_model::hash::HashAlgo;
use firn_model::path_info::PathInfo;
use firn_model::signature::Signature;
use firn_model::store_path::StorePath;

use super::LocalStore;
use crate::closure::topo_sort_by;
use crate::db::{PathRow, Rows};
use crate::error::{Error, Result};
use crate::store::Store as _;

/// The outputs of derivations: their names and paths.
pub(super) type Outputs<'a> = BTreeMap<&'a StorePath, BTreeMap<String, StorePath>>;

impl LocalStore {
    pub(super) fn register(&self, infos: &[PathInfo]) -> Result<()> {
        // everything that reads files or other rows comes before the transaction
        let mut outputs: Outputs<'_> = BTreeMap::new();
        for info in infos {
            if info.path.is_derivation() && !self.is_registered(&info.path)? {
                outputs.insert(&info.path, self.checked_outputs(&info.path)?);
            }
        }
        self.register_with(infos, &outputs)
    }

    /// Registers paths; `outputs` are those of the derivations among them.
    pub(super) fn register_with(&self, infos: &[PathInfo], outputs: &Outputs<'_>) -> Result<()> {
        self.copy_up_for(infos)?;
        self.register_rows(infos, outputs)
    }

    /// As [`LocalStore::register_with`], in this store's own database alone.
    pub(super) fn register_rows(&self, infos: &[PathInfo], outputs: &Outputs<'_>) -> Result<()> {
        if infos.is_empty() {
            return Ok(());
        }
        for info in infos {
            self.check_info(info)?;
        }
        self.check_cycles(infos)?;
        if self.options.fsync_store_paths {
            crate::fs::sync_file_system(&self.layout.real_store_dir)?;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX));
        self.db.write(|rows| {
            let mut ids: BTreeMap<&StorePath, i64> = BTreeMap::new();
            for info in infos {
                let path = self.print(&info.path);
                let row = row_of(info, now, |p| self.print(p));
                let id = match rows.id(&path)? {
                    Some(id) => {
                        rows.update_path(&path, &row)?;
                        id
                    }
                    None => {
                        let id = rows.insert_path(&path, &row)?;
                        for (name, output) in outputs.get(&info.path).into_iter().flatten() {
                            rows.insert_output(id, name, &self.print(output))?;
                        }
                        id
                    }
                };
                ids.insert(&info.path, id);
            }
            for info in infos {
                let referrer = ids[&info.path];
                for reference in &info.references {
                    let id = match ids.get(reference) {
                        Some(id) => *id,
                        None => {
                            let path = self.print(reference);
                            rows.id(&path)?.ok_or(Error::InvalidPath { path })?
                        }
                    };
                    rows.insert_reference(referrer, id)?;
                }
            }
            Ok(())
        })?;
        for info in infos {
            self.forget(&info.path);
        }
        Ok(())
    }

    fn check_info(&self, info: &PathInfo) -> Result<()> {
        if info.nar_hash.algo() != HashAlgo::Sha256 {
            return Err(Error::Format(format!(
                "the NAR hash of path '{}' is not SHA-256",
                self.print(&info.path)
            )));
        }
        if info.ca.is_some() && !info.is_content_addressed(&self.layout.store_dir) {
            return Err(Error::NotContentAddressed { path: self.print(&info.path) });
        }
        Ok(())
    }

    fn check_cycles(&self, infos: &[PathInfo]) -> Result<()> {
        if infos.len() < 2 {
            return Ok(());
        }
        let none = BTreeSet::new();
        let references: BTreeMap<&StorePath, &BTreeSet<StorePath>> =
            infos.iter().map(|i| (&i.path, &i.references)).collect();
        let paths: BTreeSet<StorePath> = infos.iter().map(|i| i.path.clone()).collect();
        topo_sort_by(&paths, |p| references.get(p).copied().unwrap_or(&none)).map(drop).map_err(
            |(path, parent)| Error::Cycle { path: self.print(&path), parent: self.print(&parent) },
        )
    }

    /// The outputs of a derivation that is in place but not valid yet, after checking that they are
    /// what they must be.
    fn checked_outputs(&self, path: &StorePath) -> Result<BTreeMap<String, StorePath>> {
        let drv = self.read_derivation(path)?;
        self.check_derivation(path, &drv)?;
        let outputs = drv.output_paths(&self.layout.store_dir).map_err(Error::model)?;
        Ok(outputs.into_iter().filter_map(|(name, path)| Some((name, path?))).collect())
    }

    /// Checks that a derivation's output paths are those that its contents lead to.
    fn check_derivation(&self, path: &StorePath, drv: &Derivation) -> Result<()> {
        let dir = &self.layout.store_dir;
        let kind = drv.kind().map_err(|e| self.bad_derivation(path, &e))?;
        if kind != (Kind::InputAddressed { deferred: false }) {
            return Ok(());
        }
        let hash = hash_modulo(drv, dir, true, &mut |input| self.modulos.of(self, input))
            .map_err(|e| self.bad_derivation(path, &e))?;
        let DrvHashModulo::Derivation(hash) = hash else { return Ok(()) };
        for (name, output) in &drv.outputs {
            let Output::InputAddressed(actual) = output else { continue };
            let right = dir.make_output_path(name, &hash, &drv.name).map_err(Error::model)?;
            if right != *actual {
                return Err(Error::Format(format!(
                    "derivation '{}' has incorrect output '{}', should be '{}'",
                    self.print(path),
                    dir.print(actual),
                    dir.print(&right)
                )));
            }
        }
        Ok(())
    }

    fn bad_derivation(&self, path: &StorePath, error: &derivation::Error) -> Error {
        Error::Format(format!("derivation '{}': {error}", self.print(path)))
    }

    pub(super) fn add_sigs(
        &self,
        path: &StorePath,
        signatures: &BTreeSet<Signature>,
    ) -> Result<()> {
        let printed = self.print(path);
        // so that it is in this database, wherever its contents are
        self.is_registered(path)?;
        self.db.write(|rows| {
            let mut row =
                rows.path(&printed)?.ok_or_else(|| Error::InvalidPath { path: printed.clone() })?;
            let mut all: BTreeSet<String> = signatures.iter().map(ToString::to_string).collect();
            let old = row.sigs.as_deref().unwrap_or_default();
            all.extend(old.split_ascii_whitespace().map(str::to_owned));
            row.sigs = joined(&all);
            rows.update_path(&printed, &row)
        })?;
        self.forget(path);
        Ok(())
    }

    /// Makes a path invalid, unless another path refers to it.
    pub(super) fn invalidate_checked(&self, path: &StorePath) -> Result<()> {
        self.db.write(|rows| self.invalidate_row(rows, path))?;
        self.forget(path);
        Ok(())
    }

    pub(super) fn invalidate_row(&self, rows: &Rows<'_>, path: &StorePath) -> Result<()> {
        let printed = self.print(path);
        if rows.delete_path(&printed)? {
            return Ok(());
        }
        let mut referrers = rows.referrers(&printed)?;
        referrers.retain(|r| *r != printed);
        referrers.sort_unstable();
        Err(Error::PathInUse { path: printed, referrers })
    }

    /// Replaces hash and size of a valid path, after a repair.
    pub(super) fn update_info(&self, info: &PathInfo) -> Result<()> {
        let path = self.print(&info.path);
        let row = row_of(info, info.registration_time, |p| self.print(p));
        self.db.write(|rows| rows.update_path(&path, &row))?;
        self.forget(&info.path);
        Ok(())
    }
}

fn row_of(info: &PathInfo, now: i64, print: impl Fn(&StorePath) -> String) -> PathRow {
    let time = info.registration_time;
    PathRow {
        id: 0,
        hash: format!("{}:{}", info.nar_hash.algo(), info.nar_hash.to_base16()),
        registration_time: if time == 0 { now } else { time },
        deriver: info.deriver.as_ref().map(print),
        nar_size: i64::try_from(info.nar_size).unwrap_or(i64::MAX),
        ultimate: info.ultimate,
        sigs: joined(&info.signatures.iter().map(ToString::to_string).collect()),
        ca: info.ca.as_ref().map(ToString::to_string),
    }
}

fn joined(signatures: &BTreeSet<String>) -> Option<String> {
    (!signatures.is_empty())
        .then(|| signatures.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
}
