//! Packages in profiles, channels, and flakes of Git repositories, as a user handles them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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
        "build-users-group =\nsubstituters =\nsandbox = false\nflake-registry =\n",
    );
    std::fs::create_dir(case.path("home")).unwrap();
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

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
        command
            .arg(program)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("var"))
            .env("NIX_LOG_DIR", self.path("log"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Ran {
        let mut words = line.split(' ');
        let program = words.next().unwrap();
        let args: Vec<&str> = words.collect();
        let output = self.command(program, &args).output().unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    /// Runs what must succeed; gives its output without the last line's end.
    fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{line}: {}", ran.err);
        ran.out.trim_end().to_owned()
    }

    /// Runs what must fail; gives what it says.
    fn fails(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_ne!(ran.status, 0, "{line}: {}", ran.out);
        ran.err
    }

    fn git(&self, dir: &str, args: &[&str]) {
        let status = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-C"])
            .arg(self.path(dir))
            .args(args)
            .env("HOME", self.path("home"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "git {args:?}");
    }
}

const PACKAGES: &str = r#"
let
  package = name: meta: derivation {
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    PATH = "/bin:/usr/bin";
    args = [ "-c" "mkdir -p $out/bin; echo ${name} > $out/bin/${builtins.head (builtins.match "([a-z]*)-.*" name)}" ];
  } // { inherit meta; };
in
{
  old = package "foo-1.0" { description = "a \${test}"; };
  new = package "foo-2.0" { platforms = let p = [ "x" ]; in p ++ p; };
  low = package "foo-0.1" { priority = 10; };
  bar = package "bar-0.1" { };
}
"#;

#[test]
fn packages_are_installed_upgraded_and_removed() {
    let case = case();
    case.write("p.nix", PACKAGES);
    let env = |line: &str| case.ok(&format!("nix-env -p var/test -f p.nix {line}"));
    let file = |name: &str| std::fs::read_to_string(case.path("var/test/bin").join(name)).ok();
    assert_eq!(env("-q"), "");
    assert_eq!(env("-qa foo"), "foo-0.1\nfoo-1.0\nfoo-2.0");
    assert_eq!(env("-qaP -A bar"), "bar  bar-0.1");
    env("-i foo-1.0");
    assert_eq!(env("-q"), "foo-1.0");
    assert_eq!(env("-qc"), "foo-1.0  < 2.0");
    assert_eq!(env("-qas bar"), "---  bar-0.1");
    assert_eq!(file("foo").as_deref(), Some("foo-1.0\n"));
    let manifest = std::fs::read_to_string(case.path("var/test/manifest.nix")).unwrap();
    assert!(
        manifest.contains(r#"meta = { description = "a \${test}"; }; name = "foo-1.0""#),
        "{manifest}"
    );
    env("--set-flag active false foo");
    assert_eq!(file("foo"), None);
    env("-u");
    assert_eq!((env("-q").as_str(), file("foo").as_deref()), ("foo-2.0", Some("foo-2.0\n")));
    env("-i bar");
    env("-e foo");
    assert_eq!(env("-q"), "bar-0.1");
    env("--rollback");
    assert_eq!(env("-q"), "bar-0.1\nfoo-2.0");
    // the lower number wins, and can be changed
    env("-e .*");
    env("-i foo-0.1 foo-1.0");
    assert_eq!(file("foo").as_deref(), Some("foo-1.0\n"));
    env("--set-flag priority 1 foo-0.1");
    assert_eq!(file("foo").as_deref(), Some("foo-0.1\n"));
    let collision = case.fails("nix-env -p var/other -f p.nix -i foo-1.0 foo-2.0");
    assert!(collision.contains("conflict for the following files"), "{collision}");
    let near = case.fails("nix-env -p var/test -f p.nix -i fo");
    assert!(near.contains("selector 'fo' matches no derivations, maybe you meant:\nfoo"), "{near}");
    assert!(case.fails("nix-env -q --foo").contains("unknown flag '--foo'"));
}

#[test]
fn packages_are_listed_for_programs() {
    let case = case();
    case.write("p.nix", PACKAGES);
    let text = case.ok("nix-env -f p.nix -qa bar --json --meta");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        serde_json::json!({ "bar": {
            "meta": {}, "name": "bar-0.1", "outputName": "out", "outputs": { "out": null },
            "pname": "bar", "system": "x86_64-linux", "version": "0.1",
        } })
    );
    assert_eq!(
        case.ok("nix-env -f p.nix -qa foo-1.0 --xml --meta"),
        "<?xml version='1.0' encoding='utf-8'?>\n<items>\n  <item attrPath=\"old\" name=\"foo-1.0\" \
         outputName=\"out\" pname=\"foo\" system=\"x86_64-linux\" version=\"1.0\">\n    \
         <output name=\"out\" />\n    \
         <meta name=\"description\" type=\"string\" value=\"a ${test}\" />\n  </item>\n</items>"
    );
}

#[test]
fn profiles_remember_flakes() {
    let case = case();
    case.write("p.nix", PACKAGES);
    let flake = |attr: &str| {
        format!(
            "{{ outputs = _: {{ packages.x86_64-linux.default = (import ./p.nix).{attr}; }}; }}"
        )
    };
    case.write("f/p.nix", PACKAGES);
    case.write("f/flake.nix", &flake("old"));
    let profile = |line: &str| case.ok(&format!("nix profile {line} --profile var/test"));
    profile("add ./f");
    let again = case.run("nix profile add ./f --profile var/test");
    assert!(again.err.contains("'f' is already added"), "{}", again.err);
    let list: serde_json::Value = serde_json::from_str(&profile("list --json")).unwrap();
    let element = &list["elements"]["f"];
    assert_eq!(list["version"], 3);
    assert_eq!(element["attrPath"], "packages.x86_64-linux.default");
    assert_eq!(element["originalUrl"], format!("path:{}", case.path("f").display()));
    assert!(element["url"].as_str().unwrap().contains("narHash="), "{element}");
    assert_eq!(element["outputs"], serde_json::Value::Null);
    assert_eq!(
        case.ok("nix-env -p var/test --list-generations").lines().count(),
        1,
        "adding it again makes no generation"
    );
    case.write("f/flake.nix", &flake("new"));
    profile("upgrade f");
    let file = || std::fs::read_to_string(case.path("var/test/bin/foo")).unwrap();
    assert_eq!(file(), "foo-2.0\n");
    let history = profile("history");
    assert!(history.contains("packages.x86_64-linux.default: 1.0 -> 2.0"), "{history}");
    assert!(profile("diff-closures").contains("foo: 1.0 → 2.0"));
    // two of one priority cannot have the same file
    let message = case.fails("nix profile add --profile var/test -f p.nix old");
    assert!(message.contains("nix profile remove f\n"), "{message}");
    profile("add -f p.nix old --priority 9");
    assert_eq!(file(), "foo-2.0\n");
    profile("rollback");
    let removed = case.run("nix profile remove f --profile var/test");
    assert!(removed.err.contains("removed 1 packages, kept 0 packages"), "{}", removed.err);
    assert!(
        case.fails("nix profile remove 0 --profile var/test")
            .contains("no longer supports indices")
    );
    assert!(case.fails("nix-env -p var/none -f p.nix -i foo-9").contains("matches no derivations"));
    profile("wipe-history");
    assert_eq!(profile("history").matches("Version").count(), 1);
}

#[test]
fn of_flakes_the_output_out_is_meant() {
    let case = case();
    case.write(
        "f/flake.nix",
        r#"{ outputs = _: { packages.x86_64-linux.default = derivation { name = "p"; system = "x86_64-linux"; builder = "/bin/sh"; outputs = [ "out" "dev" ]; args = [ "-c" "echo > $out; echo > $dev" ]; }; }; }"#,
    );
    assert_eq!(case.ok("nix build --no-link --print-out-paths ./f").lines().count(), 1);
    assert_eq!(case.ok("nix build --no-link --print-out-paths ./f#default^*").lines().count(), 2);
}

#[test]
fn channels_are_listed_and_unpacked() {
    let case = case();
    case.ok("nix-channel --add http://example.org/nixos-24.05 mine");
    assert_eq!(case.ok("nix-channel --list"), "mine http://example.org/nixos-24.05");
    assert!(case.fails("nix-channel --add ftp://x y").contains("invalid channel URL"));
    case.ok("nix-channel --remove mine");
    assert_eq!(std::fs::read_to_string(case.path("home/.nix-channels")).unwrap(), "");
    case.write("tree/chan/default.nix", PACKAGES);
    let tar = Command::new("tar")
        .args(["-czf", "chan.tar.gz", "-C", "tree", "chan"])
        .current_dir(case.dir.path())
        .status()
        .unwrap();
    assert!(tar.success());
    case.ok(&format!("nix-channel --add file://{} chan", case.path("chan.tar.gz").display()));
    case.ok("nix-channel --update");
    assert_eq!(case.ok("nix-env -qaP bar"), "chan.bar  bar-0.1");
}

#[test]
fn files_that_git_does_not_know_are_told() {
    let case = case();
    case.write("r/flake.nix", "{ outputs = _: { x = 1; y = builtins.readFile ./foo; }; }");
    case.git("r", &["init", "-q"]);
    let repo = case.path("r").display().to_string();
    let untracked = case.fails("nix eval ./r#x");
    assert!(
        untracked.contains(&format!(
            "Path 'flake.nix' in the repository \"{repo}\" is not tracked by Git."
        )),
        "{untracked}"
    );
    assert!(untracked.contains(&format!("git -C \"{repo}\" add \"flake.nix\"")), "{untracked}");
    case.git("r", &["add", "flake.nix"]);
    assert_eq!(case.ok("nix eval ./r#x"), "1");
    let missing = case.fails("nix eval ./r#y");
    assert!(
        missing.contains(&format!("Path 'foo' does not exist in Git repository \"{repo}\".")),
        "{missing}"
    );
    assert!(missing.contains(&format!("at {repo}/flake.nix:1:")), "{missing}");
    case.write("r/foo", "text");
    assert!(case.fails("nix eval ./r#y").contains("is not tracked by Git"));
    case.git("r", &["add", "foo"]);
    assert_eq!(case.ok("nix eval --raw ./r#y"), "text");
}

#[test]
fn settings_of_flakes_need_trust() {
    let case = case();
    case.write("hook.sh", "#!/bin/sh\n");
    case.write(
        "f/flake.nix",
        "{ nixConfig.max-jobs = 7; outputs = _: { packages.x86_64-linux.default = (import ./p.nix).bar; }; }",
    );
    case.write("f/p.nix", PACKAGES);
    let ran = case.run("nix build --no-link ./f");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(
        ran.err.contains("ignoring untrusted flake configuration setting 'max-jobs'"),
        "{}",
        ran.err
    );
    let ran = case.run("nix build --no-link ./f --accept-flake-config");
    assert!(!ran.err.contains("untrusted"), "{}", ran.err);
    case.write("g/flake.nix", "{ nixConfig.cores = 1 + 1; outputs = _: { }; }");
    assert!(case.fails("nix flake lock ./g").contains("'cores' is a thunk"));
}

#[test]
fn inputs_must_not_be_computed_and_stay_in_their_tree() {
    let case = case();
    case.write("f/flake.nix", "{ inputs.a.url = \"x\" + \"y\"; outputs = _: { }; }");
    assert!(
        case.fails("nix flake lock ./f").contains("expected a string or a path but got a thunk")
    );
    case.write("f/flake.nix", "let x = 1; in { outputs = _: { }; }");
    assert!(case.fails("nix flake lock ./f").contains("must be an attribute set"));
    case.write("f/flake.nix", "{ inputs.a.url = \"path:../g\"; outputs = _: { }; }");
    case.write("g/flake.nix", "{ outputs = _: { }; }");
    let escape = case.fails("nix flake lock ./f");
    assert!(escape.contains("is forbidden in pure evaluation mode"), "{escape}");
}

#[test]
fn scripts_name_their_command_line() {
    let case = case();
    // the script's own name is the argument that follows its words
    case.write("e/script", "#! /usr/bin/env nix\n#! nix hash file --sri --type sha256\n");
    let out = case.ok(&format!("nix {}", case.path("e/script").display()));
    assert!(out.starts_with("sha256-"), "{out}");
    case.write("e/bad", "#! /usr/bin/env nix\n#! nix shell *\n");
    let bad = case.fails(&format!("nix {}", case.path("e/bad").display()));
    assert!(bad.contains("unsupported unquoted character in nix shebang: *."), "{bad}");
}

#[test]
fn what_is_wrong_with_a_package_is_told_as_cpp_nix_does() {
    let case = case();
    case.write(
        "bad.nix",
        "{ type = \"derivation\"; name = \"bad-1\"; outPath = builtins.toFile \"o\" \"\";\n  drvPath = builtins.toFile \"not-a-drv\" \"\"; }",
    );
    let said = case.fails("nix-env -f bad.nix -qa --drv-path");
    let trace = "while evaluating the 'drvPath' attribute of a derivation\n         at ";
    assert!(
        said.contains(trace) && said.ends_with("-not-a-drv' is not a valid derivation path\n"),
        "{said}"
    );

    case.write("named.nix", "{ type = \"derivation\"; name = builtins.toFile \"x\" \"\"; }");
    let said = case.fails("nix-env -f named.nix -qa");
    let trace =
        "… while evaluating the 'name' attribute of a derivation\n\n       error: the string";
    assert!(said.contains(trace), "{said}");

    let meta = |text: &str| {
        let drv = "derivation { name = \"m-1\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
            args = [ \"-c\" \"echo > $out\" ]; }";
        case.write("meta.nix", &format!("{drv} // {{ meta = {text}; }}"));
    };
    meta("{ f = x: x; }");
    let ran = case.run("nix-env -f meta.nix -qa --json --meta");
    assert_eq!(ran.err, "derivation 'm-1' has invalid meta attribute 'f'\n");
    meta("let\nx = { inherit x; }; in { inherit x; }");
    let said = case.fails("nix-env -f meta.nix -qa --json --meta");
    assert!(
        said.contains("max-call-depth exceeded\n       at ") && said.contains("meta.nix:2:5:"),
        "{said}"
    );
    meta("{ outputsToInstall = [ 42 ]; }");
    let said = case.fails("nix-env -f meta.nix -i m");
    assert!(said.ends_with("error: this derivation has bad 'meta.outputsToInstall'\n"), "{said}");
}

#[test]
fn one_output_of_a_derivation_is_built_unless_all_are_wanted() {
    let case = case();
    case.write(
        "two.nix",
        "derivation { name = \"two\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
         outputs = [ \"out\" \"dev\" ]; args = [ \"-c\" \"echo > $out; echo > $dev\" ]; }",
    );
    let drv = case.ok("nix-instantiate two.nix");
    assert_eq!(case.ok(&format!("nix-build --no-out-link {drv}")).lines().count(), 1);
    assert_eq!(case.ok(&format!("nix-build --no-out-link {drv}!*")).lines().count(), 2);
    let said = case.fails(&format!("nix-build --no-out-link {drv}!out,dev"));
    assert_eq!(
        said,
        format!(
            "error: building more than one derivation output is not supported, in '{drv}!out,dev'\n"
        )
    );
    let said = case.fails(&format!("nix-build --no-out-link {drv}!bin"));
    assert_eq!(said, format!("error: derivation '{drv}' does not have output 'bin'\n"));
}
