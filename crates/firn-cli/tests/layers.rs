//! Stores that are laid over others, with a real overlay file system, and stores that are never written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says that it was skipped")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const CONFIGURATION: &str = "build-users-group =\nsubstituters =\nsandbox = false\n\
    experimental-features = nix-command local-overlay-store read-only-local-store\n";

/// Runs a script below `dir` in which `nix-store` and `nix` are ours; as root in namespaces of its own with `mounts`.
fn script(dir: &Path, mounts: bool, text: &str) -> Output {
    for folder in ["bin", "conf", "lower/nix/store", "upper", "work", "merged/nix/store"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
    }
    std::fs::write(dir.join("conf/nix.conf"), CONFIGURATION).unwrap();
    for name in ["nix", "nix-store"] {
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_firn"), dir.join("bin").join(name));
    }
    let mut command = Command::new(if mounts { "unshare" } else { "sh" });
    if mounts {
        command.args(["-rm", "sh"]);
    }
    command
        .args(["-eu", "-c", text])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", dir.join("bin").display()))
        .env("HOME", dir.join("home"))
        .env("NIX_CONF_DIR", dir.join("conf"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(both).unwrap()
}

/// Layers on a file system that can have them, and `$over` as the address of the store.
const MOUNT: &str = r#"
    mkdir layers; mount -t tmpfs tmpfs layers; cd layers
    mkdir -p lower/nix/store upper work merged/nix/store
    mount -t overlay overlay -o lowerdir=$PWD/lower/nix/store,upperdir=$PWD/upper,workdir=$PWD/work $PWD/merged/nix/store
    over="local-overlay://?root=$PWD/merged&lower-store=$PWD/lower&upper-layer=$PWD/upper"
"#;

fn can_mount(dir: &Path) -> bool {
    let output = script(dir, true, MOUNT);
    if !output.status.success() {
        eprintln!("SKIPPED: this machine mounts no overlays: {}", text(&output));
    }
    output.status.success()
}

#[test]
fn a_store_can_be_laid_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    if !can_mount(&dir) {
        return;
    }
    std::fs::remove_dir_all(dir.join("layers")).unwrap();
    let output = script(
        &dir,
        true,
        &format!(
            r#"{MOUNT}
            echo one > one; echo two > two; echo three > three
            low=$(nix-store --store $PWD/lower --add one)
            # what is below is there, and is not added once more
            test "$(nix-store --store "$over" --add one)" = $low
            nix-store --store "$over" --verify-path $low
            test -z "$(ls upper)"
            # what is new is above
            high=$(nix-store --store "$over" --add two)
            test -e upper/${{high#/nix/store/}}
            test ! -e lower$high
            nix-store --store "$over" --verify --check-contents
            # collecting takes what is above alone, and leaves no mark that hides what is below
            nix-store --store "$over" --gc
            test -z "$(ls upper)"
            test -e lower$low; test -e merged$low
            # what came below later goes from above, and the file system is mounted anew
            both=$(nix-store --store "$over" --add three)
            nix-store --store $PWD/lower --add three
            printf '#!/bin/sh\necho "$1" >> remounted; mount -o remount "$1"\n' > remount; chmod +x remount
            nix-store --store "$over&remount-hook=$PWD/remount" --optimise
            test -z "$(ls upper)"
            test "$(cat remounted)" = $PWD/merged/nix/store
            # a hook that fails is told
            nix-store --store "$over" --add two
            nix-store --store $PWD/lower --add two
            if nix-store --store "$over&remount-hook=/bin/false" --optimise; then exit 1; fi
            umount merged/nix/store
            if nix-store --store "$over" --add two; then exit 1; fi
            "#
        ),
    );
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the remount-hook '/bin/false' failed with exit status: 1"), "{said}");
    assert!(said.contains("/merged/nix/store\" mounted incorrectly"), "{said}");
}

#[test]
fn a_lower_store_must_be_here() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let fails = |uri: &str| {
        let output = script(&dir, false, &format!("nix-store --store '{uri}' --gc"));
        assert!(!output.status.success(), "{uri}");
        text(&output)
    };
    let said = fails("local-overlay://?root=/r&lower-store=https://cache.example&upper-layer=/u");
    assert!(said.contains("'https://cache.example' are not on this machine"), "{said}");
    let said = fails("local-overlay://?root=/r&lower-store=/l");
    assert!(said.contains("needs the parameter 'upper-layer'"), "{said}");
    let said = fails("local-overlay://?root=/r&lower-store=/l&upper-layer=u");
    assert!(said.contains("'upper-layer' must be an absolute path, but is 'u'"), "{said}");
}

#[test]
fn a_read_only_store_is_a_feature_and_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let output = script(
        &dir,
        false,
        r#"
        echo one > one; echo two > two
        one=$(nix-store --store $PWD/lower --add one)
        find lower | sort > before
        nix-store --store "local?root=$PWD/lower&read-only=true" -q --size $one
        if nix-store --store "local?root=$PWD/lower&read-only=true" --add two; then exit 1; fi
        find lower | sort | diff before -
        if nix-store --store "local?root=$PWD/lower&read-only=true" -q --size $one \
            --option experimental-features nix-command; then exit 1; fi
        "#,
    );
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("because the store is read-only"), "{said}");
    assert!(
        said.contains("experimental Nix feature 'read-only-local-store' is disabled"),
        "{said}"
    );
}
