//! [`ServeStore`]: a store at the other end of a serve connection.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_build::{
    BuildError, BuildOptions, BuildResult, BuildResults, BuildStatus, BuildStore, DerivedPath,
    Missing,
};
use firn_event::Logger;
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::Derivation;
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_model::nar::NarWriter;
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::signature::Signature;
use firn_model::store_path::{References, StoreDir, StorePath};
use firn_store::error::Result as StoreResult;
use firn_store::fs::dump_path_filtered;
use firn_store::modulo::Modulos;
use firn_store::{ClosureOptions, Repair, SourceFilter, Store};
use parking_lot::Mutex;

use super::codec::{BuildSettings, ServeCodec};
use super::connection::{ServeConnection, sending};
use super::{Command, Version};
use crate::client::connection::copy_nar;
use crate::client::{Connect, Pool, as_build_results};
use crate::error::{Error, Result};
use crate::managed::{ClientOptions, ManagedStore, SubstitutableInfo};
use crate::protocol::{self, BuildMode, Codec, KeyedResult};
use crate::wire::WireWrite as _;

/// The version of the worker protocol in which information about paths is written where one is added.
const WHOLE_INFO: protocol::Version = protocol::Version(16);

/// What contents that are made into a NAR are kept in memory up to, in bytes.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// How the store is reached and used.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Its address, as messages name it.
    pub uri: String,
    /// Its host, for errors.
    pub host: String,
    /// The store's folder.
    pub store_dir: StoreDir,
    /// How many connections there may be.
    pub max_connections: usize,
    /// How builds are to be done.
    pub build: BuildSettings,
    /// Where messages go.
    pub logger: Logger,
}

/// A store at the other end of a serve connection.
pub struct ServeStore {
    pool: Pool<ServeConnection>,
    options: ServeOptions,
    build: Mutex<BuildSettings>,
    modulos: Modulos,
}

impl std::fmt::Debug for ServeStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeStore").field("uri", &self.options.uri).finish_non_exhaustive()
    }
}

impl ServeStore {
    /// A store that `connect` reaches. Nothing is connected to before it is needed.
    #[must_use]
    pub fn new(connect: Box<dyn Connect>, options: ServeOptions) -> Self {
        Self {
            pool: Pool::new(
                connect,
                options.store_dir.clone(),
                options.uri.clone(),
                options.max_connections,
                options.logger.clone(),
            ),
            build: Mutex::new(options.build),
            options,
            modulos: Modulos::default(),
        }
    }

