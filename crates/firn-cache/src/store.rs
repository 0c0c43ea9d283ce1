//! [`Store`] for a binary cache.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firn_event::{ActivityKind, Field, Level, Logger};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::Derivation;
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::nar::{Contents, NarVisitor, NarWriter};
use firn_model::narinfo::NarInfo;
use firn_model::path_info::PathInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::Signature;
use firn_model::store_path::{HASH_PART_LEN, References, StoreDir, StorePath};
use firn_store::fs::dump_path_filtered;
use firn_store::{Error, Repair, Result, SourceFilter, Store, SubstituterRole};
use parking_lot::Mutex;

use crate::compression::Compression;
use crate::config::CacheConfig;
use crate::disk::{DiskCache, Remembered};
use crate::transport::{Body, Transport};

/// The name of paths of which only the hash part is known.
const MISSING_NAME: &str = "x";
/// The file that says what a cache is.
const CACHE_INFO: &str = "nix-cache-info";

/// What is known of a path.
#[derive(Debug, Clone)]
struct Known {
    narinfo: Arc<NarInfo>,
    info: Arc<PathInfo>,
}

impl Known {
    fn new(narinfo: NarInfo) -> Self {
        Self { info: Arc::new(narinfo.info.clone()), narinfo: Arc::new(narinfo) }
    }
}

/// A binary cache.
pub struct BinaryCacheStore {
    transport: Box<dyn Transport>,
    config: CacheConfig,
    dir: StoreDir,
    logger: Logger,
    role: SubstituterRole,
    /// Answers on disk, and this cache's number there.
    disk: Option<(Arc<DiskCache>, i64)>,
    /// Answers of this run, by hash part.
    known: Mutex<HashMap<String, Option<Known>>>,
}

impl std::fmt::Debug for BinaryCacheStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BinaryCacheStore").field("uri", &self.uri()).finish_non_exhaustive()
    }
}

impl BinaryCacheStore {
    /// The cache behind a transport, for paths of `dir`. One that is not there yet is made.
    ///
    /// # Errors
    /// If it cannot be reached or made, or is for stores with another folder.
    pub fn open(
        transport: Box<dyn Transport>,
        config: CacheConfig,
        dir: StoreDir,
        disk: Option<Arc<DiskCache>>,
        logger: Logger,
    ) -> Result<Self> {
        let role = SubstituterRole {
            priority: config.priority.unwrap_or(0),
            want_mass_query: config.want_mass_query.unwrap_or(false),
            trusted: config.trusted,
        };
        let disk = disk.filter(|_| transport.is_remote());
        let mut store =
            Self { transport, config, dir, logger, role, disk: None, known: Mutex::default() };
        let uri = store.uri();
        if let Some(disk) = &disk
            && let Some(cache) = disk.cache(&uri)?
        {
            store.default_role(Some(cache.priority), Some(cache.want_mass_query));
            store.disk = Some((Arc::clone(disk), cache.id));
            return Ok(store);
        }
        store.read_cache_info()?;
        if let Some(disk) = disk {
            let id = disk.remember_cache(
                &uri,
                &store.dir,
                store.role.want_mass_query,
                store.role.priority,
            )?;
            store.disk = Some((disk, id));
        }
        Ok(store)
    }

    /// What the cache says of itself counts where the address says nothing.
    fn default_role(&mut self, priority: Option<i64>, want_mass_query: Option<bool>) {
        if let (None, Some(priority)) = (self.config.priority, priority) {
            self.role.priority = priority;
        }
        if let (None, Some(want)) = (self.config.want_mass_query, want_mass_query) {
            self.role.want_mass_query = want;
        }
    }

