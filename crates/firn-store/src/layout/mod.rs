//! Where a store's parts are: the logical store directory, the real one, state and logs.
//!
//! Decides from the environment and from store addresses (`local?root=…`) as C++ Nix does (manual,
//! "Store Types: Local Store"). Opens and creates nothing, except what [`locate`] says.

mod environment;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use firn_model::store_path::{StoreDir, StorePath};

pub use environment::Environment;
pub use reference::StoreReference;

use crate::error::{Error, Result};

/// The directories of one local store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLayout {
    /// The directory that store paths are printed with and that digests contain: `/nix/store`.
    pub store_dir: StoreDir,
    /// Where the contents really are; differs from `store_dir` in a chroot store.
    pub real_store_dir: PathBuf,
    /// The database, roots, profiles: `/nix/var/nix`.
    pub state_dir: PathBuf,
    /// Build logs: `/nix/var/log/nix`.
    pub log_dir: PathBuf,
}

/// Which store was found, and what to tell the user about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The store.
    pub store: Location,
    /// Messages at warning level, without the word "warning".
    pub warnings: Vec<String>,
}

/// A store of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A store on this machine that this process can write.
    Local {
        /// Its directories.
        layout: StoreLayout,
        /// Whether it was opened with `read-only=true`.
        read_only: bool,
    },
    /// The store of a daemon that listens on this socket.
    Daemon {
        /// The socket.
        socket: PathBuf,
        /// The directories of its store, whose contents are on this machine too.
        layout: StoreLayout,
        /// The parameters of its address.
        params: BTreeMap<String, String>,
    },
    /// A store of another scheme (`https`, `ssh-ng`, `file`, …), for its own crate to open.
    Other(StoreReference),
}

impl StoreLayout {
    /// The layout of a store below `root`, as C++ Nix lays it out: `root/nix/store` holds
    /// `/nix/store`.
    #[must_use]
    pub fn in_root(root: &Path) -> Self {
        Self {
            store_dir: StoreDir::default(),
            real_store_dir: root.join("nix/store"),
            state_dir: root.join("nix/var/nix"),
            log_dir: root.join("nix/var/log/nix"),
        }
    }

    /// The layout that the environment alone asks for: `/nix`, or `NIX_STORE_DIR`,
    /// `NIX_STATE_DIR` and `NIX_LOG_DIR`.
    ///
    /// # Errors
    /// If a variable is not an absolute path.
    pub fn from_environment(env: &Environment) -> Result<Self> {
        let store = match env.nonempty("NIX_STORE_DIR").or_else(|| env.nonempty("NIX_STORE")) {
            Some(dir) => text("NIX_STORE_DIR", canonical(&dir))?,
            None => "/nix/store".to_owned(),
        };
        let dir = |name: &str, default: &str| {
            env.nonempty(name).map_or_else(|| PathBuf::from(default), |dir| canonical(&dir))
        };
        Ok(Self {
            store_dir: StoreDir::new(&store).map_err(Error::model)?,
            real_store_dir: PathBuf::from(store),
            state_dir: dir("NIX_STATE_DIR", "/nix/var/nix"),
            log_dir: dir("NIX_LOG_DIR", "/nix/var/log/nix"),
        })
    }

    /// The local store that the environment selects (`NIX_REMOTE`, `NIX_STORE_DIR`, …, or what is
    /// there and writable); the second value is what to warn of.
    ///
    /// # Errors
    /// If the environment selects a store that is not local, or names one that makes no sense.
    pub fn detect(env: &Environment) -> Result<(Self, Vec<String>)> {
        let located = locate(env, None)?;
        match located.store {
            Location::Local { layout, .. } => Ok((layout, located.warnings)),
            Location::Daemon { socket, .. } => Err(Error::Usage(format!(
                "the store of the daemon at {socket:?} is not a local store"
            ))),
            Location::Other(reference) => {
                Err(Error::Usage(format!("'{}' is not a local store", reference.render())))
            }
        }
    }

