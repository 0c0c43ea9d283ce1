//! A source tree of this machine that is copied to the store when somebody asks for its store path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use firn_eval::trees::{Settled, TreeSource};
use firn_model::input::Input;

use super::fetch::Fetching;

/// What is known of a Git working tree.
pub struct Checkout {
    /// The files that Git tracks and that are there, relative to the tree.
    pub files: BTreeSet<PathBuf>,
    /// One of those that differ from the commit.
    pub changed: Option<PathBuf>,
}

/// A folder, or those of its files that Git tracks.
pub struct LocalTree {
    fetching: Fetching,
    folder: PathBuf,
    input: Input,
    checkout: Option<Checkout>,
}

impl LocalTree {
    /// A tree of `folder`, as `input` says what is known of it.
    pub fn new(
        fetching: &Fetching,
        folder: PathBuf,
        input: Input,
        checkout: Option<Checkout>,
    ) -> LocalTree {
        LocalTree { fetching: fetching.clone(), folder, input, checkout }
    }

    /// The working tree, if it is Git's.
    pub fn checkout(&self) -> Option<PathBuf> {
        self.checkout.as_ref().map(|_| self.folder.clone())
    }
}

impl TreeSource for LocalTree {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn has(&self, inner: &Path) -> bool {
        let Some(Checkout { files, .. }) = &self.checkout else { return true };
        // what is in a folder comes right behind it
        inner.as_os_str().is_empty()
            || files.range(inner.to_owned()..).next().is_some_and(|file| file.starts_with(inner))
    }

    fn is_partial(&self) -> bool {
        self.checkout.is_some()
    }

    fn listed(&self, inner: &Path) -> Option<Vec<PathBuf>> {
        let files = &self.checkout.as_ref()?.files;
        let below = files.range(inner.to_owned()..);
        Some(below.take_while(|file| file.starts_with(inner)).cloned().collect())
    }

    fn changed(&self) -> Option<&Path> {
        self.checkout.as_ref()?.changed.as_deref()
    }

    fn settle(&self) -> Result<Settled, String> {
        let (path, input) = match &self.checkout {
            Some(checkout) => {
                self.fetching.settle_checkout(&self.folder, &checkout.files, self.input.clone())?
            }
            None => self.fetching.settle_folder(&self.input)?,
        };
        Ok(Settled { path, input })
    }
}
