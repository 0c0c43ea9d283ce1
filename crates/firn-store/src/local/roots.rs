//! Permanent roots: links outside the store that keep paths alive, and finding all roots.
//!
//! A direct root is a link in `gcroots` or `profiles` to a store path. An indirect root is a link
//! anywhere, found through a link to it in `gcroots/auto` that is named by the hash of its path; it
//! lives as long as the user's own link.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::StorePath;

use super::{LocalStore, runtime_roots};
use crate::error::{Error, Result};
use crate::fs::{create_dirs, read_link, replace_symlink};
use crate::layout::canonical;
use crate::store::Store as _;

/// Roots: the paths that are kept, with what keeps each (links, or `{temp:PID}`).
pub type Roots = BTreeMap<StorePath, BTreeSet<String>>;

impl LocalStore {
    /// Registers the link `root` (a full path) as an indirect root.
    ///
    /// # Errors
    /// If the link to it cannot be made.
    pub fn add_indirect_root(&self, root: &Path) -> Result<()> {
        let name = Hash::digest(HashAlgo::Sha1, root.as_os_str().as_bytes()).to_base32();
        let auto = self.layout.gc_roots_dir().join("auto");
        create_dirs(&auto)?;
        replace_symlink(root, &auto.join(name))
    }

    /// Makes the direct root `gcroots/NAME`.
    ///
    /// # Errors
    /// If the link cannot be made.
    pub fn add_direct_root(&self, path: &StorePath, name: &str) -> Result<PathBuf> {
        self.add_temporary_root(path)?;
        let link = self.layout.gc_roots_dir().join(name);
        if let Some(parent) = link.parent() {
            create_dirs(parent)?;
        }
        replace_symlink(self.print(path).as_ref(), &link)?;
        Ok(link)
    }

    /// All roots: links, running processes, temporary roots.
    ///
    /// # Errors
    /// If the folders of roots cannot be read.
    pub fn find_roots(&self) -> Result<Roots> {
        let mut roots = self.find_permanent_roots()?;
        for (path, link) in self.find_temp_roots()? {
            roots.entry(path).or_default().insert(link);
        }
        Ok(roots)
    }

    /// All roots but the temporary ones.
    pub(super) fn find_permanent_roots(&self) -> Result<Roots> {
        let mut roots = Roots::new();
        for dir in [self.layout.gc_roots_dir(), self.layout.profiles_dir()] {
            self.roots_below(&dir, &mut roots)?;
        }
        for (path, links) in runtime_roots::find(&self.layout.store_dir) {
            if self.is_registered(&path)? {
                roots.entry(path).or_default().extend(links);
            }
        }
        Ok(roots)
    }

    fn roots_below(&self, path: &Path, roots: &mut Roots) -> Result<()> {
        let result = self.roots_at(path, roots);
        match result {
            Err(Error::Io { source, path, .. })
                if matches!(
                    source.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::NotADirectory
                ) =>
            {
                self.info(format!("cannot read potential root {path:?}"));
                Ok(())
            }
            other => other,
        }
    }

    fn roots_at(&self, path: &Path, roots: &mut Roots) -> Result<()> {
        let meta = path.symlink_metadata().map_err(Error::io("getting status of", path))?;
        if meta.is_dir() {
            let entries = std::fs::read_dir(path).map_err(Error::io("reading directory", path))?;
            for entry in entries {
                let entry = entry.map_err(Error::io("reading directory", path))?;
                self.roots_below(&entry.path(), roots)?;
            }
        } else if meta.is_symlink() {
            let target =
                std::fs::read_link(path).map_err(Error::io("reading symbolic link", path))?;
            if self.is_in_store(&target) {
                self.root_found(path, &target, roots)?;
            } else {
                self.indirect_root(path, &target, roots)?;
            }
        } else if meta.is_file() {
            // a file whose name is that of a store path, for those who cannot make links
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if let Ok(found) = StorePath::from_base_name(name)
                && self.is_registered(&found)?
            {
                roots.entry(found).or_default().insert(path.display().to_string());
            }
        }
        Ok(())
    }

    fn indirect_root(&self, link: &Path, target: &Path, roots: &mut Roots) -> Result<()> {
        let target = canonical(link.parent().unwrap_or(Path::new("/")).join(target).as_os_str());
        match target.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => {
                if let Some(second) = read_link(&target)?
                    && self.is_in_store(&second)
                {
                    self.root_found(&target, &second, roots)?;
                }
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                if link.starts_with(self.layout.gc_roots_dir().join("auto")) {
                    self.info(format!("removing stale link from {link:?} to {target:?}"));
                    let _ = std::fs::remove_file(link);
                }
                Ok(())
            }
            Err(e) => Err(Error::io("getting status of", &target)(e)),
        }
    }

    fn root_found(&self, link: &Path, target: &Path, roots: &mut Roots) -> Result<()> {
        let text = target.to_string_lossy();
        let Ok((path, _)) = self.layout.store_dir.parse_prefix(&text) else { return Ok(()) };
        if self.is_registered(&path)? {
            roots.entry(path).or_default().insert(link.display().to_string());
        } else {
            self.info(format!("skipping invalid root from {link:?} to {target:?}"));
        }
        Ok(())
    }
}
