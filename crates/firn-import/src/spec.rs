//! The builder's parameters, its surroundings and its report, as types. Their meaning is described
//! in this crate's README; the code that acts on them is in [`crate::pipeline`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What sort of sources a package comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `.deb` files.
    #[default]
    Debian,
    /// Tarballs, npm's too.
    Tarball,
    /// A single file, or a folder that is copied.
    Binary,
}

/// A text replacement in files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replace {
    /// Globs of the files in the output; empty means all.
    #[serde(default)]
    pub files: Vec<String>,
    /// What is looked for.
    pub from: String,
    /// What it becomes.
    pub to: String,
    /// Do not fail when nothing matches.
    #[serde(default)]
    pub optional: bool,
}

/// A whole string inside ELF files that becomes another.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StringMove {
    /// Globs of the files in the output; empty means all.
    #[serde(default)]
    pub files: Vec<String>,
    /// The string.
    pub from: String,
    /// What it becomes; the same string keeps it from `autoStrings`.
    pub to: String,
    /// Do not fail when no file refers to it.
    #[serde(default)]
    pub optional: bool,
    /// Change the string's length too, where the code next to a reference has it as a constant.
    #[serde(default)]
    pub length: bool,
}

/// The parameters of one import: the JSON of the derivation's attribute `spec`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the README's table describes each key")]
pub struct Spec {
    pub kind: Kind,
    pub sources: Vec<String>,
    pub dependencies: Vec<String>,
    pub target: Option<String>,
    pub strip_components: Option<usize>,
    pub flatten: Option<bool>,
    pub keep_maintainer_files: bool,
    pub prune: Vec<String>,
    pub keep: Vec<String>,
    pub executables: Vec<String>,
    pub rpath: Vec<String>,
    pub rpath_first: Vec<String>,
    pub interpreter: Option<String>,
    pub elf: Option<bool>,
    pub elf_skip: Vec<String>,
    pub text: Option<bool>,
    pub text_skip: Vec<String>,
    pub paths: BTreeMap<String, String>,
    pub strings: Vec<StringMove>,
    pub auto_strings: Option<bool>,
    pub replace: Vec<Replace>,
    pub concat: BTreeMap<String, Vec<String>>,
    pub write: BTreeMap<String, String>,
    pub rename: BTreeMap<String, String>,
    pub symlinks: BTreeMap<String, String>,
    pub allow_unresolved: Option<bool>,
}

impl Spec {
    /// Reads the parameters; `out` is the store path that `@out@` stands for.
    ///
    /// # Errors
    /// When the text is not JSON, or has unknown keys or wrong types.
    pub fn from_json(text: &str, out: &str) -> Result<Self> {
        let spec: Self = serde_json::from_str(&text.replace("@out@", out))
            .map_err(|error| Error::Spec(error.to_string()))?;
        if spec.sources.is_empty() {
            return Err(Error::Spec("'sources' is empty".into()));
        }
        Ok(spec)
    }

    pub(crate) fn flattens(&self) -> bool {
        self.flatten.unwrap_or(self.kind == Kind::Debian)
    }

    pub(crate) fn strips(&self) -> usize {
        self.strip_components.unwrap_or(usize::from(self.kind == Kind::Tarball))
    }
}

/// Where an import runs: which folders are the store, where the output goes, who hears about it.
pub struct Env<'a> {
    /// The store as it is written into files, usually `/nix/store`.
    pub store_dir: PathBuf,
    /// The folder that holds the store's contents on this machine. Other than `store_dir` where the
    /// store is below another root.
    pub real_store_dir: PathBuf,
    /// The output's store path, as it is written into files.
    pub out: String,
    /// Where to create the output. Must not exist.
    pub real_out: PathBuf,
    /// How many threads work at a time.
    pub threads: usize,
    /// Takes the summary, a few lines at most: what the curious find in the build's log.
    pub log: &'a (dyn Fn(&str) + Sync),
}

impl Env<'_> {
    /// Where a path that may be in the store is on this machine.
    #[must_use]
    pub fn real(&self, path: &str) -> PathBuf {
        match Path::new(path).strip_prefix(&self.store_dir) {
            Ok(rest) => self.real_store_dir.join(rest),
            Err(_) => PathBuf::from(path),
        }
    }
}

/// What an import did.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Files, links and folders written.
    pub entries: usize,
    /// Bytes of all files.
    pub bytes: u64,
    /// ELF files that were edited.
    pub elf_files: usize,
    /// Text files that were changed.
    pub text_files: usize,
    /// Needed libraries (`file: libx.so.1`) that neither the output nor a dependency has.
    pub missing_libraries: Vec<String>,
    /// Script interpreters (`file: /usr/bin/x`) that nothing has.
    pub missing_interpreters: Vec<String>,
    /// FHS paths in text files that nothing has (`file: /usr/lib/x`).
    pub unresolved_paths: Vec<String>,
    /// Links that lead nowhere in the output or the dependencies (`link -> target`).
    pub dangling_links: Vec<String>,
    /// Files that several sources have with different contents; the first one was kept.
    pub conflicts: Vec<String>,
    /// FHS paths compiled into ELF files that nothing has (`file: /usr/lib/x`).
    pub unresolved_strings: Vec<String>,
    /// Strings in ELF files that were replaced (`file: from`).
    pub strings: Vec<String>,
}
