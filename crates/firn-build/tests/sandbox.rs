//! The sandbox as builders meet it. Tests named `inside_…` are the builders: they run in the
//! sandbox, started by the tests around them.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::io::Read;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use firn_build::sandbox::spec::{Builder, IdMap, Namespaces, Spec};
use firn_build::sandbox::{Exit, LateInputs, Launcher, Root, Running, Started, support};

fn launcher() -> Launcher {
    let mut guard = PathBuf::from(env!("CARGO_BIN_EXE_firn-sandbox-child"));
    if let Some(copy) = std::env::var_os("FIRN_TEST_GUARD") {
        guard = copy.into();
    }
    Launcher::new(guard, [] as [&str; 0])
}

/// Whether the sandbox can be had here; says so if not.
fn available() -> bool {
    let found = support(&launcher());
    if !found.user_namespaces {
        eprintln!("SKIPPED: this machine grants no user namespaces ({found:?})");
    }
    found.user_namespaces
}

struct Case {
    dir: tempfile::TempDir,
    root: Root,
    network: bool,
    builder: (String, Vec<String>),
}

impl Case {
    /// A sandbox with this test program and the host's libraries in it.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut root = Root::create(&dir.path().join("x.chroot"), None).unwrap();
        for lib in ["/lib", "/lib64", "/usr/lib", "/usr/lib64"] {
            if Path::new(lib).exists() {
                root.bind(Path::new(lib), Path::new(lib), true).unwrap();
            }
        }
        for device in ["null", "zero", "urandom"] {
            let path = Path::new("/dev").join(device);
            root.bind(&path, &path, false).unwrap();
        }
        let exe = std::env::current_exe().unwrap();
        root.bind(&exe, Path::new("/test"), true).unwrap();
        root.directory(Path::new("/proc"), 0o755).unwrap();
        root.directory(Path::new("/dev/shm"), 0o755).unwrap();
        root.directory(Path::new("/dev/pts"), 0o755).unwrap();
        root.directory(Path::new("/tmp"), 0o1777).unwrap();
        let build = dir.path().join("build");
        std::fs::create_dir(&build).unwrap();
        root.bind(&build, Path::new("/build"), false).unwrap();
        Self { dir, root, network: false, builder: ("/test".into(), vec![]) }
    }

    /// Runs the test `name` of this program inside.
    fn inside(mut self, name: &str) -> Self {
        let args = ["test", "--exact", name, "--ignored", "--nocapture", "--test-threads=1"];
        self.builder.1 = args.map(str::to_owned).into();
        self
    }

    fn spec(&self) -> Spec {
        Spec {
            builder: Builder::Program {
                path: (&self.builder.0).into(),
                args: self.builder.1.iter().map(Into::into).collect(),
            },
            env: vec![("NAME".into(), (&b"value\xff"[..]).into())],
            cwd: "/build".into(),
            namespaces: Some(Namespaces {
                root: self.root.path().to_owned(),
                map: Some(IdMap {
                    inside_uid: 1000,
                    outside_uid: rustix::process::getuid().as_raw(),
                    inside_gid: 100,
                    outside_gid: rustix::process::getgid().as_raw(),
                    count: 1,
                }),
                private_network: !self.network,
                mounts: self.root.mounts().to_vec(),
                shm_size: Some("50%".into()),
                devpts: true,
                sysfs: false,
                late_inputs: None,
            }),
            cgroup: None,
            user: None,
            filter_syscalls: true,
            allow_new_privileges: false,
            system: "x86_64-linux".into(),
            impersonate_linux_26: false,
            must_drop_groups: false,
        }
    }

    fn start(&self) -> (Running, std::io::PipeReader) {
        let (log, out) = std::io::pipe().unwrap();
        let mut running = launcher().start(&self.spec(), out.into()).unwrap();
        match running.started().unwrap() {
            Started::Yes => (running, log),
            Started::No(why) => panic!("{why}"),
        }
    }

    fn run(&self) -> (Exit, String) {
        let (running, mut log) = self.start();
        let mut text = Vec::new();
        log.read_to_end(&mut text).unwrap();
        (running.wait().unwrap(), String::from_utf8_lossy(&text).into_owned())
    }

    #[track_caller]
    fn succeeds(self) {
        let (exit, log) = self.run();
        assert_eq!(exit, Exit::Code(0), "{log}");
        assert!(log.contains("1 passed"), "the inner test did not run: {log}");
    }
}

