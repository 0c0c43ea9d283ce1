//! A process that works on a store is killed at any moment: what is registered must be whole, what is
//! not must be in nobody's way.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use firn_model::content_address::Method;
use firn_model::hash::HashAlgo;
use firn_store::local::gc::GcOptions;
use firn_store::{ClosureOptions, LocalStore, Repair, Store as _, StoreLayout, StoreOptions};

const VARIABLE: &str = "FIRN_STORE_TEST_VICTIM";

fn open(root: &Path) -> LocalStore {
    let options = StoreOptions { nar_buffer_size: 3000, ..StoreOptions::default() };
    LocalStore::open(StoreLayout::in_root(root), options).unwrap()
}

/// Adds, collects and optimises until it is killed.
fn victim(root: &Path) {
    let store = open(root);
    let source = root.join("source");
    for round in 0.. {
        let mut last = BTreeSet::new();
        for n in 0..20 {
            let text = format!("{round} {n}");
            let path = store.add_text("text", text.as_bytes(), &last, Repair::No).unwrap();
            last = [path].into();
            let dir = source.join(format!("{}", n % 3));
            std::fs::create_dir_all(&dir).unwrap();
            for file in 0..n {
                std::fs::write(dir.join(format!("{file}")), vec![b'x'; 100 * (n + round)]).unwrap();
            }
            store
                .add_path("s", &dir, Method::Nar, HashAlgo::Sha256, None, &last, Repair::No)
                .unwrap();
        }
        store.optimise().unwrap();
        drop(open(root));
        store.collect_garbage(&GcOptions::default()).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_a_store_that_is_whole() {
    if let Some(root) = std::env::var_os(VARIABLE) {
        victim(Path::new(&root));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let mut registered = 0;
    for round in 0..25u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_process_leaves_a_store_that_is_whole", "--nocapture"])
            .env(VARIABLE, &root)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + round * 13));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "the victim must not end by itself");

        let store = open(&root);
        let valid = store.query_all_valid_paths().unwrap();
        // before verifying, which forgets what is not there
        for path in &valid {
            assert_eq!(store.check_path(path).unwrap(), None, "round {round}: {path}");
        }
        assert!(!store.verify(true, None).unwrap(), "round {round}");
        assert_eq!(store.query_all_valid_paths().unwrap(), valid);
        // every closure is valid
        assert_eq!(store.compute_closure(&valid, ClosureOptions::default()).unwrap(), valid);
        registered += valid.len();
        // and what is left over goes with the garbage
        if round % 5 == 4 {
            store.collect_garbage(&GcOptions::default()).unwrap();
            let left: Vec<_> = std::fs::read_dir(&store.layout().real_store_dir)
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .filter(|n| n != ".links")
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
    assert!(registered > 100, "the victims did something: {registered}");
}
