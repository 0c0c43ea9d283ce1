//! The started systems: their state folders, and `run`, `list` and `stop`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use firn_system::try_system::{agent, container, vm};

use super::build::this_program;

/// The folder with a link for each started system.
pub fn registry() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/run/firn/machines");
    }
    let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_else(|| {
        std::env::temp_dir().join(format!("firn-{}", rustix::process::geteuid().as_raw()))
    });
    base.join("firn/machines")
}

/// Remembers where the system `name` has its files.
pub fn register(name: &str, state: &Path) -> Result<(), String> {
    let folder = registry();
    let link = folder.join(name);
    fs::create_dir_all(&folder)
        .and_then(|()| {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(state, &link)
        })
        .map_err(|e| format!("cannot write '{}': {e}", link.display()))
}

/// Forgets the system `name`.
pub fn unregister(name: &str) {
    let _ = fs::remove_file(registry().join(name));
}

/// Where the started system `name` has its files.
pub fn state_of(name: &str) -> Result<PathBuf, String> {
    fs::read_link(registry().join(name)).map_err(|_| {
        format!("no system named '{name}' is running; 'firn os list' shows those that are")
    })
}

/// Whether the system with the state folder `state` is a container.
fn is_container(state: &Path) -> bool {
    state.join("running.json").exists()
}

/// The command by which a machine's agent runs `argv` with what a login of root has.
pub fn with_environment(argv: &[String]) -> Vec<String> {
    let path = "/run/wrappers/bin:/run/current-system/sw/bin:/run/current-system/sw/sbin";
    let set = ["/usr/bin/env", &format!("PATH={path}"), "HOME=/root", "USER=root"];
    set.iter().map(|s| (*s).to_owned()).chain(argv.iter().cloned()).collect()
}

/// Runs a program in the system with the state folder `state`.
pub fn run_in(state: &Path, argv: &[String]) -> Result<i32, String> {
    if is_container(state) {
        let status = Command::new(this_program()?)
            .arg("__container-exec")
            .arg(state)
            .args(argv)
            .status()
            .map_err(|e| format!("cannot run '{}': {e}", argv[0]))?;
        return Ok(status.code().unwrap_or(255));
    }
    let stream = vm::connect(state).map_err(|e| e.to_string())?;
    let mut client = agent::Client::connect(stream, Duration::from_secs(60), &mut || true)
        .map_err(|e| e.to_string())?;
    let all = with_environment(argv);
    let mut out = std::io::stdout();
    client
        .run(&all, &mut |text| {
            let _ = out.write_all(text.as_bytes());
            let _ = out.flush();
        })
        .map_err(|e| e.to_string())
}

/// `firn os run NAME PROGRAM [ARGUMENT…]`
pub fn run(args: &[String]) -> Result<ExitCode, String> {
    let [name, argv @ ..] = args else { return Err("no system was named".into()) };
    let argv = if argv.first().is_some_and(|a| a == "--") { &argv[1..] } else { argv };
    if argv.is_empty() {
        return Err("no program to run was given".into());
    }
    let code = run_in(&state_of(name)?, argv)?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(255)))
}

/// `firn os list`
#[expect(clippy::print_stdout, reason = "the command's output")]
pub fn list(_: &[String]) -> Result<ExitCode, String> {
    let mut names: Vec<String> = fs::read_dir(registry())
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        let Ok(state) = state_of(&name) else { continue };
        let kind = if let Ok(running) = container::Running::read(&state) {
            format!("container  {}", running.address)
        } else {
            "virtual machine".to_owned()
        };
        println!("{name:<16} {kind:<28} {}", state.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// `firn os stop NAME`
pub fn stop(args: &[String]) -> Result<ExitCode, String> {
    let [name] = args else { return Err("give the name of one system".into()) };
    let state = state_of(name)?;
    // a guest that is told to power off takes the connection with it
    let argv = ["systemctl", "poweroff"].map(str::to_owned);
    let _ = run_in(&state, &argv);
    let end = Instant::now() + Duration::from_secs(60);
    while registry().join(name).symlink_metadata().is_ok() {
        if Instant::now() > end {
            return Err(format!("'{name}' did not shut down within a minute"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(ExitCode::SUCCESS)
}
