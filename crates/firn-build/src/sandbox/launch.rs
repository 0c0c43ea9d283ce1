//! The launching side: starts the guard, hands it the specification, and kills through it.

use std::ffi::OsString;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::late::send_fd;
use super::protocol::{Kind, receive, send};
use super::spec::Spec;
use super::{CpuTimes, Support};

/// How to start the guard.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Default for Launcher {
    /// This program itself, with the argument `__sandbox-child`.
    fn default() -> Self {
        Self::new("/proc/self/exe", ["__sandbox-child"])
    }
}

/// How setting up ended.
#[derive(Debug)]
pub enum Started {
    /// The builder runs.
    Yes,
    /// It could not be set up; the reason.
    No(String),
}

/// How a builder ended: its wait status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// The guard was killed, so nobody knows.
    Lost,
}

impl Exit {
    /// As C++ Nix words it after "builder".
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Code(0) => "succeeded".into(),
            Self::Code(code) => format!("failed with exit code {code}"),
            Self::Signal(signal) => {
                format!("failed due to signal {signal} ({})", signal_name(signal))
            }
            Self::Lost => "was lost because its guard process was killed".into(),
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "Hangup",
        libc::SIGINT => "Interrupt",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGUSR1 => "User defined signal 1",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGUSR2 => "User defined signal 2",
        libc::SIGPIPE => "Broken pipe",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "File size limit exceeded",
        libc::SIGSYS => "Bad system call",
        _ => "Unknown signal",
    }
}

/// A guard and its builder. Dropping it kills both and waits for them.
#[derive(Debug)]
pub struct Running {
    guard: Child,
    socket: UnixStream,
    done: bool,
}

impl Launcher {
    /// Starts `program` with `args` as the guard; it must call [`super::child_main`].
    pub fn new(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self { program: program.into(), args: args.into_iter().map(Into::into).collect() }
    }

    fn spawn(&self, log: Stdio, log2: Stdio) -> io::Result<Running> {
        let (ours, theirs) = UnixStream::pair()?;
        let guard = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(log)
            .stderr(log2)
            .spawn()?;
        Ok(Running { guard, socket: ours, done: false })
    }

    /// Starts a builder; what it prints goes to `log`, the writing end of a pipe.
    ///
    /// # Errors
    /// When the guard cannot be started.
    pub fn start(&self, spec: &Spec, log: OwnedFd) -> io::Result<Running> {
        self.start_with(spec, log, None)
    }

    /// As [`Launcher::start`]. If the sandbox has a directory of late inputs, `requests` is the guard's end of
    /// [`super::LateInputs`], and must be there.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(
        &self,
        spec: &Spec,
        log: OwnedFd,
        requests: Option<OwnedFd>,
    ) -> io::Result<Running> {
        let grows = spec.namespaces.as_ref().is_some_and(|n| n.late_inputs.is_some());
        let second = log.try_clone()?;
        let mut running = self.spawn(log.into(), second.into())?;
        let spec = serde_json::to_vec(spec)?;
        send(&mut running.socket, Kind::Spec, &spec)?;
        match requests {
            Some(requests) if grows => send_fd(&running.socket, requests.as_fd())?,
            None if grows => {
                return Err(io::Error::other("nobody can ask for the sandbox's late inputs"));
            }
            _ => {}
        }
        Ok(running)
    }

    /// Tries what the kernel grants.
    pub(super) fn probe(&self) -> Support {
        let none = Support { namespaces: false, user_namespaces: false };
        let Ok(mut running) = self.spawn(Stdio::null(), Stdio::null()) else {
            return none;
        };
        if send(&mut running.socket, Kind::Probe, b"").is_err() {
            return none;
        }
        match receive(&mut running.socket) {
            Ok(Some((Kind::Support, answer))) if answer.len() == 2 => {
                Support { namespaces: answer[0] == 1, user_namespaces: answer[1] == 1 }
            }
            _ => none,
        }
    }
}

impl Running {
    /// Waits until the builder runs or setting it up has failed.
    ///
    /// # Errors
    /// When the guard cannot be heard any more.
    pub fn started(&mut self) -> io::Result<Started> {
        match receive(&mut self.socket)? {
            Some((Kind::Started, _)) => Ok(Started::Yes),
            Some((Kind::Failed, why)) => {
                Ok(Started::No(String::from_utf8_lossy(&why).into_owned()))
            }
            Some(_) | None => Ok(Started::No(
                "the process that sets up the sandbox ended without a reason".into(),
            )),
        }
    }

    /// Whether the builder ends within this time.
    pub fn ends_within(&self, time: Duration) -> bool {
        let millis = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let mut wait =
            libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer is to one entry, which outlives the call.
        unsafe { libc::poll(&raw mut wait, 1, millis) == 1 }
    }

    /// Has the builder, and everything that it started, killed. Returns at once.
    pub fn kill(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Waits until nothing of the builder is left. Its log must be read meanwhile.
    ///
    /// # Errors
    /// When the guard cannot be waited for.
    pub fn wait(self) -> io::Result<Exit> {
        Ok(self.wait_with_times()?.0)
    }

    /// As [`Running::wait`]; also gives the processor time of the builder's cgroup, if it had one of its own.
    ///
    /// # Errors
    /// As there, and when something of the builder could not be ended.
    pub fn wait_with_times(mut self) -> io::Result<(Exit, Option<CpuTimes>)> {
        let (mut exit, mut times, mut failed) = (Exit::Lost, None, None);
        while let Ok(Some((kind, contents))) = receive(&mut self.socket) {
            match kind {
                Kind::Failed => failed = Some(String::from_utf8_lossy(&contents).into_owned()),
                Kind::Exited => {
                    let Some((status, rest)) = contents.split_first_chunk() else { continue };
                    let status = i32::from_le_bytes(*status);
                    exit = if libc::WIFEXITED(status) {
                        Exit::Code(libc::WEXITSTATUS(status))
                    } else {
                        Exit::Signal(libc::WTERMSIG(status))
                    };
                    times = read_times(rest);
                }
                _ => {}
            }
        }
        self.done = true;
        self.guard.wait()?;
        match failed {
            Some(why) => Err(io::Error::other(why)),
            None => Ok((exit, times)),
        }
    }
}

fn read_times(bytes: &[u8]) -> Option<CpuTimes> {
    let (user, rest) = bytes.split_first_chunk()?;
    let (system, _) = rest.split_first_chunk()?;
    let time = |micros: &[u8; 8]| Duration::from_micros(u64::from_le_bytes(*micros));
    Some(CpuTimes { user: time(user), system: time(system) })
}

impl std::os::fd::AsRawFd for Running {
    /// Becomes readable when the builder has ended.
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.done {
            self.kill();
            let _ = self.guard.wait();
        }
    }
}
