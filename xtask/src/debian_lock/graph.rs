//! Which store path needs which: from the files that packages really use, without cycles.
//!
//! A library that a file is linked with is a hard need: packages that need each other so are merged. All
//! else (script interpreters, libraries opened at run time, paths named in texts) is wanted where it
//! does not close a cycle.

use std::collections::{BTreeMap, BTreeSet};

use firn_import::scan::Facts;

use super::index::{Index, Package};
use super::wanted::Wanted;
use super::{Error, Result, list};

/// A store path to be: its packages and what it needs.
#[derive(Debug, Default)]
pub struct Entry {
    /// Debian packages, the first of them gives the version.
    pub debs: Vec<String>,
    /// Keys of other entries.
    pub deps: BTreeSet<String>,
}

/// All entries, and remarks for whoever updates the lock.
#[derive(Debug, Default)]
pub struct Graph {
    pub entries: BTreeMap<String, Entry>,
    pub notes: Vec<String>,
}

/// Who has a file or a library.
struct Owners {
    files: BTreeMap<String, BTreeSet<String>>,
    libraries: BTreeMap<String, BTreeSet<String>>,
}

impl Owners {
    /// Of several that have it, one that is related; else the first.
    fn pick<'a>(
        owners: Option<&'a BTreeSet<String>>,
        related: &BTreeSet<String>,
    ) -> Option<&'a String> {
        let owners = owners?;
        owners.iter().find(|key| related.contains(*key)).or_else(|| owners.first())
    }
}

impl Graph {
    pub fn build(
        wanted: &Wanted,
        index: &Index,
        chosen: &BTreeMap<&str, &Package>,
        facts: &BTreeMap<String, Facts>,
    ) -> Result<Self> {
        let mut graph = Self::default();
        for (key, group) in &wanted.groups {
            graph
                .entries
                .insert(key.clone(), Entry { debs: group.debs.clone(), deps: BTreeSet::new() });
        }
        for name in chosen.keys() {
            let key = wanted.key_of(name);
            if !wanted.groups.contains_key(&key) {
                graph.entries.entry(key).or_default().debs.push((*name).to_owned());
            }
        }
        if let Some(key) = wanted.packages.keys().find(|key| !graph.entries.contains_key(*key)) {
            return Err(Error::Resolve(format!(
                "packages.json has settings for '{key}', which is no store path"
            )));
        }

        let owners = graph.owners(wanted, facts);
        let essential: BTreeSet<String> = chosen
            .values()
            .filter(|package| package.essential)
            .map(|package| wanted.key_of(&package.name))
            .chain(["bash".to_owned()])
            .collect();
        let mut related: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, entry) in &graph.entries {
            let names = entry.debs.iter().flat_map(|name| index.related(chosen[name.as_str()]));
            let keys = names
                .map(|name| wanted.key_of(&name))
                .filter(|key| graph.entries.contains_key(key));
            related.insert(key.clone(), keys.collect());
        }

