//! The side that asks a build hook: starts the program, talks to it, and follows the build that it does.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firn_build::hook::{BuildHook, HookAnswer, HookRequest, RemoteBuild, RemoteEnd, RemoteOutput};
use firn_build::plain::message;
use firn_build::{Failure, FailureKind};
use firn_event::json::{Line, decode_line};
use firn_event::{Event, Level, Logger};
use firn_model::store_path::{StoreDir, StorePath};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::wire::WireWrite as _;

/// Where the hook writes the log of a build.
const LOG_FD: i32 = 4;
/// Where it can read that log before the build, to find out why a machine cannot be reached.
const LOG_READER_FD: i32 = 5;

/// How often is looked whether everything shall stop.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long a program that the hook has started may keep the log open after the hook has ended.
const END_OF_LOG: Duration = Duration::from_secs(1);

/// The longest line of a hook, in bytes.
const MAX_LINE: usize = 1 << 20;

/// A build hook. It is started when it is first needed.
pub struct Hook {
    command: Vec<String>,
    settings: Vec<(String, String)>,
    verbosity: Level,
    /// One that has declined or postponed, and can be asked again.
    idle: Mutex<Option<Instance>>,
    /// Whether it has said that it never will build anything.
    off: AtomicBool,
}

struct Instance {
    /// The address of the store that it builds for.
    store: String,
    child: Child,
    input: ChildStdin,
    said: Lines,
    log: File,
}

/// Lines of a program, as they come.
struct Lines {
    source: File,
    /// What has been read and is no whole line yet.
    pending: Vec<u8>,
}

fn broken(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(
        FailureKind::Misc,
        format!("{what} the build hook: {}", firn_store::error::errno_text(error)),
    )
}

