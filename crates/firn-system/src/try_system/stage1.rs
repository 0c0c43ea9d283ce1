//! The container's side of starting it, and of running a command in it. This runs in a process of its
//! own without threads (`firn __container-init`, `firn __container-exec`), where forking is sound.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use super::container::{Running, Spec};
use super::netlink;
use crate::{Error, IoContext as _, Result};

/// What the starter tells the helper, as one line of JSON on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// The container.
    pub spec: Spec,
    /// The system to start.
    pub system: PathBuf,
    /// The pseudo-terminal that is to be its console.
    pub terminal: String,
}

/// Opens a pseudo-terminal: the controlling side, and the path of the other.
pub(super) fn open_console() -> Result<(OwnedFd, String)> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .at("open", "/dev/ptmx")?;
    grantpt(&master).at("open", "/dev/ptmx")?;
    unlockpt(&master).at("open", "/dev/ptmx")?;
    let name = ptsname(&master, Vec::new()).at("open", "/dev/ptmx")?;
    Ok((master, name.to_string_lossy().into_owned()))
}

/// Where the container's processes are counted, if the host has cgroup 2.
pub(super) fn cgroup_of(name: &str) -> PathBuf {
    cgroup2_mount().unwrap_or_else(|| PathBuf::from("/nonexistent")).join(name)
}

fn cgroup2_mount() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    text.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        (right.split(' ').next() == Some("cgroup2"))
            .then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// `firn __container-init`: makes the namespaces, starts the container's first process, and stays
/// until it ends.
///
/// # Errors
/// If a namespace or mount cannot be made.
pub fn init_main() -> Result<i32> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).at("read", "standard input")?;
    let order: Order = serde_json::from_str(&line)
        .map_err(|e| Error::Other(format!("the order cannot be read: {e}")))?;
    let group = cgroup_of(&format!("firn-{}", order.spec.name));
    if fs::create_dir_all(&group).is_ok() {
        let _ = fs::write(group.join("cgroup.procs"), std::process::id().to_string());
    }
    let flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWCGROUP;
    // SAFETY: changes namespaces of this single-threaded process only.
    if unsafe { libc::unshare(flags) } != 0 {
        return Err(io::Error::last_os_error()).at("make namespaces for", &order.spec.name);
    }
    let mut out = io::stdout();
    let told = out.write_all(b"n").and_then(|()| out.flush());
    told.at("write to", "the starter")?;
    let mut byte = [0];
    io::stdin().lock().read_exact(&mut byte).at("read from", "the starter")?;
    configure_network(order.spec.address)?;
    // SAFETY: this process has one thread, so the child may go on as usual.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error()).at("fork", "the container's first process");
    }
    if pid == 0 {
        let e = match become_init(&order) {
            Ok(never) => match never {},
            Err(e) => e,
        };
        let _ = writeln!(io::stderr(), "{e}");
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(1) }
    }
    let told = writeln!(out, "{pid}").and_then(|()| out.flush());
    told.at("write to", "the starter")?;
    // the starter may go away without a word: then the container ends too
    // SAFETY: plain system calls on our own process and child.
    let status = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        let mut status = 0;
        while libc::waitpid(pid, &raw mut status, 0) < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
        status
    };
    Ok(if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        128 + libc::WTERMSIG(status)
    })
}

fn configure_network(address: Ipv4Addr) -> Result<()> {
    let route = netlink::Route::open().at("open a route socket for", "host0")?;
    let lo = netlink::index_of("lo").at("find the interface", "lo")?;
    route.up(lo).at("set up the interface", "lo")?;
    let index = netlink::index_of("host0").at("find the interface", "host0")?;
    route.address(index, address, 30).at("set the address of", "host0")?;
    route.up(index).at("set up the interface", "host0")?;
    let host = Ipv4Addr::from(u32::from(address) - 1);
    route.default_route(index, host).at("set the default route of", "host0")
}

fn mount(
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    kind: &str,
    flags: MountFlags,
    data: &str,
) -> Result<()> {
    let data = CString::new(data).map_err(|_| Error::Other("a NUL in mount options".into()))?;
    rustix::mount::mount(source.as_ref(), target.as_ref(), kind, flags, data.as_c_str())
        .at("mount", target.as_ref())
}

