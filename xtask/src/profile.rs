//! Profile-guided optimisation: `cargo xtask profile` trains the compiler on the benchmarks, and `dist` builds with what it
//! learnt, which is kept in `xtask/profile`.
//!
//! A profile is of use to the compiler that it was made with alone: names of functions have the compiler's version in
//! them. `dist` builds without it where another one is installed. A profile that is older than the code does no harm: functions
//! that have changed are compiled as if there were none. Format and tools: the LLVM project, "llvm-profdata".

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use firn_model::hash::{Hash, HashAlgo};

use crate::{dist, process};

const USAGE: &str = "usage: cargo xtask profile --nixpkgs DIR [--exclude FILE]";

/// The folder of what is kept.
fn kept() -> PathBuf {
    process::workspace().join("xtask/profile")
}

/// What tells compilers apart.
fn compiler() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = process::output(Command::new(rustc).arg("-vV"))?;
    let wanted = ["commit-hash:", "host:", "release:"];
    let lines = text.lines().filter(|line| wanted.iter().any(|w| line.starts_with(w)));
    Ok(lines.fold(String::new(), |all, line| all + line + "\n"))
}

/// The profile to build with, if there is one for this compiler.
pub fn stored() -> Result<Option<PathBuf>, String> {
    let read = |name: &str| {
        let path = kept().join(name);
        fs::read(&path).map_err(|e| format!("cannot read '{}': {e}", path.display()))
    };
    if read("compiler")? != compiler()?.as_bytes() {
        println!("building without a profile: the one that is kept is for another compiler");
        return Ok(None);
    }
    let packed = read("firn.profdata.xz")?;
    let folder = process::workspace().join("target/profile");
    // Cargo builds again when the name changes, but not when the contents do
    let hash = Hash::digest(HashAlgo::Sha256, &packed).to_base16();
    let path = folder.join(format!("{}.profdata", &hash[..16]));
    if !path.exists() {
        let mut data = Vec::new();
        std::io::Read::read_to_end(&mut liblzma::read::XzDecoder::new(&*packed), &mut data)
            .map_err(|e| format!("cannot unpack 'xtask/profile/firn.profdata.xz': {e}"))?;
        write(&path, &data)?;
    }
    Ok(Some(path))
}

/// Writes a file, and makes the folder that it is in.
fn write(path: &Path, data: &[u8]) -> Result<(), String> {
    let temporary = path.with_extension("new");
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&temporary, data))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|e| format!("cannot write '{}': {e}", path.display()))
}

/// Runs the command: builds with counters, runs each benchmark, keeps what was counted.
pub fn main(args: &[String]) -> Result<(), String> {
    // what the benchmarks are given
    let options: Vec<&str> = args.iter().step_by(2).map(String::as_str).collect();
    if !args.len().is_multiple_of(2)
        || !matches!(options[..], ["--nixpkgs"] | ["--nixpkgs", "--exclude"])
    {
        return Err(USAGE.into());
    }
    let merge = tool()?;
    let target = process::workspace().join("target/profile");
    let raw = target.join("raw");
    let _ = fs::remove_dir_all(&raw);
    let built = dist::compile(
        &target.join("build"),
        // linked dynamically: what is never called stays in a program with counters, and some of that is not in a static C library
        &format!("-Cprofile-generate={}", raw.display()),
    )?;
    let folder = target.join("dist");
    dist::lay_out(&built, &folder)?;
    let own = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    process::run(
        Command::new(own)
            .args(["bench", "--evaluation", "--runs", "1"])
            .args(args)
            .env("FIRN_DIST", &folder)
            .env_remove("NIX_REFERENCE"),
    )?;
    let merged = target.join("merged.profdata");
    process::run(Command::new(merge).args(["merge", "--sparse", "-o"]).arg(&merged).arg(&raw))?;
    let data = fs::read(&merged).map_err(|e| format!("cannot read '{}': {e}", merged.display()))?;
    let mut packed = Vec::new();
    std::io::Read::read_to_end(&mut liblzma::read::XzEncoder::new(&*data, 9), &mut packed)
        .map_err(|e| format!("cannot pack the profile: {e}"))?;
    write(&kept().join("firn.profdata.xz"), &packed)?;
    write(&kept().join("compiler"), compiler()?.as_bytes())?;
    println!("xtask/profile/firn.profdata.xz: {} KB", packed.len() / 1000);
    Ok(())
}

/// The `llvm-profdata` of the compiler's LLVM, as Debian or rustup names it.
fn tool() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = process::output(Command::new(rustc).arg("-vV"))?;
    let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = version.and_then(|v| v.split('.').next()).unwrap_or("?");
    let named = format!("llvm-profdata-{major}");
    [named.as_str(), "llvm-profdata"]
        .into_iter()
        .find(|name| process::has(name))
        .map(str::to_owned)
        .ok_or_else(|| format!("there is no {named}: install the package llvm-{major}"))
}
