//! `nix why-depends` and `nix store diff-closures`: what closures consist of, and why.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use firn_build::DerivedPath;
use firn_event::Level;
use firn_model::StorePath;
use firn_store::ClosureOptions;
use firn_store::local::gc::render_size;

use super::call::Call;
use super::flags::{Flag, flag};
use super::installables::outputs;
use crate::common::legacy::{Outcome, usage};
use crate::common::store::AnyStore;

/// Flags of `nix why-depends`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    flag("all", Some('a'), "show all paths from the package to the dependency, not just a shortest one"),
    flag("precise", None, "show in which files the references are"),
    flag("derivation", None, "follow what is needed to build, not what is needed to run"),
];

/// The one path that an argument stands for; none if it is not known since it was not built.
fn single_if_known(call: &mut Call<'_>, text: &str, build: bool) -> Outcome<Option<StorePath>> {
    let item = call.installable(text)?;
    let wanted: Vec<_> = call.derived_paths(&[item])?.into_iter().flatten().collect();
    let [one] = &wanted[..] else {
        return usage(format!("argument '{text}' should evaluate to one store path"));
    };
    let store = call.store()?;
    if call.given.has("derivation") {
        return Ok(Some(one.store_path().clone()));
    }
    if build {
        let bench = call.bench()?;
        bench.build(std::slice::from_ref(one)).map_err(|e| super::realise::failure(&e))?;
    }
    if let (false, DerivedPath::Built { drv, outputs }) = (build, one) {
        let known = store.known_outputs(&store.read_derivation(drv)?)?;
        if known.iter().any(|(name, path)| outputs.contains(name) && path.is_none()) {
            return Ok(None);
        }
    }
    let paths: Vec<StorePath> = outputs(&store, one)?.into_values().collect();
    match &paths[..] {
        [path] => Ok(Some(path.clone())),
        _ => usage(format!("argument '{text}' should evaluate to one store path")),
    }
}

/// The one path that an argument stands for, which is built.
fn single(call: &mut Call<'_>, text: &str) -> Outcome<StorePath> {
    match single_if_known(call, text, true)? {
        Some(path) => Ok(path),
        None => usage(format!("argument '{text}' should evaluate to one store path")),
    }
}

/// `nix why-depends`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let [package, dependency] = &call.given.args[..] else {
        return usage("two arguments are needed: a package and a dependency");
    };
    let (package_text, dependency_text) = (package.clone(), dependency.clone());
    let package = single(call, &package_text)?;
    // not built: it may be that nothing depends on it
    let dependency = single_if_known(call, &dependency_text, false)?;
    let store = call.store()?;
    let start = BTreeSet::from([package.clone()]);
    let closure = store.compute_closure(&start, ClosureOptions::default())?;
    let Some(dependency) = dependency.filter(|path| closure.contains(path)) else {
        call.say(Level::Notice, format!("'{package_text}' does not depend on '{dependency_text}'"));
        return Ok(());
    };
    let mut graph: BTreeMap<StorePath, BTreeSet<StorePath>> = BTreeMap::new();
    let mut referrers: BTreeMap<StorePath, BTreeSet<StorePath>> = BTreeMap::new();
    for path in &closure {
        let info = store.path_info(path)?;
        for reference in info.references.iter().filter(|r| *r != path) {
            referrers.entry(reference.clone()).or_default().insert(path.clone());
        }
        graph
            .insert(path.clone(), info.references.iter().filter(|r| *r != path).cloned().collect());
    }
    // steps from each path to the dependency
    let mut distance: BTreeMap<StorePath, usize> = [(dependency.clone(), 0)].into();
    let mut queue: VecDeque<StorePath> = [dependency.clone()].into();
    while let Some(path) = queue.pop_front() {
        let next = distance.get(&path).copied().unwrap_or(0) + 1;
        for referrer in referrers.get(&path).into_iter().flatten() {
            if !distance.contains_key(referrer) {
                distance.insert(referrer.clone(), next);
                queue.push_back(referrer.clone());
            }
        }
    }
    let mut tree = Tree {
        store: &store,
        graph: &graph,
        distance: &distance,
        dependency: &dependency,
        all: call.given.has("all"),
        precise: call.given.has("precise"),
        colours: rustix::termios::isatty(std::io::stdout()),
        visited: BTreeSet::new(),
    };
    writeln!(call.out, "{}", store.store_dir().print(&package))?;
    tree.print(call.out, &package, "")
}