    fn read_cache_info(&mut self) -> Result<()> {
        let uri = self.uri();
        let text = match self.transport.get(CACHE_INFO, 0)? {
            Some(text) => text,
            None => {
                self.transport.prepare(self.config.index_debug_info)?;
                let text = format!("StoreDir: {}\n", self.dir.as_str());
                let body = Body::Bytes(text.as_bytes());
                let made = self.transport.put(CACHE_INFO, body, "text/x-nix-cache-info");
                return made.map_err(|e| match e {
                    Error::Remote(_) => {
                        Error::Format(format!("'{uri}' does not appear to be a binary cache: {e}"))
                    }
                    other => other,
                });
            }
        };
        self.transport.prepare(self.config.index_debug_info)?;
        let (mut priority, mut want) = (None, None);
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name {
                "StoreDir" if value != self.dir.as_str() => {
                    return Err(Error::Format(format!(
                        "binary cache '{uri}' is for Nix stores with prefix '{value}', not '{}'",
                        self.dir.as_str()
                    )));
                }
                "WantMassQuery" => want = Some(value == "1"),
                "Priority" => {
                    priority = Some(value.parse().map_err(|_| {
                        Error::Format(format!(
                            "binary cache '{uri}' has the priority '{value}', which is no number"
                        ))
                    })?);
                }
                _ => {}
            }
        }
        self.default_role(priority, want);
        Ok(())
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    pub(crate) fn config(&self) -> &CacheConfig {
        &self.config
    }

    pub(crate) fn logger(&self) -> &Logger {
        &self.logger
    }

    fn print(&self, path: &StorePath) -> String {
        self.dir.print(path)
    }

    /// What is known of the path with this hash part.
    fn lookup(&self, hash_part: &str, shown: &str) -> Result<Option<Known>> {
        match self.remembered(hash_part)? {
            Some(known) => Ok(known),
            None => self.ask(hash_part, shown),
        }
    }

    /// What this run or an earlier one has been told of a path; `None` if nothing.
    fn remembered(&self, hash_part: &str) -> Result<Option<Option<Known>>> {
        if let Some(known) = self.known.lock().get(hash_part) {
            return Ok(Some(known.clone()));
        }
        let found = match &self.disk {
            Some((disk, id)) => disk.narinfo(*id, hash_part)?,
            None => Remembered::Unknown,
        };
        let found = match found {
            Remembered::Present(narinfo) => Some(Known::new(narinfo)),
            Remembered::Absent => None,
            Remembered::Unknown => return Ok(None),
        };
        self.known.lock().insert(hash_part.to_owned(), found.clone());
        Ok(Some(found))
    }

    /// Asks the cache for what nothing is known of.
    fn ask(&self, hash_part: &str, shown: &str) -> Result<Option<Known>> {
        let narinfo = self.fetch_narinfo(hash_part, shown)?;
        // only what the cache really said is worth keeping
        if let Some((disk, id)) = &self.disk {
            disk.remember(*id, hash_part, narinfo.as_ref())?;
        }
        let found = narinfo.map(Known::new);
        self.known.lock().insert(hash_part.to_owned(), found.clone());
        Ok(found)
    }

