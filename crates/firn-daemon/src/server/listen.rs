//! The daemon's sockets, and a process for each client.

use std::io;
use std::os::fd::{AsFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firn_event::{Level, Logger};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::trust::{AccessRules, Accounts, Peer, Trust};
use crate::error::{Error, Result};

/// The first descriptor that the system manager hands over.
const FIRST_INHERITED: RawFd = 3;

/// How many processes each user who is not trusted may have at a time: as many as nobody needs, but fewer than
/// would keep others out.
pub const MOST_CONNECTIONS: usize = 500;

/// How often ended processes are looked for.
const REAPING: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Makes a socket that everybody may connect to; one that is there already is replaced.
///
/// # Errors
/// If it cannot be made.
pub fn bind(path: &Path) -> Result<UnixListener> {
    bind_with_mode(path, 0o666)
}

/// As [`bind`], for its owner alone.
///
/// # Errors
/// If it cannot be made.
pub fn bind_private(path: &Path) -> Result<UnixListener> {
    bind_with_mode(path, 0o600)
}

fn bind_with_mode(path: &Path, mode: u32) -> Result<UnixListener> {
    let fail = |e: io::Error| {
        Error::Refused(format!(
            "cannot bind to socket '{}': {}",
            path.display(),
            firn_store::error::errno_text(&e)
        ))
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    let listener = firn_store::fs::socket::bind(path).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(fail)?;
    Ok(listener)
}

/// The sockets that the system manager has made for this process; `pid` and `count` are its variables `LISTEN_PID`
/// and `LISTEN_FDS`. `None` if it has made none.
///
/// # Errors
/// If the variables make no sense, or are meant for another process.
pub fn inherited(pid: Option<&str>, count: Option<&str>) -> Result<Option<Vec<UnixListener>>> {
    let Some(count) = count else { return Ok(None) };
    let right = pid.is_some_and(|pid| pid.parse() == Ok(std::process::id()));
    let count = count.parse::<RawFd>().ok().filter(|count| (1..=64).contains(count));
    let (true, Some(count)) = (right, count) else {
        return Err(Error::Refused("unexpected systemd environment variables".into()));
    };
    let mut listeners = Vec::new();
    for fd in FIRST_INHERITED..FIRST_INHERITED + count {
        // SAFETY: whoever started this process said that these descriptors are its, nothing else has taken them
        // since, as this is called once and at the start.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)
            .map_err(|e| Error::io("looking at an inherited socket")(e.into()))?;
        listeners.push(UnixListener::from(fd));
    }
    Ok(Some(listeners))
}

/// A client that has connected.
#[derive(Debug)]
pub struct Client {
    /// Who it is.
    pub peer: Peer,
    /// Its user's name.
    pub user: String,
    /// Whether it is trusted.
    pub trust: Trust,
}

/// How clients are let in.
pub struct Doorman<'a> {
    /// Who may connect.
    pub rules: AccessRules,
    /// What all clients are, whatever the rules say.
    pub forced: Option<Trust>,
    /// How many connections each user who is not trusted may have at a time: [`MOST_CONNECTIONS`].
    pub most_connections: usize,
    /// The program that serves a client, which has the connection as standard input and output.
    pub program: &'a dyn Fn(&Client) -> Command,
    /// Where it is told who connects.
    pub logger: Logger,
}

/// The processes that serve clients.
#[derive(Default)]
struct Workers(Vec<(u32, Child)>);

impl Workers {
    fn reap(&mut self) {
        self.0.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
    }

    fn of(&self, uid: u32) -> usize {
        self.0.iter().filter(|(owner, _)| *owner == uid).count()
    }
}

/// Lets clients in, for ever.
///
/// # Errors
/// If the sockets break.
pub fn serve(listeners: &[UnixListener], doorman: &Doorman<'_>) -> Result<()> {
    for listener in listeners {
        listener.set_nonblocking(true).map_err(Error::io("preparing a socket"))?;
    }
    let mut workers = Workers::default();
    loop {
        let mut fds: Vec<PollFd<'_>> =
            listeners.iter().map(|l| PollFd::from_borrowed_fd(l.as_fd(), PollFlags::IN)).collect();
        let timeout = (!workers.0.is_empty()).then_some(REAPING);
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::io("waiting for clients")(e.into())),
        }
        workers.reap();
        for listener in listeners {
            match listener.accept() {
                Ok((stream, _)) => {
                    if let Err(e) = let_in(stream, doorman, &mut workers) {
                        doorman.logger.message(Level::Error, e.to_string());
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if is_passing(&e) => {
                    doorman.logger.warn(format!("accepting a connection: {e}"));
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(e) => return Err(Error::io("accepting a connection")(e)),
            }
        }
    }
}

/// Whether the next client may have more luck.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
        || matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
        )
}

