//! One run: prepare, start, follow, collect, report.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firn_build::sandbox::{Exit, Launcher, Running, Started};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::furnish::{Furnished, furnish, staged};
use super::{OUTPUTS, OWN, Report, Task, VERSION, outputs, stamp};

/// How often is looked whether a limit is reached.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How long a builder may go on after it has closed its log.
const END_OF_BUILDER: Duration = Duration::from_secs(1);

/// Runs what the file `task` says. `stop` is set when the machine wants an end.
pub fn main(task: &Path, launcher: &Launcher, stop: &AtomicBool) -> ExitCode {
    let report = match std::env::current_dir() {
        Ok(base) => run(task, &base, launcher, stop).unwrap_or_else(|report| report),
        Err(e) => Report::Unable(format!("finding the folder of the action: {e}")),
    };
    let code = match &report {
        Report::Code(code) => u8::try_from(*code).unwrap_or(1),
        _ => 1,
    };
    // where nobody listens, the code is all there is
    let _ = writeln!(io::stderr(), "{}", report.line());
    ExitCode::from(code)
}

fn run(task: &Path, base: &Path, launcher: &Launcher, stop: &AtomicBool) -> Result<Report, Report> {
    let read = |e: &dyn std::fmt::Display| {
        Report::Unable(format!("reading what to do from '{}': {e}", task.display()))
    };
    let text = fs::read(task).map_err(|e| read(&e))?;
    let task: Task = serde_json::from_slice(&text).map_err(|e| read(&e))?;
    if task.version != VERSION {
        return Err(Report::Unable(format!(
            "this runner is of another version: it knows tasks of the form {VERSION}, not {}",
            task.version
        )));
    }
    let inputs = staged(&task, base);
    for input in &inputs {
        stamp::stamp(input).map_err(|e| {
            Report::Unable(format!("preparing the input '{}': {e}", input.display()))
        })?;
    }
    let outcome = build(&task, base, launcher, stop);
    // Whoever clears up may not be allowed to empty folders that cannot be written.
    for input in &inputs {
        stamp::release(input);
    }
    for left in ["sandbox", "build"] {
        let _ = firn_store::fs::delete_path(&base.join(OWN).join(left));
    }
    outcome
}

fn build(
    task: &Task,
    base: &Path,
    launcher: &Launcher,
    stop: &AtomicBool,
) -> Result<Report, Report> {
    let furnished = furnish(task, base, launcher).map_err(Report::Unable)?;
    let Furnished { spec, outputs: made } = furnished;
    let unable = |what: &str, e: io::Error| Report::Unable(format!("{what}: {e}"));
    let (log, builder_log) =
        firn_build::sandbox::open_log(None).map_err(|e| unable("making a pipe for the log", e))?;
    let mut running =
        launcher.start(&spec, builder_log).map_err(|e| unable("starting the guard", e))?;
    match running.started().map_err(|e| unable("waiting for the sandbox", e))? {
        Started::Yes => {}
        Started::No(why) => {
            return Err(Report::Unable(format!("setting up the build environment: {why}")));
        }
    }
    let watched = watch(task, &running, log, stop);
    match watched {
        Ok(true) => {}
        Ok(false) if running.ends_within(END_OF_BUILDER) => {}
        Ok(false) | Err(_) => running.kill(),
    }
    let exit = running.wait().map_err(|e| unable("waiting for the builder", e));
    watched?;
    match exit? {
        Exit::Code(0) => {}
        Exit::Code(code) => return Ok(Report::Code(code)),
        Exit::Signal(signal) => return Ok(Report::Signal(signal)),
        Exit::Lost => return Ok(Report::Lost),
    }
    let folder = base.join(OUTPUTS);
    fs::create_dir_all(&folder).map_err(|e| unable("making the folder of the outputs", e))?;
    outputs::collect(&made, &folder)?;
    Ok(Report::Code(0))
}

/// Passes the log on until the builder is gone, and keeps to the limits. Gives whether it was the builder that ended
/// first, not its log.
fn watch(task: &Task, running: &Running, mut log: File, stop: &AtomicBool) -> Result<bool, Report> {
    let begin = Instant::now();
    let mut last_output = begin;
    let mut size = 0_u64;
    let mut buffer = vec![0; 64 * 1024];
    let mut out = io::stdout();
    // SAFETY: the descriptor is open as long as `running` is.
    let guard = unsafe { std::os::fd::BorrowedFd::borrow_raw(running.as_raw_fd()) };
    loop {
        let (logged, ended) = {
            let mut fds = [
                PollFd::from_borrowed_fd(log.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(guard, PollFlags::IN),
            ];
            match poll(&mut fds, Some(&TICK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Report::Unable(format!("waiting for the builder: {e}"))),
            }
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if logged {
            match log.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    last_output = Instant::now();
                    size += read as u64;
                    // a log that nobody takes is no reason to fail
                    let _ = out.write_all(&buffer[..read]).and_then(|()| out.flush());
                    if task.max_log_size > 0 && size > task.max_log_size {
                        return Err(Report::LogTooLong);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // the end of a terminal
                Err(e) if e.raw_os_error() == Some(libc::EIO) => return Ok(false),
                Err(e) => return Err(Report::Unable(format!("reading the builder's log: {e}"))),
            }
        } else if ended {
            return Ok(true);
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Report::Unable("it was told to stop".into()));
        }
        let over = |seconds: u64, since: Instant| {
            seconds > 0 && since.elapsed() >= Duration::from_secs(seconds)
        };
        if over(task.max_silent_time, last_output) {
            return Err(Report::Silent);
        }
        if over(task.timeout, begin) {
            return Err(Report::TimedOut);
        }
    }
}
