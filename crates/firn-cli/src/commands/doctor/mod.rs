//! `firn doctor`: what is set up on this machine, what is not, and how to mend it.
//!
//! Here is how findings are shown; each check is in [`checks`], the trial build in [`trial`]. Nothing
//! here changes anything but a folder for temporary files.

mod checks;
mod trial;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use crate::common::legacy::{self, Common, Failure, Outcome, Taken};

const HELP: &str = "\
Usage: firn doctor [--json] [--no-build] [--option NAME VALUE] [--store STORE]

Says what is set up on this machine, what is not, and how to mend it: the configuration, the store,
builds in a sandbox, programs that other commands need, and the user's shell. A tiny derivation is
built in a temporary store, unless '--no-build' is given. Nothing is downloaded or changed.

The exit status is 1 if something does not work.
";

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is as it should be.
    Good,
    /// Something that some will want is not there.
    Note,
    /// Something does not work.
    Bad,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "problem",
        }
    }
}

/// What a check found.
#[derive(Debug)]
pub struct Finding {
    /// What was looked at.
    pub about: &'static str,
    /// How it is.
    pub state: State,
    /// What was found, in a line.
    pub says: String,
    /// What to do, one line each.
    pub mend: Vec<String>,
}

impl Finding {
    /// All is well.
    pub fn good(about: &'static str, says: impl Into<String>) -> Self {
        Self { about, state: State::Good, says: says.into(), mend: Vec::new() }
    }

    /// Something could be better.
    pub fn note(about: &'static str, says: impl Into<String>) -> Self {
        Self { state: State::Note, ..Self::good(about, says) }
    }

    /// Something does not work.
    pub fn bad(about: &'static str, says: impl Into<String>) -> Self {
        Self { state: State::Bad, ..Self::good(about, says) }
    }

    /// What to do about it.
    pub fn mend(mut self, line: impl Into<String>) -> Self {
        self.mend.push(line.into());
        self
    }
}

/// Runs the command.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("firn", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let (mut as_json, mut build, mut help) = (false, true, false);
    // A configuration that cannot be read is a finding, not the end.
    let parsed = Common::parse("firn", args, |_, arg, _| {
        match arg {
            "--json" => as_json = true,
            "--no-build" => build = false,
            "--help" | "-h" => help = true,
            _ => return Ok(Taken::No),
        }
        Ok(Taken::Yes)
    });
    if help {
        return Ok(out.write_all(HELP.as_bytes())?);
    }
    let findings = match parsed {
        Ok(common) => checks::all(&common, build),
        Err(failure) if checks::configuration_is_readable() => return Err(failure),
        Err(failure) => vec![checks::broken_configuration(failure.text())],
    };
    if as_json {
        print_json(&findings, out)?;
    } else {
        print(&findings, out)?;
    }
    if findings.iter().any(|f| f.state == State::Bad) { Err(Failure::Exit(1)) } else { Ok(()) }
}

fn print(findings: &[Finding], out: &mut dyn Write) -> Outcome {
    for finding in findings {
        writeln!(out, "{:<8} {}: {}", finding.state.word(), finding.about, finding.says)?;
        for line in &finding.mend {
            writeln!(out, "         → {line}")?;
        }
    }
    let count = |state| findings.iter().filter(|f| f.state == state).count();
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let last = match (count(State::Bad), count(State::Note)) {
        (0, 0) => "All is well.".to_owned(),
        (0, notes) => format!("All works; {}.", plural(notes, "note")),
        (bad, 0) => format!("{}.", plural(bad, "problem")),
        (bad, notes) => format!("{}, {}.", plural(bad, "problem"), plural(notes, "note")),
    };
    Ok(writeln!(out, "\n{last}")?)
}

fn print_json(findings: &[Finding], out: &mut dyn Write) -> Outcome {
    let list: Vec<_> = findings
        .iter()
        .map(|f| json!({"about": f.about, "state": f.state.word(), "says": f.says, "mend": f.mend}))
        .collect();
    let text = serde_json::to_string_pretty(&list)
        .map_err(|e| Failure::Message(format!("writing JSON: {e}")))?;
    Ok(writeln!(out, "{text}")?)
}