    fn fetch_narinfo(&self, hash_part: &str, shown: &str) -> Result<Option<NarInfo>> {
        let uri = self.uri();
        let activity = self.logger.start(
            ActivityKind::QueryPathInfo,
            Level::Talkative,
            format!("querying info about '{shown}' on '{uri}'"),
            vec![Field::Text(shown.to_owned()), Field::Text(uri.clone())],
            0,
        );
        let file = format!("{hash_part}.narinfo");
        let Some(bytes) = self.transport.get(&file, activity.id())? else { return Ok(None) };
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::Format(format!("NAR info file '{file}' is corrupt: not UTF-8")))?;
        let narinfo = NarInfo::parse(&text, &self.dir, &file).map_err(Error::model)?;
        if narinfo.info.path.hash_part() != hash_part {
            return Err(Error::Format(format!(
                "NAR info file '{file}' of '{uri}' is about another path, '{}'",
                self.print(&narinfo.info.path)
            )));
        }
        Ok(Some(narinfo))
    }

    fn query(&self, path: &StorePath) -> Result<Option<Known>> {
        let known = self.lookup(path.hash_part(), &self.print(path))?;
        Ok(known.filter(|k| Self::is_about(k, path)))
    }

    fn is_about(known: &Known, path: &StorePath) -> bool {
        known.info.path == *path || path.name() == MISSING_NAME
    }

    fn require(&self, path: &StorePath) -> Result<Known> {
        self.query(path)?.ok_or_else(|| Error::InvalidPath { path: self.print(path) })
    }

    /// What is known of several paths, those that must be asked for at the same time.
    fn query_many(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeMap<StorePath, Known>> {
        let mut found = BTreeMap::new();
        let mut unknown: Vec<&StorePath> = Vec::new();
        for path in paths {
            match self.remembered(path.hash_part())? {
                Some(Some(known)) if Self::is_about(&known, path) => {
                    found.insert(path.clone(), known);
                }
                Some(_) => {}
                None => unknown.push(path),
            }
        }
        let next = AtomicUsize::new(0);
        let results: Mutex<(BTreeMap<StorePath, Known>, Option<Error>)> = Mutex::new((found, None));
        // whether there was one left
        let step = || {
            let Some(path) = unknown.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return false;
            };
            let answer = self.query(path);
            let mut results = results.lock();
            match answer {
                Ok(Some(known)) => {
                    results.0.insert((*path).clone(), known);
                }
                Ok(None) => {}
                Err(error) => {
                    results.1.get_or_insert(error);
                    next.store(unknown.len(), Ordering::Relaxed);
                }
            }
            true
        };
        std::thread::scope(|scope| {
            let mut threads = 1;
            loop {
                // the first answer may tell that the cache takes more at a time
                let left = unknown.len().saturating_sub(next.load(Ordering::Relaxed));
                while threads < self.transport.parallel().min(threads + left) {
                    scope.spawn(|| while step() {});
                    threads += 1;
                }
                if !step() {
                    break;
                }
            }
        });
        let (found, error) = results.into_inner();
        match error {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }

    pub(crate) fn write_narinfo(&self, narinfo: NarInfo) -> Result<()> {
        let part = narinfo.info.path.hash_part().to_owned();
        let text = narinfo.print(&self.dir);
        let body = Body::Bytes(text.as_bytes());
        self.transport.put(&format!("{part}.narinfo"), body, "text/x-nix-narinfo")?;
        if let Some((disk, id)) = &self.disk {
            disk.remember(*id, &part, Some(&narinfo))?;
        }
        self.known.lock().insert(part, Some(Known::new(narinfo)));
        Ok(())
    }

    /// The archive of a path, decompressed.
    fn archive(&self, known: &Known) -> Result<Box<dyn Read + Send>> {
        let narinfo = &known.narinfo;
        let method = Compression::parse(&narinfo.compression)?;
        match self.transport.open(&narinfo.url, 0)? {
            Some(source) => Ok(Box::new(Bounded {
                inner: method.decoder(source)?,
                left: known.info.nar_size,
                size: known.info.nar_size,
            })),
            None => Err(Error::Gone(format!(
                "file '{}' does not exist in binary cache '{}'",
                narinfo.url,
                self.uri()
            ))),
        }
    }

    fn realisation_file(id: &DrvOutput) -> String {
        format!("realisations/{id}.doi")
    }

    fn address(
        &self,
        name: &str,
        address: &ContentAddress,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath> {
        if address.method == Method::Text {
            return self.dir.make_text_path(name, &address.hash, references).map_err(Error::model);
        }
        let references = References { paths: references.clone(), self_reference: false };
        self.dir.make_fixed_output_path(name, address, &references).map_err(Error::model)
    }

    /// Adds contents whose hash is known, as a NAR.
    fn add_addressed(
        &self,
        name: &str,
        address: ContentAddress,
        references: &BTreeSet<StorePath>,
        nar: &mut dyn Read,
        repair: Repair,
    ) -> Result<StorePath> {
        let path = self.address(name, &address, references)?;
        if repair == Repair::No && self.is_valid(&path)? {
            return Ok(path);
        }
        let info = self.upload(nar, repair, |hash, size| {
            let mut info = PathInfo::new(path, hash, size);
            info.references.clone_from(references);
            info.ca = Some(address);
            Ok(info)
        })?;
        Ok(info.path)
    }
}

/// The NAR of a file with these contents.
fn nar_of_file(contents: &[u8]) -> Result<Vec<u8>> {
    let mut nar = Vec::with_capacity(contents.len() + 128);
    NarWriter::new(&mut nar)
        .map_err(|source| Error::Stream { action: "writing NAR", source })?
        .file(false, contents.len() as u64, &mut &*contents)
        .map_err(Error::model)?;
    Ok(nar)
}

/// Gives no more than an archive may have, so that a small file cannot fill a disk.
struct Bounded<R> {
    inner: R,
    left: u64,
    size: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(into)?;
        if got as u64 > self.left {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the archive is larger than the {} bytes that it should have", self.size),
            ));
        }
        self.left -= got as u64;
        Ok(got)
    }
}

