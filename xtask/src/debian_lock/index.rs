//! Debian's package index (`Packages`), and the closure of packages over their relations.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;

use firn_import::archive::{deb, tar};

use super::wanted::Wanted;
use super::{Error, Result};

/// A package of the index.
#[derive(Debug, Clone)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub source: String,
    pub description: String,
    pub homepage: Option<String>,
    /// The archive that has it, as in `mirror://` addresses: `debian` or `debian-security`.
    pub archive: String,
    /// Its path in the archive.
    pub path: String,
    pub sha256: String,
    pub size: u64,
    pub essential: bool,
    /// Alternatives for each relation, names only.
    pub depends: Vec<Vec<String>>,
    /// The same for Recommends.
    pub recommends: Vec<Vec<String>>,
    pub provides: Vec<String>,
}

/// All packages by name, of each the newest.
pub struct Index {
    packages: BTreeMap<String, Package>,
    providers: BTreeMap<String, BTreeSet<String>>,
}

fn relations(text: Option<&String>) -> Vec<Vec<String>> {
    let name = |relation: &str| {
        let end = relation.find([' ', '(', '[', ':', '<']).unwrap_or(relation.len());
        relation[..end].to_owned()
    };
    text.map(|text| {
        text.split(',')
            .map(|relation| relation.split('|').map(|one| name(one.trim())).collect())
            .collect()
    })
    .unwrap_or_default()
}

impl Package {
    fn from_paragraph(archive: &str, fields: &BTreeMap<String, String>) -> Option<Self> {
        let field = |name: &str| fields.get(name).cloned();
        let name = field("Package")?;
        let mut depends = relations(fields.get("Pre-Depends"));
        depends.extend(relations(fields.get("Depends")));
        let recommends = relations(fields.get("Recommends"));
        let source = field("Source").unwrap_or_else(|| name.clone());
        Some(Self {
            version: field("Version")?,
            source: source.split(' ').next().unwrap_or_default().to_owned(),
            description: field("Description")
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            homepage: field("Homepage"),
            archive: archive.to_owned(),
            path: field("Filename")?,
            sha256: field("SHA256")?,
            size: field("Size")?.parse().ok()?,
            essential: field("Essential").is_some_and(|value| value == "yes"),
            depends,
            recommends,
            provides: relations(fields.get("Provides")).into_iter().flatten().collect(),
            name,
        })
    }
}

