//! Binary caches, and the substituters of the settings, which are opened when something is asked of them first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use firn_build::{BuildOptions, DerivedPath, StoreSubstituter, Substitutable, Substituter};
use firn_cache::Caches;
use firn_event::{Level, Logger};
use firn_model::content_address::ContentAddress;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::StorePath;
use firn_store::content_addressed::make_content_addressed;
use firn_store::copy::{CopyOptions, copy_closure};
use firn_store::layout::{Environment, StoreLayout};
use firn_store::{LocalStore, Settings, Store, Trust};

use parking_lot::Mutex;

use super::legacy::Failure;
use super::store::{AnyStore, Opener};

/// What opens binary caches; with answers on disk if `remember`.
pub fn caches(
    env: &Environment,
    settings: &Settings,
    logger: &Logger,
    remember: bool,
) -> firn_store::Result<Caches> {
    let dir = StoreLayout::from_environment(env)?.store_dir;
    let fetch = BuildOptions::from_settings(settings).fetch;
    let folder = if remember { env.cache_dir().ok() } else { None };
    Ok(Caches::from_settings(settings, dir, fetch, folder, logger.clone()))
}

/// Gets paths for evaluation: from substituters, and closures from caches that are named.
#[derive(Clone)]
pub struct Closures {
    /// The store that they go to.
    pub store: AnyStore,
    /// How substitution is done.
    pub options: BuildOptions,
    /// The environment.
    pub env: Environment,
    /// The settings.
    pub settings: Settings,
    /// Where messages go.
    pub logger: Logger,
}

impl Closures {
    /// Makes a path valid.
    pub fn ensure(&self, path: &StorePath) -> Result<(), String> {
        let wanted = [DerivedPath::Opaque(path.clone())];
        self.store.build(&wanted, &self.options, &self.logger).map(drop).map_err(|e| e.message)
    }

    /// Copies a closure from the cache at an address, with `rewrite` in a content-addressed form; what is valid is
    /// not copied.
    pub fn fetch(&self, uri: &str, path: &StorePath, rewrite: bool) -> Result<StorePath, String> {
        let text = |e: firn_store::Error| e.to_string();
        let valid = self.store.is_valid(path).map_err(text)?;
        if !rewrite && valid {
            return Ok(path.clone());
        }
        let scratch = OnceLock::new();
        let opener = Opener {
            env: &self.env,
            settings: &self.settings,
            logger: self.logger.clone(),
            verbosity: Level::Info,
            scratch: &scratch,
        };
        let source = opener.open(Some(uri)).map_err(Failure::text)?;
        let paths = BTreeSet::from([path.clone()]);
        if rewrite {
            let became = make_content_addressed(&*source, &*self.store, &paths, &self.logger)
                .map_err(text)?;
            return match became.get(path) {
                Some(new) => Ok(new.clone()),
                None => Err(format!("'{}' was not rewritten", self.store.store_dir().print(path))),
            };
        }
        let trust = if self.store.is_local() {
            Trust::from_settings(&self.settings).map_err(text)?
        } else {
            Trust::Everybody
        };
        let mut options = CopyOptions::new(trust, self.logger.clone());
        options.cancel = super::interrupt::flag();
        copy_closure(&*source, &*self.store, &paths, &options).map_err(text)?;
        Ok(path.clone())
    }
}

/// The substituters of the settings.
pub struct Substituters {
    env: Environment,
    settings: Settings,
    logger: Logger,
    scratch: OnceLock<tempfile::TempDir>,
    opened: OnceLock<StoreSubstituter>,
    /// What paths follow from, as far as told and not handed on.
    noted: Mutex<Vec<(StorePath, ContentAddress)>>,
}

impl Substituters {
    /// Those of these settings; `None` if they are not to be used or there are none.
    pub fn new(env: &Environment, settings: &Settings, logger: Logger) -> Option<Arc<Self>> {
        if !settings.bool("substitute") || settings.text("substituters").is_empty() {
            return None;
        }
        Some(Arc::new(Self {
            env: env.clone(),
            settings: settings.clone(),
            logger,
            scratch: OnceLock::new(),
            opened: OnceLock::new(),
            noted: Mutex::default(),
        }))
    }

    /// The stores, opened by now. One that cannot be is left out with a warning.
    pub fn get(&self) -> &StoreSubstituter {
        self.opened.get_or_init(|| {
            let opener = Opener {
                env: &self.env,
                settings: &self.settings,
                logger: self.logger.clone(),
                verbosity: Level::Info,
                scratch: &self.scratch,
            };
            let own = StoreLayout::from_environment(&self.env)
                .map(|layout| layout.store_dir)
                .unwrap_or_default();
            let mut stores: Vec<Arc<dyn Store>> = Vec::new();
            let mut seen = BTreeSet::new();
            for uri in self.settings.words("substituters") {
                if !seen.insert(uri.trim_end_matches('/').to_owned()) {
                    continue;
                }
                match opener.open(Some(&uri)) {
                    Ok(store) => stores.push(store.shared()),
                    Err(failure) => self.logger.warn(failure.text()),
                }
            }
            let trust = Trust::from_settings(&self.settings).unwrap_or_else(|error| {
                self.logger.message(Level::Error, error.to_string());
                Trust::Nobody
            });
            let fallback = self.settings.bool("fallback");
            StoreSubstituter::new(
                own,
                stores,
                trust,
                fallback,
                self.logger.clone(),
                super::interrupt::flag(),
            )
        })
    }
}

impl Substituter for Substituters {
    fn query(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> firn_store::Result<BTreeMap<StorePath, Substitutable>> {
        let substituter = self.get();
        for (path, address) in std::mem::take(&mut *self.noted.lock()) {
            substituter.note_address(&path, &address);
        }
        substituter.query(paths)
    }

    fn note_address(&self, path: &StorePath, address: &ContentAddress) {
        // perhaps nothing will be asked
        self.noted.lock().push((path.clone(), *address));
    }

    fn available(&self, paths: &BTreeSet<StorePath>) -> firn_store::Result<BTreeSet<StorePath>> {
        self.get().available(paths)
    }

    fn query_realisation(&self, id: &DrvOutput) -> firn_store::Result<Option<Realisation>> {
        self.get().query_realisation(id)
    }

    fn fetch(
        &self,
        path: &StorePath,
        store: &LocalStore,
        logger: &Logger,
        parent: u64,
    ) -> firn_store::Result<()> {
        self.get().fetch(path, store, logger, parent)
    }

    fn repair(
        &self,
        path: &StorePath,
        store: &LocalStore,
        logger: &Logger,
        parent: u64,
    ) -> firn_store::Result<()> {
        self.get().repair(path, store, logger, parent)
    }
}
