//! Source trees that evaluation reads where they are, and that get a store path when somebody looks at it.
//!
//! Below such a tree, paths of evaluation begin with a *stand-in*, which looks like a store path but can be none:
//! its hash part has letters that hashes never have. What becomes a string gets the store path in its place
//! ([`reveal`]), and strings that become paths get the stand-in back ([`conceal`]), so no program can tell the
//! difference. The tree is hashed and copied at the first look and not before.
//!
//! Nothing here knows how trees are fetched or copied: that is [`TreeSource`].

use crate::error::{Error, Kind, Result};
use crate::io::FileKind;
use firn_model::input::Input;
use firn_model::{StoreDir, StorePath};
use parking_lot::{Mutex, RwLock};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// What the hash part of a stand-in begins with. `e` and `t` are no digits of the base 32 of store paths.
const MARK: &str = "tree";

/// A tree that got its store path.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Where it is in the store.
    pub path: StorePath,
    /// What it was fetched from, now with all that follows from its contents.
    pub input: Input,
}

/// A tree on this machine that can be copied to the store.
pub trait TreeSource: Send + Sync {
    /// The folder that it is.
    fn folder(&self) -> &Path;

    /// Whether a path, relative to the folder, is part of the tree.
    fn has(&self, inner: &Path) -> bool;

    /// Whether only some of the files in the folder are part of the tree.
    fn is_partial(&self) -> bool {
        false
    }

    /// The regular files and links that are part of the tree, and are in this folder or are this file, relative to
    /// the tree; `None` if all that is there is part of it.
    fn listed(&self, inner: &Path) -> Option<Vec<PathBuf>>;

    /// One of the files that make a working tree differ from its commit, if that is known.
    fn changed(&self) -> Option<&Path> {
        None
    }

    /// Copies the tree to the store.
    ///
    /// # Errors
    /// If it cannot be read or written.
    fn settle(&self) -> std::result::Result<Settled, String>;
}

type Hook = Box<dyn FnOnce() + Send>;

/// A tree that is copied to the store when somebody looks at its store path.
pub struct LazyTree {
    root: PathBuf,
    source: Box<dyn TreeSource>,
    settled: Mutex<Option<std::result::Result<Settled, String>>>,
    /// The last part of the store path, when there is one: asked for often.
    name: OnceLock<Box<str>>,
    before: Mutex<Vec<Hook>>,
}

impl std::fmt::Debug for LazyTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LazyTree").field(&self.root).finish_non_exhaustive()
    }
}

/// The trees of this process, by the number in their stand-ins.
static TREES: RwLock<Vec<Arc<LazyTree>>> = RwLock::new(Vec::new());

/// How many of them have a store path, so that where there is none nobody looks.
static SETTLED: AtomicU32 = AtomicU32::new(0);

impl LazyTree {
    /// Makes a tree known under a stand-in in this store's folder.
    pub fn new(store_dir: &StoreDir, name: &str, source: Box<dyn TreeSource>) -> Arc<LazyTree> {
        let mut trees = TREES.write();
        let number = trees.len();
        let root = PathBuf::from(format!("{}/{MARK}{number:028}-{name}", store_dir.as_str()));
        let tree = Arc::new(LazyTree {
            root,
            source,
            settled: Mutex::new(None),
            name: OnceLock::new(),
            before: Mutex::new(Vec::new()),
        });
        trees.push(Arc::clone(&tree));
        tree
    }

    /// The stand-in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Has something done before the tree is copied; at once if it is.
    pub fn before_settling(&self, hook: impl FnOnce() + Send + 'static) {
        let settled = self.settled.lock();
        if settled.is_some() {
            drop(settled);
            hook();
        } else {
            self.before.lock().push(Box::new(hook));
        }
    }

    /// The tree's store path, and all that is known of it then.
    ///
    /// # Errors
    /// If the tree cannot be copied.
    pub fn settle(&self) -> Result<Settled> {
        let mut settled = self.settled.lock();
        let result = settled.get_or_insert_with(|| {
            for hook in std::mem::take(&mut *self.before.lock()) {
                hook();
            }
            let result = self.source.settle();
            if let Ok(settled) = &result {
                self.name.get_or_init(|| settled.path.base_name().into());
                SETTLED.fetch_add(1, Ordering::Release);
            }
            result
        });
        result.clone().map_err(|e| Error::new(Kind::Io, e))
    }

    /// The last part of the store path.
    fn name(&self) -> Result<&str> {
        if let Some(name) = self.name.get() {
            return Ok(name);
        }
        let settled = self.settle()?;
        Ok(self.name.get_or_init(|| settled.path.base_name().into()))
    }

