//! Builders that use the store themselves, in a sandbox and without one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says that it was skipped")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Case {
    dir: tempfile::TempDir,
}

/// The commands by their names, in a folder of their own.
fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap() };
    for dir in ["conf", "bin", "home"] {
        std::fs::create_dir(case.path(dir)).unwrap();
    }
    let firn = case.path("bin/firn");
    if std::fs::hard_link(env!("CARGO_BIN_EXE_firn"), &firn).is_err() {
        std::fs::copy(env!("CARGO_BIN_EXE_firn"), &firn).unwrap();
    }
    for name in ["nix", "nix-store", "nix-build"] {
        std::os::unix::fs::symlink("firn", case.path("bin").join(name)).unwrap();
    }
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// Writes the settings; whether builds are in a sandbox.
    fn settings(&self, sandbox: bool) {
        let mut paths = self.path("bin").display().to_string();
        for lib in ["/lib", "/lib64", "/usr/lib", "/usr/lib64"] {
            if Path::new(lib).exists() {
                paths.push(' ');
                paths.push_str(lib);
            }
        }
        let settings = format!(
            "build-users-group =\nsubstituters =\nsandbox = {sandbox}\nextra-sandbox-paths = {paths}\n\
             experimental-features = nix-command recursive-nix\n"
        );
        std::fs::write(self.path("conf/nix.conf"), settings).unwrap();
    }

    fn run(&self, name: &str, args: &[&str]) -> (String, String, bool) {
        let output = Command::new(self.path("bin").join(name))
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
        (text(&output.stdout), text(&output.stderr), output.status.success())
    }

    fn ok(&self, name: &str, args: &[&str]) -> String {
        let (out, err, good) = self.run(name, args);
        assert!(good, "{name} {args:?}: {err}");
        out
    }
}

/// What a builder may do with a store of which it sees its inputs alone.
fn script(case: &Case, stranger: &str, sandbox: bool) -> String {
    // outside of a sandbox nothing keeps root from it
    let write = if sandbox { "! echo changed > $added/file" } else { "" };
    let bin = case.path("bin").display().to_string();
    let conf = case.path("conf").display().to_string();
    format!(
        r#"derivation {{
  name = "outer";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  requiredSystemFeatures = [ "recursive-nix" ];
  dummy = builtins.toFile "dummy" "bla";
  args = [ "-ec" ''
    PATH={bin}:/usr/bin:/bin:$PATH
    export NIX_CONFIG='experimental-features = nix-command' HOME=$PWD
    test "$NIX_REMOTE" = "unix://$PWD/.nix-socket"
    # What it has from the start it sees, and nothing else.
    nix path-info $dummy > /dev/null
    ! nix path-info {stranger}
    ! nix-store -r {stranger}
    # What it adds is there, and cannot be changed.
    mkdir sources; echo added > sources/file
    added=$(nix store add-path ./sources)
    read line < $added/file; test "$line" = added
    {write}
    # What it has built is there, too, with what that refers to.
    inner=$(nix build --no-link --print-out-paths --impure --expr '
      derivation {{
        name = "inner"; system = builtins.currentSystem; builder = "/bin/sh";
        args = [ "-c" "read line < $file; echo $file $line > $out" ];
        file = builtins.toFile "text" "inner text";
      }}')
    read file words < $inner
    test "$words" = "inner text"
    read line < $file || test -n "$line"
    test $(nix path-info --all | wc -l) -ge 4
    echo $added $inner > $out
  '' ];
}}"#
    )
    .replace("HOME=$PWD", &format!("HOME=$PWD NIX_CONF_DIR={conf}/none"))
}

#[test]
fn a_builder_may_use_the_store() {
    let probe = Command::new(env!("CARGO_BIN_EXE_firn")).arg("doctor").output().unwrap();
    let namespaces = !String::from_utf8_lossy(&probe.stdout).contains("max_user_namespaces");
    for sandbox in [true, false] {
        if sandbox && !(namespaces && Path::new("/bin/busybox").exists()) {
            eprintln!("SKIPPED: no sandbox with a static shell can be had here");
            continue;
        }
        let case = case();
        case.settings(sandbox);
        std::fs::write(case.path("stranger"), "strange").unwrap();
        let stranger = case.ok("nix-store", &["--add", "stranger"]);
        std::fs::write(case.path("outer.nix"), script(&case, &stranger, sandbox)).unwrap();
        let out = case.ok("nix-build", &["outer.nix", "--no-out-link"]);
        // What it refers to is what it added, with all that this refers to.
        let closure = case.ok("nix-store", &["-qR", &out]);
        for name in ["-sources", "-inner", "-text", "-outer"] {
            assert!(closure.lines().any(|line| line.ends_with(name)), "{sandbox}: {closure}");
        }
        case.ok("nix-store", &["--verify", "--check-contents"]);
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(case.dir.path().to_str().unwrap()), "{mounts}");
    }
}
