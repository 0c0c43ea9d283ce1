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

/// Tells the allocator to take pages from the system only as it needs them, which with many threads is a
/// third of the memory. That must be said before the first allocation, hence before `main`.
#[used]
// SAFETY: the C library calls the functions of this section once, before `main`, and this one only sets a
// number.
#[unsafe(link_section = ".init_array")]
static ALLOCATOR_SETUP: extern "C" fn() = set_up_allocator;

extern "C" fn set_up_allocator() {
    /// `mi_option_arena_eager_commit` of `mimalloc.h`.
    const ARENA_EAGER_COMMIT: std::ffi::c_int = 4;
    unsafe extern "C" {
        fn mi_option_set(option: std::ffi::c_int, value: std::ffi::c_long);
    }
    // SAFETY: the function may be called at any time and only stores the value.
    unsafe { mi_option_set(ARENA_EAGER_COMMIT, 0) };
}

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
