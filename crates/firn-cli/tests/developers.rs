//! What developers use every day, as they call it: `nix develop`, `nix print-dev-env`, scripts with `nix` or
//! `nix-shell` in their first line, and the evaluation cache behind them. Expected texts are what C++ Nix prints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Case {
    dir: tempfile::TempDir,
    /// Further environment variables.
    env: Vec<(&'static str, String)>,
}

struct Ran {
    out: String,
    err: String,
    status: i32,
}

const SYSTEM: &str = match option_env!("FIRN_TEST_SYSTEM") {
    Some(system) => system,
    None if cfg!(target_arch = "aarch64") => "aarch64-linux",
    None => "x86_64-linux",
};

/// A flake with a shell whose `stdenv` is a file of the flake.
const FLAKE: &str = r#"{
  outputs = { self }: {
    devShells.SYSTEM.default = derivation {
      name = "dev"; system = "SYSTEM"; builder = "BASH"; outputs = [ "out" "lib" ];
      args = [ "-c" "echo > $out; echo > $lib" ];
      stdenv = ./stdenv; src = ./src;
      shellHook = "export HOOKED=1";
      disallowedReferences = [ "out" ];
    };
    legacyPackages.SYSTEM.bashInteractive = throw "no bash here";
  };
}"#;

fn bash() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join("bash")).find(|p| p.is_file())?;
    found.to_str().map(str::to_owned)
}

fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap(), env: Vec::new() };
    // answers are kept only for those who have a home
    std::fs::create_dir(case.path("home")).unwrap();
    case.write(
        "conf/nix.conf",
        "build-users-group =\nsubstituters =\nsandbox = false\nflake-registry =\n",
    );
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

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
        command.arg(name);
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
    }

    fn finish(mut command: Command) -> Ran {
        let output = command.output().unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command("nix");
        command.args(args);
        Self::finish(command)
    }

    fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
        ran.out.trim_end().to_owned()
    }

    fn fails(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_ne!(ran.status, 0, "{args:?}: {}", ran.out);
        ran.err
    }

    fn git(&self, args: &[&str]) {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.path("f")).args([
            "-c",
            "user.name=n",
            "-c",
            "user.email=e@x",
            "-c",
            "init.defaultBranch=main",
        ]);
        let output = command.args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A flake in a Git repository, all committed.
    fn flake(&self, text: &str) {
        self.write("f/flake.nix", &text.replace("SYSTEM", SYSTEM));
        self.git(&["init", "-q"]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "x"]);
    }

    /// A flake with a shell; `None` if there is no bash to build it with.
    fn shell(&self) -> Option<()> {
        let bash = bash()?;
        self.write("f/src/a", "a");
        self.write("f/stdenv/setup", "export FROM_SETUP=1\ngreet() { echo \"hi $1\"; }\nbuildPhase() { echo \"building in $PWD\"; }\nrunHook() { \"$1\"; }\n");
        self.flake(&FLAKE.replace("BASH", &bash));
        Some(())
    }

    /// Replaces a text in all kept answers: it shows when an answer is one of them.
    fn forge(&self, from: &str, to: &str) -> usize {
        let mut count = 0;
        let Ok(dir) = std::fs::read_dir(self.path("home/.cache/nix/firn-eval-v1")) else {
            return 0;
        };
        for entry in dir {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            count += text.matches(from).count();
            std::fs::write(&file, text.replace(from, to)).unwrap();
        }
        count
    }

    fn executable(&self, name: &str, text: &str) -> PathBuf {
        self.write(name, text);
        let path = self.path(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

#[test]
fn a_shell_has_the_environment_of_the_build() {
    let case = case();
    let Some(()) = case.shell() else { return };
    let say = "echo $FROM_SETUP $HOOKED $IN_NIX_SHELL $name";
    assert_eq!(case.ok(&["develop", "./f", "-c", "bash", "-c", say]), "1 1 impure dev-env");
    // outputs are folders beside the user
    let out = case.ok(&["develop", "./f", "-c", "bash", "-c", "echo $out $lib"]);
    let place = case.path("outputs");
    assert_eq!(out, format!("{0}/out {0}/lib", place.display()));
    let out = case.ok(&["develop", "./f", "--phase", "build"]);
    assert_eq!(out, format!("building in {}", case.path("f").display()));
    assert_eq!(case.ok(&["develop", "./f", "--build"]), out);
    let error = case.fails(&["develop", "./f", "--build", "-c", "true"]);
    assert!(error.contains("you cannot use both '--command' and '--phase'"), "{error}");
    // the status is the command's
    assert_eq!(case.run(&["develop", "./f", "-c", "bash", "-c", "exit 3"]).status, 3);
}

#[test]
fn flags_make_the_environment() {
    let mut case = case();
    let Some(()) = case.shell() else { return };
    case.env.push(("OWN", "o".into()));
    let print = ["-c", "bash", "-c", "echo \"$OWN|$NEW\""];
    let run = |flags: &[&str]| {
        let args: Vec<&str> =
            ["develop", "./f"].iter().chain(flags).chain(&print).copied().collect();
        case.run(&args)
    };
    let path = std::env::var("PATH").unwrap();
    let keep = ["-i", "-s", "PATH", path.as_str()];
    assert_eq!(run(&[]).out, "o|\n");
    assert_eq!(run(&["-u", "OWN"]).out, "|\n");
    assert_eq!(run(&["-s", "NEW", "n"]).out, "o|n\n");
    assert_eq!(run(&keep).out, "|\n");
    assert_eq!(run(&[&keep[..], &["-k", "OWN"]].concat()).out, "o|\n");
    for (flags, message) in [
        (&["-k", "OWN"][..], "--keep-env-var does not make sense without --ignore-env"),
        (&["-i", "-u", "OWN"], "--unset-env-var does not make sense with --ignore-env"),
        (
            &["-s", "A", "1", "-s", "A", "2"],
            "Duplicate definition of environment variable 'A' with '--set-env-var' is ambiguous",
        ),
        (
            &["-s", "A", "1", "-u", "A"],
            "Cannot unset environment variable 'A' that is set with '--set-env-var'",
        ),
        (
            &["-u", "A", "-s", "A", "1"],
            "Cannot set environment variable 'A' that is unset with '--unset-env-var'",
        ),
    ] {
        let ran = run(flags);
        assert!(ran.status == 1 && ran.err.contains(message), "{flags:?}: {}", ran.err);
    }
}

#[test]
fn environments_are_printed_and_kept_in_profiles() {
    let case = case();
    let Some(()) = case.shell() else { return };
    let code = case.ok(&["print-dev-env", "./f", "--profile", "p"]);
    assert!(code.starts_with("unset shellHook\nPATH=${PATH:-}\n"), "{code}");
    assert!(!code.contains("disallowedReferences"), "{code}");
    let json: serde_json::Value =
        serde_json::from_str(&case.ok(&["print-dev-env", "./f", "--json"])).unwrap();
    assert_eq!(json["variables"]["FROM_SETUP"]["type"], "exported");
    assert_eq!(json["variables"]["outputs"]["value"], "out lib");
    assert!(json["bashFunctions"]["greet"].as_str().unwrap().contains("hi $1"));
    let mut shell = Command::new("bash");
    case.prepare(&mut shell);
    shell.arg("-c").arg(format!("{code}\ngreet you"));
    assert_eq!(Case::finish(shell).out, "hi you\n");
    // the profile leads to an environment that needs no evaluation any more
    std::fs::remove_dir_all(case.path("f")).unwrap();
    let link = std::fs::read_link(
        case.path(std::fs::read_link(case.path("p")).unwrap().to_str().unwrap()),
    );
    assert!(link.unwrap().to_str().unwrap().ends_with("-dev-env"));
    assert_eq!(case.ok(&["develop", "./p", "-c", "bash", "-c", "echo $FROM_SETUP"]), "1");
}

#[test]
fn store_paths_are_redirected() {
    let case = case();
    let Some(()) = case.shell() else { return };
    let src = case.ok(&["develop", "./f", "-c", "bash", "-c", "echo $src"]);
    let to = case.path("elsewhere");
    let args = [
        "develop",
        "./f",
        "--redirect",
        &src,
        to.to_str().unwrap(),
        "-c",
        "bash",
        "-c",
        "echo $src",
    ];
    let ran = case.run(&args);
    assert_eq!(ran.out.trim_end(), to.to_str().unwrap(), "{}", ran.err);
    assert!(ran.err.contains("redirecting '"), "{}", ran.err);
}

#[test]
fn structured_attributes_are_files_of_the_shell() {
    let case = case();
    let Some(bash) = bash() else { return };
    case.write("stdenv/setup", "export SAW_LIST=${#list[@]}\n");
    case.write(
        "s.nix",
        &format!(
            "derivation {{ name = \"s\"; system = \"{SYSTEM}\"; builder = \"{bash}\"; args = [ ]; \
             __structuredAttrs = true; stdenv = ./stdenv; list = [ 1 2 3 ]; outputChecks.out = {{ }}; }}"
        ),
    );
    let read = "echo $SAW_LIST; grep -c '\"list\":\\[1,2,3\\]' $NIX_ATTRS_JSON_FILE; test -s $NIX_ATTRS_SH_FILE";
    let out = case.ok(&["develop", "-f", "s.nix", "-c", "bash", "-c", read]);
    assert_eq!(out, "3\n1");
    let json: serde_json::Value =
        serde_json::from_str(&case.ok(&["print-dev-env", "-f", "s.nix", "--json"])).unwrap();
    let files: Vec<&String> = json["structuredAttrs"].as_object().unwrap().keys().collect();
    assert_eq!(files, [".attrs.json", ".attrs.sh"]);
    assert!(!json["structuredAttrs"][".attrs.json"].as_str().unwrap().contains("outputChecks"));
    let error = case.fails(&[
        "develop",
        "--impure",
        "--expr",
        &format!("derivation {{ name = \"x\"; system = \"{SYSTEM}\"; builder = \"/bin/sh\"; }}"),
    ]);
    assert!(
        error.contains("'nix develop' only works on derivations that use 'bash' as their builder")
    );
}

#[test]
fn scripts_name_nix_in_their_first_line() {
    let case = case();
    let Some(bash) = bash() else { return };
    case.write(
        "pkg.nix",
        &format!(
            "derivation {{ name = \"hello\"; system = \"{SYSTEM}\"; builder = \"{bash}\"; PATH = builtins.getEnv \"PATH\"; \
             args = [ \"-c\" \"mkdir -p $out/bin; printf '#!{bash}\\necho hello $1' > $out/bin/firn-hello; chmod +x $out/bin/firn-hello\" ]; }}"
        ),
    );
    let nix = case.path("nix");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_firn"), &nix).unwrap();
    // relative paths are beside the script
    let script = case.executable(
        "scripts/s.sh",
        &format!("#!{}\n#! nix shell --impure\n#! nix --expr ``import ../pkg.nix``\n#! nix --command bash\nfirn-hello $1\n", nix.display()),
    );
    let mut command = Command::new(&script);
    command.arg("you");
    case.prepare(&mut command);
    let ran = Case::finish(command);
    assert_eq!(ran.out, "hello you\n", "{}", ran.err);

    // a script of nix-shell: its lines, its folder, its arguments
    let shell = case.path("nix-shell");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_firn"), &shell).unwrap();
    case.write(
        "scripts/shell.nix",
        &format!(
            "{{ inNixShell ? false }}: derivation {{ name = \"x\"; system = \"{SYSTEM}\"; builder = \"{bash}\"; \
             inShell = if inNixShell then \"yes\" else \"no\"; env = builtins.getEnv \"IN_NIX_SHELL\"; }}"
        ),
    );
    let script = case.executable(
        "scripts/t.sh",
        &format!(
            "#!{}\n#! nix-shell --pure shell.nix -i bash\necho $inShell $env $OWN \"$@\"\n",
            shell.display()
        ),
    );
    let run = |args: &[&str]| {
        let mut command = Command::new(&script);
        command.args(args).env("OWN", "o");
        case.prepare(&mut command);
        command.env("OWN", "o").env("NIX_BUILD_SHELL", &bash);
        Case::finish(command)
    };
    let ran = run(&["a b", "c"]);
    assert_eq!(ran.out, "yes pure a b c\n", "{}", ran.err);
}

#[test]
fn nix_shell_looks_for_shell_nix() {
    let case = case();
    let Some(bash) = bash() else { return };
    let run = |args: &[&str]| {
        let mut command = case.command("nix-shell");
        command.args(args).env("NIX_BUILD_SHELL", &bash);
        Case::finish(command)
    };
    let error = run(&[]).err;
    assert!(error.contains("no argument specified and no 'shell.nix' or 'default.nix' file found in the working directory"), "{error}");
    std::fs::create_dir(case.path("empty")).unwrap();
    let error = run(&["empty"]).err;
    assert!(error.contains("neither 'shell.nix' nor 'default.nix' found in '"), "{error}");
    case.write(
        "d/shell.nix",
        &format!(
            "derivation {{ name = \"x\"; system = \"{SYSTEM}\"; builder = \"{bash}\"; v = \"1\"; }}"
        ),
    );
    case.write("d/default.nix", "abort \"not this one\"");
    assert_eq!(run(&["d", "--run", "echo $v"]).out, "1\n");
    let other = run(&[
        "d",
        "--run",
        "echo $v",
        "--option",
        "nix-shell-always-looks-for-shell-nix",
        "false",
    ]);
    assert!(
        other.err.contains("not this one") && other.err.contains("Skipping '"),
        "{}",
        other.err
    );
    // a link to a derivation is a derivation
    let mut make = case.command("nix-instantiate");
    make.args(["d/shell.nix", "--add-root", "link"]);
    assert_eq!(Case::finish(make).status, 0);
    assert_eq!(run(&["./link", "--run", "echo $v"]).out, "1\n");
    let error = run(&["-p", "-E", "x"]).err;
    assert!(error.contains("'-p' and '-E' are mutually exclusive"), "{error}");
}

const VALUE: &str = r#"{
  inputs.dep.url = "path:./dep";
  outputs = { self, dep }: {
    value = "<${builtins.readFile ./a}${toString (builtins.attrNames (builtins.readDir ./d))}${dep.value}>";
    traced = builtins.trace "seen" "t";
    missing = builtins.readFile ./later;
  };
}"#;

fn values() -> Case {
    let case = case();
    case.write("f/a", "1");
    case.write("f/d/x", "");
    case.write("f/dep/flake.nix", "{ outputs = _: { value = \"dep\"; }; }");
    case.flake(VALUE);
    case.ok(&["flake", "lock", "./f"]);
    case.git(&["add", "-A"]);
    case.git(&["commit", "-qm", "lock"]);
    case
}

#[test]
fn answers_are_kept_as_long_as_the_flake_is_the_same() {
    let case = values();
    let value = || case.ok(&["eval", "--raw", "./f#value"]);
    assert_eq!(value(), "<1xdep>");
    assert_eq!(case.forge("<1xdep>", "<kept>"), 1);
    assert_eq!(value(), "<kept>");
    // a file that Git does not know is none of the flake
    case.write("f/untracked", "");
    assert_eq!(value(), "<kept>");
    // as if it had not been
    let fresh = ["eval", "--raw", "./f#value", "--no-eval-cache"];
    assert_eq!(case.ok(&fresh), "<1xdep>");
    let fresh = ["eval", "--raw", "./f#value", "--option", "eval-cache", "false"];
    assert_eq!(case.ok(&fresh), "<1xdep>");
    assert_eq!(value(), "<kept>");

    // an edited file
    case.write("f/a", "2");
    assert_eq!(value(), "<2xdep>");
    // a tree that differs from its commit is kept too, with what is said about it
    assert_eq!(case.forge("<2xdep>", "<dirty>"), 1);
    let ran = case.run(&["eval", "--raw", "./f#value"]);
    assert_eq!(ran.out, "<dirty>");
    assert!(ran.err.contains("is dirty"), "{}", ran.err);
    // a new file, once Git knows it
    case.write("f/d/y", "");
    assert_eq!(value(), "<dirty>");
    case.git(&["add", "f/d/y".trim_start_matches("f/")]);
    assert_eq!(value(), "<2x ydep>");
    // an input that is a folder of the flake
    case.write("f/dep/flake.nix", "{ outputs = _: { value = \"new\"; }; }");
    assert_eq!(value(), "<2x ynew>");
    // back to what was committed, in the same second and of the same size
    case.git(&["checkout", "-q", "HEAD", "--", "dep/flake.nix"]);
    assert_eq!(value(), "<2x ydep>");
}

#[test]
fn a_changed_lock_is_seen() {
    let case = case();
    case.write("dep/v", "1");
    case.write("dep/flake.nix", "{ outputs = _: { value = builtins.readFile ./v; }; }");
    let dep = case.path("dep");
    case.flake(&format!(
        "{{ inputs.dep.url = \"path:{}\"; outputs = {{ self, dep }}: {{ value = \"<${{dep.value}}>\"; }}; }}",
        dep.display()
    ));
    case.ok(&["flake", "lock", "./f"]);
    case.git(&["add", "-A"]);
    let value = || case.ok(&["eval", "--raw", "./f#value"]);
    assert_eq!(value(), "<1>");
    assert_eq!(case.forge("<1>", "<kept>"), 1);
    // locked: what the folder is now does not matter
    case.write("dep/v", "2");
    assert_eq!(value(), "<kept>");
    case.ok(&["flake", "update", "--flake", "./f"]);
    assert_eq!(value(), "<2>");
    // another input from the command line is another question
    case.write("other/flake.nix", "{ outputs = _: { value = \"o\"; }; }");
    let other = case.path("other").display().to_string();
    assert_eq!(case.ok(&["eval", "--raw", "./f#value", "--override-input", "dep", &other]), "<o>");
    assert_eq!(value(), "<2>");
}

#[test]
fn errors_are_not_kept_and_messages_are() {
    let case = values();
    let error = case.fails(&["eval", "--raw", "./f#missing"]);
    assert!(error.contains("later"), "{error}");
    case.write("f/later", "now");
    case.git(&["add", "later"]);
    assert_eq!(case.ok(&["eval", "--raw", "./f#missing"]), "now");
    for _ in 0..2 {
        let ran = case.run(&["eval", "--raw", "./f#traced"]);
        assert!(ran.out == "t" && ran.err.contains("trace: seen"), "{}", ran.err);
    }
}

#[test]
fn what_files_read_is_seen() {
    let mut case = case();
    case.write("lib/default.nix", "{ v = 1; }");
    case.write(
        "e.nix",
        "{ a ? \"d\" }: \"<${toString (import <lib>).v}${builtins.getEnv \"OWN\"}${a}>\"",
    );
    case.env.push(("NIX_PATH", format!("lib={}", case.path("lib").display())));
    case.env.push(("OWN", "x".into()));
    let args = ["eval", "--raw", "-f", "e.nix", "--argstr", "a", "1"];
    assert_eq!(case.ok(&args), "<1x1>");
    assert_eq!(case.forge("<1x1>", "<kept>"), 1);
    assert_eq!(case.ok(&args), "<kept>");
    assert_eq!(case.ok(&["eval", "--raw", "-f", "e.nix", "--argstr", "a", "2"]), "<1x2>");
    // a variable
    case.env[1].1 = "y".into();
    assert_eq!(case.ok(&args), "<1y1>");
    // a file that is imported
    case.write("lib/default.nix", "{ v = 2; }");
    assert_eq!(case.ok(&args), "<2y1>");
    // where it is looked for
    case.write("lib2/default.nix", "{ v = 3; }");
    case.env[0].1 = format!("lib={}", case.path("lib2").display());
    assert_eq!(case.ok(&args), "<3y1>");
    // the time is never the same
    case.write("t.nix", "\"<${toString builtins.currentTime}>\"");
    let first = case.ok(&["eval", "--raw", "-f", "t.nix"]);
    assert_eq!(case.forge(&first, "<kept>"), 0);
}

#[test]
fn an_answer_needs_its_derivations() {
    let case = case();
    case.write("src/a", "1");
    case.write(
        "b.nix",
        &format!(
            "derivation {{ name = \"x\"; system = \"{SYSTEM}\"; builder = \"/bin/sh\"; args = [ \"-c\" \"echo 1 > $out\" ]; src = ./src; }}"
        ),
    );
    let args = ["eval", "--raw", "-f", "b.nix", "drvPath"];
    let drv = case.ok(&args);
    assert!(Path::new(&drv).exists());
    assert_eq!(case.ok(&args), drv);
    case.ok(&["store", "delete", &drv]);
    assert!(!Path::new(&drv).exists());
    assert_eq!(case.ok(&args), drv);
    assert!(Path::new(&drv).exists());
    // a source that is copied
    case.write("src/a", "2");
    let other = case.ok(&args);
    assert_ne!(other, drv);
    case.write("src/new", "");
    assert_ne!(case.ok(&args), other);
    // builds
    let out = case.ok(&["build", "-f", "b.nix", "--no-link", "--print-out-paths"]);
    assert_eq!(case.ok(&["build", "-f", "b.nix", "--no-link", "--print-out-paths"]), out);
    case.ok(&["store", "delete", &out]);
    assert_eq!(case.ok(&["build", "-f", "b.nix", "--no-link", "--print-out-paths"]), out);
    assert!(Path::new(&out).exists());
}

#[test]
fn older_commands_keep_answers_too() {
    let case = case();
    case.write(
        "b.nix",
        &format!(
            "let name = import ./name.nix; in derivation {{ inherit name; system = \"{SYSTEM}\"; \
             builder = \"/bin/sh\"; args = [ \"-c\" \"echo $name > $out\" ]; \
             shell = builtins.getEnv \"IN_NIX_SHELL\"; }}"
        ),
    );
    let build = || {
        let mut command = case.command("nix-build");
        command.args(["--no-out-link", "b.nix"]);
        let ran = Case::finish(command);
        assert_eq!(ran.status, 0, "{}", ran.err);
        std::fs::read_to_string(ran.out.trim_end()).unwrap()
    };
    let shell = |pure: &[&str]| {
        let mut command = case.command("nix-shell");
        command.args(["b.nix", "--run", "echo $name $shell"]).args(pure);
        command.env("NIX_BUILD_SHELL", "bash");
        let ran = Case::finish(command);
        assert_eq!(ran.status, 0, "{}", ran.err);
        ran.out
    };
    case.write("name.nix", "\"other\"");
    let other = case.ok(&["eval", "--impure", "--raw", "-f", "b.nix", "drvPath"]);
    case.write("name.nix", "\"one\"");
    let one = case.ok(&["eval", "--impure", "--raw", "-f", "b.nix", "drvPath"]);
    assert_eq!(build(), "one\n");
    assert_eq!(shell(&[]), "one impure\n");
    assert_eq!(shell(&["--pure"]), "one pure\n");
    assert_eq!(shell(&[]), "one impure\n");
    // what is kept is what is answered
    assert!(case.forge(&one, &other) > 0);
    assert_eq!(build(), "other\n");
    // as long as nothing has changed
    case.write("name.nix", "\"third\"");
    assert_eq!(build(), "third\n");
    assert_eq!(shell(&[]), "third impure\n");
    case.write("c.nix", "{ }");
    assert_eq!(build(), "third\n");
}

#[test]
fn derivations_that_were_made_are_known() {
    let case = case();
    let text = |name: &str| {
        format!("derivation {{ name = \"{name}\"; system = \"x\"; builder = ./builder; }}")
    };
    case.write("builder", "");
    case.write("a.nix", &format!("{{ one = {}; two = {}; }}", text("one"), text("two")));
    let make = |args: &[&str]| {
        let mut command = case.command("nix-instantiate");
        command.args(args);
        Case::finish(command)
    };
    let first = make(&["a.nix"]);
    assert_eq!(first.status, 0, "{}", first.err);
    let [one, two] = first.out.lines().collect::<Vec<_>>()[..] else { panic!("{}", first.out) };
    assert!(one.ends_with("-one.drv") && two.ends_with("-two.drv"), "{}", first.out);
    assert_eq!(make(&["a.nix"]).out, first.out);
    assert_eq!(make(&["a.nix", "-A", "two"]).out.trim_end(), two);
    // what is kept is what is answered, and can be protected
    assert!(case.forge(one, two) > 0);
    assert_eq!(make(&["a.nix"]).out, format!("{two}\n{two}\n"));
    let rooted = make(&["a.nix", "--add-root", "root"]);
    assert_eq!(rooted.out.lines().count(), 2, "{}", rooted.err);
    for name in ["root", "root-2"] {
        assert_eq!(std::fs::read_link(case.path(name)).unwrap(), Path::new(two));
    }
    // values are not, nor what depends on the time
    let eval = |args: &[&str]| make(&[&["--eval"], args].concat()).out;
    assert_eq!(eval(&["a.nix", "-A", "one.name"]).trim_end(), "\"one\"");
    // as long as nothing has changed
    case.write("builder", "another");
    let changed = make(&["a.nix"]);
    assert!(changed.out.lines().count() == 2 && !changed.out.contains(two), "{}", changed.out);
    // what was made before an error is printed
    case.write("b.nix", &format!("{{ one = {}; two = throw \"no\"; }}", text("one")));
    let failed = make(&["b.nix", "-A", "one", "-A", "two"]);
    assert_eq!((failed.status, failed.out.lines().count()), (1, 1), "{}", failed.err);
    assert!(failed.err.contains("error: no"), "{}", failed.err);
}

#[test]
fn fingerprints_of_changed_trees_are_those_of_cpp_nix() {
    let case = case();
    for (name, text) in [
        ("f/flake.nix", "{ outputs = _: { }; }\n"),
        ("f/a", "1\n"),
        ("f/b", "1\n"),
        ("f/d/x", "1\n"),
        ("f/d-e", "1\n"),
    ] {
        case.write(name, text);
    }
    case.git(&["init", "-q"]);
    case.git(&["add", "-A"]);
    let mut commit = Command::new("git");
    commit.arg("-C").arg(case.path("f")).args(["-c", "user.name=n", "-c", "user.email=e"]);
    commit.env("GIT_AUTHOR_DATE", "1000000000 +0000").env("GIT_COMMITTER_DATE", "1000000000 +0000");
    assert!(commit.args(["commit", "-qm", "x"]).status().unwrap().success());
    case.write("f/a", "2\n");
    std::fs::remove_file(case.path("f/b")).unwrap();
    case.write("f/d/x", "2\n");
    case.write("f/d-e", "2\n");
    case.write("f/staged", "new\n");
    case.git(&["add", "staged"]);
    case.write("f/untracked", "un\n");
    let metadata: serde_json::Value =
        serde_json::from_str(&case.ok(&["flake", "metadata", "--json", "./f"])).unwrap();
    assert_eq!(
        metadata["fingerprint"],
        "0565fc3afac26d5f1f149a898b0ae0dda1e58c78c9c1231cb610bcf5a2126776"
    );
}

/// What `nix flake show` prints of this is C++ Nix's text.
const OUTPUTS: &str = r#"{ outputs = _:
  let d = n: derivation { name = n; system = "x86_64-linux"; builder = "x"; } // { meta.description = "Says ${n}"; }; in {
    apps.x86_64-linux.x = { type = "app"; program = "x"; meta.description = "An app"; };
    bundlers.x86_64-linux.b = x: x;
    checks.x86_64-linux.c = d "c";
    devShells.x86_64-linux.s = d "s";
    formatter.x86_64-linux = d "f";
    hydraJobs.a.b = d "j";
    legacyPackages.x86_64-linux.l = d "l";
    lib = { };
    nixosModules = { };
    overlays.o = x: y: x;
    packages.x86_64-linux = { a = d "a"; not = { }; };
    packages.aarch64-linux.b = d "b";
    templates.t = { path = ./.; description = "T"; };
    zlast = 3;
  };
}"#;