#[test]
fn a_builder_has_its_own_machine() {
    if available() {
        Case::new().inside("inside_machine").succeeds();
    }
}

#[test]
#[ignore = "runs in the sandbox"]
fn inside_machine() {
    assert_eq!(std::process::id(), 1);
    assert_eq!(rustix::process::getuid().as_raw(), 1000);
    assert_eq!(rustix::process::getgid().as_raw(), 100);
    assert_eq!(std::env::current_dir().unwrap(), Path::new("/build"));
    assert_eq!(rustix::system::uname().nodename().to_bytes(), b"localhost");
    let vars: Vec<_> = std::env::vars_os().collect();
    assert_eq!(vars.len(), 1, "{vars:?}");
    assert_eq!(vars[0].1.as_encoded_bytes(), b"value\xff");

    let mut names: Vec<_> = std::fs::read_dir("/")
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|n| !n.starts_with("lib") && n != "usr");
    names.sort();
    assert_eq!(names, ["build", "dev", "proc", "test", "tmp"]);
    assert!(!Path::new("/etc/passwd").exists() && !Path::new("/home").exists());

    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().parse::<u32>().is_ok());
    assert_eq!(processes.count(), 1, "only this process can be seen");

    // Descriptors: 0, 1, 2 and the one that lists them.
    let fds: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(fds.len(), 4, "{fds:?}");
    assert_eq!(std::fs::read_link("/proc/self/fd/0").unwrap(), Path::new("/dev/null"));

    let interfaces = std::fs::read_to_string("/proc/net/dev").unwrap();
    assert_eq!(interfaces.lines().count(), 3, "{interfaces}");
    let a = UdpSocket::bind("127.0.0.1:0").unwrap();
    a.send_to(b"x", a.local_addr().unwrap()).unwrap();
    assert_eq!(a.recv_from(&mut [0; 8]).unwrap().0, 1, "loopback is up");
    assert!(UdpSocket::bind("0.0.0.0:0").unwrap().connect("192.0.2.1:9").is_err());

    std::fs::write("/tmp/x", "x").unwrap();
    std::fs::write("/dev/shm/x", "x").unwrap();
    std::fs::write("/build/x", "x").unwrap();
    std::fs::write("/dev/null", "x").unwrap();
    assert!(Path::new("/dev/pts/ptmx").exists());
    // SAFETY: reading limits and the personality touches no memory of ours.
    unsafe {
        let mut core: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_CORE, &mut core);
        assert_eq!(core.rlim_cur, 0);
        assert_eq!(libc::personality(0xffff_ffff), 0x0004_0000, "no address randomisation");
        assert_eq!(libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
        assert_eq!(libc::umask(0), 0o022);
    }
}

#[test]
fn inputs_cannot_be_changed() {
    if !available() {
        return;
    }
    let mut case = Case::new();
    let input = case.dir.path().join("input");
    std::fs::create_dir(&input).unwrap();
    std::fs::write(input.join("file"), "x").unwrap();
    std::fs::set_permissions(input.join("file"), PermissionsExt::from_mode(0o444)).unwrap();
    case.root.bind(&input, Path::new("/input"), true).unwrap();
    case.inside("inside_read_only").succeeds();
}

