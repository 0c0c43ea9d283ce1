//! Opening the store that the environment, a setting or a flag selects, of whatever kind it is.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;

use firn_build::{BuildError, BuildOptions, BuildResults, BuildStore, DerivedPath, Missing};
use firn_daemon::ManagedStore;
use firn_event::{Level, Logger};
use firn_store::layout::{Environment, StoreLayout, locate};
use firn_store::{ClosureOptions, LocalStore, Settings, Store, StoreOptions};

use super::caches::caches;
use super::legacy::{Failure, Outcome, fail};
use super::local_store::{self, Opened};
use super::remote::{Remote, RemoteOpener};

/// A store of any kind.
#[derive(Clone)]
pub struct AnyStore {
    kind: Kind,
    /// Of a store that is not on this machine: the folders of this machine, with that store's name for its own.
    layout: Arc<StoreLayout>,
    /// Whether its contents are on this machine.
    files_here: bool,
}

#[derive(Clone)]
enum Kind {
    /// On this machine, open to this process.
    Local(Arc<LocalStore>),
    /// Builds by itself; both are the same store.
    Building(Arc<dyn BuildStore>, Arc<dyn ManagedStore>),
    /// Has what it was given, at this address.
    Passive(Arc<dyn Store>, String),
}

impl From<LocalStore> for AnyStore {
    fn from(store: LocalStore) -> Self {
        Arc::new(store).into()
    }
}

impl From<Arc<LocalStore>> for AnyStore {
    fn from(store: Arc<LocalStore>) -> Self {
        let layout = Arc::new(store.layout().clone());
        Self { kind: Kind::Local(store), layout, files_here: true }
    }
}

impl Deref for AnyStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match &self.kind {
            Kind::Local(store) => &**store,
            Kind::Building(store, _) => &**store,
            Kind::Passive(store, _) => &**store,
        }
    }
}

impl AnyStore {
    /// A store that another process looks after.
    pub fn remote(store: Remote, env: &Environment) -> Outcome<Self> {
        Ok(match store {
            Remote::Worker(store) => {
                // a daemon's contents are here, though only the daemon writes them
                let files_here = store.layout().is_some();
                let layout = match store.layout() {
                    Some(layout) => Arc::new(layout.clone()),
                    None => elsewhere(&*store, env)?,
                };
                Self { kind: Kind::Building(store.clone(), store), layout, files_here }
            }
            Remote::Serve(store) => {
                let layout = elsewhere(&*store, env)?;
                Self { kind: Kind::Building(store.clone(), store), layout, files_here: false }
            }
        })
    }

    /// What another process that looks after the store offers.
    pub fn managed(&self) -> Option<&dyn ManagedStore> {
        match &self.kind {
            Kind::Building(_, store) => Some(&**store),
            Kind::Local(_) | Kind::Passive(..) => None,
        }
    }

    /// A store that only has what it was given, at this address.
    pub fn passive(store: Arc<dyn Store>, address: String, env: &Environment) -> Outcome<Self> {
        let layout = elsewhere(&*store, env)?;
        Ok(Self { kind: Kind::Passive(store, address), layout, files_here: false })
    }

    /// Where its parts are on this machine; of what is elsewhere, where they would be.
    pub fn layout(&self) -> &StoreLayout {
        &self.layout
    }

    /// The store without its kind.
    pub fn shared(&self) -> Arc<dyn Store> {
        match &self.kind {
            Kind::Local(store) => store.clone(),
            Kind::Building(store, _) => store.clone(),
            Kind::Passive(store, _) => store.clone(),
        }
    }

    /// The store on this machine that it is, to be shared.
    ///
    /// # Errors
    /// If it is another, which `operation` names the use of.
    pub fn shared_local(&self, operation: &'static str) -> Outcome<Arc<LocalStore>> {
        match &self.kind {
            Kind::Local(store) => Ok(Arc::clone(store)),
            Kind::Building(..) | Kind::Passive(..) => fail(self.unsupported(operation).to_string()),
        }
    }

    /// Whether links of this machine can keep its paths from being collected; in caches nothing is collected.
    pub fn keeps_roots(&self) -> bool {
        !matches!(self.kind, Kind::Passive(..))
    }

