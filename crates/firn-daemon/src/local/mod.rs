//! [`LocalService`]: the store on this machine as a [`ManagedStore`], with builds by `firn-build`.

mod hashes;
mod options;

pub use hashes::realisations;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::{Arc, OnceLock};

use firn_build::{BuildError, BuildOptions, BuildResult, DerivedPath, Missing, Mode};
use firn_event::Logger;
use firn_model::derivation::Derivation;
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::local::gc::{GcOptions, GcResults};
use firn_store::{LocalStore, Repair, Settings, Store, StoreOptions, Trust};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::managed::{ClientOptions, ManagedStore, SubstitutableInfo};
use crate::protocol::{BuildMode, KeyedResult};

/// The settings that decide how a store behaves.
const STORE_SETTINGS: &[&str] = &[
    "auto-optimise-store",
    "fsync-metadata",
    "fsync-store-paths",
    "ignored-acls",
    "keep-derivations",
    "keep-outputs",
    "max-free",
    "min-free",
    "min-free-check-interval",
];

/// Makes the options of builds from settings: also substituters and hooks, which this crate does not know.
pub type MakeOptions = dyn Fn(&Settings) -> BuildOptions + Send + Sync;

/// The store on this machine, managed.
pub struct LocalService {
    store: Arc<LocalStore>,
    /// The same, opened as the client's settings have it, each time that they made it another.
    adapted: OnceLock<Box<Adapted>>,
    settings: Mutex<Settings>,
    make: Box<MakeOptions>,
    logger: Logger,
    version: String,
}

/// A store as the client's settings had it from some time on, and as they had it later.
struct Adapted {
    store: Arc<LocalStore>,
    later: OnceLock<Box<Self>>,
}

/// How often a client may change how the store behaves.
const MOST_ADAPTED: usize = 100;

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
        let adapted = OnceLock::new();
        Self { store, adapted, settings: Mutex::new(settings), make, logger, version }
    }

    /// The settings as the client has changed them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.lock().clone()
    }

    /// The store as the client's settings have it.
    fn current(&self) -> &Arc<LocalStore> {
        let (mut store, mut later) = (&self.store, &self.adapted);
        while let Some(adapted) = later.get() {
            (store, later) = (&adapted.store, &adapted.later);
        }
        store
    }

    /// Opens the store anew if the client's settings change how it behaves.
    fn adapt(&self, before: &Settings) -> Result<()> {
        let settings = self.settings();
        if STORE_SETTINGS.iter().all(|name| settings.text(name) == before.text(name)) {
            return Ok(());
        }
        let options = StoreOptions {
            read_only: self.store.options().read_only,
            ..StoreOptions::from_settings(&settings, self.logger.clone())
        };
        let store = Arc::new(self.store.reopen(options)?);
        let mut new = Box::new(Adapted { store, later: OnceLock::new() });
        let mut last = &self.adapted;
        for _ in 0..MOST_ADAPTED {
            // the end of what is there, or of what another thread has just put there
            match last.set(new) {
                Ok(()) => return Ok(()),
                Err(back) => new = back,
            }
            match last.get() {
                Some(adapted) => last = &adapted.later,
                None => break,
            }
        }
        Err(Error::Refused(format!(
            "the settings of the store were changed more than {MOST_ADAPTED} times"
        )))
    }

    fn options(&self, mode: BuildMode) -> BuildOptions {
        let mut options = (self.make)(&self.settings.lock());
        options.mode = match mode {
            BuildMode::Normal => Mode::Normal,
            BuildMode::Check => Mode::Check,
            BuildMode::Repair => Mode::Repair,
        };
        options
    }
}

fn failed(error: BuildError) -> Error {
    Error::Remote { message: error.message, status: u64::from(error.exit_code) }
}

impl ManagedStore for LocalService {
    fn store(&self) -> &dyn Store {
        &**self.current()
    }

    fn trusts_us(&self) -> Result<Option<bool>> {
        Ok(Some(true))
    }

