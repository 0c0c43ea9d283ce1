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

#[test]
fn discouraged_literals_can_be_refused() {
    let mut wrong = BTreeMap::new();
    for (name, lint, text) in [
        ("lint-url", "--lint-url-literals", "[ https://example.org ]"),
        ("lint-absolute", "--lint-absolute-path-literals", "/etc/hosts"),
        ("lint-home", "--lint-absolute-path-literals", "~/notes"),
        ("lint-short", "--lint-short-path-literals", "src/main"),
    ] {
        compare(name, &printed(&[lint, "fatal", "-E", text]), &mut wrong);
    }
    for (name, text) in &wrong {
        println!("## {name}\n{text}\n");
    }
    assert!(wrong.is_empty());
}

#[test]
fn restricted_evaluation_reads_only_what_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    std::fs::write(dir.join("a"), "text").unwrap();
    let file = dir.join("a").display().to_string();
    let read = format!("builtins.readFile {file}");
    let last = |args: &[&str]| printed(args).lines().last().unwrap().trim().to_owned();
    assert_eq!(
        last(&["--restrict-eval", "-E", &read]),
        format!("error: access to absolute path '{file}' is forbidden in restricted mode")
    );
    assert_eq!(
        last(&["--pure-eval", "-E", &read]),
        format!(
            "error: access to absolute path '{file}' is forbidden in pure evaluation mode (use '--impure' to override)"
        )
    );
    assert_eq!(
        last(&["--restrict-eval", "-E", "builtins.fetchurl \"https://example.org/x\""]),
        "error: access to URI 'https://example.org/x' is forbidden in restricted mode"
    );
    let allowed = ["--restrict-eval", "--allowed-uris", "https://example.org/", "-E"];
    assert_eq!(
        last(&[&allowed[..], &["builtins.fetchurl \"https://example.org/x\""]].concat()),
        "error: cannot fetch 'https://example.org/x' because there is no store to fetch into"
    );
    let place = dir.display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_firn"))
        .arg0("nix-instantiate")
        .args(["--eval", "--restrict-eval", "-I", &place, "-E", &read])
        .env_clear()
        .env("HOME", &dir)
        .env("NIX_CONF_DIR", &dir)
        .env("NIX_REMOTE", "dummy://")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "\"text\"\n");
}

#[test]
fn profiles_are_folded_stacks() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    std::fs::write(dir.join("f.nix"), "let f = x: x - 1; g = x: f (f x); in g 5\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_firn"))
        .arg0("nix-instantiate")
        .args(["--eval", "--eval-profiler", "flamegraph", "--eval-profile-file", "profile"])
        .args(["--eval-profiler-frequency", "0", "f.nix"])
        .env_clear()
        .env("HOME", &dir)
        .env("NIX_CONF_DIR", &dir)
        .env("NIX_REMOTE", "dummy://")
        .env("NIX_SHOW_STATS", "1")
        .env("NIX_COUNT_CALLS", "1")
        .env("NIX_SHOW_STATS_PATH", dir.join("stats"))
        .current_dir(&dir)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n");
    let at = format!("{}/f.nix", dir.display());
    let outer = format!("{at}:1:38:g");
    let inner = format!("{outer};{at}:1:26:f");
    let expected = [
        format!("{outer} 1"),
        format!("{inner} 1"),
        format!("{inner};{at}:1:14:primop sub 1"),
        format!("{inner};{at}:1:14:primop sub;{at}:1:29:f 1"),
        format!("{inner};{at}:1:14:primop sub;{at}:1:29:f;{at}:1:14:primop sub 1"),
    ];
    assert_eq!(std::fs::read_to_string(dir.join("profile")).unwrap(), expected.join("\n") + "\n");
    let stats = std::fs::read_to_string(dir.join("stats")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["nrFunctionCalls"], 3);
    assert_eq!(stats["primops"]["sub"], 2);
    assert_eq!(stats["functions"].as_array().unwrap().len(), 2);
}

#[test]
fn profiles_tell_functors_and_partial_calls() {
    let dir = tempfile::tempdir().unwrap();
    let profile = |text: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_firn"))
            .args(["nix-instantiate", "--eval", "--eval-profiler", "flamegraph"])
            .args(["--eval-profiler-frequency", "0", "--eval-profile-file", "/dev/stdout"])
            .args(["-E", text])
            .env_clear()
            .env("HOME", dir.path())
            .env("NIX_CONF_DIR", dir.path())
            .env("NIX_REMOTE", "dummy://")
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let lines = out.lines().filter(|line| line.starts_with("«string»"));
        lines.map(|line| line.replace("«string»:", "") + "\n").collect::<String>()
    };
    assert_eq!(
        profile("let a = builtins.all (let f = x: x; in f); in a [ true ]"),
        "1:9:primop all 1\n1:47:primop all 1\n1:47:primop all;1:31:f 1\n"
    );
    assert_eq!(profile("{ __functor = x: arg: arg; } 1"), "1:1:functor 1\n1:1:functor;1:3 1\n");
    assert_eq!(profile("1 2"), "1:1 1\n");
}

#[test]
fn the_reader_of_toml_ends_its_errors_with_an_empty_line() {
    let dir = tempfile::tempdir().unwrap();
    let err = |text: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_firn"))
            .args(["nix-instantiate", "--eval", "-E", text])
            .env_clear()
            .env("HOME", dir.path())
            .env("NIX_CONF_DIR", dir.path())
            .env("NIX_REMOTE", "dummy://")
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let toml = err("builtins.fromTOML \"a = 9223372036854775808\"");
    assert!(toml.ends_with("^-- must be < 2^63\n       \n"), "{toml}");
    assert!(err("throw \"a\\n\"").ends_with("error: a\n"));
}
