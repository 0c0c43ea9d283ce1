//! The system calls that the sandbox needs and no crate wraps, each as a small safe function.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the path has a NUL in it"))
}

/// Clones this process like `fork`, into the new namespaces that `flags` name.
///
/// # Safety
/// This process must have one thread only; then the child may run any code.
pub(super) unsafe fn clone_process(flags: libc::c_int) -> io::Result<libc::pid_t> {
    let flags = (flags | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: no stack is given, so the child goes on with a copy of this one, as after `fork`; the
    // caller vouches for there being one thread.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    Ok(pid as libc::pid_t)
}

/// A descriptor that becomes readable when the process ends.
pub(super) fn pidfd(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed; the result is a new descriptor that is owned by nobody.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        Ok(OwnedFd::from_raw_fd(fd as libc::c_int))
    }
}

/// A copy of the mounts at `source` and below, attached to nothing yet.
pub(super) fn clone_tree(source: &Path, read_only: bool) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    const AT_RECURSIVE: libc::c_uint = 0x8000;
    const MOUNT_ATTR_RDONLY: u64 = 1;
    let source = c_path(source)?;
    // SAFETY: the path is NUL-terminated and outlives the call; the attributes have the layout of
    // `struct mount_attr` and their size is given; the descriptor is new and owned here.
    unsafe {
        let tree = check(libc::syscall(
            libc::SYS_open_tree,
            libc::AT_FDCWD,
            source.as_ptr(),
            OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as libc::c_uint,
        ))?;
        let tree = OwnedFd::from_raw_fd(tree as libc::c_int);
        if read_only {
            let attributes =
                Attributes { set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns_fd: 0 };
            check(libc::syscall(
                libc::SYS_mount_setattr,
                tree.as_raw_fd(),
                c"".as_ptr(),
                AT_RECURSIVE | libc::AT_EMPTY_PATH as libc::c_uint,
                &attributes,
                size_of::<Attributes>(),
            ))?;
        }
        Ok(tree)
    }
}

const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;

/// Attaches what [`clone_tree`] gave at the place that `target` was opened at.
pub(super) fn attach_tree_at(tree: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
    // SAFETY: the paths are constants; both descriptors are open.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Attaches what [`clone_tree`] gave at `target`.
pub(super) fn attach_tree(tree: &OwnedFd, target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: the paths are NUL-terminated and outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Bind-mounts `source`, with all that is mounted below it, at `target`.
pub(super) fn bind(source: &Path, target: &Path, read_only: bool) -> io::Result<()> {
    attach_tree(&clone_tree(source, read_only)?, target)
}

/// `mount(2)`
pub(super) fn mount(
    source: &str,
    target: &Path,
    kind: &str,
    flags: libc::c_ulong,
    options: &str,
) -> io::Result<()> {
    let source = CString::new(source)?;
    let target = c_path(target)?;
    let kind = CString::new(kind)?;
    let options = CString::new(options)?;
    // SAFETY: all strings are NUL-terminated and outlive the call.
    let result = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    };
    check(result.into()).map(drop)
}

/// Makes the current directory the root of this mount namespace and drops the old one.
pub(super) fn pivot_here() -> io::Result<()> {
    // SAFETY: the strings are constants. With "." twice, the old root ends up mounted over the new
    // one, and "." then means the old one, see `pivot_root(2)`.
    unsafe {
        check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()))?;
        check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into())?;
        check(libc::chdir(c"/".as_ptr()).into())?;
    }
    Ok(())
}

/// Brings up the loopback interface of a new network namespace.
pub(super) fn loopback_up() -> io::Result<()> {
    // SAFETY: an all-zero `ifreq` is valid; its name is NUL-terminated because the rest stays zero;
    // the descriptor is new and owned here.
    unsafe {
        let socket =
            check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into())?;
        let socket = OwnedFd::from_raw_fd(socket as libc::c_int);
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags =
            (libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING) as libc::c_short;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request).into())?;
    }
    Ok(())
}

/// Sets the host name and the domain name of this UTS namespace.
pub(super) fn set_host_names() -> io::Result<()> {
    let (host, domain) = (b"localhost", b"(none)");
    // SAFETY: pointers and lengths describe constants.
    unsafe {
        check(libc::sethostname(host.as_ptr().cast(), host.len()).into())?;
        check(libc::setdomainname(domain.as_ptr().cast(), domain.len()).into())?;
    }
    Ok(())
}

/// Drops all further groups, or sets them.
pub(super) fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: pointer and length describe `groups`.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }.into()).map(drop)
}

