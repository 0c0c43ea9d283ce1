//! `cargo xtask dist`: everything that is installed, in `target/dist`: `bin/firn` with its command
//! links, linked statically so that it runs on any Linux and unchanged inside the systems it builds,
//! and the distribution beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::process;

/// The names that `firn` answers to.
const LINKS: &[&str] = &[
    "nix",
    "nix-build",
    "nix-channel",
    "nix-collect-garbage",
    "nix-copy-closure",
    "nix-daemon",
    "nix-env",
    "nix-hash",
    "nix-instantiate",
    "nix-prefetch-url",
    "nix-shell",
    "nix-store",
    "nixos-rebuild",
    "nixos-version",
];

/// Builds the folder and gives its path.
pub fn build() -> Result<PathBuf, String> {
    let started = Instant::now();
    let root = process::workspace();
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    process::run(
        process::cargo()
            .args(["build", "--quiet", "--release", "--package", "firn-cli", "--target", &target])
            .env("RUSTFLAGS", "-C target-feature=+crt-static"),
    )?;
    let dist = root.join("target/dist");
    let bin = dist.join("bin");
    fs::create_dir_all(&bin).map_err(|e| format!("cannot create '{}': {e}", bin.display()))?;
    let built = root.join("target").join(&target).join("release/firn");
    replace_file(&built, &bin.join("firn"))?;
    for name in LINKS {
        let link = bin.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink("firn", &link)
            .map_err(|e| format!("cannot create '{}': {e}", link.display()))?;
    }
    let copy = dist.join("distribution");
    if copy.exists() {
        fs::remove_dir_all(&copy)
            .map_err(|e| format!("cannot remove '{}': {e}", copy.display()))?;
    }
    copy_tree(&root.join("distribution"), &copy)?;
    let _ = fs::remove_dir_all(copy.join("tests"));
    let size = fs::metadata(bin.join("firn")).map_or(0, |m| m.len());
    println!(
        "target/dist/bin/firn ({:.1} MB) and the distribution, after {:.0} s",
        size as f64 / 1e6,
        started.elapsed().as_secs_f64()
    );
    Ok(dist)
}

/// Replaces a file that may be running.
fn replace_file(from: &Path, to: &Path) -> Result<(), String> {
    let temporary = to.with_extension("new");
    fs::copy(from, &temporary)
        .and_then(|_| fs::rename(&temporary, to))
        .map_err(|e| format!("cannot copy '{}' to '{}': {e}", from.display(), to.display()))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    let fail =
        |e: std::io::Error| format!("cannot copy '{}' to '{}': {e}", from.display(), to.display());
    fs::create_dir_all(to).map_err(fail)?;
    for entry in fs::read_dir(from).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path()).map_err(fail)?;
            std::os::unix::fs::symlink(link, &target).map_err(fail)?;
        } else {
            fs::copy(entry.path(), &target).map_err(fail)?;
        }
    }
    Ok(())
}