fn bind(source: &Path, target: &Path, writable: bool) -> Result<()> {
    rustix::mount::mount_bind_recursive(source, target).at("mount", target)?;
    if !writable {
        rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, c"")
            .at("mount read-only", target)?;
    }
    Ok(())
}

enum Never {}

/// Puts the root together and becomes the container's first process.
fn become_init(order: &Order) -> Result<Never> {
    let spec = &order.spec;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .at("make private the mounts of", "/")?;
    let root = spec.state.join("root");
    bind(&root, &root, true)?;

    let store = root.join("nix/store");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        spec.store.display(),
        spec.state.join("store-upper").display(),
        spec.state.join("store-work").display()
    );
    if mount("overlay", &store, "overlay", MountFlags::empty(), &options).is_err() {
        // some file systems cannot be an upper layer; then nothing can be built inside
        bind(&spec.store, &store, false)?;
    }
    mount("proc", root.join("proc"), "proc", quiet, "")?;
    // settings of the kernel are the host's but for those of the network
    let sys = root.join("proc/sys");
    bind(&sys, &sys, true)?;
    bind(&sys.join("net"), &sys.join("net"), true)?;
    rustix::mount::mount_remount(&sys, MountFlags::BIND | MountFlags::RDONLY, c"")
        .at("mount read-only", &sys)?;
    for name in ["proc/sysrq-trigger", "proc/irq", "proc/bus"] {
        let path = root.join(name);
        if path.exists() {
            let _ = bind(&path, &path, false);
        }
    }
    let sys = root.join("sys");
    mount("sysfs", &sys, "sysfs", quiet | MountFlags::RDONLY, "")?;
    let _ = mount("cgroup2", sys.join("fs/cgroup"), "cgroup2", quiet, "");
    mount("tmpfs", root.join("run"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=755")?;
    mount("tmpfs", root.join("tmp"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=1777")?;
    devices(&root, &order.terminal)?;
    network_file(&root, spec.address)?;
    for entry in &spec.binds {
        let target = root.join(entry.target.strip_prefix("/").unwrap_or(&entry.target));
        if entry.source.is_dir() {
            fs::create_dir_all(&target).at("create", &target)?;
        } else {
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder).at("create", folder)?;
            }
            File::create(&target).at("create", &target)?;
        }
        bind(&entry.source, &target, entry.writable)?;
    }
    rustix::process::chdir(&root).at("enter", &root)?;
    rustix::process::pivot_root(".", ".").at("make the root of", &root)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).at("unmount", "the host's root")?;
    rustix::process::chdir("/").at("enter", "/")?;
    drop_capabilities();

    // the console is the controlling terminal
    let _ = rustix::process::setsid();
    let console =
        File::options().read(true).write(true).open("/dev/console").at("open", "/dev/console")?;
    // SAFETY: plain system calls on descriptors that are open.
    unsafe {
        libc::ioctl(console.as_raw_fd(), libc::TIOCSCTTY, 0);
        for fd in 0..3 {
            libc::dup2(console.as_raw_fd(), fd);
        }
    }
    let init = order.system.join("init");
    let program = c_string(init.as_os_str())?;
    let mut environment = vec![c_string(OsStr::new("container=firn"))?];
    for (name, value) in &spec.environment {
        environment.push(c_string(OsStr::new(&format!("{name}={value}")))?);
    }
    exec(&program, std::slice::from_ref(&program), &environment).at("run", &init)
}

fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::Other("a NUL in an argument".into()))
}

