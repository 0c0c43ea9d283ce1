//! Where trees in the store came from: for messages, which name files as the user knows them.
//!
//! Whoever puts a tree into the store notes its origin here, once for the process, as positions are.

mod lazy;

pub use lazy::{
    LazyTree, Settled, TreeSource, conceal, lazy, read_dir, real, reveal, reveal_root, reveal_text,
    revealed, settle_in,
};

use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a tree came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeOrigin {
    /// What stands for its root in messages, if that is not its place in the store.
    pub shown: Option<String>,
    /// The Git checkout whose tracked files it is, as they are now.
    pub checkout: Option<PathBuf>,
    /// Whether it is of this machine, and so most likely what the user works on.
    pub local: bool,
}

static ORIGINS: RwLock<BTreeMap<PathBuf, TreeOrigin>> = RwLock::new(BTreeMap::new());

/// Notes where the tree at `root` came from.
pub fn note(root: PathBuf, origin: TreeOrigin) {
    ORIGINS.write().insert(root, origin);
}

/// The origin of the tree that a path is in, and the path in it.
fn find(path: &Path) -> Option<(TreeOrigin, PathBuf)> {
    let table = ORIGINS.read();
    let (root, origin) = path.ancestors().find_map(|root| Some((root, table.get(root)?)))?;
    Some((origin.clone(), path.strip_prefix(root).ok()?.to_owned()))
}

/// A path as messages name it.
pub fn shown(path: &Path) -> String {
    let plain = || revealed(path).display().to_string();
    let Some((origin, inner)) = find(path) else { return plain() };
    match origin.shown {
        Some(root) if inner.as_os_str().is_empty() => root,
        Some(root) => format!("{root}/{}", inner.display()),
        None => plain(),
    }
}

/// A path as values of paths are printed, if its tree is not named by its place in the store.
pub fn printed(path: &Path) -> Option<String> {
    let (origin, inner) = find(path)?;
    Some(format!("{}/{}", origin.shown?, inner.display()))
}

/// Whether a path is in a tree of this machine.
pub fn is_local(path: &Path) -> bool {
    find(path).is_some_and(|(origin, _)| origin.local)
}

/// Why there is nothing at a path, and if Git is to blame, what to do.
pub fn absent(path: &Path) -> String {
    let Some((origin, inner)) = find(path) else {
        return format!("path '{}' does not exist", path.display());
    };
    let Some(checkout) = &origin.checkout else {
        return match origin.shown {
            Some(_) => format!("'{}' does not exist", shown(path)),
            None => format!("path '{}' does not exist", path.display()),
        };
    };
    let inner = inner.display();
    if checkout.join(inner.to_string()).symlink_metadata().is_ok() {
        format!(
            "Path '{inner}' in the repository {checkout:?} is not tracked by Git.\n\n\
             To make it visible to Nix, run:\n\ngit -C {checkout:?} add \"{inner}\""
        )
    } else {
        format!("Path '{inner}' does not exist in Git repository {checkout:?}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_after_their_origin() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("untracked"), "").expect("written");
        let root = PathBuf::from("/trees-test/a-source");
        let checkout = Some(dir.path().to_owned());
        let shown_as = Some("/repo".into());
        note(root.clone(), TreeOrigin { shown: shown_as, checkout, local: true });
        assert!(is_local(&root.join("a")) && !is_local(Path::new("/trees-test/b")));
        assert_eq!(shown(&root.join("a/b")), "/repo/a/b");
        assert_eq!(shown(&root), "/repo");
        assert_eq!(shown(Path::new("/trees-test/b")), "/trees-test/b");
        let text = absent(&root.join("untracked"));
        assert!(
            text.contains("is not tracked by Git") && text.contains("add \"untracked\""),
            "{text}"
        );
        assert!(absent(&root.join("x")).contains("does not exist in Git repository"));
        assert_eq!(absent(Path::new("/trees-test/b")), "path '/trees-test/b' does not exist");
    }
}
