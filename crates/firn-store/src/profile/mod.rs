//! Profiles: a link to the present generation `NAME-N-link`, each of which is a link into the store.
//!
//! Works on links only; which contents a profile has is the business of those who make them. Files
//! are those of C++ Nix (manual, "Profiles").

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use firn_event::{Level, Logger};
use firn_model::store_path::StorePath;

use crate::error::{Error, Result};
use crate::fs::lock::PathLocks;
use crate::fs::{create_dirs, read_link, replace_symlink};
use crate::layout::{Environment, StoreLayout};
use crate::store::Store;

/// A generation of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// Its link.
    pub path: PathBuf,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// The generations of a profile, and the number of the present one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generations {
    /// All, oldest first.
    pub all: Vec<Generation>,
    /// The present one, if the profile points to a generation.
    pub current: Option<u64>,
}

/// Which generations to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These; the present one may not be among them.
    Numbers(BTreeSet<u64>),
    /// All but the present one.
    Old,
    /// All but the present one and this many less one before it (`+N`).
    KeepNewest(u64),
    /// Those that had been replaced before this time, in seconds since 1970 (`Nd`).
    OlderThan(i64),
}

impl Which {
    /// Parses the arguments of `--delete-generations`: `old`, `+N`, `Nd`, or numbers.
    ///
    /// # Errors
    /// If they are nothing of that.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        match arguments {
            [one] if one == "old" => Ok(Self::Old),
            [one] if one.ends_with('d') => Ok(Self::OlderThan(older_than(one)?)),
            [one] if one.starts_with('+') => match one[1..].parse() {
                Ok(0) => Err(Error::Profile(
                    "Must keep at least one generation, otherwise the current one would be deleted"
                        .to_owned(),
                )),
                Ok(number) => Ok(Self::KeepNewest(number)),
                Err(_) => Err(invalid(one)),
            },
            numbers => numbers
                .iter()
                .map(|n| n.parse().map_err(|_| invalid(n)))
                .collect::<Result<_>>()
                .map(Self::Numbers),
        }
    }
}

fn invalid(text: &str) -> Error {
    Error::Profile(format!("invalid generation number '{text}'"))
}

/// The time that `Nd` means: N days ago, in seconds since 1970.
///
/// # Errors
/// If it is not of that form or less than a day.
pub fn older_than(text: &str) -> Result<i64> {
    let Some(days) = text.strip_suffix('d') else {
        return Err(Error::Profile(format!(
            "invalid number of days specifier '{text}', expected something like '14d'"
        )));
    };
    match days.parse::<i32>() {
        Ok(days) if days >= 1 => Ok(now() - i64::from(days) * 24 * 3600),
        _ => Err(Error::Profile(format!("invalid number of days specifier '{text}'"))),
    }
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX))
}

/// The number in `NAME-N-link`.
fn number_of(profile: &str, link: &str) -> Option<u64> {
    link.strip_prefix(profile)?.strip_prefix('-')?.split_once("-link")?.0.parse().ok()
}

fn name_of(profile: &Path) -> Result<&str> {
    profile.file_name().and_then(|n| n.to_str()).ok_or_else(|| {
        Error::Profile(format!("'{}' cannot be the name of a profile", profile.display()))
    })
}

fn link_of(profile: &Path, number: u64) -> PathBuf {
    let mut link = profile.as_os_str().to_owned();
    link.push(format!("-{number}-link"));
    PathBuf::from(link)
}

/// Finds the generations of a profile.
///
/// # Errors
/// If the folder that it is in cannot be read.
pub fn generations(profile: &Path) -> Result<Generations> {
    use std::os::unix::fs::MetadataExt as _;
    let name = name_of(profile)?;
    let dir = profile.parent().unwrap_or(Path::new("/"));
    let mut found = Generations::default();
    for entry in std::fs::read_dir(dir).map_err(Error::io("reading directory", dir))? {
        let entry = entry.map_err(Error::io("reading directory", dir))?;
        let Some(number) = entry.file_name().to_str().and_then(|n| number_of(name, n)) else {
            continue;
        };
        let path = entry.path();
        let meta = path.symlink_metadata().map_err(Error::io("getting status of", &path))?;
        found.all.push(Generation { number, path, created: meta.mtime() });
    }
    found.all.sort_by_key(|g| g.number);
    found.current =
        read_link(profile)?.and_then(|target| number_of(name, target.file_name()?.to_str()?));
    Ok(found)
}

/// Makes a new generation of `profile` with the contents `path`, unless the newest one has them
/// already. Gives its link; the profile does not point to it yet.
///
/// # Errors
/// If the link cannot be made.
pub fn create_generation(store: &dyn Store, profile: &Path, path: &StorePath) -> Result<PathBuf> {
    let last = generations(profile)?.all.pop();
    let printed = store.store_dir().print(path);
    if let Some(last) = &last
        && read_link(&last.path)?.as_deref() == Some(Path::new(&printed))
    {
        return Ok(last.path.clone());
    }
    let link = link_of(profile, last.map_or(0, |g| g.number) + 1);
    store.add_perm_root(path, &link)?;
    Ok(link)
}

