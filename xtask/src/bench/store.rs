//! What a store does: building, adding, copying, collecting. Each case is two scripts, of which the second is
//! timed; both sides have a store of their own at a place of its own, where paths are what they are called.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::measure::{Cost, run};
use crate::process;
use crate::sides::Side;

/// The settings of both sides.
const SETTINGS: &str = "build-users-group =\nsandbox = false\nsubstituters =\nrequire-sigs = false\n\
     experimental-features = nix-command\n";

/// Scripts of `sh`. `$N` comes before the name of a command, `$D` is the side's folder, `$B` that of the
/// expressions, `$F` that of the files which both sides read, `$U` the address of a cache that serves them.
pub struct Scripts {
    /// Comes before each timed run.
    pub prepare: &'static str,
    /// What is timed.
    pub timed: &'static str,
}

/// Name, what it does, and scripts of each case.
pub const CASES: &[(&str, &str, Scripts)] = &[
    (
        "nar-hash",
        "the hash of 256 MiB in 1,000 files",
        Scripts { prepare: "", timed: "${N}nix-hash --type sha256 $F/tree" },
    ),
    (
        "store-add",
        "the same added to an empty store",
        Scripts { prepare: "empty", timed: "${N}nix-store --add $F/tree" },
    ),
    (
        "verify",
        "the contents of that store verified",
        Scripts {
            prepare: "${N}nix-store --add $F/tree",
            timed: "${N}nix-store --verify --check-contents",
        },
    ),
    (
        "builds",
        "300 builds that do next to nothing",
        Scripts { prepare: "empty", timed: "${N}nix-build -j2 --no-out-link $B/builds.nix" },
    ),
    (
        "builds-sandbox",
        "the same in sandboxes",
        Scripts {
            prepare: "empty",
            timed: "${N}nix-build -j2 --no-out-link --option sandbox true --option sandbox-paths '/bin /usr /lib /lib64?' $B/builds.nix",
        },
    ),
    (
        "builds-again",
        "the same ten times when all are built",
        Scripts {
            prepare: "${N}nix-build -j2 --no-out-link $B/builds.nix",
            timed: "for n in 1 2 3 4 5 6 7 8 9 10; do ${N}nix-build --no-out-link $B/builds.nix; done",
        },
    ),
    (
        "collect",
        "5,000 small dead paths collected",
        Scripts {
            prepare: "empty; ${N}nix-instantiate --eval --strict --read-write-mode -E \"import $B/paths.nix { }\"",
            timed: "${N}nix-store --gc",
        },
    ),
    (
        "optimise",
        "4,000 files of which 3,900 are duplicates",
        Scripts {
            prepare: "empty; ${N}nix-store --add $F/same",
            timed: "${N}nix-store --optimise",
        },
    ),
    (
        "copy-to-cache",
        "64 MiB copied to a folder, zstd",
        Scripts {
            prepare: "p=$(${N}nix-store --add $F/texts); echo $p > $D/path; rm -rf $D/cache",
            timed: "${N}nix copy --no-check-sigs --to \"file://$D/cache?compression=zstd\" $(cat $D/path)",
        },
    ),
    (
        "copy-from-cache",
        "and back into an empty store",
        Scripts {
            prepare: "p=$(${N}nix-store --add $F/texts); echo $p > $D/path
                ${N}nix copy --no-check-sigs --to \"file://$D/cache?compression=zstd\" $p; empty",
            timed: "${N}nix copy --no-check-sigs --from \"file://$D/cache\" $(cat $D/path)",
        },
    ),
    (
        "copy-from-http",
        "200 paths of 64 KiB over HTTP into an empty store",
        Scripts {
            prepare: "chmod -R u+w $D/root 2>/dev/null || :; rm -rf $D/root",
            timed: "unset NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR
                ${N}nix copy --no-check-sigs --from $U --to $D/root $(cat $F/served)",
        },
    ),
];

/// Functions of the scripts.
const PRELUDE: &str = r#"
empty() { chmod -R u+w $D/store $D/var 2>/dev/null || :; rm -rf $D/store $D/var; }
"#;

