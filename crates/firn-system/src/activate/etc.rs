//! `/etc`, entry by entry: what the old generation put there and the new one does not want goes, what
//! a person put there stays.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use firn_event::Logger;
use serde::{Deserialize, Serialize};

use super::{Roots, replace_link};
use crate::manifest::EtcEntry;
use crate::{Error, IoContext as _, Result};

/// Remembers what is ours, below the root.
const RECORD: &str = "var/lib/firn/etc.json";

/// How an entry was put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Placed {
    Link,
    Copy,
}

/// Makes `/etc` match `entries`.
///
/// Entries with mode `symlink` go through `/etc/static` where the toplevel's `etc` has them, so that
/// all of them change at one moment.
///
/// # Errors
/// If a file cannot be read or written; the others are still done.
pub fn apply(roots: &Roots, entries: &[EtcEntry], toplevel: &Path, logger: &Logger) -> Result<()> {
    let etc = roots.path("etc");
    let record_path = roots.path(RECORD);
    let old = read_record(&record_path, logger);
    let mut now: BTreeMap<String, Placed> = BTreeMap::new();
    let mut failures = Vec::new();

    let tree = fs::canonicalize(toplevel.join("etc")).ok().map(|t| {
        // the derivation may hold the files directly or in a folder `etc`
        let inner = t.join("etc");
        if inner.is_dir() { inner } else { t }
    });
    if let Some(tree) = &tree {
        replace_link(tree, &etc.join("static"))?;
    }
    // what is gone goes first, so that a folder can take the place of a link
    for (target, placed) in &old {
        if !entries.iter().any(|e| e.target == *target)
            && let Err(e) = remove(&etc, target, placed)
        {
            failures.push(e.to_string());
        }
    }
    for entry in entries {
        match place(&etc, entry, tree.as_deref(), old.contains_key(&entry.target), logger) {
            Ok(placed) => {
                now.insert(entry.target.clone(), placed);
            }
            Err(e) => failures.push(e.to_string()),
        }
    }
    if let Some(folder) = record_path.parent() {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    let text = serde_json::to_vec_pretty(&now)
        .map_err(|e| Error::Other(format!("the record of /etc cannot be written: {e}")))?;
    write_atomically(&record_path, &text, 0o644)?;
    if failures.is_empty() { Ok(()) } else { Err(Error::Other(failures.join("\n"))) }
}

fn read_record(path: &Path, logger: &Logger) -> BTreeMap<String, Placed> {
    let Ok(text) = fs::read(path) else { return BTreeMap::new() };
    serde_json::from_slice(&text).unwrap_or_else(|e| {
        logger.warn(format!(
            "'{}' is damaged ({e}); files that earlier generations put in /etc may stay",
            path.display()
        ));
        BTreeMap::new()
    })
}

fn remove(etc: &Path, target: &str, placed: &Placed) -> Result<()> {
    let path = etc.join(target);
    let Ok(meta) = fs::symlink_metadata(&path) else { return Ok(()) };
    // a person may have put a file of their own in a link's place
    if *placed == Placed::Link && !meta.is_symlink() {
        return Ok(());
    }
    if meta.is_dir() {
        return Ok(());
    }
    fs::remove_file(&path).at("remove", &path)?;
    let mut folder = path.parent();
    while let Some(f) = folder.filter(|f| *f != etc) {
        if fs::remove_dir(f).is_err() {
            break;
        }
        folder = f.parent();
    }
    Ok(())
}

fn place(
    etc: &Path,
    entry: &EtcEntry,
    tree: Option<&Path>,
    ours: bool,
    logger: &Logger,
) -> Result<Placed> {
    let path = etc.join(&entry.target);
    if let Some(folder) = path.parent() {
        make_folders(etc, folder, logger)?;
    }
    keep_foreign(&path, ours, logger)?;
    match entry.mode.as_str() {
        "symlink" | "direct-symlink" => {
            let through = (entry.mode == "symlink"
                && tree.is_some_and(|t| fs::symlink_metadata(t.join(&entry.target)).is_ok()))
            .then(|| Path::new("/etc/static").join(&entry.target));
            replace_link(through.as_deref().unwrap_or(&entry.source), &path)?;
            Ok(Placed::Link)
        }
        mode => {
            let mode = u32::from_str_radix(mode, 8).map_err(|_| {
                Error::Other(format!(
                    "the mode '{mode}' of /etc/{} is neither 'symlink' nor an octal number",
                    entry.target
                ))
            })?;
            let data = fs::read(&entry.source).at("read", &entry.source)?;
            write_atomically(&path, &data, mode)?;
            let uid = super::users::id_of(etc, "passwd", &entry.user)?;
            let gid = super::users::id_of(etc, "group", &entry.group)?;
            if rustix::process::geteuid().is_root() {
                chown(&path, Some(uid), Some(gid)).at("change the owner of", &path)?;
                // chown clears set-id bits
                fs::set_permissions(&path, fs::Permissions::from_mode(mode))
                    .at("set the mode of", &path)?;
            }
            Ok(Placed::Copy)
        }
    }
}

/// Makes the folders up to `folder`; a link of an earlier generation in the way goes.
fn make_folders(etc: &Path, folder: &Path, logger: &Logger) -> Result<()> {
    let Ok(relative) = folder.strip_prefix(etc) else { return Ok(()) };
    let mut at = etc.to_owned();
    for part in relative.components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_dir() => {}
            Ok(meta) if meta.is_symlink() => {
                fs::remove_file(&at).at("remove", &at)?;
                fs::create_dir(&at).at("create", &at)?;
            }
            Ok(_) => {
                keep_foreign(&at, false, logger)?;
                fs::create_dir(&at).at("create", &at)?;
            }
            Err(_) => fs::create_dir(&at).at("create", &at)?,
        }
    }
    Ok(())
}