fn let_in(stream: UnixStream, doorman: &Doorman<'_>, workers: &mut Workers) -> Result<()> {
    stream.set_nonblocking(false).map_err(Error::io("preparing a connection"))?;
    let credentials = rustix::net::sockopt::socket_peercred(&stream)
        .map_err(|e| Error::io("asking for a client's credentials")(e.into()))?;
    let peer = Peer {
        pid: u32::try_from(credentials.pid.as_raw_nonzero().get()).unwrap_or(0),
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
    };
    let accounts = Accounts::of_host();
    let (trust, user) = match doorman.forced {
        Some(trust) => (trust, accounts.user(peer.uid)),
        None => doorman.rules.judge(peer, &accounts)?,
    };
    if trust == Trust::Untrusted && workers.of(peer.uid) >= doorman.most_connections {
        return Err(Error::Refused(format!(
            "user '{user}' has {} connections already; another is refused",
            doorman.most_connections
        )));
    }
    let suffix = if trust == Trust::Trusted { " (trusted)" } else { "" };
    doorman.logger.message(
        Level::Info,
        format!("accepted connection from pid {}, user {user}{suffix}", peer.pid),
    );
    let client = Client { peer, user, trust };
    let output = stream.try_clone().map_err(Error::io("preparing a connection"))?;
    let mut command = (doorman.program)(&client);
    // what stops the daemon does not stop what it does for clients
    command
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .stdout(Stdio::from(OwnedFd::from(output)))
        .process_group(0);
    let child = command.spawn().map_err(Error::io("starting a process for a client"))?;
    workers.0.push((peer.uid, child));
    Ok(())
}

/// Variables by which the system manager hands sockets over, for the process alone that it meant.
pub const ACTIVATION_VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn sockets_with_long_paths_work() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(120)).join("y".repeat(60));
        let listener = bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o666);
        let mut client = crate::client::connect_socket(&path).unwrap();
        client.write_all(b"x").unwrap();
        listener.accept().unwrap().0.read_exact(&mut [0]).unwrap();
        // another daemon takes its place
        bind(&path).unwrap();
    }

    /// Keeps messages.
    #[derive(Default)]
    struct Kept(std::sync::Mutex<Vec<String>>);

    impl firn_event::EventSink for Kept {
        fn event(&self, event: firn_event::Event) {
            if let firn_event::Event::Message { text, .. } = event {
                self.0.lock().unwrap().push(text);
            }
        }
    }

    impl Kept {
        /// A connection is closed a moment before it is told why.
        fn wait_for(&self, text: &str) {
            let begin = std::time::Instant::now();
            while !self.0.lock().unwrap().iter().any(|told| told.contains(text)) {
                assert!(begin.elapsed() < Duration::from_secs(20), "nobody said '{text}'");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Lets clients in at a socket, until the tests end; each is served by `cat`.
    fn serve_with(allowed: &str, most_connections: usize) -> (tempfile::TempDir, Arc<Kept>) {
        let dir = tempfile::tempdir().unwrap();
        let listener = bind(&dir.path().join("socket")).unwrap();
        let kept = Arc::new(Kept::default());
        let sink: Arc<dyn firn_event::EventSink> = kept.clone();
        let rules = AccessRules {
            trusted: vec![],
            allowed: vec![allowed.to_owned()],
            build_group: String::new(),
        };
        std::thread::spawn(move || {
            let doorman = Doorman {
                rules,
                forced: None,
                most_connections,
                program: &|_| Command::new("cat"),
                logger: Logger::new(sink),
            };
            serve(&[listener], &doorman).unwrap();
        });
        (dir, kept)
    }

    /// A connection that is served; `None` if it was closed.
    fn connect(dir: &Path) -> Option<UnixStream> {
        let mut stream = UnixStream::connect(dir.join("socket")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = [0; 1];
        // nobody reads what is sent to a connection that was closed
        stream.write_all(b"x").ok()?;
        match stream.read(&mut answer) {
            Ok(0) => None,
            Ok(_) => Some(stream),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => None,
            Err(e) => panic!("{e}"),
        }
    }

    #[test]
    fn who_is_not_allowed_is_not_let_in() {
        let (dir, kept) = serve_with("somebody-else", 10);
        assert!(connect(dir.path()).is_none());
        kept.wait_for("is not allowed to connect to the Nix daemon");
        let (dir, _) = serve_with("*", 10);
        assert!(connect(dir.path()).is_some());
    }

    #[test]
    fn one_user_cannot_take_all_connections() {
        let (dir, kept) = serve_with("*", 3);
        let mut open: Vec<UnixStream> = (0..3).map(|_| connect(dir.path()).unwrap()).collect();
        assert!(connect(dir.path()).is_none());
        kept.wait_for("has 3 connections already; another is refused");
        // and gets another once one of them has ended
        open.pop();
        let begin = std::time::Instant::now();
        while connect(dir.path()).is_none() {
            assert!(begin.elapsed() < Duration::from_secs(30), "a place does not become free");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn variables_for_others_are_refused() {
        assert!(inherited(None, None).unwrap().is_none());
        assert!(inherited(Some("1"), Some("1")).is_err());
        let own = std::process::id().to_string();
        for count in ["0", "-1", "x", "1000000"] {
            assert!(inherited(Some(&own), Some(count)).is_err());
        }
    }
}
