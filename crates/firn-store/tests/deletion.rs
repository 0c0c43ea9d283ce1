//! Deletion of trees that somebody else changes meanwhile: nothing but the tree may go.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use firn_store::fs::delete_path;

/// CVE-2025-46415: whoever may write to a tree moves a folder of it to another place while it is being deleted; from
/// there the way up leads elsewhere.
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