        let mut soft: [Vec<(String, String)>; 4] = Default::default();
        let keys: Vec<String> = graph.entries.keys().cloned().collect();
        for key in &keys {
            let debs = graph.entries[key].debs.clone();
            let related = &related[key];
            let mut missing = BTreeSet::new();
            for facts in debs.iter().filter_map(|name| facts.get(name)) {
                for name in &facts.needed {
                    match Owners::pick(owners.libraries.get(name), related) {
                        Some(owner) => graph.need(key, owner),
                        None => {
                            missing.insert(name.clone());
                        }
                    }
                }
                for path in &facts.loaders {
                    if let Some(owner) = Owners::pick(owners.files.get(path), related) {
                        graph.need(key, owner);
                    }
                }
                let mut add = |level: usize, owner: Option<&String>| {
                    if let Some(owner) = owner {
                        soft[level].push((key.clone(), owner.clone()));
                    }
                };
                for path in facts.interpreters.iter().chain(&facts.link_targets) {
                    add(1, Owners::pick(owners.files.get(path), related));
                }
                for name in &facts.opened {
                    add(2, Owners::pick(owners.libraries.get(name), related));
                }
                let compiled = facts.compiled.iter().filter(|_| wanted.uses_compiled_paths(key));
                for path in facts.named.iter().chain(compiled) {
                    let owner = Owners::pick(owners.files.get(path), related);
                    let is_program = path.starts_with("bin/");
                    add(
                        3,
                        owner.filter(|owner| {
                            related.contains(*owner) || (is_program && essential.contains(*owner))
                        }),
                    );
                }
            }
            for dep in wanted.deps(key) {
                if !graph.entries.contains_key(&dep) {
                    return Err(Error::Resolve(format!(
                        "'{key}' lists the dependency '{dep}', which is no store path"
                    )));
                }
                soft[0].push((key.clone(), dep));
            }
            if !missing.is_empty() {
                graph.notes.push(format!("{key}: nothing here has {}", list(&missing)));
            }
        }
        for key in &keys {
            for unwanted in wanted.without(key) {
                graph.entries.entry(key.clone()).or_default().deps.remove(unwanted);
            }
        }
        graph.refuse_cycles()?;
        for (level, edges) in soft.iter_mut().enumerate() {
            edges.sort();
            edges.dedup();
            for (from, to) in edges.iter() {
                if from == to
                    || wanted.without(from).contains(to)
                    || graph.entries[from].deps.contains(to)
                {
                    continue;
                }
                if !graph.reaches(to, from) {
                    graph.need(from, to);
                } else if level == 0 {
                    return Err(Error::Resolve(format!(
                        "'{from}' lists the dependency '{to}', which needs '{from}' itself"
                    )));
                }
            }
        }
        Ok(graph)
    }

    fn owners(&self, wanted: &Wanted, facts: &BTreeMap<String, Facts>) -> Owners {
        let mut owners = Owners { files: BTreeMap::new(), libraries: BTreeMap::new() };
        for (key, entry) in &self.entries {
            for facts in entry.debs.iter().filter_map(|name| facts.get(name)) {
                for path in &facts.files {
                    owners.files.entry(path.clone()).or_default().insert(key.clone());
                }
                for name in &facts.libraries {
                    owners.libraries.entry(name.clone()).or_default().insert(key.clone());
                }
            }
            for path in wanted.added_files(key) {
                owners.files.entry(path).or_default().insert(key.clone());
            }
        }
        owners
    }

    fn need(&mut self, from: &str, to: &str) {
        if from != to
            && let Some(entry) = self.entries.get_mut(from)
        {
            entry.deps.insert(to.to_owned());
        }
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from];
        while let Some(key) = todo.pop() {
            if key == to {
                return true;
            }
            if seen.insert(key) {
                todo.extend(self.entries[key].deps.iter().map(String::as_str));
            }
        }
        false
    }

    /// Packages linked with each other both ways must be one store path; `packages.json` says under which name.
    fn refuse_cycles(&self) -> Result<()> {
        for (key, entry) in &self.entries {
            for dep in &entry.deps {
                if self.reaches(dep, key) {
                    let around: BTreeSet<String> = self
                        .entries
                        .keys()
                        .filter(|other| self.reaches(key, other) && self.reaches(other, key))
                        .cloned()
                        .collect();
                    return Err(Error::Resolve(format!(
                        "these are linked with each other; make them a group in packages.json: {}",
                        list(&around)
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = "Package: a\nVersion: 1\nFilename: pool/a\nSHA256: 0\nSize: 1\nDepends: b\n\n\
        Package: b\nVersion: 1\nFilename: pool/b\nSHA256: 0\nSize: 1\n\n\
        Package: c\nVersion: 1\nFilename: pool/c\nSHA256: 0\nSize: 1\n";

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn graph(facts: [Facts; 3], settings: &str) -> Result<Graph> {
        let file =
            std::env::temp_dir().join(format!("firn-packages-{}-{:p}", std::process::id(), &facts));
        std::fs::write(&file, PACKAGES).unwrap();
        let index = Index::read(&[("debian".to_owned(), file.clone())]);
        std::fs::remove_file(file).unwrap();
        let index = index.unwrap();
        let wanted: Wanted = serde_json::from_str(&format!(
            r#"{{ "suite": "s", "release": "1", "architecture": "amd64", "roots": ["a", "b", "c"], "drop": [], {settings} }}"#
        ))
        .unwrap();
        let chosen = index.closure(&wanted).unwrap();
        let facts = ["a", "b", "c"].map(str::to_owned).into_iter().zip(facts).collect();
        Graph::build(&wanted, &index, &chosen, &facts)
    }

    fn deps(graph: &Graph, key: &str) -> Vec<String> {
        graph.entries[key].deps.iter().cloned().collect()
    }

    const NOTHING: &str = r#""groups": {}, "packages": {}"#;

    #[test]
    fn what_is_linked_decides_and_what_is_named_gives_way() {
        let a = Facts {
            needed: names(&["libb.so.1"]),
            libraries: names(&["liba.so.1"]),
            ..Facts::default()
        };
        let b = Facts {
            libraries: names(&["libb.so.1"]),
            opened: names(&["liba.so.1"]),
            interpreters: names(&["bin/c"]),
            ..Facts::default()
        };
        let c = Facts { files: names(&["bin/c"]), ..Facts::default() };
        let graph = graph([a, b, c], NOTHING).unwrap();
        assert_eq!(deps(&graph, "a"), ["b"]);
        assert_eq!(deps(&graph, "b"), ["c"]);
        assert!(deps(&graph, "c").is_empty());
    }

    #[test]
    fn packages_linked_both_ways_must_be_grouped() {
        let a = Facts {
            needed: names(&["libb.so.1"]),
            libraries: names(&["liba.so.1"]),
            ..Facts::default()
        };
        let b = Facts {
            needed: names(&["liba.so.1"]),
            libraries: names(&["libb.so.1"]),
            ..Facts::default()
        };
        let error =
            graph([a.clone(), b.clone(), Facts::default()], NOTHING).unwrap_err().to_string();
        assert!(error.ends_with("a, b"), "{error}");
        let grouped =
            r#""groups": { "ab": { "debs": ["a", "b"], "deps": ["c"] } }, "packages": {}"#;
        let graph = graph([a, b, Facts::default()], grouped).unwrap();
        assert_eq!(graph.entries.keys().collect::<Vec<_>>(), ["ab", "c"]);
        assert_eq!(deps(&graph, "ab"), ["c"]);
    }

    #[test]
    fn a_listed_dependency_that_closes_a_cycle_is_an_error() {
        let a = Facts { needed: names(&["libb.so.1"]), ..Facts::default() };
        let b = Facts { libraries: names(&["libb.so.1"]), ..Facts::default() };
        let listed = r#""groups": {}, "packages": { "b": { "deps": ["a"] } }"#;
        let error = graph([a, b, Facts::default()], listed).unwrap_err().to_string();
        assert!(error.contains("'b' lists the dependency 'a'"), "{error}");
    }
}
