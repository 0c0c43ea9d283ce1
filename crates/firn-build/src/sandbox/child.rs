//! The guard, and what it runs in the new namespaces before the builder begins.
//!
//! This is a program of its own with one thread, so it may clone itself and go on in Rust.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::kernel::{self, check};
use super::protocol::{Kind, receive, send};
use super::spec::{Builder, IdMap, Namespaces, Spec};
use super::{cgroup, landlock, late, seccomp};

const MOUNT_FLAGS: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// Runs the guard: reads what to do from standard input, which is a socket, and does it. Returns
/// the exit code for the process.
#[must_use]
pub fn child_main() -> i32 {
    match guard() {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: the sandbox's guard process: {error}");
            1
        }
    }
}

fn guard() -> io::Result<()> {
    one_thread()?;
    let mut socket = take_socket()?;
    kernel::close_on_exec_from(3)?;
    // The terminal and its Ctrl-C are for whoever started the build.
    // SAFETY: no memory is passed. It fails only for a leader of a process group, which is fine.
    unsafe { libc::setsid() };
    match receive(&mut socket)? {
        None => Ok(()),
        Some((Kind::Probe, _)) => {
            let user = probe(true);
            let namespaces = user || (is_root() && probe(false));
            send(&mut socket, Kind::Support, &[namespaces.into(), user.into()])
        }
        Some((Kind::Spec, spec)) => {
            let spec: Spec = serde_json::from_slice(&spec)?;
            let grows = spec.namespaces.as_ref().is_some_and(|n| n.late_inputs.is_some());
            let requests =
                if grows { Some(UnixStream::from(late::receive_fd(&socket)?)) } else { None };
            let launched = launch(&spec, &socket, requests).and_then(|(pid, door)| {
                leave_log()?;
                watch(&spec, &socket, pid, door)
            });
            match launched {
                Ok(told) => send(&mut socket, Kind::Exited, &told),
                Err(error) => {
                    if let Some(cgroup) = &spec.cgroup {
                        let _ = cgroup::destroy(cgroup);
                    }
                    send(&mut socket, Kind::Failed, error.to_string().as_bytes())
                }
            }
        }
        Some(_) => Err(io::Error::other("got a message that is not for it")),
    }
}

fn one_thread() -> io::Result<()> {
    match fs::read_dir("/proc/self/task")?.count() {
        1 => Ok(()),
        n => Err(io::Error::other(format!("it has {n} threads where only one is safe"))),
    }
}

/// Moves the socket away from standard input, which becomes `/dev/null`.
fn take_socket() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    let socket: OwnedFd = stdin.as_fd().try_clone_to_owned()?;
    let null = fs::File::open("/dev/null")?;
    // SAFETY: both are open descriptors; 0 is not owned by any Rust value.
    check(unsafe { libc::dup2(null.as_raw_fd(), 0) }.into())?;
    Ok(UnixStream::from(socket))
}

/// Lets go of the builder's log, so that it ends when the builder closes it.
fn leave_log() -> io::Result<()> {
    let null = fs::File::options().write(true).open("/dev/null")?;
    for stream in [1, 2] {
        // SAFETY: both are open descriptors; no Rust value owns the standard streams.
        check(unsafe { libc::dup2(null.as_raw_fd(), stream) }.into())?;
    }
    Ok(())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// An error with what was being done, in C++ Nix's words where it has some.
fn doing<T>(what: impl std::fmt::Display, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|e| io::Error::new(e.kind(), format!("{what}: {e}")))
}

