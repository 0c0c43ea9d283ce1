//! Putting contents into the store: text, sources, dumps and NARs.
//!
//! Contents are made complete under the lock of their path and only then registered. Until they are
//! registered they are garbage to everybody else.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::Derivation;
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::path_info::PathInfo;
use firn_model::store_path::{References, StorePath};

use super::LocalStore;
use super::add_objects::{NewSource, Prepared};
use super::register::Outputs;
use crate::error::{BoxError, Error, Result};
use crate::fs::lock::{FileLock, LockKind, PathLocks};
use crate::fs::{
    Canonicalise, Restore, canonicalise_metadata, copy_path, delete_path, dump_path,
    dump_path_filtered, git_hash, hash_path, restore_flat, restore_path, write_flat,
};
use crate::hashing::{HashReader, HashSink};
use crate::rewrite::HashModulo;
use crate::store::{FileKind, Repair, SourceFilter, Store as _};
use crate::stream::{QueueWriter, queue};

impl LocalStore {
    /// Where the contents of a path are.
    fn real(&self, path: &StorePath) -> PathBuf {
        self.layout.real_path(path)
    }

    pub(super) fn cannot_write(&self, path: &StorePath) -> Error {
        Error::Usage(format!(
            "cannot add path '{}' because the store is read-only: attempt to write a readonly database",
            self.print(path)
        ))
    }

    /// Runs `fill` to make the contents of `path`, unless it is valid already, and registers it.
    fn put(
        &self,
        path: &StorePath,
        repair: Repair,
        fill: impl FnOnce(&Path) -> Result<PathInfo>,
        outputs: Option<&Outputs<'_>>,
    ) -> Result<()> {
        if self.options.read_only {
            return Err(self.cannot_write(path));
        }
        self.add_temporary_root(path)?;
        if repair == Repair::No && self.is_registered(path)? {
            return Ok(());
        }
        let real = self.real(path);
        // what somebody else has locked for this process cannot be locked by it
        let mut lock = match self.assumed_locks.lock().contains(path) {
            true => None,
            false => Some(PathLocks::lock([real.as_path()])?),
        };
        let valid = self.is_registered(path)?;
        if repair == Repair::Yes || !valid {
            self.collect_if_space_is_short()?;
            let old = if valid { self.set_aside(&real)? } else { None };
            delete_path(&real)?;
            let done = self.fill_and_register(&real, repair, fill, outputs);
            if let Err(error) = done {
                // what is half made is of no use to anybody
                let _ = delete_path(&real);
                if let Some(old) = old {
                    move_into_place(&old.path.join("x"), &real)?;
                }
                return Err(error);
            }
        }
        if let Some(lock) = &mut lock {
            lock.set_removal(true);
        }
        Ok(())
    }