    fn version(&self) -> Result<Option<String>> {
        Ok(Some(self.version.clone()))
    }

    fn set_options(&self, client: &ClientOptions, trusted: bool) -> Result<()> {
        let before = self.settings();
        options::apply(&mut self.settings.lock(), client, trusted, &self.logger);
        self.adapt(&before)
    }

    fn build(&self, wanted: &[DerivedPath], mode: BuildMode) -> Result<Vec<KeyedResult>> {
        let options = self.options(mode);
        let store = self.current();
        let results = firn_build::build_paths_with_results(store, wanted, &options, &self.logger)
            .map_err(failed)?;
        Ok(results.into_iter().map(|(path, result)| KeyedResult { path, result }).collect())
    }

    fn build_derivation(
        &self,
        path: &StorePath,
        drv: &Derivation,
        mode: BuildMode,
    ) -> Result<BuildResult> {
        let options = self.options(mode);
        Ok(firn_build::build_derivation(self.current(), path, drv, &options, &self.logger)?)
    }

    fn query_missing(&self, wanted: &[DerivedPath]) -> Result<Missing> {
        let options = self.options(BuildMode::Normal);
        Ok(firn_build::plan(self.current(), wanted, &options, &self.logger)?.missing())
    }

    fn ensure_path(&self, path: &StorePath) -> Result<()> {
        if self.current().is_valid(path)? {
            self.current().add_temp_root(path)?;
            return Ok(());
        }
        let options = self.options(BuildMode::Normal);
        let wanted = [DerivedPath::Opaque(path.clone())];
        firn_build::build_paths(self.current(), &wanted, &options, &self.logger)
            .map(drop)
            .map_err(failed)
    }

    fn query_substitutable(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, SubstitutableInfo>> {
        let options = self.options(BuildMode::Normal);
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
        let valid = self.current().query_valid_paths(paths)?;
        if !substitute || valid.len() == paths.len() {
            return Ok(valid);
        }
        let missing: BTreeSet<StorePath> = paths.difference(&valid).cloned().collect();
        let wanted: Vec<DerivedPath> =
            self.query_substitutable(&missing)?.into_keys().map(DerivedPath::Opaque).collect();
        if wanted.is_empty() {
            return Ok(valid);
        }
        let mut options = self.options(BuildMode::Normal);
        options.keep_going = true;
        if let Err(e) = firn_build::build_paths(self.current(), &wanted, &options, &self.logger) {
            // the client copies what could not be fetched
            self.logger.warn(e.message);
        }
        Ok(self.current().query_valid_paths(paths)?)
    }

    fn add_to_store(
        &self,
        info: &PathInfo,
        nar: &mut (dyn Read + Send),
        repair: Repair,
        check: bool,
    ) -> Result<()> {
        if check {
            Trust::from_settings(&self.settings())?.check(info, self.current().store_dir())?;
        }
        Ok(self.current().add_nar(info, nar, repair)?)
    }

    fn trusts_realisation(&self, realisation: &Realisation) -> Result<bool> {
        Ok(Trust::from_settings(&self.settings())?.accepts_realisation(realisation))
    }

    fn verify_store(&self, check_contents: bool, repair: Repair) -> Result<bool> {
        if repair == Repair::No {
            return Ok(self.current().verify(check_contents, None)?);
        }
        let options = self.options(BuildMode::Normal);
        let logger = &self.logger;
        let mut hook = |store: &LocalStore, path: &StorePath| match &options.substituter {
            Some(substituter) => {
                logger.warn(format!("repairing '{}'", store.store_dir().print(path)));
                substituter.repair(path, store, logger, 0)
            }
            None => Err(firn_store::Error::Usage(format!(
                "'{}' cannot be repaired, because no substituter is set",
                store.store_dir().print(path)
            ))),
        };
        Ok(self.current().verify(check_contents, Some(&mut hook))?)
    }

    fn collect(&self, options: &GcOptions) -> Result<GcResults> {
        let results = self.current().collect_garbage(options);
        self.current().clear_cache();
        Ok(results?)
    }
}