    /// Whether contents are elsewhere than where store paths say, so that using them needs a mount
    /// namespace.
    #[must_use]
    pub fn is_chroot(&self) -> bool {
        Path::new(self.store_dir.as_str()) != self.real_store_dir
    }

    /// The store's address, as messages name it.
    #[must_use]
    pub fn uri(&self) -> String {
        if !self.is_chroot() {
            return "local".to_owned();
        }
        let real = self.real_store_dir.to_string_lossy();
        format!("local?root={}", real.strip_suffix(self.store_dir.as_str()).unwrap_or(&real))
    }

    /// Where the contents of `path` are.
    #[must_use]
    pub fn real_path(&self, path: &StorePath) -> PathBuf {
        self.real_store_dir.join(path.base_name())
    }

    /// The directory of the database.
    #[must_use]
    pub fn db_dir(&self) -> PathBuf {
        self.state_dir.join("db")
    }

    /// The directory of the hard links that optimising makes.
    #[must_use]
    pub fn links_dir(&self) -> PathBuf {
        self.real_store_dir.join(".links")
    }

    /// The directory of the garbage collector's roots.
    #[must_use]
    pub fn gc_roots_dir(&self) -> PathBuf {
        self.state_dir.join("gcroots")
    }

    /// The directory of profiles.
    #[must_use]
    pub fn profiles_dir(&self) -> PathBuf {
        self.state_dir.join("profiles")
    }

    /// The directory of the per-process files of temporary roots.
    #[must_use]
    pub fn temp_roots_dir(&self) -> PathBuf {
        self.state_dir.join("temproots")
    }

    /// The file that holds the log of the build of `drv`, without the suffix of its compression.
    #[must_use]
    pub fn log_file(&self, drv: &StorePath) -> PathBuf {
        let (dir, file) = drv.base_name().split_at(2);
        self.log_dir.join("drvs").join(dir).join(file)
    }
}

/// Finds the store: `uri` (from `--store`), else `NIX_REMOTE`, else automatically.
///
/// Automatically means: the store of `/nix` (or of the environment's directories) if its state is
/// writable or the process is root; else a daemon if its socket is there; else a chroot store in the
/// user's data directory, whose directory is created.
///
/// # Errors
/// If the address cannot be parsed or has parameters that make no sense.
pub fn locate(env: &Environment, uri: Option<&str>) -> Result<Located> {
    let uri = match uri {
        Some(uri) => uri.to_owned(),
        None => env.string("NIX_REMOTE").unwrap_or_default(),
    };
    let reference = StoreReference::parse(&uri, env)?;
    match reference.scheme.as_str() {
        "auto" => automatic(env, &reference),
        "local" => Ok(Located { store: local(env, &reference)?, warnings: Vec::new() }),
        "unix" | "daemon" => {
            let socket = match reference.authority.as_str() {
                "" => daemon_socket(env, &StoreLayout::from_environment(env)?),
                path => PathBuf::from(path),
            };
            let plain = StoreReference { authority: String::new(), ..reference.clone() };
            let Location::Local { layout, .. } = local(env, &plain)? else {
                return Err(Error::Usage("a daemon's store has no folders".to_owned()));
            };
            let store = Location::Daemon { socket, layout, params: reference.params };
            Ok(Located { store, warnings: Vec::new() })
        }
        _ => Ok(Located { store: Location::Other(reference), warnings: Vec::new() }),
    }
}

