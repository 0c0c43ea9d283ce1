//! [`RemoteStore`]: a [`Store`] whose questions and changes go to a daemon.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_event::Logger;
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::Derivation;
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::path_info::PathInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::Signature;
use firn_model::store_path::{References, StoreDir, StorePath};
use firn_store::error::Result as StoreResult;
use firn_store::fs::dump_path_filtered;
use firn_store::local::gc::{GcOptions, GcResults};
use firn_store::local::optimise::OptimiseStats;
use firn_store::local::roots::Roots;
use firn_store::local::verify::RepairHook;
use firn_store::local::{NewObject, NewSource, Prepared};
use firn_store::modulo::Modulos;
use firn_store::{NarSource, Repair, SourceFilter, Store, StoreLayout};
use parking_lot::Mutex;

use super::connection::{Connection, copy_nar};
use super::kept::Kept;
use super::pool::{Connect, Pool};
use crate::error::{Error, Result};
use crate::managed::{ClientOptions, ManagedStore as _};
use crate::protocol::{Codec, Op, Version};
use crate::wire::{WireRead, WireWrite as _};

/// How many paths' information is kept in memory.
const CACHE_SIZE: usize = 65_536;
/// Sources whose archive is larger are not kept in memory.
const KEPT: usize = 4 << 20;

/// How a remote store is reached and used.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// Its address, as messages name it.
    pub uri: String,
    /// The store's folder.
    pub store_dir: StoreDir,
    /// The directories of the store where its contents are on this machine too; then they are read directly, and
    /// links that are roots are made by this process.
    pub layout: Option<StoreLayout>,
    /// Whether the other side makes links that are roots: where it has the user's own rights.
    pub makes_roots: bool,
    /// How many connections there may be.
    pub max_connections: usize,
    /// What to tell the daemon about how things are to be done; nothing to leave that to it.
    pub client: Option<ClientOptions>,
    /// Where the daemon's messages go.
    pub logger: Logger,
}

/// A store at the other end of a connection.
pub struct RemoteStore {
    pub(super) pool: Pool,
    pub(super) options: RemoteOptions,
    client: Mutex<Option<ClientOptions>>,
    /// What is known of valid paths.
    cache: Mutex<HashMap<StorePath, Arc<PathInfo>>>,
    modulos: Modulos,
}

impl std::fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteStore").field("uri", &self.options.uri).finish_non_exhaustive()
    }
}

/// An answer that says nothing but that all went well.
pub(super) fn done(_: &Codec, r: &mut WireRead<'static>) -> Result<()> {
    r.number().map(drop)
}

/// Makes the function that turns an error of writing into one of the connection.
pub(super) fn sending(error: std::io::Error) -> Error {
    Error::io("writing to the daemon")(error)
}

impl RemoteStore {
    /// A store that `connect` reaches. Nothing is connected to before it is needed.
    #[must_use]
    pub fn new(connect: Box<dyn Connect>, options: RemoteOptions) -> Self {
        Self {
            pool: Pool::new(
                connect,
                options.store_dir.clone(),
                options.uri.clone(),
                options.max_connections,
                options.logger.clone(),
            ),
            client: Mutex::new(options.client.clone()),
            options,
            cache: Mutex::default(),
            modulos: Modulos::default(),
        }
    }