    /// Whether it is on this machine and open to this process.
    pub fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Local(_))
    }

    /// Whether its contents are on this machine, whoever looks after them.
    pub fn has_files(&self) -> bool {
        self.files_here
    }

    /// The store on this machine that it is, for what no other can do.
    ///
    /// # Errors
    /// If it is another, which `operation` names the use of.
    pub fn local(&self, operation: &'static str) -> Outcome<&LocalStore> {
        match &self.kind {
            Kind::Local(store) => Ok(store),
            Kind::Building(..) | Kind::Passive(..) => fail(self.unsupported(operation).to_string()),
        }
    }

    /// What would be built and fetched for `wanted`.
    pub fn missing(
        &self,
        wanted: &[DerivedPath],
        options: &BuildOptions,
        logger: &Logger,
    ) -> firn_store::Result<Missing> {
        match &self.kind {
            Kind::Local(store) => Ok(firn_build::plan(store, wanted, options, logger)?.missing()),
            Kind::Building(store, _) => store.missing(wanted),
            Kind::Passive(store, _) => {
                firn_build::missing_in_passive(&**store, wanted, options, logger)
            }
        }
    }

    /// Makes all of `wanted` valid.
    pub fn build(
        &self,
        wanted: &[DerivedPath],
        options: &BuildOptions,
        logger: &Logger,
    ) -> Result<BuildResults, BuildError> {
        match &self.kind {
            Kind::Local(store) => firn_build::build_paths(store, wanted, options, logger),
            Kind::Building(store, _) => store.build_paths(wanted, options, logger),
            Kind::Passive(store, address) => {
                firn_build::build_for_passive(&**store, address, wanted, options, logger)
            }
        }
    }
}

/// This machine's folders, with the name that another store has for its own.
fn elsewhere(store: &dyn Store, env: &Environment) -> Outcome<Arc<StoreLayout>> {
    let mut layout = StoreLayout::from_environment(env)?;
    layout.real_store_dir = store.store_dir().as_str().into();
    layout.store_dir = store.store_dir().clone();
    Ok(Arc::new(layout))
}

/// The store that the settings select, which counts for more than `NIX_REMOTE`; `None` if they select none.
pub fn from_settings(settings: &Settings) -> Option<&str> {
    let set = settings.overridden().any(|(name, _)| name == "store");
    Some(settings.text("store")).filter(|uri| set || *uri != "auto")
}

/// Opens stores by their addresses.
pub struct Opener<'a> {
    /// The environment.
    pub env: &'a Environment,
    /// The settings.
    pub settings: &'a Settings,
    /// Where messages go.
    pub logger: Logger,
    /// How much is shown.
    pub verbosity: Level,
    /// Holds what a store needs as long as the process lives.
    pub scratch: &'a OnceLock<tempfile::TempDir>,
}

