//! Stores that are laid over others (`local-overlay://`): contents and metadata of a lower store that is never
//! written, and of an upper one that has what was added since.
//!
//! The store's folder is an overlay file system that somebody else has mounted (manual, "Store Types: Experimental
//! Local Overlay Store"). The upper database has the metadata of all that the upper layer refers to: what is needed of
//! the lower store is copied up when it is asked for. Nothing here knows how the lower store is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firn_event::Level;
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;

use super::optimise::OptimiseStats;
use super::register::Outputs;
use super::{LocalStore, StoreOptions};
use crate::error::{Error, Result};
use crate::fs::delete_path;
use crate::layout::StoreLayout;
use crate::store::{ClosureOptions, Store};

/// What a store is laid over.
pub struct Overlay {
    /// The store below, whose contents are on this machine.
    pub lower: Arc<dyn Store>,
    /// Where the lower store's contents are.
    pub lower_dir: PathBuf,
    /// The folder that the overlay file system writes to (`upper-layer`).
    pub upper_layer: PathBuf,
    /// Whether to check that the overlay file system is mounted so (`check-mount`).
    pub check_mount: bool,
    /// The program that mounts it anew after something was deleted beneath it (`remount-hook`).
    pub remount_hook: Option<PathBuf>,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay")
            .field("lower_dir", &self.lower_dir)
            .field("upper_layer", &self.upper_layer)
            .finish_non_exhaustive()
    }
}

/// An overlay in use.
#[derive(Debug)]
pub(super) struct Layers {
    overlay: Overlay,
    /// Whether something was deleted beneath the mounted file system.
    stale: AtomicBool,
}

impl Layers {
    pub(super) fn new(overlay: Overlay) -> Self {
        Self { overlay, stale: AtomicBool::new(false) }
    }

    pub(super) fn lower(&self) -> &dyn Store {
        &*self.overlay.lower
    }

    /// Where the upper layer has what is called so in the store's folder.
    pub(super) fn upper(&self, name: &std::ffi::OsStr) -> PathBuf {
        self.overlay.upper_layer.join(name)
    }

    /// Whether the upper layer has what is called so in the store's folder.
    pub(super) fn in_upper(&self, name: &std::ffi::OsStr) -> bool {
        self.upper(name).symlink_metadata().is_ok_and(|meta| !is_whiteout(&meta))
    }
}

/// Whether a file of the upper layer says that there is none.
fn is_whiteout(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    meta.file_type().is_char_device() && meta.rdev() == 0
}

impl LocalStore {
    /// Opens a store that is laid over another.
    ///
    /// # Errors
    /// If the overlay file system is not mounted as `overlay` says, or as [`LocalStore::open`].
    pub fn open_overlay(
        layout: StoreLayout,
        options: StoreOptions,
        overlay: Overlay,
    ) -> Result<Self> {
        if overlay.check_mount {
            let file = Path::new("/proc/self/mounts");
            let mounts = std::fs::read_to_string(file).map_err(Error::io("reading", file))?;
            if !is_mounted(&mounts, &layout.real_store_dir, &overlay) {
                return Err(Error::Usage(format!(
                    "overlay filesystem {:?} mounted incorrectly: it must be an overlay with lowerdir={} and upperdir={}",
                    layout.real_store_dir,
                    overlay.lower_dir.display(),
                    overlay.upper_layer.display()
                )));
            }
        }
        let mut store = Self::open(layout, options)?;
        store.layers = Some(Arc::new(Layers::new(overlay)));
        Ok(store)
    }

    /// Opens the same store once more, with other options.
    ///
    /// # Errors
    /// As [`LocalStore::open`].
    pub fn reopen(&self, options: StoreOptions) -> Result<Self> {
        let mut store = Self::open(self.layout.clone(), options)?;
        store.layers.clone_from(&self.layers);
        Ok(store)
    }

    /// What the store is laid over, if it is.
    pub(super) fn layers(&self) -> Option<&Layers> {
        self.layers.as_deref()
    }

    /// Takes the metadata of a path and of its closure over from the lower store, if it is valid there.
    pub(super) fn copy_up(&self, path: &StorePath) -> Result<bool> {
        let Some(layers) = &self.layers else { return Ok(false) };
        let lower = layers.lower();
        if !lower.is_valid(path)? {
            return Ok(false);
        }
        if self.options.read_only {
            return Ok(true);
        }
        let closure = lower.compute_closure(&[path.clone()].into(), ClosureOptions::default())?;
        let mut infos: Vec<PathInfo> = Vec::new();
        let mut drvs: Vec<(StorePath, BTreeMap<String, StorePath>)> = Vec::new();
        for path in closure {
            if self.is_in_database(&path)? {
                continue;
            }
            infos.push((*lower.path_info(&path)?).clone());
            if path.is_derivation() {
                let outputs = lower.query_derivation_outputs(&path)?;
                let known = outputs.into_iter().filter_map(|(name, out)| Some((name, out?)));
                drvs.push((path, known.collect()));
            }
        }
        let outputs: Outputs<'_> = drvs.iter().map(|(path, known)| (path, known.clone())).collect();
        self.register_rows(&infos, &outputs)?;
        Ok(true)
    }

