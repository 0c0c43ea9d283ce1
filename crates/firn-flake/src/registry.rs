//! Registries: what short names such as `nixpkgs` stand for. Defined in the Nix manual, "nix registry".

use std::path::{Path, PathBuf};

use firn_eval::io::{Fetch, Outside};
use firn_eval::{Error, Result, Vm};
use firn_model::input::{FlakeRef, Input};
use serde_json::{Value, json};

use crate::lock_file::{attrs_of, json_of};
use crate::{enabled, input_error};

/// One name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub from: FlakeRef,
    /// What it stands for.
    pub to: FlakeRef,
    /// Whether only the name itself is meant, not with another branch or commit.
    pub exact: bool,
}

/// A list of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// The entries, the first that fits counts.
    pub entries: Vec<Entry>,
}

/// Who wrote a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The user.
    User,
    /// The machine's administrator.
    System,
    /// Everybody's.
    Global,
}

impl Origin {
    /// As `nix registry list` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flag => "flags ",
            Self::User => "user  ",
            Self::System => "system",
            Self::Global => "global",
        }
    }
}

/// Which registries may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// None.
    No,
    /// Those that are the same for everybody: the command line's and the global one.
    Limited,
    /// All.
    All,
}

/// The place of the registry that is asked just before the global one.
const BEFORE_GLOBAL: usize = 3;

/// Where registries are.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// Entries from the command line.
    pub flags: Registry,
    /// The user's file.
    pub user: Option<PathBuf>,
    /// The machine's file.
    pub system: Option<PathBuf>,
    /// The URL or path of the global one; empty for none.
    pub global: String,
    /// The program's own names, which count as global ones and are asked first of these: the file is not needed
    /// for them.
    pub built_in: Registry,
    /// The program's own names that count only where the global registry has none such.
    pub fallback: Registry,
}

impl Registry {
    /// Reads a registry's text; `shown` is its name in errors.
    ///
    /// # Errors
    /// If it is no JSON or not what registries are.
    pub fn parse(text: &str, shown: &str) -> Result<Self> {
        let bad =
            |what: String| Error::other(format!("cannot parse flake registry '{shown}': {what}"));
        let json: Value = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        let version = json.get("version").and_then(Value::as_u64).unwrap_or(0);
        if version != 2 {
            return Err(Error::other(format!(
                "flake registry '{shown}' has unsupported version {version}"
            )));
        }
        let mut registry = Self::default();
        for entry in json.get("flakes").and_then(Value::as_array).into_iter().flatten() {
            let reference = |name: &str| -> Result<FlakeRef> {
                let value = entry.get(name).ok_or_else(|| bad(format!("'{name}' is missing")))?;
                FlakeRef::from_attrs(attrs_of(value)?, &enabled).map_err(|e| input_error(&e))
            };
            let exact = entry.get("exact").and_then(Value::as_bool).unwrap_or(false);
            registry.entries.push(Entry { from: reference("from")?, to: reference("to")?, exact });
        }
        Ok(registry)
    }

    /// Reads a registry's file; an absent one is empty.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub fn read(file: &Path) -> Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, &file.display().to_string()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::other(format!("reading '{}': {e}", file.display()))),
        }
    }

    /// The registry's text.
    #[must_use]
    pub fn text(&self) -> String {
        let flakes: Vec<Value> = self
            .entries
            .iter()
            .map(|e| {
                let (from, to) = (json_of(&e.from.to_attrs()), json_of(&e.to.to_attrs()));
                if e.exact {
                    json!({ "exact": true, "from": from, "to": to })
                } else {
                    json!({ "from": from, "to": to })
                }
            })
            .collect();
        let json = json!({ "flakes": flakes, "version": 2 });
        serde_json::to_string_pretty(&json).unwrap_or_default()
    }

    /// Adds an entry in place of one for the same name.
    pub fn set(&mut self, entry: Entry) {
        self.entries.retain(|e| e.from != entry.from);
        self.entries.push(entry);
    }
}

impl Registries {
    /// All registries with their origins, the first to be asked first. Each is read when it is asked for, since the
    /// global one may have to be downloaded.
    pub fn each(&self, vm: &Vm) -> impl Iterator<Item = (Origin, Result<Registry>)> {
        let file = |path: &Option<PathBuf>| match path {
            Some(path) => read_noted(vm, path),
            None => Ok(Registry::default()),
        };
        (0..6).map(move |number| match number {
            0 => (Origin::Flag, Ok(self.flags.clone())),
            1 => (Origin::User, file(&self.user)),
            2 => (Origin::System, file(&self.system)),
            BEFORE_GLOBAL => (Origin::Global, Ok(self.built_in.clone())),
            4 => (Origin::Global, self.global(vm)),
            _ => (Origin::Global, Ok(self.fallback.clone())),
        })
    }