const SHOWN: &str = "\
├───apps
│   └───x86_64-linux
│       └───x: app: An app
├───bundlers: unknown
├───checks
│   └───x86_64-linux
│       └───c: derivation 'c'
├───devShells
│   └───x86_64-linux
│       └───s: development environment 's'
├───formatter
│   └───x86_64-linux: package 'f'
├───hydraJobs
│   └───a
│       └───b: derivation 'j'
├───legacyPackages
│   └───x86_64-linux omitted (use '--legacy' to show)
├───lib: unknown
├───overlays
│   └───o: Nixpkgs overlay
├───packages
│   ├───aarch64-linux
│   │   └───b omitted (use '--all-systems' to show)
│   └───x86_64-linux
│       ├───a: package 'a'
├───templates
│   └───t: template: T
└───zlast: unknown
";

#[test]
fn outputs_are_shown_as_far_as_they_evaluate() {
    let case = case();
    case.write("f/flake.nix", OUTPUTS);
    case.git(&["init", "-q"]);
    case.git(&["add", "-A"]);
    let show = |args: &[&str]| {
        let mut command = case.command("nix");
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        command.args(["flake", "show", "./f", "--option", "system", "x86_64-linux"]).args(args);
        Case::finish(command)
    };
    for _ in 0..2 {
        let shown = show(&[]);
        let (head, tree) = shown.out.split_once('\n').unwrap();
        assert!(shown.status == 0 && head.starts_with("git+file://"), "{head} {}", shown.err);
        assert_eq!(tree, SHOWN);
        assert!(shown.err.contains("packages.x86_64-linux.not.name is not a derivation"));
    }
    let json: serde_json::Value = serde_json::from_str(&show(&["--json"]).out).unwrap();
    assert_eq!(json["packages"]["x86_64-linux"]["a"]["description"], "Says a");
    assert_eq!(json["bundlers"]["type"], "unknown");
    // what comes before an error is shown
    let failing =
        OUTPUTS.replace("linux.c = d \"c\";", "linux = { c = d \"c\"; z = throw \"no\"; };");
    case.write("f/flake.nix", &failing);
    let shown = show(&[]);
    let (_, tree) = shown.out.split_once('\n').unwrap();
    let until = SHOWN.find("└───c").unwrap();
    assert_eq!(tree, format!("{}├───c: derivation 'c'\n", &SHOWN[..until]));
    assert!(shown.status == 1 && shown.err.contains("error: no"), "{}", shown.err);
}