#[test]
#[ignore = "runs in the sandbox"]
fn inside_read_only() {
    let read_only = |r: std::io::Result<()>| {
        assert_eq!(r.unwrap_err().raw_os_error(), Some(libc::EROFS));
    };
    read_only(std::fs::set_permissions("/input/file", PermissionsExt::from_mode(0o644)));
    read_only(std::fs::write("/input/new", "x"));
    read_only(std::fs::remove_file("/input/file"));
    // Mounting it writable again takes privileges that this process lost when it began.
    let flags = libc::MS_REMOUNT | libc::MS_BIND;
    // SAFETY: constant strings.
    let result = unsafe {
        libc::mount(c"none".as_ptr(), c"/input".as_ptr(), c"".as_ptr(), flags, std::ptr::null())
    };
    assert_eq!(result, -1);
}

#[test]
fn no_call_sets_a_set_id_bit() {
    if available() {
        Case::new().inside("inside_set_id").succeeds();
    }
}

#[test]
#[ignore = "runs in the sandbox"]
fn inside_set_id() {
    std::fs::write("/build/f", "").unwrap();
    let file = std::fs::File::open("/build/f").unwrap();
    let (fd, cwd) = (i64::from(file.as_raw_fd()), i64::from(libc::AT_FDCWD));
    let name = |text: &std::ffi::CStr| text.as_ptr() as i64;
    let (f, new) = (name(c"/build/f"), name(c"/build/new"));
    let create = i64::from(libc::O_CREAT | libc::O_WRONLY);
    let regular = i64::from(libc::S_IFREG);
    let how: [u64; 3] = [(libc::O_CREAT | libc::O_WRONLY) as u64, 0o4755, 0];
    let call = |number: libc::c_long, a: [i64; 4]| {
        // SAFETY: the pointers are to NUL-terminated constants and to `how`.
        let result = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3]) };
        if result >= 0 { 0 } else { std::io::Error::last_os_error().raw_os_error().unwrap() }
    };
    for bits in [0o4755, 0o2755, 0o6755] {
        for (what, error) in [
            ("chmod", call(libc::SYS_chmod, [f, bits, 0, 0])),
            ("fchmod", call(libc::SYS_fchmod, [fd, bits, 0, 0])),
            ("fchmodat", call(libc::SYS_fchmodat, [cwd, f, bits, 0])),
            ("fchmodat2", call(452, [cwd, f, bits, 0])),
            ("open", call(libc::SYS_open, [new, create, bits, 0])),
            ("openat", call(libc::SYS_openat, [cwd, new, create, bits])),
            ("creat", call(libc::SYS_creat, [new, bits, 0, 0])),
            ("mknod", call(libc::SYS_mknod, [new, regular | bits, 0, 0])),
            ("mknodat", call(libc::SYS_mknodat, [cwd, new, regular | bits, 0])),
        ] {
            assert_eq!(error, libc::EPERM, "{what} {bits:o}");
        }
    }
    assert_eq!(call(437, [cwd, new, how.as_ptr() as i64, 24]), libc::ENOSYS, "openat2");
    assert_eq!(call(425, [1, 0, 0, 0]), libc::ENOSYS, "io_uring_setup");
    let xattr = name(c"user.x");
    for (what, error) in [
        ("setxattr", call(libc::SYS_setxattr, [f, xattr, f, 1])),
        ("lsetxattr", call(libc::SYS_lsetxattr, [f, xattr, f, 1])),
        ("fsetxattr", call(libc::SYS_fsetxattr, [fd, xattr, f, 1])),
        ("setxattrat", call(463, [cwd, f, 0, xattr])),
        ("getxattr", call(libc::SYS_getxattr, [f, xattr, 0, 0])),
    ] {
        assert_eq!(error, libc::EOPNOTSUPP, "{what}");
    }
    assert!(!Path::new("/build/new").exists());
    assert_eq!(std::fs::metadata("/build/f").unwrap().permissions().mode() & 0o7000, 0);
    // Ordinary modes still work.
    std::fs::set_permissions("/build/f", PermissionsExt::from_mode(0o1755)).unwrap();
}