    /// Before paths are registered: takes over what is known of them, and of what they refer to, below.
    pub(super) fn copy_up_for(&self, infos: &[PathInfo]) -> Result<()> {
        if self.layers.is_none() {
            return Ok(());
        }
        let new: BTreeSet<&StorePath> = infos.iter().map(|info| &info.path).collect();
        for info in infos {
            for path in info.references.iter().filter(|path| !new.contains(path)) {
                self.is_registered(path)?;
            }
            self.is_registered(&info.path)?;
        }
        Ok(())
    }

    /// Deletes what the store's folder has under a name, in the upper layer alone. What is in both layers goes where
    /// the file system does not see it, so that the lower one shows again instead of nothing.
    pub(super) fn delete_in_upper(&self, layers: &Layers, real: &Path) -> Result<u64> {
        let Some(name) = real.file_name().filter(|name| layers.in_upper(name)) else {
            return Ok(0);
        };
        let path = name.to_str().and_then(|name| StorePath::from_base_name(name).ok());
        let below = match path {
            Some(path) => layers.lower().is_valid(&path)?,
            None => layers.overlay.lower_dir.join(name).symlink_metadata().is_ok(),
        };
        if !below {
            return delete_path(real);
        }
        let freed = delete_path(&layers.upper(name))?;
        layers.stale.store(true, Ordering::Relaxed);
        Ok(freed)
    }

    /// Has the overlay file system mounted anew if something was deleted beneath it.
    pub(super) fn remount_if_stale(&self) -> Result<()> {
        let Some(layers) = &self.layers else { return Ok(()) };
        if !layers.stale.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let dir = &self.layout.real_store_dir;
        let Some(hook) = &layers.overlay.remount_hook else {
            self.logger().warn(format!(
                "{dir:?} needs remounting, set remount-hook to do this automatically"
            ));
            return Ok(());
        };
        let failed =
            |why: String| Error::Usage(format!("the remount-hook '{}' {why}", hook.display()));
        let status = std::process::Command::new(hook)
            .arg(dir)
            .status()
            .map_err(|e| failed(format!("cannot be run: {}", crate::error::errno_text(&e))))?;
        match status.success() {
            true => Ok(()),
            false => Err(failed(format!("failed with {status}"))),
        }
    }

    /// Removes from the upper layer what the lower store has come to have, too.
    pub(super) fn optimise_layers(&self, layers: &Layers) -> Result<OptimiseStats> {
        let mut stats = OptimiseStats::default();
        for path in self.query_all_valid_paths()? {
            self.add_temp_root(&path)?;
            if layers.lower().is_valid(&path)? {
                self.logger().message(
                    Level::Talkative,
                    format!("'{}' is in both layers", self.print(&path)),
                );
                stats.bytes_freed += self.delete_in_upper(layers, &self.layout.real_path(&path))?;
            }
        }
        self.remount_if_stale()?;
        Ok(stats)
    }
}

/// Whether the last file system that `mounts` (as `/proc/self/mounts`) has at `dir` is the overlay that is meant.
fn is_mounted(mounts: &str, dir: &Path, overlay: &Overlay) -> bool {
    let last = mounts.lines().rev().find_map(|line| {
        let mut fields = line.split(' ');
        let (kind, at) = (fields.next()?, fields.next()?);
        (unescape(at).as_os_str() == dir.as_os_str()).then(|| (kind.to_owned(), fields.nth(1)))
    });
    let Some((kind, Some(options))) = last else { return false };
    let has = |name: &str, value: &Path| {
        options.split(',').any(|option| {
            option
                .strip_prefix(name)
                .and_then(|o| o.strip_prefix('='))
                .is_some_and(|found| unescape(found).as_os_str() == value.as_os_str())
        })
    };
    kind == "overlay"
        && has("lowerdir", &overlay.lower_dir)
        && has("upperdir", &overlay.upper_layer)
}

