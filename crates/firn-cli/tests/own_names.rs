//! The names `firn` and `nixpkgs`: what they stand for where a distribution is beside the program, and who can say
//! otherwise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a distribution, a home and a store.
struct Place {
    dir: tempfile::TempDir,
}

fn flake(says: &str) -> String {
    format!("{{ outputs = {{ self }}: {{ says = \"{says}\"; }}; }}")
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write("lone/flake.nix", &flake("the distribution"));
        place.write("lone/default.nix", "{ }");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// `firn nix` with a setting for the global registry (none is the default, which needs the network) and a
    /// distribution.
    fn output(&self, registry: Option<&str>, distribution: &Path, args: &[&str]) -> Output {
        let mut conf = "build-users-group =\nsubstituters =\nsandbox = false\n".to_owned();
        if let Some(registry) = registry {
            conf += &format!("flake-registry = {registry}\n");
        }
        self.write("conf/nix.conf", &conf);
        Command::new(env!("CARGO_BIN_EXE_firn"))
            .arg("nix")
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // nothing listens there: whatever asks the network fails at once
            .env("https_proxy", "http://127.0.0.1:9")
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_CONFIG", "download-attempts = 1")
            .env("NIX_REMOTE", format!("local?root={}", self.path("root").display()))
            .env("FIRN_DISTRIBUTION", distribution)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn ok(&self, registry: Option<&str>, distribution: &Path, args: &[&str]) -> String {
        let output = self.output(registry, distribution, args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

#[test]
fn both_names_are_the_distribution_without_a_network() {
    let place = Place::new();
    let lone = place.path("lone");
    for name in ["firn#says", "nixpkgs#says", "flake:firn#says"] {
        assert_eq!(place.ok(None, &lone, &["eval", "--raw", name]), "the distribution");
    }
    // inputs too, which know no registry of the user's
    place.write(
        "project/flake.nix",
        "{ inputs.firn.url = \"flake:firn\"; outputs = { self, firn, nixpkgs }: { says = firn.says + nixpkgs.says; }; }",
    );
    let project = format!("path:{}", place.path("project").display());
    let says = place.ok(None, &lone, &["eval", "--raw", &format!("{project}#says")]);
    assert_eq!(says, "the distributionthe distribution");
    let lock = std::fs::read_to_string(place.path("project/flake.lock")).unwrap();
    assert!(lock.contains("\"narHash\"") && lock.contains("\"id\": \"firn\""), "{lock}");
    // with its lock it needs neither the registry nor the distribution's folder: the store has it
    let says = place.ok(None, &place.path("none"), &["eval", "--raw", &format!("{project}#says")]);
    assert_eq!(says, "the distributionthe distribution");
}

#[test]
fn the_list_shows_them_even_if_the_global_registry_cannot_be_had() {
    let place = Place::new();
    let lone = place.path("lone");
    let path = lone.display();
    let output = place.output(None, &lone, &["registry", "list"]);
    let list = String::from_utf8(output.stdout).unwrap();
    assert_eq!(list, format!("global flake:firn path:{path}\nglobal flake:nixpkgs path:{path}\n"));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("flake-registry.json"));
    // no distribution, no names
    assert_eq!(place.ok(Some(""), &place.path("none"), &["registry", "list"]), "");
}

#[test]
fn a_registry_that_somebody_chose_says_what_nixpkgs_is() {
    let place = Place::new();
    let lone = place.path("lone");
    place.write("other/flake.nix", &flake("another"));
    let other = place.path("other");
    let entry = |name: &str| {
        format!(
            "{{\"from\":{{\"type\":\"indirect\",\"id\":\"{name}\"}},\"to\":{{\"type\":\"path\",\"path\":\"{}\"}}}}",
            other.display()
        )
    };
    let registry = |names: &[&str]| {
        let flakes: Vec<String> = names.iter().map(|n| entry(n)).collect();
        place.write("reg.json", &format!("{{\"version\":2,\"flakes\":[{}]}}", flakes.join(",")));
        place.path("reg.json").to_str().unwrap().to_owned()
    };
    let chosen = registry(&["nixpkgs", "firn"]);
    let says = |name: &str| place.ok(Some(&chosen), &lone, &["eval", "--raw", name]);
    assert_eq!(says("nixpkgs#says"), "another");
    // this one is the program's own
    assert_eq!(says("firn#says"), "the distribution");
    // what it does not say stays as it is
    registry(&["something"]);
    assert_eq!(says("nixpkgs#says"), "the distribution");
    assert_eq!(place.ok(Some(""), &lone, &["eval", "--raw", "nixpkgs#says"]), "the distribution");

    // the user is asked before all
    let to = format!("path:{}", other.display());
    place.ok(None, &lone, &["registry", "add", "nixpkgs", &to]);
    place.ok(None, &lone, &["registry", "add", "firn", &to]);
    for name in ["firn#says", "nixpkgs#says"] {
        assert_eq!(place.ok(None, &lone, &["eval", "--raw", name]), "another");
    }
}

/// A lock file serves on every machine that has the same distribution, wherever it is there.
#[test]
fn locks_fit_the_same_distribution_elsewhere() {
    let place = Place::new();
    let project =
        "{ inputs.firn.url = \"flake:firn\"; outputs = { self, firn }: { inherit (firn) says; }; }";
    place.write("project/flake.nix", project);
    let says = format!("path:{}#says", place.path("project").display());
    assert_eq!(place.ok(None, &place.path("lone"), &["eval", "--raw", &says]), "the distribution");

    // another machine: no store, and the distribution in another folder
    std::fs::rename(place.path("lone"), place.path("moved")).unwrap();
    std::fs::rename(place.path("root"), place.path("old-root")).unwrap();
    let lock = std::fs::read_to_string(place.path("project/flake.lock")).unwrap();
    assert_eq!(place.ok(None, &place.path("moved"), &["eval", "--raw", &says]), "the distribution");
    assert_eq!(std::fs::read_to_string(place.path("project/flake.lock")).unwrap(), lock);

    // another distribution is none that was locked, and the error says what to do
    std::fs::rename(place.path("root"), place.path("second-root")).unwrap();
    place.write("moved/flake.nix", &flake("newer"));
    let fresh = ["eval", "--raw", &says, "--option", "eval-cache", "false"];
    let output = place.output(None, &place.path("moved"), &fresh);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("nix flake update"), "{errors}");
    std::fs::rename(place.path("moved"), place.path("lone")).unwrap();
    let output = place.output(None, &place.path("lone"), &fresh);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("NAR hash mismatch") && errors.contains("nix flake update"),
        "{errors}"
    );
    let project = format!("path:{}", place.path("project").display());
    place.ok(None, &place.path("lone"), &["flake", "update", "--flake", &project]);
    assert_eq!(place.ok(None, &place.path("lone"), &["eval", "--raw", &says]), "newer");
}

#[test]
fn an_installation_comes_as_a_whole() {
    let place = Place::new();
    place.write(
        "dist/distribution/flake.nix",
        "{ outputs = { self }: { beside = builtins.pathExists ../bin/firn; }; }",
    );
    place.write("dist/distribution/default.nix", "{ }");
    place.write("dist/bin/firn", "");
    let distribution = place.path("dist/distribution");
    let dist = place.path("dist");
    let list = place.output(None, &distribution, &["registry", "list"]).stdout;
    let list = String::from_utf8(list).unwrap();
    let expected = format!("global flake:firn path:{}?dir=distribution\n", dist.display());
    assert!(list.starts_with(&expected), "{list}");
    assert_eq!(place.ok(None, &distribution, &["eval", "firn#beside"]), "true");
    // a folder that holds other things is not copied for it
    place.write("dist/other", "");
    assert_eq!(place.ok(None, &distribution, &["eval", "firn#beside"]), "false");
}
