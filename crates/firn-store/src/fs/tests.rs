use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use firn_model::hash::HashAlgo;
use firn_model::nar::NarWriter;

use super::lock::{FileLock, LockKind, PathLocks};
use super::*;
use crate::store::FileKind;

fn tree(root: &Path) {
    std::fs::create_dir_all(root.join("dir/deeper")).unwrap();
    std::fs::write(root.join("dir/file"), "contents").unwrap();
    std::fs::write(root.join("dir/empty"), "").unwrap();
    std::fs::write(root.join("dir/deeper/program"), vec![7; 700_000]).unwrap();
    std::fs::set_permissions(
        root.join("dir/deeper/program"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    symlink("../elsewhere", root.join("dir/link")).unwrap();
    // sorts between "dir" and "dir/…" if one compares whole paths
    std::fs::write(root.join("dir.txt"), "x").unwrap();
}

fn nar(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    dump_path(path, &mut out).unwrap();
    out
}

#[test]
fn what_is_dumped_can_be_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    tree(&from);
    let archive = nar(&from);
    restore_path(&mut archive.as_slice(), &to, Restore::Plain).unwrap();
    assert_eq!(nar(&to), archive);
    assert_eq!(hash_path(&to, HashAlgo::Sha256).unwrap().1, archive.len() as u64);
    let copy = dir.path().join("copy");
    copy_path(&from, &copy, Restore::Canonical, None).unwrap();
    assert_eq!(nar(&copy), archive);
}

#[test]
fn restoring_in_canonical_form_leaves_nothing_to_canonicalise() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    tree(&from);
    restore_path(&mut nar(&from).as_slice(), &to, Restore::Canonical).unwrap();
    let state = |path: &str| {
        let meta = to.join(path).symlink_metadata().unwrap();
        (meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec())
    };
    for (path, mode) in
        [("", 0o555), ("dir/file", 0o444), ("dir/deeper", 0o555), ("dir/deeper/program", 0o555)]
    {
        assert_eq!(state(path), (mode, 1, 0), "{path}");
    }
    assert_eq!(state("dir/link").1, 1);
    delete_path(&to).unwrap();
    assert!(!to.exists());
}

#[test]
fn canonicalising_takes_away_every_special_bit() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("out");
    tree(&root);
    let chmod = |path: &str, mode| {
        std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("dir/file", 0o4755);
    chmod("dir/empty", 0o000);
    chmod("dir/deeper", 0o3770);
    canonicalise_metadata(&root, &mut Canonicalise::default()).unwrap();
    let mode =
        |path: &str| root.join(path).symlink_metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("dir/file"), 0o555);
    assert_eq!(mode("dir/empty"), 0o444);
    assert_eq!(mode("dir/deeper"), 0o555);
    assert_eq!(root.join("dir/link").symlink_metadata().unwrap().mtime(), 1);
    delete_path(&root).unwrap();
}

#[test]
fn extended_attributes_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, "x").unwrap();
    let set = |name: &str| rustix::fs::setxattr(&file, name, b"v", rustix::fs::XattrFlags::empty());
    if set("user.test").is_err() {
        return; // a file system without them
    }
    set("user.keep").unwrap();
    let mut options =
        Canonicalise { ignored_xattrs: vec!["user.keep".to_owned()], ..Default::default() };
    canonicalise_metadata(&file, &mut options).unwrap();
    let mut names = vec![0u8; 1000];
    let len = rustix::fs::listxattr(&file, &mut names[..]).unwrap();
    let names = String::from_utf8_lossy(&names[..len]).into_owned();
    assert!(names.contains("user.keep") && !names.contains("user.test"), "{names}");
}

#[test]
fn files_of_other_users_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("f"), "x").unwrap();
    let other = rustix::process::geteuid().as_raw() + 1;
    let mut options = Canonicalise { uid_range: Some((other, other + 5)), ..Default::default() };
    let error = canonicalise_metadata(&out, &mut options).unwrap_err().to_string();
    assert!(error.starts_with("invalid ownership on file"), "{error}");
}

