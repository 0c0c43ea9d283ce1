//! Connections to other machines by the system's `ssh`.
//!
//! The host `localhost` without a user or a port is this machine, reached without `ssh`: the program is started
//! directly, as C++ Nix does.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use firn_event::Level;
use parking_lot::Mutex;

use crate::client::{Connect, Streams};
use crate::error::{Error, Result};

/// The longest line that `ssh` may say before the program starts, in bytes.
const MAX_LINE: usize = 8 * 1024;

/// A host: `[USER@]HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Whom to log in as.
    pub user: Option<String>,
    /// The host.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Authority {
    /// Parses it. What `ssh` would take for an option is refused.
    ///
    /// # Errors
    /// If it has no host, or user or host begin with `-`.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: String| Error::Refused(format!("invalid SSH authority: '{text}': {why}"));
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
            let (host, after) =
                inner.split_once(']').ok_or_else(|| bad("']' is missing".into()))?;
            (host, after.strip_prefix(':'))
        } else {
            match rest.split_once(':') {
                // an IPv6 address without brackets
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let port = match port {
            None | Some("") => None,
            Some(port) => Some(port.parse().map_err(|_| bad(format!("'{port}' is no port")))?),
        };
        if let Some(user) = &user {
            if user.is_empty() {
                return Err(bad("user name must not be empty".into()));
            }
            if user.starts_with('-') {
                return Err(bad(format!("user name '{user}' must not start with '-'")));
            }
        }
        if host.is_empty() {
            return Err(bad("host name must not be empty".into()));
        }
        if host.starts_with('-') {
            return Err(bad(format!("host name '{host}' must not start with '-'")));
        }
        Ok(Self { user, host: host.to_owned(), port })
    }

    /// `[USER@]HOST`
    fn login(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }

    fn is_this_machine(&self) -> bool {
        self.host == "localhost" && self.user.is_none() && self.port.is_none()
    }
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// Where to.
    pub authority: Authority,
    /// A file with the key to use (`ssh-key`).
    pub key: Option<PathBuf>,
    /// The host's public key (`base64-ssh-public-host-key`), not decoded.
    pub host_key: String,
    /// Compress what is sent.
    pub compress: bool,
    /// Share one connection among several.
    pub master: bool,
    /// Options from the environment (`NIX_SSHOPTS`).
    pub extra: Vec<String>,
    /// How much to tell.
    pub verbosity: Level,
    /// Where what `ssh` and the program say goes, instead of to standard error.
    pub log: Option<Arc<OwnedFd>>,
}

