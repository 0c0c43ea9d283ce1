//! Projects as users have them: those that the distribution's templates start, and those of `examples`. Each is
//! built, run and checked, and its development shell entered, with what `cargo xtask test` builds and names in
//! `FIRN_DIST`. Packages come from the mirrors of Debian, npm and crates.io.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One project at a time: they share most of what is built.
static TURN: Mutex<()> = Mutex::new(());

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Firn as it is installed, and a store that is kept between runs.
struct World {
    dist: PathBuf,
    dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo")
    })
}

impl World {
    /// None, with a word why, where the test cannot run.
    fn new() -> Option<Self> {
        let Some(dist) = std::env::var_os("FIRN_DIST").map(PathBuf::from) else {
            eprintln!("skipped: FIRN_DIST is not set; 'cargo xtask test' builds what it names");
            return None;
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self { dist, dir: tempfile::tempdir().unwrap(), _turn: turn })
    }

    /// Runs a command of Firn's in a folder; gives what it printed.
    fn run(&self, folder: &Path, program: &str, args: &[&str]) -> String {
        // the same as for the tests that boot systems, so that little is downloaded twice
        let store = workspace().join("target/boot-test");
        std::fs::create_dir_all(&store).unwrap();
        let bin = self.dist.join("bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
        let output =
            Command::new(if program.contains('/') { program.into() } else { bin.join(program) })
                .args(args)
                .current_dir(folder)
                .env("PATH", std::env::join_paths(path).unwrap())
                .env("HOME", self.dir.path().join("home"))
                // which registry Cargo uses here
                .env("CARGO_HOME", cargo_home())
                .env("NIX_REMOTE", format!("local?root={}", store.display()))
                .env_remove("NIX_PATH")
                .env_remove("XDG_CONFIG_HOME")
                .stdin(Stdio::null())
                .output()
                .unwrap();
        assert!(
            output.status.success(),
            "{program} {args:?} in {}: {}\n{}{}",
            folder.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn nix(&self, folder: &Path, args: &[&str]) -> String {
        self.run(folder, "nix", args)
    }

    /// A new project from a template.
    fn start(&self, template: &str) -> PathBuf {
        let folder = self.dir.path().join(template);
        std::fs::create_dir(&folder).unwrap();
        self.nix(&folder, &["flake", "init", "-t", &format!("firn#{template}")]);
        folder
    }

    /// A program's project: it runs, its shell has the tools, its checks hold.
    fn program(&self, template: &str, greeting: &str, tools: &[&str]) {
        let folder = self.start(template);
        let said = self.nix(&folder, &["run", ".", "--", "Ada"]);
        assert!(said.starts_with(greeting), "{said}");
        self.shell(&folder, ".", tools);
        self.nix(&folder, &["flake", "check"]);
        // what was locked and built stays so
        let built = self.nix(&folder, &["build", "--no-link", "--print-out-paths"]);
        assert_eq!(
            self.nix(&folder, &["build", "--no-link", "--print-out-paths", "--offline"]),
            built
        );
    }

    fn shell(&self, folder: &Path, flake: &str, tools: &[&str]) {
        for tool in tools {
            let words: Vec<&str> =
                ["develop", flake, "-c"].into_iter().chain(tool.split(' ')).collect();
            self.nix(folder, &words);
        }
    }

    /// An example of this repository.
    fn example(&self, name: &str, run: &[&str], said: &str, tools: &[&str]) {
        if !workspace().join(".git").exists() {
            eprintln!(
                "skipped: the examples' inputs are relative, for which this must be a Git repository"
            );
            return;
        }
        let flake = format!("./examples/{name}");
        let words: Vec<&str> =
            ["run", &flake, "--"].into_iter().chain(run.iter().copied()).collect();
        let found = self.nix(&workspace(), &words);
        assert!(found.starts_with(said), "{found}");
        self.shell(&workspace(), &flake, tools);
        self.nix(&workspace(), &["flake", "check", "--no-update-lock-file", &flake]);
    }
}

#[test]
fn rust_template() {
    let Some(world) = World::new() else { return };
    let greeting = "Hello, Ada! Your name has 3 letters.";
    world.program(
        "rust",
        greeting,
        &["rustc --version", "cargo clippy --version", "cargo fmt --check"],
    );
    // the shell's compiler finds its linker
    let folder = world.dir.path().join("rust");
    std::fs::write(folder.join("one.rs"), "fn main() { println!(\"one\"); }").unwrap();
    world.shell(&folder, ".", &["rustc one.rs"]);
    world.run(&folder, "./one", &[]);
}

#[test]
fn node_template() {
    let Some(world) = World::new() else { return };
    world.program("node", "Hello, Ada! Node.js v22.", &["node --version", "npm --version"]);
}

#[test]
fn python_template() {
    let Some(world) = World::new() else { return };
    let greeting = "Hello, Ada! Your name has 3 letters.";
    world.program(
        "python",
        greeting,
        &["python3 -m hello", "python3 -m unittest discover -s tests -t ."],
    );
}

#[test]
fn c_template() {
    let Some(world) = World::new() else { return };
    world.program("c", "Hello, Ada! The checksum of your name is b53dc188.", &["make check"]);
}

/// A flake's system is the one that the same configuration is without a flake.
#[test]
fn system_template() {
    let Some(world) = World::new() else { return };
    let folder = world.start("system");
    let attribute = ".#nixosConfigurations.machine.config.system.build.toplevel.drvPath";
    let flake = world.nix(&folder, &["eval", "--raw", attribute]);
    let expression =
        "(import <nixpkgs/nixos> { configuration = ./configuration.nix; }).system.drvPath";
    let plain = world.run(&folder, "nix-instantiate", &["--eval", "--json", "-E", expression]);
    assert_eq!(plain, format!("\"{flake}\""));
    world.nix(&folder, &["flake", "check", "--no-build"]);
}

#[test]
fn fleet_template() {
    let Some(world) = World::new() else { return };
    let folder = world.start("fleet");
    let show = world.nix(&folder, &["flake", "show", "--json"]);
    for machine in ["\"monitor\"", "\"web\""] {
        assert!(show.contains(machine), "{show}");
    }
    world.nix(&folder, &["flake", "check", "--no-build"]);
    let hosts = world.nix(
        &folder,
        &["eval", "--raw", ".#nixosConfigurations.monitor.config.environment.etc.hosts.text"],
    );
    assert!(hosts.contains("10.0.0.10 web"), "{hosts}");
}

#[test]
fn rust_example() {
    let Some(world) = World::new() else { return };
    world.example("rust-project", &[], "0 words, 0 different", &["cargo --version"]);
}

#[test]
fn node18_example() {
    let Some(world) = World::new() else { return };
    world.example(
        "node18-project",
        &["--help"],
        "usage: pages [PORT]",
        &["node -e if(process.versions.node.split('.')[0]!=18)throw(0)"],
    );
}

#[test]
fn node14_example() {
    let Some(world) = World::new() else { return };
    world.example(
        "node14-project",
        &[],
        "Node.js v14.21.3: ",
        &["node -e if(process.versions.node.split('.')[0]!=14)throw(0)"],
    );
}

/// The script for continuous integration checks, builds and pushes; here to a cache in a folder.
#[test]
fn ci_example() {
    let Some(world) = World::new() else { return };
    let folder = world.start("node");
    let place = format!("file://{}", world.dir.path().join("cache").display());
    let cache = format!("{place}?compression=zstd");
    let key = world.nix(&folder, &["key", "generate-secret", "--key-name", "cache.test-1"]);
    let script = workspace().join("examples/ci/build-and-push.sh");
    let said = world.run(
        &folder,
        "/usr/bin/env",
        &[&format!("CACHE={cache}"), &format!("CACHE_KEY={key}"), "bash", script.to_str().unwrap()],
    );
    assert!(said.contains(&format!("== push to {place}")), "{said}");
    let built = world.nix(&folder, &["build", "--no-link", "--print-out-paths"]);
    let pushed = world.nix(&folder, &["path-info", "--store", &cache, "--all"]);
    assert!(pushed.lines().any(|line| line == built), "{built} is not among\n{pushed}");
    let info = world.nix(&folder, &["path-info", "--store", &cache, "--json", &built]);
    assert!(info.contains("\"cache.test-1:"), "{info}");
}
