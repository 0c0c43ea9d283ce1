//! What users see of their mistakes: each `errors/NAME.nix` is evaluated, and what is printed is compared with
//! `errors/NAME.txt`. With `UPDATE_EXPECTED=1` in the environment the expected texts are written anew.
//!
//! The final lines are those of C++ Nix; above them the texts are Firn's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors").canonicalize().unwrap()
}

/// What the command prints to standard error, with the folder's name left out.
fn printed(args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_firn"))
        .arg0("nix-instantiate")
        .args(["--eval", "--strict"])
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .env("NIX_CONF_DIR", home.path())
        .env("NIX_REMOTE", "dummy://")
        .current_dir(home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?} must fail");
    assert!(output.stdout.is_empty(), "{args:?} must print nothing else");
    String::from_utf8(output.stderr).unwrap().replace(folder().to_str().unwrap(), "/errors")
}

fn compare(name: &str, got: &str, wrong: &mut BTreeMap<String, String>) {
    let file = folder().join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, got).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if got != expected {
        wrong.insert(name.to_owned(), format!("expected:\n{expected}\ngot:\n{got}"));
    }
}

#[test]
fn common_mistakes_are_explained() {
    let mut wrong = BTreeMap::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "nix") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            compare(&name, &printed(&[path.to_str().unwrap()]), &mut wrong);
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} cases were found");
    for (name, text) in &wrong {
        println!("## {name}\n{text}\n");
    }
    assert!(wrong.is_empty(), "{} of {count} differ", wrong.len());
}

#[test]
fn steps_in_libraries_are_folded() {
    let mut wrong = BTreeMap::new();
    let search_path = format!("library={}", folder().join("library").display());
    let user = folder().join("throw-in-library.nix");
    let args = ["-I", &search_path, user.to_str().unwrap()];
    compare("folded", &printed(&args), &mut wrong);
    let all = [&args[..], &["--show-trace"]].concat();
    compare("unfolded", &printed(&all), &mut wrong);
    for (name, text) in &wrong {
        println!("## {name}\n{text}\n");
    }
    assert!(wrong.is_empty());
}
