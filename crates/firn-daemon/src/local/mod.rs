//! [`LocalService`]: the store on this machine as a [`ManagedStore`], with builds by `firn-build`.

mod hashes;
mod options;

pub use hashes::realisations;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use firn_build::{
    BuildOptions, BuildResult, BuildStatus, DerivedPath, FailureKind, Missing, Mode, OutputsSpec,
};
use firn_event::Logger;
use firn_model::derivation::Derivation;
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::signature::{PublicKey, SecretKey};
use firn_model::store_path::StorePath;
use firn_store::local::gc::{GcOptions, GcResults};
use firn_store::{LocalStore, Repair, Settings, Store, StoreOptions};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::managed::{ClientOptions, ManagedStore, SubstitutableInfo};
use crate::protocol::{BuildMode, KeyedResult};

/// Makes the options of builds from settings: also substituters and hooks, which this crate does not know.
pub type MakeOptions = dyn Fn(&Settings) -> BuildOptions + Send + Sync;

/// The store on this machine, managed.
pub struct LocalService {
    store: Arc<LocalStore>,
    settings: Mutex<Settings>,
    make: Box<MakeOptions>,
    logger: Logger,
    version: String,
}

impl std::fmt::Debug for LocalService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalService").field("store", &self.store).finish_non_exhaustive()
    }
}

impl LocalService {
    /// Manages `store`; `version` is what clients are told of this program.
    #[must_use]
    pub fn new(
        store: Arc<LocalStore>,
        settings: Settings,
        make: Box<MakeOptions>,
        logger: Logger,
        version: String,
    ) -> Self {
        Self { store, settings: Mutex::new(settings), make, logger, version }
    }