#[test]
fn nothing_outlives_the_builder() {
    if !available() {
        return;
    }
    let case = Case::new().inside("inside_daemon");
    let begin = Instant::now();
    let (exit, log) = case.run();
    assert_eq!(exit, Exit::Code(0), "{log}");
    assert!(begin.elapsed() < Duration::from_secs(20), "its log closed with it");
    let file = case.dir.path().join("build/alive");
    let before = std::fs::read(&file).unwrap().len();
    assert!(before > 0);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(std::fs::read(&file).unwrap().len(), before, "a process still writes");
}

/// Without a sandbox, too: a process whose parent and session are not the builder's any more.
#[test]
fn nothing_outlives_a_builder_without_a_sandbox() {
    let case = Case::new();
    let file = case.dir.path().join("build/alive");
    for end in ["ends", "is killed"] {
        let mut spec = case.spec();
        spec.namespaces = None;
        spec.cwd = case.dir.path().join("build");
        let exe = std::env::current_exe().unwrap();
        let name = if end == "ends" { "inside_run_away" } else { "inside_run_away_and_stay" };
        let args = ["test", "--exact", name, "--ignored", "--nocapture", "--test-threads=1"];
        spec.builder = Builder::Program {
            path: exe.to_str().unwrap().into(),
            args: args.iter().map(Into::into).collect(),
        };
        let (log, out) = std::io::pipe().unwrap();
        let mut running = launcher().start(&spec, out.into()).unwrap();
        assert!(matches!(running.started().unwrap(), Started::Yes));
        let begin = Instant::now();
        while !file.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        if end == "ends" {
            assert_eq!(running.wait().unwrap(), Exit::Code(0));
        } else {
            drop(running);
        }
        drop(log);
        let before = std::fs::read(&file).unwrap().len();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(std::fs::read(&file).unwrap().len(), before, "{end}: a process still writes");
        std::fs::remove_file(&file).unwrap();
    }
}

/// Leaves a process behind whose parent has ended and whose session is its own.
fn run_away() {
    // SAFETY: the children make plain system calls only.
    unsafe {
        if libc::fork() == 0 {
            libc::setsid();
            if libc::fork() == 0 {
                libc::setsid();
                let fd = libc::open(c"alive".as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o644);
                loop {
                    libc::write(fd, c"x".as_ptr().cast(), 1);
                    libc::usleep(1000);
                }
            }
            libc::_exit(0);
        }
    }
    while !Path::new("alive").exists() {}
}

#[test]
#[ignore = "run as a builder"]
fn inside_run_away() {
    run_away();
}

