//! Sockets whose paths may be longer than the system's addresses can be.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The longest path of a socket that fits into the system's addresses, in bytes.
const LONGEST_ADDRESS: usize = 107;

/// For paths that are too long: the folder (the name itself must fit beside `/proc/self/fd/N`), and a short path to the socket through it.
fn short_path(path: &Path) -> io::Result<Option<(File, PathBuf)>> {
    if path.as_os_str().as_bytes().len() <= LONGEST_ADDRESS {
        return Ok(None);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let folder = File::open(parent)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok(Some((folder, short)))
}

/// Makes a socket and listens at it.
///
/// # Errors
/// If it cannot be made, or something is there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match short_path(path)? {
        Some((_folder, short)) => UnixListener::bind(short),
        None => UnixListener::bind(path),
    }
}

/// Connects to a socket.
///
/// # Errors
/// If nobody listens there.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    match short_path(path)? {
        Some((_folder, short)) => UnixStream::connect(short),
        None => UnixStream::connect(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_are_reached_through_their_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("x".repeat(120)).join("y".repeat(60));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["z", &"z".repeat(80)] {
            let path = folder.join(name);
            assert_eq!(connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
            let _listener = bind(&path).unwrap();
            connect(&path).unwrap();
        }
    }
}
