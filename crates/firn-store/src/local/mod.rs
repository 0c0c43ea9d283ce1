//! The store on this machine: a folder of immutable paths and the SQLite database that knows them.
//!
//! [`LocalStore`] is split by what is done to it: [`mod@self`] opens it, `query` asks, `add` and
//! `register` change it, `realisations` keeps what outputs came to be, `temp_roots`, `roots` and `gc` collect garbage, `verify` and `optimise`
//! look after it, `log` keeps build logs; `overlay` lays a store over another.

mod add;
mod add_objects;
pub mod gc;
mod gc_server;
mod log;
pub mod optimise;
mod overlay;
mod query;
mod realisations;
mod register;
pub mod roots;
mod runtime_roots;
mod store_impl;
mod temp_roots;
#[cfg(test)]
mod tests;
pub mod verify;

pub use add_objects::{NewObject, NewSource, NewText, Prepared};
pub use log::read_build_log;
pub use overlay::Overlay;

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firn_event::{Level, Logger};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;
use parking_lot::Mutex;

use crate::db::{self, Database};
use crate::error::{Error, Result};
use crate::fs::create_dirs;
use crate::layout::StoreLayout;
use crate::modulo::Modulos;
use crate::settings::Settings;

/// How a local store behaves; plain data, mostly from [`Settings`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Never write anything, not even locks.
    pub read_only: bool,
    /// The group of the build users, who may then write to the store's folder (as root only).
    pub build_users_group: String,
    /// Allow the store's folder to be reached through symbolic links.
    pub allow_symlinked_store: bool,
    /// Use a write-ahead log for the database.
    pub wal: bool,
    /// Wait for the disk when the database changes.
    pub fsync_metadata: bool,
    /// Wait for the disk before a path is registered, so that it is whole after a power cut.
    pub fsync_store_paths: bool,
    /// Keep the outputs of live derivations.
    pub keep_outputs: bool,
    /// Keep the derivations of live outputs.
    pub keep_derivations: bool,
    /// Replace equal files by hard links as they are added.
    pub auto_optimise: bool,
    /// Collect garbage when fewer bytes than this are free; 0 for never.
    pub min_free: u64,
    /// How many bytes shall be free then.
    pub max_free: u64,
    /// How often to look at how many are free.
    pub min_free_check_interval: Duration,
    /// A file that says how many bytes are free, in place of the file system: for tests.
    pub free_space_file: Option<std::path::PathBuf>,
    /// Bytes to set aside for the time when the disk is full.
    pub reserved_space: u64,
    /// Up to how many bytes a source is kept in memory instead of being read twice.
    pub nar_buffer_size: u64,
    /// Know derivations whose outputs' paths follow from their contents (experimental feature
    /// `ca-derivations`): realisations are kept and looked for.
    pub ca_derivations: bool,
    /// Extended attributes that files may keep.
    pub ignored_xattrs: Vec<String>,
    /// Where messages go.
    pub logger: Logger,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::from_settings(&Settings::default(), Logger::silent())
    }
}

impl StoreOptions {
    /// What the settings say.
    #[must_use]
    pub fn from_settings(settings: &Settings, logger: Logger) -> Self {
        Self {
            read_only: false,
            build_users_group: settings.text("build-users-group").to_owned(),
            allow_symlinked_store: settings.bool("allow-symlinked-store"),
            wal: settings.bool("use-sqlite-wal"),
            fsync_metadata: settings.bool("fsync-metadata"),
            fsync_store_paths: settings.bool("fsync-store-paths"),
            keep_outputs: settings.bool("keep-outputs"),
            keep_derivations: settings.bool("keep-derivations"),
            auto_optimise: settings.bool("auto-optimise-store"),
            min_free: settings.number("min-free"),
            max_free: settings.number("max-free"),
            min_free_check_interval: Duration::from_secs(
                settings.number("min-free-check-interval"),
            ),
            free_space_file: None,
            reserved_space: settings.number("gc-reserved-space"),
            nar_buffer_size: settings.number("nar-buffer-size"),
            ca_derivations: settings.has_feature("ca-derivations"),
            ignored_xattrs: settings.words("ignored-acls"),
            logger,
        }
    }
}

/// A store on this machine.
#[derive(Debug)]
pub struct LocalStore {
    layout: StoreLayout,
    options: StoreOptions,
    db: Database,
    temp_roots: Arc<temp_roots::TempRoots>,
    /// What is known of valid paths, so that evaluation need not ask the database again.
    cache: Mutex<HashMap<StorePath, Arc<PathInfo>>>,
    /// Hashes of derivations modulo their inputs, each computed once.
    modulos: Modulos,
    /// Paths that are locked by another process for this one.
    assumed_locks: Mutex<HashSet<StorePath>>,
    /// When it was last looked at how much space is free.
    space_checked: Mutex<Option<Instant>>,
    /// What it is laid over.
    layers: Option<Arc<overlay::Layers>>,
}

