//! Making a running system match a toplevel: `/etc`, users and groups, scripts, `/run/current-system`.

pub mod etc;
pub mod users;

use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use firn_event::{Level, Logger};

use crate::manifest::{Manifest, Script};
use crate::{Error, IoContext as _, Result};

/// Where the parts of the system are; all are below `root` so that tests need no real one.
#[derive(Debug, Clone)]
pub struct Roots {
    /// The root folder, `/` but in tests.
    pub root: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { root: PathBuf::from("/") }
    }
}

impl Roots {
    /// The path `inside` below the root.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }
}

/// Holds the lock that two switches cannot have at once.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "it is held, not read")] File);

/// Takes the lock of switches, without waiting.
///
/// # Errors
/// If another process holds it.
pub fn lock(roots: &Roots) -> Result<Lock> {
    let folder = roots.path("run/firn");
    fs::create_dir_all(&folder).at("create", &folder)?;
    let path = folder.join("switch.lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .at("open", &path)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Error::Busy(path))?;
    Ok(Lock(file))
}

/// Activates `toplevel`: `/etc`, users, scripts, host name and `/run/current-system`.
///
/// A step that fails does not keep later ones from running, since half a system is worse than most of
/// one; all failures come back together.
///
/// Scripts find `action` in `NIXOS_ACTION`; at boot there is none.
///
/// # Errors
/// If the toplevel has no manifest, or any step failed.
pub fn activate(
    roots: &Roots,
    toplevel: &Path,
    action: Option<&str>,
    logger: &Logger,
) -> Result<()> {
    let manifest = Manifest::read(toplevel)?;
    let mut failures: Vec<String> = Vec::new();
    let mut step = |result: Result<()>| {
        if let Err(e) = result {
            logger.message(Level::Error, e.to_string());
            failures.push(e.to_string());
        }
    };
    step(base_folders(roots));
    let accounts = users::apply(roots, &manifest, logger);
    step(accounts.map(drop));
    step(etc::apply(roots, &manifest.etc, toplevel, logger));
    if let Some(name) = manifest.host_name.as_deref().filter(|n| !n.is_empty())
        && roots.root == Path::new("/")
    {
        step(rustix::system::sethostname(name.as_bytes()).at("set the host name in", "/proc"));
    }
    step(replace_link(toplevel, &roots.path("run/current-system")));
    for script in &manifest.scripts {
        step(run_script(script, toplevel, action));
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::Other(format!(
            "activation of '{}' had {} failure(s):\n{}",
            toplevel.display(),
            failures.len(),
            failures.join("\n")
        )))
    }
}

/// The folders that every system has.
fn base_folders(roots: &Roots) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let list = [
        ("etc", 0o755),
        ("home", 0o755),
        ("root", 0o700),
        ("run", 0o755),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("bin", 0o755),
        ("var", 0o755),
        ("var/cache", 0o755),
        ("var/empty", 0o555),
        ("var/lib", 0o755),
        ("var/log", 0o755),
        ("var/spool", 0o755),
        ("var/tmp", 0o1777),
    ];
    for (name, mode) in list {
        let path = roots.path(name);
        if !path.exists() {
            fs::create_dir_all(&path).at("create", &path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
                .at("set the mode of", &path)?;
        }
    }
    let run = roots.path("var/run");
    if fs::symlink_metadata(&run).is_err() {
        symlink("/run", &run).at("create", &run)?;
    }
    Ok(())
}

/// Makes `link` point to `target`, in one step.
pub(crate) fn replace_link(target: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|t| t == target) {
        return Ok(());
    }
    let folder = link.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).at("create", folder)?;
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.firn-new"));
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).at("remove", &temporary);
        }
        _ => {}
    }
    symlink(target, &temporary).at("create", &temporary)?;
    fs::rename(&temporary, link).at("replace", link)
}

/// Runs those activation scripts that can say what they would do.
///
/// # Errors
/// If one cannot be run or fails; those after it have not run then.
pub fn dry_run_scripts(manifest: &Manifest, toplevel: &Path) -> Result<()> {
    let mut able = manifest.scripts.iter().filter(|s| s.supports_dry_activation);
    able.try_for_each(|script| run_script(script, toplevel, Some("dry-activate")))
}

fn run_script(script: &Script, toplevel: &Path, action: Option<&str>) -> Result<()> {
    let program = format!("activation script {}", script.name);
    let mut command = Command::new(&script.path);
    match action {
        Some(action) => command.env("NIXOS_ACTION", action),
        None => command.env_remove("NIXOS_ACTION"),
    };
    let status = command
        .env("PATH", format!("{0}/sw/bin:{0}/sw/sbin", toplevel.display()))
        .env("systemConfig", toplevel)
        .status()
        .map_err(|source| Error::Run { program: program.clone(), source })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { program, status: status.to_string(), stderr: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn scripts_know_the_action_and_only_able_ones_run_dry() {
        let dir = tempfile::tempdir().unwrap();
        let said = dir.path().join("said");
        let mut scripts = String::new();
        for (name, able) in [("able", true), ("other", false)] {
            let path = dir.path().join(name);
            let text =
                format!("#!/bin/sh\necho {name} ${{NIXOS_ACTION-none}} >> {}\n", said.display());
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let separator = if scripts.is_empty() { "" } else { "," };
            scripts += &format!(
                r#"{separator}{{"name":"{name}","path":"{}","supportsDryActivation":{able}}}"#,
                path.display()
            );
        }
        let toplevel = dir.path().join("toplevel");
        fs::create_dir(&toplevel).unwrap();
        let text = format!(r#"{{"version":1,"scripts":[{scripts}]}}"#);
        fs::write(toplevel.join("activation.json"), text).unwrap();

        dry_run_scripts(&Manifest::read(&toplevel).unwrap(), &toplevel).unwrap();
        assert_eq!(fs::read_to_string(&said).unwrap(), "able dry-activate\n");
        fs::remove_file(&said).unwrap();

        let roots = Roots { root: dir.path().join("root") };
        fs::create_dir(&roots.root).unwrap();
        activate(&roots, &toplevel, Some("test"), &Logger::silent()).unwrap();
        activate(&roots, &toplevel, None, &Logger::silent()).unwrap();
        let all = "able test\nother test\nable none\nother none\n";
        assert_eq!(fs::read_to_string(&said).unwrap(), all);
    }
}
