//! Substitution from other stores: binary caches, daemons, stores on other machines.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use firn_event::{ActivityKind, Field, Level, Logger};
use firn_model::content_address::ContentAddress;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::{References, StoreDir, StorePath};
use firn_store::copy::{CopyOptions, copy_path};
use firn_store::{Error, LocalStore, Repair, Store, Trust};
use parking_lot::Mutex;

use crate::substitute::{Substitutable, Substituter};

/// Provides paths from a list of stores, those with the lowest priority first.
pub struct StoreSubstituter {
    /// The folder of the store that paths are for.
    dir: StoreDir,
    stores: Vec<Arc<dyn Store>>,
    trust: Trust,
    /// Whether there is another way to have paths when a store fails (`fallback`).
    fallback: bool,
    logger: Logger,
    cancel: Arc<AtomicBool>,
    /// What paths follow from, as far as told.
    addresses: Mutex<HashMap<StorePath, ContentAddress>>,
    /// Which stores have which path, as far as asked.
    holders: Mutex<HashMap<StorePath, Vec<usize>>>,
}

impl std::fmt::Debug for StoreSubstituter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.stores.iter().map(|s| s.uri())).finish()
    }
}

impl StoreSubstituter {
    /// Provides what `stores` have for a store with the folder `dir`, and `trust` believes. Messages go to `logger`; `cancel` stops transfers.
    #[must_use]
    pub fn new(
        dir: StoreDir,
        mut stores: Vec<Arc<dyn Store>>,
        trust: Trust,
        fallback: bool,
        logger: Logger,
        cancel: Arc<AtomicBool>,
    ) -> Self {
        stores.sort_by_key(|store| store.substituter_role().priority);
        Self {
            stores,
            trust,
            fallback,
            logger,
            cancel,
            addresses: Mutex::default(),
            holders: Mutex::default(),
            dir,
        }
    }

    /// The stores, those that are asked first first.
    #[must_use]
    pub fn stores(&self) -> &[Arc<dyn Store>] {
        &self.stores
    }

    /// What a path is called in a store with another folder: only what is known by its contents can be there.
    fn elsewhere(&self, store: &dyn Store, path: &StorePath) -> Option<StorePath> {
        let address = self.addresses.lock().get(path).copied()?;
        let none = References::default();
        store.store_dir().make_fixed_output_path(path.name(), &address, &none).ok()
    }

    /// What one store says about paths, without those that nobody vouches for.
    fn ask(
        &self,
        store: &dyn Store,
        paths: &BTreeSet<StorePath>,
    ) -> firn_store::Result<BTreeMap<StorePath, Substitutable>> {
        let mut found = BTreeMap::new();
        if *store.store_dir() != self.dir {
            for path in paths {
                if let Some(there) = self.elsewhere(store, path)
                    && let Some(info) = store.query_path_info(&there)?
                    && info.references.is_empty()
                    && info.is_content_addressed(store.store_dir())
                {
                    let archive = store.query_nar_info(&there)?;
                    let size = archive.map_or(0, |a| a.file_size);
                    found.insert(
                        path.clone(),
                        Substitutable {
                            references: BTreeSet::new(),
                            download_size: size,
                            nar_size: info.nar_size,
                        },
                    );
                }
            }
            return Ok(found);
        }
        for (path, info) in store.query_path_infos(paths)? {
            if !store.substituter_role().trusted && !self.trust.accepts(&info, store.store_dir()) {
                self.logger.warn(format!(
                    "ignoring substitute for '{}' from '{}', as it's not signed by any of the keys in 'trusted-public-keys'",
                    store.store_dir().print(&path),
                    store.uri()
                ));
                continue;
            }
            // known by now, so this asks nobody
            let archive = store.query_nar_info(&path)?;
            found.insert(
                path,
                Substitutable {
                    references: info.references.clone(),
                    download_size: archive.map_or(0, |a| a.file_size),
                    nar_size: info.nar_size,
                },
            );
        }
        Ok(found)
    }
}

