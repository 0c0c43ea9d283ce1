//! `firn completions`: the shells' side of completion, and `firn manual`: manual pages.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::common::legacy::{self, Outcome, usage};

/// Each shell's name and its script.
const SCRIPTS: &[(&str, &str)] = &[
    ("bash", include_str!("nix.bash")),
    ("fish", include_str!("nix.fish")),
    ("zsh", include_str!("nix.zsh")),
];

/// `firn completions SHELL`.
pub fn completions(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("firn", |out| {
        let shell = one(&args, "firn completions bash|fish|zsh")?;
        match SCRIPTS.iter().find(|(name, _)| *name == shell) {
            Some((_, script)) => Ok(out.write_all(script.as_bytes())?),
            None => {
                usage(format!("there are completions for bash, fish and zsh, not for '{shell}'"))
            }
        }
    })
}

/// `firn manual FOLDER`.
pub fn manual(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("firn", |out| {
        let dir = one(&args, "firn manual FOLDER")?;
        let count = super::nix::manual::write(dir.as_ref())?;
        Ok(writeln!(out, "{count} manual pages in '{dir}'")?)
    })
}

fn one(args: &[OsString], how: &str) -> Outcome<String> {
    match args {
        [one] if !one.to_string_lossy().starts_with('-') => Ok(one.to_string_lossy().into_owned()),
        _ => usage(format!("usage: {how}")),
    }
}
