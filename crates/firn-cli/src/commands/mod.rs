//! The table of commands; each command is a file of its own.

mod build_remote;
mod doctor;
mod internal;
mod nix;
mod nix_build;
mod nix_channel;
mod nix_collect_garbage;
mod nix_copy_closure;
mod nix_daemon;
mod nix_env;
mod nix_hash;
mod nix_instantiate;
mod nix_prefetch_url;
mod nix_shell;
mod nix_store;
mod nixos_rebuild;
mod nixos_version;
mod os;
mod reapi_run;
mod sandbox_child;
mod serve;
mod shells;
mod system_activate;

use std::ffi::OsString;
use std::process::ExitCode;

/// A command: the names it is called by, one line about it, and its main function.
struct Command {
    names: &'static [&'static str],
    about: &'static str,
    /// Whether `--help` leaves it out: it is how the program runs itself.
    hidden: bool,
    run: fn(&str, Vec<OsString>) -> ExitCode,
}

/// All commands, in the order `firn --help` lists them.
#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { names: &["nix"], about: "build, run, search, inspect: the everyday commands", hidden: false, run: nix::run },
    Command { names: &["nix-channel"], about: "named places of expressions", hidden: false, run: nix_channel::run },
    Command { names: &["nix-collect-garbage"], about: "delete old generations and what nothing needs", hidden: false, run: nix_collect_garbage::run },
    Command { names: &["nix-copy-closure"], about: "copy paths and what they need to another machine, or from it", hidden: false, run: nix_copy_closure::run },
    Command { names: &["nix-daemon"], about: "offer the store to other users", hidden: false, run: nix_daemon::run },
    Command { names: &["nix-env"], about: "packages in profiles, and their generations", hidden: false, run: nix_env::run },
    Command { names: &["nix-hash"], about: "hash files, convert hashes", hidden: false, run: nix_hash::run },
    Command { names: &["nix-store"], about: "work on the store", hidden: false, run: nix_store::run },
    Command { names: &["nix-build"], about: "build derivations of expressions", hidden: false, run: nix_build::run },
    Command { names: &["nix-instantiate"], about: "make derivations of expressions, or print their values", hidden: false, run: nix_instantiate::run },
    Command { names: &["nix-prefetch-url"], about: "download a file into the store and print its hash", hidden: false, run: nix_prefetch_url::run },
    Command { names: &["nix-shell"], about: "start a shell with the environment of a build", hidden: false, run: nix_shell::run },
    Command { names: &["nixos-rebuild"], about: "build a system's configuration and switch to it", hidden: false, run: nixos_rebuild::run },
    Command { names: &["nixos-version"], about: "print the version of the running system", hidden: false, run: nixos_version::run },
    Command { names: &["doctor"], about: "say what is set up on this machine, and how to mend what is not", hidden: false, run: doctor::run },
    Command { names: &["os"], about: "try a system in a container or a virtual machine", hidden: false, run: os::run },
    Command { names: &["serve"], about: "serve the store as a binary cache over HTTP", hidden: false, run: serve::run },
    Command { names: &["system-activate"], about: "activate a built system on this machine", hidden: false, run: system_activate::run },
    Command { names: &["completions"], about: "print the completions of a shell: bash, fish, zsh", hidden: false, run: shells::completions },
    Command { names: &["manual"], about: "write the manual pages into a folder", hidden: false, run: shells::manual },
    Command { names: &["__sandbox-child"], about: "", hidden: true, run: sandbox_child::run },
    Command { names: &["__build-remote", "build-remote"], about: "", hidden: true, run: build_remote::run },
    Command { names: &[firn_reapi::runner::COMMAND], about: "", hidden: true, run: reapi_run::run },
    Command { names: &["__daemon-worker"], about: "", hidden: true, run: nix_daemon::run_worker },
    Command { names: &["__container-init"], about: "", hidden: true, run: internal::container_init },
    Command { names: &["__container-exec"], about: "", hidden: true, run: internal::container_exec },
    Command { names: &["__kvm-probe"], about: "", hidden: true, run: internal::kvm_probe },
    Command { names: &["__agent"], about: "", hidden: true, run: internal::agent },
];

/// Runs the command `name`, or the one that `args` begins with if `name` is `firn` itself.
pub fn dispatch(name: &str, mut args: Vec<OsString>) -> ExitCode {
    if let Some(command) = find(name) {
        return (command.run)(name, args);
    }
    let first = args.first().and_then(|a| a.to_str()).unwrap_or_default().to_owned();
    match first.as_str() {
        "" | "--help" | "help" => {
            help();
            ExitCode::SUCCESS
        }
        "--version" => {
            #[expect(clippy::print_stdout, reason = "the command's output")]
            {
                println!("firn {}", env!("CARGO_PKG_VERSION"));
            }
            ExitCode::SUCCESS
        }
        _ => match find(&first) {
            Some(command) => {
                args.remove(0);
                (command.run)(&first, args)
            }
            None => {
                #[expect(clippy::print_stderr, reason = "the command's output")]
                {
                    let names = COMMANDS.iter().filter(|c| !c.hidden).flat_map(|c| c.names);
                    let hint = crate::common::legacy::did_you_mean(names.copied(), &first);
                    eprintln!(
                        "error: '{first}' is not a recognised command{hint}\nTry 'firn --help' for a list."
                    );
                }
                ExitCode::FAILURE
            }
        },
    }
}

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.names.contains(&name))
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn help() {
    println!("Usage: firn COMMAND [ARGUMENT…]\n\nCommands:");
    for command in COMMANDS.iter().filter(|c| !c.hidden) {
        println!("  {:<24} {}", command.names.join(", "), command.about);
    }
}
