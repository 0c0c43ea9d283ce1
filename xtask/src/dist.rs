//! `cargo xtask dist`: everything that is installed, in `target/dist`: `bin/firn` with its command
//! links, linked statically so that it runs on any Linux and unchanged inside the systems it builds,
//! and the distribution beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::{process, profile};

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
    let mut flags = "-C target-feature=+crt-static".to_owned();
    if let Some(profile) = profile::stored()? {
        // functions that changed since are no news
        let quiet = "-C llvm-args=-no-pgo-warn-mismatch";
        flags = format!("{flags} -C profile-use={} {quiet}", profile.display());
    }
    let built = compile(&root.join("target"), &flags)?;
    let dist = root.join("target/dist");
    lay_out(&built, &dist)?;
    let size = fs::metadata(&built).map_or(0, |m| m.len());
    println!(
        "target/dist/bin/firn ({:.1} MB) and the distribution, after {:.0} s",
        size as f64 / 1e6,
        started.elapsed().as_secs_f64()
    );
    Ok(dist)
}

/// Compiles the program in the target folder `target`, and gives its path.
pub fn compile(target: &Path, flags: &str) -> Result<PathBuf, String> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    process::run(
        process::cargo()
            .args(["build", "--quiet", "--release", "--package", "firn-cli", "--target", &triple])
            .arg("--target-dir")
            .arg(target)
            .env("RUSTFLAGS", flags),
    )?;
    Ok(target.join(&triple).join("release/firn"))
}

/// Makes the folder `dist` of what is installed from the program `built`.
pub fn lay_out(built: &Path, dist: &Path) -> Result<(), String> {
    let bin = dist.join("bin");
    fs::create_dir_all(&bin).map_err(|e| format!("cannot create '{}': {e}", bin.display()))?;
    replace_file(built, &bin.join("firn"))?;
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
    copy_tree(&process::workspace().join("distribution"), &copy)?;
    let _ = fs::remove_dir_all(copy.join("tests"));
    Ok(())
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