    /// Connects, if there is no connection yet.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn connect(&self) -> Result<()> {
        self.with(|_| Ok(()))
    }

    fn with<T>(&self, work: impl FnOnce(&mut ServeConnection) -> Result<T>) -> Result<T> {
        self.pool.with(|_| Ok(()), work).map_err(|e| match e {
            Error::Disconnected(text) => {
                Error::Disconnected(format!("cannot connect to '{}': {text}", self.options.host))
            }
            other => other,
        })
    }

    fn settings(&self) -> BuildSettings {
        *self.build.lock()
    }

    fn send_nar(&self, info: &PathInfo, nar: &mut dyn Read) -> Result<()> {
        let done = self.with(|connection| {
            if connection.codec.version < Version(5) {
                return import(connection, info, nar);
            }
            connection.request(
                Command::AddToStoreNar,
                |codec, w| {
                    let codec = Codec::new(codec.common.dir.clone(), WHOLE_INFO);
                    codec.put_path(w, &info.path).map_err(sending)?;
                    codec.put_path_info(w, info).map_err(sending)?;
                    std::io::copy(nar, w).map(drop).map_err(Error::io("copying a NAR"))
                },
                |_, r| r.number(),
            )
        })?;
        if done != 1 {
            return Err(Error::Refused(format!(
                "failed to add path '{}' to remote host '{}'",
                self.options.store_dir.print(&info.path),
                self.options.host
            )));
        }
        Ok(())
    }

    /// Adds contents by computing here what the other side cannot. `write` writes the file's bytes or the NAR, as
    /// often as it is asked to.
    fn add_contents(
        &self,
        name: &str,
        (method, algo): (Method, HashAlgo),
        references: &BTreeSet<StorePath>,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<StorePath> {
        let mut kept = tempfile::spooled_tempfile(IN_MEMORY);
        let mut content = Hasher::new(algo);
        write(&mut firn_store::references::Tee(&mut content, &mut kept))?;
        let size = content.len();
        let rewind = |kept: &mut tempfile::SpooledTempFile| {
            kept.rewind().map_err(Error::io("reading a temporary file"))
        };
        rewind(&mut kept)?;
        let mut nar = match method {
            Method::Nar => kept,
            Method::Git => return Err(Error::Store(self.unsupported("addToStore (git)"))),
            Method::Flat | Method::Text => {
                let mut nar = tempfile::spooled_tempfile(IN_MEMORY);
                NarWriter::new(&mut nar)
                    .map_err(sending)?
                    .file(false, size, &mut kept)
                    .map_err(Error::model)?;
                rewind(&mut nar)?;
                nar
            }
        };
        let mut hasher = Hasher::new(HashAlgo::Sha256);
        std::io::copy(&mut nar, &mut hasher).map_err(Error::io("hashing"))?;
        rewind(&mut nar)?;
        let nar_size = hasher.len();
        let ca = ContentAddress { method, hash: content.finish() };
        let split = References { paths: references.clone(), self_reference: false };
        let path =
            self.store_dir().make_fixed_output_path(name, &ca, &split).map_err(Error::model)?;
        if self.is_valid(&path)? {
            return Ok(path);
        }
        let mut info = PathInfo::new(path, hasher.finish(), nar_size);
        info.references.clone_from(references);
        info.ca = Some(ca);
        self.send_nar(&info, &mut nar)?;
        Ok(info.path)
    }
}

/// Adds a path in the way of old versions.
fn import(connection: &mut ServeConnection, info: &PathInfo, nar: &mut dyn Read) -> Result<u64> {
    connection.request(
        Command::ImportPaths,
        |codec, w| {
            let codec = &codec.common;
            let mut write = || -> std::io::Result<()> {
                w.number(1)?;
                std::io::copy(nar, w)?;
                w.number(firn_store::export::MAGIC)?;
                codec.put_path(w, &info.path)?;
                codec.put_paths(w, &info.references)?;
                codec.put_optional_path(w, info.deriver.as_ref())?;
                w.number(0)?;
                w.number(0)
            };
            write().map_err(sending)
        },
        |_, r| r.number(),
    )
}

impl Store for ServeStore {
    fn store_dir(&self) -> &StoreDir {
        &self.options.store_dir
    }

    fn uri(&self) -> String {
        self.options.uri.clone()
    }

    fn query_path_info(&self, path: &StorePath) -> StoreResult<Option<Arc<PathInfo>>> {
        Ok(self.with(|connection| {
            connection.request(
                Command::QueryPathInfos,
                |codec, w| codec.common.put_paths(w, [path]).map_err(sending),
                |codec, r| {
                    let mut found = None;
                    while let Some(next) = codec.common.optional_path(r)? {
                        let info = codec.path_info(r, next)?;
                        if info.path != *path {
                            return Err(Error::protocol("More path infos returned than queried"));
                        }
                        found = Some(Arc::new(info));
                    }
                    Ok(found)
                },
            )
        })?)
    }

    fn is_valid(&self, path: &StorePath) -> StoreResult<bool> {
        Ok(!self.query_valid(&[path.clone()].into(), false)?.is_empty())
    }

    fn query_valid_paths(&self, paths: &BTreeSet<StorePath>) -> StoreResult<BTreeSet<StorePath>> {
        Ok(self.query_valid(paths, false)?)
    }

    fn query_all_valid_paths(&self) -> StoreResult<BTreeSet<StorePath>> {
        Err(self.unsupported("queryAllValidPaths"))
    }

