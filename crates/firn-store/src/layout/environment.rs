//! What of the process's environment decides where stores and settings are, as plain data.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::error::{Error, Result};

/// Environment variables and the user's id; taken once, so that tests can make their own.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    root: bool,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn current() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// An environment of the given variables, for a user who is root or not.
    #[must_use]
    pub fn from_variables<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        root: bool,
    ) -> Self {
        Self { variables: variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect(), root }
    }

    /// Whether the effective user is root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// A variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable that is not the empty string.
    #[must_use]
    pub fn nonempty(&self, name: &str) -> Option<OsString> {
        self.get(name).filter(|v| !v.is_empty()).map(OsStr::to_owned)
    }

    /// A variable as text; other bytes are replaced.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<String> {
        self.get(name).map(|v| v.to_string_lossy().into_owned())
    }

    /// The home directory, from `HOME`.
    ///
    /// # Errors
    /// If `HOME` is not set.
    pub fn home(&self) -> Result<PathBuf> {
        self.nonempty("HOME").map(PathBuf::from).ok_or_else(|| {
            Error::Usage("cannot determine user's home directory: HOME is not set".to_owned())
        })
    }

    /// Where the user's data of Nix is: `NIX_DATA_HOME`, `$XDG_DATA_HOME/nix`,
    /// `~/.local/share/nix`.
    ///
    /// # Errors
    /// If none of these is known.
    pub fn data_dir(&self) -> Result<PathBuf> {
        self.xdg("NIX_DATA_HOME", "XDG_DATA_HOME", ".local/share")
    }

    /// Where the user's state of Nix is: `NIX_STATE_HOME`, `$XDG_STATE_HOME/nix`,
    /// `~/.local/state/nix`.
    ///
    /// # Errors
    /// If none of these is known.
    pub fn state_dir(&self) -> Result<PathBuf> {
        self.xdg("NIX_STATE_HOME", "XDG_STATE_HOME", ".local/state")
    }

    /// Where the user's cache of Nix is: `NIX_CACHE_HOME`, `$XDG_CACHE_HOME/nix`, `~/.cache/nix`.
    ///
    /// # Errors
    /// If none of these is known.
    pub fn cache_dir(&self) -> Result<PathBuf> {
        self.xdg("NIX_CACHE_HOME", "XDG_CACHE_HOME", ".cache")
    }

    /// Where the user's configuration of Nix is: `NIX_CONFIG_HOME`, `$XDG_CONFIG_HOME/nix`,
    /// `~/.config/nix`.
    ///
    /// # Errors
    /// If none of these is known.
    pub fn config_dir(&self) -> Result<PathBuf> {
        self.xdg("NIX_CONFIG_HOME", "XDG_CONFIG_HOME", ".config")
    }

    fn xdg(&self, own: &str, xdg: &str, below_home: &str) -> Result<PathBuf> {
        if let Some(dir) = self.nonempty(own) {
            return Ok(dir.into());
        }
        let base = match self.nonempty(xdg) {
            Some(dir) => PathBuf::from(dir),
            None => self.home()?.join(below_home),
        };
        Ok(base.join("nix"))
    }
}
