//! Content-addressed, impure and dynamic derivations, git hashes, repairing and stores of evaluation, as a user
//! meets them. Expected texts and hashes are those that C++ Nix prints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A store in its place, builds without a sandbox.
struct Case {
    dir: tempfile::TempDir,
}

struct Ran {
    out: String,
    err: String,
    status: i32,
}

const SETTINGS: &str = "build-users-group =\nsubstituters =\nsandbox = false\nflake-registry =\n\
    experimental-features = nix-command ca-derivations dynamic-derivations impure-derivations git-hashing\n";

const PACKAGES: &str = r#"
rec {
  make = name: attrs: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
  } // attrs);
  ca = make "ca" {
    __contentAddressed = true;
    outputs = [ "out" "dev" ];
    args = [ "-c" "echo hi > $out; echo hi > $dev" ];
  };
  next = make "next" {
    __contentAddressed = true;
    args = [ "-c" "echo ${ca} > $out" ];
  };
  plain = make "plain" { args = [ "-c" "echo ${next} > $out" ]; };
  told = make "told" { args = [ "-c" "echo told; echo ${next} > $out" ]; };
  impure = make "impure" {
    __impure = true;
    args = [ "-c" "read x < /proc/sys/kernel/random/uuid; echo $x > $out" ];
  };
  inner = make "inner" { args = [ "-c" "echo inner > $out" ]; };
  outer = make "inner.drv" {
    __contentAddressed = true;
    outputHashMode = "text";
    args = [ "-c" "while read -r line; do printf '%s' \"$line\"; done < $inner > $out; printf '%s' \"$line\" >> $out" ];
    inner = builtins.unsafeDiscardOutputDependency inner.drvPath;
  };
  dynamic = builtins.outputOf outer.outPath "out";
}
"#;

fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap() };
    std::fs::create_dir(case.path("conf")).unwrap();
    std::fs::write(case.path("conf/nix.conf"), SETTINGS).unwrap();
    std::fs::write(case.path("default.nix"), PACKAGES).unwrap();
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn run(&self, line: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        let output = Command::new(env!("CARGO_BIN_EXE_firn"))
            .args(words)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{line}: {}", ran.err);
        ran.out.trim_end().to_owned()
    }

    fn fails(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_ne!(ran.status, 0, "{line}: {}", ran.out);
        ran.err
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(line)).unwrap()
    }
}

#[test]
fn an_output_is_known_once_it_is_built() {
    let case = case();
    let drv = case.ok("nix-instantiate -A ca");
    assert!(
        case.fails(&format!("nix path-info {drv}^out"))
            .contains(&format!("cannot operate on output 'out' of the unbuilt derivation '{drv}'"))
    );
    let planned = case.json("nix build -f default.nix ca^* --dry-run --json");
    assert_eq!(planned[0]["outputs"], serde_json::json!({ "dev": null, "out": null }));
    let built = case.json("nix build -f default.nix ca^* --no-link --json");
    assert_eq!(built[0]["drvPath"], drv.as_str());
    let out = built[0]["outputs"]["out"].as_str().unwrap();
    let info = case.json(&format!("nix path-info --json --json-format 1 {drv}^out"));
    assert_eq!(
        info[out]["ca"],
        "fixed:r:sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h"
    );
    let realised = case.ok(&format!("nix realisation info {drv}^out"));
    assert!(
        realised.starts_with("sha256:") && realised.ends_with(&format!("!out {out}")),
        "{realised}"
    );
    let json = case.json(&format!("nix realisation info --json {drv}^out"));
    assert_eq!(json[0]["outPath"], out.rsplit('/').next().unwrap());
    assert_eq!(case.ok(&format!("nix-store -q --deriver {out}")), drv);
    let mut shown: Vec<String> =
        case.ok(&format!("nix-store -r {drv}")).lines().map(str::to_owned).collect();
    shown.sort();
    assert_eq!(shown.len(), 2);
    assert!(shown.contains(&out.to_owned()));
}

#[test]
fn without_the_feature_there_are_no_realisations() {
    let case = case();
    let settings = SETTINGS.replace("ca-derivations ", "");
    std::fs::write(case.path("conf/nix.conf"), settings).unwrap();
    let error = case.fails("nix realisation info -f default.nix plain");
    assert!(error.contains("experimental Nix feature 'ca-derivations' is disabled"), "{error}");
    let error = case.fails("nix-build -A ca --no-out-link");
    assert!(error.contains("experimental Nix feature 'ca-derivations' is disabled"), "{error}");
}

#[test]
fn what_needs_contents_is_resolved() {
    let case = case();
    let plain = case.ok("nix-build -A plain --no-out-link");
    let next = std::fs::read_to_string(&plain).unwrap().trim().to_owned();
    let ca = std::fs::read_to_string(&next).unwrap().trim().to_owned();
    assert_eq!(std::fs::read_to_string(&ca).unwrap(), "hi\n");
    let closure = case.ok(&format!("nix-store -qR {plain}"));
    assert_eq!(closure.lines().collect::<Vec<_>>(), [ca, next, plain]);
    // evaluation can read it
    assert_eq!(
        case.ok("nix eval --impure --raw --expr builtins.readFile(import(./default.nix)).ca"),
        "hi"
    );
}

#[test]
fn logs_are_found_by_derivations_whose_inputs_were_not_known() {
    let case = case();
    let drv = case.ok("nix-instantiate -A told");
    let early = case.run(&format!("nix log {drv}"));
    assert!(early.err.contains("is not available"), "{}", early.err);
    let out = case.ok("nix-build --no-out-link -A told");
    for what in [&drv, &out] {
        assert_eq!(case.ok(&format!("nix log {what}")), "told");
        assert_eq!(case.ok(&format!("nix-store --read-log {what}")), "told");
    }
}