    /// Where the daemon's messages go.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.options.logger
    }

    /// The store's directories, where its contents are on this machine.
    #[must_use]
    pub fn layout(&self) -> Option<&StoreLayout> {
        self.options.layout.as_ref()
    }

    /// Connects, if there is no connection yet.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn connect(&self) -> Result<()> {
        self.with(|_| Ok(()))
    }

    /// The version of the protocol that is spoken.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn protocol(&self) -> Result<Version> {
        self.with(|connection| Ok(connection.version()))
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        self.pool.with(|connection| self.prepare(connection), work)
    }

    /// A request and its answer.
    pub(super) fn ask<T>(
        &self,
        op: Op,
        ask: impl FnOnce(&Codec, &mut dyn Write) -> Result<()>,
        answer: impl FnOnce(&Codec, &mut WireRead<'static>) -> Result<T>,
    ) -> Result<T> {
        self.with(|connection| connection.request(op, ask, answer))
    }

    /// A request about one path.
    pub(super) fn ask_path<T>(
        &self,
        op: Op,
        path: &StorePath,
        answer: impl FnOnce(&Codec, &mut WireRead<'static>) -> Result<T>,
    ) -> Result<T> {
        self.ask(op, |codec, w| codec.put_path(w, path).map_err(sending), answer)
    }

    fn prepare(&self, connection: &mut Connection) -> Result<()> {
        let Some(client) = self.client.lock().clone() else { return Ok(()) };
        connection.request(
            Op::SetOptions,
            |_, w| {
                let verbose = if client.verbose_build { 0 } else { 7 };
                for number in [
                    u64::from(client.keep_failed),
                    u64::from(client.keep_going),
                    u64::from(client.fallback),
                    client.verbosity as u64,
                    client.max_jobs.min(u64::from(u32::MAX)),
                    client.max_silent_time,
                    // to use the build hook, which is no longer asked
                    1,
                    verbose,
                    0,
                    0,
                    client.cores.min(u64::from(u32::MAX)),
                    u64::from(client.substitute),
                    client.overrides.len() as u64,
                ] {
                    w.number(number).map_err(sending)?;
                }
                for (name, value) in &client.overrides {
                    w.text(name).and_then(|()| w.text(value)).map_err(sending)?;
                }
                Ok(())
            },
            |_, _| Ok(()),
        )
    }

    /// Uses these options for connections from now on.
    pub(super) fn replace_options(&self, client: &ClientOptions) {
        let mut current = self.client.lock();
        if current.is_some() && current.as_ref() != Some(client) {
            *current = Some(client.clone());
            drop(current);
            self.pool.renew();
        }
    }

    pub(super) fn forget_all(&self) {
        self.cache.lock().clear();
    }

    fn remember(&self, info: PathInfo) -> Arc<PathInfo> {
        let info = Arc::new(info);
        let mut cache = self.cache.lock();
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(info.path.clone(), Arc::clone(&info));
        info
    }

    fn cached(&self, path: &StorePath) -> Option<Arc<PathInfo>> {
        self.cache.lock().get(path).cloned()
    }

    /// Sends contents that become a content-addressed path. `write` writes the file's bytes or the NAR.
    fn add_contents(
        &self,
        name: &str,
        how: (Method, HashAlgo),
        references: &BTreeSet<StorePath>,
        repair: Repair,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<StorePath> {
        if self.protocol()? < Version(25) {
            return self.add_contents_to_old(name, how, references, repair, write);
        }
        // what is sent may come from this very store
        let _extra = self.pool.extra();
        let info = self.with(|connection| {
            connection.request_framed(
                Op::AddToStore,
                |codec, w| {
                    w.text(name).map_err(sending)?;
                    codec.put_hashing(w, how).map_err(sending)?;
                    codec.put_paths(w, references).map_err(sending)?;
                    w.bool(repair == Repair::Yes).map_err(sending)
                },
                write,
                |codec, r| {
                    let path = codec.path(r)?;
                    codec.path_info(r, path)
                },
            )
        })?;
        Ok(self.remember(info).path.clone())
    }

    fn add_contents_to_old(
        &self,
        name: &str,
        (method, algo): (Method, HashAlgo),
        references: &BTreeSet<StorePath>,
        repair: Repair,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<StorePath> {
        if repair == Repair::Yes {
            return Err(Error::Refused(
                "repairing is not supported when building through the Nix daemon protocol < 1.25"
                    .into(),
            ));
        }
        let mut contents = Vec::new();
        write(&mut contents)?;
        if method == Method::Text {
            if algo != HashAlgo::Sha256 {
                return Err(Error::Refused(format!(
                    "When adding text-hashed data called '{name}', only SHA-256 is supported but '{algo}' was given"
                )));
            }
            return self.ask(
                Op::AddTextToStore,
                |codec, w| {
                    w.text(name).and_then(|()| w.bytes(&contents)).map_err(sending)?;
                    codec.put_paths(w, references).map_err(sending)
                },
                Codec::path,
            );
        }
        let recursive = method == Method::Nar;
        if method == Method::Git || !references.is_empty() {
            return Err(Error::Refused(format!(
                "the daemon is too old to be given '{name}', which has references or is hashed as Git does"
            )));
        }
        self.ask(
            Op::AddToStore,
            |_, w| {
                let plain = recursive && algo == HashAlgo::Sha256;
                w.text(name)
                    .and_then(|()| w.bool(!plain))
                    .and_then(|()| w.bool(recursive))
                    .and_then(|()| w.text(algo.as_str()))
                    .map_err(sending)?;
                if recursive {
                    return w.write_all(&contents).map_err(sending);
                }
                firn_model::nar::NarWriter::new(w)
                    .map_err(sending)?
                    .file(false, contents.len() as u64, &mut &*contents)
                    .map_err(Error::model)
            },
            Codec::path,
        )
    }

    /// The path of a source with this hash.
    fn address(
        &self,
        name: &str,
        method: Method,
        hash: Hash,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath> {
        let references = References { paths: references.clone(), self_reference: false };
        self.options
            .store_dir
            .make_fixed_output_path(name, &ContentAddress { method, hash }, &references)
            .map_err(Error::model)
    }

    /// The path that contents with this hash have, if it is valid; then nothing need be sent.
    fn have(
        &self,
        name: &str,
        method: Method,
        hash: Hash,
        references: &BTreeSet<StorePath>,
    ) -> Result<Option<StorePath>> {
        let path = self.address(name, method, hash, references)?;
        if !self.ask_path(Op::IsValidPath, &path, |_, r| r.bool())? {
            return Ok(None);
        }
        self.ask_path(Op::AddTempRoot, &path, done)?;
        Ok(Some(path))
    }

    /// Adds those objects that are not valid yet, in their order.
    fn send_objects(&self, objects: &[NewObject]) -> Result<()> {
        let paths = objects.iter().map(|new| new.path().clone()).collect();
        let mut seen = self.query_valid(&paths, false)?;
        for path in &seen {
            self.ask_path(Op::AddTempRoot, path, done)?;
        }
        let mut infos = Vec::new();
        let mut contents: HashMap<StorePath, Cow<'_, [u8]>> = HashMap::new();
        for new in objects {
            if !seen.insert(new.path().clone()) {
                continue;
            }
            let new = match new {
                NewObject::Text(new) => new,
                NewObject::Source(new) => {
                    contents.insert(new.path.clone(), Cow::Borrowed(&new.nar));
                    infos.push(new.info());
                    continue;
                }
            };
            let mut nar = Vec::new();
            firn_model::nar::NarWriter::new(&mut nar)
                .map_err(sending)?
                .file(false, new.contents.len() as u64, &mut &*new.contents)
                .map_err(Error::model)?;
            let hash = Hash::digest(HashAlgo::Sha256, &nar);
            let mut info = PathInfo::new(new.path.clone(), hash, nar.len() as u64);
            info.references.clone_from(&new.references);
            info.ca = Some(ContentAddress { method: Method::Text, hash: new.hash });
            contents.insert(new.path.clone(), Cow::Owned(nar));
            infos.push(info);
        }
        let nars = |info: &PathInfo, sink: &mut dyn Write| match contents.get(&info.path) {
            Some(nar) => sink.write_all(nar).map_err(|source| firn_store::Error::Stream {
                action: "writing an object",
                source,
            }),
            None => Ok(()),
        };
        self.add_multiple(&infos, &nars, Repair::No, true)
    }

    /// The contents of a path that is one regular file.
    fn read_file(&self, path: &StorePath) -> Result<Vec<u8>> {
        let mut nar = Vec::new();
        self.nar_to(path, &mut nar)?;
        super::only_file(&nar)
    }

    fn nar_to(&self, path: &StorePath, sink: &mut dyn Write) -> Result<()> {
        // the source of the stream may be what another request's stream needs
        self.with(|connection| {
            connection.request(
                Op::NarFromPath,
                |codec, w| codec.put_path(w, path).map_err(sending),
                |_, r| copy_nar(r.raw(), sink),
            )
        })
    }

    /// Where contents are read directly.
    fn local_path(&self, path: &StorePath) -> Option<PathBuf> {
        let layout = self.options.layout.as_ref()?;
        Some(layout.real_path(path))
    }
}

impl Store for RemoteStore {
    fn store_dir(&self) -> &StoreDir {
        &self.options.store_dir
    }

    fn uri(&self) -> String {
        self.options.uri.clone()
    }

    fn program_version(&self) -> Option<String> {
        self.with(|connection| Ok(connection.daemon_version().map(str::to_owned))).ok()?
    }

    fn trusts_client(&self) -> Option<bool> {
        self.with(|connection| Ok(connection.trusted())).ok()?
    }

    fn query_path_info(&self, path: &StorePath) -> StoreResult<Option<Arc<PathInfo>>> {
        if let Some(info) = self.cached(path) {
            return Ok(Some(info));
        }
        let info = self.ask_path(Op::QueryPathInfo, path, |codec, r| {
            if !r.bool()? {
                return Ok(None);
            }
            codec.path_info(r, path.clone()).map(Some)
        })?;
        Ok(info.map(|info| self.remember(info)))
    }

    fn is_valid(&self, path: &StorePath) -> StoreResult<bool> {
        if self.cached(path).is_some() {
            return Ok(true);
        }
        Ok(self.ask_path(Op::IsValidPath, path, |_, r| r.bool())?)
    }

    fn query_valid_paths(&self, paths: &BTreeSet<StorePath>) -> StoreResult<BTreeSet<StorePath>> {
        Ok(self.query_valid(paths, false)?)
    }

    fn query_all_valid_paths(&self) -> StoreResult<BTreeSet<StorePath>> {
        Ok(self.ask(Op::QueryAllValidPaths, |_, _| Ok(()), Codec::paths)?)
    }

    fn query_path_from_hash_part(&self, hash_part: &str) -> StoreResult<Option<StorePath>> {
        Ok(self.ask(
            Op::QueryPathFromHashPart,
            |_, w| w.text(hash_part).map_err(sending),
            Codec::optional_path,
        )?)
    }

    fn query_referrers(&self, path: &StorePath) -> StoreResult<BTreeSet<StorePath>> {
        Ok(self.ask_path(Op::QueryReferrers, path, Codec::paths)?)
    }

    fn query_valid_derivers(&self, path: &StorePath) -> StoreResult<BTreeSet<StorePath>> {
        Ok(self.ask_path(Op::QueryValidDerivers, path, Codec::paths)?)
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> StoreResult<BTreeMap<String, Option<StorePath>>> {
        if self.protocol()? < Version(22) {
            let parsed = self.read_derivation(drv)?;
            return parsed.output_paths(self.store_dir()).map_err(firn_store::Error::model);
        }
        Ok(self.ask_path(Op::QueryDerivationOutputMap, drv, |codec, r| {
            r.list(|r| {
                let name = r.text()?;
                Ok((name, codec.optional_path(r)?))
            })
        })?)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> StoreResult<StorePath> {
        if repair == Repair::No {
            let hash = Hash::digest(HashAlgo::Sha256, contents);
            if let Some(path) = self.have(name, Method::Text, hash, references)? {
                return Ok(path);
            }
        }
        let how = (Method::Text, HashAlgo::Sha256);
        let mut write = |sink: &mut dyn Write| sink.write_all(contents).map_err(sending);
        Ok(self.add_contents(name, how, references, repair, &mut write)?)
    }

    fn add_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        mut filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> StoreResult<StorePath> {
        let mut write = |sink: &mut dyn Write| -> Result<()> {
            match method {
                Method::Flat | Method::Text => {
                    let open = |e| {
                        Error::Refused(format!(
                            "opening file '{}': {}",
                            source.display(),
                            firn_store::error::errno_text(&e)
                        ))
                    };
                    let mut file = std::fs::File::open(source).map_err(open)?;
                    std::io::copy(&mut file, sink).map_err(Error::io("copying a file"))?;
                }
                Method::Nar | Method::Git => {
                    let filter: Option<&mut SourceFilter<'_>> = match &mut filter {
                        Some(filter) => Some(&mut **filter),
                        None => None,
                    };
                    dump_path_filtered(source, sink, filter)?;
                }
            }
            Ok(())
        };
        // hashing what is there already is cheaper than sending it
        if repair == Repair::No && method != Method::Git {
            let mut hasher = Hasher::new(algo);
            write(&mut hasher)?;
            if let Some(path) = self.have(name, method, hasher.finish(), references)? {
                return Ok(path);
            }
        }
        Ok(self.add_contents(name, (method, algo), references, repair, &mut write)?)
    }

    /// What fits into memory is not sent yet: many small sources go in one request, and what the daemon has is asked
    /// for all of them together.
    fn prepare_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
    ) -> StoreResult<Prepared> {
        if method != Method::Nar {
            let path = self.add_path(name, source, method, algo, filter, references, Repair::No)?;
            return Ok(Prepared::Added(path));
        }
        let mut filter = filter;
        let mut dump = |sink: &mut dyn Write| -> Result<()> {
            let filter: Option<&mut SourceFilter<'_>> = match &mut filter {
                Some(filter) => Some(&mut **filter),
                None => None,
            };
            Ok(dump_path_filtered(source, sink, filter)?)
        };
        let mut kept = Kept::new(algo, KEPT);
        dump(&mut kept)?;
        let (hash, nar) = kept.finish();
        if let Some(nar) = nar {
            let path = self.address(name, method, hash, references)?;
            let nar_hash = match algo {
                HashAlgo::Sha256 => hash,
                _ => Hash::digest(HashAlgo::Sha256, &nar),
            };
            let ca = ContentAddress { method, hash };
            let references = references.clone();
            return Ok(Prepared::Later(NewSource { path, nar, nar_hash, ca, references }));
        }
        let path = match self.have(name, method, hash, references)? {
            Some(path) => path,
            None => self.add_contents(name, (method, algo), references, Repair::No, &mut dump)?,
        };
        Ok(Prepared::Added(path))
    }

    fn add_dump(
        &self,
        name: &str,
        source: &mut dyn Read,
        method: Method,
        algo: HashAlgo,
        references: &BTreeSet<StorePath>,
        repair: Repair,
    ) -> StoreResult<StorePath> {
        let mut write = |sink: &mut dyn Write| {
            std::io::copy(source, sink).map(drop).map_err(Error::io("copying a stream"))
        };
        Ok(self.add_contents(name, (method, algo), references, repair, &mut write)?)
    }

    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read, repair: Repair) -> StoreResult<()> {
        Ok(self.send_nar(info, nar, repair, false)?)
    }

    /// One stream for all saves as many answers from far away; what is near takes several streams at a time.
    fn add_many(
        &self,
        infos: &[PathInfo],
        nars: &NarSource<'_>,
        repair: Repair,
    ) -> StoreResult<bool> {
        if self.options.layout.is_some() || self.protocol()? < Version(32) {
            return Ok(false);
        }
        self.add_multiple(infos, nars, repair, false)?;
        Ok(true)
    }

    fn nar_from_path(&self, path: &StorePath, sink: &mut dyn Write) -> StoreResult<()> {
        if let Some(real) = self.local_path(path) {
            self.path_info(path)?;
            return firn_store::fs::dump_path(&real, sink);
        }
        Ok(self.nar_to(path, sink)?)
    }

    fn register_valid(&self, _infos: &[PathInfo]) -> StoreResult<()> {
        Err(self.unsupported("registerValidPaths"))
    }

    fn add_signatures(
        &self,
        path: &StorePath,
        signatures: &BTreeSet<Signature>,
    ) -> StoreResult<()> {
        self.ask(
            Op::AddSignatures,
            |codec, w| {
                codec.put_path(w, path).map_err(sending)?;
                codec.put_signatures(w, signatures).map_err(sending)
            },
            done,
        )?;
        self.cache.lock().remove(path);
        Ok(())
    }

    fn add_temp_root(&self, path: &StorePath) -> StoreResult<()> {
        Ok(self.ask_path(Op::AddTempRoot, path, done)?)
    }

    fn read_derivation(&self, path: &StorePath) -> StoreResult<Derivation> {
        let name = path.derivation_name().map_err(firn_store::Error::model)?;
        let real = self.local_path(path);
        let text = match &real {
            Some(real) => std::fs::read(real).map_err(|source| firn_store::Error::Io {
                action: "opening file",
                path: real.clone(),
                source,
            })?,
            None => self.read_file(path)?,
        };
        Derivation::parse(name, &text, &self.options.store_dir).map_err(|e| {
            let path = real.unwrap_or_else(|| self.options.store_dir.print(path).into());
            firn_store::Error::InFile { path, source: e.into() }
        })
    }

    fn real_path(&self, path: &StorePath) -> PathBuf {
        self.local_path(path).unwrap_or_else(|| self.options.store_dir.print(path).into())
    }

    fn query_realisation(&self, id: &DrvOutput) -> StoreResult<Option<Realisation>> {
        if self.protocol()? < Version(27) {
            self.logger().warn(
                "the daemon is too old to support content-addressing derivations, please upgrade it to 2.4",
            );
            return Ok(None);
        }
        Ok(self.ask(
            Op::QueryRealisation,
            |_, w| w.text(&id.to_string()).map_err(sending),
            |codec, r| {
                if codec.version < Version(31) {
                    let paths = codec.paths(r)?;
                    return Ok(paths
                        .into_iter()
                        .next()
                        .map(|path| Realisation::new(id.clone(), path)));
                }
                let found: Vec<Realisation> = r.list(|r| codec.realisation(r))?;
                Ok(found.into_iter().next())
            },
        )?)
    }

    fn register_realisation(&self, realisation: &Realisation) -> StoreResult<()> {
        Ok(self.ask(
            Op::RegisterDrvOutput,
            |codec, w| {
                if codec.version < Version(31) {
                    w.text(&realisation.id.to_string())
                        .and_then(|()| w.text(realisation.out_path.base_name()))
                } else {
                    codec.put_realisation(w, realisation)
                }
                .map_err(sending)
            },
            |_, _| Ok(()),
        )?)
    }

    fn build_log(&self, drv: &StorePath) -> StoreResult<Option<Vec<u8>>> {
        match &self.options.layout {
            Some(layout) => firn_store::local::read_build_log(layout, drv),
            None => Err(self.unsupported("getBuildLogExact")),
        }
    }

    fn fill_output_paths(&self, drv: &mut Derivation) -> StoreResult<()> {
        self.modulos.fill_output_paths(self, drv)
    }

    fn output_ids(&self, drv: &Derivation) -> StoreResult<BTreeMap<String, DrvOutput>> {
        self.modulos.output_ids(self, drv)
    }

    /// All in one request, where the daemon has that.
    fn add_objects(&self, objects: &[NewObject]) -> StoreResult<()> {
        Ok(self.send_objects(objects)?)
    }

    fn add_build_log(&self, drv: &StorePath, log: &[u8]) -> StoreResult<()> {
        Ok(self.send_log(drv, log)?)
    }

    fn add_indirect_root(&self, root: &Path) -> StoreResult<()> {
        Ok(self.ask(
            Op::AddIndirectRoot,
            |_, w| w.text(&root.to_string_lossy()).map_err(sending),
            done,
        )?)
    }

    /// The link is made by this process unless the other side has the same rights, for a daemon may write where its
    /// user may not.
    fn add_perm_root(&self, path: &StorePath, root: &Path) -> StoreResult<PathBuf> {
        if self.options.makes_roots {
            return Ok(self.ask_for_root(path, root)?);
        }
        firn_store::store::add_perm_root(self, path, root)
    }

    fn find_roots(&self) -> StoreResult<Roots> {
        Ok(self.ask_for_roots()?)
    }

    fn collect_garbage_into(
        &self,
        options: &GcOptions,
        results: &mut GcResults,
    ) -> StoreResult<()> {
        *results = self.ask_to_collect(options)?;
        Ok(())
    }

    fn optimise(&self) -> StoreResult<OptimiseStats> {
        self.ask(Op::OptimiseStore, |_, _| Ok(()), done)?;
        Ok(OptimiseStats::default())
    }

    /// The daemon repairs by itself.
    fn verify(
        &self,
        check_contents: bool,
        repair: Option<&mut RepairHook<'_>>,
    ) -> StoreResult<bool> {
        let repair = if repair.is_some() { Repair::Yes } else { Repair::No };
        Ok(self.ask_to_verify(check_contents, repair)?)
    }
}