/// Starts process 1 and lets it go on. `requests` is where inputs are asked for that come later.
fn launch(
    spec: &Spec,
    socket: &UnixStream,
    requests: Option<UnixStream>,
) -> io::Result<(libc::pid_t, Option<late::Door>)> {
    if let Some(user) = &spec.user {
        kernel::kill_all_of(user.uid)?;
    }
    match kernel::set_groups(&[]) {
        Err(error) if error.raw_os_error() != Some(libc::EPERM) => {
            return doing("setgroups failed", Err(error));
        }
        Err(_) if spec.must_drop_groups => {
            return Err(io::Error::other(
                "setgroups failed. Set the require-drop-supplementary-groups option to false to skip this step.",
            ));
        }
        Ok(()) | Err(_) => {}
    }
    let mut flags = 0;
    if spec.namespaces.is_none() {
        doing("cannot become the parent of what the builder leaves", kernel::adopt_orphans())?;
    }
    if let Some(namespaces) = &spec.namespaces {
        flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        if namespaces.private_network {
            flags |= libc::CLONE_NEWNET;
        }
        if namespaces.map.is_some() {
            flags |= libc::CLONE_NEWUSER;
        }
    }
    let (mut ready, mut go) = io::pipe()?;
    // SAFETY: `guard` has checked that there is one thread.
    let pid = doing("cannot make the namespaces of the sandbox", unsafe {
        kernel::clone_process(flags)
    })?;
    if pid == 0 {
        drop(go);
        // The builder must not be able to ask for inputs itself.
        drop(requests);
        let code = run(spec, socket, &mut ready);
        // Nothing of the guard may run again in this process, such as its exit handlers.
        // SAFETY: it does not return.
        unsafe { libc::_exit(code) };
    }
    drop(ready);
    let mapped = match spec.namespaces.as_ref().and_then(|n| n.map) {
        Some(map) => write_map(pid, map),
        None => Ok(()),
    };
    let prepared = mapped.and_then(|()| {
        let door = match (requests, &spec.namespaces) {
            (Some(requests), Some(namespaces)) => {
                let door = late::Door::open(pid, namespaces, requests);
                Some(doing("cannot get hold of the sandbox", door)?)
            }
            _ => None,
        };
        if let Some(cgroup) = &spec.cgroup {
            let joined = cgroup::join(cgroup, pid);
            doing(
                format_args!("cannot move the builder into cgroup \"{}\"", cgroup.display()),
                joined,
            )?;
        }
        go.write_all(b"1")?;
        Ok(door)
    });
    match prepared {
        Ok(door) => Ok((pid, door)),
        Err(error) => {
            // SAFETY: `pid` is a child that has not been waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            kernel::wait(pid)?;
            Err(error)
        }
    }
}

fn write_map(pid: libc::pid_t, map: IdMap) -> io::Result<()> {
    let dir = format!("/proc/{pid}");
    let write = |file: &str, text: String| {
        let path = format!("{dir}/{file}");
        doing(format_args!("cannot write '{path}'"), fs::write(&path, text))
    };
    write("uid_map", format!("{} {} {}", map.inside_uid, map.outside_uid, map.count))?;
    // With one group there is nothing to choose from, and an ordinary user may not map it otherwise.
    if map.count == 1 {
        write("setgroups", "deny".into())?;
    }
    write("gid_map", format!("{} {} {}", map.inside_gid, map.outside_gid, map.count))
}

