//! `manifest.json`: what is in a profile and where it came from. Defined in the Nix manual, "nix profile";
//! version 3 is written, 1 to 3 are read, and the `manifest.nix` of `nix-env`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use firn_build::OutputsSpec;
use firn_flake::lock_file::url_of;
use firn_model::input::FlakeRef;
use firn_model::{HashAlgo, StoreDir, StorePath};
use firn_store::Repair;
use serde_json::{Map, Value, json};

use crate::commands::nix::call::Call;
use crate::commands::nix_env;
use crate::common::legacy::{Failure, Outcome, fail};
use crate::common::store::AnyStore;
use crate::common::store_paths::follow_links;

/// The priority of packages that do not say which they want.
pub const DEFAULT_PRIORITY: i64 = 5;

/// The flake that an element comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As it was asked for.
    pub original: FlakeRef,
    /// As it was when it was added.
    pub locked: FlakeRef,
    /// The attribute, in full.
    pub attr: String,
    /// The outputs that were asked for.
    pub outputs: Option<OutputsSpec>,
}

/// A package in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its paths.
    pub paths: BTreeSet<StorePath>,
    /// Where it comes from, if that is a flake.
    pub source: Option<Source>,
    /// Whether it is linked.
    pub active: bool,
    /// A lower number wins where files collide.
    pub priority: i64,
}

/// The packages of a profile by their names in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The packages.
    pub elements: BTreeMap<String, Element>,
}

/// Two packages have the same file and the same priority.
pub type Conflict = firn_build::builtin::Conflict;

impl Source {
    /// `URL#ATTR^OUTPUTS`
    pub fn text(&self) -> String {
        format!("{}#{}{}", url_of(&self.original), self.attr, outputs_text(self.outputs.as_ref()))
    }
}

/// `^a,b`, or nothing.
pub fn outputs_text(outputs: Option<&OutputsSpec>) -> String {
    match outputs {
        None => String::new(),
        Some(OutputsSpec::All) => "^*".to_owned(),
        Some(OutputsSpec::Names(names)) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("^{}", names.join(","))
        }
    }
}

