//! The developers' own commands: `cargo xtask demo | test | bench | conformance | dist | profile | debian-lock`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "commands for developers")]

mod bench;
mod conformance;
mod debian_lock;
mod demo;
mod dist;
mod process;
mod profile;
mod setup;
mod sides;
mod test;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let arguments: Vec<String> = arguments.collect();
    let result = match command.as_deref() {
        Some("bench") => bench::main(&arguments),
        Some("conformance") => conformance::main(&arguments),
        Some("debian-lock") => return debian_lock::main(&arguments),
        Some("demo") => demo::main(&arguments),
        Some("dist") => dist::build().map(drop),
        Some("profile") => profile::main(&arguments),
        Some("test") => test::main(&arguments),
        Some(other) => Err(format!("'{other}' is not one of xtask's commands\n{USAGE}")),
        None => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
usage: cargo xtask demo [--vm | --container]    build a system, boot it, switch it, roll it back
       cargo xtask test [--quick]               run all tests
       cargo xtask bench [CASE…] [--nixpkgs DIR] [--runs N]
                                                time the hot paths, beside C++ Nix if NIX_REFERENCE is set
       cargo xtask conformance PART…            compare with C++ Nix; without a part it lists them
       cargo xtask dist                         build what is installed into target/dist
       cargo xtask profile --nixpkgs DIR        train the compiler on the benchmarks, for dist
       cargo xtask debian-lock [--update] [--security] [--check]
                                                resolve the distribution's Debian packages";
