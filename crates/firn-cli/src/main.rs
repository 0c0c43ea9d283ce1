//! The `firn` binary: finds the command in the name it was called by or in its first argument, and
//! runs it. No logic that another front end would need too.

#![allow(
    clippy::needless_pass_by_value,
    reason = "each command owns its arguments, whether or not it takes them apart"
)]

mod commands;
mod common;

use std::ffi::OsString;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let name = args
        .first()
        .map(std::path::PathBuf::from)
        .and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()));
    if !args.is_empty() {
        args.remove(0);
    }
    commands::dispatch(name.as_deref().unwrap_or("firn"), args)
}