fn exec(program: &CString, argv: &[CString], environment: &[CString]) -> io::Result<Never> {
    let pointers = |list: &[CString]| {
        list.iter().map(|c| c.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
    };
    let (argv, environment) = (pointers(argv), pointers(environment));
    // SAFETY: both arrays end in a null pointer and their strings live through the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    Err(io::Error::last_os_error())
}

fn devices(root: &Path, terminal: &str) -> Result<()> {
    let dev = root.join("dev");
    mount("tmpfs", &dev, "tmpfs", MountFlags::NOSUID, "mode=755")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = dev.join(name);
        File::create(&target).at("create", &target)?;
        bind(&Path::new("/dev").join(name), &target, true)?;
    }
    let net = dev.join("net");
    if Path::new("/dev/net/tun").exists() && fs::create_dir(&net).is_ok() {
        let target = net.join("tun");
        File::create(&target).at("create", &target)?;
        bind(Path::new("/dev/net/tun"), &target, true)?;
    }
    for (name, kind, options) in [
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("shm", "tmpfs", "mode=1777"),
        ("mqueue", "mqueue", ""),
    ] {
        let target = dev.join(name);
        fs::create_dir(&target).at("create", &target)?;
        mount(kind, &target, kind, MountFlags::NOSUID, options)?;
    }
    for (target, link) in [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ] {
        let link = dev.join(link);
        std::os::unix::fs::symlink(target, &link).at("create", &link)?;
    }
    let console = dev.join("console");
    File::create(&console).at("create", &console)?;
    bind(Path::new(terminal), &console, true)
}

/// Tells systemd-networkd, if the system runs it, the address that the interface has already.
fn network_file(root: &Path, address: Ipv4Addr) -> Result<()> {
    let folder = root.join("run/systemd/network");
    fs::create_dir_all(&folder).at("create", &folder)?;
    let host = Ipv4Addr::from(u32::from(address) - 1);
    let path = folder.join("05-firn-container.network");
    let text = format!(
        "[Match]\nName=host0\n\n[Network]\nAddress={address}/30\nGateway={host}\nLinkLocalAddressing=no\nLLDP=no\n"
    );
    fs::write(&path, text).at("write", &path)
}

/// Gives up what a container must not do to its host: load modules, set the clock, raw I/O, and the
/// kernel log.
fn drop_capabilities() {
    const SYS_MODULE: i32 = 16;
    const SYS_RAWIO: i32 = 17;
    const SYS_TIME: i32 = 25;
    const MAC_OVERRIDE: i32 = 32;
    const MAC_ADMIN: i32 = 33;
    const SYSLOG: i32 = 34;
    for capability in [SYS_MODULE, SYS_RAWIO, SYS_TIME, MAC_OVERRIDE, MAC_ADMIN, SYSLOG] {
        // SAFETY: a plain system call on our own process.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// `firn __container-exec STATE PROGRAM ARGUMENT…`: runs a program inside and gives its exit code.
///
/// # Errors
/// If no container runs there, or its namespaces cannot be entered.
pub fn exec_main(state: &Path, argv: &[String]) -> Result<i32> {
    let running = Running::read(state)?;
    let mut files = Vec::new();
    for kind in ["cgroup", "ipc", "uts", "net", "pid", "mnt"] {
        let path = format!("/proc/{}/ns/{kind}", running.init);
        files.push((File::open(&path).at("open", &path)?, path));
    }
    let group = fs::read_to_string(format!("/proc/{}/cgroup", running.init)).unwrap_or_default();
    let group = group.lines().find_map(|l| l.strip_prefix("0::/").map(str::to_owned));
    if let (Some(mount), Some(group)) = (cgroup2_mount(), group) {
        // not in the group of the first process, which systemd keeps without processes of its own
        let own = mount.join(group.split('/').next().unwrap_or_default()).join("firn-exec");
        if fs::create_dir_all(&own).is_ok() {
            let _ = fs::write(own.join("cgroup.procs"), std::process::id().to_string());
        }
    }
    for (file, path) in &files {
        rustix::thread::move_into_link_name_space(file.as_fd(), None).at("enter", path)?;
    }
    let program = argv.first().ok_or_else(|| Error::Other("no program to run was given".into()))?;
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let path = "/run/wrappers/bin:/run/current-system/sw/bin:/run/current-system/sw/sbin";
        let error = std::os::unix::process::CommandExt::exec(
            std::process::Command::new(program)
                .args(&argv[1..])
                .env_clear()
                .env("PATH", path)
                .env("HOME", "/root")
                .env("USER", "root")
                .env("TERM", std::env::var_os("TERM").unwrap_or_else(|| "dumb".into()))
                .current_dir("/"),
        );
        let _ = writeln!(io::stderr(), "error: cannot run '{program}' in the container: {error}");
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(127) }
    }
    if pid < 0 {
        return Err(io::Error::last_os_error()).at("fork for", program);
    }
    let mut status = 0;
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    Ok(if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        128 + libc::WTERMSIG(status)
    })
}
