//! Inputs that a builder gets while it runs (`recursive-nix`): mounts in a sandbox that stands already.
//!
//! The builder's own mount namespace no longer has the host in it, so nothing of the host can be mounted there. The
//! guard keeps the namespace that the sandbox was set up in, from before the host was taken away: its directory of
//! late inputs is shared with the builder's, so what is mounted there appears in both. Entering it takes a process of
//! its own. Which paths may be added is decided by whoever asks.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::kernel::{self, check};
use super::protocol::{Kind, receive, send};
use super::spec::Namespaces;

/// What is to appear in the directory of late inputs.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    /// What it is on the host.
    source: PathBuf,
    /// Its name in that directory.
    name: String,
}

/// Adds inputs to a sandbox whose builder runs.
#[derive(Debug)]
pub struct LateInputs(Mutex<UnixStream>);

impl LateInputs {
    /// This and the end that the guard is given.
    ///
    /// # Errors
    /// When no sockets can be made.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(Mutex::new(ours)), theirs.into()))
    }

    /// Makes `source`, which cannot be written there, appear under `name`. What was there from the start stays.
    ///
    /// # Errors
    /// When something else is there, when it cannot be mounted, or when the sandbox is gone.
    pub fn add(&self, source: &Path, name: &str) -> io::Result<()> {
        let mut socket = self.0.lock();
        let request = Request { source: source.to_owned(), name: name.to_owned() };
        let request = serde_json::to_vec(&request)?;
        let answer = send(&mut *socket, Kind::Mount, &request).and_then(|()| receive(&mut *socket));
        match answer {
            Ok(Some((Kind::Mounted, _))) => Ok(()),
            Ok(Some((Kind::Failed, why))) => {
                Err(io::Error::other(String::from_utf8_lossy(&why).into_owned()))
            }
            Ok(_) | Err(_) => Err(io::Error::other("the sandbox is gone")),
        }
    }
}

/// Hands a descriptor to the process at the other end.
pub(super) fn send_fd(socket: &UnixStream, fd: BorrowedFd<'_>) -> io::Result<()> {
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(b"F")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes what [`send_fd`] sent.
pub(super) fn receive_fd(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    ancillary
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        })
        .ok_or_else(|| io::Error::other("no descriptor came with the specification"))
}

/// The guard's side.
pub(super) struct Door {
    socket: UnixStream,
    /// The namespaces in which the sandbox is set up.
    user: Option<File>,
    mounts: File,
    /// The directory of late inputs, as the host has it.
    directory: OwnedFd,
    /// Its path there.
    path: PathBuf,
    /// What is mounted in it from the start.
    present: Vec<String>,
}