/// Waits for the builder or for the socket to close, whichever is first; then makes sure that
/// nothing is left of the builder. Gives what is told of its end.
fn watch(
    spec: &Spec,
    socket: &UnixStream,
    pid: libc::pid_t,
    mut door: Option<late::Door>,
) -> io::Result<Vec<u8>> {
    let builder = kernel::pidfd(pid)?;
    let poll = |fd, events| libc::pollfd { fd, events, revents: 0 };
    loop {
        let mut wait = [
            poll(builder.as_raw_fd(), libc::POLLIN),
            poll(socket.as_raw_fd(), libc::POLLIN | libc::POLLRDHUP),
            // the kernel skips negative numbers
            poll(door.as_ref().map_or(-1, AsRawFd::as_raw_fd), libc::POLLIN),
        ];
        // SAFETY: the pointer and the length describe `wait`.
        let result = unsafe { libc::poll(wait.as_mut_ptr(), 3, -1) };
        if result < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        if wait[0].revents == 0 && wait[1].revents == 0 {
            // Whoever asks is told when it does not work; without anybody who asks there is nothing to do.
            if door.as_mut().is_some_and(|door| !door.serve().unwrap_or(false)) {
                door = None;
            }
            continue;
        }
        if wait[0].revents == 0 {
            // SAFETY: `pid` is a child that has not been waited for, so the number is its own.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        break;
    }
    let status = kernel::wait(pid)?;
    if spec.namespaces.is_none() {
        // What it left behind, wherever it went; in a PID namespace nothing can be left.
        kernel::kill_children()?;
    }
    if let Some(user) = &spec.user {
        kernel::kill_all_of(user.uid)?;
    }
    let mut told = status.to_le_bytes().to_vec();
    if let Some(cgroup) = &spec.cgroup {
        let times = cgroup::destroy(cgroup)?;
        for time in [times.user, times.system] {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            told.extend_from_slice(&micros.to_le_bytes());
        }
    }
    Ok(told)
}

/// Process 1 of the sandbox: sets everything up and becomes the builder.
fn run(spec: &Spec, socket: &UnixStream, ready: &mut impl Read) -> i32 {
    let mut report = socket;
    if let Err(error) = set_up(spec, ready) {
        let _ = send(&mut report, Kind::Failed, error.to_string().as_bytes());
        return 1;
    }
    if send(&mut report, Kind::Started, b"").is_err() {
        return 1;
    }
    // The builder must not be able to speak as the guard.
    // SAFETY: the descriptor is not used in this process any more; it ends by `exec` or `_exit`.
    unsafe { libc::close(socket.as_raw_fd()) };
    match &spec.builder {
        Builder::Builtin(builtin) => {
            let code = crate::builtin::run(builtin);
            let _ = io::stderr().flush();
            code
        }
        Builder::Program { path, args } => {
            let error = exec(&path.0, args.iter().map(|a| a.0.as_slice()), spec);
            let path = String::from_utf8_lossy(&path.0);
            let _ = writeln!(io::stderr(), "error: executing '{path}': {}", reason(&error));
            1
        }
    }
}

/// The kernel's words without Rust's "(os error 2)".
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn set_up(spec: &Spec, ready: &mut impl Read) -> io::Result<()> {
    let mut go = [0];
    doing("user namespace initialisation failed", ready.read_exact(&mut go))?;
    // SAFETY: no memory is passed.
    doing("creating a new session", check(unsafe { libc::setsid() }.into()))?;
    kernel::reset_process_state();
    let (uid, gid) = match (&spec.namespaces, &spec.user) {
        (Some(namespaces), user) => {
            enter(namespaces, spec.cgroup.is_some())?;
            match (namespaces.map, user) {
                (Some(map), _) => (Some(map.inside_uid), Some(map.inside_gid)),
                (None, Some(user)) => {
                    doing(
                        "cannot set supplementary groups of build user",
                        kernel::set_groups(&user.groups),
                    )?;
                    (Some(user.uid), Some(user.gid))
                }
                (None, None) => {
                    return Err(io::Error::other(
                        "cannot perform a sandboxed build because user namespaces are not enabled; \
                         check /proc/sys/user/max_user_namespaces",
                    ));
                }
            }
        }
        (None, Some(user)) => {
            doing(
                "cannot set supplementary groups of build user",
                kernel::set_groups(&user.groups),
            )?;
            (Some(user.uid), Some(user.gid))
        }
        (None, None) => (None, None),
    };
    doing(
        format_args!("changing into '{}'", spec.cwd.display()),
        std::env::set_current_dir(&spec.cwd),
    )?;
    if let (Some(uid), Some(gid)) = (uid, gid) {
        doing("setuid failed", kernel::set_ids(uid, gid))?;
    }
    // If even the guard is killed, so is the builder. Changing accounts clears this: now, not before.
    kernel::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    kernel::set_personality(&spec.system, spec.impersonate_linux_26)?;
    if !spec.allow_new_privileges {
        kernel::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
        if spec.namespaces.as_ref().is_some_and(|n| !n.private_network) {
            landlock::scope_sockets();
        }
    }
    if spec.filter_syscalls {
        let lenient = matches!(spec.builder, Builder::Builtin(_));
        doing("unable to load seccomp BPF program", seccomp::install(lenient))?;
    }
    Ok(())
}

/// Turns the new namespaces into the builder's machine.
fn enter(namespaces: &Namespaces, own_cgroup: bool) -> io::Result<()> {
    if namespaces.private_network {
        doing("cannot set loopback interface flags", kernel::loopback_up())?;
    }
    doing("cannot set host name", kernel::set_host_names())?;
    let rec_private = libc::MS_PRIVATE | libc::MS_REC;
    doing(
        "unable to make '/' private",
        kernel::mount("none", Path::new("/"), "", rec_private, ""),
    )?;
    let root = &namespaces.root;
    // `pivot_root` wants a mount of its own.
    doing(
        format_args!("unable to bind mount '{}'", root.display()),
        kernel::bind(root, root, false),
    )?;
    std::env::set_current_dir(root)?;
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    if let Some(directory) = &namespaces.late_inputs {
        let directory = inside(directory);
        doing(format_args!("cannot share '{}'", directory.display()), late::share(&directory))?;
    }
    for mount in &namespaces.mounts {
        let target = inside(&mount.target);
        doing(
            format_args!(
                "bind mount from '{}' to '{}' failed",
                mount.source.display(),
                target.display()
            ),
            kernel::bind(&mount.source, &target, mount.read_only),
        )?;
    }
    doing(
        "mounting /proc",
        kernel::mount("none", &inside("/proc".as_ref()), "proc", MOUNT_FLAGS, ""),
    )?;
    if let Some(size) = &namespaces.shm_size {
        doing(
            "mounting /dev/shm",
            kernel::mount(
                "none",
                &inside("/dev/shm".as_ref()),
                "tmpfs",
                libc::MS_NOSUID | libc::MS_NODEV,
                &format!("size={size}"),
            ),
        )?;
    }
    if namespaces.devpts {
        let options = "newinstance,mode=0620,ptmxmode=0666";
        doing(
            "mounting /dev/pts",
            kernel::mount(
                "none",
                &inside("/dev/pts".as_ref()),
                "devpts",
                libc::MS_NOSUID | libc::MS_NOEXEC,
                options,
            ),
        )?;
    }
    if namespaces.sysfs {
        doing(
            "mounting /sys",
            kernel::mount("none", &inside("/sys".as_ref()), "sysfs", MOUNT_FLAGS, ""),
        )?;
    }
    if namespaces.late_inputs.is_some() {
        doing("unsharing mount namespace", late::leave_setup())?;
    }
    if own_cgroup {
        // Then its own cgroup is all that the builder sees of them.
        // SAFETY: no memory is passed; this process has one thread.
        let done = check(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) }.into());
        doing("unsharing cgroup namespace", done)?;
    }
    doing(format_args!("cannot pivot old root directory onto '{}'", root.display()), {
        std::env::set_current_dir(root).and_then(|()| kernel::pivot_here())
    })
}

