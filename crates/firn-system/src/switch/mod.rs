//! Switching a running system to another toplevel: which units to stop, start, restart and reload,
//! and doing it.
//!
//! [`unit`] reads unit files, [`plan`] decides from the old and the new ones and from what runs (the
//! rules and the `X-…` keys are those of the NixOS manual, "Unit handling"), and this file carries the
//! plan out with `systemctl`.

pub mod plan;
pub mod unit;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firn_event::{Level, Logger};

use crate::activate::{self, Roots};
use crate::{Error, Result};

pub use plan::{Active, Plan};

/// What to do with a toplevel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make it the boot default and activate it now.
    Switch,
    /// Make it the boot default only.
    Boot,
    /// Activate it now only.
    Test,
    /// Say what would be done.
    DryActivate,
}

impl Action {
    /// The word for it on command lines, which activation scripts find in `NIXOS_ACTION`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
            Self::DryActivate => "dry-activate",
        }
    }
}

impl std::str::FromStr for Action {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "switch" => Ok(Self::Switch),
            "boot" => Ok(Self::Boot),
            "test" => Ok(Self::Test),
            "dry-activate" => Ok(Self::DryActivate),
            _ => Err(Error::Other(format!(
                "unknown action '{s}': expected switch, boot, test or dry-activate"
            ))),
        }
    }
}

/// How a switch went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was done to the units.
    pub plan: Plan,
    /// Units that run now and did not before.
    pub new_units: Vec<String>,
    /// Units that are in the state failed.
    pub failed_units: Vec<String>,
    /// What went wrong before the units were started.
    pub problems: Vec<String>,
}

/// Activates `toplevel` on the running system, or says what that would do.
///
/// # Errors
/// If another switch is going on or the toplevel cannot be read. Units that fail are told in the
/// outcome, not as an error.
pub fn activate_now(
    roots: &Roots,
    toplevel: &Path,
    action: Action,
    logger: &Logger,
) -> Result<Outcome> {
    let _lock = activate::lock(roots)?;
    let manifest = crate::manifest::Manifest::read(toplevel)?;
    let systemctl = Systemctl::of(toplevel);
    let old_units = roots.path("etc/systemd/system");
    let new_units =
        manifest.unit_dir.clone().unwrap_or_else(|| toplevel.join("etc/etc/systemd/system"));
    let active = systemctl.active()?;
    let plan = plan::plan(&old_units, &new_units, &active);
    let mut outcome = Outcome { plan, ..Outcome::default() };
    if action == Action::DryActivate {
        if let Err(e) = activate::dry_run_scripts(&manifest, toplevel) {
            logger.message(Level::Error, e.to_string());
            outcome.problems.push(e.to_string());
        }
        for (verb, units) in outcome.plan.lines() {
            logger.message(
                Level::Notice,
                format!("would {verb} the following units: {}", units.join(", ")),
            );
        }
        return Ok(outcome);
    }
    let tell = |verb: &str, units: &[String]| {
        if !units.is_empty() {
            logger.message(
                Level::Notice,
                format!("{verb} the following units: {}", units.join(", ")),
            );
        }
    };
    let plan = outcome.plan.clone();
    tell("stopping", &plan.stop);
    if !plan.stop.is_empty() {
        // a unit that will not stop is seen below, as failed or as still there
        let _ = systemctl.run("stop", &plan.stop);
    }
    logger.message(Level::Notice, "activating the configuration...");
    if let Err(e) = activate::activate(roots, toplevel, Some(action.word()), logger) {
        outcome.problems.push(e.to_string());
    }
    let failed_before: Vec<String> = systemctl.failed().unwrap_or_default();
    let _ = systemctl.run("reset-failed", &[]);
    if let Err(e) = systemctl.run("daemon-reload", &[]) {
        outcome.problems.push(e.to_string());
    }
    // new tmpfiles rules, before the units that need them
    let _ = Command::new(toplevel.join("sw/bin/systemd-tmpfiles"))
        .args(["--create", "--remove", "--exclude-prefix=/dev"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    for (verb, telling, units) in [
        ("reload", "reloading", &plan.reload),
        ("restart", "restarting", &plan.restart),
        ("start", "starting", &plan.start),
    ] {
        let shown: Vec<String> =
            units.iter().filter(|u| !u.ends_with(".target")).cloned().collect();
        tell(telling, &shown);
        if units.is_empty() {
            continue;
        }
        if let Err(e) = systemctl.run(verb, units) {
            logger.message(Level::Warn, e.to_string());
        }
    }
    let after = systemctl.active()?;
    outcome.new_units = after
        .iter()
        .filter(|(name, state)| {
            state.state == "active"
                && !active.contains_key(*name)
                && !plan.start.contains(*name)
                && !plan.restart.contains(*name)
                && [".service", ".socket", ".timer", ".mount"].iter().any(|s| name.ends_with(s))
        })
        .map(|(name, _)| name.clone())
        .collect();
    if !outcome.new_units.is_empty() {
        logger.message(
            Level::Notice,
            format!("the following new units were started: {}", outcome.new_units.join(", ")),
        );
    }
    let failed_now = systemctl.failed().unwrap_or_default();
    outcome.failed_units =
        failed_now.into_iter().filter(|u| !failed_before.contains(u) || plan.touches(u)).collect();
    if !outcome.failed_units.is_empty() {
        logger.message(
            Level::Error,
            format!(
                "the following units failed: {}\nSee 'systemctl status {}' and 'journalctl -u {}'.",
                outcome.failed_units.join(", "),
                outcome.failed_units[0],
                outcome.failed_units[0]
            ),
        );
    }
    Ok(outcome)
}

/// Runs the system's own `systemctl`.
struct Systemctl {
    program: PathBuf,
}

impl Systemctl {
    fn of(toplevel: &Path) -> Self {
        let candidates =
            [toplevel.join("systemd/bin/systemctl"), toplevel.join("sw/bin/systemctl")];
        let found = candidates.into_iter().find(|p| p.exists());
        Self { program: found.unwrap_or_else(|| PathBuf::from("systemctl")) }
    }

    fn output(&self, args: &[&str]) -> Result<String> {
        let shown = format!("systemctl {}", args.join(" "));
        let output = Command::new(&self.program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Run { program: shown.clone(), source })?;
        if !output.status.success() {
            return Err(Error::Failed {
                program: shown,
                status: output.status.to_string(),
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn run(&self, verb: &str, units: &[String]) -> Result<()> {
        let mut args = vec![verb];
        if !units.is_empty() {
            args.push("--");
        }
        args.extend(units.iter().map(String::as_str));
        self.output(&args).map(drop)
    }

    fn active(&self) -> Result<plan::ActiveUnits> {
        let text = self.output(&["list-units", "--full", "--all", "--plain", "--no-legend"])?;
        Ok(text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (name, load, active, sub) =
                    (words.next()?, words.next()?, words.next()?, words.next()?);
                (load != "not-found"
                    && matches!(active, "active" | "activating" | "reloading" | "failed"))
                .then(|| {
                    (name.to_owned(), Active { state: active.to_owned(), sub: sub.to_owned() })
                })
            })
            .collect())
    }

    fn failed(&self) -> Result<Vec<String>> {
        Ok(self
            .active()?
            .into_iter()
            .filter(|(_, a)| a.state == "failed")
            .map(|(name, _)| name)
            .collect())
    }
}