    /// The settings as the client has changed them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.lock().clone()
    }

    fn options(&self, mode: BuildMode) -> Result<BuildOptions> {
        let mut options = (self.make)(&self.settings.lock());
        options.mode = match mode {
            BuildMode::Normal => Mode::Normal,
            BuildMode::Check => Mode::Check,
            BuildMode::Repair => {
                return Err(Error::Refused(
                    "repairing by building again is not supported by this version".into(),
                ));
            }
        };
        Ok(options)
    }

    /// Whether enough keys that are trusted have signed it, or it needs none.
    fn is_trusted(&self, info: &PathInfo) -> Result<bool> {
        let dir = self.store.store_dir();
        let settings = self.settings();
        if !settings.bool("require-sigs") || info.is_content_addressed(dir) {
            return Ok(true);
        }
        let fingerprint = info.fingerprint(dir);
        let keys = trusted_keys(&settings)?;
        Ok(info
            .signatures
            .iter()
            .any(|signature| keys.iter().any(|key| key.verify(fingerprint.as_bytes(), signature))))
    }

    fn keyed(&self, path: &DerivedPath, result: BuildResult) -> KeyedResult {
        KeyedResult { path: path.clone(), result }
    }

    /// The outputs of a derivation that are wanted and valid; `None` if one is not valid.
    fn valid_outputs(
        &self,
        drv: &StorePath,
        wanted: &OutputsSpec,
    ) -> Result<Option<BTreeMap<String, StorePath>>> {
        if !self.store.is_valid(drv)? {
            return Ok(None);
        }
        let mut found = BTreeMap::new();
        for (name, path) in self.store.query_derivation_outputs(drv)? {
            if !wanted.contains(&name) {
                continue;
            }
            match path {
                Some(path) if self.store.is_valid(&path)? => {
                    found.insert(name, path);
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn success(
        &self,
        path: &DerivedPath,
        status: BuildStatus,
        outputs: BTreeMap<String, StorePath>,
    ) -> Result<BuildResult> {
        let mut result = BuildResult::new(status);
        if let DerivedPath::Built { drv, .. } = path {
            let parsed = self.store.read_derivation(drv)?;
            result.built_outputs = realisations(&*self.store, &parsed, outputs)?;
        }
        Ok(result)
    }
}

/// The keys whose signatures count: those of the settings, and those that belong to this machine's secret keys.
///
/// # Errors
/// If one is no key.
pub fn trusted_keys(settings: &Settings) -> Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for text in settings.words("trusted-public-keys") {
        keys.push(text.parse().map_err(|e| {
            Error::Refused(format!("in the setting 'trusted-public-keys': '{text}': {e}"))
        })?);
    }
    for file in settings.words("secret-key-files") {
        // users who are not root cannot read the machine's keys, and need not
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let key: SecretKey = text.parse().map_err(|e| {
            Error::Refused(format!("in the file '{file}' of 'secret-key-files': {e}"))
        })?;
        keys.push(key.public_key());
    }
    Ok(keys)
}

/// The kind of failure that an exit code of a command tells of.
fn status_of(exit_code: u8) -> BuildStatus {
    let kind = match exit_code {
        101 | 103 | 109 | 111 => FailureKind::TimedOut,
        102 | 110 => FailureKind::HashMismatch,
        104 => FailureKind::NotDeterministic,
        100 | 108 => FailureKind::Permanent,
        _ => FailureKind::Misc,
    };
    kind.into()
}

impl ManagedStore for LocalService {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn trusts_us(&self) -> Result<Option<bool>> {
        Ok(Some(true))
    }

    fn version(&self) -> Result<Option<String>> {
        Ok(Some(self.version.clone()))
    }

    fn set_options(&self, client: &ClientOptions, trusted: bool) -> Result<()> {
        options::apply(&mut self.settings.lock(), client, trusted, &self.logger);
        Ok(())
    }

    fn build(&self, wanted: &[DerivedPath], mode: BuildMode) -> Result<Vec<KeyedResult>> {
        let options = self.options(mode)?;
        match firn_build::build_paths(&self.store, wanted, &options, &self.logger) {
            Ok(results) => {
                let mut all = Vec::new();
                for (path, outputs) in results.outputs {
                    let status = match &path {
                        DerivedPath::Built { drv, .. } if results.built.contains(drv) => {
                            BuildStatus::Built
                        }
                        _ if outputs.values().any(|p| results.fetched.contains(p)) => {
                            BuildStatus::Substituted
                        }
                        _ => BuildStatus::AlreadyValid,
                    };
                    let result = self.success(&path, status, outputs)?;
                    all.push(self.keyed(&path, result));
                }
                Ok(all)
            }
            Err(failure) => {
                if failure.failed.is_empty() {
                    return Err(Error::Remote {
                        message: failure.message,
                        status: u64::from(failure.exit_code),
                    });
                }
                let mut all = Vec::new();
                for path in wanted {
                    let failed = failure.failed.contains(path.store_path());
                    let outputs = match path {
                        _ if failed => None,
                        DerivedPath::Opaque(path) => self.store.is_valid(path)?.then(BTreeMap::new),
                        DerivedPath::Built { drv, outputs } => self.valid_outputs(drv, outputs)?,
                        // which derivation is meant is not known before it is built
                        DerivedPath::Dynamic { .. } => None,
                    };
                    let result = match outputs {
                        Some(outputs) => self.success(path, BuildStatus::AlreadyValid, outputs)?,
                        None if failed => {
                            let mut result = BuildResult::new(status_of(failure.exit_code));
                            result.error.clone_from(&failure.message);
                            result
                        }
                        None => {
                            let mut result = BuildResult::new(BuildStatus::MiscFailure);
                            result.error = "it was not tried, because something else failed".into();
                            result
                        }
                    };
                    all.push(self.keyed(path, result));
                }
                Ok(all)
            }
        }
    }

    fn build_derivation(
        &self,
        path: &StorePath,
        drv: &Derivation,
        mode: BuildMode,
    ) -> Result<BuildResult> {
        let options = self.options(mode)?;
        let start = now();
        let built = firn_build::build_derivation(&self.store, path, drv, &options, &self.logger);
        let mut result = match built {
            Ok((status, outputs)) => {
                let mut result = BuildResult::new(status);
                result.built_outputs = realisations(&*self.store, drv, outputs)?;
                result
            }
            Err(failure) => BuildResult::from(&failure),
        };
        if result.status == BuildStatus::Built {
            (result.times_built, result.start_time, result.stop_time) = (1, start, now());
        }
        Ok(result)
    }

    fn query_missing(&self, wanted: &[DerivedPath]) -> Result<Missing> {
        let options = self.options(BuildMode::Normal)?;
        Ok(firn_build::plan(&self.store, wanted, &options, &self.logger)?.missing())
    }

    fn ensure_path(&self, path: &StorePath) -> Result<()> {
        if self.store.is_valid(path)? {
            self.store.add_temp_root(path)?;
            return Ok(());
        }
        let options = self.options(BuildMode::Normal)?;
        let wanted = [DerivedPath::Opaque(path.clone())];
        firn_build::build_paths(&self.store, &wanted, &options, &self.logger)
            .map(drop)
            .map_err(|e| Error::Remote { message: e.message, status: u64::from(e.exit_code) })
    }

    fn query_substitutable(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, SubstitutableInfo>> {
        let options = self.options(BuildMode::Normal)?;
        let Some(substituter) = options.substituter.filter(|_| !paths.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let found = substituter.query(paths)?;
        Ok(found
            .into_iter()
            .map(|(path, info)| {
                let info = SubstitutableInfo {
                    deriver: None,
                    references: info.references,
                    download_size: info.download_size,
                    nar_size: info.nar_size,
                };
                (path, info)
            })
            .collect())
    }

    fn query_valid(
        &self,
        paths: &BTreeSet<StorePath>,
        substitute: bool,
    ) -> Result<BTreeSet<StorePath>> {
        let valid = self.store.query_valid_paths(paths)?;
        if !substitute || valid.len() == paths.len() {
            return Ok(valid);
        }
        let missing: BTreeSet<StorePath> = paths.difference(&valid).cloned().collect();
        let wanted: Vec<DerivedPath> =
            self.query_substitutable(&missing)?.into_keys().map(DerivedPath::Opaque).collect();
        if wanted.is_empty() {
            return Ok(valid);
        }
        let mut options = self.options(BuildMode::Normal)?;
        options.keep_going = true;
        if let Err(e) = firn_build::build_paths(&self.store, &wanted, &options, &self.logger) {
            // the client copies what could not be fetched
            self.logger.warn(e.message);
        }
        Ok(self.store.query_valid_paths(paths)?)
    }

    fn add_to_store(
        &self,
        info: &PathInfo,
        nar: &mut (dyn Read + Send),
        repair: Repair,
        check: bool,
    ) -> Result<()> {
        if check && !self.is_trusted(info)? {
            return Err(Error::Refused(format!(
                "cannot add path '{}' because it lacks a signature by a trusted key",
                self.store.store_dir().print(&info.path)
            )));
        }
        Ok(self.store.add_nar(info, nar, repair)?)
    }

    fn trusts_realisation(&self, realisation: &Realisation) -> Result<bool> {
        let settings = self.settings();
        let keys = trusted_keys(&settings)?;
        Ok(!settings.bool("require-sigs") || realisation.good_signatures(&keys) > 0)
    }

    fn verify_store(&self, check_contents: bool, repair: Repair) -> Result<bool> {
        if repair == Repair::No {
            return Ok(self.store.verify(check_contents, None)?);
        }
        let options = self.options(BuildMode::Normal)?;
        let logger = &self.logger;
        let mut hook = |store: &LocalStore, path: &StorePath| match &options.substituter {
            Some(substituter) => {
                logger.warn(format!("repairing '{}'", store.store_dir().print(path)));
                substituter.fetch(path, store, logger, 0)
            }
            None => Err(firn_store::Error::Usage(format!(
                "'{}' cannot be repaired, because no substituter is set",
                store.store_dir().print(path)
            ))),
        };
        Ok(self.store.verify(check_contents, Some(&mut hook))?)
    }

    fn collect(&self, options: &GcOptions) -> Result<GcResults> {
        // what is kept follows the settings as the client has changed them
        let store = LocalStore::open(
            self.store.layout().clone(),
            StoreOptions {
                read_only: self.store.options().read_only,
                ..StoreOptions::from_settings(&self.settings(), self.logger.clone())
            },
        )?;
        let results = store.collect_garbage(options);
        self.store.clear_cache();
        Ok(results?)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX))
}
