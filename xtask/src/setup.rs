//! What the machine must have besides a Rust toolchain, and getting it where we may.

use std::process::Command;

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
