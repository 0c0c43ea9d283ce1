//! What a store knows about a path that it has.

use std::collections::BTreeSet;

use crate::content_address::ContentAddress;
use crate::hash::Hash;
use crate::signature::Signature;
use crate::store_path::{References, StoreDir, StorePath};

/// What a store knows about a path that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// The derivation that it was built from, if known.
    pub deriver: Option<StorePath>,
    /// SHA-256 of its NAR.
    pub nar_hash: Hash,
    /// Size of its NAR in bytes.
    pub nar_size: u64,
    /// What it refers to, itself included if it does.
    pub references: BTreeSet<StorePath>,
    /// Its content address, if the path follows from its content.
    pub ca: Option<ContentAddress>,
    /// Who vouches for it.
    pub signatures: BTreeSet<Signature>,
    /// Whether it was built here, so that no signature is needed.
    pub ultimate: bool,
    /// When it was registered, in seconds since 1970.
    pub registration_time: i64,
}

impl PathInfo {
    /// A path with the given NAR and nothing else known.
    #[must_use]
    pub fn new(path: StorePath, nar_hash: Hash, nar_size: u64) -> Self {
        Self {
            path,
            deriver: None,
            nar_hash,
            nar_size,
            references: BTreeSet::new(),
            ca: None,
            signatures: BTreeSet::new(),
            ultimate: false,
            registration_time: 0,
        }
    }

    /// The text that signatures sign.
    #[must_use]
    pub fn fingerprint(&self, dir: &StoreDir) -> String {
        let references: Vec<String> = self.references.iter().map(|p| dir.print(p)).collect();
        format!(
            "1;{};{};{};{}",
            dir.print(&self.path),
            self.nar_hash,
            self.nar_size,
            references.join(",")
        )
    }

    /// Its references, with the one to itself apart.
    #[must_use]
    pub fn split_references(&self) -> References {
        let mut paths = self.references.clone();
        let self_reference = paths.remove(&self.path);
        References { paths, self_reference }
    }

    /// Whether its path follows from its content address, so that no signature is needed.
    #[must_use]
    pub fn is_content_addressed(&self, dir: &StoreDir) -> bool {
        self.ca.is_some_and(|ca| {
            dir.make_fixed_output_path(self.path.name(), &ca, &self.split_references())
                .is_ok_and(|path| path == self.path)
        })
    }
}
