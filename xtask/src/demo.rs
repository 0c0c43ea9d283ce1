//! `cargo xtask demo [--vm]`: from a clone to a running system, to its next generation, and back.
//! Each step is shown with its time.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{dist, process, setup};

const NAME: &str = "demo";
/// Where the host listens for the system's port 80.
const PORT: u16 = 8080;

struct Demo {
    firn: PathBuf,
    store: PathBuf,
    vm: bool,
    started: Instant,
    step: u32,
}

/// Runs the command.
pub fn main(args: &[String]) -> Result<(), String> {
    let vm = match args {
        [] => !process::is_root(),
        [one] if one == "--vm" => true,
        [one] if one == "--container" => false,
        _ => return Err("usage: cargo xtask demo [--vm | --container]".into()),
    };
    if vm {
        let program = format!("qemu-system-{}", std::env::consts::ARCH);
        setup::need(&program, "qemu-system-x86", "it runs the virtual machine")?;
    } else if !process::is_root() {
        return Err("a container needs root; use 'cargo xtask demo --vm'".into());
    }
    setup::need("cc", "gcc", "it builds the C parts of Firn")?;
    let started = Instant::now();
    let root = process::workspace();
    let mut demo =
        Demo { firn: PathBuf::new(), store: root.join("target/demo"), vm, started, step: 0 };
    demo.begin("Build Firn and its distribution");
    demo.firn = dist::build()?.join("bin/firn");
    demo.end();
    let result = demo.run(&root);
    let _ = demo.firn().args(["os", "stop", NAME]).stderr(std::process::Stdio::null()).status();
    result
}

impl Demo {
    fn begin(&mut self, what: &str) {
        self.step += 1;
        self.started = Instant::now();
        println!("\n\x1b[1m{}. {what}\x1b[0m", self.step);
    }

    fn end(&self) {
        println!("   \x1b[32mdone\x1b[0m after {:.1} s", self.started.elapsed().as_secs_f64());
    }

    /// Firn, with the demo's own store, so that nothing outside of `target` is touched.
    fn firn(&self) -> Command {
        let mut command = Command::new(&self.firn);
        command.env("NIX_REMOTE", format!("local?root={}", self.store.display()));
        command.env_remove("NIX_PATH");
        command
    }

    /// Runs a program in the started system.
    fn inside(&self, argv: &[&str]) -> Result<(), String> {
        println!("   $ {}", argv.join(" "));
        process::run(self.firn().args(["os", "run", NAME, "--"]).args(argv))
    }

    fn run(&mut self, root: &Path) -> Result<(), String> {
        fs::create_dir_all(&self.store)
            .map_err(|e| format!("cannot create '{}': {e}", self.store.display()))?;
        let first = root.join("examples/webserver/configuration.nix");
        let second = root.join("examples/webserver/second.nix");
        let kind = if self.vm { "--vm" } else { "--container" };

        self.begin("Build both generations of examples/webserver (downloads from the Debian and npm mirrors)");
        let paths = process::output(
            self.firn().args(["os", "build", kind]).arg(&first).arg("--also").arg(&second),
        )?;
        for path in paths.lines() {
            println!("   {path}");
        }
        self.end();

        self.begin(&format!(
            "Boot the first in a {} and fetch its page from outside",
            if self.vm { "virtual machine" } else { "container" }
        ));
        let port = format!("{PORT}:80");
        process::run(
            self.firn()
                .args(["os", "try", kind, "--name", NAME, "--detach", "--port", &port])
                .arg(&first)
                .arg("--also")
                .arg(&second),
        )?;
        let page = fetch()?;
        println!("   http://127.0.0.1:{PORT}/ → {page}");
        self.end();

        self.begin(
            "Switch it to the second: another page, one more service, two versions of Node.js",
        );
        self.inside(&[
            "sed",
            "-i",
            "s,trial/configuration.nix,trial/second.nix,",
            "/etc/nixos/configuration.nix",
        ])?;
        self.inside(&["nixos-rebuild", "switch"])?;
        let other = fetch()?;
        println!("   http://127.0.0.1:{PORT}/ → {other}");
        if other == page {
            return Err("the second generation serves the first one's page".into());
        }
        self.inside(&["sh", "-c", "node-18 --version; node-14 --version"])?;
        self.end();

        self.begin("Roll back");
        self.inside(&["nixos-rebuild", "switch", "--rollback"])?;
        let again = fetch()?;
        println!("   http://127.0.0.1:{PORT}/ → {again}");
        if again != page {
            return Err("after the rollback the page is not the first one's".into());
        }
        self.end();

        self.begin("List the generations");
        self.inside(&["nixos-rebuild", "list-generations"])?;
        self.end();
        println!("\nThe demo's store is target/demo; remove the folder to start afresh.");
        Ok(())
    }
}

/// The page's heading, fetched anew until it comes.
fn fetch() -> Result<String, String> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut last = String::new();
    while Instant::now() < end {
        match get() {
            Ok(text) => {
                let heading = text.split("<h1>").nth(1).and_then(|t| t.split("</h1>").next());
                if let (Some(heading), true) = (heading, text.starts_with("HTTP/1.1 200")) {
                    return Ok(heading.to_owned());
                }
                last = text.lines().next().unwrap_or("an empty answer").to_owned();
            }
            Err(e) => last = e.to_string(),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("the page did not come within 60 seconds: {last}"))
}

fn get() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
