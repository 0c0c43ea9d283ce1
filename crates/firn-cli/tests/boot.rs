//! Boots the web server example in a container, switches it, rolls it back, and looks at it from
//! outside and inside. `cargo xtask test` builds what is booted and says where in `FIRN_DIST`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const NAME: &str = "boot-test";
const PORT: u16 = 18_080;

struct World {
    firn: PathBuf,
    store: PathBuf,
    examples: PathBuf,
}

impl World {
    fn firn(&self, args: &[&str]) -> Output {
        let output = Command::new(&self.firn)
            .args(args)
            .env("NIX_REMOTE", format!("local?root={}", self.store.display()))
            .env_remove("NIX_PATH")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "firn {args:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    fn inside(&self, script: &str) -> String {
        let output = self.firn(&["os", "run", NAME, "--", "sh", "-c", script]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = Command::new(&self.firn).args(["os", "stop", NAME]).stderr(Stdio::null()).status();
    }
}

/// The page, asked for until it has `wanted` in it.
fn page_with(wanted: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    let mut last = String::new();
    while Instant::now() < end {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", PORT)) {
            let mut text = Vec::new();
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
            let _ = stream.read_to_end(&mut text);
            last = String::from_utf8_lossy(&text).into_owned();
            if last.contains(wanted) {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no page with '{wanted}' came; the last answer was:\n{last}");
}

#[test]
fn web_server_boots_switches_and_rolls_back() {
    let Some(dist) = std::env::var_os("FIRN_DIST").map(PathBuf::from) else {
        eprintln!("skipped: FIRN_DIST is not set; 'cargo xtask test' builds what this test boots");
        return;
    };
    if std::env::var_os("FIRN_TEST_QUICK").is_some() {
        eprintln!("skipped: --quick leaves out what boots systems");
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a container needs root");
        return;
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let world = World {
        firn: dist.join("bin/firn"),
        // kept between runs, so that only the first one downloads
        store: workspace.join("target/boot-test"),
        examples: workspace.join("examples/webserver"),
    };
    std::fs::create_dir_all(&world.store).unwrap();
    let first = world.examples.join("configuration.nix");
    let second = world.examples.join("second.nix");
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());

    let built = world.firn(&["os", "build", "--container", first, "--also", second]);
    let built = String::from_utf8(built.stdout).unwrap();
    let toplevel = built.lines().next().unwrap();
    let closure = world.firn(&["nix-store", "--query", "--requisites", toplevel]);
    for path in String::from_utf8(closure.stdout).unwrap().lines() {
        assert!(path.starts_with("/nix/store/"), "{path} is not in the store");
    }

    let port = format!("{PORT}:80");
    world.firn(&[
        "os",
        "try",
        "--container",
        "--name",
        NAME,
        "--detach",
        "--port",
        &port,
        first,
        "--also",
        second,
    ]);
    page_with("first generation");

    // the system is well, and is what its configuration says
    assert_eq!(world.inside("systemctl list-units --state=failed --plain --no-legend"), "");
    assert_eq!(world.inside("readlink /run/current-system"), toplevel);
    assert_eq!(world.inside("cat /proc/sys/net/core/somaxconn"), "4096");
    assert!(world.inside("id alice").contains("wheel"));
    assert_eq!(world.inside("uname -n"), "web");
    let rules = world.inside("nft list ruleset");
    assert!(rules.contains("tcp dport { 80, 443 } accept"), "{rules}");
    assert!(rules.contains("hook input priority filter; policy drop;"), "{rules}");
    // nothing but these is outside of the store, /etc and what programs write
    assert_eq!(world.inside("find /usr /bin -type l | sort"), "/bin/sh\n/usr/bin/env");
    assert_eq!(world.inside("find /usr /bin ! -type d ! -type l"), "");
    assert_eq!(world.inside("ls / | grep -x -e lib64 -e sbin -e opt || true"), "");

    // the next generation, evaluated and activated inside
    world.inside("sed -i s,trial/configuration.nix,trial/second.nix, /etc/nixos/configuration.nix");
    world.inside("nixos-rebuild switch");
    page_with("second generation");
    assert_eq!(world.inside("systemctl list-units --state=failed --plain --no-legend"), "");
    assert_eq!(world.inside("node-18 --version; node-14 --version"), "v18.12.0\nv14.21.3");
    let again = world.inside("nixos-rebuild dry-activate 2>&1");
    assert!(!again.contains("would"), "the same configuration changes something: {again}");

    // and back
    world.inside("nixos-rebuild switch --rollback");
    page_with("first generation");
    assert_eq!(world.inside("readlink /run/current-system"), toplevel);
    let generations = world.inside("nixos-rebuild list-generations");
    assert_eq!(generations.lines().count(), 3, "{generations}");

    // what cannot be built changes nothing
    world.inside("echo '{ services.nginx.enabel = true; }' > /tmp/bad.nix");
    let bad = "nixos-rebuild switch -I nixos-config=/tmp/bad.nix 2>&1; echo code $?";
    let said = world.inside(bad);
    assert!(said.contains("services.nginx.enabel") && said.ends_with("code 1"), "{said}");
    assert_eq!(world.inside("readlink /run/current-system"), toplevel);
}
