//! Where packages come from: expressions, profiles and store paths, and which of them arguments select.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_build::Substituter;
use firn_eval::text::{regex::Regex, version};
use firn_eval::value::Set;
use firn_eval::{Value, Vm, packages};
use firn_syntax::Origin;

use super::item::{Item, split_name};
use crate::commands::nix::Stop;
use crate::common::eval::current_dir;
use crate::common::legacy::Failure;
use crate::common::store::AnyStore;
use crate::common::store_paths::follow_links;

/// What arguments of `--install` and its like are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// Names, or store paths if the first one has a slash.
    #[default]
    Unknown,
    /// Functions of the expression.
    Functions,
    /// Names in another profile.
    Profile(PathBuf),
    /// Attribute paths.
    Attributes,
}

/// What packages are looked for in.
pub struct Sources<'a> {
    /// What arguments mean.
    pub source: Source,
    /// The expression.
    pub expression: PathBuf,
    /// Which machine packages must be for; `*` for any.
    pub system_filter: String,
    /// The machine that this is.
    pub system: String,
    /// For functions on the way to packages.
    pub args: Set,
    /// The store.
    pub store: &'a AnyStore,
    /// Where paths can be had without building.
    pub substituter: Option<Arc<dyn Substituter>>,
    /// Tells warnings.
    pub warn: &'a dyn Fn(String),
    /// Tells what is wrong with a package, without a word before it.
    pub tell: &'a dyn Fn(String),
}

/// An argument that selects packages by name.
pub struct Selector {
    full: String,
    name: Option<Regex>,
    version: String,
    /// Whether it has selected something.
    pub used: bool,
}

impl Selector {
    /// A selector from an argument.
    pub fn new(text: &str) -> Result<Self, Stop> {
        let (name, version) = split_name(text);
        let pattern = match name {
            "*" => None,
            _ => Some(Regex::new(name.as_bytes()).map_err(|e| {
                Failure::Message(format!("'{text}' does not select packages: {e}"))
            })?),
        };
        Ok(Self { full: text.to_owned(), name: pattern, version: version.to_owned(), used: false })
    }

    /// Selectors from all arguments.
    pub fn all(texts: &[String]) -> Result<Vec<Self>, Stop> {
        texts.iter().map(|t| Self::new(t)).collect()
    }

    /// Whether it selects a package of this name.
    pub fn matches(&self, full: &str) -> bool {
        let (name, version) = split_name(full);
        self.name.as_ref().is_none_or(|r| r.match_whole(name.as_bytes()).is_some())
            && (self.version.is_empty() || self.version == version)
    }

    /// Fails if it has selected nothing.
    pub fn check_used(&self) -> Result<(), Stop> {
        if self.used || self.full == "*" {
            return Ok(());
        }
        Err(Failure::Message(format!("selector '{}' matches no derivations", self.full)).into())
    }
}

/// Whether a path is an expression, not a folder with some.
fn is_expression(path: &Path) -> bool {
    path.is_file() || path.join("default.nix").exists()
}

