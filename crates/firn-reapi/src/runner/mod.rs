//! The program that a cluster executes: it makes the builder's sandbox on the machine that it finds itself on, runs
//! the builder, and leaves the outputs for the cluster to collect.
//!
//! It starts in the folder in which the action's files are. Standard output becomes the builder's log; the last line
//! of standard error is a [`Report`], so that a failure of the builder is told from one of the machine. This end
//! knows no stores, no protocol and no network.

mod furnish;
mod outputs;
mod run;
mod stamp;

use std::collections::BTreeMap;
use std::path::PathBuf;

use firn_build::sandbox::spec::Bytes;
use serde::{Deserialize, Serialize};

pub use run::main;

/// The argument by which the program becomes the runner.
pub const COMMAND: &str = "__reapi-run";
/// The folder, below that in which the action runs, of all that is neither an input nor an output.
pub const OWN: &str = ".firn";
/// The folder of the outputs, there.
pub const OUTPUTS: &str = "outputs";

/// What the runner is told, as JSON in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The form of this file, for runners of other versions.
    pub version: u32,
    /// The folder of the store as the builder sees it.
    pub store_dir: PathBuf,
    /// Names of paths in it that the builder may see. They are below the folder in which the action runs.
    pub inputs: Vec<String>,
    /// Names of outputs, and of paths in the store that the builder makes.
    pub outputs: BTreeMap<String, String>,
    /// Other things that the builder finds: where, and where they are below the folder in which the action runs.
    pub host_paths: BTreeMap<PathBuf, PathBuf>,
    /// The program.
    pub builder: Bytes,
    /// Its arguments, the name first.
    pub args: Vec<Bytes>,
    /// Its whole environment.
    pub env: Vec<(Bytes, Bytes)>,
    /// Whether to set the number of cores in it to that of this machine.
    pub own_cores: bool,
    /// Files in its working directory.
    pub files: BTreeMap<String, Bytes>,
    /// Its working directory.
    pub build_dir: PathBuf,
    /// What machine it believes to be on.
    pub system: String,
    /// The size of `/dev/shm`, as tmpfs takes it.
    pub shm_size: String,
    /// Install the system call filter.
    pub filter_syscalls: bool,
    /// Let set-id programs work.
    pub allow_new_privileges: bool,
    /// Claim to be Linux 2.6.
    pub impersonate_linux_26: bool,
    /// Let it use hardware virtualisation, if this machine has that.
    pub kvm: bool,
    /// How many seconds it may take; 0 for no limit.
    pub timeout: u64,
    /// How many seconds it may be silent; 0 for no limit.
    pub max_silent_time: u64,
    /// How long its log may be, in bytes; 0 for no limit.
    pub max_log_size: u64,
}

/// The form of [`Task`] that is written and understood here.
pub const VERSION: u32 = 1;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The builder ended with this code.
    Code(i32),
    /// A signal ended the builder.
    Signal(i32),
    /// Its guard was killed.
    Lost,
    /// It took too long.
    TimedOut,
    /// It was silent for too long.
    Silent,
    /// Its log became too long.
    LogTooLong,
    /// It made something that no store can hold; the reason.
    BadOutput(String),
    /// It made something that the protocol cannot say; the reason.
    Unfit(String),
    /// The machine could not run it; the reason.
    Unable(String),
}

/// What a report's line begins with.
const MARK: &str = "firn-runner: ";

impl Report {
    /// The line of the report.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{MARK}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// Finds the report in what was printed to standard error. Whatever ran the runner may have printed there, too.
    #[must_use]
    pub fn find(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let line = text.lines().rev().find_map(|line| line.strip_prefix(MARK))?;
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_found_between_other_lines() {
        for report in
            [Report::Code(3), Report::TimedOut, Report::Unable("no \"namespaces\"\nhere".into())]
        {
            let text = format!("worker: hello\n{}\nworker: bye\n", report.line());
            assert_eq!(Report::find(text.as_bytes()), Some(report));
        }
        assert_eq!(Report::find(b"firn-runner: {\"code\""), None);
        assert_eq!(Report::find(b"\xff"), None);
    }
}
