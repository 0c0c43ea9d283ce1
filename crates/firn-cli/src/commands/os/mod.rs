//! `firn os`: trying systems. `try` boots a configuration in a container or a virtual machine, `run`
//! runs a program in one that was started before, `list` and `stop` do what they say.

mod build;
mod machines;
mod ready;
mod terminal;
mod trial;

use std::ffi::OsString;
use std::process::ExitCode;

const HELP: &str = "\
Usage: firn os try CONFIGURATION [OPTION…]   boot a configuration and show its console
       firn os build CONFIGURATION [OPTION…] build what 'try' would boot, and print its store path
       firn os run NAME PROGRAM [ARGUMENT…]  run a program in a started system
       firn os list                          list the started systems
       firn os stop NAME                     shut one down

Options of 'try':
  --container          in a container (the default for root)
  --vm                 in a virtual machine with QEMU (the default for others)
  -p, --port H:G       forward the host's port H to the system's port G; may be repeated
  -n, --name NAME      the name for 'run' and 'stop' (default: trial)
      --also CONFIG    build this configuration too, to switch to; may be repeated
      --state FOLDER   keep the system's files there, and start from them if they exist
      --detach         come back once the system is up, and leave it running
      --memory MIB     memory of a virtual machine (default: 1024)
      --cores N        processors of a virtual machine (default: 2)

Without --state, everything that the system wrote is gone when it ends. With it, the folder holds a
container's files, or a virtual machine's disk ('disk.img', which takes the room that is used, at
most 16 GiB). The next start with the same folder finds /etc, /home, /var and the generations as
they were, and boots the present generation; when CONFIGURATION has changed since, it becomes a new
generation and that is booted. A virtual machine's kernel is always that of CONFIGURATION.
";

/// Runs the command.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "the command's output")]
pub fn run(_: &str, args: Vec<OsString>) -> ExitCode {
    let args: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let result = match args.first().map(String::as_str) {
        Some("try") => trial::run(&args[1..]),
        Some("build") => trial::build_only(&args[1..]),
        Some("run") => machines::run(&args[1..]),
        Some("list") => machines::list(&args[1..]),
        Some("stop") => machines::stop(&args[1..]),
        Some("--help" | "-h" | "help") => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => Err(format!("'{other}' is not a subcommand of 'firn os'\n\n{HELP}")),
        None => Err(format!("no subcommand was given\n\n{HELP}")),
    };
    result.unwrap_or_else(|text| {
        eprintln!("error: {text}");
        ExitCode::FAILURE
    })
}