/// Moves a file or folder that is not ours out of the way, so that nothing is lost.
fn keep_foreign(path: &Path, ours: bool, logger: &Logger) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if meta.is_symlink() || (ours && meta.is_file()) {
        return Ok(());
    }
    if meta.is_dir() && fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    let mut kept = PathBuf::from(format!("{}.before-firn", path.display()));
    let mut n = 1;
    while fs::symlink_metadata(&kept).is_ok() {
        n += 1;
        kept = PathBuf::from(format!("{}.before-firn-{n}", path.display()));
    }
    logger.warn(format!(
        "'{}' was not put there by the configuration; it is kept as '{}'",
        path.display(),
        kept.display()
    ));
    fs::rename(path, &kept).at("rename", path)
}

/// Writes a file by renaming a finished one into place.
pub(crate) fn write_atomically(path: &Path, data: &[u8], mode: u32) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.firn-new"));
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).at("remove", &temporary);
        }
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .at("create", &temporary)?;
    file.write_all(data).at("write", &temporary)?;
    file.set_permissions(fs::Permissions::from_mode(mode)).at("set the mode of", &temporary)?;
    file.sync_all().at("write", &temporary)?;
    fs::rename(&temporary, path).at("replace", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        roots: Roots,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { root: dir.path().join("root") };
        fs::create_dir_all(roots.path("etc")).unwrap();
        fs::write(roots.path("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        fs::write(roots.path("etc/group"), "root:x:0:\n").unwrap();
        fs::write(dir.path().join("a"), "A").unwrap();
        fs::write(dir.path().join("b"), "B").unwrap();
        Fixture { dir, roots }
    }

    impl Fixture {
        fn entry(&self, target: &str, source: &str, mode: &str) -> EtcEntry {
            EtcEntry {
                target: target.into(),
                source: self.dir.path().join(source),
                mode: mode.into(),
                user: "root".into(),
                group: "root".into(),
            }
        }
        fn apply(&self, entries: &[EtcEntry]) {
            apply(&self.roots, entries, &self.dir.path().join("toplevel"), &Logger::silent())
                .unwrap();
        }
        fn read(&self, target: &str) -> Option<String> {
            fs::read_to_string(self.roots.path("etc").join(target)).ok()
        }
    }

    #[test]
    fn entries_come_change_and_go() {
        let f = fixture();
        f.apply(&[f.entry("x/y", "a", "symlink"), f.entry("z", "a", "0440")]);
        assert_eq!(f.read("x/y").as_deref(), Some("A"));
        let mode = fs::metadata(f.roots.path("etc/z")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o440);
        f.apply(&[f.entry("x/y", "b", "symlink")]);
        assert_eq!(f.read("x/y").as_deref(), Some("B"));
        assert_eq!(f.read("z"), None);
        f.apply(&[]);
        assert!(!f.roots.path("etc/x").exists(), "the empty folder stays behind");
    }

    #[test]
    fn a_link_becomes_a_folder_and_back() {
        let f = fixture();
        fs::create_dir(f.dir.path().join("tree")).unwrap();
        f.apply(&[f.entry("d", "tree", "symlink")]);
        f.apply(&[f.entry("d/e", "a", "symlink")]);
        assert_eq!(f.read("d/e").as_deref(), Some("A"));
        f.apply(&[f.entry("d", "tree", "symlink")]);
        assert!(f.roots.path("etc/d").is_symlink());
    }

    #[test]
    fn what_a_person_put_there_is_kept() {
        let f = fixture();
        fs::write(f.roots.path("etc/mine"), "mine").unwrap();
        fs::create_dir(f.roots.path("etc/x")).unwrap();
        fs::write(f.roots.path("etc/x/other"), "other").unwrap();
        f.apply(&[f.entry("mine", "a", "symlink"), f.entry("x/y", "a", "symlink")]);
        assert_eq!(f.read("mine.before-firn").as_deref(), Some("mine"));
        f.apply(&[]);
        assert_eq!(f.read("x/other").as_deref(), Some("other"));
    }

    #[test]
    fn a_bad_entry_does_not_keep_the_others_out() {
        let f = fixture();
        let bad = f.entry("bad", "absent", "0644");
        let err = apply(
            &f.roots,
            &[bad, f.entry("good", "a", "symlink")],
            Path::new("/nowhere"),
            &Logger::silent(),
        )
        .unwrap_err();
        assert!(err.to_string().contains("absent"), "{err}");
        assert_eq!(f.read("good").as_deref(), Some("A"));
    }
}