/// Becomes another account for good: real, effective and saved.
pub(super) fn set_ids(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: no memory is passed. glibc would synchronise threads; there is one.
    unsafe {
        check(libc::setresgid(gid, gid, gid).into())?;
        check(libc::setresuid(uid, uid, uid).into())?;
    }
    Ok(())
}

/// Kills every process of an account, in a short-lived process that becomes it.
pub(super) fn kill_all_of(uid: u32) -> io::Result<()> {
    // SAFETY: the guard has one thread; the child makes plain system calls only and never returns.
    let pid = unsafe { clone_process(0)? };
    if pid == 0 {
        // SAFETY: plain system calls. `kill(-1)` spares the caller, which then leaves. It holds the
        // list of processes, so nothing can fork away from it.
        unsafe {
            if libc::setresuid(uid, uid, uid) != 0 {
                libc::_exit(1);
            }
            let killed = libc::kill(-1, libc::SIGKILL) == 0;
            let none = matches!(*libc::__errno_location(), libc::ESRCH | libc::EPERM);
            libc::_exit(if killed || none { 0 } else { 1 });
        }
    }
    match wait(pid)? {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("cannot kill processes for uid '{uid}'"))),
    }
}

/// Makes this process the parent of all that its children leave behind.
pub(super) fn adopt_orphans() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Kills all children of this process and, as they become its own after [`adopt_orphans`], all below them.
pub(super) fn kill_children() -> io::Result<()> {
    let own = std::process::id();
    loop {
        // A process that is being looked at may fork: what it made is found in the next round.
        for pid in children_of(own)? {
            // SAFETY: no memory is passed. A child that has not been waited for keeps its number.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        match wait(-1) {
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
            Err(e) => return Err(e),
        }
    }
}

fn children_of(parent: u32) -> io::Result<Vec<libc::pid_t>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may be gone by now.
        let Ok(stat) = std::fs::read(format!("/proc/{pid}/stat")) else { continue };
        if parent_in(&stat) == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// The parent in the text of `/proc/PID/stat`: the second field after the name, which may be anything in brackets.
fn parent_in(stat: &[u8]) -> Option<u32> {
    let after = stat.iter().rposition(|b| *b == b')')? + 1;
    std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Waits for a child, any if `pid` is -1, and gives its wait status.
pub(super) fn wait(pid: libc::pid_t) -> io::Result<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the result.
        match check(unsafe { libc::waitpid(pid, &mut status, 0) }.into()) {
            Ok(_) => return Ok(status),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// `prctl` with one number.
pub(super) fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options used here take numbers, not pointers.
    check(unsafe { libc::prctl(option, value, 0, 0, 0) }.into()).map(drop)
}

/// Marks all descriptors from `first` on to be closed by `exec`.
pub(super) fn close_on_exec_from(first: libc::c_uint) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: no memory is passed; marking a descriptor takes it from nobody.
    check(unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC)
    })
    .map(drop)
}

/// Puts back what the Rust runtime and an unknown parent changed: signals, umask, core dumps.
pub(super) fn reset_process_state() {
    // SAFETY: the signal set and the action are fully initialised before use; the other calls take
    // numbers or a valid pointer to a local.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::umask(0o022);
        let core = libc::rlimit { rlim_cur: 0, rlim_max: libc::RLIM_INFINITY };
        libc::setrlimit(libc::RLIMIT_CORE, &core);
    }
}

/// Sets the execution domain: no address randomisation, 32-bit or Linux 2.6 where asked for.
pub(super) fn set_personality(system: &str, linux_26: bool) -> io::Result<()> {
    const ADDR_NO_RANDOMIZE: libc::c_ulong = 0x004_0000;
    const UNAME26: libc::c_ulong = 0x002_0000;
    const PER_LINUX32: libc::c_ulong = 0x0008;
    let mut persona = 0;
    let arm32 = matches!(system, "armv7l-linux" | "armv6l-linux" | "armv5tel-linux");
    if arm32 || (system == "i686-linux" && cfg!(target_arch = "x86_64")) {
        persona |= PER_LINUX32;
    }
    if linux_26 && matches!(system, "i686-linux" | "x86_64-linux") {
        persona |= UNAME26;
    }
    // SAFETY: no memory is passed.
    check(unsafe { libc::personality(persona | ADDR_NO_RANDOMIZE) }.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::parent_in;

    #[test]
    fn a_name_with_brackets_does_not_hide_the_parent() {
        assert_eq!(parent_in(b"12 (a) S 5 12 12 0"), Some(5));
        assert_eq!(parent_in(b"12 (a) S 7 (\xff) R 5 12"), Some(5));
        assert_eq!(parent_in(b"12"), None);
    }
}