    /// The regular files and links at or below a path of the tree, relative to it; `None` if that is all there is.
    pub fn listed(&self, inner: &Path) -> Option<Vec<PathBuf>> {
        self.source.listed(inner)
    }

    /// Whether only some of the files in its folder are part of it.
    pub fn is_partial(&self) -> bool {
        self.source.is_partial()
    }

    /// One of the files that make a working tree differ from its commit, if that is known.
    pub fn changed(&self) -> Option<&Path> {
        self.source.changed()
    }

    /// Whether a path, relative to the tree, is part of it.
    pub fn has(&self, inner: &Path) -> bool {
        self.source.has(inner)
    }

    /// Where a path of the tree really is.
    pub fn real(&self, inner: &Path) -> PathBuf {
        if inner.as_os_str().is_empty() {
            return self.source.folder().to_owned();
        }
        self.source.folder().join(inner)
    }
}

/// The number of the tree whose stand-in a path begins with, and what follows.
fn parse(path: &[u8]) -> Option<(usize, &[u8])> {
    memchr::memmem::find_iter(path, b"/tree").find_map(|at| parse_at(path, at))
}

fn parse_at(path: &[u8], at: usize) -> Option<(usize, &[u8])> {
    let rest = &path[at + 1 + MARK.len()..];
    let digits = rest.get(..28)?;
    if rest.get(28) != Some(&b'-') {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let end = memchr::memchr(b'/', rest).map_or(path.len(), |n| at + 1 + MARK.len() + n);
    let trees = TREES.read();
    let tree: &Arc<LazyTree> = trees.get(number)?;
    (tree.root.as_os_str().as_bytes() == &path[..end]).then_some((number, &path[end..]))
}

/// The tree whose stand-in a path begins with, and the path in it.
pub fn lazy(path: &Path) -> Option<(Arc<LazyTree>, PathBuf)> {
    let (number, rest) = parse(path.as_os_str().as_bytes())?;
    let tree = Arc::clone(TREES.read().get(number)?);
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    Some((tree, PathBuf::from(OsStr::from_bytes(rest))))
}

/// Where a file of a tree is on this machine; the path itself if it is in no such tree, or no part of it.
pub fn real(path: &Path) -> Option<PathBuf> {
    let (tree, inner) = lazy(path)?;
    tree.has(&inner).then(|| tree.real(&inner))
}

/// A path with the store path for the stand-in.
///
/// # Errors
/// If the tree cannot be copied.
pub fn reveal(path: &[u8]) -> Result<Cow<'_, [u8]>> {
    let Some((number, rest)) = parse(path) else { return Ok(Cow::Borrowed(path)) };
    let Some(tree) = TREES.read().get(number).cloned() else { return Ok(Cow::Borrowed(path)) };
    let name = tree.name()?;
    let mut out = tree.root.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes().to_vec();
    out.push(b'/');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(rest);
    Ok(Cow::Owned(out))
}

/// As [`reveal`] if the path is the tree itself, whose name is part of its store path.
///
/// # Errors
/// If the tree cannot be copied.
pub fn reveal_root(path: &[u8]) -> Result<Cow<'_, [u8]>> {
    match parse(path) {
        Some((_, b"")) => reveal(path),
        _ => Ok(Cow::Borrowed(path)),
    }
}

/// As [`reveal`] for a file's name; what cannot be copied is named by where it is.
pub fn revealed(path: &Path) -> PathBuf {
    match reveal(path.as_os_str().as_bytes()) {
        Ok(path) => PathBuf::from(OsStr::from_bytes(&path)),
        Err(_) => lazy(path).map_or_else(|| path.to_owned(), |(tree, inner)| tree.real(&inner)),
    }
}

/// A text for people, with store paths for all stand-ins in it.
pub fn reveal_text(text: &str) -> Cow<'_, str> {
    if !text.contains("/tree0") {
        return Cow::Borrowed(text);
    }
    let trees = TREES.read().clone();
    let mut out = text.to_owned();
    for tree in trees {
        if let Some(root) = tree.root.to_str()
            && out.contains(root)
        {
            out = out.replace(root, &revealed(&tree.root).to_string_lossy());
        }
    }
    Cow::Owned(out)
}

/// A normalised path with the stand-in for the store path of a tree that got one.
pub fn conceal(path: &[u8]) -> Option<Vec<u8>> {
    if SETTLED.load(Ordering::Acquire) == 0 {
        return None;
    }
    TREES.read().iter().find_map(|tree| {
        let dir = tree.root.parent()?.as_os_str().as_bytes();
        let name = path.strip_prefix(dir)?.strip_prefix(b"/")?;
        let rest = name.strip_prefix(tree.name.get()?.as_bytes())?;
        if !(rest.is_empty() || rest.starts_with(b"/")) {
            return None;
        }
        Some([tree.root.as_os_str().as_bytes(), rest].concat())
    })
}