impl Substituter for StoreSubstituter {
    fn query(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> firn_store::Result<BTreeMap<StorePath, Substitutable>> {
        let mut found = BTreeMap::new();
        let mut left = paths.clone();
        let mut failed: Option<Error> = None;
        for (number, store) in self.stores.iter().enumerate() {
            if left.is_empty() {
                break;
            }
            // a failure is told when somebody else is asked instead
            if let Some(error) = failed.take() {
                self.logger.message(Level::Error, error.to_string());
            }
            match self.ask(&**store, &left) {
                Ok(answers) => {
                    let mut holders = self.holders.lock();
                    for (path, answer) in answers {
                        left.remove(&path);
                        holders.entry(path.clone()).or_default().push(number);
                        found.insert(path, answer);
                    }
                }
                Err(Error::Disabled(_)) => {}
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if !left.is_empty() && !self.fallback => Err(error),
            Some(error) => {
                self.logger.message(Level::Error, error.to_string());
                Ok(found)
            }
            None => Ok(found),
        }
    }

    fn note_address(&self, path: &StorePath, address: &ContentAddress) {
        self.addresses.lock().insert(path.clone(), *address);
    }

    fn available(&self, paths: &BTreeSet<StorePath>) -> firn_store::Result<BTreeSet<StorePath>> {
        let mut left = paths.clone();
        let mut found = BTreeSet::new();
        let same = |s: &&Arc<dyn Store>| {
            s.substituter_role().want_mass_query && *s.store_dir() == self.dir
        };
        for store in self.stores.iter().filter(same) {
            found.append(&mut store.query_valid_paths(&left)?);
            left = left.difference(&found).cloned().collect();
        }
        Ok(found)
    }

    fn query_realisation(&self, id: &DrvOutput) -> firn_store::Result<Option<Realisation>> {
        for store in &self.stores {
            let found = match store.query_realisation(id) {
                Ok(found) => found,
                Err(Error::Disabled(_)) => continue,
                Err(error) => {
                    self.logger.message(Level::Error, error.to_string());
                    continue;
                }
            };
            let Some(found) = found else { continue };
            if store.substituter_role().trusted || self.trust.accepts_realisation(&found) {
                return Ok(Some(found));
            }
            self.logger.warn(format!(
                "ignoring substitute for '{id}' from '{}', as it's not signed by any of the keys in 'trusted-public-keys'",
                store.uri()
            ));
        }
        Ok(None)
    }

    fn fetch(
        &self,
        path: &StorePath,
        store: &LocalStore,
        logger: &Logger,
        parent: u64,
    ) -> firn_store::Result<()> {
        self.get(path, store, logger, parent, Repair::No)
    }

    /// What a path is in a store with another folder follows from its contents as they were registered.
    fn repair(
        &self,
        path: &StorePath,
        store: &LocalStore,
        logger: &Logger,
        parent: u64,
    ) -> firn_store::Result<()> {
        if let Some(info) = store.query_path_info(path)?
            && let Some(address) = &info.ca
            && info.references.is_empty()
        {
            self.note_address(path, address);
        }
        self.get(path, store, logger, parent, Repair::Yes)
    }
}

impl StoreSubstituter {
    fn get(
        &self,
        path: &StorePath,
        store: &LocalStore,
        logger: &Logger,
        parent: u64,
        repair: Repair,
    ) -> firn_store::Result<()> {
        let known = self.holders.lock().get(path).cloned().unwrap_or_default();
        // those that said to have it first, then all others
        let order =
            known.iter().copied().chain((0..self.stores.len()).filter(|n| !known.contains(n)));
        let mut last: Option<Error> = None;
        for number in order {
            let Some(source) = self.stores.get(number) else { continue };
            if let Some(error) = last.take() {
                tell(logger, &error);
            }
            let role = source.substituter_role();
            let there = match *source.store_dir() == self.dir {
                true => path.clone(),
                false => match self.elsewhere(&**source, path) {
                    Some(there) => there,
                    None => continue,
                },
            };
            match source.query_path_info(&there) {
                Ok(Some(info)) if role.trusted || self.trust.accepts(&info, source.store_dir()) => {
                }
                Ok(_) | Err(Error::Disabled(_)) => continue,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            }
            let shown = store.store_dir().print(path);
            let activity = logger.start(
                ActivityKind::Substitute,
                Level::Error,
                "",
                vec![Field::Text(shown), Field::Text(source.uri())],
                parent,
            );
            let trust = if role.trusted { Trust::Everybody } else { self.trust.clone() };
            let mut options = CopyOptions::new(trust, logger.clone());
            options.parent = activity.id();
            options.repair = repair;
            options.cancel = Arc::clone(&self.cancel);
            match copy_path(&**source, store, &there, &options) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error),
            None => Err(Error::Gone(format!(
                "path '{}' is required, but there is no substituter that can build it",
                store.store_dir().print(path)
            ))),
        }
    }
}

/// A lost archive is no error: it is as if it had never been there.
fn tell(logger: &Logger, error: &Error) {
    match error {
        Error::Gone(text) => logger.warn(text.clone()),
        other => logger.message(Level::Error, other.to_string()),
    }
}