/// Takes the contents of an archive that is one regular file.
struct OneFile(Vec<u8>);

impl NarVisitor for OneFile {
    type Error = firn_model::nar::Error;
    fn file(&mut self, _: bool, _: u64, contents: &mut Contents<'_>) -> Result<(), Self::Error> {
        contents.read_to_end(&mut self.0)?;
        Ok(())
    }
    fn symlink(&mut self, _: &[u8]) -> Result<(), Self::Error> {
        Err(not_a_file())
    }
    fn begin_directory(&mut self) -> Result<(), Self::Error> {
        Err(not_a_file())
    }
    fn begin_entry(&mut self, _: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
    fn end_entry(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn not_a_file() -> firn_model::nar::Error {
    firn_model::nar::Error::Bad("it is not a regular file".to_owned())
}

impl Store for BinaryCacheStore {
    fn store_dir(&self) -> &StoreDir {
        &self.dir
    }

    fn uri(&self) -> String {
        self.transport.uri()
    }

    fn refresh(&self) {
        self.known.lock().clear();
    }

    /// Whoever can write a folder is believed; a server does not say.
    fn trusts_client(&self) -> Option<bool> {
        (!self.transport.is_remote()).then_some(true)
    }

    fn substituter_role(&self) -> SubstituterRole {
        self.role
    }

    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>> {
        Ok(self.query(path)?.map(|known| known.info))
    }

    fn query_path_infos(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, Arc<PathInfo>>> {
        let known = self.query_many(paths)?;
        Ok(known.into_iter().map(|(path, known)| (path, known.info)).collect())
    }

    fn query_nar_info(&self, path: &StorePath) -> Result<Option<Arc<NarInfo>>> {
        Ok(self.query(path)?.map(|known| known.narinfo))
    }

    fn query_valid_paths(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>> {
        Ok(self.query_many(paths)?.into_keys().collect())
    }

    fn query_all_valid_paths(&self) -> Result<BTreeSet<StorePath>> {
        let Some(parts) = self.transport.hash_parts()? else {
            return Err(self.unsupported("queryAllValidPaths"));
        };
        let mut paths = BTreeSet::new();
        for part in parts {
            let shown = format!("{}/{part}-{MISSING_NAME}", self.dir.as_str());
            if let Some(known) = self.lookup(&part, &shown)? {
                paths.insert(known.info.path.clone());
            }
        }
        Ok(paths)
    }

    fn query_path_from_hash_part(&self, hash_part: &str) -> Result<Option<StorePath>> {
        if hash_part.len() != HASH_PART_LEN || hash_part.contains('/') {
            return Err(Error::Usage("invalid hash part".to_owned()));
        }
        let shown = format!("{}/{hash_part}-{MISSING_NAME}", self.dir.as_str());
        Ok(self.lookup(hash_part, &shown)?.map(|known| known.info.path.clone()))
    }

    fn query_referrers(&self, _: &StorePath) -> Result<BTreeSet<StorePath>> {
        Err(self.unsupported("queryReferrers"))
    }

    fn query_valid_derivers(&self, _: &StorePath) -> Result<BTreeSet<StorePath>> {
        Ok(BTreeSet::new())
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, Option<StorePath>>> {
        self.read_derivation(drv)?.output_paths(&self.dir).map_err(Error::model)
    }

    /// A level at a time, so that many are asked for at once.
    fn compute_closure(
        &self,
        start: &BTreeSet<StorePath>,
        options: firn_store::ClosureOptions,
    ) -> Result<BTreeSet<StorePath>> {
        if options != firn_store::ClosureOptions::default() {
            return firn_store::closure::compute_closure(self, start, options);
        }
        let mut closure = BTreeSet::new();
        let mut level = start.clone();
        while !level.is_empty() {
            let known = self.query_many(&level)?;
            let mut next = BTreeSet::new();
            for path in &level {
                let Some(known) = known.get(path) else {
                    return Err(Error::InvalidPath { path: self.print(path) });
                };
                next.extend(known.info.references.iter().cloned());
            }
            closure.append(&mut level);
            level = next.difference(&closure).cloned().collect();
        }
        Ok(closure)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        let hash = Hash::digest(HashAlgo::Sha256, contents);
        let address = ContentAddress { method: Method::Text, hash };
        let nar = nar_of_file(contents)?;
        self.add_addressed(name, address, references, &mut &nar[..], repair)
    }

    fn add_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        let failed = |source| Error::Stream { action: "writing a temporary file", source };
        if matches!(method, Method::Flat | Method::Text) {
            let contents = std::fs::read(source).map_err(|e| Error::Io {
                action: "opening file",
                path: source.to_owned(),
                source: e,
            })?;
            return self.add_dump(name, &mut &contents[..], method, algo, references, repair);
        }
        // a filter is asked once, so the archive has to wait somewhere
        let mut kept = tempfile::spooled_tempfile(32 * 1024 * 1024);
        dump_path_filtered(source, &mut kept, filter)?;
        io::Seek::rewind(&mut kept).map_err(failed)?;
        self.add_dump(name, &mut kept, method, algo, references, repair)
    }

    fn add_dump(
        &self,
        name: &str,
        source: &mut dyn Read,
        method: Method,
        algo: HashAlgo,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> Result<StorePath> {
        let failed = |source| Error::Stream { action: "reading contents", source };
        match method {
            Method::Flat | Method::Text => {
                let mut contents = Vec::new();
                source.read_to_end(&mut contents).map_err(failed)?;
                let address = ContentAddress { method, hash: Hash::digest(algo, &contents) };
                let nar = nar_of_file(&contents)?;
                self.add_addressed(name, address, references, &mut &nar[..], repair)
            }
            Method::Nar => {
                let mut kept = tempfile::spooled_tempfile(32 * 1024 * 1024);
                let mut hasher = Hasher::new(algo);
                let mut buffer = vec![0; 128 * 1024];
                loop {
                    let got = source.read(&mut buffer).map_err(failed)?;
                    if got == 0 {
                        break;
                    }
                    hasher.update(&buffer[..got]);
                    kept.write_all(&buffer[..got]).map_err(failed)?;
                }
                io::Seek::rewind(&mut kept).map_err(failed)?;
                let address = ContentAddress { method, hash: hasher.finish() };
                self.add_addressed(name, address, references, &mut kept, repair)
            }
            Method::Git => Err(self.unsupported("addToStoreFromDump")),
        }
    }

    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read, repair: Repair) -> Result<()> {
        if repair == Repair::No && self.is_valid(&info.path)? {
            return Ok(());
        }
        self.upload(nar, repair, |hash, size| {
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
            Ok(info.clone())
        })
        .map(drop)
    }

    fn nar_from_path(&self, path: &StorePath, sink: &mut dyn Write) -> Result<()> {
        let mut source = self.archive(&self.require(path)?)?;
        let failed = |source| Error::Stream { action: "reading from a binary cache", source };
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let got = source.read(&mut buffer).map_err(failed)?;
            if got == 0 {
                return Ok(());
            }
            sink.write_all(&buffer[..got])
                .map_err(|source| Error::Stream { action: "writing NAR", source })?;
        }
    }

    fn nar_reader(&self, path: &StorePath) -> Result<Option<Box<dyn Read + Send + '_>>> {
        Ok(Some(self.archive(&self.require(path)?)?))
    }

    fn nar_file(&self, path: &StorePath) -> Result<File> {
        let known = self.require(path)?;
        let Some(dir) = &self.config.local_nar_cache else {
            let mut file = tempfile::tempfile()
                .map_err(|source| Error::Stream { action: "making a temporary file", source })?;
            self.nar_from_path(path, &mut file)?;
            io::Seek::rewind(&mut file)
                .map_err(|source| Error::Stream { action: "reading a temporary file", source })?;
            return Ok(file);
        };
        let file = dir.join(format!("{}.nar", known.info.nar_hash.to_base32()));
        let failed = |action: &'static str| {
            let file = file.clone();
            move |source| Error::Io { action, path: file, source }
        };
        if !file.exists() {
            firn_store::fs::create_dirs(dir)?;
            let mut temporary = tempfile::Builder::new()
                .prefix(".tmp-")
                .tempfile_in(dir)
                .map_err(failed("creating file"))?;
            self.nar_from_path(path, &mut temporary)?;
            temporary.persist(&file).map_err(|e| failed("renaming to")(e.error))?;
        }
        File::open(&file).map_err(failed("opening file"))
    }

    fn register_valid(&self, _: &[PathInfo]) -> Result<()> {
        Err(self.unsupported("registerValidPaths"))
    }

    fn add_signatures(&self, path: &StorePath, signatures: &BTreeSet<Signature>) -> Result<()> {
        let mut narinfo = (*self.require(path)?.narinfo).clone();
        narinfo.info.signatures.extend(signatures.iter().cloned());
        self.write_narinfo(narinfo)
    }

    /// Nothing is collected here.
    fn add_temp_root(&self, _: &StorePath) -> Result<()> {
        Ok(())
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        let name = path.derivation_name().map_err(Error::model)?;
        let mut source = self.archive(&self.require(path)?)?;
        let mut file = OneFile(Vec::new());
        firn_model::nar::read(&mut source, &mut file).map_err(Error::model)?;
        Derivation::parse(name, &file.0, &self.dir)
            .map_err(|e| Error::InFile { path: self.print(path).into(), source: e.into() })
    }

    fn real_path(&self, path: &StorePath) -> PathBuf {
        self.print(path).into()
    }

    fn query_realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>> {
        if let Some((disk, cache)) = &self.disk {
            match disk.realisation(*cache, id)? {
                Remembered::Present(realisation) => return Ok(Some(realisation)),
                Remembered::Absent => return Ok(None),
                Remembered::Unknown => {}
            }
        }
        let file = Self::realisation_file(id);
        let found = match self.transport.get(&file, 0)? {
            None => None,
            Some(bytes) => {
                let bad = |e: &dyn std::fmt::Display| {
                    Error::Format(format!(
                        "while parsing file '{file}' as a realisation for key '{id}': {e}"
                    ))
                };
                let mut json: serde_json::Value =
                    serde_json::from_slice(&bytes).map_err(|e| bad(&e))?;
                if let Some(object) = json.as_object_mut() {
                    // what it is for is its name; what is inside need not repeat it
                    object.insert("id".to_owned(), id.to_string().into());
                }
                Some(Realisation::from_json(&json).map_err(|e| bad(&e))?)
            }
        };
        if let Some((disk, cache)) = &self.disk {
            disk.remember_realisation(*cache, id, found.as_ref())?;
        }
        Ok(found)
    }

    fn register_realisation(&self, realisation: &Realisation) -> Result<()> {
        let mut realisation = realisation.clone();
        for key in &self.config.secret_keys {
            realisation.sign(key);
        }
        let text = realisation.to_json().to_string();
        let file = Self::realisation_file(&realisation.id);
        self.transport.put(&file, Body::Bytes(text.as_bytes()), "application/json")?;
        if let Some((disk, cache)) = &self.disk {
            disk.remember_realisation(*cache, &realisation.id, Some(&realisation))?;
        }
        Ok(())
    }

    fn build_log(&self, drv: &StorePath) -> Result<Option<Vec<u8>>> {
        self.transport.get(&format!("log/{}", drv.base_name()), 0)
    }

    fn add_build_log(&self, drv: &StorePath, log: &[u8]) -> Result<()> {
        let file = format!("log/{}", drv.base_name());
        self.transport.put(&file, Body::Bytes(log), "text/plain; charset=utf-8")
    }
}
