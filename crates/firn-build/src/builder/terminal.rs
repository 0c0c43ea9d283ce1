//! The pseudo terminal that builders write their logs to: programs write to one line by line, and as people read
//! it. Where there are none, a pipe does.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Opens a terminal that passes bytes on as they are. Gives the side to read and the builder's side; reading fails
/// with `EIO`, or ends, once nobody has the builder's side open. `owner` may open the builder's side again by name.
///
/// # Errors
/// If there is neither a terminal nor a pipe.
pub fn open(owner: Option<u32>) -> io::Result<(File, OwnedFd)> {
    terminal(owner).or_else(|_| {
        let (reader, writer) = io::pipe()?;
        Ok((File::from(OwnedFd::from(reader)), writer.into()))
    })
}

fn terminal(owner: Option<u32>) -> io::Result<(File, OwnedFd)> {
    let last = || Err(io::Error::last_os_error());
    let mut name = [0; 64];
    // SAFETY: the descriptors are owned as soon as they are made, and `name` is as long as it is said to be.
    let (reader, builder) = unsafe {
        let raw = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        if raw < 0 {
            return last();
        }
        let reader = OwnedFd::from_raw_fd(raw);
        if libc::grantpt(raw) != 0 || libc::unlockpt(raw) != 0 {
            return last();
        }
        if libc::ptsname_r(raw, name.as_mut_ptr(), name.len()) != 0 {
            return last();
        }
        let raw = libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        if raw < 0 {
            return last();
        }
        (reader, OwnedFd::from_raw_fd(raw))
    };
    raw_mode(&builder)?;
    if let Some(uid) = owner {
        std::os::unix::fs::fchown(&builder, Some(uid), None)?;
    }
    Ok((reader.into(), builder))
}

/// No line discipline: a builder's bytes are its log.
fn raw_mode(terminal: &OwnedFd) -> io::Result<()> {
    let fd = terminal.as_raw_fd();
    // SAFETY: all zeros is a value of this plain structure, which the calls fill and read.
    let done = unsafe {
        let mut attributes: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(fd, &raw mut attributes) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::cfmakeraw(&raw mut attributes);
        libc::tcsetattr(fd, libc::TCSANOW, &raw const attributes)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{IsTerminal, Read, Write};

    #[test]
    fn bytes_pass_as_they_are_until_the_other_side_is_closed() {
        let (mut reader, builder) = open(None).unwrap();
        let mut builder = File::from(builder);
        if !builder.is_terminal() {
            eprintln!("SKIPPED: this machine has no pseudo terminals");
            return;
        }
        builder.write_all(b"a\nb\r\x03\x04c").unwrap();
        drop(builder);
        let mut found = Vec::new();
        let mut buffer = [0; 100];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => found.extend_from_slice(&buffer[..read]),
                Err(e) => {
                    assert_eq!(e.raw_os_error(), Some(libc::EIO));
                    break;
                }
            }
        }
        assert_eq!(found, b"a\nb\r\x03\x04c");
    }
}
