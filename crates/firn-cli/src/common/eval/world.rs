//! The evaluator's world on the user's store.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::writer::Writer;
use crate::common::caches::Closures;
use crate::common::store::AnyStore;
use firn_eval::context::DerivedPath;
use firn_eval::io::{
    AddPath, Contents, EvalIo, Fetch, FetchedTree, FileKind, Filter, computed_path,
};
use firn_eval::{Error, Kind, Result, trees};
use firn_model::input::Input;
use firn_model::{Derivation, Hash, HashAlgo, StoreDir, StorePath};
use firn_store::local::{NewObject, NewText, Prepared};
use firn_store::{ClosureOptions, SourceFilter, Store};

/// Builds outputs while evaluating, and says where they are, in the order asked for.
pub type Realiser =
    dyn Fn(&[(DerivedPath, Box<str>)]) -> std::result::Result<Vec<StorePath>, String> + Send + Sync;

/// Fetches a file while evaluating.
pub type Fetcher = dyn Fn(&Fetch<'_>) -> std::result::Result<StorePath, String> + Send + Sync;

/// Fetches a tree while evaluating.
pub type TreeFetcher = dyn Fn(&Input) -> std::result::Result<FetchedTree, String> + Send + Sync;

/// Files of this machine and a local store.
///
/// Derivations, texts and small sources are written many at a time, behind evaluation's back. Whoever needs them in
/// the store calls [`EvalIo::flush`] first; what evaluation reads in the store is there.
pub struct StoreIo {
    store: Arc<dyn Store>,
    /// The store's folder as it is called, and where it really is, if that differs.
    moved: Option<(PathBuf, PathBuf)>,
    realiser: Option<Box<Realiser>>,
    fetcher: Option<Box<Fetcher>>,
    tree_fetcher: Option<Box<TreeFetcher>>,
    tree_opener: Option<Box<TreeFetcher>>,
    closures: Option<Closures>,
    silent: AtomicBool,
    variables: BTreeMap<&'static str, OsString>,
    writer: Writer,
}

impl StoreIo {
    /// A world on this store, without builds and downloads.
    pub fn new(store: &AnyStore) -> StoreIo {
        let logical = PathBuf::from(store.store_dir().as_str());
        let real = store.layout().real_store_dir.clone();
        let moved = (logical != real).then_some((logical, real));
        StoreIo {
            store: store.shared(),
            moved,
            realiser: None,
            fetcher: None,
            tree_fetcher: None,
            tree_opener: None,
            closures: None,
            silent: AtomicBool::new(false),
            variables: BTreeMap::new(),
            writer: Writer::new(store.shared()),
        }
    }

    /// Has an environment variable that the process itself has not.
    pub fn with_variable(mut self, name: &'static str, value: &str) -> StoreIo {
        self.variables.insert(name, value.into());
        self
    }

    /// Lets evaluation build.
    pub fn with_realiser(mut self, realiser: Box<Realiser>) -> StoreIo {
        self.realiser = Some(realiser);
        self
    }

    /// Lets evaluation have paths from substituters and closures from caches.
    pub fn with_closures(mut self, closures: Closures) -> StoreIo {
        self.closures = Some(closures);
        self
    }

    /// Lets evaluation download.
    pub fn with_fetcher(mut self, fetcher: Box<Fetcher>) -> StoreIo {
        self.fetcher = Some(fetcher);
        self
    }
}

impl StoreIo {
    /// Lets evaluation fetch trees, and open those that need not be in the store.
    pub fn with_tree_fetcher(
        mut self,
        fetcher: Box<TreeFetcher>,
        opener: Box<TreeFetcher>,
    ) -> StoreIo {
        self.tree_fetcher = Some(fetcher);
        self.tree_opener = Some(opener);
        self
    }
}

impl StoreIo {
    /// Adds what is really at `source`. The filter sees it by the names that evaluation knows.
    fn add_filtered(
        &self,
        what: &AddPath<'_>,
        source: &Path,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath> {
        // An error of the filter passes through the store as it is.
        let mut raised = None;
        let added = match filter {
            None => self.add_to_store(what, source, None),
            Some(filter) => {
                let mut ask = |path: &Path, kind: firn_store::FileKind| {
                    let kind = match kind {
                        firn_store::FileKind::Regular => FileKind::Regular,
                        firn_store::FileKind::Directory => FileKind::Directory,
                        firn_store::FileKind::Symlink => FileKind::Symlink,
                        firn_store::FileKind::Unknown => FileKind::Other,
                    };
                    // it knows nothing of where this store's files really are
                    let known = path.strip_prefix(source).map(|inner| match inner.as_os_str() {
                        own if own.is_empty() => what.path.to_owned(),
                        _ => what.path.join(inner),
                    });
                    filter(known.as_deref().unwrap_or(path), kind).map_err(|e| {
                        let text = e.to_string();
                        raised = Some(e);
                        text.into()
                    })
                };
                self.add_to_store(what, source, Some(&mut ask))
            }
        };
        match (added, raised) {
            (_, Some(e)) => Err(e),
            (added, None) => added,
        }
    }

    fn add_to_store(
        &self,
        what: &AddPath<'_>,
        source: &Path,
        filter: Option<&mut SourceFilter<'_>>,
    ) -> Result<StorePath> {
        let AddPath { name, method, algo, references, .. } = *what;
        if !references.is_empty() {
            self.writer.flush()?;
        }
        let prepared = self
            .store
            .prepare_path(name, source, method, algo, filter, references)
            .map_err(store_error)?;
        match prepared {
            Prepared::Added(path) => Ok(path),
            Prepared::Later(new) => {
                let path = new.path.clone();
                self.writer.push(NewObject::Source(new))?;
                Ok(path)
            }
        }
    }
}

impl StoreIo {
    /// Sees to it that what evaluation is about to read in the store has been written.
    fn write_pending(&self, path: &Path) {
        if let Ok(rest) = path.strip_prefix(self.store_dir().as_str())
            && let Some(first) = rest.components().next()
            && first.as_os_str().to_str().is_some_and(|name| self.writer.is_pending(name))
        {
            self.writer.flush_quietly();
        }
    }
}

fn store_error(e: impl std::fmt::Display) -> Error {
    Error::new(Kind::Io, e.to_string())
}

impl EvalIo for StoreIo {
    fn store_dir(&self) -> &StoreDir {
        self.store.store_dir()
    }

    fn read_dir(&self, path: &Path) -> std::io::Result<Vec<(OsString, FileKind)>> {
        if let Some(entries) = trees::read_dir(path) {
            return entries;
        }
        if path == Path::new(self.store_dir().as_str()) {
            trees::settle_in(path).map_err(std::io::Error::other)?;
            self.writer.flush_quietly();
        }
        std::fs::read_dir(self.real(path))?
            .map(|entry| {
                let entry = entry?;
                Ok((entry.file_name(), entry.file_type()?.into()))
            })
            .collect()
    }

    fn real(&self, path: &Path) -> PathBuf {
        if let Some(place) = trees::real(path) {
            return place;
        }
        self.write_pending(path);
        if let Some((logical, real)) = &self.moved
            && let Ok(rest) = path.strip_prefix(logical)
        {
            let inside = real.join(rest);
            if inside.symlink_metadata().is_ok() {
                return inside;
            }
        }
        path.to_owned()
    }

    fn add_path(&self, what: &AddPath<'_>, filter: Option<Filter<'_>>) -> Result<StorePath> {
        if what.dry {
            return computed_path(self, what, filter);
        }
        let source = self.real(what.path);
        if let Some((tree, inner)) = trees::lazy(what.path).filter(|(tree, _)| tree.is_partial()) {
            let mut listed = |path: &Path, _: FileKind| {
                let below = path.strip_prefix(what.path).unwrap_or(path);
                Ok(tree.has(&inner.join(below)))
            };
            return match filter {
                None => self.add_filtered(what, &source, Some(&mut listed)),
                Some(filter) => {
                    let mut both = |path: &Path, kind: FileKind| {
                        Ok(listed(path, kind)? && filter(path, kind)?)
                    };
                    self.add_filtered(what, &source, Some(&mut both))
                }
            };
        }
        self.add_filtered(what, &source, filter)
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
        dry: bool,
    ) -> Result<StorePath> {
        let hash = Hash::digest(HashAlgo::Sha256, text);
        let path = self.store_dir().make_text_path(name, &hash, references).map_err(store_error)?;
        if dry {
            return Ok(path);
        }
        self.writer.push(NewObject::Text(NewText {
            path: path.clone(),
            contents: text.to_owned(),
            hash,
            references: references.clone(),
            outputs: BTreeMap::new(),
        }))?;
        Ok(path)
    }

    fn write_derivation(
        &self,
        derivation: &Derivation,
        path: &StorePath,
        contents: Contents,
    ) -> Result<()> {
        self.writer.push(super::writer::new_derivation(
            derivation,
            contents,
            path,
            self.store_dir(),
        )?)
    }

    fn flush(&self) -> Result<()> {
        self.writer.flush()
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        self.flush()?;
        self.store.read_derivation(path).map_err(store_error)
    }

    fn is_valid(&self, path: &StorePath) -> bool {
        // What could not be written is not valid, and the error is raised at the end.
        self.writer.flush_quietly();
        self.store.is_valid(path).unwrap_or(false)
    }

    fn ensure(&self, path: &StorePath) -> Result<()> {
        if self.is_valid(path) {
            return Ok(());
        }
        match &self.closures {
            Some(closures) => closures.ensure(path).map_err(store_error),
            None => Err(Error::new(
                Kind::Io,
                format!(
                    "path '{}' does not exist and cannot be created",
                    self.store_dir().print(path)
                ),
            )),
        }
    }

    fn fetch_closure(&self, from: &str, path: &StorePath, rewrite: bool) -> Result<StorePath> {
        match &self.closures {
            Some(closures) => closures.fetch(from, path, rewrite).map_err(store_error),
            None => Err(Error::new(
                Kind::Io,
                format!("cannot fetch from '{from}': this command does not download"),
            )),
        }
    }

    fn is_content_addressed(&self, path: &StorePath) -> Result<bool> {
        self.flush()?;
        let info = self.store.path_info(path).map_err(store_error)?;
        Ok(info.is_content_addressed(self.store_dir()))
    }

    fn references(&self, path: &StorePath) -> BTreeSet<StorePath> {
        self.writer.flush_quietly();
        match self.store.query_path_info(path) {
            Ok(Some(info)) => info.references.clone(),
            _ => BTreeSet::new(),
        }
    }

    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        self.flush()?;
        self.store
            .compute_closure(&BTreeSet::from([path.clone()]), ClosureOptions::default())
            .map_err(store_error)
    }

    fn realise(&self, outputs: &[(DerivedPath, Box<str>)]) -> Result<Vec<StorePath>> {
        self.flush()?;
        match &self.realiser {
            Some(realiser) => {
                realiser(outputs).map_err(|e| Error::new(Kind::ImportFromDerivation, e))
            }
            None => {
                let first = outputs.first().map_or_else(String::new, |(drv, output)| {
                    format!("{}^{output}", drv.print(self.store_dir()))
                });
                Err(Error::new(
                    Kind::ImportFromDerivation,
                    format!(
                        "cannot build '{first}' during evaluation: this command does not build"
                    ),
                ))
            }
        }
    }

    fn fetch(&self, what: &Fetch<'_>) -> Result<StorePath> {
        match &self.fetcher {
            Some(fetcher) => fetcher(what).map_err(|e| Error::new(Kind::Io, e)),
            None => Err(Error::new(
                Kind::Io,
                format!("cannot fetch '{}': this command does not download", what.url),
            )),
        }
    }

    fn fetch_tree(&self, input: &Input) -> Result<FetchedTree> {
        match &self.tree_fetcher {
            Some(fetcher) => fetcher(input).map_err(|e| Error::new(Kind::Io, e)),
            None => Err(Error::new(
                Kind::Io,
                format!("cannot fetch '{}': this command does not download", input.shown()),
            )),
        }
    }

    fn open_tree(&self, input: &Input) -> Result<FetchedTree> {
        match &self.tree_opener {
            Some(opener) => opener(input).map_err(|e| Error::new(Kind::Io, e)),
            None => self.fetch_tree(input),
        }
    }

    fn env(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).cloned().or_else(|| std::env::var_os(name))
    }

    #[expect(clippy::print_stderr, reason = "the command's output")]
    fn message(&self, text: &[u8]) {
        if !self.silent.load(Ordering::Relaxed) {
            eprintln!("{}", trees::reveal_text(&String::from_utf8_lossy(text)));
        }
    }

    fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }
}