/// A path of `/proc/self/mounts`, where blanks and the like are octal numbers.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 4).filter(|_| *byte == b'\\');
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Repair;
    use crate::local::gc::{Action, GcOptions};

    fn options() -> StoreOptions {
        StoreOptions::default()
    }

    /// A store laid over another without a mounted file system, which is enough for metadata.
    struct Case {
        _dir: tempfile::TempDir,
        upper: LocalStore,
        lower: Arc<LocalStore>,
    }

    fn case() -> Case {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| StoreLayout::in_root(&dir.path().join(name));
        let lower = Arc::new(LocalStore::open(at("lower"), options()).unwrap());
        let layout = at("upper");
        let overlay = Overlay {
            lower: lower.clone(),
            lower_dir: lower.layout().real_store_dir.clone(),
            // the store's folder itself: everything that is not in the lower folder is new
            upper_layer: layout.real_store_dir.clone(),
            check_mount: false,
            remount_hook: None,
        };
        let upper = LocalStore::open_overlay(layout, options(), overlay).unwrap();
        Case { _dir: dir, upper, lower }
    }

    fn text(store: &LocalStore, name: &str, references: &[&StorePath]) -> StorePath {
        let references = references.iter().map(|path| (*path).clone()).collect();
        store.add_text(name, name.as_bytes(), &references, Repair::No).unwrap()
    }

    #[test]
    fn what_is_below_is_valid_with_its_closure_and_not_added_again() {
        let Case { upper, lower, .. } = &case();
        let low = text(lower, "low", &[]);
        let middle = text(lower, "middle", &[&low]);
        assert!(upper.query_all_valid_paths().unwrap().is_empty());
        assert_eq!(upper.path_info(&middle).unwrap().references, [low.clone()].into());
        assert!(upper.query_all_valid_paths().unwrap().is_empty(), "asking copies nothing");
        let found = upper.query_path_from_hash_part(middle.hash_part()).unwrap();
        assert_eq!(found, Some(middle.clone()));
        assert!(upper.is_valid(&middle).unwrap());
        assert_eq!(upper.query_all_valid_paths().unwrap(), [low.clone(), middle.clone()].into());
        // a reference into the lower store that nobody has asked for yet
        let other = text(lower, "other", &[]);
        let top = text(upper, "top", &[&other, &middle]);
        assert_eq!(upper.query_referrers(&middle).unwrap(), [top.clone()].into());
        assert_eq!(upper.query_referrers(&low).unwrap(), [middle].into());
        assert!(!lower.is_valid(&top).unwrap());
    }

    #[test]
    fn nothing_below_is_collected() {
        let Case { upper, lower, .. } = &case();
        let low = text(lower, "low", &[]);
        let top = text(upper, "top", &[&low]);
        upper.release_temp_roots().unwrap();
        let dead = GcOptions { action: Action::ReturnDead, ..GcOptions::default() };
        let found = upper.collect_garbage(&dead).unwrap();
        assert!(found.paths.contains(&upper.print(&top)), "{found:?}");
        upper.collect_garbage(&GcOptions::default()).unwrap();
        assert!(!upper.layout().real_path(&top).exists());
        assert!(lower.layout().real_path(&low).exists());
        assert!(upper.query_all_valid_paths().unwrap().is_empty());
        assert!(lower.is_valid(&low).unwrap() && upper.is_valid(&low).unwrap());
    }

    #[test]
    fn what_is_in_both_layers_goes_from_the_upper_one() {
        let Case { upper, lower, .. } = &case();
        let both = text(upper, "both", &[]);
        text(lower, "both", &[]);
        let alone = text(upper, "alone", &[]);
        upper.optimise().unwrap();
        assert!(!upper.layout().real_path(&both).exists());
        assert!(upper.layout().real_path(&alone).exists());
        assert!(upper.is_valid(&both).unwrap());
    }

    #[test]
    fn only_the_right_overlay_will_do() {
        let Case { lower, .. } = case();
        let overlay = |lower_dir: &str, upper: &str| Overlay {
            lower: lower.clone(),
            lower_dir: lower_dir.into(),
            upper_layer: upper.into(),
            check_mount: true,
            remount_hook: None,
        };
        let mounts = "proc /proc proc rw 0 0\n\
                      overlay /a\\040b/nix/store overlay rw,relatime,lowerdir=/l,upperdir=/u,workdir=/w 0 0\n";
        let dir = Path::new("/a b/nix/store");
        assert!(is_mounted(mounts, dir, &overlay("/l", "/u")));
        assert!(!is_mounted(mounts, dir, &overlay("/other", "/u")));
        assert!(!is_mounted(mounts, dir, &overlay("/l", "/other")));
        assert!(!is_mounted(mounts, Path::new("/b"), &overlay("/l", "/u")));
        // something else is mounted over it
        let covered = format!("{mounts}tmpfs /a\\040b/nix/store tmpfs rw 0 0\n");
        assert!(!is_mounted(&covered, dir, &overlay("/l", "/u")));
        let layout = StoreLayout::in_root(Path::new("/nonexistent"));
        let error = LocalStore::open_overlay(layout, options(), overlay("/l", "/u")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("overlay filesystem \"/nonexistent/nix/store\" mounted incorrectly")
        );
    }
}