#[test]
fn impure_derivations_are_built_anew() {
    let case = case();
    let build = || case.ok("nix build -f default.nix impure --no-link --print-out-paths");
    assert_ne!(build(), build());
}

#[test]
fn outputs_that_are_derivations_can_be_built() {
    let case = case();
    let inner = case.ok("nix-instantiate -A inner");
    let outer = case.ok("nix-instantiate -A outer");
    let built = case.json(&format!("nix build {outer}^out^out --no-link --json"));
    let out = built[0]["outputs"]["out"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(out).unwrap(), "inner\n");
    assert_eq!(
        built[0]["drvPath"],
        serde_json::json!({ "drvPath": outer.as_str(), "output": "out" })
    );
    assert_eq!(case.ok(&format!("nix-store -r {outer}")), inner);
    assert_eq!(case.ok("nix build -f default.nix dynamic --no-link --print-out-paths"), out);
}

#[test]
fn git_hashes_are_those_of_git() {
    let case = case();
    std::fs::create_dir(case.path("dummy")).unwrap();
    std::fs::write(case.path("dummy/hello"), "Hello World!\n").unwrap();
    let base16 = "8b8e43b937854f4083ea56777821abda2799e850";
    assert_eq!(case.ok("nix hash path --mode git --format base16 --algo sha1 dummy"), base16);
    let path = case.ok("nix store add --mode git --hash-algo sha1 dummy");
    assert_eq!(case.ok("nix store add --mode git --hash-algo sha1 --dry-run dummy"), path);
    let info = case.json(&format!("nix path-info --json --json-format 2 {path}"));
    let sri = case.ok(&format!("nix hash convert --hash-algo sha1 --to sri {base16}"));
    let name = path.rsplit('/').next().unwrap();
    assert_eq!(info["info"][name]["ca"], serde_json::json!({ "method": "git", "hash": sri }));
}

#[test]
fn what_is_damaged_can_be_repaired() {
    let case = case();
    let plain = case.ok("nix-build -A inner --no-out-link");
    let damage = || {
        std::fs::set_permissions(&plain, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::write(&plain, "damaged").unwrap();
        assert_ne!(case.run(&format!("nix-store --verify-path {plain}")).status, 0);
    };
    for line in [
        "nix-store --verify --check-contents --repair",
        &format!("nix-store --repair-path {plain}"),
        &format!("nix store repair {plain}"),
        "nix-build -A inner --no-out-link --repair",
        "nix build -f default.nix inner --no-link --repair",
    ] {
        damage();
        case.ok(line);
        assert_eq!(std::fs::read_to_string(&plain).unwrap(), "inner\n", "{line}");
        case.ok(&format!("nix-store --verify-path {plain}"));
    }
    let source = case.ok("nix store add default.nix");
    std::fs::set_permissions(&source, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&source, "damaged").unwrap();
    let error = case.fails("nix-store --verify --check-contents --repair");
    assert!(error.contains(&format!("cannot repair path '{source}'")), "{error}");
}

#[test]
fn derivations_can_be_in_a_store_of_their_own() {
    let case = case();
    let eval = case.path("eval");
    let uri = eval.to_str().unwrap();
    let plain = case.ok(&format!("nix-build -A inner --no-out-link --eval-store {uri}"));
    assert_eq!(std::fs::read_to_string(&plain).unwrap(), "inner\n");
    let derivations = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "drv"))
            .count()
    };
    assert_eq!(derivations(case.path("store")), 0);
    assert_eq!(derivations(eval.join("nix/store")), 1);
    let error = case.fails("nix-instantiate -A inner --eval-store dummy://");
    assert!(!error.is_empty());
    case.ok("nix-instantiate -A inner --eval-store dummy://?read-only=false");
}

#[test]
fn a_derivation_that_is_added_is_what_it_says() {
    let case = case();
    let drv = case.ok("nix-instantiate -A inner");
    let all = case.json(&format!("nix derivation show {drv}"));
    let mut json = all["derivations"].as_object().unwrap().values().next().unwrap().clone();
    let add = |json: &Value, flags: &[&str]| -> Ran {
        use std::io::Write;
        let mut child = Command::new(env!("CARGO_BIN_EXE_firn"))
            .args(["nix", "derivation", "add"])
            .args(flags)
            .env_clear()
            .env("HOME", case.path("home"))
            .env("NIX_CONF_DIR", case.path("conf"))
            .env("NIX_STORE_DIR", case.path("store"))
            .env("NIX_STATE_DIR", case.path("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(json.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap().trim_end().to_owned(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    };
    assert_eq!(add(&json, &[]).out, drv);
    // without the path it is computed
    json["outputs"]["out"].as_object_mut().unwrap().remove("path");
    assert_eq!(add(&json, &[]).out, drv);
    // under another name it is another
    let original = all["derivations"].as_object().unwrap().values().next().unwrap();
    let mut renamed = original.clone();
    renamed["name"] = "foo".into();
    let ran = add(&renamed, &[]);
    assert!(ran.status == 1 && ran.err.contains("has incorrect output"), "{}", ran.err);
    let floating = case.ok("nix-instantiate -A ca");
    let floating = case.json(&format!("nix derivation show {floating}"));
    let mut floating =
        floating["derivations"].as_object().unwrap().values().next().unwrap().clone();
    floating["name"] = "foo".into();
    let dry = add(&floating, &["--dry-run"]);
    assert!(dry.status == 0 && !PathBuf::from(&dry.out).exists(), "{} {}", dry.out, dry.err);
    assert_eq!(add(&floating, &[]).out, dry.out);
    let without = add(&floating, &["--experimental-features", "nix-command"]);
    assert!(without.err.contains("experimental Nix feature 'ca-derivations' is disabled"));
}