/// The entries of a folder of a tree that are part of it; `None` if the path is in no such tree.
pub fn read_dir(path: &Path) -> Option<io::Result<Vec<(OsString, FileKind)>>> {
    let (tree, inner) = lazy(path)?;
    if !tree.has(&inner) {
        return None;
    }
    let listed = || -> io::Result<Vec<(OsString, FileKind)>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(tree.real(&inner))? {
            let entry = entry?;
            let name = entry.file_name();
            if tree.has(&inner.join(&name)) {
                entries.push((name, entry.file_type()?.into()));
            }
        }
        Ok(entries)
    };
    Some(listed())
}

/// Copies all trees whose stand-ins are in a folder, which somebody wants to list. Gives their store paths.
///
/// # Errors
/// If one cannot be copied.
pub fn settle_in(folder: &Path) -> Result<Vec<(PathBuf, StorePath)>> {
    let trees = TREES.read().clone();
    let inside = trees.iter().filter(|tree| tree.root.parent() == Some(folder));
    inside.map(|tree| Ok((tree.root.clone(), tree.settle()?.path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    struct Folder(PathBuf, Arc<AtomicBool>, bool);

    impl TreeSource for Folder {
        fn folder(&self) -> &Path {
            &self.0
        }
        fn has(&self, inner: &Path) -> bool {
            !inner.starts_with("hidden")
        }
        fn listed(&self, _: &Path) -> Option<Vec<PathBuf>> {
            None
        }
        fn settle(&self) -> std::result::Result<Settled, String> {
            self.1.store(true, Ordering::Relaxed);
            if self.2 {
                return Err("it is gone".into());
            }
            let path =
                StorePath::from_base_name("00000000000000000000000000000000-lazily").unwrap();
            let attrs = [("type", "path"), ("path", "/x")];
            let attrs = attrs.map(|(n, v)| (n.to_owned(), v.into())).into_iter().collect();
            Ok(Settled { path, input: Input::from_attrs(attrs, &|_| true).unwrap() })
        }
    }

    #[test]
    fn a_tree_is_copied_when_its_store_path_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("seen"), "").unwrap();
        std::fs::write(dir.path().join("hidden"), "").unwrap();
        let copied = Arc::new(AtomicBool::new(false));
        let source = Folder(dir.path().to_owned(), Arc::clone(&copied), false);
        let tree = LazyTree::new(&StoreDir::default(), "source", Box::new(source));
        let noted = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&noted);
        tree.before_settling(move || note.store(true, Ordering::Relaxed));

        let file = tree.root().join("seen");
        assert!(StoreDir::default().parse_prefix(file.to_str().unwrap()).is_err());
        assert_eq!(real(&file), Some(dir.path().join("seen")));
        assert_eq!(real(&tree.root().join("hidden")), None);
        let names: Vec<_> = read_dir(tree.root()).unwrap().unwrap();
        assert_eq!(names, [("seen".into(), FileKind::Regular)]);
        let there = b"/nix/store/00000000000000000000000000000000-lazily/seen";
        assert_eq!(conceal(there), None);
        assert!(!copied.load(Ordering::Relaxed) && !noted.load(Ordering::Relaxed));

        let bytes = file.as_os_str().as_bytes();
        assert_eq!(reveal(bytes).unwrap(), &there[..]);
        assert!(copied.load(Ordering::Relaxed) && noted.load(Ordering::Relaxed));
        assert_eq!(conceal(there).as_deref(), Some(bytes));
        assert_eq!(conceal(b"/nix/store/00000000000000000000000000000000-lazily2"), None);
        let text = format!("in '{}'", file.display());
        assert_eq!(reveal_text(&text), format!("in '{}'", String::from_utf8_lossy(there)));
        assert_eq!(reveal(b"/nix/store/treeless").unwrap(), &b"/nix/store/treeless"[..]);
    }

    #[test]
    fn what_cannot_be_copied_is_named_by_its_place() {
        let source = Folder("/somewhere".into(), Arc::default(), true);
        let tree = LazyTree::new(&StoreDir::default(), "source", Box::new(source));
        let file = tree.root().join("a");
        let error = reveal(file.as_os_str().as_bytes()).unwrap_err();
        assert_eq!(error.message(), "it is gone");
        assert_eq!(revealed(&file), Path::new("/somewhere/a"));
    }
}
