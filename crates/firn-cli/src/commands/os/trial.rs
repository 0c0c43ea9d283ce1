//! `firn os try`: builds a configuration, boots it, and stays with it until it ends.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use firn_system::try_system::agent;
use firn_system::try_system::container::{self, Container};
use firn_system::try_system::kept::Disk;
use firn_system::try_system::vm::{self, Machine};
use firn_system::try_system::{PortForward, forward, probe_kvm};

use super::build::{self, Kind};
use super::ready::{self, BOOT_PATIENCE};
use super::{machines, terminal};
use crate::common::store::Local;

#[derive(Debug)]
struct Options {
    configuration: PathBuf,
    also: Vec<PathBuf>,
    kind: Kind,
    ports: Vec<PortForward>,
    name: String,
    state: Option<PathBuf>,
    detach: bool,
    /// Set on the child that `--detach` leaves behind: where the system's files are.
    background: bool,
    memory: u64,
    cores: u32,
}

fn parse(args: &[String]) -> Result<Options, String> {
    let root = rustix::process::geteuid().is_root();
    let mut options = Options {
        configuration: PathBuf::new(),
        also: Vec::new(),
        kind: if root { Kind::Container } else { Kind::Vm },
        ports: Vec::new(),
        name: "trial".to_owned(),
        state: None,
        detach: false,
        background: false,
        memory: 1024,
        cores: 2,
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value =
            || rest.next().cloned().ok_or_else(|| format!("the option '{arg}' needs a value"));
        let number = |text: String| {
            text.parse::<u64>().map_err(|_| format!("'{arg}' needs a number, not '{text}'"))
        };
        match arg.as_str() {
            "--container" => options.kind = Kind::Container,
            "--vm" => options.kind = Kind::Vm,
            "-p" | "--port" => {
                options
                    .ports
                    .push(value()?.parse().map_err(|e: firn_system::Error| e.to_string())?);
            }
            "-n" | "--name" => options.name = value()?,
            "--also" => options.also.push(build::configuration(&value()?)?),
            "--state" => {
                let text = value()?;
                fs::create_dir_all(&text)
                    .and_then(|()| fs::canonicalize(&text))
                    .map(|path| options.state = Some(path))
                    .map_err(|e| format!("the state folder '{text}' cannot be made: {e}"))?;
            }
            "--detach" => options.detach = true,
            "--background" => options.background = true,
            "--memory" => options.memory = number(value()?)?,
            "--cores" => {
                options.cores = u32::try_from(number(value()?)?.max(1))
                    .map_err(|_| "that is too many cores".to_owned())?;
            }
            _ if arg.starts_with('-') => {
                return Err(format!("'{arg}' is not an option of 'firn os try'"));
            }
            _ if options.configuration.as_os_str().is_empty() => {
                options.configuration = build::configuration(arg)?;
            }
            _ => return Err(format!("unexpected argument '{arg}'")),
        }
    }
    if options.configuration.as_os_str().is_empty() {
        return Err("no configuration was given, like 'firn os try ./configuration.nix'".into());
    }
    if options.kind == Kind::Container && !root {
        return Err("a container needs root; use '--vm', which does not".into());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if options.name.is_empty() || !options.name.chars().all(plain) {
        return Err(format!(
            "the name '{}' may have letters, digits and dashes only",
            options.name
        ));
    }
    if machines::state_of(&options.name).is_ok() {
        return Err(format!(
            "a system named '{0}' is running already; stop it with 'firn os stop {0}', or choose another with --name",
            options.name
        ));
    }
    if options.kind == Kind::Vm {
        vm::find_qemu().map_err(|e| e.to_string())?;
    }
    Ok(options)
}

/// Runs the subcommand.
pub fn run(args: &[String]) -> Result<ExitCode, String> {
    let options = parse(args)?;
    let wanted = Wanted::build(&options)?;
    if options.detach {
        return detach(args, &options);
    }
    let keep = options.state.is_some();
    let state = match &options.state {
        Some(state) => state.clone(),
        None => temporary_state(&options.name)?,
    };
    // of a start that was cut off
    let _ = fs::remove_file(state.join("up"));
    let result = match options.kind {
        Kind::Container => run_container(&options, &wanted, &state),
        Kind::Vm => run_vm(&options, &wanted, &state),
    };
    machines::unregister(&options.name);
    if !keep {
        // the system's files may be read-only, but they are root's or our own
        let _ = fs::remove_dir_all(&state);
    }
    result
}

/// `firn os build`: builds what `try` would boot.
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn build_only(args: &[String]) -> Result<ExitCode, String> {
    let wanted = Wanted::build(&parse(args)?)?;
    println!("{}", wanted.toplevel.display());
    for system in &wanted.also {
        println!("{}", system.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The store paths that a trial needs.
struct Wanted {
    toplevel: PathBuf,
    also: Vec<PathBuf>,
    image: Option<PathBuf>,
}

impl Wanted {
    fn build(options: &Options) -> Result<Self, String> {
        let mut systems = Vec::new();
        let mut expressions = Vec::new();
        for configuration in std::iter::once(&options.configuration).chain(&options.also) {
            let expression = build::system_expression(configuration, options.kind)?;
            systems.push(build::build(&expression, "system")?);
            expressions.push(format!("({expression}).system"));
        }
        let image = match options.kind {
            Kind::Container => None,
            Kind::Vm => {
                let distribution = crate::common::distribution::require()?;
                let expression = format!(
                    "{{ image = (import {} {{ }}).makeErofsImage {{ storeContents = [ {} ]; }}; }}",
                    distribution.display(),
                    expressions.join(" ")
                );
                Some(build::build(&expression, "image")?)
            }
        };
        let toplevel = systems.remove(0);
        Ok(Self { toplevel, also: systems, image })
    }
}

fn temporary_state(name: &str) -> Result<PathBuf, String> {
    let base = if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/lib/firn/trials")
    } else {
        std::env::temp_dir()
    };
    let state = base.join(format!("firn-{name}-{}", std::process::id()));
    fs::create_dir_all(&state).map_err(|e| format!("cannot create '{}': {e}", state.display()))?;
    Ok(state)
}

/// Starts this command anew in the background and waits until its system is up.
#[expect(clippy::print_stderr, reason = "the command's output")]
fn detach(args: &[String], options: &Options) -> Result<ExitCode, String> {
    let started = Instant::now();
    let log =
        std::env::temp_dir().join(format!("firn-{}-{}.log", options.name, std::process::id()));
    let open = || {
        fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|e| format!("cannot write '{}': {e}", log.display()))
    };
    let mut child = Command::new(build::this_program()?)
        .args(["os", "try", "--background"])
        .args(args.iter().filter(|a| *a != "--detach"))
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?)
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cannot start in the background: {e}"))?;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("the system did not start ({status}):\n{}", said.trim()));
        }
        let state = machines::state_of(&options.name).ok();
        if state.is_some_and(|s| s.join("up").exists()) {
            break;
        }
        if started.elapsed() > BOOT_PATIENCE {
            let _ = child.kill();
            return Err(format!(
                "the system was not up within {} seconds; see '{}'",
                BOOT_PATIENCE.as_secs(),
                log.display()
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(&log);
    for line in said.lines().filter(|l| l.starts_with("nothing listens")) {
        eprintln!("{line}");
    }
    eprintln!(
        "'{0}' is up after {1:.1} s; 'firn os run {0} PROGRAM' runs a program in it, 'firn os stop {0}' ends it",
        options.name,
        started.elapsed().as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}

/// What `/etc/nixos/configuration.nix` in the guest says: the tried configuration, and what makes it
/// fit the guest.
fn guest_configuration(options: &Options) -> String {
    let name = options.configuration.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "# The configuration of this trial. 'nixos-rebuild switch' applies what you change here.\n{{\n  imports = [\n    ./trial/{name}\n    <nixpkgs/nixos/modules/{}>\n  ];\n}}\n",
        options.kind.module()
    )
}

/// The ports of the system that are forwarded.
fn guest_ports(options: &Options) -> Vec<u16> {
    options.ports.iter().map(|p| p.guest).collect()
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn tell_unserved(ports: &[u16]) {
    for port in ports {
        eprintln!("nothing listens on port {port} of the system yet");
    }
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn tell_ports(ports: impl Iterator<Item = (String, u16)>) {
    for (local, guest) in ports {
        eprintln!("http://{local} leads to port {guest} of the system");
    }
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn run_container(options: &Options, wanted: &Wanted, state: &Path) -> Result<ExitCode, String> {
    let store = crate::common::store::open_local()?;
    let firn = build::this_program()?;
    let spec = container::Spec {
        name: options.name.clone(),
        toplevel: wanted.toplevel.clone(),
        state: state.to_owned(),
        store: store.real_store_dir(),
        binds: vec![container::Bind {
            source: options.configuration.parent().unwrap_or(Path::new("/")).to_owned(),
            target: PathBuf::from("/etc/nixos/trial"),
            writable: false,
        }],
        address: container::free_address(&options.name),
        environment: Vec::new(),
    };
    let nixos = state.join("root/etc/nixos");
    fs::create_dir_all(&nixos)
        .and_then(|()| {
            let file = nixos.join("configuration.nix");
            if file.exists() { Ok(()) } else { fs::write(file, guest_configuration(options)) }
        })
        .map_err(|e| format!("cannot write '{}': {e}", nixos.display()))?;
    let mut roots = vec![wanted.toplevel.clone()];
    roots.extend(wanted.also.iter().cloned());
    store.copy_registrations(&roots, &state.join("root/nix/var/nix"))?;
    let mut container = Container::start(&firn, &spec).map_err(|e| e.to_string())?;
    let mut told = Vec::new();
    for port in &options.ports {
        let f = forward::start(port, spec.address).map_err(|e| e.to_string())?;
        told.push((f.local.to_string(), f.guest));
    }
    machines::register(&options.name, state)?;
    let console = container.take_console().ok_or("the container has no console")?;
    if options.background {
        let log = state.join("console.log");
        let file =
            fs::File::create(&log).map_err(|e| format!("cannot write '{}': {e}", log.display()))?;
        terminal::log_to(console, file);
        let mut run = |argv: &[&str]| {
            let output = Command::new(&firn)
                .arg("__container-exec")
                .arg(state)
                .args(argv)
                .stderr(Stdio::null())
                .output()
                .map_err(|e| e.to_string())?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok((output.status.code().unwrap_or(255), text))
        };
        let up = ready::wait(&mut run, false, &guest_ports(options)).map_err(|e| {
            let tail = fs::read_to_string(&log).unwrap_or_default();
            format!("{e}; its console:\n{tail}")
        })?;
        tell_unserved(&up);
        fs::write(state.join("up"), "").map_err(|e| e.to_string())?;
        while !container.has_ended() {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = fs::remove_file(state.join("up"));
        return Ok(ExitCode::SUCCESS);
    }
    tell_ports(told.into_iter());
    eprintln!("Press Ctrl-] three times to stop.");
    terminal::attach(console, || container.has_ended()).map_err(|e| format!("the console: {e}"))?;
    container.stop(Duration::from_secs(20));
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn run_vm(options: &Options, wanted: &Wanted, state: &Path) -> Result<ExitCode, String> {
    let store = crate::common::store::open_local()?;
    let host = |path: &Path| -> Result<PathBuf, String> { store.host_path(path) };
    let toplevel = host(&wanted.toplevel)?;
    let resolve = |name: &str| -> Result<PathBuf, String> {
        let link = toplevel.join(name);
        let target = fs::read_link(&link).unwrap_or(link.clone());
        if target.is_absolute() { host(&target) } else { Ok(link) }
    };
    let params = fs::read_to_string(toplevel.join("kernel-params")).unwrap_or_default();
    let image = wanted.image.as_deref().ok_or("no store image was built")?;
    let disk = match &options.state {
        None => None,
        Some(state) => Some(Disk::open(state, image).map_err(|e| e.to_string())?),
    };
    let mut store_images = vec![host(image)?];
    if let (Some(state), Some(disk)) = (&options.state, &disk) {
        store_images = keep_images(&store, state, disk)?;
    }
    let mut kernel = resolve("kernel")?;
    if let Ok(target) = fs::read_link(&kernel) {
        kernel = host(&target)?;
    }
    let spec = vm::Spec {
        toplevel: wanted.toplevel.clone(),
        kernel,
        initrd: resolve("initrd")?,
        kernel_params: params.trim().to_owned(),
        store_images,
        disk: disk.as_ref().map(|d| d.file.clone()),
        state: state.to_owned(),
        memory: options.memory,
        cores: options.cores,
        ports: options.ports.clone(),
        interactive: !options.background,
        kvm: probe_kvm(&build::this_program()?),
    };
    if !spec.kvm {
        eprintln!("KVM does not work here; the machine is emulated, which is several times slower");
    }
    let mut machine = Machine::start(&spec).map_err(|e| e.to_string())?;
    machines::register(&options.name, state)?;
    if options.background {
        let mut client = machine.agent(BOOT_PATIENCE).map_err(|e| e.to_string())?;
        send_configuration(&mut client, options)?;
        let mut run = |argv: &[&str]| {
            let argv: Vec<String> = argv.iter().map(|a| (*a).to_owned()).collect();
            let argv = machines::with_environment(&argv);
            let mut text = String::new();
            let code = client.run(&argv, &mut |t| text += t).map_err(|e| e.to_string())?;
            Ok((code, text))
        };
        let up = ready::wait(&mut run, true, &guest_ports(options));
        tell_unserved(&up.map_err(|e| format!("{e}\n{}", machine.console_tail(25)))?);
        drop(client);
        fs::write(state.join("up"), "").map_err(|e| e.to_string())?;
        let code = machine.wait().map_err(|e| e.to_string())?;
        let _ = fs::remove_file(state.join("up"));
        return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
    }
    tell_ports(options.ports.iter().map(|p| (format!("{}:{}", p.address, p.host), p.guest)));
    eprintln!("Press Ctrl-a x to stop the machine.");
    let mut client = None;
    while client.is_none() && !machine.has_ended() {
        // the console is the user's meanwhile; what is missing is only a convenience there
        client = machine.agent(Duration::from_secs(5)).ok();
    }
    if let Some(mut client) = client {
        let _ = send_configuration(&mut client, options);
    }
    let code = machine.wait().map_err(|e| e.to_string())?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Protects the images that the machine's disk stands on from garbage collection, and gives those that
/// are still there as the host's files, the newest first.
fn keep_images(store: &Local, state: &Path, disk: &Disk) -> Result<Vec<PathBuf>, String> {
    let roots = state.join("roots");
    let name = |image: &Path| image.file_name().unwrap_or_default().to_owned();
    for entry in fs::read_dir(&roots).into_iter().flatten().flatten() {
        if !disk.images.iter().any(|image| name(image) == entry.file_name()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let mut found = Vec::new();
    for image in &disk.images {
        let file = store.host_path(image)?;
        if file.exists() {
            store.add_root(image, &roots.join(name(image)))?;
            found.push(file);
        }
    }
    Ok(found)
}

/// Writes the configuration into the machine, so that it can be changed and switched to there. What
/// was changed in `configuration.nix` stays; `trial` is as on the host.
fn send_configuration(client: &mut agent::Client, options: &Options) -> Result<(), String> {
    let folder = options.configuration.parent().unwrap_or(Path::new("/"));
    let mut script = String::from("set -e; mkdir -p /etc/nixos/trial; cd /etc/nixos\n");
    script += "[ -e configuration.nix ] || new=configuration.nix\n";
    let mut put = |target: &str, text: &str| {
        script += &format!("cat > {target} <<'FIRN-END-OF-FILE'\n{text}\nFIRN-END-OF-FILE\n");
    };
    put("\"${new-/dev/null}\"", guest_configuration(options).trim_end());
    let entries =
        fs::read_dir(folder).map_err(|e| format!("cannot read '{}': {e}", folder.display()))?;
    for entry in entries.flatten() {
        // only small texts: what else a configuration uses is in the store already
        let path = entry.path();
        if let Some(text) = fs::read_to_string(&path).ok().filter(|t| t.len() < 256 * 1024) {
            let target = quoted(&format!("trial/{}", entry.file_name().to_string_lossy()));
            put(&target, text.trim_end());
        }
    }
    let argv = ["/bin/sh".to_owned(), "-c".to_owned(), script];
    let mut said = String::new();
    let code = client.run(&argv, &mut |t| said += t).map_err(|e| e.to_string())?;
    if code == 0 { Ok(()) } else { Err(format!("the configuration could not be copied: {said}")) }
}

/// A shell word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
