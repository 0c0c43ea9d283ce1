//! `nixos-version`: the version of the running system.

use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;

/// Runs the command.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the command's output")]
pub fn run(_: &str, args: Vec<OsString>) -> ExitCode {
    if args.iter().any(|arg| arg == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let file = "/run/current-system/nixos-version";
    let Ok(version) = fs::read_to_string(file) else {
        eprintln!("error: '{file}' cannot be read; this machine does not run a Firn system");
        return ExitCode::FAILURE;
    };
    let version = version.trim();
    match args.first().and_then(|a| a.to_str()) {
        None => println!("{version}"),
        Some("--json") => {
            let revision = fs::read_to_string("/run/current-system/configuration-revision").ok();
            let value = serde_json::json!({
                "nixosVersion": version,
                "configurationRevision": revision.as_deref().map(str::trim),
            });
            println!("{value}");
        }
        Some("--configuration-revision") => {
            match fs::read_to_string("/run/current-system/configuration-revision") {
                Ok(text) => println!("{}", text.trim()),
                Err(_) => {
                    eprintln!(
                        "error: this configuration has no revision (system.configurationRevision)"
                    );
                    return ExitCode::FAILURE;
                }
            }
        }
        Some(other) => {
            eprintln!(
                "error: unknown option '{other}'; expected --json or --configuration-revision"
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

const HELP: &str = "Usage: nixos-version [--json | --configuration-revision]

Prints the version of the running system.

  --json                     its version and the revision of its configuration, as JSON
  --configuration-revision   the revision of its configuration alone";