impl Opener<'_> {
    /// Opens the store at `uri`, or the one that settings and the environment select.
    pub fn open(&self, uri: Option<&str>) -> Outcome<AnyStore> {
        let uri = uri.or(from_settings(self.settings));
        let located = locate(self.env, uri)?;
        for warning in located.warnings {
            self.logger.warn(warning);
        }
        match local_store::open_located(self, located.store)? {
            Opened::Here(store) => Ok(store.into()),
            Opened::Other(reference) if reference.scheme == "dummy" => {
                let read_only = reference.params.get("read-only").is_some_and(|v| v == "true");
                self.dummy(reference.params.get("store").map(String::as_str), read_only)
            }
            Opened::Daemon { socket, layout, params } => {
                AnyStore::remote(self.remote().daemon(socket, layout, &params)?, self.env)
            }
            Opened::Other(reference) if firn_cache::is_cache(&reference.scheme) => {
                // folders are asked quickly enough
                let remember =
                    reference.scheme != "file" || self.env.string("_NIX_FORCE_HTTP").is_some();
                let caches = caches(self.env, self.settings, &self.logger, remember)?;
                AnyStore::passive(caches.open(&reference)?, reference.render(), self.env)
            }
            Opened::Other(reference) => match self.remote().ssh(&reference)? {
                Some(remote) => AnyStore::remote(remote, self.env),
                None => fail(format!(
                    "don't know how to open Nix store with scheme '{}'",
                    reference.scheme
                )),
            },
        }
    }

    fn remote(&self) -> RemoteOpener<'_> {
        RemoteOpener {
            env: self.env,
            settings: self.settings,
            logger: self.logger.clone(),
            verbosity: self.verbosity,
        }
    }

    /// A store in which there is nothing, for evaluation that needs none: `dummy://`, with the store's folder
    /// after `?store=`.
    fn dummy(&self, folder: Option<&str>, read_only: bool) -> Outcome<AnyStore> {
        let root = match self.scratch.get() {
            Some(dir) => dir.path(),
            None => {
                let dir = tempfile::tempdir()
                    .map_err(|e| Failure::Message(format!("making a store: {e}")))?;
                self.scratch.get_or_init(|| dir).path()
            }
        };
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => StoreLayout::from_environment(self.env)?.store_dir.as_str().to_owned(),
        };
        let layout = StoreLayout {
            store_dir: firn_model::StoreDir::new(&folder)
                .map_err(|e| Failure::Message(e.to_string()))?,
            real_store_dir: root.join("store"),
            state_dir: root.join("state"),
            log_dir: root.join("log"),
        };
        let options = StoreOptions::from_settings(self.settings, self.logger.clone());
        let store = LocalStore::open(layout.clone(), options.clone())?;
        if !read_only {
            return Ok(store.into());
        }
        // its tables must be there before nothing is written any more
        drop(store);
        Ok(LocalStore::open(layout, StoreOptions { read_only, ..options })?.into())
    }

    /// Opens the store that evaluation shall read and write. One that holds nothing takes nothing there, unless its
    /// address says otherwise.
    pub fn open_for_evaluation(&self, uri: &str) -> Outcome<AnyStore> {
        if uri.starts_with("dummy://") && !uri.contains("read-only=") {
            let joint = if uri.contains('?') { '&' } else { '?' };
            return self.open(Some(&format!("{uri}{joint}read-only=true")));
        }
        self.open(Some(uri))
    }
}

/// The local store, with the few questions that trials ask.
pub struct Local(LocalStore);

/// Opens the local store.
pub fn open_local() -> Result<Local, String> {
    let (layout, _) = StoreLayout::detect(&Environment::current()).map_err(|e| e.to_string())?;
    LocalStore::open(layout, StoreOptions::default()).map(Local).map_err(|e| e.to_string())
}

impl Local {
    /// Where the store's contents really are.
    pub fn real_store_dir(&self) -> PathBuf {
        self.0.layout().real_store_dir.clone()
    }

    /// Where the host has a path in the store (or below one).
    pub fn host_path(&self, path: &Path) -> Result<PathBuf, String> {
        let text = path.to_string_lossy();
        let (store_path, rest) =
            self.0.store_dir().parse_prefix(&text).map_err(|e| e.to_string())?;
        let base = self.0.layout().real_store_dir.join(store_path.base_name());
        Ok(if rest.is_empty() { base } else { base.join(rest.trim_start_matches('/')) })
    }

    /// Makes `link` lead to a path of the store, and keeps that from garbage collection while it does.
    pub fn add_root(&self, path: &Path, link: &Path) -> Result<(), String> {
        let path = self.0.store_dir().parse(&path.to_string_lossy()).map_err(|e| e.to_string())?;
        self.0.add_perm_root(&path, link).map(drop).map_err(|e| e.to_string())
    }

    /// Registers everything that is valid here in the database below `state_dir`, for a guest that
    /// sees this store's contents; `roots` must be among it.
    pub fn copy_registrations(&self, roots: &[PathBuf], state_dir: &Path) -> Result<(), String> {
        let fail = |e: firn_store::Error| e.to_string();
        let mut wanted = BTreeSet::new();
        for root in roots {
            let text = root.to_string_lossy();
            wanted.insert(self.0.store_dir().parse(&text).map_err(|e| e.to_string())?);
        }
        // a root that is not whole would be a system that breaks when it is used
        self.0.compute_closure(&wanted, ClosureOptions::default()).map_err(fail)?;
        let layout = StoreLayout {
            state_dir: state_dir.to_owned(),
            log_dir: state_dir.join("../../log/nix"),
            ..self.0.layout().clone()
        };
        let guest = LocalStore::open(layout, StoreOptions::default()).map_err(fail)?;
        let mut infos = Vec::new();
        for path in self.0.query_all_valid_paths().map_err(fail)? {
            if let Some(info) = self.0.query_path_info(&path).map_err(fail)? {
                infos.push((*info).clone());
            }
        }
        guest.register_valid(&infos).map_err(fail)
    }
}
