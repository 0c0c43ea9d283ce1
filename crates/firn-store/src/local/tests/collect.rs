//! Roots, the collector, and what else frees space.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;

use firn_model::content_address::Method;
use firn_model::hash::HashAlgo;
use firn_model::store_path::StorePath;

use super::super::gc::{Action, GcOptions, render_size};
use super::{Case, case, case_with, derivation, finished, nar_of};
use crate::local::{LocalStore, StoreOptions};
use crate::store::{Repair, Store as _};

#[test]
fn garbage_is_what_no_root_reaches() {
    let case = case();
    let a = case.text("a", &[]);
    let b = case.text("b", &[&a]);
    let c = case.text("c", &[&a]);
    let link = case.path("result");
    case.store.add_perm_root(&b, &link).unwrap();
    // while this process lives, everything it added is kept
    assert_eq!(case.gc(Action::DeleteDead), BTreeSet::new());
    let case = case.without_temp_roots();
    assert_eq!(case.gc(Action::ReturnLive), case.printed(&[&a, &b]));
    assert_eq!(case.gc(Action::ReturnDead), case.printed(&[&c]));
    let garbage = case.store.layout.real_store_dir.join("rubbish");
    std::fs::create_dir(&garbage).unwrap();
    let left_over = case.store.layout.real_store_dir.join(format!("{}.lock", c.base_name()));
    std::fs::write(&left_over, "").unwrap();
    let deleted = case.gc(Action::DeleteDead);
    assert!(deleted.is_superset(&case.printed(&[&c])), "{deleted:?}");
    assert!(!garbage.exists() && !left_over.exists() && !case.store.real_path(&c).exists());
    assert!(!case.store.is_valid(&c).unwrap() && case.store.is_valid(&b).unwrap());
    // the user's link was the root
    std::fs::remove_file(&link).unwrap();
    let deleted = case.gc(Action::DeleteDead);
    assert!(deleted.is_superset(&case.printed(&[&a, &b])));
    assert!(case.store.query_all_valid_paths().unwrap().is_empty());
    assert_eq!(case.store.find_roots().unwrap().len(), 0);
}

#[test]
fn derivations_and_outputs_keep_each_other_as_settings_say() {
    for (keep_outputs, keep_derivations) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let case = case_with(|o| {
            o.keep_outputs = keep_outputs;
            o.keep_derivations = keep_derivations;
        });
        let store = &case.store;
        let add = |name: &str| {
            let drv = finished(store, derivation(name, &[]));
            let out = drv.output_path(store.store_dir(), "out").unwrap().unwrap();
            let drv_path = store.add_derivation(&drv, Repair::No).unwrap();
            let (mut info, nar) = nar_of(name.as_bytes(), 1);
            info.path = out.clone();
            info.deriver = Some(drv_path.clone());
            store.add_nar(&info, &mut nar.as_slice(), Repair::No).unwrap();
            (drv_path, out)
        };
        let (drv1, out1) = add("one");
        let (drv2, out2) = add("two");
        store.add_perm_root(&drv1, &case.path("r1")).unwrap();
        store.add_perm_root(&out2, &case.path("r2")).unwrap();
        let case = case.without_temp_roots();
        case.gc(Action::DeleteDead);
        let valid = |p| case.store.is_valid(p).unwrap();
        assert!(valid(&drv1) && valid(&out2));
        assert_eq!(valid(&out1), keep_outputs);
        assert_eq!(valid(&drv2), keep_derivations);
    }
}

#[test]
fn single_paths_are_deleted_only_when_nothing_needs_them() {
    let case = case();
    let a = case.text("a", &[]);
    let b = case.text("b", &[&a]);
    let case = case.without_temp_roots();
    let specific = |paths: &[&StorePath], ignore_liveness| {
        case.store.collect_garbage(&GcOptions {
            action: Action::DeleteSpecific(paths.iter().map(|p| (*p).clone()).collect()),
            ignore_liveness,
            max_freed: None,
        })
    };
    let error = specific(&[&a], false).unwrap_err().to_string();
    assert!(error.starts_with("Cannot delete path '/nix/store/"), "{error}");
    case.store.add_perm_root(&b, &case.path("r")).unwrap();
    let case = case.without_temp_roots();
    let specific = |paths: &[&StorePath], ignore_liveness| {
        case.store.collect_garbage(&GcOptions {
            action: Action::DeleteSpecific(paths.iter().map(|p| (*p).clone()).collect()),
            ignore_liveness,
            max_freed: None,
        })
    };
    assert!(specific(&[&b], false).is_err());
    assert_eq!(specific(&[&a, &b], true).unwrap().paths, case.printed(&[&a, &b]));
    assert!(case.store.query_all_valid_paths().unwrap().is_empty());
}

