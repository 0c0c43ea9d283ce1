//! The [`Store`] trait: what evaluation, builds and copies ask of any store.
//!
//! Every kind of store can be asked and, mostly, changed. What only some kinds can do (garbage
//! collection, roots, optimising) is refused by the others with [`Error::Unsupported`]; what only a store
//! on this machine has (its database, locks, folders) is on [`LocalStore`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_model::content_address::Method;
use firn_model::derivation::Derivation;
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::narinfo::NarInfo;
use firn_model::path_info::PathInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::Signature;
use firn_model::store_path::{StoreDir, StorePath};

use crate::error::{BoxError, Error, Result};
use crate::fs::{create_dirs, read_link, replace_symlink};
use crate::layout::canonical;
use crate::local::gc::{GcOptions, GcResults};
use crate::local::optimise::OptimiseStats;
use crate::local::roots::Roots;
use crate::local::verify::RepairHook;
use crate::local::{LocalStore, NewObject, Prepared};

/// The kind of a file, as a source filter is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else, which no store path can hold.
    Unknown,
}

impl FileKind {
    /// The word that the language uses: `regular`, `directory`, `symlink` or `unknown`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Unknown => "unknown",
        }
    }
}

/// Writes the NAR of a path that is to be added.
pub type NarSource<'a> = dyn Fn(&PathInfo, &mut dyn Write) -> Result<()> + Sync + 'a;

/// Decides whether a file below a source path is part of it; given the file's full path.
pub type SourceFilter<'a> = dyn FnMut(&Path, FileKind) -> Result<bool, BoxError> + 'a;

/// Whether contents that are there already are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repair {
    /// Leave a valid path alone.
    #[default]
    No,
    /// Write the contents again even if the path is valid.
    Yes,
}

/// Which edges a closure follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClosureOptions {
    /// Follow referrers instead of references.
    pub flip: bool,
    /// Include the valid outputs of derivations (flipped: the derivers of outputs).
    pub include_outputs: bool,
    /// Include the valid derivers of paths (flipped: the outputs of derivations).
    pub include_derivers: bool,
}

/// How a store is used as a substituter, as its address or the store itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubstituterRole {
    /// Lower numbers are asked first.
    pub priority: i64,
    /// Whether many paths may be asked for just to know whether they are there.
    pub want_mass_query: bool,
    /// Whether its paths need no signature.
    pub trusted: bool,
}

/// A store: valid paths, what they refer to, and their contents.
///
/// All methods may block on disk or network. Implementations are usable from many threads.
pub trait Store: Send + Sync {
    /// The logical store directory, such as `/nix/store`.
    fn store_dir(&self) -> &StoreDir;

    /// Its address, as messages name it: `local`, `daemon`, `https://…`.
    fn uri(&self) -> String;

    /// The store on this machine that it is, if it is one.
    fn as_local(&self) -> Option<&LocalStore> {
        None
    }

    /// That it cannot do something, whose name is that of C++ Nix's method.
    fn unsupported(&self, operation: &'static str) -> Error {
        Error::Unsupported { operation, store: self.uri() }
    }

    /// The version of the program that is in charge of it, if it tells.
    fn program_version(&self) -> Option<String> {
        None
    }

    /// Whether it believes what this user says of paths, if that is known.
    fn trusts_client(&self) -> Option<bool> {
        None
    }

    /// How it is used as a substituter.
    fn substituter_role(&self) -> SubstituterRole {
        SubstituterRole::default()
    }

    /// What is known of a path; `None` if it is not valid.
    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>>;

    /// Whether a file is in the store directory, by its path alone.
    fn is_in_store(&self, path: &Path) -> bool {
        path.strip_prefix(self.store_dir().as_str()).is_ok_and(|rest| !rest.as_os_str().is_empty())
    }

    /// Whether a path is valid: complete, immutable, with a valid closure.
    fn is_valid(&self, path: &StorePath) -> Result<bool> {
        Ok(self.query_path_info(path)?.is_some())
    }

