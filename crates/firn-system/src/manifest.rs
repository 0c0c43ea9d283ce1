//! `activation.json`: what a toplevel wants of the system it is activated on.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, IoContext as _, Result};

/// The version of the format that this code reads.
pub const VERSION: u64 = 1;

/// What a toplevel wants of the system it is activated on.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    version: u64,
    /// Files of `/etc`.
    #[serde(default)]
    pub etc: Vec<EtcEntry>,
    /// Declared users.
    #[serde(default)]
    pub users: Vec<User>,
    /// Declared groups.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Whether users, groups and passwords that were made by hand stay.
    #[serde(default = "yes")]
    pub mutable_users: bool,
    /// Scripts to run, in order.
    #[serde(default)]
    pub scripts: Vec<Script>,
    /// The host's name, unless the network gives one.
    #[serde(default)]
    pub host_name: Option<String>,
    /// The folder with all units.
    #[serde(default)]
    pub unit_dir: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

/// A file of `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EtcEntry {
    /// Where, relative to `/etc`.
    pub target: String,
    /// What: a file or folder, mostly in the store.
    pub source: PathBuf,
    /// `symlink` and `direct-symlink` link to the source; an octal mode copies it.
    #[serde(default = "symlink")]
    pub mode: String,
    /// Owner of a copy: a name or a number.
    #[serde(default = "root")]
    pub user: String,
    /// Group of a copy: a name or a number.
    #[serde(default = "root")]
    pub group: String,
}

fn symlink() -> String {
    "symlink".to_owned()
}

fn root() -> String {
    "root".to_owned()
}

/// A declared user.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The login name.
    pub name: String,
    /// The number, or none to have one assigned.
    pub uid: Option<u32>,
    /// The primary group.
    pub group: String,
    /// Further groups.
    #[serde(default)]
    pub extra_groups: Vec<String>,
    /// The home folder.
    pub home: PathBuf,
    /// Whether to make the home folder.
    #[serde(default)]
    pub create_home: bool,
    /// The mode of a home folder that is made, in octal.
    #[serde(default)]
    pub home_mode: Option<String>,
    /// The login shell.
    pub shell: String,
    /// The full name.
    #[serde(default)]
    pub description: String,
    /// Whether its number is to come from the range for services.
    #[serde(default)]
    pub is_system_user: bool,
    /// The password's hash, kept at this value unless users are mutable.
    #[serde(default)]
    pub hashed_password: Option<String>,
    /// A file with the password's hash.
    #[serde(default)]
    pub hashed_password_file: Option<PathBuf>,
    /// The hash that a new user gets.
    #[serde(default)]
    pub initial_hashed_password: Option<String>,
    /// The password that a new user gets, in plain text.
    #[serde(default)]
    pub initial_password: Option<String>,
    /// The day from which the account is closed, as `YYYY-MM-DD`.
    #[serde(default)]
    pub expires: Option<String>,
    /// Numbers that the user may use for other users inside a user namespace.
    #[serde(default)]
    pub sub_uid_ranges: Vec<SubIdRange>,
    /// Numbers that the user may use for groups inside a user namespace.
    #[serde(default)]
    pub sub_gid_ranges: Vec<SubIdRange>,
    /// Whether to choose a range of each kind for the user.
    #[serde(default)]
    pub auto_sub_uid_gid_range: bool,
}

/// A range of subordinate numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct SubIdRange {
    /// The first one.
    #[serde(alias = "startUid", alias = "startGid")]
    pub start: u32,
    /// How many.
    pub count: u64,
}

/// A declared group.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    /// The name.
    pub name: String,
    /// The number, or none to have one assigned.
    pub gid: Option<u32>,
    /// Users in it besides those that name it themselves.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A script that activation runs.
#[derive(Debug, Clone, Deserialize)]
pub struct Script {
    /// For messages.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Whether it can also run to say what it would do.
    #[serde(default, rename = "supportsDryActivation")]
    pub supports_dry_activation: bool,
}

impl Manifest {
    /// Reads the manifest of `toplevel`.
    ///
    /// # Errors
    /// If it is absent, malformed, or of another version.
    pub fn read(toplevel: &Path) -> Result<Self> {
        let path = toplevel.join("activation.json");
        let text = std::fs::read(&path).at("read", &path)?;
        Self::parse(&text).map_err(|what| Error::Manifest { path: toplevel.to_owned(), what })
    }

    /// Parses the content of an `activation.json`.
    ///
    /// # Errors
    /// If it is malformed or of another version; the text says where.
    pub fn parse(text: &[u8]) -> std::result::Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(text).map_err(|e| format!("activation.json: {e}"))?;
        if manifest.version != VERSION {
            return Err(format!(
                "activation.json has version {}, this program reads version {VERSION}",
                manifest.version
            ));
        }
        for entry in &manifest.etc {
            let plain = Path::new(&entry.target)
                .components()
                .all(|c| matches!(c, std::path::Component::Normal(_)));
            if !plain || entry.target.is_empty() {
                return Err(format!(
                    "the /etc file '{}' is not a plain path relative to /etc",
                    entry.target
                ));
            }
        }
        for name in
            manifest.users.iter().map(|u| &u.name).chain(manifest.groups.iter().map(|g| &g.name))
        {
            if name.is_empty() || name.contains([':', '\n', '/']) {
                return Err(format!("'{name}' cannot be the name of a user or group"));
            }
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_has_a_default() {
        let m = Manifest::parse(
            br#"{"version":1,"etc":[{"target":"a/b","source":"/x"}],
                 "users":[{"name":"u","uid":null,"group":"g","home":"/h","shell":"/s"}]}"#,
        )
        .unwrap();
        assert_eq!(m.etc[0].mode, "symlink");
        assert!(m.mutable_users);
        assert_eq!(m.users[0].uid, None);
    }

    #[test]
    fn what_would_lead_out_of_etc_is_refused() {
        for target in ["../passwd", "/etc/passwd", "a/../../b", ""] {
            let text = format!(r#"{{"version":1,"etc":[{{"target":"{target}","source":"/x"}}]}}"#);
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{target}");
        }
        let err = Manifest::parse(br#"{"version":2}"#).unwrap_err();
        assert!(err.contains("version 2"), "{err}");
        assert!(Manifest::parse(br#"{"version":1,"groups":[{"name":"a:b","gid":1}]}"#).is_err());
    }
}