    fn global(&self, vm: &Vm) -> Result<Registry> {
        if self.global.is_empty() {
            return Ok(Registry::default());
        }
        if self.global.starts_with('/') {
            return read_noted(vm, Path::new(&self.global));
        }
        let what =
            Fetch { url: &self.global, name: "flake-registry.json", unpack: false, hash: None };
        let path = vm.shared.io.fetch(&what)?;
        let path = PathBuf::from(vm.store_dir().print(&path));
        Registry::read(&vm.shared.io.real(&path))
    }

    /// What an input stands for, and the folder in it that a registry adds.
    ///
    /// # Errors
    /// If no registry knows it, or they lead in a circle.
    pub fn resolve(&self, vm: &Vm, input: &Input, which: Use) -> Result<(Input, Option<String>)> {
        /// More steps are a circle.
        const MOST_STEPS: usize = 100;
        let (mut input, mut dir) = (input.clone(), None);
        let mut asked: Vec<(Origin, Registry)> = Vec::new();
        let mut others = self.each(vm);
        'again: for _ in 0..=MOST_STEPS {
            if input.is_direct() && which == Use::No {
                return Ok((input, dir));
            }
            // a direct input can only be replaced by the command line or the user
            if input.is_direct() && self.flags.entries.is_empty() && asked.is_empty() {
                return Ok((input, dir));
            }
            if which == Use::No {
                break;
            }
            for number in 0.. {
                if number == asked.len() {
                    // nothing is downloaded to learn whether something that is no name stands for something else
                    if input.is_direct() && number > BEFORE_GLOBAL && !self.global.starts_with('/')
                    {
                        break;
                    }
                    match others.next() {
                        Some((origin, registry)) => asked.push((origin, registry?)),
                        None => break,
                    }
                }
                let (origin, registry) = &asked[number];
                if which == Use::Limited && matches!(origin, Origin::User | Origin::System) {
                    continue;
                }
                for entry in &registry.entries {
                    if let Some(next) = matched(entry, &input) {
                        input = next;
                        if !entry.to.dir.is_empty() {
                            dir = Some(entry.to.dir.clone());
                        }
                        continue 'again;
                    }
                }
            }
            if input.is_direct() {
                return Ok((input, dir));
            }
            return Err(Error::other(format!(
                "cannot find flake '{}' in the flake registries",
                input.shown()
            )));
        }
        if which == Use::No {
            return Err(Error::other(format!(
                "'{}' is an indirect flake reference, but registry lookups are not allowed",
                input.shown()
            )));
        }
        Err(Error::other(format!("cycle detected in flake registry for '{}'", input.shown())))
    }
}

/// Reads a registry's file for an evaluation that depends on it.
fn read_noted(vm: &Vm, file: &Path) -> Result<Registry> {
    vm.shared.io.note(Outside::File(file));
    Registry::read(file)
}

/// What an entry makes of an input that it fits.
fn matched(entry: &Entry, input: &Input) -> Option<Input> {
    let from = &entry.from.input;
    if from == input {
        return Some(entry.to.input.clone());
    }
    if entry.exact || from.kind() != "indirect" || input.kind() != "indirect" {
        return None;
    }
    let same = |name: &str| from.text(name).is_none() || from.text(name) == input.text(name);
    if from.text("id") != input.text("id") || !same("ref") || !same("rev") {
        return None;
    }
    let mut to = entry.to.input.clone();
    for name in ["ref", "rev"] {
        if let (None, Some(value)) = (from.text(name), input.attrs.get(name)) {
            to.attrs.insert(name.to_owned(), value.clone());
            if name == "rev" {
                // what was known of another commit is not true of this one
                for stale in ["narHash", "lastModified", "revCount"] {
                    to.attrs.remove(stale);
                }
                if matches!(to.kind(), "github" | "gitlab" | "sourcehut") {
                    to.attrs.remove("ref");
                }
            }
        }
    }
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> FlakeRef {
        FlakeRef::parse(text, &enabled).unwrap().0
    }

    #[test]
    fn registries_are_read_and_written() {
        let mut registry = Registry::default();
        let entry = |to: &str| Entry { from: reference("a"), to: reference(to), exact: false };
        registry.set(entry("github:o/r"));
        registry.set(entry("github:o/other"));
        assert_eq!(registry.entries.len(), 1);
        let again = Registry::parse(&registry.text(), "r").unwrap();
        assert_eq!(again, registry);
        assert!(Registry::parse("{\"version\":1}", "r").is_err());
        assert!(Registry::parse("x", "r").unwrap_err().message().contains("'r'"));
    }

    #[test]
    fn branches_pass_through_names() {
        let entry = Entry { from: reference("n"), to: reference("github:o/r"), exact: false };
        let found = |text: &str| matched(&entry, &reference(text).input).map(|i| i.shown());
        assert_eq!(found("n").as_deref(), Some("github:o/r"));
        assert_eq!(found("n/dev").as_deref(), Some("github:o/r/dev"));
        assert_eq!(found("m"), None);
        let exact = Entry { exact: true, ..entry };
        assert_eq!(matched(&exact, &reference("n/dev").input), None);
    }
}