struct Tree<'a> {
    store: &'a AnyStore,
    graph: &'a BTreeMap<StorePath, BTreeSet<StorePath>>,
    distance: &'a BTreeMap<StorePath, usize>,
    dependency: &'a StorePath,
    all: bool,
    precise: bool,
    colours: bool,
    visited: BTreeSet<StorePath>,
}

impl Tree<'_> {
    /// The references of `path` that lead to the dependency, the nearest first.
    fn print(&mut self, out: &mut dyn Write, path: &StorePath, prefix: &str) -> Outcome {
        if path == self.dependency || !self.visited.insert(path.clone()) {
            return Ok(());
        }
        let mut next: Vec<(usize, &StorePath)> = self
            .graph
            .get(path)
            .into_iter()
            .flatten()
            .filter_map(|r| Some((*self.distance.get(r)?, r)))
            .collect();
        next.sort();
        if !self.all {
            next.truncate(1);
        }
        let count = next.len();
        for (n, (_, reference)) in next.into_iter().enumerate() {
            let last = n + 1 == count;
            let branch = if last { "└───" } else { "├───" };
            let indent = format!("{prefix}{}", if last { "    " } else { "│   " });
            let shown = self.store.store_dir().print(reference);
            let seen = self.visited.contains(reference);
            let (grey, normal) =
                if self.colours && seen { ("\x1b[38;5;244m", "\x1b[0m") } else { ("", "") };
            if self.precise {
                let hits = hits(self.store, path, reference)?;
                for (k, hit) in hits.iter().enumerate() {
                    let lead = if k == 0 { branch } else { "    " };
                    writeln!(out, "{prefix}{lead}{hit}")?;
                }
                writeln!(out, "{indent}{grey}→ {shown}{normal}")?;
            } else {
                writeln!(out, "{prefix}{branch}{grey}{shown}{normal}")?;
            }
            self.print(out, reference, &indent)?;
        }
        Ok(())
    }
}

/// Where in the files of `path` the hash of `reference` is, with what is around it.
fn hits(store: &AnyStore, path: &StorePath, reference: &StorePath) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    let root = store.real_path(path);
    search(&root, &root, reference.hash_part().as_bytes(), &mut found).map_err(|e| {
        crate::common::legacy::Failure::Message(format!("reading '{}': {e}", root.display()))
    })?;
    Ok(found)
}

fn search(root: &Path, at: &Path, hash: &[u8], found: &mut Vec<String>) -> std::io::Result<()> {
    /// Characters shown before and after a hash.
    const MARGIN: usize = 32;
    let meta = at.symlink_metadata()?;
    let name = at.strip_prefix(root).unwrap_or(at).display().to_string();
    let name = if name.is_empty() { "/".to_owned() } else { name };
    let show = |bytes: &[u8]| -> String {
        bytes.iter().map(|b| if (32..127).contains(b) { char::from(*b) } else { '.' }).collect()
    };
    if meta.is_dir() {
        let mut entries: Vec<_> =
            std::fs::read_dir(at)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
        entries.sort();
        for entry in entries {
            search(root, &entry, hash, found)?;
        }
    } else if meta.is_symlink() {
        let target = std::fs::read_link(at)?;
        if bstr::ByteSlice::find(target.as_os_str().as_bytes(), hash).is_some() {
            found.push(format!("{name} -> {}", target.display()));
        }
    } else {
        let data = std::fs::read(at)?;
        if let Some(start) = bstr::ByteSlice::find(&data[..], hash) {
            let from = start.saturating_sub(MARGIN);
            let to = (start + hash.len() + MARGIN).min(data.len());
            let before = if from > 0 { "…" } else { "" };
            let after = if to < data.len() { "…" } else { "" };
            found.push(format!("{name}: {before}{}{after}", show(&data[from..to])));
        }
    }
    Ok(())
}