/// What a profile leads to, as it is called even if the store's contents are elsewhere.
fn contents(vm: &Vm, profile: &Path) -> PathBuf {
    let mut path = profile.to_owned();
    // as many links as the kernel would follow
    for _ in 0..40 {
        if path.starts_with(vm.store_dir().as_str()) {
            break;
        }
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

/// The packages of a profile.
pub fn installed(vm: &mut Vm, profile: &Path) -> Result<Vec<Item>, Stop> {
    let contents = contents(vm, profile);
    let there = |path: &Path| vm.shared.io.real(path).symlink_metadata().is_ok();
    if there(&contents.join("manifest.json")) {
        return Err(Failure::Message(format!(
            "profile {profile:?} is incompatible with 'nix-env'; please use 'nix profile' instead"
        ))
        .into());
    }
    let manifest = contents.join("manifest.nix");
    if !there(&manifest) {
        return Ok(Vec::new());
    }
    // a link from one path of the store to another
    let file = std::fs::read_link(vm.shared.io.real(&manifest)).unwrap_or(manifest);
    vm.shared.io.allow(&file);
    let value = vm.eval_file(&file)?;
    items(vm, value, Set::empty(), false)
}

fn items(vm: &mut Vm, value: Value, args: Set, tolerant: bool) -> Result<Vec<Item>, Stop> {
    let found = packages::derivations(vm, value, args, tolerant)?;
    found.into_iter().map(|f| Item::evaluated(vm, f)).collect()
}

impl Sources<'_> {
    /// The value of the expression; of a folder a set of what is in it.
    fn root(&self, vm: &mut Vm) -> Result<Value, Stop> {
        let path = std::fs::canonicalize(&self.expression).map_err(|e| {
            Failure::Message(format!("getting status of '{}': {e}", self.expression.display()))
        })?;
        if is_expression(&path) {
            let file = vm.resolve_expr_path(&path)?;
            return Ok(vm.eval_file(&file)?);
        }
        let mut found = BTreeMap::new();
        self.folder(&path, &mut found)?;
        let mut text = b"{ _combineChannels = [ ]; ".to_vec();
        for (name, file) in &found {
            use std::os::unix::ffi::OsStrExt as _;
            firn_syntax::ast::literal_string(name.as_bytes(), &mut text);
            text.extend_from_slice(b" = import ");
            firn_syntax::ast::literal_string(file.as_os_str().as_bytes(), &mut text);
            text.extend_from_slice(b"; ");
        }
        text.push(b'}');
        Ok(vm.eval_text(Origin::Internal("defexpr"), &text, Path::new("/"))?)
    }

    /// The expressions in a folder and those below it.
    fn folder(&self, dir: &Path, found: &mut BTreeMap<String, PathBuf>) -> Result<(), Stop> {
        /// More are a mistake.
        const MOST: usize = 1024;
        let entries = std::fs::read_dir(dir)
            .map_err(|e| Failure::Message(format!("reading directory '{}': {e}", dir.display())))?;
        let names: BTreeSet<String> = entries
            .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| name != "manifest.nix")
            .collect();
        for name in names {
            // what leads nowhere is not there
            let Ok(path) = std::fs::canonicalize(dir.join(&name)) else { continue };
            let is_nix = path.extension().is_some_and(|e| e == "nix");
            if is_expression(&path) && (path.is_dir() || is_nix) {
                let attr = name.strip_suffix(".nix").unwrap_or(&name).to_owned();
                if found.contains_key(&attr) {
                    let both = |p: &Path| p.to_string_lossy().contains("channels");
                    let hint = if both(&path) && both(dir) {
                        format!(
                            "\nsuggestion: remove '{attr}' from either the root channels or the user channels"
                        )
                    } else {
                        String::new()
                    };
                    (self.warn)(format!(
                        "name collision in input Nix expressions, skipping '{}'{hint}",
                        path.display()
                    ));
                    continue;
                }
                if found.len() + 1 >= MOST {
                    return Err(Failure::Message(format!(
                        "too many Nix expressions in directory '{}'",
                        dir.display()
                    ))
                    .into());
                }
                found.insert(attr, path);
            } else if path.is_dir() {
                self.folder(&path, found)?;
            }
        }
        Ok(())
    }

    /// The packages of the expression, or of what is at `prefix` in it.
    pub fn available(&self, vm: &mut Vm, prefix: &str) -> Result<Vec<Item>, Stop> {
        let root = self.root(vm)?;
        let (value, _) = packages::select(vm, prefix, self.args, root)?;
        let mut found = Vec::new();
        for mut item in items(vm, value, self.args, true)? {
            if !prefix.is_empty() {
                item.attr_path = match item.attr_path.as_str() {
                    "" => prefix.to_owned(),
                    inner => format!("{prefix}.{inner}"),
                };
            }
            if self.system_filter == "*" || item.system(vm)? == self.system_filter {
                found.push(item);
            }
        }
        Ok(found)
    }

    /// The packages that arguments select; of those with the same name only one if `newest`.
    pub fn query(&self, vm: &mut Vm, args: &[String], newest: bool) -> Result<Vec<Item>, Stop> {
        match &self.source {
            Source::Unknown if args.first().is_some_and(|a| a.contains('/')) => {
                args.iter().map(|text| self.of_store(text)).collect()
            }
            Source::Unknown => {
                let all = self.available(vm, "")?;
                self.select(vm, &all, args, newest)
            }
            Source::Profile(profile) => {
                let all = installed(vm, profile)?;
                self.select(vm, &all, args, newest)
            }
            Source::Functions => {
                let root = self.root(vm)?;
                let mut found = Vec::new();
                for text in args {
                    let function = vm.eval_text(Origin::String, text.as_bytes(), &current_dir())?;
                    let value = vm.apply1(function, root, firn_eval::position::PosId::NONE)?;
                    found.extend(items(vm, value, self.args, true)?);
                }
                Ok(found)
            }
            Source::Attributes => {
                let root = self.root(vm)?;
                let mut found = Vec::new();
                for path in args {
                    let (value, _) = packages::select(vm, path, self.args, root)?;
                    found.extend(items(vm, value, self.args, true)?);
                }
                Ok(found)
            }
        }
    }

    fn of_store(&self, text: &str) -> Result<Item, Stop> {
        let path = follow_links(self.store, text)?;
        if !path.is_derivation() {
            return Ok(Item::of_path(path.name().to_owned(), path, None));
        }
        let drv = self.store.read_derivation(&path).map_err(Failure::from)?;
        let out = drv
            .output_path(self.store.store_dir(), "out")
            .map_err(|e| Failure::Message(e.to_string()))?;
        let Some(out) = out else {
            return Err(Failure::Message(format!(
                "the path of output 'out' of '{}' is not known before it is built",
                self.store.store_dir().print(&path)
            ))
            .into());
        };
        let name = path.name().strip_suffix(".drv").unwrap_or(path.name()).to_owned();
        Ok(Item::of_path(name, out, Some(path)))
    }

    /// The packages that selectors select, in their order.
    pub fn select(
        &self,
        vm: &mut Vm,
        all: &[Item],
        args: &[String],
        newest: bool,
    ) -> Result<Vec<Item>, Stop> {
        let mut selectors = Selector::all(args)?;
        if selectors.is_empty() {
            selectors.push(Selector::new("*")?);
        }
        let (mut found, mut done) = (Vec::new(), BTreeSet::new());
        for selector in &mut selectors {
            let mut matches: Vec<usize> =
                (0..all.len()).filter(|n| selector.matches(&all[*n].name)).collect();
            selector.used = !matches.is_empty();
            if newest {
                matches = self.newest(vm, all, &matches)?;
            }
            for n in matches {
                if done.insert(n) {
                    found.push(all[n].clone());
                }
            }
            if selector.used || selector.full == "*" {
                continue;
            }
            let (prefix, _) = split_name(&selector.full);
            let mut near: Vec<&str> = Vec::new();
            for name in all.iter().map(Item::short_name).filter(|n| n.starts_with(prefix)) {
                if !near.contains(&name) {
                    near.push(name);
                }
                if near.len() == 3 {
                    break;
                }
            }
            near.sort_unstable();
            let hint = if near.is_empty() {
                String::new()
            } else {
                format!(", maybe you meant:\n{}", near.join("\n"))
            };
            return Err(Failure::Message(format!(
                "selector '{}' matches no derivations{hint}",
                selector.full
            ))
            .into());
        }
        Ok(found)
    }

    /// Of packages with the same name the one that is for this machine, comes first by priority, and is newest.
    fn newest(&self, vm: &mut Vm, all: &[Item], matches: &[usize]) -> Result<Vec<usize>, Stop> {
        let mut best: BTreeMap<&str, usize> = BTreeMap::new();
        let mut several: BTreeSet<&str> = BTreeSet::new();
        for n in matches {
            let item = &all[*n];
            let order = match best.get(item.short_name()) {
                None => Ordering::Greater,
                Some(other) => {
                    let other = &all[*other];
                    let (mine, theirs) = (item.system(vm)?, other.system(vm)?);
                    let for_this = (mine == self.system).cmp(&(theirs == self.system));
                    let by_system = if mine == theirs { Ordering::Equal } else { for_this };
                    by_system
                        .then(compare_priorities(vm, item, other)?)
                        .then_with(|| compare_versions(item.version(), other.version()))
                }
            };
            match order {
                Ordering::Greater => {
                    best.insert(item.short_name(), *n);
                    several.remove(item.name.as_str());
                }
                Ordering::Equal => {
                    several.insert(&item.name);
                }
                Ordering::Less => {}
            }
        }
        for name in best.keys().filter(|name| several.contains(*name)) {
            (self.warn)(format!(
                "there are multiple derivations named '{name}'; using the first one"
            ));
        }
        Ok(best.into_values().collect())
    }
}

/// Compares versions as Nix does.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    version::compare(a.as_bytes(), b.as_bytes())
}

/// Which of two packages comes first: greater if it is the first one.
pub fn compare_priorities(vm: &mut Vm, a: &Item, b: &Item) -> Result<Ordering, Stop> {
    Ok(b.priority(vm)?.cmp(&a.priority(vm)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_patterns_with_versions() {
        let matches = |s: &str, name: &str| match Selector::new(s) {
            Ok(selector) => selector.matches(name),
            Err(_) => false,
        };
        assert!(matches("foo", "foo-1.0") && matches("foo-1.0", "foo-1.0"));
        assert!(!matches("foo-1.0", "foo-2.0") && !matches("fo", "foo-1.0"));
        assert!(matches("*", "x") && matches(".*oo.*", "foo-1.0"));
        assert!(Selector::new("(").is_err());
    }
}
