//! Deletion of trees that somebody else changes meanwhile: nothing but the tree may go.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::symlink;

use firn_store::fs::delete_path;

/// CVE-2025-46415: whoever may write to a tree swaps a folder for a link while it is being deleted.
#[test]
fn deletion_does_not_follow_a_link_that_was_swapped_in() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    let dir = tempfile::tempdir().unwrap();
    let (doomed, victim) = (dir.path().join("doomed"), dir.path().join("victim"));
    std::fs::create_dir(&victim).unwrap();
    let names = ["0", "1", "2"];
    for name in names {
        std::fs::write(victim.join(name), "x").unwrap();
    }
    let (stop, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (folder, link) = (doomed.join("d"), doomed.join("l"));
            while !stop.load(Ordering::Relaxed) {
                if renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for _ in 0..300 {
            std::fs::create_dir_all(doomed.join("d")).unwrap();
            symlink(&victim, doomed.join("l")).unwrap();
            // in the middle of it the swapper may make it fail
            let _ = delete_path(&doomed);
            // and then what is left goes in peace, under a name that the swapper does not know
            if doomed.exists() {
                let aside = dir.path().join("aside");
                std::fs::rename(&doomed, &aside).unwrap();
                delete_path(&aside).unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(swaps.load(Ordering::Relaxed) > 100, "the links were swapped");
    let left = std::fs::read_dir(&victim).unwrap().count();
    assert_eq!(left, names.len(), "something of another folder was deleted");
}

/// The same with a folder that is moved to another place, from which the way up leads elsewhere.
#[test]
fn deletion_does_not_go_on_where_a_folder_was_moved_to() {
    let dir = tempfile::tempdir().unwrap();
    let (doomed, victim) = (dir.path().join("doomed"), dir.path().join("victim"));
    let mut moved = 0;
    for _ in 0..60 {
        std::fs::create_dir_all(doomed.join("d")).unwrap();
        std::fs::create_dir_all(&victim).unwrap();
        for n in 0..200 {
            std::fs::write(doomed.join(format!("d/{n}")), "").unwrap();
        }
        for n in 0..50 {
            std::fs::write(doomed.join(format!("same{n}")), "").unwrap();
            std::fs::write(victim.join(format!("same{n}")), "").unwrap();
        }
        let failed = std::thread::scope(|scope| {
            let mover = scope.spawn(|| {
                let inside = doomed.join("d");
                let begun = || std::fs::read_dir(&inside).map_or(0, Iterator::count) < 200;
                while !begun() {}
                std::fs::rename(&inside, victim.join("d")).is_ok()
            });
            let failed = delete_path(&doomed).is_err();
            moved += u32::from(mover.join().unwrap());
            failed
        });
        let left = std::fs::read_dir(&victim).unwrap().filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("same")
        });
        assert_eq!(left.count(), 50, "something of another folder was deleted ({failed})");
        delete_path(&doomed).unwrap();
        delete_path(&victim).unwrap();
    }
    assert!(moved > 0, "the folder was never moved in time");
}
