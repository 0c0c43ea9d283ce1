//! Adding many derivations at once: one transaction for all of them.

use std::collections::{BTreeMap, BTreeSet};

use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;

use super::LocalStore;
use super::register::Outputs;
use crate::error::{Error, Result};
use crate::fs::write_flat;

/// A derivation to be added.
#[derive(Debug)]
pub struct NewDerivation {
    /// Where it goes: what its contents lead to.
    pub path: StorePath,
    /// Its text, in the ATerm form.
    pub contents: Vec<u8>,
    /// The SHA-256 of that.
    pub hash: Hash,
    /// What it refers to. All must be valid, or among the derivations that are added with it.
    pub references: BTreeSet<StorePath>,
    /// Its outputs' names and, where they are known, paths.
    pub outputs: BTreeMap<String, StorePath>,
}

impl LocalStore {
    /// Adds those derivations that are not valid yet. They are temporary roots of this process from then on.
    ///
    /// Their files need no locks: whoever else writes one writes the same bytes, under another name first.
    ///
    /// # Errors
    /// If a file cannot be written, a reference is not valid, or the database fails. None is valid then that
    /// was not before.
    pub fn add_derivations(&self, derivations: &[NewDerivation]) -> Result<()> {
        let mut infos = Vec::new();
        let mut outputs = Outputs::new();
        let mut seen = BTreeSet::new();
        self.add_temporary_roots(derivations.iter().map(|new| &new.path))?;
        let registered = self.registered_among(&derivations.iter().map(|new| &new.path))?;
        for new in derivations {
            if !seen.insert(&new.path) || registered.contains(&new.path) {
                continue;
            }
            infos.push(self.write_derivation(new)?);
            outputs.insert(&new.path, new.outputs.clone());
        }
        self.register_with(&infos, &outputs)
    }

    fn write_derivation(&self, new: &NewDerivation) -> Result<PathInfo> {
        let real = self.layout.real_path(&new.path);
        let temporary = self.layout.real_store_dir.join(format!(
            "{}.tmp-{}",
            new.path.base_name(),
            crate::fs::unique_suffix()
        ));
        let moved = write_flat(&new.contents, &temporary).and_then(|()| {
            std::fs::rename(&temporary, &real).map_err(Error::io("renaming to", &real))
        });
        if let Err(error) = moved {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        let mut nar = Hasher::new(HashAlgo::Sha256);
        firn_model::nar::NarWriter::new(&mut nar)
            .map_err(Error::stream("hashing"))?
            .file(false, new.contents.len() as u64, &mut &*new.contents)
            .map_err(Error::model)?;
        let size = nar.len();
        let mut info = PathInfo::new(new.path.clone(), nar.finish(), size);
        info.references.clone_from(&new.references);
        info.ca = Some(ContentAddress { method: Method::Text, hash: new.hash });
        Ok(info)
    }
}
