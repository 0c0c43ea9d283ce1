//! `packages.json`: what is wanted from Debian, and how it is put together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::{Error, Result};

/// The file's contents.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Debian's name of the release, as in its folders: `bookworm`.
    pub suite: String,
    /// The release's number.
    pub release: String,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// The packages that are wanted; their dependencies come along.
    pub roots: Vec<String>,
    /// Packages that are never taken, whoever depends on them.
    pub drop: BTreeSet<String>,
    /// Virtual package → the package that provides it here.
    #[serde(default)]
    pub choose: BTreeMap<String, String>,
    /// Packages that share one store path.
    pub groups: BTreeMap<String, Group>,
    /// Settings of packages that have a store path of their own.
    pub packages: BTreeMap<String, Settings>,
}

/// Several packages in one store path.
#[derive(Debug, Default, Deserialize)]
pub struct Group {
    /// The packages; the first gives the version.
    pub debs: Vec<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// Settings of a store path.
#[derive(Debug, Default, Deserialize)]
pub struct Settings {
    /// Dependencies that looking into the files does not show.
    #[serde(default)]
    deps: Vec<String>,
    /// Dependencies that it shows and that are not wanted.
    #[serde(default)]
    without: Vec<String>,
    /// Further parameters of the builder.
    spec: Option<serde_json::Value>,
}

static NONE: Settings = Settings { deps: Vec::new(), without: Vec::new(), spec: None };

impl Wanted {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read(path).map_err(|error| Error::Io("read", path.to_owned(), error))?;
        let wanted: Self = serde_json::from_slice(&text)
            .map_err(|error| Error::Format(path.to_owned(), error.to_string()))?;
        let mut seen = BTreeSet::new();
        for name in wanted.groups.values().flat_map(|group| &group.debs) {
            if !seen.insert(name) {
                return Err(Error::Format(path.to_owned(), format!("'{name}' is in two groups")));
            }
        }
        Ok(wanted)
    }

    /// The key of the store path that a package goes into.
    pub fn key_of(&self, name: &str) -> String {
        self.groups
            .iter()
            .find(|(_, group)| group.debs.iter().any(|deb| deb == name))
            .map_or(name, |(key, _)| key)
            .to_owned()
    }

    fn settings(&self, key: &str) -> &Settings {
        self.groups
            .get(key)
            .map(|group| &group.settings)
            .or_else(|| self.packages.get(key))
            .unwrap_or(&NONE)
    }

    /// The builder's further parameters for a store path.
    pub fn spec(&self, key: &str) -> Option<&serde_json::Value> {
        self.settings(key).spec.as_ref()
    }

    /// Dependencies that are listed by hand: those named, and those whose paths the parameters mention.
    pub fn deps(&self, key: &str) -> BTreeSet<String> {
        let mut deps: BTreeSet<String> = self.settings(key).deps.iter().cloned().collect();
        let text = self.spec(key).map(ToString::to_string).unwrap_or_default();
        for part in text.split("@dep:").skip(1) {
            if let Some((name, _)) = part.split_once('@') {
                deps.insert(name.to_owned());
            }
        }
        deps
    }

    /// Dependencies that are ruled out by hand.
    pub fn without(&self, key: &str) -> &[String] {
        &self.settings(key).without
    }

    /// Links and files that the parameters add to a store path.
    pub fn added_files(&self, key: &str) -> Vec<String> {
        ["symlinks", "write", "concat"]
            .iter()
            .filter_map(|kind| self.spec(key)?.get(kind)?.as_object())
            .flat_map(|object| object.keys().cloned())
            .collect()
    }

    /// Strings in ELF files that become paths of dependencies: everything compiled in, or nothing.
    pub fn uses_compiled_paths(&self, key: &str) -> bool {
        self.spec(key).and_then(|spec| spec.get("autoStrings")?.as_bool()).unwrap_or(true)
    }
}
