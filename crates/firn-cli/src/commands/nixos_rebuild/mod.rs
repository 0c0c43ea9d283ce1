//! `nixos-rebuild`: builds the system's configuration and makes it the running one, the boot default,
//! or both.

mod generations;
mod options;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use firn_store::layout::Environment;
use firn_store::{LocalStore, Store as _, StoreLayout, StoreOptions, profile};

use crate::common::simple_logger;
use options::{Action, Options};

/// Runs the command.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "the command's output")]
pub fn run(_: &str, args: Vec<OsString>) -> ExitCode {
    let args: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    if args.iter().any(|a| a == "--help" || a == "-h") {
        print!("{}", options::HELP);
        return ExitCode::SUCCESS;
    }
    match Options::parse(&args).and_then(|options| main(&options)) {
        Ok(code) => code,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "the command's output")]
fn main(options: &Options) -> Result<ExitCode, String> {
    let profile = options.profile();
    match options.action {
        Action::ListGenerations => return generations::list(&profile, options.json),
        Action::Edit => return edit(options),
        Action::Repl => return pass_on("nix", &["repl", "--file", "<nixpkgs/nixos>"], options),
        _ => {}
    }
    if options.rollback {
        return roll_back(options, &profile);
    }
    let attribute = match options.action {
        Action::BuildVm => "vm",
        _ => "system",
    };
    eprintln!("building the system configuration...");
    let result = build(options, attribute)?;
    let Some(result) = result else { return Ok(ExitCode::SUCCESS) };
    match options.action {
        Action::Build | Action::BuildVm | Action::DryBuild => {
            println!("{}", result.display());
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    if matches!(options.action, Action::Switch | Action::Boot) {
        let store = open()?;
        let path = store.store_dir().parse(&result.to_string_lossy()).map_err(|e| e.to_string())?;
        profile::set(&store, &profile, &path).map_err(|e| e.to_string())?;
    }
    activate(&result, options)
}

fn open() -> Result<LocalStore, String> {
    let (layout, _) = StoreLayout::detect(&Environment::current()).map_err(|e| e.to_string())?;
    LocalStore::open(layout, StoreOptions::default()).map_err(|e| e.to_string())
}

/// Runs one of this program's other commands with the options that were given for it.
fn command(name: &str, options: &Options) -> Result<Command, String> {
    let this =
        std::env::current_exe().map_err(|e| format!("cannot tell where this program is: {e}"))?;
    let mut command = Command::new(this);
    command.arg(name).args(&options.passed);
    Ok(command)
}

fn pass_on(name: &str, args: &[&str], options: &Options) -> Result<ExitCode, String> {
    let status = command(name, options)?
        .args(args)
        .status()
        .map_err(|e| format!("cannot run '{name}': {e}"))?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(255)).unwrap_or(255)))
}

/// Builds an attribute of the configuration; none if nothing was built because it was only asked what
/// would be.
fn build(options: &Options, attribute: &str) -> Result<Option<PathBuf>, String> {
    let mut command = command("nix-build", options)?;
    match (&options.file, &options.attribute) {
        (None, None) => command.args(["<nixpkgs/nixos>", "-A", attribute]),
        (file, prefix) => {
            let inner = match attribute {
                "vm" => "config.system.build.vm",
                _ => "config.system.build.toplevel",
            };
            let whole =
                prefix.as_ref().map_or_else(|| inner.to_owned(), |p| format!("{p}.{inner}"));
            command.arg(file.as_deref().unwrap_or(Path::new("default.nix"))).args(["-A", &whole])
        }
    };
    match options.action {
        Action::DryBuild => {
            command.arg("--dry-run");
        }
        Action::Build | Action::BuildVm => {}
        _ => {
            command.arg("--no-out-link");
        }
    }
    let output = command
        .stderr(Stdio::inherit())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run 'nix-build': {e}"))?;
    if !output.status.success() {
        return Err("the configuration could not be built; the running system is as it was".into());
    }
    if options.action == Action::DryBuild {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().ok_or("the build gave no store path")?;
    Ok(Some(PathBuf::from(line.trim())))
}

/// Runs the system's own `switch-to-configuration`.
fn activate(system: &Path, options: &Options) -> Result<ExitCode, String> {
    let system = match &options.specialisation {
        None => system.to_owned(),
        Some(name) => {
            let path = system.join("specialisation").join(name);
            if !path.exists() {
                return Err(format!("the configuration has no specialisation '{name}'"));
            }
            path
        }
    };
    let action = match options.action {
        Action::Switch => "switch",
        Action::Boot => "boot",
        Action::Test => "test",
        _ => "dry-activate",
    };
    let program = system.join("bin/switch-to-configuration");
    let status = Command::new(&program)
        .arg(action)
        .status()
        .map_err(|e| format!("cannot run '{}': {e}", program.display()))?;
    let code = u8::try_from(status.code().unwrap_or(255)).unwrap_or(255);
    if code != 0 && options.action != Action::DryActivate {
        return Err(format!(
            "switching to '{}' had failures (exit code {code}); 'nixos-rebuild switch --rollback' goes back",
            system.display()
        ));
    }
    Ok(ExitCode::from(code))
}

fn roll_back(options: &Options, profile: &Path) -> Result<ExitCode, String> {
    let found = profile::generations(profile).map_err(|e| e.to_string())?;
    let current = found.current.ok_or_else(|| {
        format!("'{}' has no present generation to go back from", profile.display())
    })?;
    let previous = found
        .all
        .iter()
        .rev()
        .find(|g| g.number < current)
        .ok_or_else(|| format!("there is no generation before {current} to go back to"))?;
    let target = std::fs::read_link(&previous.path)
        .map_err(|e| format!("cannot read '{}': {e}", previous.path.display()))?;
    if !target.join("activation.json").exists() {
        return Err(format!(
            "generation {} ('{}') is not in the store any more",
            previous.number,
            target.display()
        ));
    }
    match options.action {
        Action::Switch | Action::Boot => {
            let _store = open()?;
            profile::switch(profile, Some(previous.number), false, &simple_logger())
                .map_err(|e| e.to_string())?;
        }
        Action::Test | Action::DryActivate => {}
        _ => return Err("'--rollback' goes with switch, boot, test or dry-activate".into()),
    }
    activate(&target, options)
}

fn edit(options: &Options) -> Result<ExitCode, String> {
    let file =
        options.file.clone().unwrap_or_else(|| PathBuf::from("/etc/nixos/configuration.nix"));
    let editor = std::env::var("EDITOR").unwrap_or_else(|_| "nano".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("nano");
    let status = Command::new(program)
        .args(words)
        .arg(&file)
        .status()
        .map_err(|e| format!("cannot run the editor '{editor}' (from EDITOR): {e}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
