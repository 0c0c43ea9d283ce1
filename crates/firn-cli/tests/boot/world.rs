//! What the tests share: a store for both, a started system, and its page.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One system at a time: they would only slow one another down.
static TURN: Mutex<()> = Mutex::new(());

/// A system with a name and a forwarded port, and what it is made from.
pub struct World {
    name: &'static str,
    port: u16,
    firn: PathBuf,
    store: PathBuf,
    pub first: String,
    pub second: String,
    /// A system without a web server.
    pub other: String,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// None, with a word why, where the test cannot run.
    pub fn new(name: &'static str, port: u16) -> Option<Self> {
        let Some(dist) = std::env::var_os("FIRN_DIST").map(PathBuf::from) else {
            eprintln!(
                "skipped: FIRN_DIST is not set; 'cargo xtask test' builds what this test boots"
            );
            return None;
        };
        if std::env::var_os("FIRN_TEST_QUICK").is_some() {
            eprintln!("skipped: --quick leaves out what boots systems");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let example =
            |file: &str| workspace.join("examples").join(file).to_str().unwrap().to_owned();
        // kept between runs, so that only the first one downloads
        let store = workspace.join("target/boot-test");
        std::fs::create_dir_all(&store).unwrap();
        Some(Self {
            name,
            port,
            firn: dist.join("bin/firn"),
            store,
            first: example("webserver/configuration.nix"),
            second: example("webserver/second.nix"),
            other: example("timer/configuration.nix"),
            _turn: turn,
        })
    }

    pub fn firn(&self, args: &[&str]) -> String {
        let output = self.command(args);
        assert!(
            output.status.success(),
            "firn {args:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, args: &[&str]) -> Output {
        Command::new(&self.firn)
            .args(args)
            .env("NIX_REMOTE", format!("local?root={}", self.store.display()))
            .env_remove("NIX_PATH")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Boots `configuration`, and comes back when it is up.
    pub fn boot(&self, kind: &str, configuration: &str, more: &[&str]) {
        let port = format!("{}:80", self.port);
        let mut args = vec!["os", "try", kind, "--name", self.name, "--detach", "--port", &port];
        args.push(configuration);
        args.extend(more);
        self.firn(&args);
    }

    pub fn stop(&self) {
        self.firn(&["os", "stop", self.name]);
    }

    /// What a shell script says inside.
    pub fn inside(&self, script: &str) -> String {
        self.firn(&["os", "run", self.name, "--", "sh", "-c", script]).trim().to_owned()
    }

    /// What the system answers to one request.
    pub fn page(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let mut text = Vec::new();
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Asks for the page until it has `wanted` in it.
    pub fn page_with(&self, wanted: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        let mut last = String::new();
        while Instant::now() < end {
            if let Ok(text) = self.page() {
                last = text;
                if last.contains(wanted) {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no page with '{wanted}' came; the last answer was:\n{last}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // if a test has failed, its system may still run
        let _ = self.command(&["os", "stop", self.name]);
    }
}