    /// Forgets what this process was told of paths, because another has changed the store.
    fn refresh(&self) {}

    /// What is known of a valid path.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] if it is not valid.
    fn path_info(&self, path: &StorePath) -> Result<Arc<PathInfo>> {
        self.query_path_info(path)?
            .ok_or_else(|| Error::InvalidPath { path: self.store_dir().print(path) })
    }

    /// What is known of those of `paths` that are valid. Stores far away ask for many at a time.
    fn query_path_infos(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, Arc<PathInfo>>> {
        let mut known = BTreeMap::new();
        for path in paths {
            if let Some(info) = self.query_path_info(path)? {
                known.insert(path.clone(), info);
            }
        }
        Ok(known)
    }

    /// What a binary cache knows of a path besides what every store does: where its archive is and how large that
    /// is compressed. `None` if the path is not valid or the store is no binary cache.
    fn query_nar_info(&self, _path: &StorePath) -> Result<Option<Arc<NarInfo>>> {
        Ok(None)
    }

    /// Those of `paths` that are valid.
    fn query_valid_paths(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>> {
        let mut valid = BTreeSet::new();
        for path in paths {
            if self.is_valid(path)? {
                valid.insert(path.clone());
            }
        }
        Ok(valid)
    }

    /// All valid paths.
    fn query_all_valid_paths(&self) -> Result<BTreeSet<StorePath>>;

    /// The valid path with this hash part (32 characters), if any.
    fn query_path_from_hash_part(&self, hash_part: &str) -> Result<Option<StorePath>>;

    /// The valid paths that refer to `path` (which may be itself); empty if it is not valid.
    fn query_referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>>;

    /// The valid derivations that have `path` as an output.
    fn query_valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>>;

    /// The outputs of a valid derivation; `None` where the path is not known before the build.
    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, Option<StorePath>>>;

    /// The closure of `start`, which includes it.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] if a path on the way is not valid (only where references are followed).
    fn compute_closure(
        &self,
        start: &BTreeSet<StorePath>,
        options: ClosureOptions,
    ) -> Result<BTreeSet<StorePath>> {
        crate::closure::compute_closure(self, start, options)
    }

    /// `paths` in topological order: a path comes before those that it refers to.
    fn topo_sort(&self, paths: &BTreeSet<StorePath>) -> Result<Vec<StorePath>> {
        crate::closure::topo_sort(self, paths)
    }

    /// Adds a text file, content-addressed by its text and references.
    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath>;

    /// Adds a derivation as a `.drv` file; its inputs must be valid.
    fn add_derivation(&self, drv: &Derivation, repair: Repair) -> Result<StorePath> {
        let dir = self.store_dir().clone();
        let contents = drv.to_aterm(&dir);
        let mut references = drv.input_srcs.clone();
        references.extend(drv.input_drvs.keys().cloned());
        self.add_text(&format!("{}.drv", drv.name), &contents, &references, repair)
    }

    /// Adds small objects in their order, those that are valid already left out.
    fn add_objects(&self, objects: &[NewObject]) -> Result<()> {
        for new in objects {
            self.add_temp_root(new.path())?;
            if self.is_valid(new.path())? {
                continue;
            }
            match new {
                NewObject::Text(text) => {
                    self.add_text(text.path.name(), &text.contents, &text.references, Repair::No)?;
                }
                NewObject::Source(source) => {
                    self.add_nar(&source.info(), &mut &*source.nar, Repair::No)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a source as [`Store::add_path`] does, and leaves it to the caller to add it with
    /// [`Store::add_objects`] where it fits into memory and that is quicker.
    ///
    /// # Errors
    /// As [`Store::add_path`].
    fn prepare_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
    ) -> Result<Prepared> {
        let path = self.add_path(name, source, method, algo, filter, references, Repair::No)?;
        Ok(Prepared::Added(path))
    }

    /// Adds a file or folder; `filter` decides what below it is taken.
    #[expect(clippy::too_many_arguments, reason = "all of them are what a source is")]
    fn add_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath>;

    /// Adds contents that come as a stream: the bytes of the file (`Flat`, `Text`) or a NAR (`Nar`).
    fn add_dump(
        &self,
        name: &str,
        source: &mut dyn Read,
        method: Method,
        algo: HashAlgo,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath>;

    /// Adds the contents of a path whose information is known, and registers it. The NAR's hash and
    /// size, and the content address if there is one, are verified; trust is the caller's business.
    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read, repair: Repair) -> Result<()>;

    /// Adds many paths in one go, each after what it refers to, where that is quicker than one by one; `nars`
    /// writes the NAR of each. `false` if it is not, and nothing was done then.
    ///
    /// # Errors
    /// As [`Store::add_nar`]; those before the one that failed are valid then.
    fn add_many(
        &self,
        _infos: &[PathInfo],
        _nars: &NarSource<'_>,
        _repair: Repair,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Writes the contents of a valid path as a NAR.
    fn nar_from_path(&self, path: &StorePath, sink: &mut dyn Write) -> Result<()>;

    /// The contents of a valid path as a NAR to read, where the store can give it so without a thread of its own.
    fn nar_reader(&self, _path: &StorePath) -> Result<Option<Box<dyn Read + Send + '_>>> {
        Ok(None)
    }

    /// The contents of a valid path as a NAR in a file, to be read at any place. The file has no name, or is the
    /// store's own copy, which must not be written.
    fn nar_file(&self, path: &StorePath) -> Result<File> {
        let mut file = tempfile::tempfile().map_err(Error::stream("making a temporary file"))?;
        let mut out = BufWriter::with_capacity(256 * 1024, &mut file);
        self.nar_from_path(path, &mut out)?;
        out.flush().map_err(Error::stream("writing a temporary file"))?;
        drop(out);
        file.rewind().map_err(Error::stream("reading a temporary file"))?;
        Ok(file)
    }

    /// Registers paths whose contents are in place, all or none.
    fn register_valid(&self, infos: &[PathInfo]) -> Result<()>;

    /// Adds signatures to a valid path.
    fn add_signatures(&self, path: &StorePath, signatures: &BTreeSet<Signature>) -> Result<()>;

    /// Keeps a path from being collected while this process lives; it need not be valid yet.
    fn add_temp_root(&self, path: &StorePath) -> Result<()>;

    /// Reads a derivation from the store.
    fn read_derivation(&self, path: &StorePath) -> Result<Derivation>;

    /// Gives a derivation's deferred outputs their paths, in `outputs` and in the environment, if those of its
    /// inputs are known.
    ///
    /// # Errors
    /// If an input cannot be read, or the outputs are of kinds that cannot be together.
    fn fill_output_paths(&self, drv: &mut Derivation) -> Result<()> {
        crate::modulo::Modulos::default().fill_output_paths(self, drv)
    }

    /// Where the contents of a path are on this machine; where the path says, if they are elsewhere.
    fn real_path(&self, path: &StorePath) -> PathBuf;

    /// What names each output of a derivation in realisations.
    ///
    /// # Errors
    /// If an input cannot be read, or the outputs are of kinds that cannot be together.
    fn output_ids(&self, drv: &Derivation) -> Result<BTreeMap<String, DrvOutput>> {
        crate::modulo::Modulos::default().output_ids(self, drv)
    }

    /// The outputs of a derivation with their paths: those that follow from the derivation, and else what
    /// realisations say.
    fn known_outputs(&self, drv: &Derivation) -> Result<BTreeMap<String, Option<StorePath>>> {
        let mut outputs = drv.output_paths(self.store_dir()).map_err(Error::model)?;
        if outputs.values().all(Option::is_some) {
            return Ok(outputs);
        }
        for (name, id) in self.output_ids(drv)? {
            if let Some(slot) = outputs.get_mut(&name)
                && slot.is_none()
            {
                *slot = self.query_realisation(&id)?.map(|r| r.out_path);
            }
        }
        Ok(outputs)
    }

    /// What an output of a derivation came to be, if that is known here.
    fn query_realisation(&self, _id: &DrvOutput) -> Result<Option<Realisation>> {
        Ok(None)
    }

    /// Keeps a realisation, whose path must be valid. Trust is the caller's business.
    fn register_realisation(&self, _realisation: &Realisation) -> Result<()> {
        Err(self.unsupported("registerDrvOutput"))
    }

    /// The log of the build of a derivation, uncompressed, if it was kept.
    fn build_log(&self, drv: &StorePath) -> Result<Option<Vec<u8>>>;

    /// Keeps the log of a build.
    fn add_build_log(&self, _drv: &StorePath, _log: &[u8]) -> Result<()> {
        Err(self.unsupported("addBuildLogRaw"))
    }

    /// Registers the link `root` (a full path) as an indirect root: what it leads to is kept while it does.
    fn add_indirect_root(&self, _root: &Path) -> Result<()> {
        Err(self.unsupported("addIndirectRoot"))
    }

    /// Makes the user's link `root` point to `path` and registers it as an indirect root. Gives the
    /// link's full path.
    ///
    /// # Errors
    /// If `root` is in the store, or something is there that is no link into the store.
    fn add_perm_root(&self, path: &StorePath, root: &Path) -> Result<PathBuf> {
        add_perm_root(self, path, root)
    }

    /// All roots: links, running processes, temporary roots.
    fn find_roots(&self) -> Result<Roots> {
        Err(self.unsupported("findRoots"))
    }

    /// Collects garbage; `results` has what was done also if that ends with an error.
    fn collect_garbage_into(&self, _options: &GcOptions, _results: &mut GcResults) -> Result<()> {
        Err(self.unsupported("collectGarbage"))
    }

    /// Collects garbage.
    fn collect_garbage(&self, options: &GcOptions) -> Result<GcResults> {
        let mut results = GcResults::default();
        self.collect_garbage_into(options, &mut results)?;
        Ok(results)
    }

    /// Replaces equal files by hard links to one, where the kind of store has files of its own.
    fn optimise(&self) -> Result<OptimiseStats> {
        Ok(OptimiseStats::default())
    }

    /// Checks that all valid paths are there, and with `check_contents` that they have the hash they
    /// were registered with; `repair` puts right what is not. Whether errors remain; each is told to the log.
    fn verify(&self, _check_contents: bool, _repair: Option<&mut RepairHook<'_>>) -> Result<bool> {
        Ok(false)
    }

    /// The hash of a valid path's contents as they are, if it is not the registered one.
    fn check_path(&self, path: &StorePath) -> Result<Option<Hash>> {
        let info = self.path_info(path)?;
        let mut hasher = Hasher::new(info.nar_hash.algo());
        self.nar_from_path(path, &mut hasher)?;
        let hash = hasher.finish();
        Ok((hash != info.nar_hash).then_some(hash))
    }
}

/// Makes the link `root`, by this process, and has the store register it: what [`Store::add_perm_root`] does in most
/// stores.
///
/// # Errors
/// As there.
pub fn add_perm_root<S: Store + ?Sized>(
    store: &S,
    path: &StorePath,
    root: &Path,
) -> Result<PathBuf> {
    let root = std::path::absolute(root).map_err(Error::io("finding", root))?;
    let root = canonical(root.as_os_str());
    if store.is_in_store(&root) {
        return Err(Error::RootInStore { path: root });
    }
    store.add_temp_root(path)?;
    let there = root.symlink_metadata().is_ok();
    let target = read_link(&root)?;
    let ours = target.as_ref().is_some_and(|target| store.is_in_store(target));
    if there && !ours {
        return Err(Error::LinkExists { path: root });
    }
    if let Some(parent) = root.parent() {
        create_dirs(parent)?;
    }
    let wanted = PathBuf::from(store.store_dir().print(path));
    // A link that is right stays: its folder may be a source that others look at.
    if target.as_ref() != Some(&wanted) {
        replace_symlink(&wanted, &root)?;
    }
    store.add_indirect_root(&root)?;
    Ok(root)
}
