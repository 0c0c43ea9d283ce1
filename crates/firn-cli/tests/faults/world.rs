//! Stores below a temporary folder, and the commands that work on them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use firn_model::StorePath;
use firn_store::{ClosureOptions, LocalStore, Repair, Store as _, StoreLayout, StoreOptions};

/// A folder with a store `source` in it, and room for others.
pub struct World {
    pub dir: tempfile::TempDir,
    /// What `source` has.
    pub paths: BTreeSet<StorePath>,
}

/// A number that looks random, another for each `seed`.
pub fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl World {
    /// `count` paths, each of which refers to some before it, of up to 60 kB each, in files and folders.
    pub fn new(count: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self { dir, paths: BTreeSet::new() };
        std::fs::create_dir(world.path("conf")).unwrap();
        let settings = "build-users-group =\nsubstituters =\nsandbox = false\n\
                        experimental-features = nix-command\n";
        std::fs::write(world.path("conf/nix.conf"), settings).unwrap();
        let source = world.open("source");
        let scratch = world.path("scratch");
        for n in 0..count {
            let references: BTreeSet<StorePath> = world
                .paths
                .iter()
                .nth((random(n) % (n + 1)) as usize)
                .cloned()
                .into_iter()
                .collect();
            std::fs::create_dir_all(scratch.join("sub")).unwrap();
            for file in 0..3 {
                let size = random(n * 10 + file) % 20_000;
                let contents: Vec<u8> = (0..size).map(|i| random(n + i / 8) as u8).collect();
                std::fs::write(scratch.join(format!("sub/{file}")), contents).unwrap();
            }
            let (method, algo) = (firn_model::Method::Nar, firn_model::HashAlgo::Sha256);
            let name = format!("path-{n}");
            let added =
                source.add_path(&name, &scratch, method, algo, None, &references, Repair::No);
            world.paths.insert(added.unwrap());
        }
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Opens a store of this folder in this process.
    pub fn open(&self, name: &str) -> LocalStore {
        LocalStore::open(StoreLayout::in_root(&self.path(name)), StoreOptions::default()).unwrap()
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
        command
            .args(line.split(' '))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_DAEMON_SOCKET_PATH", self.path("socket"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// All paths of `source`, as arguments.
    pub fn all(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(|p| format!("/nix/store/{p}")).collect();
        paths.join(" ")
    }

    /// That everything that is registered in a store is there, whole, and has all that it refers to. Gives it.
    pub fn check(&self, name: &str, when: &str) -> BTreeSet<StorePath> {
        let checked =
            self.run(&format!("nix-store --store {} --verify --check-contents", self.text(name)));
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{when}: {said}");
        for bad in ["error", "disappeared", "was modified", "warning"] {
            assert!(!said.contains(bad), "{when}: {said}");
        }
        let store = self.open(name);
        let valid = store.query_all_valid_paths().unwrap();
        let closure = store.compute_closure(&valid, ClosureOptions::default()).unwrap();
        assert_eq!(closure, valid, "{when}");
        valid
    }

    /// That every path that a cache in a folder says to have is there, whole, and has all that it refers to. Gives
    /// how many there are.
    pub fn check_cache(&self, name: &str, when: &str) -> usize {
        if !self.path(name).join("nix-cache-info").exists() {
            return 0;
        }
        let checked = self
            .run(&format!("nix store verify --all --no-trust --store file://{}", self.text(name)));
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{when}: {said}");
        let listed =
            self.run(&format!("nix path-info --all -r --store file://{}", self.text(name)));
        assert!(listed.status.success(), "{when}: {}", String::from_utf8_lossy(&listed.stderr));
        String::from_utf8(listed.stdout).unwrap().lines().count()
    }
}

/// Whether a file is there within some seconds.
pub fn appears(file: &Path) -> bool {
    for _ in 0..1000 {
        if file.exists() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    false
}
