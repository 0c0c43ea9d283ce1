//! `nix-collect-garbage`: deletes old generations of all profiles and then what no root reaches.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use firn_event::{Level, Logger};
use firn_store::local::gc::{Action, GcOptions, GcResults};
use firn_store::profile::{self, Which};

use super::nix_store::{max_freed, print_freed};
use crate::common::legacy::{self, Common, Outcome, Taken, usage};
use crate::common::store::AnyStore;

/// Runs `nix-collect-garbage`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-collect-garbage", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut remove_old = false;
    let mut older_than: Option<String> = None;
    let mut dry_run = false;
    let mut options = GcOptions::default();
    let mut instead: Option<String> = None;
    let common = Common::parse("nix-collect-garbage", args, |_, arg, rest| {
        match arg {
            "--help" => instead = Some(HELP.to_owned()),
            "--version" => {
                let version = crate::common::NIX_VERSION;
                instead = Some(format!("nix-collect-garbage (Nix) {version}\n"));
            }
            "--delete-old" | "-d" => remove_old = true,
            "--delete-older-than" => {
                remove_old = true;
                older_than = Some(rest.value(arg)?);
            }
            "--dry-run" => dry_run = true,
            "--max-freed" => options.max_freed = Some(max_freed(&rest.value(arg)?)?),
            _ => return Ok(Taken::No),
        }
        Ok(Taken::Yes)
    })?;
    if let Some(text) = instead {
        return Ok(out.write_all(text.as_bytes())?);
    }
    if options.max_freed.is_some() && dry_run {
        return usage("options --max-freed and --dry-run cannot be combined");
    }
    let store = common.open_store()?;
    if remove_old {
        let which = match &older_than {
            Some(text) => Which::OlderThan(profile::older_than(text)?),
            None => Which::Old,
        };
        for dir in profile_folders(&common, &store)? {
            remove_generations(&dir, &which, dry_run, &common.logger())?;
        }
    }
    if dry_run {
        options.action = Action::ReturnDead;
    }
    let mut results = GcResults::default();
    let outcome = store.collect_garbage_into(&options, &mut results);
    if dry_run {
        writeln!(out, "{} store paths would be deleted", results.paths.len())?;
    } else {
        print_freed(out, &results)?;
    }
    Ok(outcome?)
}

/// The folders in which profiles are looked for.
fn profile_folders(common: &Common, store: &AnyStore) -> Outcome<BTreeSet<PathBuf>> {
    let layout = store.layout();
    let xdg = common.settings.bool("use-xdg-base-directories");
    let mut dirs = BTreeSet::from([layout.profiles_dir()]);
    dirs.insert(profile::profiles_dir(layout, &common.env)?);
    let default = profile::default_profile(layout, &common.env, xdg)?;
    dirs.extend(default.parent().map(Path::to_owned));
    Ok(dirs)
}

/// Removes generations of all profiles in and below a folder; folders that this user may not change
/// are left alone.
fn remove_generations(dir: &Path, which: &Which, dry_run: bool, logger: &Logger) -> Outcome {
    use rustix::fs::{Access, access};
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    let writable = access(dir, Access::WRITE_OK).is_ok();
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            remove_generations(&path, which, dry_run, logger)?;
        } else if kind.is_symlink() && writable {
            let Some(target) = firn_store::fs::read_link(&path)? else { continue };
            if target.to_string_lossy().contains("link") {
                logger.message(
                    Level::Info,
                    format!("removing old generations of profile {}", path.display()),
                );
                profile::delete(&path, which, dry_run, logger)?;
            }
        }
    }
    Ok(())
}

const HELP: &str = "\
Usage: nix-collect-garbage [-d | --delete-old] [--delete-older-than DAYSd] [--max-freed BYTES] [--dry-run]

Deletes the contents of the store that no root reaches; with -d also all old generations of all
profiles, which makes rolling back impossible.
";
