//! Adding many small things at once, as evaluation makes them: derivations, texts and sources that fit into
//! memory. One transaction registers them all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo, sha256_many};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;

use super::LocalStore;
use super::register::Outputs;
use crate::error::{Error, Result};
use crate::fs::lock::PathLocks;
use crate::fs::{Restore, delete_path, restore_path, write_flat};
use crate::store::Repair;

/// Something to be added whose path is known already.
#[derive(Debug)]
pub enum NewObject {
    /// A text, most often that of a derivation.
    Text(NewText),
    /// A file or tree.
    Source(NewSource),
}

/// A text to be added.
#[derive(Debug)]
pub struct NewText {
    /// Where it goes: what its contents lead to.
    pub path: StorePath,
    /// The text; of a derivation the ATerm form.
    pub contents: Vec<u8>,
    /// The SHA-256 of that.
    pub hash: Hash,
    /// What it refers to. All must be valid, or among what is added with it.
    pub references: BTreeSet<StorePath>,
    /// Of a derivation its outputs' names and, where they are known, paths.
    pub outputs: BTreeMap<String, StorePath>,
}

/// A file or tree to be added, as an archive.
#[derive(Debug)]
pub struct NewSource {
    /// Where it goes: what its contents lead to.
    pub path: StorePath,
    /// Its NAR.
    pub nar: Vec<u8>,
    /// The SHA-256 of that.
    pub nar_hash: Hash,
    /// What its path was made from.
    pub ca: ContentAddress,
    /// What it refers to. All must be valid, or among what is added with it.
    pub references: BTreeSet<StorePath>,
}

/// A source that was read: either it is in the store now, or it is small and can be added with others.
#[derive(Debug)]
pub enum Prepared {
    /// It is there.
    Added(StorePath),
    /// It is not written yet.
    Later(NewSource),
}

impl NewObject {
    /// Where it goes.
    pub fn path(&self) -> &StorePath {
        match self {
            Self::Text(text) => &text.path,
            Self::Source(source) => &source.path,
        }
    }

    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.contents.len(),
            Self::Source(source) => source.nar.len(),
        }
    }
}

impl NewSource {
    /// What is known of the path once it is there.
    pub fn info(&self) -> PathInfo {
        let mut info = PathInfo::new(self.path.clone(), self.nar_hash, self.nar.len() as u64);
        info.references.clone_from(&self.references);
        info.ca = Some(self.ca);
        info
    }
}

/// How many archives are hashed together: several times what a processor has lanes for.
const AT_ONCE: usize = 64;

/// Sources that were written and are not registered: garbage unless they come to be.
struct Unregistered(Vec<PathBuf>);

impl Drop for Unregistered {
    fn drop(&mut self) {
        for real in &self.0 {
            // what is half made is of no use to anybody
            let _ = delete_path(real);
        }
    }
}

impl LocalStore {
    /// Adds those objects that are not valid yet. They are temporary roots of this process from then on.
    ///
    /// Texts need no locks: whoever else writes one writes the same bytes, under another name first. The locks of
    /// all sources are held until they are registered.
    ///
    /// # Errors
    /// If a file cannot be written, a reference is not valid, or the database fails. None is valid then that
    /// was not before.
    pub fn add_objects(&self, objects: &[NewObject]) -> Result<()> {
        self.add_temporary_roots(objects.iter().map(NewObject::path))?;
        let registered = self.registered_among(&objects.iter().map(NewObject::path))?;
        let mut seen = BTreeSet::new();
        let (mut texts, mut sources) = (Vec::new(), Vec::new());
        for new in objects {
            if registered.contains(new.path()) || !seen.insert(new.path()) {
                continue;
            }
            if self.options.read_only {
                return Err(self.cannot_write(new.path()));
            }
            match new {
                NewObject::Text(text) => texts.push(text),
                NewObject::Source(source) => sources.push(source),
            }
        }
        if texts.is_empty() && sources.is_empty() {
            return Ok(());
        }
        self.collect_if_space_is_short()?;
        let mut infos = Vec::new();
        let mut outputs = Outputs::new();
        for some in texts.chunks(AT_ONCE) {
            let nars = some.iter().map(|new| nar_of(new)).collect::<Result<Vec<_>>>()?;
            let hashes = sha256_many(&nars.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for ((new, nar), hash) in some.iter().zip(&nars).zip(hashes) {
                self.write_text(new)?;
                let hash = Hash::from_bytes(HashAlgo::Sha256, &hash).map_err(Error::model)?;
                let mut info = PathInfo::new(new.path.clone(), hash, nar.len() as u64);
                info.references.clone_from(&new.references);
                info.ca = Some(ContentAddress { method: Method::Text, hash: new.hash });
                infos.push(info);
                outputs.insert(&new.path, new.outputs.clone());
            }
        }
        let mut locks = self.lock_sources(&sources)?;
        let registered = self.registered_among(&sources.iter().map(|new| &new.path))?;
        let mut unregistered = Unregistered(Vec::new());
        for new in sources.iter().filter(|new| !registered.contains(&new.path)) {
            let real = self.layout.real_path(&new.path);
            delete_path(&real)?;
            unregistered.0.push(real.clone());
            restore_path(&mut &*new.nar, &real, Restore::Canonical)?;
            infos.push(new.info());
        }
        if self.options.auto_optimise {
            for info in &infos {
                self.optimise_path(&self.layout.real_path(&info.path), Repair::No)?;
            }
        }
        self.register_with(&infos, &outputs)?;
        unregistered.0.clear();
        locks.set_removal(true);
        Ok(())
    }

    /// Waits for the locks of these paths, but for those that are held for this process.
    fn lock_sources(&self, sources: &[&NewSource]) -> Result<PathLocks> {
        let assumed = self.assumed_locks.lock();
        let real: Vec<PathBuf> = sources
            .iter()
            .filter(|new| !assumed.contains(&new.path))
            .map(|new| self.layout.real_path(&new.path))
            .collect();
        drop(assumed);
        PathLocks::lock(real.iter().map(PathBuf::as_path))
    }

    fn write_text(&self, new: &NewText) -> Result<()> {
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

/// The archive of a text's file.
fn nar_of(new: &NewText) -> Result<Vec<u8>> {
    // what is around the contents: eight strings of at most 24 bytes
    let mut nar = Vec::with_capacity(new.contents.len() + 192);
    firn_model::nar::NarWriter::new(&mut nar)
        .map_err(Error::stream("hashing"))?
        .file(false, new.contents.len() as u64, &mut &*new.contents)
        .map_err(Error::model)?;
    Ok(nar)
}
