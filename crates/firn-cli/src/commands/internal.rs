//! Commands by which the program runs itself: the part of a container's start that must be in a
//! process of its own, and the like. They are no interface for people.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use firn_system::try_system::{self, agent, stage1};

/// Reports an error of an internal command as one line.
#[expect(clippy::print_stderr, reason = "the starter reads it")]
fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(255))
}

/// `firn __container-init`, its order on standard input.
pub fn container_init(_: &str, _: Vec<OsString>) -> ExitCode {
    match stage1::init_main() {
        Ok(status) => code(status),
        Err(e) => fail(&e),
    }
}

/// `firn __container-exec STATE PROGRAM ARGUMENT…`
pub fn container_exec(_: &str, args: Vec<OsString>) -> ExitCode {
    let [state, argv @ ..] = &args[..] else { return fail(&"no state folder was given") };
    let argv: Vec<String> = argv.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    match stage1::exec_main(Path::new(state), &argv) {
        Ok(status) => code(status),
        Err(e) => fail(&e),
    }
}

/// `firn __kvm-probe`
pub fn kvm_probe(_: &str, _: Vec<OsString>) -> ExitCode {
    match try_system::probe_kvm_child() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&e),
    }
}

/// `firn __agent DEVICE`: runs commands that come over a serial port.
pub fn agent(_: &str, args: Vec<OsString>) -> ExitCode {
    let Some(device) = args.first() else { return fail(&"no device was given") };
    let served = agent::open_serial(Path::new(device)).and_then(|port| {
        let input = port.try_clone()?;
        agent::serve(input, port)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&format!("{}: {e}", device.to_string_lossy())),
    }
}
