//! Store paths as trees: each is read once, and sent only if the server does not have it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firn_model::hash::Hash;
use firn_model::store_path::StorePath;
use parking_lot::Mutex;

use crate::client::Client;
use crate::error::Result;
use crate::tree::Tree;

/// How long it is believed that a server still has what it had.
const KEPT: Duration = Duration::from_secs(600);

/// A store path as a tree.
#[derive(Debug, Clone)]
pub struct Input {
    /// Which; with the hash of its contents, for what is repaired may be different.
    key: (StorePath, Hash),
    /// The tree.
    pub tree: Tree,
}

type Entry = Arc<Mutex<Option<Tree>>>;

/// All paths that were needed until now.
#[derive(Default)]
pub struct Inputs {
    trees: Mutex<HashMap<(StorePath, Hash), Entry>>,
    /// Other files, by what tells them from their changed selves.
    stamped: Mutex<HashMap<Vec<u8>, Tree>>,
    sent: Mutex<HashMap<(StorePath, Hash), Instant>>,
    /// One build at a time sends inputs, so that all others find there what they share.
    sending: tokio::sync::Mutex<()>,
}

impl Inputs {
    /// The tree of the path `path` with contents of the hash `nar_hash`, which are at `real`.
    ///
    /// # Errors
    /// When it cannot be read or sent.
    pub fn tree(&self, path: &StorePath, nar_hash: &Hash, real: &Path) -> Result<Input> {
        let key = (path.clone(), *nar_hash);
        let entry = self.trees.lock().entry(key.clone()).or_default().clone();
        let mut entry = entry.lock();
        let tree = match &*entry {
            Some(tree) => tree.clone(),
            None => {
                let tree = Tree::read(real)?;
                *entry = Some(tree.clone());
                tree
            }
        };
        Ok(Input { key, tree })
    }

    /// The tree that `read` gives, which is read once for each `stamp`.
    ///
    /// # Errors
    /// What `read` fails with.
    pub fn stamped(&self, stamp: Vec<u8>, read: impl FnOnce() -> Result<Tree>) -> Result<Tree> {
        let mut stamped = self.stamped.lock();
        if let Some(tree) = stamped.get(&stamp) {
            return Ok(tree.clone());
        }
        let tree = read()?;
        stamped.insert(stamp, tree.clone());
        Ok(tree)
    }

    /// Sends what the server lacks of these. Gives how many bytes that were.
    ///
    /// # Errors
    /// When something cannot be read or sent.
    pub async fn send(&self, client: &Client, inputs: &[Input]) -> Result<u64> {
        let _turn = self.sending.lock().await;
        let new: Vec<&Input> = {
            let sent = self.sent.lock();
            let fresh = |input: &Input| sent.get(&input.key).is_some_and(|at| at.elapsed() < KEPT);
            inputs.iter().filter(|input| !fresh(input)).collect()
        };
        if new.is_empty() {
            return Ok(0);
        }
        let begin = Instant::now();
        let blobs = new.iter().flat_map(|input| input.tree.blobs.iter().cloned()).collect();
        let size = client.upload(blobs).await?;
        self.sent.lock().extend(new.iter().map(|input| (input.key.clone(), begin)));
        Ok(size)
    }

    /// Believes no longer that the server has anything.
    pub fn forget(&self) {
        self.sent.lock().clear();
    }
}
