//! The daemon, stores by `ssh` and remote builders, as users call them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says that it was skipped")]

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Case {
    dir: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Drop for Case {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }
}

/// A store in a temporary folder, and commands by their names, as other programs find them.
fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap(), daemon: None };
    for dir in ["conf", "bin", "home"] {
        std::fs::create_dir(case.path(dir)).unwrap();
    }
    let settings = "build-users-group =\nsubstituters =\nsandbox = false\n\
                    experimental-features = nix-command daemon-trust-override\n";
    std::fs::write(case.path("conf/nix.conf"), settings).unwrap();
    for name in [
        "nix",
        "nix-store",
        "nix-daemon",
        "nix-build",
        "nix-copy-closure",
        "nix-env",
        "nix-instantiate",
    ] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_firn"), case.path("bin").join(name))
            .unwrap();
    }
    std::fs::write(case.path("hello"), "hello\n").unwrap();
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin").join(name));
        let path = format!("{}:/usr/bin:/bin", self.text("bin"));
        command
            .args(args)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("NIX_DAEMON_SOCKET_PATH", self.path("socket"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        if self.daemon.is_some() {
            command.env("NIX_REMOTE", "daemon");
        }
        command
    }

    fn start(&mut self, args: &[&str]) {
        let daemon = self.command("nix-daemon", args).stderr(Stdio::null()).spawn().unwrap();
        self.daemon = Some(daemon);
        let begin = Instant::now();
        while UnixStream::connect(self.path("socket")).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the daemon does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn run(&self, name: &str, args: &[&str]) -> (String, String, bool) {
        let output = self.command(name, args).output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap().trim_end().to_owned(),
            String::from_utf8(output.stderr).unwrap(),
            output.status.success(),
        )
    }

    fn ok(&self, name: &str, args: &[&str]) -> String {
        let (out, err, good) = self.run(name, args);
        assert!(good, "{name} {args:?}: {err}");
        out
    }

    fn fails(&self, name: &str, args: &[&str]) -> String {
        let (out, err, good) = self.run(name, args);
        assert!(!good, "{name} {args:?}: {out}");
        err
    }

    /// The number of the daemon's process that serves a client.
    fn worker(&self) -> Option<i32> {
        let daemon = self.daemon.as_ref()?.id();
        let children = format!("/proc/{daemon}/task/{daemon}/children");
        let text = std::fs::read_to_string(children).unwrap();
        text.split_ascii_whitespace().next_back()?.parse().ok()
    }
}