#[test]
#[ignore = "run as a builder"]
fn inside_run_away_and_stay() {
    run_away();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Inputs that come while the builder runs, into a directory that the builder may write to itself.
#[test]
fn inputs_can_come_later() {
    if !available() {
        return;
    }
    let mut case = Case::new().inside("inside_late");
    let sources = case.dir.path().join("sources");
    std::fs::create_dir_all(sources.join("dir")).unwrap();
    std::fs::write(sources.join("file"), "a file").unwrap();
    std::fs::write(sources.join("early"), "early").unwrap();
    std::fs::write(sources.join("dir/file"), "in a dir").unwrap();
    std::os::unix::fs::symlink("/nowhere", sources.join("link")).unwrap();
    case.root.directory(Path::new("/late"), 0o1777).unwrap();
    case.root.bind(&sources.join("early"), Path::new("/late/early"), true).unwrap();
    let mut spec = case.spec();
    spec.namespaces.as_mut().unwrap().late_inputs = Some("/late".into());
    let (late, requests) = LateInputs::new().unwrap();
    let (mut log, out) = std::io::pipe().unwrap();
    let mut running = launcher().start_with(&spec, out.into(), Some(requests)).unwrap();
    assert!(matches!(running.started().unwrap(), Started::Yes));
    let build = case.dir.path().join("build");
    let begin = Instant::now();
    while !build.join("ready").exists() {
        assert!(begin.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    // The builder has made what leads elsewhere, and something of its own.
    for name in ["trap", "own"] {
        let error = late.add(&sources.join("file"), name).unwrap_err().to_string();
        assert!(error.contains("already exists in the sandbox"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&build).unwrap().count(), 1, "nothing was made where it leads");
    for name in ["", ".", "..", "../x", "a/b"] {
        assert!(late.add(&sources.join("file"), name).is_err(), "{name}");
    }
    assert!(late.add(&sources.join("none"), "none").is_err());
    for name in ["file", "dir", "link", "link", "early"] {
        late.add(&sources.join(name), name).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    std::fs::write(build.join("go"), "").unwrap();
    let mut text = Vec::new();
    log.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(running.wait().unwrap(), Exit::Code(0), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    assert!(late.add(&sources.join("file"), "again").unwrap_err().to_string().contains("gone"));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(case.dir.path().to_str().unwrap()), "{mounts}");
    assert_eq!(std::fs::read(sources.join("file")).unwrap(), b"a file");
}

#[test]
#[ignore = "runs in the sandbox"]
fn inside_late() {
    std::os::unix::fs::symlink("/build/trapped", "/late/trap").unwrap();
    std::fs::create_dir("/late/own").unwrap();
    assert!(std::fs::rename("/late", "/elsewhere").is_err());
    std::fs::write("/build/ready", "").unwrap();
    while !Path::new("/build/go").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(std::fs::read("/late/file").unwrap(), b"a file");
    assert_eq!(std::fs::read("/late/dir/file").unwrap(), b"in a dir");
    assert_eq!(std::fs::read_link("/late/link").unwrap(), Path::new("/nowhere"));
    for file in ["/late/file", "/late/dir/new"] {
        assert_eq!(
            std::fs::write(file, "x").unwrap_err().raw_os_error(),
            Some(libc::EROFS),
            "{file}"
        );
    }
    // The way in is for the guard alone.
    let fds = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert_eq!(fds, 4);
}

/// Leaves a process behind that writes for ever, in its own session, and ends.
#[test]
#[ignore = "runs in the sandbox"]
fn inside_daemon() {
    fork_writer();
}

fn fork_writer() {
    // SAFETY: the child makes plain system calls only.
    unsafe {
        if libc::fork() == 0 {
            libc::setsid();
            let fd = libc::open(c"/build/alive".as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o644);
            loop {
                libc::write(fd, c"x".as_ptr().cast(), 1);
                libc::usleep(1000);
            }
        }
    }
    while !Path::new("/build/alive").exists() {}
}

#[test]
#[ignore = "runs in the sandbox"]
fn inside_forever() {
    // SAFETY: no memory is passed. Even a builder that takes this off dies with the guard's word.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
    fork_writer();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_builder_is_killed_with_all_that_it_started() {
    if !available() {
        return;
    }
    let case = Case::new().inside("inside_forever");
    let file = case.dir.path().join("build/alive");
    for drop_it in [false, true] {
        let (running, mut log) = case.start();
        while !file.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if drop_it {
            drop(running);
        } else {
            running.kill();
            std::io::copy(&mut log, &mut std::io::sink()).unwrap();
            assert_eq!(running.wait().unwrap(), Exit::Signal(libc::SIGKILL));
        }
        let before = std::fs::read(&file).unwrap().len();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(std::fs::read(&file).unwrap().len(), before, "a process still writes");
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn what_cannot_be_set_up_is_said() {
    if !available() {
        return;
    }
    let case = Case::new();
    let mut spec = case.spec();
    let namespaces = spec.namespaces.as_mut().unwrap();
    namespaces.mounts[0].source = "/nowhere/at/all".into();
    let (_log, out) = std::io::pipe().unwrap();
    let mut running = launcher().start(&spec, out.into()).unwrap();
    let Started::No(why) = running.started().unwrap() else { panic!("it must not run") };
    assert!(why.contains("/nowhere/at/all"), "{why}");
}

#[test]
fn a_missing_builder_is_said_in_the_log() {
    if !available() {
        return;
    }
    let mut case = Case::new();
    case.builder = ("/nothing".into(), vec!["nothing".into()]);
    let (exit, log) = case.run();
    assert_eq!(exit, Exit::Code(1));
    assert_eq!(log, "error: executing '/nothing': No such file or directory\n");
}

/// CVE-2024-27297: a descriptor handed to a process outside through a socket that has no file.
#[test]
fn sockets_without_a_file_do_not_lead_out() {
    if !available() {
        return;
    }
    let name = SocketAddr::from_abstract_name("firn-test-smuggler").unwrap();
    let listener = UnixListener::bind_addr(&name).unwrap();
    for network in [false, true] {
        let mut case = Case::new().inside("inside_smuggler");
        case.network = network;
        let (exit, log) = case.run();
        if network && log.contains("landlock: no") {
            eprintln!("SKIPPED: this kernel cannot confine abstract sockets");
            continue;
        }
        assert_eq!(exit, Exit::Code(0), "{log}");
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came through");
}

#[test]
#[ignore = "runs in the sandbox"]
fn inside_smuggler() {
    // SAFETY: asks for the version only.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    if version < 6 {
        println!("landlock: no");
    }
    let name = SocketAddr::from_abstract_name("firn-test-smuggler").unwrap();
    assert!(UnixStream::connect_addr(&name).is_err());
}

/// A program in a view with the store in place. The rest of the machine must be there once: a copy of
/// it below a temporary folder would be deleted together with that folder.
#[test]
fn a_store_that_is_elsewhere_can_be_seen_in_its_place() {
    if !available() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("file"), "contents").unwrap();
    let mut guard = PathBuf::from(env!("CARGO_BIN_EXE_firn-sandbox-child"));
    if let Some(copy) = std::env::var_os("FIRN_TEST_GUARD") {
        guard = copy.into();
    }
    let mine = dir.path().join("mine");
    std::fs::create_dir(&mine).unwrap();
    let script = format!(
        "cat /firn-no-such-root/store/file; pwd; ls {0}; ls -A {1}; cat /proc/mounts",
        dir.path().display(),
        mine.display()
    );
    let output = std::process::Command::new(guard)
        .args(["--enter", "/firn-no-such-root/store"])
        .arg(&real)
        .args(["/bin/sh", "-c", &script])
        .current_dir(dir.path())
        .env("TMPDIR", &mine)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && error.is_empty(), "{text}{error}");
    let shown = dir.path().display();
    let wanted = format!("contents{shown}\nmine\nreal\n");
    let mounts = text.strip_prefix(&wanted).unwrap_or_else(|| panic!("{text}"));
    // After the empty folder comes the table of mounts, a line of which begins with what is mounted.
    assert!(mounts.lines().next().is_some_and(|l| l.split(' ').count() == 6), "{text}");
    let below = format!(" {shown}/");
    assert!(!text.lines().any(|l| l.contains(&below)), "something is mounted there: {text}");
    assert!(!Path::new("/firn-no-such-root").exists());
}

/// All of this as an ordinary user, when the tests run as root.
#[test]
fn works_for_ordinary_users_too() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = |from: &Path, name: &str| {
        let to = dir.path().join(name);
        std::fs::copy(from, &to).unwrap();
        to
    };
    let guard = copy(env!("CARGO_BIN_EXE_firn-sandbox-child").as_ref(), "guard");
    let exe = copy(&std::env::current_exe().unwrap(), "tests");
    let tmp = dir.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    std::fs::set_permissions(&tmp, PermissionsExt::from_mode(0o1777)).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(exe)
        .args(["--nocapture", "--skip", "sockets_without"])
        .env("FIRN_TEST_GUARD", guard)
        .env("TMPDIR", tmp)
        .current_dir("/")
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: there is no setpriv");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}
