//! `builtin:buildenv`: a user environment, a tree of links to packages.
//!
//! Attributes: `derivations`, for each package its activity, priority, number of outputs and the
//! outputs' paths, as words; `manifest`, a path that becomes `manifest.nix`. A lower number is a
//! higher priority; the same file in two packages of one priority is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Context, Error, log};

/// A prepared environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildEnv {
    out: PathBuf,
    packages: Vec<(i64, PathBuf)>,
    manifest: String,
}

/// Files that would collide although nobody needs them in an environment.
const LEFT_OUT: [&[u8]; 7] = [
    b"propagated-build-inputs",
    b"nix-support",
    b"perllocal.pod",
    b"log",
    b"manifest.nix",
    b"manifest.json",
    b"info/dir",
];

impl BuildEnv {
    pub(super) fn prepare(context: &Context<'_>) -> Result<Self, Error> {
        let text = context.attribute("derivations")?;
        let mut words = text.split_ascii_whitespace();
        let mut packages = Vec::new();
        while let Some(active) = words.next() {
            let bad = || Error::from("attribute 'derivations' is cut off");
            let priority: i64 = words.next().ok_or_else(bad)?.parse()?;
            let outputs: usize = words.next().ok_or_else(bad)?.parse()?;
            for _ in 0..outputs {
                let path = PathBuf::from(words.next().ok_or_else(bad)?);
                if active != "false" {
                    packages.push((priority, path));
                }
            }
        }
        packages.sort();
        Ok(Self {
            out: context.output("builtin:buildenv")?.into(),
            packages,
            manifest: context.attribute("manifest")?,
        })
    }

    pub(super) fn run(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.out)?;
        build(&self.out, &self.packages)?;
        symlink(&self.manifest, self.out.join("manifest.nix"))?;
        Ok(())
    }
}

/// Fills `out`, a folder that is there, with links into `packages` (priority and path), and into those that they propagate.
///
/// # Errors
/// A [`Conflict`], and what the file system says.
pub fn build(out: &Path, packages: &[(i64, PathBuf)]) -> Result<(), Error> {
    let mut links = Links { priorities: BTreeMap::new() };
    let mut done = BTreeSet::new();
    let mut postponed = BTreeSet::new();
    for (priority, package) in packages {
        links.package(package, out, *priority, &mut done, &mut postponed)?;
    }
    // What packages bring along gives way to what was asked for.
    let mut priority = 1000;
    while !postponed.is_empty() {
        for package in std::mem::take(&mut postponed) {
            links.package(&package, out, priority, &mut done, &mut postponed)?;
            priority += 1;
        }
    }
    Ok(())
}

struct Links {
    priorities: BTreeMap<PathBuf, i64>,
}

impl Links {
    fn package(
        &mut self,
        package: &Path,
        out: &Path,
        priority: i64,
        done: &mut BTreeSet<PathBuf>,
        postponed: &mut BTreeSet<PathBuf>,
    ) -> Result<(), Error> {
        if !done.insert(package.to_owned()) {
            return Ok(());
        }
        self.directory(package, out, priority)?;
        let list = package.join("nix-support/propagated-user-env-packages");
        match fs::read_to_string(&list) {
            Ok(text) => postponed.extend(
                text.split([' ', '\n'])
                    .filter(|p| !p.is_empty())
                    .map(PathBuf::from)
                    .filter(|p| !done.contains(p)),
            ),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(e) => return Err(format!("cannot read '{}': {e}", list.display()).into()),
        }
        Ok(())
    }

