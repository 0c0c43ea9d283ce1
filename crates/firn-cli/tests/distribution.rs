//! The distribution's own tests, which are Nix expressions, under this evaluator. Nothing is built.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Evaluates with a store of its own, and gives what was printed.
fn evaluate(args: &[&str]) -> String {
    let root = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_firn"))
        .args(["nix-instantiate", "--eval", "--strict", "--read-write-mode"])
        .args(args)
        .current_dir(workspace())
        .env("NIX_REMOTE", format!("local?root={}", root.path().display()))
        .env_remove("NIX_PATH")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn library() {
    assert_eq!(evaluate(&["--expr", "import ./distribution/tests/lib { }"]), "[ ]");
}

#[test]
fn packages() {
    assert_eq!(evaluate(&["distribution/tests/pkgs", "-A", "failed"]), "[ ]");
}

#[test]
fn system_modules() {
    let said = evaluate(&["distribution/tests/nixos"]);
    assert!(said.starts_with("\"all ") && said.ends_with(" hold\""), "{said}");
}
