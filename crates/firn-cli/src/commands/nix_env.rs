//! `nix-env`, as far as it is about generations of profiles.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use firn_event::Level;
use firn_store::profile::{self, Which};

use crate::common::legacy::{self, Common, Outcome, Taken, absolute, fail, usage};
use crate::common::local_time;
use crate::common::store_paths::follow_links;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    ListGenerations,
    SwitchGeneration,
    Rollback,
    DeleteGenerations,
    SwitchProfile,
    Set,
}

/// Runs `nix-env`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-env", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut chosen: Option<Operation> = None;
    let mut profile: Option<String> = None;
    let mut dry_run = false;
    let mut arguments: Vec<String> = Vec::new();
    let mut flags: Vec<String> = Vec::new();
    let mut instead: Option<String> = None;
    let common = Common::parse("nix-env", args, |_, arg, rest| {
        let found = match arg {
            "--list-generations" => Operation::ListGenerations,
            "--switch-generation" | "-G" => Operation::SwitchGeneration,
            "--rollback" => Operation::Rollback,
            "--delete-generations" => Operation::DeleteGenerations,
            "--switch-profile" | "-S" => Operation::SwitchProfile,
            "--set" => Operation::Set,
            "--profile" | "-p" => {
                profile = Some(rest.value(arg)?);
                return Ok(Taken::Yes);
            }
            "--dry-run" => {
                dry_run = true;
                return Ok(Taken::Yes);
            }
            "--help" => {
                instead = Some(HELP.to_owned());
                return Ok(Taken::Yes);
            }
            "--version" => {
                instead = Some(format!("nix-env (Nix) {}\n", crate::common::NIX_VERSION));
                return Ok(Taken::Yes);
            }
            _ if arg.starts_with('-') => {
                flags.push(arg.to_owned());
                return Ok(Taken::Yes);
            }
            _ => {
                arguments.push(arg.to_owned());
                return Ok(Taken::Yes);
            }
        };
        if chosen.is_some_and(|c| c != found) {
            return usage("only one operation may be specified");
        }
        chosen = Some(found);
        Ok(Taken::Yes)
    })?;
    if let Some(text) = instead {
        return Ok(out.write_all(text.as_bytes())?);
    }
    let Some(chosen) = chosen else { return usage("no operation specified") };
    if let Some(flag) = flags.first() {
        return usage(format!("unknown flag '{flag}'"));
    }
    let logger = common.logger();
    if dry_run {
        logger.message(Level::Info, "(dry run; not doing anything)");
    }
    let no_arguments =
        || if arguments.is_empty() { Ok(()) } else { usage("no arguments expected") };
    let one = || match &arguments[..] {
        [one] => Ok(one),
        _ => usage("exactly one argument expected"),
    };
    match chosen {
        Operation::ListGenerations => {
            no_arguments()?;
            list(&profile_path(&common, profile.as_deref())?, out)
        }
        Operation::SwitchGeneration => {
            let Ok(number) = one()?.parse() else { return usage("expected a generation number") };
            let profile = profile_path(&common, profile.as_deref())?;
            Ok(profile::switch(&profile, Some(number), dry_run, &logger)?)
        }
        Operation::Rollback => {
            no_arguments()?;
            let profile = profile_path(&common, profile.as_deref())?;
            Ok(profile::switch(&profile, None, dry_run, &logger)?)
        }
        Operation::DeleteGenerations => {
            let which = Which::parse(&arguments).map_err(|e| match &e {
                firn_store::Error::Profile(text) if !text.starts_with("Must") => {
                    legacy::Failure::Usage(text.clone())
                }
                _ => e.into(),
            })?;
            let profile = profile_path(&common, profile.as_deref())?;
            Ok(profile::delete(&profile, &which, dry_run, &logger)?)
        }
        Operation::SwitchProfile => {
            let target = absolute(one()?)?;
            let link = if common.settings.bool("use-xdg-base-directories") {
                common.env.state_dir()?.join("profile")
            } else {
                common.env.home()?.join(".nix-profile")
            };
            Ok(profile::switch_link(&link, &target)?)
        }
        Operation::Set => set(&common, one()?, profile.as_deref()),
    }
}

fn set(common: &Common, argument: &str, profile: Option<&str>) -> Outcome {
    let store = common.open_store()?;
    let path = follow_links(&store, argument)?;
    let path = if path.is_derivation() {
        super::nix_store::realise_one(&store, common, &path)?
    } else {
        super::nix_store::ensure(&store, common, &path)?;
        path
    };
    profile::set(&store, &profile_path(common, profile)?, &path)?;
    Ok(())
}

/// The profile to work on: `-p`, `NIX_PROFILE`, or the user's own.
fn profile_path(common: &Common, given: Option<&str>) -> Outcome<PathBuf> {
    if let Some(profile) = given {
        return absolute(profile);
    }
    if let Some(profile) = common.env.nonempty("NIX_PROFILE") {
        return absolute(profile);
    }
    let store = common.open_store()?;
    let xdg = common.settings.bool("use-xdg-base-directories");
    Ok(profile::default_profile(store.layout(), &common.env, xdg)?)
}

fn list(profile: &std::path::Path, out: &mut dyn Write) -> Outcome {
    let _lock = profile::lock(profile)?;
    let found = profile::generations(profile)?;
    for generation in found.all {
        let Some(time) = local_time::format(generation.created) else {
            return fail("cannot convert time");
        };
        let current = if Some(generation.number) == found.current { "(current)" } else { "" };
        writeln!(out, "{:>4}   {time}   {current}", generation.number)?;
    }
    Ok(())
}

const HELP: &str = "\
Usage: nix-env [-p PROFILE] OPERATION [--dry-run]

Operations:
      --list-generations                  list the generations of the profile
      --delete-generations old|+N|Nd|N…   delete generations
  -G, --switch-generation N               make a generation the present one
      --rollback                          go back to the generation before the present one
  -S, --switch-profile PROFILE            make ~/.nix-profile lead to another profile
      --set PATH                          make a new generation with this store path
";
