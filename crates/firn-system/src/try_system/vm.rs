//! A system in a virtual machine: QEMU with the system's kernel and initrd given directly, the store
//! as a read-only erofs image, and a second serial port for the [`agent`](super::agent). Needs no root.
//! With a disk ([`kept`](super::kept)) it keeps what it writes; else that is in its memory.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{PortForward, agent};
use crate::{Error, IoContext as _, Result};

/// What machine to start.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The system to boot, as its path in the store. With a disk, the machine's present generation is
    /// booted instead if this system was offered to it before.
    pub toplevel: PathBuf,
    /// Where the host has the kernel.
    pub kernel: PathBuf,
    /// Where the host has the initrd.
    pub initrd: PathBuf,
    /// The kernel's command line from the system's configuration.
    pub kernel_params: String,
    /// Images of the store, of which the first that has a path counts.
    pub store_images: Vec<PathBuf>,
    /// The disk that holds everything but the images; without one that is in memory.
    pub disk: Option<PathBuf>,
    /// Where the machine has its sockets and logs.
    pub state: PathBuf,
    /// Memory in MiB.
    pub memory: u64,
    /// Processors.
    pub cores: u32,
    /// Ports to forward.
    pub ports: Vec<PortForward>,
    /// Whether the console is this process's terminal; else it goes to `console.log`.
    pub interactive: bool,
    /// Whether KVM works.
    pub kvm: bool,
}

/// A machine that runs; dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    state: PathBuf,
}

/// Finds QEMU.
///
/// # Errors
/// If it is not installed; the message says how to get it.
pub fn find_qemu() -> Result<PathBuf> {
    let name = format!("qemu-system-{}", std::env::consts::ARCH);
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|p| std::env::split_paths(&p).collect::<Vec<_>>())
        .map(|dir| dir.join(&name))
        .find(|p| p.is_file());
    found.ok_or_else(|| {
        Error::Other(format!(
            "'{name}' is not on the PATH, and a virtual machine needs it.\nInstall QEMU ('apt-get install qemu-system-x86' on Debian), or run as root to use a container instead"
        ))
    })
}

impl Machine {
    /// Boots `spec`.
    ///
    /// # Errors
    /// If QEMU is missing or ends at once.
    pub fn start(spec: &Spec) -> Result<Self> {
        let qemu = find_qemu()?;
        fs::create_dir_all(&spec.state).at("create", &spec.state)?;
        let control = spec.state.join("agent.sock");
        let _ = fs::remove_file(&control);
        let mut command = Command::new(qemu);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        command.args(["-machine", if spec.kvm { "q35,accel=kvm" } else { "q35,accel=tcg" }]);
        command.args(["-cpu", if spec.kvm { "host" } else { "max" }]);
        command.arg("-m").arg(spec.memory.to_string());
        command.arg("-smp").arg(spec.cores.to_string());
        command.arg("-kernel").arg(&spec.kernel).arg("-initrd").arg(&spec.initrd);
        let parameters = disks(&mut command, spec);
        command.arg("-append").arg(format!(
            "{} console=ttyS0 {parameters} firn.storewritable firn.agent=ttyS1 init={}/init",
            spec.kernel_params,
            spec.toplevel.display()
        ));
        let mut net = "user,id=net0".to_owned();
        for port in &spec.ports {
            net += &format!(",hostfwd=tcp:{}:{}-:{}", port.address, port.host, port.guest);
        }
        command.args(["-netdev", &net, "-device", "virtio-net-pci,netdev=net0"]);
        command.args(["-device", "virtio-rng-pci"]);
        if spec.interactive {
            command.args(["-serial", "mon:stdio"]);
        } else {
            let log = spec.state.join("console.log");
            command.arg("-serial").arg(format!("file:{}", escaped(&log)));
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        command
            .arg("-chardev")
            .arg(format!("socket,id=agent,path={},server=on,wait=off", escaped(&control)));
        command.args(["-serial", "chardev:agent"]);
        let errors = spec.state.join("qemu.log");
        if !spec.interactive {
            command.stderr(fs::File::create(&errors).at("create", &errors)?);
        }
        let mut child =
            command.spawn().map_err(|source| Error::Run { program: "qemu".to_owned(), source })?;
        let end = Instant::now() + Duration::from_secs(10);
        while !control.exists() {
            if let Ok(Some(status)) = child.try_wait() {
                let said = fs::read_to_string(&errors).unwrap_or_default();
                return Err(Error::Failed {
                    program: "qemu".to_owned(),
                    status: status.to_string(),
                    stderr: said.trim().to_owned(),
                });
            }
            if Instant::now() > end {
                let _ = child.kill();
                return Err(Error::Other("QEMU did not start within 10 seconds".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { qemu: child, state: spec.state.clone() })
    }

    /// Connects to the agent inside; waits until it is up, at most `patience`.
    ///
    /// # Errors
    /// If the machine stops or the time is over; the message has the end of the console.
    pub fn agent(&mut self, patience: Duration) -> Result<agent::Client> {
        let stream = connect(&self.state)?;
        let connected = agent::Client::connect(stream, patience, &mut || !self.has_ended());
        connected.map_err(|e| {
            Error::Other(format!("{e}\nThe last lines of its console:\n{}", self.console_tail(25)))
        })
    }

    /// The last `count` lines of the console.
    #[must_use]
    pub fn console_tail(&self, count: usize) -> String {
        let text = fs::read(self.state.join("console.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.qemu.try_wait(), Ok(None))
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> Result<i32> {
        let status = self.qemu.wait().at("wait for", "qemu")?;
        Ok(status.code().unwrap_or(1))
    }
}

/// Connects to the agent's port of the machine whose files are in `state`.
///
/// # Errors
/// If no machine runs there.
pub fn connect(state: &Path) -> Result<UnixStream> {
    UnixStream::connect(state.join("agent.sock")).map_err(|_| {
        Error::Other(format!("no machine runs with the state folder '{}'", state.display()))
    })
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Adds the images and the disk, and gives the kernel's parameters by which the first stage finds them.
fn disks(command: &mut Command, spec: &Spec) -> String {
    let mut stores = Vec::new();
    for (number, image) in spec.store_images.iter().enumerate() {
        let id = format!("store{number}");
        drive(command, image, &id, "readonly=on");
        stores.push(format!("serial:{id}"));
    }
    let root = match &spec.disk {
        None => "root=tmpfs",
        Some(disk) => {
            // what the guest frees is free on the host too
            drive(command, disk, "root", "discard=unmap,detect-zeroes=unmap");
            "root=serial:root rootfstype=ext4 firn.profile=/nix/var/nix/profiles/system"
        }
    };
    format!("{root} firn.store={}", stores.join(","))
}

fn drive(command: &mut Command, file: &Path, id: &str, options: &str) {
    command
        .arg("-drive")
        .arg(format!("if=none,id={id},format=raw,file={},{options}", escaped(file)));
    command.arg("-device").arg(format!("virtio-blk-pci,drive={id},serial={id}"));
}

/// QEMU's option syntax doubles commas.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}
