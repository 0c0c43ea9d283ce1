//! What the sandbox's child process is told: a plain description that crosses a socket as JSON.
//!
//! The side that knows stores and derivations makes it; the side that sets up namespaces and runs
//! the builder needs nothing else.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::builtin::BuiltinSpec;

/// Everything about one run of a builder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// What runs.
    pub builder: Builder,
    /// Its whole environment.
    pub env: Vec<(Bytes, Bytes)>,
    /// Its working directory, as it sees it.
    pub cwd: PathBuf,
    /// The private view of the machine; `None` runs without a sandbox.
    pub namespaces: Option<Namespaces>,
    /// The directory of the cgroup that it runs in, if it has one of its own. The guard removes it.
    pub cgroup: Option<PathBuf>,
    /// Who it runs as, if the launching process is to change that outside of a user namespace.
    pub user: Option<BuildUser>,
    /// Fail where the groups of the launching process cannot be given up (`require-drop-supplementary-groups`).
    pub must_drop_groups: bool,
    /// Install the system call filter (`filter-syscalls`).
    pub filter_syscalls: bool,
    /// Let set-id programs work (`allow-new-privileges`).
    pub allow_new_privileges: bool,
    /// The derivation's `system`, which decides about a 32-bit personality.
    pub system: String,
    /// Claim to be Linux 2.6 (`impersonate-linux-26`).
    pub impersonate_linux_26: bool,
}

/// What runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Builder {
    /// A program.
    Program {
        /// Its path, as the sandbox has it.
        path: Bytes,
        /// Its arguments, the name first.
        args: Vec<Bytes>,
    },
    /// One of the builders of this program, run in the sandbox like any other.
    Builtin(Box<BuiltinSpec>),
}

/// The account that a builder runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildUser {
    /// Its number, the first of them if it has several.
    pub uid: u32,
    /// Its group, the first of them likewise.
    pub gid: u32,
    /// How many numbers it has: one, or a range (`uid-range`).
    pub count: u32,
    /// Its further groups.
    pub groups: Vec<u32>,
}

/// A private view of the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespaces {
    /// The prepared root, a directory that only its owner can reach.
    pub root: PathBuf,
    /// How accounts are mapped; `None` means no user namespace, and then there is a build user.
    pub map: Option<IdMap>,
    /// Whether the network is cut off.
    pub private_network: bool,
    /// What is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// The size of `/dev/shm`, as tmpfs takes it (`sandbox-dev-shm-size`); `None`: no `/dev/shm`.
    pub shm_size: Option<String>,
    /// Whether to make a private `/dev/pts`.
    pub devpts: bool,
    /// Whether to mount `/sys`.
    pub sysfs: bool,
    /// A directory, as seen inside, in which inputs may appear while the builder runs
    /// ([`super::LateInputs`]).
    pub late_inputs: Option<PathBuf>,
}

/// Accounts and groups seen inside, and what they are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// The first account inside.
    pub inside_uid: u32,
    /// Account outside.
    pub outside_uid: u32,
    /// The first group inside.
    pub inside_gid: u32,
    /// Group outside.
    pub outside_gid: u32,
    /// How many follow each other.
    pub count: u32,
}

/// A bind mount into the root, where a fitting file or directory waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: PathBuf,
    /// Where it appears, absolute as seen inside.
    pub target: PathBuf,
    /// Whether it may not be changed through this mount.
    pub read_only: bool,
}

/// Bytes that are mostly text, written to JSON as a string with one character a byte.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Bytes {
    fn from(bytes: &T) -> Self {
        Self(bytes.as_ref().to_vec())
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", bstr::BStr::new(&self.0))
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.iter().map(|b| char::from(*b)).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.chars()
            .map(|c| u8::try_from(c).map_err(|_| serde::de::Error::custom("not a byte")))
            .collect::<Result<_, _>>()
            .map(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn any_bytes_survive() {
        let all: Vec<u8> = (0..=255).collect();
        let text = serde_json::to_string(&Bytes(all.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap().0, all);
        assert!(serde_json::from_str::<Bytes>("\"\u{100}\"").is_err());
    }
}
