//! Running `git`, and its errors.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a Git repository could not be read or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// `git` cannot be started.
    #[error("executing 'git': {0}; fetching Git repositories needs the program 'git' in PATH")]
    Start(std::io::Error),
    /// `git` ended with an error, which it printed.
    #[error("program 'git' failed with {status}{}", shown(.message))]
    Failed {
        /// How it ended.
        status: String,
        /// What it printed.
        message: String,
    },
    /// A remote repository could not be fetched.
    #[error("Failed to fetch git repository '{url}'")]
    Fetch {
        /// The repository, without credentials.
        url: String,
        /// What `git` printed.
        message: String,
    },
    /// A file of the repository or its copy cannot be read or written.
    #[error("{what} \"{}\": {source}", .path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The input is wrong, or asks for what cannot be had.
    #[error("{0}")]
    Input(String),
}

impl From<firn_model::input::InputError> for GitError {
    fn from(e: firn_model::input::InputError) -> GitError {
        GitError::Input(e.message)
    }
}

fn shown(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

pub(super) fn io(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> GitError + use<> {
    let path = path.to_owned();
    move |source| GitError::Io { what, path, source }
}

/// A repository, by the folder where it is.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    pub path: PathBuf,
    /// Whether the folder itself is the repository, and not a working tree with a `.git`.
    pub bare: bool,
}

impl Repository {
    /// A `git` command for this repository, not influenced by one that the caller works in.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = plain();
        command.arg("-C").arg(&self.path);
        if self.bare {
            command.arg("--git-dir=.");
        }
        command.args(args);
        command
    }

    /// What the command prints.
    pub fn output<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<u8>, GitError> {
        run(&mut self.command(args), None)
    }

    /// The only line that the command prints.
    pub fn line<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, GitError> {
        let out = self.output(args)?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    /// The commit that a name stands for, if there is one.
    pub fn commit(&self, name: &str) -> Option<String> {
        let spec = format!("{name}^{{commit}}");
        self.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &spec])
            .ok()
            .filter(|rev| !rev.is_empty())
    }
}

/// `git` without what the environment says of a repository.
pub(super) fn plain() -> Command {
    let mut command = Command::new("git");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
    ] {
        command.env_remove(name);
    }
    // Nothing that a repository's own configuration could start.
    command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    command.stdin(Stdio::null());
    command
}

/// Runs a command with an input and gives what it prints.
pub(super) fn run(command: &mut Command, input: Option<&[u8]>) -> Result<Vec<u8>, GitError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(GitError::Start)?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // If the program does not read all of it, its exit status says why.
            scope.spawn(move || stdin.write_all(input).ok());
        }
        child.wait_with_output()
    });
    let output = output.map_err(GitError::Start)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(GitError::Failed {
        status: match output.status.code() {
            Some(code) => format!("exit code {code}"),
            None => "a signal".to_owned(),
        },
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