const DERIVATION: &str = "derivation { name = \"x\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
                          args = [ \"-c\" \"echo built; echo hello > $out\" ]; }";

#[test]
fn everyday_commands_go_through_the_daemon() {
    let mut case = case();
    case.start(&[]);
    let hello = case.ok("nix-store", &["--add", "hello"]);
    assert!(Path::new(&hello).exists());
    assert_eq!(case.ok("nix-store", &["-q", "--size", &hello]), "120");
    let out = case.ok("nix-build", &["-E", DERIVATION, "-o", "result"]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "hello\n");
    let log = case.ok("nix-store", &["--read-log", &out]);
    assert_eq!(log, "built");
    // the link is a root, the file is not
    let dead = case.ok("nix-store", &["--gc", "--print-dead"]);
    assert!(dead.contains(&hello) && !dead.contains(&out), "{dead}");
    case.ok("nix-store", &["--gc"]);
    assert!(Path::new(&out).exists() && !Path::new(&hello).exists());
    let roots = case.ok("nix-store", &["--gc", "--print-roots"]);
    assert!(roots.contains(&case.text("result")), "{roots}");
    case.ok("nix-store", &["--verify", "--check-contents"]);
    case.ok("nix-store", &["--optimise"]);
    let value = case.ok(
        "nix",
        &["eval", "--impure", "--raw", "--expr", &format!("builtins.readFile ({DERIVATION})")],
    );
    assert_eq!(value, "hello");
    let info = case.ok("nix", &["store", "info", "--json"]);
    assert!(info.contains("\"trusted\":true") && info.contains("\"url\":\"daemon\""), "{info}");
    let failing = DERIVATION.replace("echo built;", "echo no luck; exit 1;");
    let error = case.fails("nix-build", &["--no-out-link", "-E", &failing]);
    assert!(
        error.contains("no luck") && error.contains("builder failed with exit code 1"),
        "{error}"
    );
    // of several failures each is told, once
    let two = format!("[ ({failing}) ({}) ]", failing.replace("no luck", "no luck either"));
    let error = case.fails("nix-build", &["--no-out-link", "-k", "-E", &two]);
    assert_eq!(error.matches("builder failed with exit code 1").count(), 2, "{error}");
    assert_eq!(error.matches("error: build of '").count(), 1, "{error}");
    // How it failed is told by the exit code only where this program builds itself.
    for (name, args) in [
        ("nix-build", &["--no-out-link", "-E", &failing][..]),
        ("nix", &["build", "--no-link", "--impure", "--expr", &failing]),
    ] {
        let with = case.command(name, args).output().unwrap().status.code();
        let without =
            case.command(name, args).env_remove("NIX_REMOTE").output().unwrap().status.code();
        let local = if name == "nix" { 1 } else { 100 };
        assert_eq!((with, without), (Some(1), Some(local)), "{name}");
    }
}

#[test]
fn a_daemon_builds_by_the_settings_of_a_flake() {
    use std::os::unix::fs::PermissionsExt;
    let mut case = case();
    case.start(&[]);
    let (hook, said) = (case.path("hook"), case.path("said"));
    std::fs::write(&hook, format!("#!/bin/sh\necho $DRV_PATH > {}\n", said.display())).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let system = format!("{}-linux", std::env::consts::ARCH);
    let drv = DERIVATION.replace("builtins.currentSystem", &format!("\"{system}\""));
    let flake = format!(
        "{{ nixConfig.post-build-hook = \"{}\"; outputs = {{ self }}: {{ packages.{system}.default = {drv}; }}; }}",
        hook.display()
    );
    std::fs::create_dir(case.path("flake")).unwrap();
    std::fs::write(case.path("flake/flake.nix"), flake).unwrap();
    let path = format!("path:{}", case.text("flake"));
    let features = ["--extra-experimental-features", "flakes", "--accept-flake-config"];
    case.ok("nix", &[&["build", "--no-link", &path][..], &features].concat());
    assert!(std::fs::read_to_string(said).unwrap().ends_with("-x.drv\n"));
}

#[test]
fn an_untrusted_client_is_told_what_it_may_not_do() {
    let mut case = case();
    case.start(&["--force-untrusted"]);
    let info = case.ok("nix", &["store", "info", "--json"]);
    assert!(info.contains("\"trusted\":false"), "{info}");
    let (_, err, good) =
        case.run("nix-build", &["--no-out-link", "-E", DERIVATION, "--option", "sandbox", "true"]);
    assert!(good, "{err}");
    assert!(err.contains("ignoring the client-specified setting 'sandbox'"), "{err}");
    assert!(case.fails("nix-store", &["--verify", "--repair"]).contains("not privileged"));
    let hello = case.ok("nix-store", &["--add", "hello"]);
    let error = case.fails("nix-store", &["--delete", "--ignore-liveness", &hello]);
    assert!(error.contains("not allowed to ignore liveness"), "{error}");
}

#[test]
fn what_happens_to_one_client_concerns_no_other() {
    let mut case = case();
    case.start(&[]);
    // hundreds that say nothing, and some that say nonsense
    let mut idle: Vec<UnixStream> = Vec::new();
    for _ in 0..100 {
        idle.push(UnixStream::connect(case.path("socket")).unwrap());
    }
    for _ in 0..20 {
        use std::io::Write as _;
        let mut stream = UnixStream::connect(case.path("socket")).unwrap();
        let _ = stream.write_all(&[0xff; 4096]);
    }
    assert_eq!(
        case.ok("nix-store", &["-q", "--size", &case.ok("nix-store", &["--add", "hello"])]),
        "120"
    );
    // a process that is killed takes only its own client with it
    let slow = DERIVATION.replace("echo built;", "echo started; /bin/sleep 60;");
    let mut client = case
        .command("nix-build", &["--no-out-link", "-E", &slow])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let worker = case.worker().unwrap();
    let pid = rustix::process::Pid::from_raw(worker).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(!client.wait().unwrap().success());
    drop(idle);
    case.ok("nix-build", &["--no-out-link", "-E", DERIVATION]);
}

#[test]
fn a_build_ends_when_its_client_leaves() {
    let mut case = case();
    case.start(&[]);
    let marker = case.path("marker");
    let slow = DERIVATION
        .replace("echo built;", &format!("echo $$ > {}; /bin/sleep 600;", marker.display()));
    let mut client = case
        .command("nix-build", &["--no-out-link", "-E", &slow])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while std::fs::read_to_string(&marker).map_or(true, |text| text.is_empty()) {
        assert!(begin.elapsed() < Duration::from_secs(30), "the build does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let builder = std::fs::read_to_string(&marker).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    let process = PathBuf::from("/proc").join(builder.trim());
    while process.exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the builder goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn paths_are_copied_by_both_protocols() {
    let case = case();
    let hello = case.ok("nix-store", &["--add", "hello"]);
    for scheme in ["ssh", "ssh-ng"] {
        let root = case.text(&format!("other-{scheme}"));
        let store = case.text("store");
        let uri = format!(
            "{scheme}://localhost?store={store}&remote-store={root}%3fstore={store}%26real={root}{store}"
        );
        case.ok("nix", &["copy", "--no-check-sigs", "--to", &uri, &hello]);
        let copied = PathBuf::from(format!("{root}{hello}"));
        assert_eq!(std::fs::read(&copied).unwrap(), b"hello\n", "{scheme}");
        assert_eq!(case.ok("nix", &["path-info", "--store", &uri, &hello]), hello);
        case.ok("nix-store", &["--delete", &hello]);
        case.ok("nix", &["copy", "--no-check-sigs", "--from", &uri, &hello]);
        assert_eq!(std::fs::read(&hello).unwrap(), b"hello\n");
        let info = case.ok("nix", &["store", "info", "--json", "--store", &uri]);
        assert_eq!(info.contains("trusted"), scheme == "ssh-ng", "{info}");
    }
    let error =
        case.fails("nix", &["store", "info", "--store", "ssh-ng://localhost?remote-program=echo"]);
    assert!(error.contains("protocol mismatch, got '--stdio'"), "{error}");
    let error = case.fails("nix", &["store", "info", "--store", "ssh-ng://-oProxyCommand=x"]);
    assert!(error.contains("must not start with '-'"), "{error}");
}

#[test]
fn sockets_of_the_system_manager_are_served() {
    let mut case = case();
    let listener = std::os::unix::net::UnixListener::bind(case.path("socket")).unwrap();
    // the number of the process must be that of the daemon, which only a shell that becomes it knows
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec nix-daemon";
    let mut shell = case.command("nix-daemon", &[]);
    let environment: Vec<_> =
        shell.get_envs().filter_map(|(n, v)| Some((n.to_owned(), v?.to_owned()))).collect();
    shell = Command::new("/bin/sh");
    shell.args(["-c", script]).env_clear().envs(environment).stderr(Stdio::null());
    let daemon = shell.stdin(std::os::fd::OwnedFd::from(listener)).spawn().unwrap();
    case.daemon = Some(daemon);
    let hello = case.ok("nix-store", &["--add", "hello"]);
    assert_eq!(case.ok("nix-store", &["-q", "--size", &hello]), "120");
    // the daemon did not make a socket of its own in its place
    let daemon = case.daemon.as_ref().unwrap().id();
    let sockets = std::fs::read_dir(format!("/proc/{daemon}/fd"))
        .unwrap()
        .filter(|fd| {
            let link = std::fs::read_link(fd.as_ref().unwrap().path()).unwrap_or_default();
            link.to_string_lossy().starts_with("socket:")
        })
        .count();
    assert_eq!(sockets, 1);
    // variables that are meant for another process are refused
    let mut other = case.command("nix-daemon", &[]);
    let output = other.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("unexpected systemd environment variables"), "{said}");
}

#[test]
fn settings_of_a_trusted_client_hold_for_single_files() {
    use std::os::unix::fs::MetadataExt as _;
    let mut case = case();
    case.start(&[]);
    let links = |args: &[&str]| {
        let path = case.ok("nix-store", args);
        std::fs::metadata(path).unwrap().nlink()
    };
    assert_eq!(links(&["--add", "hello"]), 1);
    std::fs::write(case.path("other"), "other\n").unwrap();
    assert_eq!(links(&["--add", "other", "--option", "auto-optimise-store", "true"]), 2);
}

#[test]
fn a_store_that_is_asked_for_counts_for_more_than_the_environment() {
    let mut case = case();
    case.start(&[]);
    let other = format!("{}?store={}", case.text("other"), case.text("store"));
    let drv = case.ok("nix-instantiate", &["--store", &other, "-E", DERIVATION]);
    let name = drv.rsplit('/').next().unwrap();
    assert!(case.path("other/nix/store").join(name).exists());
    assert!(!Path::new(&drv).exists());
    // also where a file of settings asks for it
    let settings = std::fs::read_to_string(case.path("conf/nix.conf")).unwrap();
    std::fs::write(case.path("conf/nix.conf"), format!("{settings}store = {other}\n")).unwrap();
    let hello = case.ok("nix-store", &["--add", "hello"]);
    assert!(!Path::new(&hello).exists());
}

#[test]
fn files_of_a_daemon_are_read_where_they_are() {
    let mut case = case();
    case.start(&[]);
    let hello = case.ok("nix-store", &["--add", "hello"]);
    // archives would have offsets
    let listed = case.ok("nix", &["store", "ls", "--json", &hello]);
    assert_eq!(listed, r#"{"size":6,"type":"regular"}"#);
    assert_eq!(case.ok("nix", &["store", "cat", &hello]), "hello");
}

/// Whether this machine can build in stores whose contents are elsewhere, with a shell.
fn can_sandbox() -> bool {
    let shell = ["/bin/busybox", "/usr/bin/busybox"].iter().any(|path| Path::new(path).exists());
    let namespaces = Command::new("unshare").args(["-rm", "true"]).status();
    let can = shell && namespaces.is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: this machine has no busybox or grants no user namespaces");
    }
    can
}

#[test]
fn machines_are_chosen_by_their_features() {
    if !can_sandbox() {
        return;
    }
    let case = case();
    let expression = "let on = feature: inputs: derivation { name = \"on-${feature}\"; \
        system = builtins.currentSystem; builder = \"/bin/sh\"; inherit inputs; \
        requiredSystemFeatures = [ feature ]; \
        args = [ \"-c\" \"echo by ${feature}; echo ${feature} > $out; for i in $inputs; do read l < $i; echo $l >> $out; done\" ]; }; \
        in on \"c\" [ (on \"a\" [ ]) (on \"b\" [ ]) ]";
    let machine = |name: &str| case.text(&format!("machine-{name}"));
    let builders = format!(
        "ssh://localhost?remote-store={}?system-features=a - - 1 1 a; {} - - 1 1 b; \
         ssh-ng://localhost?remote-store={}?system-features=c - - 1 1 c",
        machine("a"),
        machine("b"),
        machine("c")
    );
    let run = |args: &[&str]| {
        let mut command = case.command("nix-build", args);
        command.env_remove("NIX_STORE_DIR").env_remove("NIX_STATE_DIR").env_remove("NIX_LOG_DIR");
        let output = command.output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap().trim_end().to_owned(),
            String::from_utf8(output.stderr).unwrap(),
            output.status.success(),
        )
    };
    let here = case.text("here");
    let common = ["--store", &here, "-j0", "--no-out-link", "-E", expression, "--builders"];
    let (out, err, good) = run(&[&common[..], &[&builders]].concat());
    assert!(good, "{err}");
    let built = std::fs::read_to_string(format!("{here}{out}")).unwrap();
    assert_eq!(built.lines().collect::<Vec<_>>(), ["c", "a", "b"]);
    assert!(err.contains("building '") && err.contains("' on 'ssh://localhost"), "{err}");
    for (name, has) in
        [("a", ["on-a"].as_slice()), ("b", &["on-b"]), ("c", &["on-a", "on-b", "on-c"])]
    {
        let dir = format!("{}/nix/store", machine(name));
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| {
                name.contains("-on-") && !name.ends_with(".drv") && !name.ends_with(".lock")
            })
            .map(|name| name[33..].to_owned())
            .collect();
        names.sort();
        assert_eq!(names, has, "{name}");
    }
    // how long it took is known the next time, here and not only there
    let times = std::fs::read_to_string(format!("{here}/nix/var/nix/firn/build-times")).unwrap();
    let names: Vec<&str> = times.lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!((names.len(), names[2]), (3, "on-c"), "{times}");
    // without a machine that fits, and none here
    let (_, err, good) = run(&[
        "--store",
        &here,
        "-j0",
        "--no-out-link",
        "-E",
        &expression.replace("\"a\"", "\"z\""),
        "--builders",
        &builders,
    ]);
    assert!(!good && err.contains("Failed to find a machine for remote build!"), "{err}");
}

#[test]
fn other_machines_build_for_a_cache() {
    if !can_sandbox() {
        return;
    }
    let case = case();
    let expression = "let f = name: inputs: derivation { inherit name inputs; \
        system = builtins.currentSystem; builder = \"/bin/sh\"; outputs = [ \"out\" \"doc\" ]; \
        args = [ \"-c\" \"echo ${name} > $out; for i in $inputs; do read l < $i; echo $l >> $out; done; echo > $doc\" ]; }; \
        a = f \"a\" [ ]; in f \"c\" [ a (f \"b\" [ a a.doc ]) ]";
    let run_any = |name: &str, args: &[&str]| {
        let mut command = case.command(name, args);
        command.env_remove("NIX_STORE_DIR").env_remove("NIX_STATE_DIR").env_remove("NIX_LOG_DIR");
        let output = command.output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap().trim_end().to_owned(),
            String::from_utf8(output.stderr).unwrap(),
            output.status.success(),
        )
    };
    let run = |args: &[&str]| run_any("nix-build", &[args, &["--no-out-link"]].concat());
    let cache = format!("file://{}?compression=none", case.text("cache"));
    let machine = format!("{} - - 1 1", case.text("machine"));
    let wanted = ["--store", &cache, "-E", expression];
    let (_, err, good) = run(&wanted);
    assert!(!good && err.contains("choose another '--store', or machines"), "{err}");
    let other = ["--builders", &machine.replace("- -", "vax -"), "-j0"];
    let (_, err, good) = run(&[&wanted[..], &other].concat());
    assert!(!good && err.contains("Failed to find a machine for remote build!"), "{err}");
    let with = ["--builders", &machine, "-j0"];
    let (out, err, good) = run(&[&wanted[..], &with].concat());
    assert!(good, "{err}");
    assert_eq!(err.matches("building '/nix/store/").count(), 3, "{err}");
    let (text, err, good) = run_any("nix", &["store", "cat", "--store", &cache, &out]);
    assert!(good && text == "c\na\nb", "{text} {err}");
    // now it is there, and nobody is needed any more
    let (again, err, good) = run(&[&wanted[..], &["-j0"]].concat());
    assert!(good && again == out && !err.contains("building"), "{err}");
    // a builder that fails
    let failing = "derivation { name = \"x\"; system = builtins.currentSystem; \
        builder = \"/bin/sh\"; args = [ \"-c\" \"echo alas; exit 3\" ]; }";
    let (_, err, good) = run(&[&["--store", &cache, "-E", failing][..], &with].concat());
    assert!(!good && err.contains("alas") && err.contains("builder failed with exit"), "{err}");
    // one whose place is known only afterwards
    let floating = failing.replace(
        "name =",
        "__contentAddressed = true; outputHashMode = \"nar\"; outputHashAlgo = \"sha256\"; name =",
    );
    let features = ["--option", "extra-experimental-features", "ca-derivations"];
    let (_, err, good) =
        run(&[&["--store", &cache, "-E", &floating][..], &with, &features].concat());
    assert!(!good && err.contains("needs a store on this machine"), "{err}");
}
