//! The developers' own commands: `cargo xtask demo | test | bench | dist | conformance | debian-lock`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "commands for developers")]

mod debian_lock;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let arguments: Vec<String> = arguments.collect();
    match command.as_deref() {
        Some("debian-lock") => debian_lock::main(&arguments),
        Some(other) => {
            eprintln!("error: '{other}' is not one of xtask's commands");
            ExitCode::from(2)
        }
        None => {
            eprintln!("usage: cargo xtask debian-lock [--update] [--security] [--check]");
            ExitCode::from(2)
        }
    }
}
