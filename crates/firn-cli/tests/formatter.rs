//! `nix fmt` and `nix formatter`: the built-in formatter on files, and formatters of flakes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Case {
    dir: tempfile::TempDir,
}

struct Ran {
    out: String,
    err: String,
    status: i32,
}

fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap() };
    case.write(
        "conf/nix.conf",
        "build-users-group =\nsubstituters =\nsandbox = false\nflake-registry =\nsystem = x86_64-linux\n",
    );
    std::fs::create_dir_all(case.path("work")).unwrap();
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `nix` in the folder `work`, or one below it.
    fn run_in(&self, folder: &str, line: &str, input: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_firn"))
            .arg("nix")
            .args(line.split(' '))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .current_dir(self.path(folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // a command that does not read its input may have ended
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap_or(-1),
        }
    }

    fn run(&self, line: &str, input: &str) -> Ran {
        self.run_in("work", line, input)
    }
}

#[test]
fn files_and_folders_are_formatted() {
    let case = case();
    case.write("work/a.nix", "{a=1;}\n");
    case.write("work/done.nix", "{ a = 1; }\n");
    case.write("work/sub/b.nix", "[1]");
    case.write("work/.git/c.nix", "[1]");
    case.write("work/sub/d.txt", "[1]");
    std::os::unix::fs::symlink("../a.nix", case.path("work/sub/link.nix")).unwrap();
    std::fs::set_permissions(case.path("work/sub/b.nix"), std::fs::Permissions::from_mode(0o751))
        .unwrap();

    let ran = case.run("fmt --check", "");
    assert_eq!((ran.out.as_str(), ran.status), ("a.nix\nsub/b.nix\n", 1), "{}", ran.err);
    assert_eq!(case.read("work/a.nix"), "{a=1;}\n");

    let ran = case.run("fmt sub", "");
    assert_eq!((ran.out.as_str(), ran.status), ("", 0), "{}", ran.err);
    assert_eq!(ran.err, "formatter: 1 of 1 file changed\n");
    assert_eq!(case.read("work/sub/b.nix"), "[ 1 ]\n");
    let mode = std::fs::metadata(case.path("work/sub/b.nix")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o751);
    assert_eq!(case.read("work/a.nix"), "{a=1;}\n");

    assert_eq!(case.run("fmt sub/link.nix", "").status, 0);
    assert_eq!(case.read("work/a.nix"), "{ a = 1; }\n");
    assert!(case.path("work/sub/link.nix").is_symlink());
    let ran = case.run("fmt --check", "");
    assert_eq!((ran.out.as_str(), ran.status), ("", 0), "{}", ran.err);
    for untouched in ["work/.git/c.nix", "work/sub/d.txt"] {
        assert_eq!(case.read(untouched), "[1]");
    }
}

#[test]
fn what_cannot_be_formatted_does_not_stop_the_rest() {
    let case = case();
    case.write("work/a.nix", "{a=1;}\n");
    case.write("work/bad.nix", "{ a = ; }\n");
    std::fs::write(case.path("work/latin.nix"), b"# \xe9\n1\n").unwrap();
    let ran = case.run("fmt . missing.nix", "");
    assert_eq!(ran.status, 1);
    assert_eq!(case.read("work/a.nix"), "{ a = 1; }\n");
    assert_eq!(case.read("work/bad.nix"), "{ a = ; }\n");
    for said in [
        "error: reading file 'missing.nix': No such file or directory",
        "error: syntax error, unexpected ';'",
        "work/bad.nix:1:7",
        "work/latin.nix is not in UTF-8 (byte 2)",
        "formatter: 1 of 3 files changed",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
}

#[test]
fn standard_input_goes_to_standard_output() {
    let case = case();
    let ran = case.run("fmt -", "{a=1;}");
    assert_eq!((ran.out.as_str(), ran.status), ("{ a = 1; }\n", 0), "{}", ran.err);
    let ran = case.run("fmt --check -", "{a=1;}");
    assert_eq!((ran.out.as_str(), ran.status), ("-\n", 1), "{}", ran.err);
    let ran = case.run("fmt --check -", "{ a = 1; }\n");
    assert_eq!((ran.out.as_str(), ran.status), ("", 0), "{}", ran.err);
    let ran = case.run("fmt -", "{");
    assert_eq!((ran.out.as_str(), ran.status), ("", 1));
    assert!(ran.err.contains("«stdin»:1:2"), "{}", ran.err);
    assert!(case.run("fmt - a.nix", "").err.contains("cannot be formatted together with files"));
}

#[test]
fn a_flake_without_a_formatter_gets_the_built_in_one() {
    let case = case();
    case.write("work/flake.nix", "{outputs=_:{x=1;};}\n");
    case.write("work/sub/a.nix", "[1]");
    let ran = case.run_in("work/sub", "fmt", "");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(case.read("work/flake.nix"), "{ outputs = _: { x = 1; }; }\n");
    assert_eq!(case.read("work/sub/a.nix"), "[ 1 ]\n");
    let ran = case.run("formatter run", "");
    assert_eq!(ran.status, 1);
    let said = "does not provide attribute 'formatter.x86_64-linux'";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn the_formatter_of_a_flake_comes_first() {
    let case = case();
    let script = "mkdir -p $out/bin; printf '#!/bin/sh\\necho root=$PRJ_ROOT args=$*\\n' > $out/bin/own; chmod +x $out/bin/own";
    case.write(
        "work/flake.nix",
        &format!(
            "{{ outputs = _: {{ formatter.x86_64-linux = derivation {{ name = \"own\"; system = \"x86_64-linux\";\n\
             PATH = \"/usr/bin:/bin\"; builder = \"/bin/sh\"; args = [ \"-c\" ''{}'' ]; }}; }}; }}",
            script.replace('$', "''$")
        ),
    );
    let expected = format!("root={} args=./a --b\n", case.path("work").display());
    for line in ["fmt -- ./a --b", "formatter run -- ./a --b"] {
        let ran = case.run(line, "");
        assert_eq!((&ran.out, ran.status), (&expected, 0), "{}", ran.err);
    }
    assert!(case.run("fmt --check", "").err.contains("'--check' is for the built-in formatter"));
    let ran = case.run("formatter build --no-link", "");
    assert!(ran.out.ends_with("-own/bin/own\n"), "{} {}", ran.out, ran.err);
    assert!(!case.path("work/result").exists());
    assert_eq!(case.run("formatter build", "").out, ran.out);
    assert!(case.path("work/result").is_symlink());
}