impl Door {
    /// For the sandbox of process `pid`, which must not have left the host's mounts yet.
    pub fn open(pid: libc::pid_t, namespaces: &Namespaces, socket: UnixStream) -> io::Result<Self> {
        let Some(inside) = &namespaces.late_inputs else {
            return Err(io::Error::other("the sandbox has no directory of late inputs"));
        };
        let path = namespaces.root.join(inside.strip_prefix("/").unwrap_or(inside));
        let namespace = |name: &str| File::open(format!("/proc/{pid}/ns/{name}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty())?;
        let name = |target: &Path| Some(target.strip_prefix(inside).ok()?.to_str()?.to_owned());
        Ok(Self {
            user: namespaces.map.is_some().then(|| namespace("user")).transpose()?,
            mounts: namespace("mnt")?,
            present: namespaces.mounts.iter().filter_map(|m| name(&m.target)).collect(),
            socket,
            directory,
            path,
        })
    }

    /// Answers a request. Gives `false` when there will be no more.
    pub fn serve(&mut self) -> io::Result<bool> {
        let Some((kind, contents)) = receive(&mut self.socket)? else { return Ok(false) };
        let done = match kind {
            Kind::Mount => serde_json::from_slice(&contents)
                .map_err(io::Error::from)
                .and_then(|request: Request| self.add(&request)),
            _ => Err(io::Error::other("this is not a request for an input")),
        };
        match done {
            Ok(()) => send(&mut self.socket, Kind::Mounted, b"")?,
            Err(error) => send(&mut self.socket, Kind::Failed, error.to_string().as_bytes())?,
        }
        Ok(true)
    }

    fn add(&self, Request { source, name }: &Request) -> io::Result<()> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(io::Error::other(format!("'{name}' is not the name of a file")));
        }
        if self.present.contains(name) {
            return Ok(());
        }
        // The builder may have changed the way there, so everything goes by the descriptor of the directory.
        let kind = fs::symlink_metadata(source)?.file_type();
        let made = if kind.is_symlink() {
            let target = fs::read_link(source)?;
            match rustix::fs::symlinkat(&target, &self.directory, name.as_str()) {
                Err(Errno::EXIST) => {
                    let there = rustix::fs::readlinkat(&self.directory, name.as_str(), Vec::new());
                    match there {
                        Ok(there) if there.as_bytes() == target.as_os_str().as_bytes() => Ok(()),
                        _ => Err(Errno::EXIST),
                    }
                }
                made => made,
            }
        } else if kind.is_dir() {
            rustix::fs::mkdirat(&self.directory, name.as_str(), Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::openat(&self.directory, name.as_str(), flags, mode).map(drop)
        };
        match made {
            Err(Errno::EXIST) => {
                return Err(io::Error::other(format!(
                    "store path '{name}' already exists in the sandbox"
                )));
            }
            made => made?,
        }
        if kind.is_symlink() {
            return Ok(());
        }
        let mounted = self.mount(source, name);
        if mounted.is_err() {
            let flags = if kind.is_dir() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            let _ = rustix::fs::unlinkat(&self.directory, name.as_str(), flags);
        }
        mounted
    }

    /// Mounts in the sandbox's first namespace, by a process that enters it.
    fn mount(&self, source: &Path, name: &str) -> io::Result<()> {
        let (mut answer, mut told) = io::pipe()?;
        // SAFETY: the guard has one thread.
        let pid = unsafe { kernel::clone_process(0)? };
        if pid == 0 {
            drop(answer);
            let code = match self.mount_inside(source, name) {
                Ok(()) => 0,
                Err(error) => {
                    let _ = told.write_all(error.to_string().as_bytes());
                    1
                }
            };
            // Nothing of the guard may run again in this process, such as its exit handlers.
            // SAFETY: it does not return.
            unsafe { libc::_exit(code) };
        }
        drop(told);
        let mut why = String::new();
        let read = answer.read_to_string(&mut why);
        match kernel::wait(pid)? {
            0 => Ok(()),
            _ => Err(read.err().unwrap_or_else(|| io::Error::other(why))),
        }
    }

    fn mount_inside(&self, source: &Path, name: &str) -> io::Result<()> {
        if let Some(user) = &self.user {
            enter(user.as_fd(), libc::CLONE_NEWUSER)?;
        }
        enter(self.mounts.as_fd(), libc::CLONE_NEWNS)?;
        let tree = kernel::clone_tree(source, true)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::open(self.path.join(name), flags, Mode::empty())?;
        kernel::attach_tree_at(&tree, &target)
    }
}

impl AsRawFd for Door {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

fn enter(namespace: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::setns(namespace.as_raw_fd(), kind) }.into()).map(drop)
}

/// In process 1: lets what is mounted in `directory` later appear in namespaces that are made from this one.
pub(super) fn share(directory: &Path) -> io::Result<()> {
    kernel::bind(directory, directory, false)?;
    kernel::mount("none", directory, "", libc::MS_SHARED, "")
}

/// In process 1, when all mounts are there: goes on in a copy of this namespace, which the guard has hold of.
pub(super) fn leave_setup() -> io::Result<()> {
    // SAFETY: no memory is passed; this process has one thread.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into()).map(drop)
}