#[test]
fn the_collector_stops_when_enough_is_freed() {
    let case = case();
    for n in 0..20 {
        let name = format!("t{n}");
        case.store.add_text(&name, &[b'x'; 1000], &BTreeSet::new(), Repair::No).unwrap();
    }
    let case = case.without_temp_roots();
    let results = case
        .store
        .collect_garbage(&GcOptions { max_freed: Some(4500), ..GcOptions::default() })
        .unwrap();
    assert_eq!((results.paths.len(), results.bytes_freed), (5, 5000));
    assert_eq!(case.store.query_all_valid_paths().unwrap().len(), 15);
}

#[test]
fn roots_made_while_the_collector_runs_are_kept() {
    let case = case();
    let names: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
    for name in &names {
        case.text(name, &[]);
    }
    let case = case.without_temp_roots();
    // every path that is added while the collector runs must be valid and there afterwards
    for _ in 0..5 {
        let store = &case.store;
        std::thread::scope(|scope| {
            let collector = scope.spawn(|| store.collect_garbage(&GcOptions::default()).unwrap());
            let mut paths = Vec::new();
            for name in &names {
                let path = case.text(name, &[]);
                assert!(store.is_valid(&path).unwrap());
                assert!(store.real_path(&path).exists(), "{name}");
                paths.push(path);
            }
            collector.join().unwrap();
            // not even if it had chosen them for deletion before
            for path in paths {
                assert!(store.is_valid(&path).unwrap(), "{path}");
                assert!(store.real_path(&path).exists(), "{path}");
            }
        });
        store.temp_roots_for_tests_forget();
    }
}

#[test]
fn links_of_every_kind_are_roots() {
    let case = case();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|n| case.text(n, &[]));
    let store = &case.store;
    let gcroots = store.layout.gc_roots_dir();
    store.add_direct_root(&a, "mine/a").unwrap();
    // a link to somewhere below a store path
    symlink(format!("{}/bin/x", store.print(&b)), gcroots.join("b")).unwrap();
    // a file with the name of a store path
    std::fs::write(gcroots.join(c.base_name()), "").unwrap();
    // a link to a link elsewhere
    let elsewhere = case.path("elsewhere");
    symlink(store.print(&d), &elsewhere).unwrap();
    symlink(&elsewhere, gcroots.join("indirect")).unwrap();
    let missing = StorePath::from_parts(&[3; 20], "x").unwrap();
    symlink(store.print(&missing), gcroots.join("dangling")).unwrap();
    let case = case.without_temp_roots();
    let roots = case.store.find_roots().unwrap();
    assert_eq!(roots.keys().cloned().collect::<BTreeSet<_>>(), [a, b, c, d.clone()].into());
    assert_eq!(roots[&d], [elsewhere.display().to_string()].into());
}

#[test]
fn roots_are_not_made_where_something_else_is() {
    let case = case();
    let a = case.text("a", &[]);
    let file = case.path("file");
    std::fs::write(&file, "precious").unwrap();
    let error = case.store.add_perm_root(&a, &file).unwrap_err().to_string();
    assert!(error.starts_with("cannot create symlink") && error.ends_with("already exists"));
    let link = case.path("link");
    symlink("/somewhere", &link).unwrap();
    assert!(case.store.add_perm_root(&a, &link).is_err());
    let error =
        case.store.add_perm_root(&a, Path::new("/nix/store/x/result")).unwrap_err().to_string();
    assert!(error.contains("in the Nix store is forbidden"), "{error}");
    // a link into the store is replaced
    std::fs::remove_file(&link).unwrap();
    let b = case.text("b", &[]);
    case.store.add_perm_root(&a, &link).unwrap();
    case.store.add_perm_root(&b, &link).unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(&case.store.print(&b)));
}

#[test]
fn programs_that_run_are_roots() {
    let case = case();
    let a = case.text("a", &[]);
    let printed = case.store.print(&a);
    let case = case.without_temp_roots();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .env("USES", format!("x:{printed}/bin:/y"))
        .spawn()
        .unwrap();
    // the system fills in the environment a moment after the process has its new program
    let environ = format!("/proc/{}/environ", child.id());
    while !std::fs::read(&environ).unwrap().windows(4).any(|w| w == b"USES") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let roots = case.store.find_roots().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let links = roots.get(&a).unwrap();
    assert_eq!(*links, [environ].into());
}

#[test]
fn equal_files_become_one() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let case = case();
    let source = case.path("src");
    std::fs::create_dir_all(source.join("d")).unwrap();
    for name in ["one", "d/two", "three"] {
        std::fs::write(source.join(name), "the same").unwrap();
    }
    std::fs::set_permissions(source.join("three"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let add = |name: &str| {
        let none = BTreeSet::new();
        case.store
            .add_path(name, &source, Method::Nar, HashAlgo::Sha256, None, &none, Repair::No)
            .unwrap()
    };
    let (a, b) = (add("a"), add("b"));
    let stats = case.store.optimise().unwrap();
    assert_eq!((stats.files_linked, stats.bytes_freed), (4, 32));
    let inode = |p: &StorePath, n: &str| case.store.real_path(p).join(n).metadata().unwrap().ino();
    assert_eq!(inode(&a, "one"), inode(&b, "d/two"));
    assert_eq!(inode(&a, "three"), inode(&b, "three"));
    assert_ne!(inode(&a, "one"), inode(&a, "three"), "one is executable, the other is not");
    assert!(!case.store.verify(true, None).unwrap(), "folders have their modes and times again");
    let meta = case.store.real_path(&a).join("d").metadata().unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o555, 1));
    assert_eq!(case.store.optimise().unwrap().files_linked, 0);
    // links that nobody shares any more go with the garbage
    let case = case.without_temp_roots();
    case.gc(Action::DeleteDead);
    assert_eq!(std::fs::read_dir(case.store.layout.links_dir()).unwrap().count(), 0);
}