impl Lines {
    /// Reads more; false at the end.
    fn fill(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.source.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(got) => {
                    self.pending.extend_from_slice(&buffer[..got]);
                    return Ok(true);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The next line that is there.
    fn take(&mut self) -> Option<String> {
        let end = match self.pending.iter().position(|b| *b == b'\n') {
            Some(end) => end,
            None if self.pending.len() > MAX_LINE => self.pending.len() - 1,
            None => return None,
        };
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Some(String::from_utf8_lossy(line).into_owned())
    }

    /// Waits for the next line; `None` at the end.
    fn wait(&mut self) -> std::io::Result<Option<String>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // one that has ended has no number any more
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // it may be waiting for a machine that does not answer
        let _ = rustix::process::kill_process_group(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Hook {
    /// A hook that is the program `command`, given these settings and that of the store.
    #[must_use]
    pub fn new(command: Vec<String>, settings: Vec<(String, String)>, verbosity: Level) -> Self {
        Self { command, settings, verbosity, idle: Mutex::new(None), off: AtomicBool::new(false) }
    }

    fn start(&self, store: String) -> std::io::Result<Instance> {
        let (program, args) = self
            .command
            .split_first()
            .ok_or_else(|| std::io::Error::other("the setting 'build-hook' is empty"))?;
        let (said, says) = std::io::pipe()?;
        let (log, logs) = std::io::pipe()?;
        let mut command = Command::new(program);
        command
            .args(args)
            .arg((self.verbosity as u8).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(says)
            .current_dir("/")
            .process_group(0);
        let (writer, reader) = (logs.as_raw_fd(), log.as_raw_fd());
        // The standard library's own pipe for starting programs must not have one of these numbers.
        let mut taken: Vec<OwnedFd> = Vec::new();
        while taken.last().is_none_or(|fd| fd.as_raw_fd() <= LOG_READER_FD) {
            taken.push(log.as_fd().try_clone_to_owned()?);
        }
        // so that neither is overwritten before it is copied
        let high = |fd: i32| -> std::io::Result<i32> {
            // SAFETY: `fd` is open, and the new descriptor is closed by exec or below.
            match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) } {
                -1 => Err(std::io::Error::last_os_error()),
                new => Ok(new),
            }
        };
        let (writer, reader) = (high(writer)?, high(reader)?);
        // SAFETY: only `dup2` is called between fork and exec, which is allowed there. The copies are not closed by
        // exec, unlike the originals.
        unsafe {
            command.pre_exec(move || {
                for (from, to) in [(writer, LOG_FD), (reader, LOG_READER_FD)] {
                    if libc::dup2(from, to) == -1 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        let child = command.spawn();
        for fd in [writer, reader] {
            // SAFETY: made above, and nobody else knows it.
            unsafe { libc::close(fd) };
        }
        // the copies of the pipe's ends that the program got
        drop(command);
        drop(logs);
        let mut child = child?;
        let input = child.stdin.take().ok_or_else(|| std::io::Error::other("no standard input"))?;
        let said = Lines { source: File::from(OwnedFd::from(said)), pending: Vec::new() };
        let log = File::from(OwnedFd::from(log));
        let mut instance = Instance { store, child, input, said, log };
        let mut message = Vec::new();
        let own = [("store".to_owned(), instance.store.clone())];
        for (name, value) in self.settings.iter().filter(|(name, _)| name != "store").chain(&own) {
            message.number(1)?;
            message.text(name)?;
            message.text(value)?;
        }
        message.number(0)?;
        instance.input.write_all(&message)?;
        Ok(instance)
    }
}

impl Instance {
    fn request(&mut self, request: &HookRequest<'_>) -> std::io::Result<()> {
        let mut message = Vec::new();
        message.text("try")?;
        message.bool(request.willing)?;
        message.text(request.system)?;
        message.text(&request.dir.print(request.drv_path))?;
        message.texts(request.features)?;
        self.input.write_all(&message)
    }
}

/// Shows a line that a hook says before it answers.
fn show(line: &str, logger: &Logger) {
    match decode_line(line) {
        Some(Line::Event(Event::Message { level, text })) => logger.event(message(level, &text)),
        // what it does until it answers is soon over
        Some(_) => {}
        None => logger.message(Level::Notice, line),
    }
}

impl BuildHook for Hook {
    fn ask(&self, request: &HookRequest<'_>, logger: &Logger) -> Result<HookAnswer, Failure> {
        if self.off.load(Ordering::Relaxed) {
            return Ok(HookAnswer::Decline);
        }
        let mut idle = self.idle.lock();
        let store = request.store.to_owned();
        let mut instance = match idle.take() {
            Some(instance) if instance.store == store => instance,
            _ => self.start(store).map_err(|e| broken("starting", &e))?,
        };
        let died = |instance: &mut Instance| {
            let mut text = String::new();
            while let Some(line) = instance.said.take() {
                text.push_str(&line);
                text.push('\n');
            }
            logger.message(
                Level::Error,
                format!("build hook died unexpectedly: {}", text.trim_end()),
            );
            Ok(HookAnswer::Decline)
        };
        if let Err(e) = instance.request(request) {
            if e.kind() == std::io::ErrorKind::BrokenPipe {
                let _ = instance.said.fill();
                return died(&mut instance);
            }
            return Err(broken("writing to", &e));
        }
        loop {
            let line = instance.said.wait().map_err(|e| broken("reading from", &e))?;
            let Some(line) = line else { return died(&mut instance) };
            let Some(answer) = line.strip_prefix("# ") else {
                show(&line, logger);
                continue;
            };
            return match answer {
                "decline" => {
                    *idle = Some(instance);
                    Ok(HookAnswer::Decline)
                }
                "decline-permanently" => {
                    self.off.store(true, Ordering::Relaxed);
                    Ok(HookAnswer::Decline)
                }
                "postpone" => {
                    *idle = Some(instance);
                    Ok(HookAnswer::Postpone)
                }
                "accept" => {
                    let machine = instance.said.wait().map_err(|e| broken("reading from", &e))?;
                    let Some(machine) = machine else { return died(&mut instance) };
                    let dir = request.dir.clone();
                    Ok(HookAnswer::Accept(Box::new(Accepted { instance, machine, dir })))
                }
                other => Err(Failure::new(FailureKind::Misc, format!("bad hook reply '{other}'"))),
            };
        }
    }
}

/// A build that the hook does.
struct Accepted {
    instance: Instance,
    machine: String,
    dir: StoreDir,
}

impl RemoteBuild for Accepted {
    fn machine(&self) -> &str {
        &self.machine
    }

    fn run(
        self: Box<Self>,
        inputs: &BTreeSet<StorePath>,
        outputs: &BTreeSet<String>,
        hear: &mut dyn FnMut(RemoteOutput<'_>) -> Result<(), Failure>,
    ) -> Result<RemoteEnd, Failure> {
        let Self { mut instance, dir, .. } = *self;
        let paths: Vec<String> = inputs.iter().map(|path| dir.print(path)).collect();
        let mut message = Vec::new();
        message
            .texts(&paths)
            .and_then(|()| message.texts(outputs))
            .and_then(|()| instance.input.write_all(&message))
            .map_err(|e| broken("writing to", &e))?;
        follow(&mut instance, hear)?;
        let status = instance.child.wait().map_err(|e| broken("waiting for", &e))?;
        Ok(RemoteEnd { status: status.code() })
    }
}

/// Hands on what the hook says and what is logged until both end.
fn follow(
    instance: &mut Instance,
    hear: &mut dyn FnMut(RemoteOutput<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut saying, mut logging) = (true, true);
    let mut ended: Option<Instant> = None;
    let mut buffer = vec![0; 64 * 1024];
    while saying || logging {
        let mut fds = Vec::new();
        if saying {
            fds.push(PollFd::from_borrowed_fd(instance.said.source.as_fd(), PollFlags::IN));
        }
        if logging {
            fds.push(PollFd::from_borrowed_fd(instance.log.as_fd(), PollFlags::IN));
        }
        let ready = match poll(&mut fds, Some(&TICK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {
                fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<bool>>()
            }
            Err(e) => return Err(broken("waiting for", &e.into())),
        };
        drop(fds);
        let said = saying && ready.first() == Some(&true);
        let logged = logging && ready.last() == Some(&true);
        if said {
            saying = instance.said.fill().map_err(|e| broken("reading from", &e))?;
            while let Some(line) = instance.said.take() {
                hear(RemoteOutput::Line(&line))?;
            }
        }
        if logged {
            let got = instance.log.read(&mut buffer).map_err(|e| broken("reading from", &e))?;
            logging = got > 0;
            hear(RemoteOutput::Log(&buffer[..got]))?;
        }
        if !said && !logged {
            hear(RemoteOutput::Silence)?;
            // programs that it has started may outlive it
            if ended.is_none() && matches!(instance.child.try_wait(), Ok(Some(_))) {
                ended = Some(Instant::now());
            }
            if ended.is_some_and(|at| at.elapsed() > END_OF_LOG) {
                break;
            }
        }
    }
    if !instance.said.pending.is_empty() {
        let rest = String::from_utf8_lossy(&instance.said.pending).into_owned();
        hear(RemoteOutput::Line(&rest))?;
    }
    Ok(())
}
