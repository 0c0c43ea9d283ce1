//! `firn __sandbox-child`: the guard process of a build's sandbox. The builder starts it by itself.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the guard; what to do comes over standard input.
pub fn run(_name: &str, _args: Vec<OsString>) -> ExitCode {
    ExitCode::from(u8::try_from(firn_build::sandbox::child_main()).unwrap_or(1))
}