impl LocalStore {
    /// Opens the store, creating its folders and database if there are none.
    ///
    /// # Errors
    /// If they cannot be made or opened, or the database is damaged or too new.
    pub fn open(layout: StoreLayout, options: StoreOptions) -> Result<Self> {
        if !options.read_only {
            create_folders(&layout, &options)?;
        }
        if !options.allow_symlinked_store {
            refuse_symlinks(&layout.real_store_dir)?;
        }
        let db = Database::open(
            &layout.db_dir(),
            db::OpenOptions {
                read_only: options.read_only,
                wal: options.wal,
                sync: options.fsync_metadata,
                realisations: options.ca_derivations,
            },
        )?;
        let temp_roots = temp_roots::TempRoots::of(&layout);
        let store = Self {
            layout,
            options,
            db,
            temp_roots,
            cache: Mutex::default(),
            modulos: Modulos::default(),
            assumed_locks: Mutex::default(),
            space_checked: Mutex::default(),
            layers: None,
        };
        if !store.options.read_only {
            store.reserve_space();
        }
        Ok(store)
    }

    /// Its directories.
    #[must_use]
    pub fn layout(&self) -> &StoreLayout {
        &self.layout
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Its database, for tools.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    pub(crate) fn logger(&self) -> &Logger {
        &self.options.logger
    }

    pub(crate) fn info(&self, text: impl Into<String>) {
        self.options.logger.message(Level::Info, text);
    }

    fn print(&self, path: &StorePath) -> String {
        self.layout.store_dir.print(path)
    }

    /// Keeps a file that can be deleted when the disk is full, since the collector itself needs some
    /// space for the database. Failure does not matter.
    fn reserve_space(&self) {
        let file = self.layout.db_dir().join("reserved");
        let size = self.options.reserved_space;
        if file.symlink_metadata().is_ok_and(|m| m.len() == size) {
            return;
        }
        let Ok(open) =
            std::fs::File::options().write(true).create(true).truncate(false).open(&file)
        else {
            return;
        };
        if rustix::fs::fallocate(&open, rustix::fs::FallocateFlags::empty(), 0, size).is_ok() {
            let _ = open.set_len(size);
        }
    }
}

fn create_folders(layout: &StoreLayout, options: &StoreOptions) -> Result<()> {
    create_dirs(&layout.real_store_dir)?;
    make_writable(&layout.real_store_dir)?;
    create_dirs(&layout.links_dir())?;
    for dir in [layout.profiles_dir(), layout.gc_roots_dir()] {
        let per_user = dir.join("per-user");
        create_dirs(&per_user)?;
        let meta = per_user.metadata().map_err(Error::io("getting status of", &per_user))?;
        if meta.permissions().mode() & 0o7777 != 0o755 {
            std::fs::set_permissions(&per_user, std::fs::Permissions::from_mode(0o755))
                .map_err(Error::io("changing mode of", &per_user))?;
        }
    }
    create_dirs(&layout.temp_roots_dir())?;
    create_dirs(&layout.db_dir())?;
    give_to_build_group(layout, options)
}

/// Lets build users create their outputs in the store's folder, but not remove others'.
fn give_to_build_group(layout: &StoreLayout, options: &StoreOptions) -> Result<()> {
    let group = &options.build_users_group;
    if group.is_empty() || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some(gid) = group_id(group) else {
        // Builds then run as root in a user namespace of their own, which is no reason to worry.
        options.logger.message(
            Level::Talkative,
            format!("the group '{group}' specified in 'build-users-group' does not exist"),
        );
        return Ok(());
    };
    let dir = &layout.real_store_dir;
    let meta = dir.metadata().map_err(Error::io("getting status of", dir))?;
    if meta.uid() != 0 || meta.gid() != gid || meta.mode() & 0o7777 != 0o1775 {
        std::os::unix::fs::chown(dir, Some(0), Some(gid))
            .map_err(Error::io("changing owner of", dir))?;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o1775))
            .map_err(Error::io("changing mode of", dir))?;
    }
    Ok(())
}

/// The number of a group in `/etc/group`.
fn group_id(name: &str) -> Option<u32> {
    let text = std::fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// A store on a read-only mount is made writable for this process (and its mount namespace).
fn make_writable(dir: &Path) -> Result<()> {
    use rustix::fs::StatVfsMountFlags;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let stat = rustix::fs::statvfs(dir).map_err(Error::os("getting info about", dir))?;
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        use rustix::mount::{MountFlags, mount_remount};
        mount_remount(dir, MountFlags::BIND, c"").map_err(Error::os("remounting writable", dir))?;
    }
    Ok(())
}

fn refuse_symlinks(dir: &Path) -> Result<()> {
    for dir in dir.ancestors() {
        if dir.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
            return Err(Error::SymlinkedStore { path: dir.to_owned() });
        }
    }
    Ok(())
}