fn exec<'a>(path: &[u8], args: impl Iterator<Item = &'a [u8]>, spec: &Spec) -> io::Error {
    let strings = |items: Vec<Vec<u8>>| -> io::Result<Vec<CString>> {
        items.into_iter().map(|item| Ok(CString::new(item)?)).collect()
    };
    let variables = spec.env.iter().map(|(name, value)| [&name.0[..], b"=", &value.0].concat());
    let prepared = CString::new(path)
        .map_err(io::Error::from)
        .and_then(|path| Ok((path, strings(args.map(<[u8]>::to_vec).collect())?)))
        .and_then(|(path, args)| Ok((path, args, strings(variables.collect())?)));
    let (path, args, env) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return error,
    };
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(&args), pointers(&env));
    // SAFETY: both arrays end with a null pointer, and all strings are NUL-terminated and live.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Whether a process can be had in new namespaces in which it may mount.
fn probe(user: bool) -> bool {
    let mut flags = libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET;
    if user {
        flags |= libc::CLONE_NEWUSER;
    }
    let Ok((mut ready, mut go)) = io::pipe() else { return false };
    // SAFETY: `guard` has checked that there is one thread.
    let Ok(pid) = (unsafe { kernel::clone_process(flags) }) else { return false };
    if pid == 0 {
        drop(go);
        let tried = ready
            .read_exact(&mut [0])
            .and_then(|()| {
                let flags = libc::MS_PRIVATE | libc::MS_REC;
                kernel::mount("none", Path::new("/"), "", flags, "")
            })
            .and_then(|()| {
                kernel::mount(
                    "none",
                    Path::new(OsStr::from_bytes(b"/proc")),
                    "proc",
                    MOUNT_FLAGS,
                    "",
                )
            });
        // SAFETY: it does not return.
        unsafe { libc::_exit(i32::from(tried.is_err())) };
    }
    drop(ready);
    let mapped = !user
        || write_map(
            pid,
            IdMap {
                inside_uid: 1000,
                outside_uid: rustix::process::getuid().as_raw(),
                inside_gid: 100,
                outside_gid: rustix::process::getgid().as_raw(),
                count: 1,
            },
        )
        .is_ok();
    let told = mapped && go.write_all(b"1").is_ok();
    drop(go);
    kernel::wait(pid).is_ok_and(|status| status == 0) && told
}