impl Index {
    /// Reads index files; each with the archive it is of. Of a package that several have, the newest counts.
    pub fn read(files: &[(String, PathBuf)]) -> Result<Self> {
        let mut index = Self { packages: BTreeMap::new(), providers: BTreeMap::new() };
        for (archive, path) in files {
            let data =
                std::fs::read(path).map_err(|error| Error::Io("read", path.clone(), error))?;
            let mut text = String::new();
            tar::decompress(path, &data)?
                .read_to_string(&mut text)
                .map_err(|error| Error::Io("unpack", path.clone(), error))?;
            for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
                let fields = deb::paragraph(paragraph);
                let package = Package::from_paragraph(archive, &fields).ok_or_else(|| {
                    Error::Format(path.clone(), format!("lacks a field: {paragraph}"))
                })?;
                let newer = index
                    .packages
                    .get(&package.name)
                    .is_none_or(|old| compare_versions(&package.version, &old.version).is_gt());
                if newer {
                    index.packages.insert(package.name.clone(), package);
                }
            }
        }
        for package in index.packages.values() {
            for provided in &package.provides {
                index.providers.entry(provided.clone()).or_default().insert(package.name.clone());
            }
        }
        Ok(index)
    }

    /// The package that a relation's alternatives mean here, or `None` when it is dropped.
    fn choose(
        &self,
        wanted: &Wanted,
        roots: &BTreeSet<&str>,
        alternatives: &[String],
    ) -> Result<Option<&Package>> {
        let is_dropped = |name: &str| wanted.drop.contains(name);
        // An alternative that is wanted anyway.
        if let Some(name) = alternatives.iter().find(|name| roots.contains(name.as_str())) {
            return Ok(self.packages.get(name));
        }
        for name in alternatives {
            if is_dropped(name) {
                return Ok(None);
            }
            if let Some(chosen) = wanted.choose.get(name) {
                return Ok(self.packages.get(chosen));
            }
            if let Some(package) = self.packages.get(name) {
                return Ok(Some(package));
            }
            if let Some(providers) = self.providers.get(name) {
                if providers.iter().any(|name| is_dropped(name)) {
                    return Ok(None);
                }
                let provider = providers.iter().find(|name| roots.contains(name.as_str()));
                if let Some(provider) = provider.or_else(|| providers.first()) {
                    return Ok(self.packages.get(provider));
                }
            }
        }
        Err(Error::Resolve(format!("nothing provides {}", alternatives.join(" | "))))
    }

    /// Puts packages that have a version in their name in the place of `@depends:META` in groups: what the
    /// package META depends on first.
    pub fn expand_groups(&self, wanted: &mut Wanted) -> Result<()> {
        for name in wanted.groups.values_mut().flat_map(|group| &mut group.debs) {
            if let Some(meta) = name.strip_prefix("@depends:") {
                let package = self.packages.get(meta);
                let first = package.and_then(|package| package.depends.first()?.first());
                *name = first.cloned().ok_or_else(|| {
                    Error::Resolve(format!("'{meta}' is no package with a dependency"))
                })?;
            }
        }
        Ok(())
    }

    /// The wanted packages and all that they depend on.
    pub fn closure(&self, wanted: &Wanted) -> Result<BTreeMap<&str, &Package>> {
        let grouped = wanted.groups.values().flat_map(|group| &group.debs);
        let roots: BTreeSet<&str> =
            wanted.roots.iter().chain(grouped).map(String::as_str).collect();
        let mut found: BTreeMap<&str, &Package> = BTreeMap::new();
        let mut todo = Vec::new();
        for name in &roots {
            let package = self.packages.get(*name).ok_or_else(|| {
                Error::Resolve(format!(
                    "packages.json wants '{name}', which the index does not have"
                ))
            })?;
            todo.push(package);
        }
        while let Some(package) = todo.pop() {
            if found.insert(&package.name, package).is_some() {
                continue;
            }
            for alternatives in &package.depends {
                if let Some(next) = self.choose(wanted, &roots, alternatives)? {
                    todo.push(next);
                }
            }
        }
        Ok(found)
    }

    /// The names of packages that a package's own relations mention (Depends, Recommends).
    pub fn related(&self, package: &Package) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for name in package.depends.iter().chain(&package.recommends).flatten() {
            names.insert(name.clone());
            names.extend(self.providers.get(name).into_iter().flatten().cloned());
        }
        names
    }
}

/// Orders versions as deb-version(7) defines it.
pub fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    let split = |version: &str| -> (u64, String, String) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (a, b) = (split(a), split(b));
    a.0.cmp(&b.0).then_with(|| compare_parts(&a.1, &b.1)).then_with(|| compare_parts(&a.2, &b.2))
}

fn compare_parts(a: &str, b: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering::Equal;
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    // `~` sorts before the end, letters before everything else.
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    loop {
        while a.first().is_some_and(|byte| !byte.is_ascii_digit())
            || b.first().is_some_and(|byte| !byte.is_ascii_digit())
        {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order != Equal {
                return order;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let number = |bytes: &mut &[u8]| {
            let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
            let digits = &bytes[..end];
            *bytes = &bytes[end..];
            let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
            digits[zeros..].to_vec()
        };
        let (x, y) = (number(&mut a), number(&mut b));
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y));
        if order != Equal || (a.is_empty() && b.is_empty()) {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn versions_are_ordered_as_debian_orders_them() {
        for (a, b, order) in [
            ("1.0", "1.0", Equal),
            ("1.0", "1.0-0", Equal),
            ("1.10", "1.9", Greater),
            ("1:1.0", "2.0", Greater),
            ("1.0~rc1", "1.0", Less),
            ("2.36-9+deb12u7", "2.36-9+deb12u10", Less),
            ("6.1.0-49", "6.1.0-5", Greater),
            ("1.0a", "1.0+", Less),
            ("1.02", "1.2", Equal),
        ] {
            assert_eq!(compare_versions(a, b), order, "{a} {b}");
        }
    }

    #[test]
    fn relations_are_names_only() {
        let text = "libc6 (>= 2.34), awk | mawk:any, x [linux-any] <!nocheck>".to_owned();
        assert_eq!(
            relations(Some(&text)),
            [vec!["libc6".to_owned()], vec!["awk".into(), "mawk".into()], vec!["x".into()]]
        );
    }
}