/// Makes the profile point to a generation's link, in one step.
///
/// # Errors
/// If the link cannot be made.
pub fn switch_link(profile: &Path, target: &Path) -> Result<()> {
    // relative, so that the folder can be moved
    let target = match target.file_name() {
        Some(name) if target.parent() == profile.parent() => Path::new(name),
        _ => target,
    };
    replace_symlink(target, profile)
}

/// Makes a new generation and switches to it: what `--set` does. Gives the generation's link.
///
/// # Errors
/// If the links cannot be made.
pub fn set(store: &dyn Store, profile: &Path, path: &StorePath) -> Result<PathBuf> {
    if let Some(dir) = profile.parent() {
        create_dirs(dir)?;
    }
    let _lock = lock(profile)?;
    let generation = create_generation(store, profile, path)?;
    switch_link(profile, &generation)?;
    Ok(generation)
}

/// Switches to generation `to`, or to the one before the present one.
///
/// # Errors
/// If there is no such generation.
pub fn switch(profile: &Path, to: Option<u64>, dry_run: bool, logger: &Logger) -> Result<()> {
    let _lock = lock(profile)?;
    let found = generations(profile)?;
    let current = found.current.unwrap_or(0);
    let target = found.all.iter().rev().find(|g| match to {
        Some(number) => g.number == number,
        None => g.number < current,
    });
    let Some(target) = target else {
        return Err(Error::Profile(match to {
            Some(number) => format!("profile version {number} does not exist"),
            None => format!("no profile version older than the current ({current}) exists"),
        }));
    };
    logger.message(
        Level::Notice,
        format!("switching profile from version {current} to {}", target.number),
    );
    if dry_run {
        return Ok(());
    }
    switch_link(profile, &target.path)
}

/// Deletes generations; the present one is never deleted.
///
/// # Errors
/// If a link cannot be removed, or the present generation was asked for by number.
pub fn delete(profile: &Path, which: &Which, dry_run: bool, logger: &Logger) -> Result<()> {
    let _lock = lock(profile)?;
    let found = generations(profile)?;
    let current = found.current;
    let newest_first = || found.all.iter().rev();
    let doomed: Vec<&Generation> = match which {
        Which::Numbers(numbers) => {
            if current.is_some_and(|c| numbers.contains(&c)) {
                return Err(Error::Profile(format!(
                    "cannot delete current version of profile {profile:?}"
                )));
            }
            found.all.iter().filter(|g| numbers.contains(&g.number)).collect()
        }
        Which::Old => found.all.iter().filter(|g| Some(g.number) != current).collect(),
        Which::KeepNewest(count) => newest_first()
            .skip_while(|g| Some(g.number) != current)
            .skip(usize::try_from(*count).unwrap_or(usize::MAX))
            .collect(),
        // the first one that is older was still the present one at that time
        Which::OlderThan(time) => newest_first()
            .skip_while(|g| g.created >= *time)
            .skip(1)
            .filter(|g| Some(g.number) != current)
            .collect(),
    };
    for generation in doomed {
        let number = generation.number;
        if dry_run {
            logger.message(Level::Notice, format!("would remove profile version {number}"));
            continue;
        }
        logger.message(Level::Notice, format!("removing profile version {number}"));
        std::fs::remove_file(&generation.path)
            .map_err(Error::io("removing file", &generation.path))?;
    }
    Ok(())
}

/// Keeps others from changing the profile until the lock is dropped.
///
/// # Errors
/// If the lock cannot be had.
pub fn lock(profile: &Path) -> Result<PathLocks> {
    let mut lock = PathLocks::lock([profile])?;
    lock.set_removal(true);
    Ok(lock)
}

/// Where the user's profiles are: `STATE/profiles/per-user/root` for root, else in the user's state
/// folder. The folder is created.
///
/// # Errors
/// If it cannot be created or found.
pub fn profiles_dir(layout: &StoreLayout, env: &Environment) -> Result<PathBuf> {
    let dir = if env.is_root() {
        layout.profiles_dir().join("per-user/root")
    } else {
        env.state_dir()?.join("profiles")
    };
    create_dirs(&dir)?;
    Ok(dir)
}

/// The profile that `~/.nix-profile` (or, with XDG folders, `~/.local/state/nix/profile`) leads to;
/// the link is created if it is missing.
///
/// # Errors
/// If there is no home folder.
pub fn default_profile(layout: &StoreLayout, env: &Environment, xdg: bool) -> Result<PathBuf> {
    let link =
        if xdg { env.state_dir()?.join("profile") } else { env.home()?.join(".nix-profile") };
    let resolve = || -> Result<PathBuf> {
        if xdg && let Some(dir) = link.parent() {
            create_dirs(dir)?;
        }
        let profile = profiles_dir(layout, env)?.join("profile");
        if link.symlink_metadata().is_err() {
            replace_symlink(&profile, &link)?;
        }
        let global = layout.profiles_dir().join("default");
        if env.is_root() && global.symlink_metadata().is_err() {
            replace_symlink(&profile, &global)?;
        }
        let target = read_link(&link)?.unwrap_or(profile);
        let base = link.parent().unwrap_or(Path::new("/"));
        Ok(crate::layout::canonical(base.join(target).as_os_str()))
    };
    Ok(resolve().unwrap_or(link))
}