#[test]
fn damaged_links_are_made_anew() {
    use std::os::unix::fs::{MetadataExt as _, symlink};
    let case = case();
    let source = case.path("src");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("file"), "the same").unwrap();
    symlink("file", source.join("link")).unwrap();
    let add = |name: &str| {
        let none = BTreeSet::new();
        case.store
            .add_path(name, &source, Method::Nar, HashAlgo::Sha256, None, &none, Repair::No)
            .unwrap()
    };
    let (a, b) = (add("a"), add("b"));
    let file = |p: &StorePath, name: &str| case.store.real_path(p).join(name);
    let hash = crate::fs::hash_path(&file(&a, "file"), HashAlgo::Sha256).unwrap().0;
    let link = case.store.layout.links_dir().join(hash.to_base32());
    std::fs::write(&link, "something else").unwrap();
    assert_eq!(case.store.optimise().unwrap().files_linked, 2);
    let inode = |p: &Path| p.symlink_metadata().unwrap().ino();
    for path in [&a, &b] {
        assert_eq!(inode(&file(path, "file")), inode(&link));
        assert_eq!(inode(&file(path, "link")), inode(&file(&a, "link")));
        assert_eq!(std::fs::read_to_string(file(path, "link")).unwrap(), "the same");
    }
    assert!(!case.store.verify(true, None).unwrap());
}

#[test]
fn more_garbage_than_one_transaction_takes() {
    let case = case();
    let root = case.text("root", &[]);
    let mut last = root.clone();
    for n in 0..1500 {
        // in chains, so that their order matters
        let before = if n % 50 == 0 { root.clone() } else { last };
        last = case.text(&format!("n{n}"), &[&before]);
    }
    case.store.add_perm_root(&root, &case.path("result")).unwrap();
    let case = case.without_temp_roots();
    let results = case.store.collect_garbage(&GcOptions::default()).unwrap();
    assert_eq!(results.paths.len(), 1500);
    assert!(results.bytes_freed > 0);
    assert_eq!(case.store.query_all_valid_paths().unwrap(), [root].into());
    let files = std::fs::read_dir(&case.store.layout.real_store_dir).unwrap().count();
    assert_eq!(files, 2, "the root and .links");
}

#[test]
fn garbage_goes_by_itself_when_space_is_short() {
    let case = case();
    let old = case.text("old", &[]);
    let case = case.without_temp_roots();
    let Case { dir, store } = case;
    let (layout, options) = (store.layout.clone(), store.options.clone());
    drop(store);
    // more than any disk has must be free
    let options = StoreOptions { min_free: u64::MAX, max_free: u64::MAX, ..options };
    let store = LocalStore::open(layout, options).unwrap();
    let new = store.add_text("new", b"new", &BTreeSet::new(), Repair::No).unwrap();
    assert!(store.is_valid(&new).unwrap() && !store.is_valid(&old).unwrap());
    drop(dir);
}

#[test]
fn sizes_are_written_as_nix_does() {
    for (bytes, text) in [
        (0, "0.0 KiB"),
        (100, "0.1 KiB"),
        (1024, "1.0 KiB"),
        (1024 * 1024, "1024.0 KiB"),
        (1025 * 1024, "1.0 MiB"),
        (-5_000_000, "-4.8 MiB"),
        (i64::MAX, "8.0 EiB"),
    ] {
        assert_eq!(render_size(bytes), text);
    }
}

#[test]
fn released_temporary_roots_keep_nothing() {
    let case = case();
    let store = &case.store;
    let path = store.add_text("t", b"t", &BTreeSet::new(), Repair::No).unwrap();
    let delete = || {
        let action = Action::DeleteSpecific([path.clone()].into());
        store.collect_garbage(&GcOptions { action, ..GcOptions::default() })
    };
    assert!(delete().is_err());
    store.release_temp_roots().unwrap();
    delete().unwrap();
    assert!(!store.is_valid(&path).unwrap());
    // and what is added afterwards is safe again
    let path = store.add_text("t", b"t", &BTreeSet::new(), Repair::No).unwrap();
    let action = Action::DeleteSpecific([path].into());
    assert!(store.collect_garbage(&GcOptions { action, ..GcOptions::default() }).is_err());
}
