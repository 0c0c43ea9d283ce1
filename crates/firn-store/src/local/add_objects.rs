//! Adding many derivations at once: one transaction for all of them.

use std::collections::{BTreeMap, BTreeSet};

use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo, sha256_many};
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

/// How many archives are hashed together: several times what a processor has lanes for.
const AT_ONCE: usize = 64;

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
        let missing: Vec<&NewDerivation> = derivations
            .iter()
            .filter(|new| seen.insert(&new.path) && !registered.contains(&new.path))
            .collect();
        for some in missing.chunks(AT_ONCE) {
            let nars = some.iter().map(|new| nar_of(new)).collect::<Result<Vec<_>>>()?;
            let hashes = sha256_many(&nars.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for ((new, nar), hash) in some.iter().zip(&nars).zip(hashes) {
                self.write_derivation(new)?;
                let hash = Hash::from_bytes(HashAlgo::Sha256, &hash).map_err(Error::model)?;
                let mut info = PathInfo::new(new.path.clone(), hash, nar.len() as u64);
                info.references.clone_from(&new.references);
                info.ca = Some(ContentAddress { method: Method::Text, hash: new.hash });
                infos.push(info);
                outputs.insert(&new.path, new.outputs.clone());
            }
        }
        self.register_with(&infos, &outputs)
    }

    fn write_derivation(&self, new: &NewDerivation) -> Result<()> {
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
        Ok(())
    }
}

/// The archive of a derivation's file.
fn nar_of(new: &NewDerivation) -> Result<Vec<u8>> {
    // what is around the contents: eight strings of at most 24 bytes
    let mut nar = Vec::with_capacity(new.contents.len() + 192);
    firn_model::nar::NarWriter::new(&mut nar)
        .map_err(Error::stream("hashing"))?
        .file(false, new.contents.len() as u64, &mut &*new.contents)
        .map_err(Error::model)?;
    Ok(nar)
}