#[test]
fn what_no_nar_can_hold_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    let error = dump_path(dir.path(), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.ends_with("fifo\" has an unsupported type"), "{error}");
    assert!(canonicalise_metadata(&fifo, &mut Canonicalise::default()).is_err());

    let mut deep = dir.path().join("deep");
    for _ in 0..MAX_DEPTH {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).unwrap();
    let error = dump_path(&dir.path().join("deep"), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.ends_with("exceeds maximum NAR directory depth of 64"), "{error}");
    delete_path(&dir.path().join("deep")).unwrap();
}

#[test]
fn a_filter_sees_paths_and_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    tree(&from);
    let mut seen = Vec::new();
    let mut filter = |path: &Path, kind: FileKind| {
        seen.push((path.strip_prefix(&from).unwrap().to_str().unwrap().to_owned(), kind));
        Ok(!path.ends_with("deeper"))
    };
    let mut out = Vec::new();
    dump_path_filtered(&from, &mut out, Some(&mut filter)).unwrap();
    let kinds: Vec<_> = seen.iter().map(|(p, k)| (p.as_str(), k.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("dir", "directory"),
            ("dir/deeper", "directory"),
            ("dir/empty", "regular"),
            ("dir/file", "regular"),
            ("dir/link", "symlink"),
            ("dir.txt", "regular"),
        ]
    );
    std::fs::remove_dir_all(from.join("dir/deeper")).unwrap();
    assert_eq!(out, nar(&from));
}

/// An archive made by hand, with any names.
fn archive(write: impl FnOnce(&mut NarWriter<&mut Vec<u8>>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = NarWriter::new(&mut out).unwrap();
    write(&mut writer);
    out
}

#[test]
fn archives_cannot_write_outside_of_their_target() {
    let dir = tempfile::tempdir().unwrap();
    for name in [&b".."[..], b".", b"", b"a/b", b"/etc", b"a\0b"] {
        let bad = archive(|w| {
            w.begin_directory().unwrap();
            w.begin_entry(name).unwrap();
            w.file(false, 1, &mut &b"x"[..]).unwrap();
            w.end_entry().unwrap();
            w.end_directory().unwrap();
        });
        let to = dir.path().join("t");
        assert!(restore_path(&mut bad.as_slice(), &to, Restore::Plain).is_err(), "{name:?}");
        delete_path(&to).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{name:?}");
    }
    // a link and then a directory of the same name, to write through it
    let victim = dir.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    let target = victim.to_str().unwrap().to_owned();
    let bad = archive(|w| {
        w.begin_directory().unwrap();
        w.begin_entry(b"a").unwrap();
        w.symlink(target.as_bytes()).unwrap();
        w.end_entry().unwrap();
        w.begin_entry(b"a").unwrap();
        w.begin_directory().unwrap();
        w.begin_entry(b"x").unwrap();
        w.file(false, 1, &mut &b"x"[..]).unwrap();
        w.end_entry().unwrap();
        w.end_directory().unwrap();
        w.end_entry().unwrap();
        w.end_directory().unwrap();
    });
    assert!(restore_path(&mut bad.as_slice(), &dir.path().join("t"), Restore::Plain).is_err());
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
}

#[test]
fn a_restore_replaces_nothing_and_follows_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let file = archive(|w| w.file(false, 3, &mut &b"new"[..]).unwrap());
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "old").unwrap();
    let link = dir.path().join("link");
    symlink(&victim, &link).unwrap();
    for to in [&victim, &link] {
        assert!(restore_path(&mut file.as_slice(), to, Restore::Plain).is_err());
        assert!(restore_flat(&mut &b"new"[..], to, Restore::Plain).is_err());
    }
    assert_eq!(std::fs::read(&victim).unwrap(), b"old");
}

/// What every walk through a tree relies on where somebody puts a link in the place of a folder that was looked at.
#[test]
fn a_folder_that_became_a_link_is_not_entered() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    std::fs::create_dir_all(inside.join("folder")).unwrap();
    std::fs::create_dir(dir.path().join("outside")).unwrap();
    symlink("../outside", inside.join("link")).unwrap();
    let parent = super::dir::open(&inside).unwrap();
    super::dir::open_at(&parent, &c"folder".to_owned()).unwrap();
    let error = super::dir::open_at(&parent, &c"link".to_owned()).unwrap_err();
    use rustix::io::Errno;
    assert!(matches!(error, Errno::LOOP | Errno::NOTDIR), "{error}");
    let stat = super::dir::stat_at(&parent, &c"link".to_owned()).unwrap();
    assert_eq!(super::dir::file_type(&stat), rustix::fs::FileType::Symlink);
}

