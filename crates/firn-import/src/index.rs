//! Who has a file: the output first, then each dependency in order. Answers in paths as they are to
//! be written into files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::flatten;
use crate::tree::{Node, Tree};

/// Folders that many packages put files in: a path to one of them names no package.
const SHARED: [&str; 36] = [
    "",
    "bin",
    "lib",
    "libexec",
    "share",
    "include",
    "etc",
    "boot",
    "src",
    "lib/systemd",
    "lib/systemd/system",
    "lib/systemd/user",
    "lib/systemd/network",
    "lib/udev",
    "lib/udev/rules.d",
    "lib/modules",
    "lib/firmware",
    "lib/modprobe.d",
    "lib/sysctl.d",
    "lib/tmpfiles.d",
    "lib/sysusers.d",
    "lib/pkgconfig",
    "lib/locale",
    "lib/security",
    "share/locale",
    "share/man",
    "share/info",
    "share/doc",
    "share/dbus-1",
    "share/dbus-1/system.d",
    "share/dbus-1/system-services",
    "share/pkgconfig",
    "share/applications",
    "share/bash-completion",
    "share/zsh",
    "share/icons",
];

/// A dependency: its store path as written, and where it is.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The store path.
    pub path: String,
    /// Its place on this machine.
    pub real: PathBuf,
}

/// The index of one import.
pub struct Index<'a> {
    own: &'a Tree,
    own_names: BTreeMap<&'a str, Vec<&'a str>>,
    out: String,
    dependencies: Vec<Dependency>,
    libraries: Vec<BTreeMap<String, String>>,
    cache: Mutex<BTreeMap<String, Option<usize>>>,
}

/// Where something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// In the output.
    Own,
    /// In the dependency of that number.
    Dependency(usize),
}

impl<'a> Index<'a> {
    /// An index over the output's tree and the dependencies.
    #[must_use]
    pub fn new(own: &'a Tree, out: &str, dependencies: Vec<Dependency>) -> Self {
        let mut own_names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (path, node) in own.iter() {
            if !matches!(node, Node::Folder) {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                if is_library_name(name) {
                    own_names.entry(name).or_default().push(folder);
                }
            }
        }
        let libraries =
            dependencies.iter().map(|dependency| libraries_of(&dependency.real)).collect();
        Self {
            own,
            own_names,
            out: out.to_owned(),
            dependencies,
            libraries,
            cache: Mutex::default(),
        }
    }

    /// The dependencies, as given.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.dependencies
    }

    /// The output's store path.
    #[must_use]
    pub fn out(&self) -> &str {
        &self.out
    }

    /// The owner's path joined with a path below it.
    #[must_use]
    pub fn print(&self, owner: Owner, path: &str) -> String {
        let root = match owner {
            Owner::Own => &self.out,
            Owner::Dependency(number) => &self.dependencies[number].path,
        };
        if path.is_empty() { root.clone() } else { format!("{root}/{path}") }
    }

    /// Who has the flattened path.
    #[must_use]
    pub fn owner(&self, path: &str) -> Option<Owner> {
        if self.own.has(path) {
            return Some(Owner::Own);
        }
        let mut cache = self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cache
            .entry(path.to_owned())
            .or_insert_with(|| {
                self.dependencies.iter().position(|dependency| exists(&dependency.real.join(path)))
            })
            .map(Owner::Dependency)
    }

    /// Where an FHS path (absolute) is now, or `None`: nobody has it, or it is a folder that many
    /// packages share.
    #[must_use]
    pub fn locate(&self, fhs: &str) -> Option<String> {
        let placed = flatten::place(fhs.strip_prefix('/')?.trim_end_matches('/'))?;
        if SHARED.contains(&placed.as_str()) {
            // Each package finds its own translations only.
            let own = placed == "share/locale" && self.own.has(&placed);
            return own.then(|| self.print(Owner::Own, &placed));
        }
        let found = self.owner(&placed)?;
        let slash = if fhs.ends_with('/') { "/" } else { "" };
        Some(self.print(found, &placed) + slash)
    }

    /// Whether the output itself has the folder, and not as one of many packages.
    #[must_use]
    pub fn own_folder(&self, placed: &str) -> bool {
        !SHARED.contains(&placed) && matches!(self.own.get(placed), Some(Node::Folder))
    }

    /// The folder (as written into a RUNPATH) that has a library of this name, and its owner.
    #[must_use]
    pub fn library(&self, name: &str) -> Option<(Owner, String)> {
        if let Some(folders) = self.own_names.get(name) {
            // Of several, the plain library folder is what a loader would have searched.
            let folder = folders
                .iter()
                .find(|folder| **folder == "lib")
                .or_else(|| folders.iter().min_by_key(|folder| (folder.len(), **folder)))?;
            return Some((Owner::Own, self.print(Owner::Own, folder)));
        }
        self.libraries.iter().enumerate().find_map(|(number, libraries)| {
            let owner = Owner::Dependency(number);
            libraries.get(name).map(|folder| (owner, self.print(owner, folder)))
        })
    }
}

/// Whether a name is a shared library's.
#[must_use]
pub fn is_library_name(name: &str) -> bool {
    name.ends_with(".so") || name.contains(".so.")
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The shared libraries below `lib` and `libexec`, each with its folder; the one nearest to the top wins.
fn libraries_of(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut level = vec!["lib".to_owned(), "libexec".to_owned()];
    for _depth in 0..6 {
        let mut below = Vec::new();
        for folder in level {
            let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
            let mut names: Vec<_> = entries
                .flatten()
                .filter_map(|entry| {
                    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    entry.file_name().into_string().ok().map(|name| (name, is_dir))
                })
                .collect();
            names.sort();
            for (name, is_dir) in names {
                if is_dir {
                    // Modules and headers hold no libraries, and are many.
                    if !matches!(name.as_str(), "modules" | "firmware" | "node_modules" | "locale")
                    {
                        below.push(format!("{folder}/{name}"));
                    }
                } else if is_library_name(&name) {
                    found.entry(name).or_insert_with(|| folder.clone());
                }
            }
        }
        level = below;
    }
    found
}
