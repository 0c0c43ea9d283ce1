//! `firn system-activate --toplevel SYSTEM ACTION`: what a built system's `switch-to-configuration`
//! runs, and with the action `init` what its first program runs at boot.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use firn_event::Logger;
use firn_system::activate::{Roots, activate};
use firn_system::switch::{self, Action};

use crate::common::simple_logger;

/// Exit code of `switch-to-configuration` when units failed, as on NixOS.
const UNITS_FAILED: u8 = 4;

/// Runs the command.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the command's output")]
pub fn run(_: &str, args: Vec<OsString>) -> ExitCode {
    if args.iter().any(|arg| arg == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match main(&args, &simple_logger()) {
        Ok(code) => code,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str =
    "usage: firn system-activate --toplevel SYSTEM (switch | boot | test | dry-activate | init)";

const HELP: &str = "Usage: firn system-activate --toplevel SYSTEM ACTION

Activates a built system on this machine; its switch-to-configuration runs this.

  switch, test    put files, users and links in place; start, stop and restart what has changed
  boot            nothing now; the system is used at the next boot
  dry-activate    show what 'switch' would do
  init            what the system's first program does at boot";

fn main(args: &[OsString], logger: &Logger) -> Result<ExitCode, String> {
    let mut toplevel = None;
    let mut action = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.to_str() {
            Some("--toplevel") => toplevel = rest.next().map(PathBuf::from),
            Some(word) if !word.starts_with('-') && action.is_none() => {
                action = Some(word.to_owned());
            }
            _ => return Err(format!("unexpected argument '{}'\n{USAGE}", arg.to_string_lossy())),
        }
    }
    let toplevel = toplevel.ok_or(USAGE)?;
    let action = action.ok_or(USAGE)?;
    let roots = Roots::default();
    if action == "init" {
        activate(&roots, &toplevel, None, logger).map_err(|e| e.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let action: Action = action.parse().map_err(|e: firn_system::Error| e.to_string())?;
    if action == Action::Boot {
        // the generation is chosen by its profile; there is no boot loader to tell yet
        return Ok(ExitCode::SUCCESS);
    }
    if !std::path::Path::new("/run/systemd/system").exists() {
        return Err("this machine is not running systemd, so its units cannot be switched; use 'boot' and restart it".into());
    }
    let outcome =
        switch::activate_now(&roots, &toplevel, action, logger).map_err(|e| e.to_string())?;
    if !outcome.failed_units.is_empty() {
        return Ok(ExitCode::from(UNITS_FAILED));
    }
    Ok(if outcome.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
