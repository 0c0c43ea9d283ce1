//! Runs one import outside of a builder: `cargo run -p firn-import --example import -- SPEC.json OUT [STORE_DIR
//! REAL_STORE_DIR]`. OUT is the store path as written into files; below STORE_DIR (default `/nix/store`) it
//! is created in REAL_STORE_DIR.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers")]

use std::path::PathBuf;
use std::process::ExitCode;

use firn_import::{Env, Spec};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [spec, out, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: import SPEC.json OUT [STORE_DIR REAL_STORE_DIR]");
        return ExitCode::from(2);
    };
    let store_dir = PathBuf::from(rest.first().map_or("/nix/store", String::as_str));
    let mut env = Env {
        real_store_dir: rest.get(1).map_or_else(|| store_dir.clone(), PathBuf::from),
        store_dir,
        out: out.clone(),
        real_out: PathBuf::new(),
        threads: 2,
        log: &|line| eprintln!("{line}"),
    };
    env.real_out = env.real(out);
    let result = std::fs::read_to_string(spec)
        .map_err(|error| format!("cannot read '{spec}': {error}"))
        .and_then(|text| Spec::from_json(&text, out).map_err(|error| error.to_string()))
        .and_then(|spec| firn_import::run(&spec, &env).map_err(|error| error.to_string()));
    match result {
        Ok(report) => {
            println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