    /// Takes it that whoever started this process holds the locks of these paths for it.
    pub fn assume_locks<'p>(&self, paths: impl IntoIterator<Item = &'p StorePath>) {
        self.assumed_locks.lock().extend(paths.into_iter().cloned());
    }

    fn fill_and_register(
        &self,
        real: &Path,
        repair: Repair,
        fill: impl FnOnce(&Path) -> Result<PathInfo>,
        outputs: Option<&Outputs<'_>>,
    ) -> Result<()> {
        let info = fill(real)?;
        if self.options.auto_optimise {
            self.optimise_path(real, repair)?;
        }
        match outputs {
            Some(outputs) => self.register_with(&[info], outputs),
            None => self.register(&[info]),
        }
    }

    /// Keeps the old contents of a path that is repaired until the new ones are there.
    fn set_aside(&self, real: &Path) -> Result<Option<TemporaryFolder>> {
        // what is in a lower layer cannot be moved
        if real.symlink_metadata().is_err() || self.layers().is_some() {
            return Ok(None);
        }
        let folder = TemporaryFolder::new(&self.layout.real_store_dir)?;
        move_into_place(real, &folder.path.join("x"))?;
        Ok(Some(folder))
    }

    pub(super) fn put_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        repair: Repair,
        outputs_of: Option<&Derivation>,
    ) -> Result<StorePath> {
        let dir = &self.layout.store_dir;
        let hash = Hash::digest(HashAlgo::Sha256, contents);
        let path = dir.make_text_path(name, &hash, references).map_err(Error::model)?;
        let outputs = match outputs_of {
            Some(drv) => {
                let outputs = drv.output_paths(dir).map_err(Error::model)?;
                let known =
                    outputs.into_iter().filter_map(|(name, path)| Some((name, path?))).collect();
                Some(Outputs::from([(&path, known)]))
            }
            None => None,
        };
        let fill = |real: &Path| {
            // written under another name, so that no crash leaves half a derivation behind
            let temporary = self.layout.real_store_dir.join(format!(
                "{}.tmp-{}",
                path.base_name(),
                crate::fs::unique_suffix()
            ));
            write_flat(contents, &temporary)?;
            std::fs::rename(&temporary, real).map_err(Error::io("renaming to", real))?;
            let mut nar = Hasher::new(HashAlgo::Sha256);
            firn_model::nar::NarWriter::new(&mut nar)
                .map_err(Error::stream("hashing"))?
                .file(false, contents.len() as u64, &mut &*contents)
                .map_err(Error::model)?;
            let size = nar.len();
            let mut info = PathInfo::new(path.clone(), nar.finish(), size);
            info.references.clone_from(references);
            info.ca = Some(ContentAddress { method: Method::Text, hash });
            Ok(info)
        };
        // a file that a power cut has emptied is written again rather than believed in
        let whole = self
            .real(&path)
            .symlink_metadata()
            .is_ok_and(|m| m.is_file() && m.len() == contents.len() as u64);
        let repair = if whole { repair } else { Repair::Yes };
        self.put(&path, repair, fill, outputs.as_ref())?;
        Ok(path)
    }

    pub(super) fn put_path(
        &self,
        name: &str,
        source: &Path,
        how: (Method, HashAlgo),
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        match self.prepare(name, source, how, filter, references, repair)? {
            Prepared::Added(path) => Ok(path),
            Prepared::Later(new) => {
                let fill = |real: &Path| {
                    restore_path(&mut &*new.nar, real, Restore::Canonical)?;
                    Ok(new.info())
                };
                self.put(&new.path, repair, fill, None)?;
                Ok(new.path)
            }
        }
    }

    /// Reads a source. What fits into memory is left there; all else is added.
    pub(super) fn prepare(
        &self,
        name: &str,
        source: &Path,
        how: (Method, HashAlgo),
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<Prepared> {
        if matches!(how.0, Method::Flat | Method::Text) {
            let mut file = open_flat(source)?;
            return self.put_flat(name, &mut file, how, references, repair).map(Prepared::Added);
        }
        if how.0 == Method::Git {
            return self
                .put_git(name, source, how, filter, references, repair)
                .map(Prepared::Added);
        }
        // one pass: into memory, or what is larger into a folder, as it cannot be known yet whether it is there already
        let made = std::thread::scope(|scope| {
            let mut spill = Spill {
                memory: Vec::new(),
                limit: self.options.nar_buffer_size,
                running: None,
                deserted: false,
                start: |memory: Cursor<Vec<u8>>| {
                    let (to, from) = queue();
                    let restorer = scope.spawn(move || {
                        let folder = TemporaryFolder::new(&self.layout.real_store_dir)?;
                        let source = memory.chain(from);
                        let known = restore_hashing(source, &folder.path.join("x"))?;
                        Ok((folder, known))
                    });
                    (to, restorer)
                },
            };
            let dumped = dump_path_filtered(source, &mut spill, filter);
            let Some((to, restorer)) = spill.running else {
                return dumped.map(|()| Made::Memory(spill.memory));
            };
            let dumped = dumped.and_then(|()| to.finish().map_err(Error::stream("writing NAR")));
            let restored = restorer
                .join()
                .unwrap_or_else(|_| Err(Error::Format(format!("adding '{name}' failed"))));
            match (restored, dumped) {
                // one side fails because the other did: who was left alone is not to blame
                (Err(e), _) if spill.deserted => Err(e),
                (_, Err(e)) | (Err(e), Ok(())) => Err(e),
                (Ok((folder, known)), Ok(())) => Ok(Made::Folder(folder, known)),
            }
        })?;
        match made {
            Made::Memory(nar) => {
                let hash = Hash::digest(how.1, &nar);
                let path = self.address(name, how, hash, references)?;
                let nar_hash = match how.1 {
                    HashAlgo::Sha256 => hash,
                    _ => Hash::digest(HashAlgo::Sha256, &nar),
                };
                let ca = ContentAddress { method: how.0, hash };
                let references = references.clone();
                Ok(Prepared::Later(NewSource { path, nar, nar_hash, ca, references }))
            }
            Made::Folder(folder, known) => {
                self.put_folder(name, &folder, known, how, references, repair).map(Prepared::Added)
            }
        }
    }

    /// Adds a source by its hash as a Git object.
    fn put_git(
        &self,
        name: &str,
        source: &Path,
        how: (Method, HashAlgo),
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        let mut all = |_: &Path, _: FileKind| -> Result<bool, BoxError> { Ok(true) };
        let filter = filter.unwrap_or(&mut all);
        let mut refused: HashSet<PathBuf> = HashSet::new();
        let mut noting = |path: &Path, kind: FileKind| -> Result<bool, BoxError> {
            let wanted = filter(path, kind)?;
            if !wanted {
                refused.insert(path.to_owned());
            }
            Ok(wanted)
        };
        let hash = git_hash(source, how.1, Some(&mut noting))?;
        let path = self.address(name, how, hash, references)?;
        self.add_temporary_root(&path)?;
        if repair == Repair::No && self.is_registered(&path)? {
            return Ok(path);
        }
        self.put_from_temporary(name, how, references, repair, |temporary| {
            let mut filter =
                |path: &Path, _| -> Result<bool, BoxError> { Ok(!refused.contains(path)) };
            copy_path(source, temporary, Restore::Canonical, Some(&mut filter))?;
            hash_path(temporary, HashAlgo::Sha256)
        })
    }

    pub(super) fn put_dump(
        &self,
        name: &str,
        source: &mut dyn Read,
        how: (Method, HashAlgo),
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        if matches!(how.0, Method::Flat | Method::Text) {
            return self.put_flat(name, source, how, references, repair);
        }
        self.put_from_temporary(name, how, references, repair, |temporary| {
            restore_hashing(source, temporary)
        })
    }

    fn put_flat(
        &self,
        name: &str,
        source: &mut dyn Read,
        how: (Method, HashAlgo),
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        let limit = self.options.nar_buffer_size;
        let mut contents = Vec::new();
        source
            .take(limit + 1)
            .read_to_end(&mut contents)
            .map_err(Error::stream("reading the contents of a file"))?;
        if contents.len() as u64 > limit {
            return self.put_from_temporary(name, how, references, repair, |temporary| {
                let mut all = contents.chain(source);
                restore_flat(&mut all, temporary, Restore::Canonical)?;
                hash_path(temporary, HashAlgo::Sha256)
            });
        }
        let hash = Hash::digest(how.1, &contents);
        let path = self.address(name, how, hash, references)?;
        let fill = |real: &Path| {
            write_flat(&contents, real)?;
            self.info_for(&path, real, how.0, hash, references, None)
        };
        self.put(&path, repair, fill, None)?;
        Ok(path)
    }

    /// Makes the contents in a locked folder of the store, and finds the path from what came out. `make` gives hash and
    /// size of their NAR.
    fn put_from_temporary(
        &self,
        name: &str,
        how: (Method, HashAlgo),
        references: &BTreeSet<StorePath>,
        repair: Repair,
        make: impl FnOnce(&Path) -> Result<(Hash, u64)>,
    ) -> Result<StorePath> {
        let folder = TemporaryFolder::new(&self.layout.real_store_dir)?;
        let known = make(&folder.path.join("x"))?;
        self.put_folder(name, &folder, known, how, references, repair)
    }

    /// Adds what was made in a folder; hash and size of its NAR are known.
    fn put_folder(
        &self,
        name: &str,
        folder: &TemporaryFolder,
        (nar_hash, nar_size): (Hash, u64),
        how: (Method, HashAlgo),
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        let temporary = folder.path.join("x");
        let hash = match how {
            (Method::Nar, HashAlgo::Sha256) => nar_hash,
            (Method::Nar, algo) => hash_path(&temporary, algo)?.0,
            (Method::Git, algo) => git_hash(&temporary, algo, None)?,
            (Method::Flat | Method::Text, algo) => hash_file(&temporary, algo)?,
        };
        let path = self.address(name, how, hash, references)?;
        let fill = |real: &Path| {
            move_into_place(&temporary, real)?;
            self.info_for(&path, real, how.0, hash, references, Some((nar_hash, nar_size)))
        };
        self.put(&path, repair, fill, None)?;
        Ok(path)
    }

    fn address(
        &self,
        name: &str,
        (method, algo): (Method, HashAlgo),
        hash: Hash,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath> {
        debug_assert_eq!(hash.algo(), algo);
        let references = References { paths: references.clone(), self_reference: false };
        self.layout
            .store_dir
            .make_fixed_output_path(name, &ContentAddress { method, hash }, &references)
            .map_err(Error::model)
    }

    fn info_for(
        &self,
        path: &StorePath,
        real: &Path,
        method: Method,
        hash: Hash,
        references: &BTreeSet<StorePath>,
        nar: Option<(Hash, u64)>,
    ) -> Result<PathInfo> {
        let (nar_hash, nar_size) = match nar {
            Some(known) => known,
            None => hash_path(real, HashAlgo::Sha256)?,
        };
        let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
        info.references.clone_from(references);
        info.ca = Some(ContentAddress { method, hash });
        Ok(info)
    }

    pub(super) fn put_nar(
        &self,
        info: &PathInfo,
        nar: &mut dyn Read,
        repair: Repair,
    ) -> Result<()> {
        let fill = |real: &Path| {
            let (hash, size) = restore_hashing(nar, real)?;
            let mismatch = |what, specified: String, got: String| Error::Mismatch {
                what,
                path: self.print(&info.path),
                specified,
                got,
            };
            if hash != info.nar_hash {
                return Err(mismatch("hash mismatch", info.nar_hash.to_string(), hash.to_string()));
            }
            if size != info.nar_size {
                return Err(mismatch("size mismatch", info.nar_size.to_string(), size.to_string()));
            }
            // what is addressed by its whole NAR has been hashed just now
            if let Some(ca) = info.ca.filter(|ca| ca.method != Method::Nar || ca.hash != hash) {
                let got = self.content_hash(real, &info.path, ca)?;
                if got != ca.hash {
                    return Err(mismatch("ca hash mismatch", ca.hash.to_string(), got.to_string()));
                }
            }
            Ok(info.clone())
        };
        self.put(&info.path, repair, fill, None)
    }

    /// The hash that the content address of `path` must have, with self-references taken out.
    fn content_hash(&self, real: &Path, path: &StorePath, ca: ContentAddress) -> Result<Hash> {
        let mut sink = HashModulo::new(ca.hash.algo(), path.hash_part());
        match ca.method {
            Method::Flat | Method::Text => {
                let mut file = open_flat(real)?;
                io::copy(&mut file, &mut sink).map_err(Error::io("reading file", real))?;
            }
            Method::Nar => dump_path(real, &mut sink)?,
            // those do not know themselves
            Method::Git => return git_hash(real, ca.hash.algo(), None),
        }
        Ok(sink.finish().0)
    }

    /// Makes files that a build or another tool left at `path` canonical and registers nothing.
    ///
    /// # Errors
    /// If there is something that no store can hold.
    pub fn canonicalise(&self, path: &Path, options: &mut Canonicalise) -> Result<()> {
        options.ignored_xattrs.clone_from(&self.options.ignored_xattrs);
        canonicalise_metadata(path, options)
    }

    /// The path that a source would get, without adding it.
    ///
    /// # Errors
    /// If the source cannot be read or the name is not allowed.
    pub fn path_for(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath> {
        let hash = match method {
            Method::Flat | Method::Text => hash_file(source, algo)?,
            Method::Nar => {
                let mut sink = HashSink::new(algo);
                dump_path_filtered(source, &mut sink, filter)?;
                sink.finish().map_err(Error::stream("hashing"))?
            }
            Method::Git => git_hash(source, algo, filter)?,
        };
        self.address(name, (method, algo), hash, references)
    }

    pub(super) fn write_nar(&self, path: &StorePath, sink: &mut dyn Write) -> Result<()> {
        if !self.is_valid(path)? {
            return Err(Error::InvalidPath { path: self.print(path) });
        }
        dump_path(&self.real(path), sink)
    }
}

/// The hash of a regular file's bytes.
fn hash_file(path: &Path, algo: HashAlgo) -> Result<Hash> {
    let mut hasher = Hasher::new(algo);
    io::copy(&mut open_flat(path)?, &mut hasher).map_err(Error::io("reading file", path))?;
    Ok(hasher.finish())
}

/// Opens what must be a regular file.
fn open_flat(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(Error::io("opening file", path))?;
    let meta = file.metadata().map_err(Error::io("getting status of", path))?;
    if !meta.is_file() {
        return Err(Error::Format(format!("path '{}' is not a regular file", path.display())));
    }
    Ok(file)
}

/// Renames a finished tree, also where the user who owns it has no right to write to its top folder.
fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_dir = from.symlink_metadata().is_ok_and(|m| m.is_dir());
    if is_dir && !rustix::process::geteuid().is_root() {
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
                .map_err(Error::io("changing mode of", path))
        };
        mode(from, 0o755)?;
        std::fs::rename(from, to).map_err(Error::io("renaming to", to))?;
        return mode(to, 0o555);
    }
    std::fs::rename(from, to).map_err(Error::io("renaming to", to))
}

