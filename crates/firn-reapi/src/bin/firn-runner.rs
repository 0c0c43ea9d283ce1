//! The runner alone, for workers that this machine's `firn` is not for: another processor, or no libraries of this
//! system. It knows the same two commands (`__reapi-run`, `__sandbox-child`).

#![allow(clippy::exit, clippy::print_stderr, reason = "this is a whole program")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use firn_build::sandbox::Launcher;

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [command] if command == "__sandbox-child" => {
            std::process::exit(firn_build::sandbox::child_main())
        }
        [command, task] if command == firn_reapi::runner::COMMAND => {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                // SAFETY: the handler only sets an atomic.
                unsafe { libc::signal(signal, stop as *const () as libc::sighandler_t) };
            }
            firn_reapi::runner::main(Path::new(task), &Launcher::default(), &STOP)
        }
        _ => {
            eprintln!("error: this program is for machines of clusters; 'firn' starts it there");
            ExitCode::FAILURE
        }
    }
}
