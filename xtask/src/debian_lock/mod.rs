//! `cargo xtask debian-lock`: writes `distribution/pkgs/debian/lock.json` from `packages.json` there.
//!
//! The wanted packages are resolved against Debian's index ([`index`]), downloaded once ([`mirror`]) and
//! looked into; who uses whose files decides who depends on whom ([`graph`]). What the lock file looks
//! like is described in firn-import's README.

mod graph;
mod index;
mod mirror;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use firn_import::scan::{self, Facts};
use serde::Serialize;

use index::Package;
use wanted::Wanted;

/// Why a lock could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("cannot {0} '{path}': {2}", path = .1.display())]
    Io(&'static str, PathBuf, std::io::Error),
    /// A file's contents are not as expected.
    #[error("'{path}': {1}", path = .0.display())]
    Format(PathBuf, String),
    /// A package, or a relation of one, cannot be had.
    #[error("{0}")]
    Resolve(String),
    /// A download failed.
    #[error("cannot download '{0}': {1}")]
    Download(String, String),
    /// A package cannot be looked into.
    #[error(transparent)]
    Import(#[from] firn_import::Error),
}

type Result<T> = std::result::Result<T, Error>;

/// One store path in the lock file.
#[derive(Debug, Serialize)]
struct Locked<'a> {
    version: String,
    source: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<&'a str>,
    debs: Vec<LockedDeb<'a>>,
    deps: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<&'a serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct LockedDeb<'a> {
    name: &'a str,
    version: &'a str,
    url: String,
    sha256: &'a str,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Lock<'a> {
    version: u32,
    release: &'a str,
    architecture: &'a str,
    packages: BTreeMap<String, Locked<'a>>,
    owners: BTreeMap<&'a str, &'a str>,
}

pub fn main(arguments: &[String]) -> ExitCode {
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut options = mirror::Options::default();
    let mut check = false;
    for argument in arguments {
        match argument.as_str() {
            "--update" => options.update = true,
            "--security" => options.security = true,
            "--check" => check = true,
            other => {
                eprintln!(
                    "error: '{other}' is not an option of debian-lock (--update, --security, --check)"
                );
                return Ok(ExitCode::from(2));
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../distribution/pkgs/debian");
    let mut wanted = Wanted::read(&folder.join("packages.json"))?;
    let mirror = mirror::Mirror::new(&wanted, options)?;
    let index = index::Index::read(&mirror.indexes()?)?;

    index.expand_groups(&mut wanted)?;
    let chosen = index.closure(&wanted)?;
    eprintln!(
        "{} packages, {} MB to download at most",
        chosen.len(),
        chosen.values().map(|package| package.size).sum::<u64>() / 1_000_000
    );
    let packages: Vec<&Package> = chosen.values().copied().collect();
    let facts = look_into(&mirror, &packages)?;
    let graph = graph::Graph::build(&wanted, &index, &chosen, &facts)?;

    let mut locked = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for (key, entry) in &graph.entries {
        let main = chosen[entry.debs[0].as_str()];
        for deb in &entry.debs {
            if let Some((name, _)) = chosen.get_key_value(deb.as_str()) {
                owners.insert(*name, key.as_str());
            }
        }
        locked.insert(
            key.clone(),
            Locked {
                version: plain_version(&main.version),
                source: &main.source,
                description: &main.description,
                homepage: main.homepage.as_deref(),
                debs: entry
                    .debs
                    .iter()
                    .map(|name| chosen[name.as_str()])
                    .map(|package| LockedDeb {
                        name: &package.name,
                        version: &package.version,
                        url: format!("mirror://{}/{}", package.archive, package.path),
                        sha256: &package.sha256,
                        size: package.size,
                    })
                    .collect(),
                deps: entry.deps.iter().cloned().collect(),
                spec: wanted.spec(key),
            },
        );
    }
    let lock = Lock {
        version: 1,
        release: &wanted.release,
        architecture: &wanted.architecture,
        packages: locked,
        owners,
    };
    let path = folder.join("lock.json");
    let mut text = serde_json::to_string_pretty(&lock)
        .map_err(|error| Error::Format(path.clone(), error.to_string()))?;
    text.push('\n');
    for line in &graph.notes {
        eprintln!("note: {line}");
    }
    eprintln!(
        "{} store paths, {} dependencies",
        graph.entries.len(),
        graph.entries.values().map(|entry| entry.deps.len()).sum::<usize>()
    );
    if check {
        let same = std::fs::read_to_string(&path).is_ok_and(|old| old == text);
        if !same {
            eprintln!(
                "error: lock.json is not what packages.json gives; run 'cargo xtask debian-lock'"
            );
        }
        return Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    std::fs::write(&path, text).map_err(|error| Error::Io("write", path, error))?;
    Ok(ExitCode::SUCCESS)
}

/// Debian's version as part of a store path's name: no epoch, only characters that a name may have.
fn plain_version(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "+-._?=".contains(c) { c } else { '-' })
        .collect()
}

/// Downloads the packages and looks into each; what was found is kept beside the downloads.
fn look_into(mirror: &mirror::Mirror, packages: &[&Package]) -> Result<BTreeMap<String, Facts>> {
    // Changes when the scanner's answers change.
    const FORMAT: u32 = 3;
    let facts_of = |package: &Package| -> Result<Facts> {
        let cached = mirror.cache().join(format!("facts-{FORMAT}-{}.json", package.sha256));
        if let Ok(text) = std::fs::read(&cached)
            && let Ok(facts) = serde_json::from_slice(&text)
        {
            return Ok(facts);
        }
        let path = mirror.package(package)?;
        let data = std::fs::read(&path).map_err(|error| Error::Io("read", path.clone(), error))?;
        let facts = scan::deb(&path, &data)?;
        let text = serde_json::to_vec(&facts)
            .map_err(|error| Error::Format(cached.clone(), error.to_string()))?;
        std::fs::write(&cached, text).map_err(|error| Error::Io("write", cached, error))?;
        Ok(facts)
    };
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || -> Result<Vec<(String, Facts)>> {
        let mut found = Vec::new();
        while let Some(package) =
            packages.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        {
            found.push((package.name.clone(), facts_of(package)?));
        }
        Ok(found)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(run)).collect();
        let mut all = BTreeMap::new();
        for worker in workers {
            match worker.join() {
                Ok(found) => all.extend(found?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

/// Names of a set, for messages.
fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_fit_store_path_names() {
        assert_eq!(super::plain_version("1:9.2p1-2+deb12u7"), "9.2p1-2+deb12u7");
        assert_eq!(super::plain_version("2.36~rc1-9"), "2.36-rc1-9");
    }
}
