//! Joining this terminal to a guest's console.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::termios::{self, OptionalActions, Termios};

/// The key that ends a session when pressed three times within a second: Ctrl-].
const ESCAPE: u8 = 0x1d;

/// Puts the terminal back as it was.
struct Raw(Termios);

impl Raw {
    fn new() -> Option<Self> {
        let stdin = io::stdin();
        let before = termios::tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Copies the console to standard output, and the keyboard to the console if standard input is a
/// terminal, until `ended` says so or the escape is pressed.
pub fn attach(console: OwnedFd, mut ended: impl FnMut() -> bool) -> io::Result<()> {
    let raw = if termios::isatty(io::stdin()) { Raw::new() } else { None };
    if let Ok(size) = termios::tcgetwinsize(io::stdin()) {
        let _ = termios::tcsetwinsize(&console, size);
    }
    let quit = Arc::new(AtomicBool::new(false));
    if raw.is_some() {
        let mut to = File::from(console.try_clone()?);
        let quit = quit.clone();
        // the thread ends with the process: a read of the keyboard cannot be interrupted
        std::thread::spawn(move || {
            let mut presses: Vec<Instant> = Vec::new();
            let mut key = [0];
            while io::stdin().read_exact(&mut key).is_ok() {
                if key[0] == ESCAPE {
                    presses.retain(|p| p.elapsed() < Duration::from_secs(1));
                    presses.push(Instant::now());
                    if presses.len() == 3 {
                        quit.store(true, Ordering::Relaxed);
                        return;
                    }
                }
                if to.write_all(&key).is_err() {
                    return;
                }
            }
        });
    }
    let mut from = File::from(console);
    let mut out = io::stdout();
    let mut buffer = [0; 4096];
    while !quit.load(Ordering::Relaxed) {
        let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        let readable = {
            let mut fds = [rustix::event::PollFd::from_borrowed_fd(
                from.as_fd(),
                rustix::event::PollFlags::IN,
            )];
            matches!(rustix::event::poll(&mut fds, Some(&wait)), Ok(n) if n > 0)
        };
        if readable {
            match from.read(&mut buffer) {
                Ok(got) if got > 0 => {
                    out.write_all(&buffer[..got])?;
                    out.flush()?;
                    continue;
                }
                // nobody has the other side open just now, as between two getty processes
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        if ended() {
            break;
        }
    }
    drop(raw);
    Ok(())
}

/// Drains the console into a file, so that the guest never waits for it.
pub fn log_to(console: OwnedFd, mut file: File) {
    std::thread::spawn(move || {
        let mut from = File::from(console);
        let mut buffer = [0; 4096];
        loop {
            match from.read(&mut buffer) {
                Ok(got) if got > 0 => {
                    let _ = file.write_all(&buffer[..got]);
                }
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    });
}
