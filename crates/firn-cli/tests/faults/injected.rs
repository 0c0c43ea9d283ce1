//! Writes and syncs that fail, by a library that is loaded into the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use firn_store::local::gc::GcOptions;

use crate::world::World;

/// The library, compiled once; `None` if this machine cannot.
fn injector() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("injector.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/injector.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .status();
        if compiled.is_ok_and(|status| status.success()) {
            return Some((dir, library));
        }
        eprintln!("SKIPPED: this machine has no C compiler");
        None
    });
    made.as_ref().map(|(_, library)| library.as_path())
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    /// In files whose path contains this.
    path: &'static str,
    /// At which call; 0 for all.
    at: u32,
    errno: i32,
}

impl World {
    /// Runs a command with a fault; also whether the fault happened.
    fn faulty(&self, line: &str, fault: Fault) -> Option<(Output, bool)> {
        let done = self.path("done");
        let _ = std::fs::remove_file(&done);
        let output = self
            .command(line)
            .env("LD_PRELOAD", injector()?)
            .env("FAULT_CALL", fault.call)
            .env("FAULT_PATH", fault.path)
            .env("FAULT_AT", fault.at.to_string())
            .env("FAULT_ERRNO", fault.errno.to_string())
            .env("FAULT_DONE", &done)
            .output()
            .unwrap();
        Some((output, done.exists()))
    }
}

/// Every write of a copy, or each of so many, fails once, in a copy of its own.
fn sweep(errno: i32, word: &str, step: usize) {
    let world = World::new(2);
    let (source, target) = (world.text("source"), world.text("target"));
    let cache = format!("file://{}", world.text("cache"));
    let made = world.run(&format!("nix copy --from {source} --to {cache} {}", world.all()));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    world.open("target");
    let line = format!("nix copy --from {cache} --to {target} --no-check-sigs {}", world.all());
    let mut failures = 0;
    for path in ["/nix/store/", "/nix/var/nix/db/"] {
        for at in (1..).step_by(step) {
            let fault = Fault { call: "write", path, at, errno };
            let Some((output, happened)) = world.faulty(&line, fault) else { return };
            let said = String::from_utf8_lossy(&output.stderr);
            let when = format!("{fault:?}: {said}");
            let valid = world.check("target", &when);
            if !happened {
                assert!(output.status.success(), "{when}");
                break;
            }
            if errno == 0 {
                assert!(output.status.success(), "{when}");
            } else if !output.status.success() {
                failures += 1;
                assert!(said.contains("error:"), "{when}");
                if path == "/nix/store/" {
                    assert!(said.contains(word), "{when}");
                    // which file it was
                    assert!(said.contains(&format!("{target}/nix/store/")), "{when}");
                }
            } else {
                // SQLite may do without what failed, as its index of the write-ahead log
                assert_eq!(valid, world.paths, "{when}");
            }
            world.open("target").collect_garbage(&GcOptions::default()).unwrap();
            assert!(at < 500, "there is no end: {when}");
        }
        world.open("target").collect_garbage(&GcOptions::default()).unwrap();
    }
    assert!(errno == 0 || failures > 3, "{failures}");
}

#[test]
fn a_write_that_fails_registers_nothing_that_is_not_whole() {
    sweep(EIO, "Input/output error", 1);
}

#[test]
fn a_disk_that_is_full_for_a_moment_registers_nothing_that_is_not_whole() {
    sweep(ENOSPC, "No space left on device", 3);
}

#[test]
fn short_writes_are_gone_on_with() {
    sweep(0, "", 3);
}

#[test]
fn a_database_that_cannot_be_synced_registers_nothing() {
    let world = World::new(1);
    world.open("target");
    std::fs::write(world.path("file"), "contents").unwrap();
    let fault = Fault { call: "fsync", path: "/nix/var/nix/db/", at: 0, errno: EIO };
    let line = format!("nix-store --store {} --add file", world.text("target"));
    // without the write-ahead log each transaction waits for the disk
    let line = format!("{line} --option use-sqlite-wal false");
    let Some((output, happened)) = world.faulty(&line, fault) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(happened && !output.status.success(), "{said}");
    assert!(said.contains("disk I/O error"), "{said}");
    assert!(said.contains("db.sqlite"), "{said}");
    assert!(world.check("target", "afterwards").is_empty());
    let again = world.run(&line);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(world.check("target", "at the end").len(), 1);
}

#[test]
fn contents_that_cannot_be_synced_are_not_registered() {
    let world = World::new(1);
    world.open("target");
    std::fs::write(world.path("file"), "contents").unwrap();
    let fault = Fault { call: "syncfs", path: "", at: 0, errno: EIO };
    let line = format!("nix-store --store {} --add file", world.text("target"));
    let line = format!("{line} --option fsync-store-paths true");
    let Some((output, happened)) = world.faulty(&line, fault) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(happened && !output.status.success(), "{said}");
    assert!(said.contains("Input/output error"), "{said}");
    assert!(said.contains(&format!("{}/nix/store", world.text("target"))), "{said}");
    assert!(world.check("target", "afterwards").is_empty());
    let again = world.run(&line);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(world.check("target", "at the end").len(), 1);
}