#[test]
fn every_truncated_archive_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("a"), "some contents").unwrap();
    symlink("a", from.join("b")).unwrap();
    let whole = nar(&from);
    let to = dir.path().join("to");
    for len in 0..whole.len() {
        assert!(restore_path(&mut &whole[..len], &to, Restore::Canonical).is_err(), "{len}");
        delete_path(&to).unwrap();
    }
}

#[test]
fn deleting_does_not_follow_links_and_manages_any_depth() {
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("keep");
    std::fs::create_dir(&keep).unwrap();
    std::fs::write(keep.join("f"), "x").unwrap();
    let doomed = dir.path().join("doomed");
    std::fs::create_dir(&doomed).unwrap();
    symlink(&keep, doomed.join("link")).unwrap();
    std::fs::write(doomed.join("f"), vec![0; 5000]).unwrap();
    // deeper than a path may be long, and than a process may have files open
    let mut fd = super::dir::open(&doomed).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&fd, "dddd", rustix::fs::Mode::from_raw_mode(0o555)).unwrap();
        fd = super::dir::open_at(&fd, &c"dddd".to_owned()).unwrap();
        rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    }
    drop(fd);
    assert_eq!(delete_path(&doomed).unwrap(), 5000 + keep.as_os_str().len() as u64);
    assert!(doomed.symlink_metadata().is_err());
    assert!(keep.join("f").exists());
    assert_eq!(delete_path(&doomed).unwrap(), 0, "what is not there is deleted already");
    let link = dir.path().join("link");
    symlink(&keep, &link).unwrap();
    delete_path(&link).unwrap();
    assert!(keep.join("f").exists());
}

#[test]
fn directories_without_permissions_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::write(root.join("a/b/f"), "x").unwrap();
    for path in ["a/b", "a", ""] {
        std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    delete_path(&root).unwrap();
    assert!(!root.exists());
}

#[test]
fn one_at_a_time_holds_the_lock_of_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let mut first = PathLocks::lock([path.as_path()]).unwrap();
    assert!(PathLocks::try_lock([path.as_path()]).unwrap().is_none());
    first.set_removal(true);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| PathLocks::lock([path.as_path()]).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(50));
        // removes the file that the other one has open: it must notice and open the new one
        drop(first);
        let second = waiting.join().unwrap();
        assert!(PathLocks::try_lock([path.as_path()]).unwrap().is_none());
        drop(second);
    });
    assert!(PathLocks::try_lock([path.as_path()]).unwrap().is_some());
}

#[test]
fn shared_locks_keep_exclusive_ones_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lock");
    let (mut a, mut b) = (FileLock::open(&file).unwrap(), FileLock::open(&file).unwrap());
    assert!(a.try_lock(LockKind::Shared).unwrap());
    assert!(b.try_lock(LockKind::Shared).unwrap());
    assert!(!a.try_lock(LockKind::Exclusive).unwrap());
    drop(b);
    assert!(a.try_lock(LockKind::Exclusive).unwrap());
}

#[test]
fn files_are_replaced_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    write_atomically(&file, b"one", 0o644, true).unwrap();
    write_atomically(&file, b"two", 0o600, false).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"two");
    replace_symlink(Path::new("a"), &dir.path().join("l")).unwrap();
    replace_symlink(Path::new("b"), &dir.path().join("l")).unwrap();
    assert_eq!(read_link(&dir.path().join("l")).unwrap(), Some(PathBuf::from("b")));
    assert_eq!(read_link(&file).unwrap(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing temporary is left");
}

#[test]
fn what_is_in_the_way_of_a_restored_folder_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let folder = archive(|w| {
        w.begin_directory().unwrap();
        w.end_directory().unwrap();
    });
    let to = dir.path().join("to");
    let said = |to: &Path| {
        restore_path(&mut folder.as_slice(), to, Restore::Plain).unwrap_err().to_string()
    };
    std::fs::create_dir(&to).unwrap();
    assert_eq!(said(&to), format!("path '{}' already exists", to.display()));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&to, &link).unwrap();
    assert_eq!(said(&link), format!("path '{}' already exists", link.display()));
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(said(&file).ends_with("File exists"));
}