    fn query_path_from_hash_part(&self, _hash_part: &str) -> StoreResult<Option<StorePath>> {
        Err(self.unsupported("queryPathFromHashPart"))
    }

    fn query_referrers(&self, _path: &StorePath) -> StoreResult<BTreeSet<StorePath>> {
        Err(self.unsupported("queryReferrers"))
    }

    fn query_valid_derivers(&self, _path: &StorePath) -> StoreResult<BTreeSet<StorePath>> {
        Ok(BTreeSet::new())
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> StoreResult<BTreeMap<String, Option<StorePath>>> {
        let parsed = self.read_derivation(drv)?;
        parsed.output_paths(self.store_dir()).map_err(firn_store::Error::model)
    }

    fn compute_closure(
        &self,
        start: &BTreeSet<StorePath>,
        options: ClosureOptions,
    ) -> StoreResult<BTreeSet<StorePath>> {
        if options.flip || options.include_derivers {
            return Err(self.unsupported("queryReferrers"));
        }
        Ok(self.with(|connection| {
            connection.request(
                Command::QueryClosure,
                |codec, w| {
                    w.bool(options.include_outputs).map_err(sending)?;
                    codec.common.put_paths(w, start).map_err(sending)
                },
                |codec, r| codec.common.paths(r),
            )
        })?)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        _repair: Repair,
    ) -> StoreResult<StorePath> {
        let how = (Method::Text, HashAlgo::Sha256);
        let mut write = |sink: &mut dyn Write| sink.write_all(contents).map_err(sending);
        Ok(self.add_contents(name, how, references, &mut write)?)
    }

    fn add_path(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
        mut filter: Option<&mut SourceFilter<'_>>,
        references: &BTreeSet<StorePath>,
        _repair: Repair,
    ) -> StoreResult<StorePath> {
        let mut write = |sink: &mut dyn Write| -> Result<()> {
            if matches!(method, Method::Flat | Method::Text) {
                let mut file = std::fs::File::open(source).map_err(|source_error| {
                    Error::Store(firn_store::Error::Io {
                        action: "opening file",
                        path: source.to_owned(),
                        source: source_error,
                    })
                })?;
                std::io::copy(&mut file, sink).map_err(Error::io("copying a file"))?;
                return Ok(());
            }
            let filter: Option<&mut SourceFilter<'_>> = match &mut filter {
                Some(filter) => Some(&mut **filter),
                None => None,
            };
            Ok(dump_path_filtered(source, sink, filter)?)
        };
        Ok(self.add_contents(name, (method, algo), references, &mut write)?)
    }