fn automatic(env: &Environment, reference: &StoreReference) -> Result<Located> {
    let Location::Local { layout, read_only } = local(env, reference)? else {
        return Err(Error::Usage("automatic store selection found no local store".to_owned()));
    };
    let mut warnings = Vec::new();
    let found = |store, warnings| Ok(Located { store, warnings });
    let state = &layout.state_dir;
    if env.is_root() || accessible(state) {
        return found(Location::Local { layout, read_only }, warnings);
    }
    let socket = daemon_socket(env, &layout);
    if socket.exists() {
        let params = reference.params.clone();
        return found(Location::Daemon { socket, layout, params }, warnings);
    }
    let asked_for = ["NIX_STORE_DIR", "NIX_STATE_DIR"].iter().any(|v| env.string(v).is_some());
    if asked_for || !reference.params.is_empty() || could_be_created(state) {
        return found(Location::Local { layout, read_only }, warnings);
    }
    let root = env.data_dir()?.join("root");
    if !root.exists() {
        if std::fs::create_dir_all(&root).is_err() {
            return found(Location::Local { layout, read_only }, warnings);
        }
        let why = if state.exists() { "is not writable" } else { "does not exist" };
        warnings.push(format!(
            "'{}' {why}, so Nix will use {root:?} as a chroot store",
            state.display()
        ));
    }
    found(Location::Local { layout: StoreLayout::in_root(&root), read_only }, warnings)
}

/// Applies the parameters `root`, `store`, `real`, `state`, `log` and `read-only`.
fn local(env: &Environment, reference: &StoreReference) -> Result<Location> {
    let mut layout = StoreLayout::from_environment(env)?;
    let mut params = reference.params.clone();
    let mut take = |name: &str| params.remove(name).filter(|v| !v.is_empty());
    if let Some(store) = take("store") {
        let store = text("store", canonical(store.as_ref()))?;
        layout.store_dir = StoreDir::new(&store).map_err(Error::model)?;
        layout.real_store_dir = PathBuf::from(store);
    }
    let authority = Some(reference.authority.clone()).filter(|a| !a.is_empty() && a != "/");
    if let Some(root) = take("root").or(authority) {
        let root = absolute("root", &root)?;
        let inside = StoreLayout::in_root(&root);
        layout.real_store_dir = inside.real_store_dir;
        layout.state_dir = inside.state_dir;
        layout.log_dir = inside.log_dir;
    }
    if let Some(dir) = take("real") {
        layout.real_store_dir = absolute("real", &dir)?;
    }
    if let Some(dir) = take("state") {
        layout.state_dir = absolute("state", &dir)?;
    }
    if let Some(dir) = take("log") {
        layout.log_dir = absolute("log", &dir)?;
    }
    let read_only = match take("read-only").as_deref() {
        None | Some("false" | "no" | "0") => false,
        Some("true" | "yes" | "1") => true,
        Some(other) => {
            return Err(Error::Usage(format!(
                "Boolean setting 'read-only' has invalid value '{other}'"
            )));
        }
    };
    Ok(Location::Local { layout, read_only })
}

fn daemon_socket(env: &Environment, layout: &StoreLayout) -> PathBuf {
    env.nonempty("NIX_DAEMON_SOCKET_PATH")
        .map_or_else(|| layout.state_dir.join("daemon-socket/socket"), PathBuf::from)
}

/// Whether this process can read and write the directory.
fn accessible(dir: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(dir, Access::READ_OK | Access::WRITE_OK).is_ok()
}

/// Whether the nearest folder above that exists is writable, so that `dir` could be made.
fn could_be_created(dir: &Path) -> bool {
    !dir.exists() && dir.ancestors().find(|d| d.exists()).is_some_and(accessible)
}

fn absolute(parameter: &str, dir: &str) -> Result<PathBuf> {
    if !dir.starts_with('/') {
        return Err(Error::Usage(format!(
            "not an absolute path: {dir:?} (in the store parameter '{parameter}')"
        )));
    }
    Ok(canonical(dir.as_ref()))
}

fn text(what: &str, path: PathBuf) -> Result<String> {
    path.into_os_string().into_string().map_err(|path| {
        Error::Usage(format!("{what} must be valid UTF-8, but is {}", path.display()))
    })
}

/// Removes `.`, `..`, double and trailing slashes without looking at the disk.
#[must_use]
pub fn canonical(path: &std::ffi::OsStr) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}
