//! `firn __reapi-run FILE`: runs a builder on a machine of a cluster, as the file says.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use firn_build::sandbox::Launcher;

/// Runs it.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    let [task] = &args[..] else {
        firn_ui::print_error("this command is for machines of clusters, and takes one file");
        return ExitCode::FAILURE;
    };
    let stop = crate::common::interrupt::flag();
    firn_reapi::runner::main(Path::new(task), &Launcher::default(), &stop)
}
