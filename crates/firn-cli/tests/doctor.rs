//! `firn doctor`, as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

struct Ran {
    out: String,
    err: String,
    status: i32,
}

/// Runs it with an environment of its own, whose home and configuration are in `dir`.
fn doctor(dir: &Path, args: &[&str], set: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
    command
        .arg("doctor")
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.join("home"))
        .env("NIX_CONF_DIR", dir.join("conf"))
        .env("NIX_REMOTE", format!("local?root={}", dir.join("root").display()));
    for (name, value) in set {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    Ran {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code().unwrap(),
    }
}

fn with_conf(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf")).unwrap();
    std::fs::write(dir.path().join("conf/nix.conf"), text).unwrap();
    dir
}

/// The line about something, of the plain form.
fn line<'a>(ran: &'a Ran, about: &str) -> &'a str {
    let is_it = |line: &&str| {
        line.split_once(' ')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with(&format!("{about}:")))
    };
    ran.out.lines().find(is_it).unwrap_or_else(|| panic!("nothing about {about}: {}", ran.out))
}

/// Whether this machine can build in a sandbox: it has a static shell and grants namespaces.
fn can_sandbox() -> bool {
    let shell = ["/bin/busybox", "/usr/bin/busybox"].iter().any(|path| Path::new(path).exists());
    let namespaces = Command::new("unshare").args(["-rm", "true"]).status();
    shell && namespaces.is_ok_and(|status| status.success())
}

#[test]
fn a_machine_that_can_build_is_told_so() {
    let dir = with_conf("");
    let ran = doctor(dir.path(), &[], &[]);
    if !can_sandbox() {
        assert!(!line(&ran, "sandbox").starts_with("ok"), "{}", ran.out);
        assert!(ran.out.contains("         → "), "{}", ran.out);
        return;
    }
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert_eq!(line(&ran, "sandbox"), "ok       sandbox: a derivation was built in it");
    assert!(line(&ran, "store").contains("root/nix/store stands for /nix/store"), "{}", ran.out);
    assert!(ran.out.contains("All works"), "{}", ran.out);
    assert!(
        !dir.path()
            .join("root/nix/store")
            .read_dir()
            .unwrap()
            .any(|e| { e.unwrap().file_name().to_string_lossy().contains("doctor") })
    );
}

#[test]
fn the_trial_asks_nobody() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let cache = format!("http://{}", listener.local_addr().unwrap());
    let dir = with_conf(&format!(
        "substituters = {cache}\nbuild-hook = /no/such/hook\nbuilders = ssh://nowhere.invalid\nconnect-timeout = 1\npost-build-hook = /no/such/hook\n"
    ));
    let ran = doctor(dir.path(), &[], &[]);
    assert_eq!(line(&ran, "sandbox").starts_with("ok"), can_sandbox(), "{}", ran.out);
    let asked = listener.accept().map(drop).map_err(|e| e.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock), "the cache was asked");
}

#[test]
fn a_broken_line_is_named_with_its_file() {
    let dir = with_conf("sandbox\n");
    let ran = doctor(dir.path(), &["--no-build"], &[]);
    assert_eq!(ran.status, 1);
    let said = line(&ran, "configuration");
    assert!(said.starts_with("problem  "), "{said}");
    assert!(said.contains("syntax error in configuration line 'sandbox'"), "{said}");
    assert!(ran.out.contains("conf/nix.conf"), "{}", ran.out);
}

#[test]
fn settings_keys_and_certificates_are_looked_at() {
    let dir = with_conf("sandbx = false\ntrusted-public-keys = nokey\n");
    let ran = doctor(dir.path(), &["--no-build"], &[("NIX_SSL_CERT_FILE", "/no/such/file")]);
    assert_eq!(ran.status, 1);
    assert!(line(&ran, "configuration").contains("unknown setting 'sandbx'"), "{}", ran.out);
    assert!(line(&ran, "trusted keys").starts_with("problem  trusted keys: 'nokey':"));
    assert_eq!(line(&ran, "certificates"), "problem  certificates: /no/such/file is not there");
    assert!(!ran.out.contains("sandbox:"), "{}", ran.out);
    assert!(ran.out.ends_with("notes.\n") || ran.out.ends_with("note.\n"), "{}", ran.out);
}

#[test]
fn json_has_all_findings() {
    let dir = with_conf("");
    let ran = doctor(dir.path(), &["--no-build", "--json"], &[("SHELL", "/bin/bash")]);
    let found: Vec<serde_json::Value> = serde_json::from_str(&ran.out).unwrap();
    let about = |name: &str| found.iter().find(|f| f["about"] == name).unwrap().clone();
    assert_eq!(about("completion")["state"], "note");
    assert!(about("completion")["mend"][0].as_str().unwrap().contains("~/.bashrc"));
    assert_eq!(about("program")["state"], "ok");
}

#[test]
fn a_store_that_cannot_be_had_is_a_problem() {
    let dir = with_conf("");
    std::fs::write(dir.path().join("file"), "").unwrap();
    let uri = format!("local?root={}", dir.path().join("file").display());
    let ran = doctor(dir.path(), &["--no-build"], &[("NIX_REMOTE", &uri)]);
    assert_eq!(ran.status, 1);
    assert!(line(&ran, "store").starts_with("problem  store: "), "{}", ran.out);
}