/// Splits a text into words as a shell does: white space, quotes and backslashes.
///
/// # Errors
/// If a quote is not closed.
pub fn split_words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err(unclosed(text)),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err(unclosed(text)),
                        },
                        Some(c) => word.push(c),
                        None => return Err(unclosed(text)),
                    }
                }
            }
            '\\' => {
                let c = chars.next().ok_or_else(|| unclosed(text))?;
                word.get_or_insert_default().push(c);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn unclosed(text: &str) -> Error {
    Error::Refused(format!("unterminated quote or backslash in '{text}'"))
}

/// Connects to a host by `ssh`, perhaps over one connection that is shared.
pub struct Ssh {
    options: SshOptions,
    folder: tempfile::TempDir,
    master: Mutex<Option<Child>>,
}

impl Drop for Ssh {
    fn drop(&mut self) {
        if let Some(mut master) = self.master.get_mut().take() {
            let _ = master.kill();
            let _ = master.wait();
        }
    }
}

impl Ssh {
    /// A way to a host; nothing is connected to yet.
    ///
    /// # Errors
    /// If the host key makes no sense, or no temporary folder can be made.
    pub fn new(options: SshOptions) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("nix")
            .tempdir()
            .map_err(Error::io("creating a temporary directory"))?;
        if !options.host_key.is_empty() {
            let host = &options.authority.host;
            let key = base64::engine::general_purpose::STANDARD
                .decode(options.host_key.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| {
                    Error::Refused(format!(
                        "while decoding ssh public host key for host '{host}': it is not in base-64"
                    ))
                })?;
            let line = format!("{host} {}\n", key.trim_end());
            std::fs::write(folder.path().join("host-key"), line)
                .map_err(Error::io("writing the host key"))?;
        }
        Ok(Self { options, folder, master: Mutex::new(None) })
    }

    /// The options that all calls of `ssh` have.
    fn common(&self) -> Vec<String> {
        let options = &self.options;
        let mut args = options.extra.clone();
        if let Some(key) = &options.key {
            args.extend(["-i".to_owned(), key.display().to_string()]);
        }
        if !options.host_key.is_empty() {
            let file = self.folder.path().join("host-key");
            args.push(format!("-oUserKnownHostsFile={}", file.display()));
        }
        if options.compress {
            args.push("-C".into());
        }
        if let Some(port) = options.authority.port {
            args.push(format!("-p{port}"));
        }
        // says that the connection is there, after any passwords were asked for
        args.extend(["-oPermitLocalCommand=yes".into(), "-oLocalCommand=echo started".into()]);
        args
    }

    fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        // the local command is run by the user's shell
        command.env("SHELL", "/bin/sh");
        command
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("ssh.sock")
    }

    fn master_runs(&self) -> bool {
        let mut command = self.ssh();
        command.args(["-O", "check"]).arg(self.options.authority.login());
        if self.options.master {
            command.arg("-S").arg(self.socket());
        }
        command
            .args(self.common())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn start_master(&self) -> Result<()> {
        let mut master = self.master.lock();
        if master.is_some() {
            return Ok(());
        }
        let mut command = self.ssh();
        command
            .arg(self.options.authority.login())
            .args(["-M", "-N", "-S"])
            .arg(self.socket())
            .args(self.verbose())
            .args(self.common())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("unable to execute 'ssh'"))?;
        let said = child.stdout.as_mut().map(first_line).unwrap_or_default();
        if said != "started" {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Refused(format!(
                "failed to start SSH master connection to '{}'",
                self.options.authority.host
            )));
        }
        *master = Some(child);
        Ok(())
    }

    fn verbose(&self) -> &'static [&'static str] {
        if self.options.verbosity >= Level::Chatty { &["-v"] } else { &[] }
    }

    /// Starts `program` on the host, with pipes to its standard input and output.
    ///
    /// # Errors
    /// If the host cannot be reached.
    pub fn start(&self, program: &[String]) -> Result<Streams> {
        let Some((name, args)) = program.split_first() else {
            return Err(Error::Refused("the setting 'remote-program' is empty".into()));
        };
        let here = self.options.authority.is_this_machine();
        let master = self.options.master && !here;
        if master {
            self.start_master()?;
        }
        let mut command = if here {
            let mut command = Command::new(name);
            command.args(args);
            command
        } else {
            let mut command = self.ssh();
            command.arg(self.options.authority.login()).arg("-x").args(self.common());
            if master {
                command.arg("-S").arg(self.socket());
            }
            command.args(self.verbose()).arg("--").args(program);
            command
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(log) = &self.options.log {
            let log = log.as_fd().try_clone_to_owned().map_err(Error::io("preparing a log"))?;
            command.stderr(log);
        }
        let what = if here { name.as_str() } else { "ssh" };
        let mut child = command.spawn().map_err(|e| {
            Error::Refused(format!(
                "unable to execute '{what}': {}",
                firn_store::error::errno_text(&e)
            ))
        })?;
        let (Some(stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Refused("the program has no standard input".into()));
        };
        let process = Process(child);
        // a connection that was there already says nothing
        if !here && !master && !self.master_runs() {
            let said = first_line(&mut stdout);
            if said != "started" {
                return Err(Error::Refused(format!(
                    "failed to start SSH connection to '{}'",
                    self.options.authority.host
                )));
            }
        }
        let stdin = Arc::new(Mutex::new(Some(stdin)));
        let closer = stdin.clone();
        Ok(Streams {
            reader: Box::new(File::from(OwnedFd::from(stdout))),
            writer: Box::new(Input(stdin)),
            close_write: Box::new(move || drop(closer.lock().take())),
            guard: Box::new(process),
        })
    }
}

/// The standard input of the program, which can be closed from elsewhere.
struct Input(Arc<Mutex<Option<ChildStdin>>>);