/// Where the cases run.
pub struct World {
    files: PathBuf,
    expressions: PathBuf,
    /// The server of the cache, started for the first case that needs it.
    server: Option<(Child, String)>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((server, _)) = &mut self.server {
            // it may have ended by itself
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl World {
    /// A world below this folder.
    pub fn new(scratch: &Path) -> World {
        World {
            files: scratch.join("files"),
            expressions: process::workspace().join("xtask/bench/store"),
            server: None,
        }
    }

    /// Runs a case once on a side whose folder is `own`.
    pub fn once(
        &mut self,
        side: &Side,
        ours: &Side,
        own: &Path,
        scripts: &Scripts,
    ) -> Result<Cost, String> {
        self.make_files()?;
        if scripts.timed.contains("$U") && self.server.is_none() {
            self.server = Some(self.serve(ours)?);
        }
        let settings = own.join("conf/nix.conf");
        write(&settings, SETTINGS.as_bytes())?;
        let prepared = run(&mut self.script(side, own, scripts.prepare));
        prepared.map_err(|e| format!("preparing: {e}"))?;
        run(&mut self.script(side, own, scripts.timed))
    }

    fn script(&self, side: &Side, own: &Path, text: &str) -> Command {
        let commands = match side {
            Side::Folder(folder) => format!("{}/", folder.display()),
            Side::Prefix(_) => String::new(),
        };
        let url = self.server.as_ref().map_or("", |(_, url)| url.as_str());
        let (d, b, f) = (own.display(), self.expressions.display(), self.files.display());
        let mut command = side.shell();
        command.arg(format!(
            "set -e; N={commands} D={d} B={b} F={f} U={url}
            export HOME={d}/home NIX_CONF_DIR={d}/conf NIX_STORE_DIR={d}/store NIX_STATE_DIR={d}/var NIX_LOG_DIR={d}/log
            unset NIX_REMOTE NIX_PATH
            {PRELUDE}
            {text}"
        ));
        command
    }

    /// Serves a store that has some paths, by our own server.
    fn serve(&self, ours: &Side) -> Result<(Child, String), String> {
        let own = self.files.join("server");
        write(&own.join("conf/nix.conf"), SETTINGS.as_bytes())?;
        let at = "unset NIX_STORE_DIR NIX_STATE_DIR NIX_LOG_DIR; export NIX_REMOTE=$D/root;";
        let add = format!(
            "{at} for n in $(seq 200); do ${{N}}nix-store --add $F/small/$n; done > $F/served"
        );
        run(&mut self.script(ours, &own, &add))?;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .map_err(|e| format!("no port for a server: {e}"))?
            .port();
        let address = format!("127.0.0.1:{port}");
        let text = format!("{at} exec ${{N}}firn serve --compression zstd --listen {address}");
        let server = self
            .script(ours, &own, &text)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot start a server: {e}"))?;
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            if started.elapsed() > Duration::from_secs(10) {
                return Err(format!("the server at {address} does not answer"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok((server, format!("http://{address}")))
    }

    /// Files that both sides read, made once. Their contents are the same each time.
    fn make_files(&self) -> Result<(), String> {
        let done = self.files.join("done");
        if done.exists() {
            return Ok(());
        }
        let mut noise = Noise(1);
        for n in 0..1000 {
            write(&self.files.join(format!("tree/{}/{n}", n % 25)), &noise.bytes(256 << 10))?;
        }
        for n in 0..4000 {
            let text = format!("one of a hundred texts: {}\n", n % 100).repeat(40);
            write(&self.files.join(format!("same/{}/{n}", n % 50)), text.as_bytes())?;
        }
        for n in 0..1000 {
            write(&self.files.join(format!("texts/{}/{n}", n % 25)), &noise.text(64 << 10))?;
        }
        for n in 1..=200 {
            write(&self.files.join(format!("small/{n}")), &noise.text(64 << 10))?;
        }
        write(&done, b"")
    }
}

fn write(path: &Path, contents: &[u8]) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("cannot write '{}': {e}", path.display());
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(fail)?;
    fs::write(path, contents).map_err(fail)
}

/// A simple generator of numbers (Marsaglia's xorshift64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Bytes that cannot be compressed.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len / 8).flat_map(|_| self.next().to_le_bytes()).collect()
    }

    /// Words, which compress to about a third.
    fn text(&mut self, len: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(len + 16);
        while text.len() < len {
            text.extend_from_slice(format!("word-{} ", self.next() % 5000).as_bytes());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{CASES, Noise};

    #[test]
    fn names_are_different_and_scripts_say_what_is_timed() {
        for (i, (name, _, scripts)) in CASES.iter().enumerate() {
            assert!(CASES[i + 1..].iter().all(|(other, ..)| other != name), "{name}");
            assert!(scripts.timed.contains("${N}nix"), "{name}");
        }
    }

    #[test]
    fn noise_is_the_same_each_time() {
        assert_eq!(Noise(1).bytes(64), Noise(1).bytes(64));
        assert_ne!(Noise(1).bytes(64), Noise(2).bytes(64));
        assert!(Noise(1).text(100).len() >= 100);
    }
}
