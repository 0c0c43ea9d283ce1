//! Noticing that a client is gone while something is done for it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};

/// Calls `gone` once the other end of `connection` is closed. The thread that waits for that ends with the process.
pub fn watch(connection: OwnedFd, gone: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        loop {
            // that the other end is closed is told without being asked for, data that comes is not
            let mut fds = [PollFd::from_borrowed_fd(connection.as_fd(), PollFlags::empty())];
            match poll(&mut fds, None) {
                Ok(_) => {
                    if fds[0]
                        .revents()
                        .intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
                    {
                        break;
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
        gone();
    });
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_closed_connection_is_noticed_and_data_is_not() {
        use std::io::Write as _;
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (tell, told) = channel();
        super::watch(ours.into(), move || tell.send(()).unwrap());
        theirs.write_all(b"x").unwrap();
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
        drop(theirs);
        told.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
