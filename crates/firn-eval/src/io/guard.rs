//! Restricted and pure evaluation: a world in which only some paths can be read.
//!
//! Allowed are the paths named at start, those of which they are below or above, and what evaluation itself
//! puts into the store.

use super::{AddPath, Contents, EvalIo, Fetch, FetchedTree, FileKind, Filter, Outside};
use crate::context::DerivedPath;
use crate::error::{Error, Kind, Result};
use firn_model::input::Input;
use firn_model::{Derivation, StoreDir, StorePath};
use parking_lot::RwLock;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A path that may not be read, as the source of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Forbidden(pub String);

/// A world in which only allowed paths can be read.
pub struct GuardedIo {
    inner: Arc<dyn EvalIo>,
    allowed: RwLock<BTreeSet<PathBuf>>,
    pure: bool,
}

impl GuardedIo {
    /// Guards a world. Nothing is allowed yet.
    pub fn new(inner: Arc<dyn EvalIo>, pure: bool) -> GuardedIo {
        GuardedIo { inner, allowed: RwLock::default(), pure }
    }

    fn is_allowed(&self, path: &Path) -> bool {
        if let Some(other) = crate::trees::conceal(path.as_os_str().as_bytes())
            && self.is_listed(Path::new(std::ffi::OsStr::from_bytes(&other)))
        {
            return true;
        }
        self.is_listed(path)
    }

    fn is_listed(&self, path: &Path) -> bool {
        let allowed = self.allowed.read();
        // Something below the path, or the path itself.
        if allowed.range(path.to_owned()..).next().is_some_and(|a| a.starts_with(path)) {
            return true;
        }
        path.ancestors().any(|above| allowed.contains(above))
    }

    fn check(&self, path: &Path) -> io::Result<()> {
        if self.is_allowed(path) {
            return Ok(());
        }
        let mode = if self.pure {
            "pure evaluation mode (use '--impure' to override)"
        } else {
            "restricted mode"
        };
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            Forbidden(format!(
                "access to absolute path '{}' is forbidden in {mode}",
                path.display()
            )),
        ))
    }

    fn allow_store_path(&self, path: &StorePath) {
        self.allow(Path::new(&self.store_dir().print(path)));
    }
}

impl EvalIo for GuardedIo {
    fn store_dir(&self) -> &StoreDir {
        self.inner.store_dir()
    }

    fn allow(&self, path: &Path) {
        self.allowed.write().insert(path.to_owned());
    }

    fn check_path(&self, path: &Path) -> Result<()> {
        self.check(path).map_err(|e| Error::new(Kind::Restricted, e.to_string()))
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.check(path)?;
        self.inner.read_file(path)
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        self.check(path)?;
        self.inner.kind(path)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.check(path)?;
        self.inner.read_link(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        self.check(path)?;
        let mut entries = self.inner.read_dir(path)?;
        let whole = {
            let allowed = self.allowed.read();
            path.ancestors().any(|above| allowed.contains(above))
        };
        // of a folder above what is allowed, only the way there is seen
        if !whole {
            entries.retain(|(name, _)| self.is_allowed(&path.join(name)));
        }
        Ok(entries)
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.inner.real(path)
    }

    fn add_path(&self, what: &AddPath<'_>, filter: Option<Filter<'_>>) -> Result<StorePath> {
        self.check_path(what.path)?;
        let path = self.inner.add_path(what, filter)?;
        self.allow_store_path(&path);
        Ok(path)
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
        dry: bool,
    ) -> Result<StorePath> {
        let path = self.inner.add_text(name, text, references, dry)?;
        self.allow_store_path(&path);
        Ok(path)
    }

    fn write_derivation(
        &self,
        derivation: &Derivation,
        path: &StorePath,
        contents: Contents,
    ) -> Result<()> {
        self.inner.write_derivation(derivation, path, contents)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        self.inner.read_derivation(path)
    }

    fn is_valid(&self, path: &StorePath) -> bool {
        self.inner.is_valid(path)
    }

    fn ensure(&self, path: &StorePath) -> Result<()> {
        self.inner.ensure(path)?;
        self.allow_store_path(path);
        Ok(())
    }

    fn references(&self, path: &StorePath) -> BTreeSet<StorePath> {
        self.inner.references(path)
    }

    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        self.inner.closure(path)
    }

    fn realise(&self, outputs: &[(DerivedPath, Box<str>)]) -> Result<Vec<StorePath>> {
        let built = self.inner.realise(outputs)?;
        for path in &built {
            for needed in self.inner.closure(path)? {
                self.allow_store_path(&needed);
            }
        }
        Ok(built)
    }

    fn fetch(&self, what: &Fetch<'_>) -> Result<StorePath> {
        let path = self.inner.fetch(what)?;
        self.allow_store_path(&path);
        Ok(path)
    }

    fn fetch_tree(&self, input: &Input) -> Result<FetchedTree> {
        let tree = self.inner.fetch_tree(input)?;
        self.allow(&tree.root(self.store_dir()));
        Ok(tree)
    }

    fn open_tree(&self, input: &Input) -> Result<FetchedTree> {
        let tree = self.inner.open_tree(input)?;
        self.allow(&tree.root(self.store_dir()));
        Ok(tree)
    }

    fn fetch_closure(&self, from: &str, path: &StorePath, rewrite: bool) -> Result<StorePath> {
        let found = self.inner.fetch_closure(from, path, rewrite)?;
        for needed in self.inner.closure(&found)? {
            self.allow_store_path(&needed);
        }
        Ok(found)
    }

    fn is_content_addressed(&self, path: &StorePath) -> Result<bool> {
        self.inner.is_content_addressed(path)
    }

    fn note(&self, what: Outside<'_>) {
        self.inner.note(what);
    }

    fn run_program(&self, program: &str, args: &[String]) -> Result<Vec<u8>> {
        self.inner.run_program(program, args)
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.inner.env(name)
    }

    fn message(&self, text: &[u8]) {
        self.inner.message(text);
    }

    fn silence(&self) {
        self.inner.silence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::DryIo;

    #[test]
    fn only_what_is_allowed_can_be_read() {
        let io = GuardedIo::new(Arc::new(DryIo::default()), false);
        io.allow(Path::new("/a/b"));
        for (path, allowed) in [
            ("/", true),
            ("/a", true),
            ("/a/b", true),
            ("/a/b/c", true),
            ("/a/bc", false),
            ("/a/c", false),
            ("/b", false),
        ] {
            assert_eq!(io.is_allowed(Path::new(path)), allowed, "{path}");
        }
        let real = GuardedIo::new(Arc::new(DryIo::default()), false);
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["seen", "hidden"] {
            std::fs::create_dir(dir.path().join(name)).expect("a folder");
        }
        real.allow(&dir.path().join("seen"));
        let names: Vec<_> =
            real.read_dir(dir.path()).expect("read").into_iter().map(|e| e.0).collect();
        assert_eq!(names, ["seen"]);
        let error = io.check_path(Path::new("/x")).expect_err("not allowed");
        assert_eq!(error.message(), "access to absolute path '/x' is forbidden in restricted mode");
    }
}