/// The packages of a closure by name and version, with the sizes of their paths.
type Packages = BTreeMap<String, BTreeMap<String, BTreeMap<StorePath, u64>>>;

fn packages(store: &AnyStore, root: &StorePath) -> Outcome<Packages> {
    let mut all = Packages::new();
    for path in store.compute_closure(&[root.clone()].into(), ClosureOptions::default())? {
        let name = without_output(path.name());
        let (name, version) = firn_eval::text::version::parse_drv_name(name.as_bytes());
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let size = store.path_info(&path)?.nar_size;
        all.entry(text(name)).or_default().entry(text(version)).or_default().insert(path, size);
    }
    Ok(all)
}

/// A name without the output behind its last dash. What is a word is taken for one, even if it is part of a
/// version.
fn without_output(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((rest, word))
            if matches!(word, "lib32" | "lib64")
                || (!word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase())) =>
        {
            rest
        }
        _ => name,
    }
}

/// `nix store diff-closures`.
pub fn diff_closures(call: &mut Call<'_>) -> Outcome {
    let [before, after] = &call.given.args[..] else {
        return usage("two arguments are needed: the closures before and after");
    };
    let (before, after) = (before.clone(), after.clone());
    let before = single(call, &before)?;
    let after = single(call, &after)?;
    let store = call.store()?;
    print_diff(&store, &before, &after, "", call.out)
}

/// Writes what packages and versions two closures differ in.
pub fn print_diff(
    store: &AnyStore,
    before: &StorePath,
    after: &StorePath,
    indent: &str,
    out: &mut dyn Write,
) -> Outcome {
    let (before, after) = (packages(store, before)?, packages(store, after)?);
    let none = BTreeMap::new();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name).unwrap_or(&none), after.get(name).unwrap_or(&none));
        let size = |versions: &BTreeMap<String, BTreeMap<StorePath, u64>>| -> i64 {
            let sum: u64 = versions.values().flat_map(BTreeMap::values).sum();
            i64::try_from(sum).unwrap_or(i64::MAX)
        };
        let delta = size(new) - size(old);
        // smaller changes are noise
        let show_delta = delta.abs() >= 8 * 1024;
        let removed: Vec<&String> = old.keys().filter(|v| !new.contains_key(*v)).collect();
        let added: Vec<&String> = new.keys().filter(|v| !old.contains_key(*v)).collect();
        if !show_delta && removed.is_empty() && added.is_empty() {
            continue;
        }
        let mut items = Vec::new();
        if !removed.is_empty() || !added.is_empty() {
            items.push(format!("{} → {}", versions(&removed), versions(&added)));
        }
        if show_delta {
            let sign = if delta > 0 { "+" } else { "" };
            let (colour, normal) = match (rustix::termios::isatty(std::io::stdout()), delta > 0) {
                (false, _) => ("", ""),
                (true, true) => ("\x1b[31;1m", "\x1b[0m"),
                (true, false) => ("\x1b[32;1m", "\x1b[0m"),
            };
            items.push(format!("{colour}{sign}{}{normal}", render_size(delta)));
        }
        writeln!(out, "{indent}{name}: {}", items.join(", "))?;
    }
    Ok(())
}

/// Versions as they are shown: `∅` for none, `ε` for one without a number.
pub fn versions(list: &[&String]) -> String {
    if list.is_empty() {
        return "∅".to_owned();
    }
    let shown: Vec<&str> = list.iter().map(|v| if v.is_empty() { "ε" } else { v }).collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_no_part_of_names() {
        assert_eq!(without_output("glibc-2.40-bin"), "glibc-2.40");
        assert_eq!(without_output("gcc-lib64"), "gcc");
        assert_eq!(without_output("hello-2.12"), "hello-2.12");
        assert_eq!(without_output("env-manifest.nix"), "env-manifest.nix");
    }
}
