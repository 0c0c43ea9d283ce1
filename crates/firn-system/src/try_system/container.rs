//! A system in a container: own process, mount, network, IPC, host-name and cgroup namespaces, the
//! host's store as the lower layer of its own, and a pair of interfaces to reach it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{kept, netlink, stage1};
use crate::{Error, IoContext as _, Result};

/// A host folder to show inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// Inside.
    pub target: PathBuf,
    /// Whether it can be changed from inside.
    pub writable: bool,
}

/// What container to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// Letters, digits and dashes; also names the interface on the host.
    pub name: String,
    /// The system to boot, unless it was offered before and another generation is present inside.
    pub toplevel: PathBuf,
    /// Where the container keeps its files.
    pub state: PathBuf,
    /// Where the host really has the folder that is `/nix/store` inside.
    pub store: PathBuf,
    /// Further folders.
    pub binds: Vec<Bind>,
    /// The container's address; the host's is one less.
    pub address: Ipv4Addr,
    /// Environment of its first process.
    pub environment: Vec<(String, String)>,
}

/// What is known of a running container, in its state folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// The host's number of its first process.
    pub init: i32,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Running {
    /// Reads what a state folder says.
    ///
    /// # Errors
    /// If no container runs there.
    pub fn read(state: &Path) -> Result<Self> {
        let path = state.join("running.json");
        let text = fs::read(&path).map_err(|_| {
            Error::Other(format!("no container runs with the state folder '{}'", state.display()))
        })?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::Other(format!("'{}' is damaged: {e}", path.display())))
    }
}

/// A container that runs; dropping it kills it.
#[derive(Debug)]
pub struct Container {
    helper: Child,
    running: Running,
    interface: String,
    state: PathBuf,
    console: Option<OwnedFd>,
    stopped: bool,
}

/// An address for the container `name` that no interface of the host has: from 10.233.0.0/16, in
/// blocks of four.
#[must_use]
pub fn free_address(name: &str) -> Ipv4Addr {
    let digest = firn_model::Hash::digest(firn_model::HashAlgo::Sha256, name.as_bytes());
    let bytes = digest.as_bytes();
    Ipv4Addr::new(10, 233, bytes[0], (bytes[1] & 0xfc) | 2)
}