/// A folder `tmp-…` in the store that the collector leaves alone as long as it is locked.
struct TemporaryFolder {
    path: PathBuf,
    _lock: FileLock,
}

impl TemporaryFolder {
    fn new(store: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        loop {
            let path = store.join(format!("tmp-{}", crate::fs::unique_suffix()));
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(Error::io("creating directory", &path))?;
            // a collector may take it between these steps
            let Ok(dir) = File::open(&path) else { continue };
            let mut lock = FileLock::on(dir, &path);
            lock.lock(LockKind::Exclusive)?;
            if path.exists() {
                return Ok(Self { path, _lock: lock });
            }
        }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = delete_path(&self.path);
    }
}

/// Unpacks a NAR as `path`; gives its hash and size.
fn restore_hashing(source: impl Read, path: &Path) -> Result<(Hash, u64)> {
    let mut source = HashReader::new(source, HashAlgo::Sha256);
    restore_path(&mut source, path, Restore::Canonical)?;
    source.finish().map_err(Error::stream("hashing"))
}

/// What became of a source.
enum Made {
    /// Its NAR.
    Memory(Vec<u8>),
    /// Its copy, and hash and size of the NAR.
    Folder(TemporaryFolder, (Hash, u64)),
}

/// Keeps what is written as long as it is small; then another thread gets it, and what follows.
struct Spill<S, T> {
    memory: Vec<u8>,
    limit: u64,
    start: S,
    running: Option<(QueueWriter, T)>,
    /// Whether that thread takes no more.
    deserted: bool,
}

impl<S: FnMut(Cursor<Vec<u8>>) -> (QueueWriter, T), T> Write for Spill<S, T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.running.is_none() && (self.memory.len() + data.len()) as u64 > self.limit {
            self.running = Some((self.start)(Cursor::new(std::mem::take(&mut self.memory))));
        }
        match &mut self.running {
            Some((to, _)) => {
                to.write_all(data).inspect_err(|_| self.deserted = true)?;
            }
            None => self.memory.extend_from_slice(data),
        }
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