impl std::io::Write for Input {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        match &mut *self.0.lock() {
            Some(stdin) => stdin.write(data),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A process that is not needed any more when this goes: its input is closed by then, so that it ends by itself, but
/// for one that hangs.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        for _ in 0..100 {
            match self.0.try_wait() {
                Ok(None) => std::thread::sleep(std::time::Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line of a program's output, read byte by byte, since what follows is for others.
fn first_line(output: &mut impl std::io::Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_LINE {
        match output.read(&mut byte) {
            Ok(1) if byte[0] != b'\n' => line.push(byte[0]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    String::from_utf8_lossy(&line).into_owned()
}

/// Starts a certain program on a host.
pub struct SshProgram {
    /// The way to the host.
    pub ssh: Ssh,
    /// The program and its arguments.
    pub program: Vec<String>,
}

impl Connect for SshProgram {
    fn connect(&self) -> Result<Streams> {
        self.ssh.start(&self.program)
    }
}

/// The parameters of `ssh` and `ssh-ng` store addresses.
#[derive(Debug, Clone)]
pub struct SshStoreParams {
    /// How to connect.
    pub ssh: SshOptions,
    /// The program on the other side (`remote-program`).
    pub program: Vec<String>,
    /// The store that it opens there (`remote-store`); empty for its own choice.
    pub remote_store: String,
    /// How many connections there may be.
    pub max_connections: usize,
}

impl SshStoreParams {
    /// Takes what it knows out of `params`; `default_program` is the program if none is named. `extra` are options
    /// for `ssh` from the environment.
    ///
    /// # Errors
    /// If a parameter has a value that makes no sense.
    pub fn take(
        authority: &str,
        params: &mut BTreeMap<String, String>,
        default_program: &str,
        extra: &str,
        verbosity: Level,
    ) -> Result<Self> {
        let mut take = |name: &str| params.remove(name);
        let compress = match take("compress").as_deref() {
            None | Some("false" | "no" | "0") => false,
            Some("true" | "yes" | "1") => true,
            Some(other) => {
                return Err(Error::Refused(format!(
                    "Boolean setting 'compress' has invalid value '{other}'"
                )));
            }
        };
        let max_connections = match take("max-connections") {
            None => 1,
            Some(text) => text.parse().map_err(|_| {
                Error::Refused(format!("setting 'max-connections' has invalid value '{text}'"))
            })?,
        };
        let program = take("remote-program").unwrap_or_else(|| default_program.to_owned());
        let ssh = SshOptions {
            authority: Authority::parse(authority)?,
            key: take("ssh-key").filter(|k| !k.is_empty()).map(PathBuf::from),
            host_key: take("base64-ssh-public-host-key").unwrap_or_default(),
            compress,
            master: max_connections > 1,
            extra: split_words(extra).map_err(|e| {
                Error::Refused(format!("while splitting NIX_SSHOPTS '{extra}': {e}"))
            })?,
            verbosity,
            log: None,
        };
        Ok(Self {
            ssh,
            program: program.split_ascii_whitespace().map(str::to_owned).collect(),
            remote_store: take("remote-store").unwrap_or_default(),
            max_connections,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(authority: &str) -> SshOptions {
        let mut params = BTreeMap::new();
        SshStoreParams::take(authority, &mut params, "x", "", Level::Info).unwrap().ssh
    }

    #[test]
    fn authorities_are_parsed() {
        let parse = |text| Authority::parse(text).unwrap();
        assert_eq!(parse("host").login(), "host");
        let full = parse("me@host:22");
        assert_eq!((full.login(), full.port), ("me@host".to_owned(), Some(22)));
        assert_eq!(parse("[::1]:5").port, Some(5));
        assert_eq!(parse("::1").host, "::1");
        assert!(parse("localhost").is_this_machine());
        assert!(!parse("me@localhost").is_this_machine());
        assert!(!parse("localhost:22").is_this_machine());
    }

    #[test]
    fn what_ssh_takes_for_an_option_is_refused() {
        for text in ["-oProxyCommand=evil", "-l@host", "me@-host", "", "@host", "me@", "host:x"] {
            assert!(Authority::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_are_split_as_by_a_shell() {
        assert_eq!(
            split_words("a  'b c' \"d\\\"e\" f\\ g ''").unwrap(),
            ["a", "b c", "d\"e", "f g", ""]
        );
        assert!(split_words("'a").is_err());
        assert!(split_words("a\\").is_err());
    }

    #[test]
    fn programs_on_this_machine_are_started_without_ssh() {
        use std::io::Write as _;
        let ssh = Ssh::new(options("localhost")).unwrap();
        let mut streams = ssh.start(&["cat".to_owned()]).unwrap();
        streams.writer.write_all(b"hello").unwrap();
        (streams.close_write)();
        let mut said = String::new();
        streams.reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
        assert!(ssh.start(&["/no/such/program".to_owned()]).is_err());
    }

    #[test]
    fn host_keys_go_into_a_file_of_known_hosts() {
        let mut options = options("me@host:7");
        options.host_key = base64::engine::general_purpose::STANDARD.encode("ssh-ed25519 AAAA");
        options.compress = true;
        options.key = Some("/key".into());
        let ssh = Ssh::new(options).unwrap();
        let file = ssh.folder.path().join("host-key");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "host ssh-ed25519 AAAA\n");
        let args = ssh.common().join(" ");
        for part in ["-i /key", "-C", "-p7", "-oUserKnownHostsFile="] {
            assert!(args.contains(part), "{args}");
        }
        assert!(Ssh::new(SshOptions { host_key: "%%".into(), ..self::options("h") }).is_err());
    }
}