impl Container {
    /// Prepares the folders of `spec` and boots it.
    ///
    /// # Errors
    /// If this process is not root, or a namespace, mount or interface cannot be made; the message
    /// says which.
    pub fn start(firn: &Path, spec: &Spec) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::Other(
                "a container needs root; try '--vm', which does not".to_owned(),
            ));
        }
        let system = prepare(spec)?;
        let (console, terminal) = stage1::open_console()?;
        let interface = interface_name(&spec.name);
        let mut helper = Command::new(firn)
            .arg("__container-init")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_clear()
            .spawn()
            .map_err(|source| Error::Run { program: firn.display().to_string(), source })?;
        let result = Self::boot(&mut helper, spec, system, &interface, &terminal);
        match result {
            Ok(running) => {
                let path = spec.state.join("running.json");
                let text = serde_json::to_vec(&running).map_err(|e| Error::Other(e.to_string()))?;
                fs::write(&path, text).at("write", &path)?;
                Ok(Self {
                    helper,
                    running,
                    interface,
                    state: spec.state.clone(),
                    console: Some(console),
                    stopped: false,
                })
            }
            Err(e) => {
                let _ = helper.kill();
                let mut said = String::new();
                if let Some(err) = &mut helper.stderr {
                    let _ = err.read_to_string(&mut said);
                }
                let _ = helper.wait();
                let said = said.trim();
                if said.is_empty() { Err(e) } else { Err(Error::Other(said.to_owned())) }
            }
        }
    }

    fn boot(
        helper: &mut Child,
        spec: &Spec,
        system: PathBuf,
        interface: &str,
        terminal: &str,
    ) -> Result<Running> {
        let lost = || Error::Other("the container's helper ended early".to_owned());
        let pid = helper.id();
        let (Some(to), Some(from)) = (&mut helper.stdin, &mut helper.stdout) else {
            return Err(lost());
        };
        let order = stage1::Order { spec: spec.clone(), system, terminal: terminal.to_owned() };
        let mut text = serde_json::to_vec(&order).map_err(|e| Error::Other(e.to_string()))?;
        text.push(b'\n');
        to.write_all(&text).map_err(|_| lost())?;
        // the helper has its namespaces now
        let mut byte = [0];
        from.read_exact(&mut byte).map_err(|_| lost())?;
        let netns_path = format!("/proc/{pid}/ns/net");
        let netns = File::open(&netns_path).at("open", &netns_path)?;
        let route = netlink::Route::open().at("open a route socket for", interface)?;
        if let Ok(old) = netlink::index_of(interface) {
            let _ = route.remove(old);
        }
        route
            .add_veth(interface, "host0", netns.as_raw_fd())
            .at("create the interface pair", interface)?;
        let index = netlink::index_of(interface).at("find the interface", interface)?;
        let host = Ipv4Addr::from(u32::from(spec.address) - 1);
        route.address(index, host, 30).at("set the address of", interface)?;
        route.up(index).at("set up the interface", interface)?;
        to.write_all(b"g").map_err(|_| lost())?;
        let mut answer = Vec::new();
        loop {
            from.read_exact(&mut byte).map_err(|_| lost())?;
            if byte[0] == b'\n' {
                break;
            }
            answer.push(byte[0]);
        }
        let init = String::from_utf8_lossy(&answer).parse().map_err(|_| lost())?;
        Ok(Running { init, address: spec.address })
    }

    /// What is known of it.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The host's side of its console; `None` if it was taken before.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.helper.try_wait(), Ok(None))
    }

    /// Asks it to shut down, and kills it if it has not within `patience`.
    pub fn stop(&mut self, patience: Duration) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        // systemd takes SIGRTMIN+4 as the order to power off
        let poweroff = libc::SIGRTMIN() + 4;
        // SAFETY: sends a signal to a child of our own helper, which still waits for it.
        unsafe { libc::kill(self.running.init, poweroff) };
        let end = Instant::now() + patience;
        while !self.has_ended() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        if !self.has_ended() {
            // SAFETY: as above; the end of a PID namespace's first process ends all the others.
            unsafe { libc::kill(self.running.init, libc::SIGKILL) };
            let _ = self.helper.wait();
        }
        if let (Ok(route), Ok(index)) = (netlink::Route::open(), netlink::index_of(&self.interface))
        {
            let _ = route.remove(index);
        }
        let _ = fs::remove_file(self.state.join("running.json"));
        let _ = fs::remove_dir(stage1::cgroup_of(&self.interface));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(0));
    }
}

/// An interface's name has at most 15 bytes.
fn interface_name(name: &str) -> String {
    let digest = firn_model::Hash::digest(firn_model::HashAlgo::Sha256, name.as_bytes());
    format!("firn-{}", &digest.to_base32()[..8])
}

/// Makes the folders that the container's root is put together from, and tells which system to start.
fn prepare(spec: &Spec) -> Result<PathBuf> {
    let ok =
        !spec.name.is_empty() && spec.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !ok {
        return Err(Error::Other(format!(
            "'{}' cannot name a container: use letters, digits and dashes",
            spec.name
        )));
    }
    let root = spec.state.join("root");
    for folder in [
        "nix/store",
        "nix/var/nix/profiles",
        "nix/var/nix/gcroots",
        "nix/var/log/nix",
        "etc",
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "var",
    ] {
        let path = root.join(folder);
        fs::create_dir_all(&path).at("create", &path)?;
    }
    for layer in ["store-upper", "store-work"] {
        let path = spec.state.join(layer);
        fs::create_dir_all(&path).at("create", &path)?;
    }
    let upper = spec.state.join("store-upper");
    kept::offer(&spec.state, &root, &[&spec.store, &upper], &spec.toplevel)
}
