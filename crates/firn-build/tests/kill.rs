//! Faults while builds run: processes that are killed at any moment, many of them on one store, and a disk that is
//! full. What is registered must be whole each time.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::World;
use firn_build::SandboxMode;
use firn_model::store_path::StorePath;
use firn_store::local::gc::GcOptions;
use firn_store::{ClosureOptions, LocalStore, Store, StoreLayout, StoreOptions};

const VARIABLE: &str = "FIRN_BUILD_TEST_VICTIM";
const ONCE: &str = "FIRN_BUILD_TEST_ONCE";

fn open(root: &Path) -> LocalStore {
    let options = StoreOptions { ca_derivations: true, ..StoreOptions::default() };
    LocalStore::open(StoreLayout::in_root(root), options).unwrap()
}

/// A chain of derivations, of which every second one is content-addressed.
fn chain(world: &World, seed: &str, length: u32) -> Vec<StorePath> {
    let mut drvs: Vec<StorePath> = Vec::new();
    for n in 0..length {
        let script = "mkdir -p $out/d; for i in 1 2 3 4 5; do echo $seed $n $i > $out/d/$i; done; echo $out > $out/self";
        let mut drv = world.drv("victim", script).env("seed", seed).env("n", n.to_string());
        if let Some(before) = drvs.last() {
            drv = drv.input(before);
        }
        if n % 2 == 1 {
            drv = drv.floating();
        }
        drvs.push(drv.add());
    }
    drvs
}

/// Builds, and collects garbage now and then, until it is killed.
fn victim(root: &Path) {
    let mut world = World::content_addressed().unwrap();
    world.store = open(root);
    world.options.max_jobs = 2;
    let once = std::env::var_os(ONCE).is_some();
    for round in 0.. {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = if once { "same".to_owned() } else { now.to_string() };
        let drvs = chain(&world, &seed, 4);
        world.build(&drvs.iter().collect::<Vec<_>>()).unwrap();
        if once {
            return;
        }
        if round % 3 == 2 {
            world.store.collect_garbage(&GcOptions::default()).unwrap();
        }
    }
}

fn start(root: &Path, name: &str, once: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(VARIABLE, root)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if once {
        command.env(ONCE, "1");
    }
    command.spawn().unwrap()
}

/// Everything that is registered is there, whole, and has all that it refers to.
fn check(store: &LocalStore) -> BTreeSet<StorePath> {
    let valid = store.query_all_valid_paths().unwrap();
    // before verifying, which forgets what is not there
    for path in &valid {
        assert_eq!(store.check_path(path).unwrap(), None, "{path}");
    }
    assert!(!store.verify(true, None).unwrap());
    assert_eq!(store.query_all_valid_paths().unwrap(), valid);
    assert_eq!(store.compute_closure(&valid, ClosureOptions::default()).unwrap(), valid);
    valid
}

#[test]
fn a_killed_build_leaves_a_store_that_is_whole() {
    let name = "a_killed_build_leaves_a_store_that_is_whole";
    if let Some(root) = std::env::var_os(VARIABLE) {
        victim(Path::new(&root));
        return;
    }
    if World::new().is_none() {
        return;
    }
    // more rounds for who wants to wait: FIRN_TEST_KILLS=500
    let rounds = std::env::var("FIRN_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let mut registered = 0;
    for round in 0..rounds {
        let mut child = start(&root, name, false);
        std::thread::sleep(Duration::from_millis(100 + (round * 37) % 700));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "the victim must not end by itself");
        // The guard of a sandbox ends on its own account, a moment later.
        std::thread::sleep(Duration::from_millis(20));
        let store = open(&root);
        registered += check(&store).len();
        if round % 4 == 3 {
            store.collect_garbage(&GcOptions::default()).unwrap();
        }
    }
    assert!(registered > 0, "the victims did something");
    let store = open(&root);
    store.collect_garbage(&GcOptions::default()).unwrap();
    check(&store);
}

#[test]
fn several_processes_build_in_one_store() {
    let name = "several_processes_build_in_one_store";
    if let Some(root) = std::env::var_os(VARIABLE) {
        victim(Path::new(&root));
        return;
    }
    if World::new().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    open(&root);
    // four do the same, and get in each other's way; four have work of their own and collect
    let same: Vec<Child> = (0..4).map(|_| start(&root, name, true)).collect();
    let others: Vec<Child> = (0..4).map(|_| start(&root, name, false)).collect();
    for mut child in same {
        assert!(child.wait().unwrap().success());
    }
    for mut child in others {
        assert!(child.try_wait().unwrap().is_none(), "it must go on");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    std::thread::sleep(Duration::from_millis(20));
    check(&open(&root));
}

#[test]
fn a_full_disk_fails_the_build_and_nothing_else() {
    let name = "a_full_disk_fails_the_build_and_nothing_else";
    if let Some(root) = std::env::var_os(VARIABLE) {
        full_disk(Path::new(&root));
        return;
    }
    if World::new().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // in a user namespace of its own, where it may mount
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(r#"mount -t tmpfs -o size=24m tmpfs "$1" && shift && exec "$@""#)
        .args(["sh", dir.path().to_str().unwrap()])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(VARIABLE, dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) if status.code() != Some(101) => {
            eprintln!("SKIPPED: nothing can be mounted here ({status})");
        }
        Ok(status) => panic!("{status}"),
        Err(error) => eprintln!("SKIPPED: there is no program 'unshare' here ({error})"),
    }
}

fn full_disk(root: &Path) {
    let Some(mut world) = World::content_addressed() else { return };
    let options =
        StoreOptions { ca_derivations: true, reserved_space: 1 << 20, ..StoreOptions::default() };
    world.store = LocalStore::open(StoreLayout::in_root(root), options).unwrap();
    world.options.sandbox = SandboxMode::On;
    // this user namespace does not allow it, and that is an error unless it is not asked for
    world.options.must_drop_groups = true;
    let groups = world.drv("groups", "echo x > $out").add();
    let error = world.build(&[&groups]).unwrap_err();
    assert!(error.message.contains("setgroups failed"), "{error}");
    world.options.must_drop_groups = false;
    let before = world.drv("before", "echo x > $out").add();
    let before_out = world.build(&[&before]).unwrap().outputs[0].1["out"].clone();
    let full = world.drv("full", "dd if=/dev/zero of=$out bs=1048576 count=100").add();
    world.build(&[&full]).unwrap_err();
    // its own copy for a content address does not fit either
    let large = "dd if=/dev/zero of=$out bs=1048576 count=13";
    let large = world.drv("large", large).fixed_text("something else").add();
    world.build(&[&large]).unwrap_err();
    let valid = check(&world.store);
    assert!(valid.contains(&before_out));
    // and there is room again
    let after = world.drv("after", "echo y > $out").floating().add();
    world.build(&[&after]).unwrap();
    world.store.collect_garbage(&GcOptions::default()).unwrap();
    check(&world.store);
}