    fn directory(&mut self, source: &Path, target: &Path, priority: i64) -> Result<(), Error> {
        let entries = match fs::read_dir(source) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotADirectory => {
                log::line(&format!(
                    "warning: not including '{}' in the user environment because it's not a directory",
                    source.display()
                ));
                return Ok(());
            }
            Err(e) => return Err(format!("cannot read '{}': {e}", source.display()).into()),
        };
        let mut names = entries.map(|e| Ok(e?.file_name())).collect::<Result<Vec<_>, Error>>()?;
        names.sort();
        for name in names {
            if name.as_bytes().first() == Some(&b'.') {
                continue;
            }
            let (from, to) = (source.join(&name), target.join(&name));
            let Ok(meta) = fs::metadata(&from) else {
                log::line(&format!("warning: skipping dangling symlink '{}'", to.display()));
                continue;
            };
            let path = from.as_os_str().as_bytes();
            if LEFT_OUT
                .iter()
                .any(|end| path.strip_suffix(*end).is_some_and(|rest| rest.ends_with(b"/")))
            {
                continue;
            }
            self.entry(&from, &to, meta.is_dir(), priority)?;
        }
        Ok(())
    }

    fn entry(&mut self, from: &Path, to: &Path, dir: bool, priority: i64) -> Result<(), Error> {
        let there = fs::symlink_metadata(to).ok().map(|m| m.file_type());
        match there {
            Some(kind) if dir && kind.is_dir() => return self.directory(from, to, priority),
            Some(kind) if dir && kind.is_symlink() => {
                let target = fs::canonicalize(to)?;
                if !target.is_dir() {
                    return Err(format!(
                        "collision between '{}' and non-directory '{}'",
                        from.display(),
                        target.display()
                    )
                    .into());
                }
                let before = self.priorities.get(to).copied().unwrap_or(0);
                fs::remove_file(to)?;
                fs::create_dir(to)?;
                self.directory(&target, to, before)?;
                return self.directory(from, to, priority);
            }
            Some(kind) if !dir && kind.is_symlink() => {
                let before = self.priorities.get(to).copied().unwrap_or(0);
                if before == priority {
                    let (first, second) = (fs::read_link(to)?, from.to_owned());
                    return Err(Conflict { first, second, priority }.into());
                }
                if before < priority {
                    return Ok(());
                }
                fs::remove_file(to)?;
            }
            Some(kind) if !dir && kind.is_dir() => {
                return Err(format!(
                    "collision between non-directory '{}' and directory '{}'",
                    from.display(),
                    to.display()
                )
                .into());
            }
            _ => {}
        }
        symlink(from, to)?;
        self.priorities.insert(to.to_owned(), priority);
        Ok(())
    }
}

/// Two packages of one priority have the same file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Unable to build profile. There is a conflict for the following files:\n\n  {}\n  {}\n\n\
     Both have priority {priority}; give one of them another (a lower number wins), for example \
     with nix-env --set-flag priority NUMBER INSTALLED-PACKAGE.",
    first.display(),
    second.display()
)]
pub struct Conflict {
    /// The file that was there first.
    pub first: PathBuf,
    /// The other one.
    pub second: PathBuf,
    /// The priority of both.
    pub priority: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(dir: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
        for (file, text) in files {
            let path = dir.join(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir.join(name)
    }

    #[test]
    fn merges_directories_and_lets_the_priority_decide() {
        let dir = tempfile::tempdir().unwrap();
        let a = package(dir.path(), "a", &[("bin/x", "a"), ("share/a", "1"), (".hidden", "")]);
        let b = package(dir.path(), "b", &[("bin/x", "b"), ("bin/y", "b"), ("log", "")]);
        let c = package(dir.path(), "c", &[("bin/z", "c")]);
        package(
            dir.path(),
            "b",
            &[("nix-support/propagated-user-env-packages", &format!("{}\n", c.display()))],
        );
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        build(&out, &[(5, a.clone()), (6, b.clone())]).unwrap();
        assert_eq!(fs::read_link(out.join("bin/x")).unwrap(), a.join("bin/x"));
        assert_eq!(fs::read_link(out.join("bin/y")).unwrap(), b.join("bin/y"));
        assert_eq!(fs::read_link(out.join("bin/z")).unwrap(), c.join("bin/z"));
        assert_eq!(fs::read_link(out.join("share")).unwrap(), a.join("share"));
        assert!(!out.join("log").exists() && !out.join(".hidden").exists());

        let out = dir.path().join("out2");
        fs::create_dir(&out).unwrap();
        let error = build(&out, &[(5, a), (5, b)]).unwrap_err().to_string();
        assert!(error.contains("bin/x") && error.contains("priority 5"), "{error}");
    }
}