    fn add_dump(
        &self,
        name: &str,
        source: &mut dyn Read,
        method: Method,
        algo: HashAlgo,
        references: &BTreeSet<StorePath>,
        _repair: Repair,
    ) -> StoreResult<StorePath> {
        let mut write = |sink: &mut dyn Write| {
            std::io::copy(source, sink).map(drop).map_err(Error::io("copying a stream"))
        };
        Ok(self.add_contents(name, (method, algo), references, &mut write)?)
    }

    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read, _repair: Repair) -> StoreResult<()> {
        Ok(self.send_nar(info, nar)?)
    }

    fn nar_from_path(&self, path: &StorePath, sink: &mut dyn Write) -> StoreResult<()> {
        Ok(self.with(|connection| {
            connection.request(
                Command::DumpStorePath,
                |codec, w| codec.common.put_path(w, path).map_err(sending),
                |_, r| copy_nar(r.raw(), sink),
            )
        })?)
    }

    fn register_valid(&self, _infos: &[PathInfo]) -> StoreResult<()> {
        Err(self.unsupported("registerValidPaths"))
    }

    fn add_signatures(
        &self,
        _path: &StorePath,
        _signatures: &BTreeSet<Signature>,
    ) -> StoreResult<()> {
        Err(self.unsupported("addSignatures"))
    }

    /// The other side keeps what it is asked about while the connection lasts.
    fn add_temp_root(&self, path: &StorePath) -> StoreResult<()> {
        self.with(|connection| {
            connection.request(
                Command::QueryValidPaths,
                |codec, w| {
                    w.bool(true).and_then(|()| w.bool(false)).map_err(sending)?;
                    codec.common.put_paths(w, [path]).map_err(sending)
                },
                |codec, r| codec.common.paths(r),
            )
        })?;
        Ok(())
    }

    fn read_derivation(&self, path: &StorePath) -> StoreResult<Derivation> {
        let name = path.derivation_name().map_err(firn_store::Error::model)?;
        let mut nar = Vec::new();
        self.nar_from_path(path, &mut nar)?;
        let text = crate::client::only_file(&nar)?;
        Derivation::parse(name, &text, self.store_dir()).map_err(|e| firn_store::Error::InFile {
            path: self.store_dir().print(path).into(),
            source: e.into(),
        })
    }

    fn fill_output_paths(&self, drv: &mut Derivation) -> StoreResult<()> {
        self.modulos.fill_output_paths(self, drv)
    }

    fn real_path(&self, path: &StorePath) -> PathBuf {
        self.store_dir().print(path).into()
    }

    fn build_log(&self, _drv: &StorePath) -> StoreResult<Option<Vec<u8>>> {
        Err(self.unsupported("getBuildLogExact"))
    }

    fn check_path(&self, path: &StorePath) -> StoreResult<Option<Hash>> {
        let info = self.path_info(path)?;
        let mut hasher = Hasher::new(info.nar_hash.algo());
        self.nar_from_path(path, &mut hasher)?;
        let hash = hasher.finish();
        Ok((hash != info.nar_hash).then_some(hash))
    }
}

impl ManagedStore for ServeStore {
    fn store(&self) -> &dyn Store {
        self
    }

    fn trusts_us(&self) -> Result<Option<bool>> {
        Ok(None)
    }

    fn version(&self) -> Result<Option<String>> {
        Ok(None)
    }

    fn set_options(&self, options: &ClientOptions, _trusted: bool) -> Result<()> {
        let mut build = self.build.lock();
        build.max_silent_time = options.max_silent_time;
        build.keep_failed = options.keep_failed;
        let number = |name: &str| options.overrides.get(name).and_then(|text| text.parse().ok());
        build.timeout = number("timeout").unwrap_or(build.timeout);
        build.max_log_size = number("max-build-log-size").unwrap_or(build.max_log_size);
        Ok(())
    }

