//! Realisations: what outputs of derivations came to be, where their paths are not known before the build.
//!
//! A derivation is named by its hash modulo its inputs' outputs here, as in the database and in caches, so that
//! the realisation of one holds for all that differ only in how their inputs are made.

use std::collections::BTreeSet;

use firn_model::realisation::{DrvOutput, Realisation};

use super::LocalStore;
use crate::error::{Error, Result};

impl LocalStore {
    fn need_realisations(&self) -> Result<()> {
        if self.options.ca_derivations { Ok(()) } else { Err(Error::FeatureOff("ca-derivations")) }
    }

    /// What is known of an output; nothing where the feature `ca-derivations` is off.
    pub(super) fn realisation_of(&self, id: &DrvOutput) -> Result<Option<Realisation>> {
        // a store that cannot be written has no tables unless somebody else made them
        if !self.options.ca_derivations || self.options.read_only && !self.has_realisations()? {
            return Ok(None);
        }
        let hash = drv_hash(id);
        let Some((_, path, signatures)) =
            self.db.read(|rows| rows.realisation(&hash, &id.output_name))?
        else {
            return match self.layers() {
                Some(layers) => layers.lower().query_realisation(id),
                None => Ok(None),
            };
        };
        let corrupt = |reason: String| Error::CorruptEntry { path: path.clone(), reason };
        let out_path = self.layout.store_dir.parse(&path).map_err(|e| corrupt(e.to_string()))?;
        let mut realisation = Realisation::new(id.clone(), out_path);
        for text in signatures.as_deref().unwrap_or_default().split_ascii_whitespace() {
            realisation.signatures.insert(
                text.parse().map_err(|e: firn_model::signature::Error| corrupt(e.to_string()))?,
            );
        }
        Ok(Some(realisation))
    }

    fn has_realisations(&self) -> Result<bool> {
        self.db.read(|rows| rows.has_table("Realisations"))
    }

    /// Keeps a realisation. Signatures are added to those that are known of the same one.
    ///
    /// # Errors
    /// If another path is known for the output, the path is not valid, or the feature is off.
    pub(super) fn keep_realisation(&self, realisation: &Realisation) -> Result<()> {
        self.need_realisations()?;
        let id = &realisation.id;
        if let Some(layers) = self.layers() {
            // so that another one than that of the lower store is noticed
            if let Some(below) = layers.lower().query_realisation(id)? {
                self.keep_realisation_here(&below)?;
            }
        }
        self.keep_realisation_here(realisation)
    }

    fn keep_realisation_here(&self, realisation: &Realisation) -> Result<()> {
        let id = &realisation.id;
        self.is_registered(&realisation.out_path)?;
        let hash = drv_hash(id);
        let path = self.print(&realisation.out_path);
        let mut signatures: BTreeSet<String> =
            realisation.signatures.iter().map(ToString::to_string).collect();
        self.db.write(|rows| {
            let Some(number) = rows.id(&path)? else {
                return Err(Error::InvalidPath { path: path.clone() });
            };
            match rows.realisation(&hash, &id.output_name)? {
                Some((_, known, _)) if known != path => {
                    Err(Error::OtherRealisation { id: id.to_string(), known, new: path.clone() })
                }
                Some((row, _, old)) => {
                    let old = old.unwrap_or_default();
                    signatures.extend(old.split_ascii_whitespace().map(str::to_owned));
                    rows.update_realisation(row, &joined(&signatures))
                }
                None => {
                    rows.insert_realisation(&hash, &id.output_name, number, &joined(&signatures))
                }
            }
        })
    }
}

/// The derivation's hash as the database has it.
fn drv_hash(id: &DrvOutput) -> String {
    format!("{}:{}", id.drv_hash.algo(), id.drv_hash.to_base16())
}

fn joined(signatures: &BTreeSet<String>) -> String {
    signatures.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