impl Element {
    /// What the package is known as: its flake's attribute, or the names of its paths.
    pub fn identifier(&self) -> String {
        match &self.source {
            Some(source) => source.text(),
            None => {
                let names: BTreeSet<&str> =
                    self.paths.iter().map(|p| nix_env::split_name(p.name()).0).collect();
                names.into_iter().collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// The versions of its paths.
    pub fn versions(&self) -> String {
        let versions: BTreeSet<String> =
            self.paths.iter().map(|p| nix_env::split_name(p.name()).1.to_owned()).collect();
        super::super::why_depends::versions(&versions.iter().collect::<Vec<_>>())
    }

    /// A name for it, without regard to those of others.
    pub fn name(&self) -> String {
        let from_source = self.source.as_ref().and_then(name_of);
        from_source.unwrap_or_else(|| self.identifier())
    }

    /// What a user would have to name to add it.
    pub fn installables(&self, dir: &StoreDir) -> String {
        match &self.source {
            Some(source) => source.text(),
            None => self.paths.iter().map(|p| dir.print(p)).collect::<Vec<_>>().join(" "),
        }
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// The name that a flake's package gets: its folder in the flake, its attribute, or the flake's name.
fn name_of(source: &Source) -> Option<String> {
    let url = source.original.to_url().ok()?;
    if let Some(dir) = url.query.get("dir") {
        return Some(dir.clone());
    }
    let attrs: Vec<&str> = source.attr.split('.').collect();
    if attrs.iter().all(|a| is_segment(a))
        && let [before @ .., last] = &attrs[..]
        && *last != "default"
        && before != ["defaultPackage"]
    {
        return Some((*last).to_owned());
    }
    let path = url.plain_path();
    let segments: Vec<&str> = path.split('/').collect();
    if matches!(url.scheme.as_str(), "github" | "gitlab" | "sourcehut")
        && let [owner, repo, ..] = &segments[..]
        && is_segment(owner)
        && is_segment(repo)
    {
        return Some((*repo).to_owned());
    }
    match &segments[..] {
        [_, .., last] if is_segment(last) => Some((*last).to_owned()),
        _ => None,
    }
}

impl Manifest {
    /// Reads the manifest of a profile or of one of its generations.
    pub fn read(call: &mut Call<'_>, profile: &Path) -> Outcome<Self> {
        let store = call.store()?;
        let contents = match follow_links(&store, &profile.to_string_lossy()) {
            Ok(path) => store.real_path(&path),
            Err(_) => profile.to_owned(),
        };
        let file = contents.join("manifest.json");
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text, &file, store.store_dir()),
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                fail(format!("reading '{}': {e}", file.display()))
            }
            Err(_) if contents.join("manifest.nix").symlink_metadata().is_ok() => {
                Self::of_nix_env(call, profile)
            }
            Err(_) => Ok(Self::default()),
        }
    }

    fn of_nix_env(call: &mut Call<'_>, profile: &Path) -> Outcome<Self> {
        let session = call.session()?;
        let paths = call.evaluate(&session, true, |vm, _| {
            let items = nix_env::installed(vm, profile)?;
            items.iter().map(|item| item.out_path(vm)).collect::<Result<Vec<_>, _>>()
        })?;
        let mut manifest = Self::default();
        for path in paths {
            let element = Element {
                paths: [path].into(),
                source: None,
                active: true,
                priority: DEFAULT_PRIORITY,
            };
            manifest.add(&element.name(), element);
        }
        Ok(manifest)
    }

    /// Reads a manifest's text.
    fn parse(text: &str, file: &Path, dir: &StoreDir) -> Outcome<Self> {
        let shown = file.display();
        let bad = |what: &str| Failure::Message(format!("profile manifest '{shown}': {what}"));
        let json: Value = serde_json::from_str(text).map_err(|e| bad(&e.to_string()))?;
        let version = json.get("version").and_then(Value::as_u64).unwrap_or(0);
        let (url, original_url) = match version {
            1 => ("uri", "originalUri"),
            2 | 3 => ("url", "originalUrl"),
            _ => {
                return fail(format!(
                    "profile manifest {file:?} has unsupported version {version}"
                ));
            }
        };
        let elements: Vec<(Option<String>, &Value)> = match json.get("elements") {
            Some(Value::Object(map)) => map.iter().map(|(k, v)| (Some(k.clone()), v)).collect(),
            Some(Value::Array(list)) => list.iter().map(|v| (None, v)).collect(),
            _ => return Err(bad("it has no elements")),
        };
        let mut manifest = Self::default();
        for (name, json) in elements {
            let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
            let mut paths = BTreeSet::new();
            for path in json.get("storePaths").and_then(Value::as_array).into_iter().flatten() {
                let path = path.as_str().ok_or_else(|| bad("a store path is no string"))?;
                paths.insert(dir.parse(path).map_err(|e| bad(&e.to_string()))?);
            }
            let reference = |key: &str| {
                let parsed = FlakeRef::parse(text(key), &firn_flake::enabled);
                parsed.map(|(found, _)| found).map_err(|e| bad(&e.message))
            };
            let source = if text(url).is_empty() {
                None
            } else {
                Some(Source {
                    original: reference(original_url)?,
                    locked: reference(url)?,
                    attr: text("attrPath").to_owned(),
                    outputs: outputs_of(json.get("outputs")),
                })
            };
            let element = Element {
                paths,
                source,
                active: json.get("active").and_then(Value::as_bool).unwrap_or(true),
                priority: json.get("priority").and_then(Value::as_i64).unwrap_or(DEFAULT_PRIORITY),
            };
            let name = name.unwrap_or_else(|| element.name());
            manifest.add(&name, element);
        }
        Ok(manifest)
    }

    /// Adds a package under a name, or under the name with a number if there is one of this name.
    pub fn add(&mut self, name: &str, element: Element) {
        let mut free = name.to_owned();
        let mut n = 1;
        while self.elements.contains_key(&free) {
            free = format!("{name}-{n}");
            n += 1;
        }
        self.elements.insert(free, element);
    }

    /// As JSON.
    pub fn to_json(&self, dir: &StoreDir) -> Value {
        let mut elements = Map::new();
        for (name, element) in &self.elements {
            let paths: Vec<String> = element.paths.iter().map(|p| dir.print(p)).collect();
            let mut json = json!({
                "active": element.active,
                "priority": element.priority,
                "storePaths": paths,
            });
            if let Some(source) = &element.source {
                json["attrPath"] = source.attr.clone().into();
                json["originalUrl"] = url_of(&source.original).into();
                json["url"] = url_of(&source.locked).into();
                json["outputs"] = match &source.outputs {
                    None => Value::Null,
                    Some(OutputsSpec::All) => json!(["*"]),
                    Some(OutputsSpec::Names(names)) => json!(names),
                };
            }
            elements.insert(name.clone(), json);
        }
        let mut json = json!({ "elements": elements, "version": 3 });
        json.sort_all_objects();
        json
    }

    /// Makes the profile's contents in the store.
    ///
    /// # Errors
    /// If files collide (the second kind of error), or the store cannot be written to.
    pub fn build(&self, store: &AnyStore) -> Outcome<Result<StorePath, Conflict>> {
        let dir = store.store_dir();
        let (mut packages, mut references) = (Vec::new(), BTreeSet::new());
        for element in self.elements.values() {
            for path in &element.paths {
                if element.active {
                    packages.push((element.priority, store.real_path(path), path.clone()));
                }
                references.insert(path.clone());
            }
        }
        packages.sort();
        let io = |e: std::io::Error| Failure::Message(format!("making a profile: {e}"));
        let temporary = tempfile::tempdir().map_err(io)?;
        let out = temporary.path().join("profile");
        std::fs::create_dir(&out).map_err(io)?;
        // links lead to where the paths are called to be, whatever folder the store really has
        let shown: Vec<(i64, std::path::PathBuf)> =
            packages.iter().map(|(n, _, path)| (*n, dir.print(path).into())).collect();
        let real: Vec<(i64, std::path::PathBuf)> =
            packages.iter().map(|(n, real, _)| (*n, real.clone())).collect();
        if shown != real {
            return fail("profiles of a store whose contents are elsewhere are not supported yet");
        }
        if let Err(e) = firn_build::builtin::build_environment(&out, &shown) {
            return match e.downcast::<Conflict>() {
                Ok(conflict) => Ok(Err(*conflict)),
                Err(e) => fail(e.to_string()),
            };
        }
        let mut file = std::fs::File::create(out.join("manifest.json")).map_err(io)?;
        file.write_all(self.to_json(dir).to_string().as_bytes()).map_err(io)?;
        drop(file);
        let path = store.add_path(
            "profile",
            &out,
            firn_model::content_address::Method::Nar,
            HashAlgo::Sha256,
            None,
            &references,
            Repair::No,
        )?;
        Ok(Ok(path))
    }

    /// Writes what has changed since `before`.
    pub fn print_diff(&self, before: &Self, indent: &str, out: &mut dyn Write) -> Outcome {
        let names: BTreeSet<&String> = before.elements.keys().chain(self.elements.keys()).collect();
        let mut changed = false;
        for name in names {
            let (id, old, new) = match (before.elements.get(name), self.elements.get(name)) {
                (None, Some(new)) => (new.identifier(), "∅".to_owned(), new.versions()),
                (Some(old), None) => (old.identifier(), old.versions(), "∅".to_owned()),
                (Some(old), Some(new)) => (old.identifier(), old.versions(), new.versions()),
                (None, None) => continue,
            };
            if old != new {
                changed = true;
                writeln!(out, "{indent}{id}: {old} -> {new}")?;
            }
        }
        if !changed {
            writeln!(out, "{indent}No changes.")?;
        }
        Ok(())
    }
}

fn outputs_of(json: Option<&Value>) -> Option<OutputsSpec> {
    let names: BTreeSet<String> =
        json?.as_array()?.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect();
    Some(if names.contains("*") { OutputsSpec::All } else { OutputsSpec::Names(names) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"elements":{"hello":{"active":true,"attrPath":"legacyPackages.x86_64-linux.hello","originalUrl":"flake:nixpkgs","outputs":null,"priority":5,"storePaths":["/nix/store/0i2ad55mpcvgf0vagypm01kwb3zfyd7d-hello-2.12"],"url":"github:NixOS/nixpkgs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}},"version":3}"#;

    #[test]
    fn manifests_are_written_as_they_were_read() {
        let dir = StoreDir::default();
        let manifest = Manifest::parse(TEXT, Path::new("m"), &dir).unwrap();
        assert_eq!(manifest.to_json(&dir).to_string(), TEXT);
        let element = &manifest.elements["hello"];
        assert_eq!(element.identifier(), "flake:nixpkgs#legacyPackages.x86_64-linux.hello");
        assert_eq!(element.versions(), "2.12");
        assert!(Manifest::parse(r#"{"version":9}"#, Path::new("m"), &dir).is_err());
    }

    #[test]
    fn older_versions_get_names() {
        let dir = StoreDir::default();
        let old =
            TEXT.replace(r#"{"hello":"#, "[").replace(r#"}},"version":3"#, r#"}],"version":2"#);
        let manifest = Manifest::parse(&old, Path::new("m"), &dir).unwrap();
        assert_eq!(manifest.to_json(&dir).to_string(), TEXT);
    }

    #[test]
    fn names_come_from_flakes() {
        let name = |url: &str, attr: &str| {
            let (original, _) = FlakeRef::parse(url, &firn_flake::enabled).unwrap();
            let locked = original.clone();
            name_of(&Source { original, locked, attr: attr.to_owned(), outputs: None })
        };
        assert_eq!(name("path:/a/flake1", "packages.x.default").as_deref(), Some("flake1"));
        assert_eq!(name("github:NixOS/nixpkgs", "packages.x.default").as_deref(), Some("nixpkgs"));
        assert_eq!(name("path:/a/b?dir=c", "packages.x.hello").as_deref(), Some("c"));
        assert_eq!(name("nixpkgs", "packages.x.hello").as_deref(), Some("hello"));
        assert_eq!(name("nixpkgs", "packages.x.default"), None);
    }
}