    fn build(&self, wanted: &[DerivedPath], mode: BuildMode) -> Result<Vec<KeyedResult>> {
        if mode != BuildMode::Normal {
            return Err(Error::Store(self.unsupported("buildPaths (check or repair)")));
        }
        let failure = self.with(|connection| {
            let codec = &connection.codec.common;
            let texts = wanted
                .iter()
                .map(|path| {
                    codec.print_derived_path(path).map_err(|_| {
                        Error::Refused(format!(
                            "wanted to fetch '{}' but the legacy ssh protocol doesn't support merely substituting drv files via the build paths command. It would build them instead. Try using ssh-ng://",
                            codec.dir.print(path.store_path())
                        ))
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            connection.request(
                Command::BuildPaths,
                |codec, w| {
                    w.number(texts.len() as u64).map_err(sending)?;
                    texts.iter().try_for_each(|text| w.text(text)).map_err(sending)?;
                    codec.put_settings(w, &self.settings()).map_err(sending)
                },
                // what is not 0 is a status or, of other implementations, an exit status
                |_, r| match r.number()? {
                    0 => Ok(None),
                    status => Ok(Some((status, r.message()?))),
                },
            )
        })?;
        if let Some((number, message)) = failure {
            let status = match BuildStatus::from_wire(number) {
                Some(status) if !status.is_success() => status,
                _ => BuildStatus::MiscFailure,
            };
            let mut result = BuildResult::new(status);
            result.error = message;
            return Ok(wanted
                .iter()
                .map(|path| KeyedResult { path: path.clone(), result: result.clone() })
                .collect());
        }
        wanted
            .iter()
            .map(|path| {
                let mut result = BuildResult::new(BuildStatus::Built);
                if let DerivedPath::Built { drv, outputs } = path {
                    let parsed = self.read_derivation(drv)?;
                    let built = parsed
                        .output_paths(self.store_dir())
                        .map_err(Error::model)?
                        .into_iter()
                        .filter(|(name, _)| outputs.contains(name))
                        .filter_map(|(name, path)| Some((name, path?)))
                        .collect();
                    result.built_outputs = crate::local::realisations(self, &parsed, built)?;
                }
                Ok(KeyedResult { path: path.clone(), result })
            })
            .collect()
    }

    fn build_derivation(
        &self,
        path: &StorePath,
        drv: &Derivation,
        _mode: BuildMode,
    ) -> Result<BuildResult> {
        self.with(|connection| {
            connection.request(
                Command::BuildDerivation,
                |codec, w| {
                    codec.common.put_path(w, path).map_err(sending)?;
                    codec.common.put_derivation(w, drv)?;
                    codec.put_settings(w, &self.settings()).map_err(sending)
                },
                ServeCodec::build_result,
            )
        })
    }

    fn query_missing(&self, wanted: &[DerivedPath]) -> Result<Missing> {
        let mut missing = Missing::default();
        for path in wanted {
            match path {
                DerivedPath::Opaque(path) => {
                    if !self.is_valid(path)? {
                        missing.unknown.insert(path.clone());
                    }
                }
                DerivedPath::Dynamic { drv, .. } => missing.will_build.push(drv.clone()),
                DerivedPath::Built { drv, outputs } => {
                    let known = self.query_derivation_outputs(drv)?;
                    let paths: BTreeSet<StorePath> = known
                        .into_iter()
                        .filter(|(name, _)| outputs.contains(name))
                        .filter_map(|(_, path)| path)
                        .collect();
                    if self.query_valid(&paths, false)?.len() < paths.len() {
                        missing.will_build.push(drv.clone());
                    }
                }
            }
        }
        Ok(missing)
    }

    fn ensure_path(&self, path: &StorePath) -> Result<()> {
        if self.is_valid(path)? {
            return Ok(());
        }
        Err(Error::Store(self.unsupported("ensurePath")))
    }

    fn query_substitutable(
        &self,
        _paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, SubstitutableInfo>> {
        Ok(BTreeMap::new())
    }

    fn query_valid(
        &self,
        paths: &BTreeSet<StorePath>,
        substitute: bool,
    ) -> Result<BTreeSet<StorePath>> {
        if paths.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.with(|connection| {
            connection.request(
                Command::QueryValidPaths,
                |codec, w| {
                    w.bool(false).and_then(|()| w.bool(substitute)).map_err(sending)?;
                    codec.common.put_paths(w, paths).map_err(sending)
                },
                |codec, r| codec.common.paths(r),
            )
        })
    }

    fn add_to_store(
        &self,
        info: &PathInfo,
        nar: &mut (dyn Read + Send),
        _repair: Repair,
        _check: bool,
    ) -> Result<()> {
        self.send_nar(info, nar)
    }

    fn trusts_realisation(&self, _realisation: &Realisation) -> Result<bool> {
        Ok(false)
    }

    fn verify_store(&self, _check_contents: bool, _repair: Repair) -> Result<bool> {
        Err(Error::Store(self.unsupported("verifyStore")))
    }
}

impl BuildStore for ServeStore {
    fn missing(&self, wanted: &[DerivedPath]) -> firn_store::Result<Missing> {
        Ok(self.query_missing(wanted)?)
    }

    fn build_paths(
        &self,
        wanted: &[DerivedPath],
        options: &BuildOptions,
        _logger: &Logger,
    ) -> Result<BuildResults, BuildError> {
        as_build_results(self, self.build(wanted, options.mode.into()))
    }

    fn ensure_path(&self, path: &StorePath) -> firn_store::Result<()> {
        Ok(ManagedStore::ensure_path(self, path)?)
    }
}
