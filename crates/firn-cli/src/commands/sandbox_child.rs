//! `firn __sandbox-child`: the guard process of a build's sandbox, which the builder starts by itself;
//! and with `--enter STORE REAL PROGRAM ARGUMENT…` a program in a view in which the store's contents
//! are in place.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Runs the guard; what to do comes over standard input.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    if let [flag, store, real, program, args @ ..] = &args[..]
        && flag == "--enter"
    {
        let error =
            firn_build::sandbox::exec_in_store(Path::new(store), Path::new(real), program, args);
        firn_ui::print_error(&format!("executing '{}': {error}", program.to_string_lossy()));
        return ExitCode::FAILURE;
    }
    ExitCode::from(u8::try_from(firn_build::sandbox::child_main()).unwrap_or(1))
}
