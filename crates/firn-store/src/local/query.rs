//! Questions to the database.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use firn_model::content_address::ContentAddress;
use firn_model::hash::Hash;
use firn_model::path_info::PathInfo;
use firn_model::signature::Signature;
use firn_model::store_path::{HASH_PART_LEN, StorePath};

use super::LocalStore;
use crate::db::{PathRow, Rows};
use crate::error::{Error, Result};

/// How many paths' information is kept in memory.
const CACHE_SIZE: usize = 65_536;

impl LocalStore {
    pub(super) fn info_of(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>> {
        if let Some(info) = self.cache.lock().get(path) {
            return Ok(Some(info.clone()));
        }
        match (self.db.read(|rows| self.info_from(rows, path))?, self.layers()) {
            (Some(info), _) => Ok(Some(self.remember(info))),
            (None, Some(layers)) => layers.lower().query_path_info(path),
            (None, None) => Ok(None),
        }
    }

    fn remember(&self, info: PathInfo) -> Arc<PathInfo> {
        let info = Arc::new(info);
        let mut cache = self.cache.lock();
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(info.path.clone(), info.clone());
        info
    }

    /// Asks the database again for this path next time.
    pub(super) fn forget(&self, path: &StorePath) {
        self.cache.lock().remove(path);
    }

    /// Drops everything that is remembered of paths, after another process changed the store.
    pub fn clear_cache(&self) {
        self.cache.lock().clear();
    }

    pub(super) fn info_from(&self, rows: &Rows<'_>, path: &StorePath) -> Result<Option<PathInfo>> {
        let printed = self.print(path);
        let Some(row) = rows.path(&printed)? else { return Ok(None) };
        let references = rows.references(row.id)?;
        self.info_of_row(path, &row, &references).map(Some)
    }

    fn info_of_row(
        &self,
        path: &StorePath,
        row: &PathRow,
        references: &[String],
    ) -> Result<PathInfo> {
        let corrupt = |reason: String| Error::CorruptEntry { path: self.print(path), reason };
        let nar_hash = Hash::parse_prefixed(&row.hash).map_err(|e| corrupt(e.to_string()))?;
        let dir = &self.layout.store_dir;
        let parse = |text: &str| dir.parse(text).map_err(|e| corrupt(e.to_string()));
        let mut signatures = BTreeSet::new();
        for text in row.sigs.as_deref().unwrap_or_default().split_ascii_whitespace() {
            signatures.insert(text.parse::<Signature>().map_err(|e| corrupt(e.to_string()))?);
        }
        let ca = match row.ca.as_deref().filter(|t| !t.is_empty()) {
            Some(text) => Some(text.parse::<ContentAddress>().map_err(|e| corrupt(e.to_string()))?),
            None => None,
        };
        Ok(PathInfo {
            path: path.clone(),
            deriver: row.deriver.as_deref().filter(|d| !d.is_empty()).map(parse).transpose()?,
            nar_hash,
            nar_size: u64::try_from(row.nar_size).unwrap_or(0),
            references: references.iter().map(|r| parse(r)).collect::<Result<_>>()?,
            ca,
            signatures,
            ultimate: row.ultimate,
            registration_time: row.registration_time,
        })
    }

    /// Whether the path is valid, without what is known of it.
    pub(super) fn is_registered(&self, path: &StorePath) -> Result<bool> {
        Ok(self.is_in_database(path)? || self.copy_up(path)?)
    }

    /// Whether the database knows the path.
    pub(super) fn is_in_database(&self, path: &StorePath) -> Result<bool> {
        if self.cache.lock().contains_key(path) {
            return Ok(true);
        }
        let printed = self.print(path);
        Ok(self.db.read(|rows| rows.id(&printed))?.is_some())
    }

    /// Which of these paths are valid.
    pub(super) fn registered_among<'p>(
        &self,
        paths: &(impl Iterator<Item = &'p StorePath> + Clone),
    ) -> Result<HashSet<&'p StorePath>> {
        if self.layers().is_some() {
            let mut found = HashSet::new();
            for path in paths.clone() {
                if self.is_registered(path)? {
                    found.insert(path);
                }
            }
            return Ok(found);
        }
        self.db.read_together(|rows| {
            let mut found = HashSet::new();
            for path in paths.clone() {
                if rows.id(&self.print(path))?.is_some() {
                    found.insert(path);
                }
            }
            Ok(found)
        })
    }

    fn parse_all<C: FromIterator<StorePath>>(&self, paths: &[String]) -> Result<C> {
        let dir = &self.layout.store_dir;
        paths.iter().map(|p| dir.parse(p).map_err(Error::model)).collect()
    }

    pub(super) fn all_paths(&self) -> Result<BTreeSet<StorePath>> {
        self.parse_all(&self.db.read(|rows| rows.all_paths())?)
    }

    pub(super) fn referrers_of(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        let printed = self.print(path);
        let mut found: BTreeSet<_> =
            self.parse_all(&self.db.read(|rows| rows.referrers(&printed))?)?;
        if let Some(layers) = self.layers() {
            found.extend(layers.lower().query_referrers(path)?);
        }
        Ok(found)
    }

    pub(super) fn derivers_of(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        let printed = self.print(path);
        let mut found: BTreeSet<_> =
            self.parse_all(&self.db.read(|rows| rows.derivers(&printed))?)?;
        if let Some(layers) = self.layers() {
            found.extend(layers.lower().query_valid_derivers(path)?);
        }
        Ok(found)
    }

    pub(super) fn outputs_of(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, Option<StorePath>>> {
        let printed = self.print(drv);
        let dir = &self.layout.store_dir;
        self.is_registered(drv)?;
        let outputs = self.db.read(|rows| match rows.id(&printed)? {
            Some(id) => rows.outputs(id),
            None => Err(Error::InvalidPath { path: printed.clone() }),
        })?;
        outputs
            .into_iter()
            .map(|(name, path)| Ok((name, Some(dir.parse(&path).map_err(Error::model)?))))
            .collect()
    }

    pub(super) fn path_of_hash_part(&self, hash_part: &str) -> Result<Option<StorePath>> {
        if hash_part.len() != HASH_PART_LEN {
            return Err(Error::Usage("invalid hash part".to_owned()));
        }
        let prefix = format!("{}/{hash_part}", self.layout.store_dir.as_str());
        match self.db.read(|rows| rows.first_from(&prefix))? {
            Some(found) if found.starts_with(&prefix) => {
                self.layout.store_dir.parse(&found).map(Some).map_err(Error::model)
            }
            _ => match self.layers() {
                Some(layers) => layers.lower().query_path_from_hash_part(hash_part),
                None => Ok(None),
            },
        }
    }
}
