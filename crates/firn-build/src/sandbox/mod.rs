//! The sandbox: a builder in its own namespaces, with nothing but its declared inputs.
//!
//! Rust code must not run between `fork` and `exec` in a program with threads. So the launching
//! side ([`launch`]) starts this program again as a *guard* ([`child_main`]), which has one thread:
//! it reads a [`spec::Spec`] from a socket, clones the builder's process into new namespaces, maps
//! its accounts, and waits. The guard stays outside and kills the builder as soon as the socket
//! closes, so a builder never outlives the program that started it, even if that is killed.
//!
//! ```text
//! firn ──socket──> guard (firn __sandbox-child) ──clone──> process 1 of the sandbox = the builder
//!   └────────────────────── log pipe ─────────────────────────┘
//! ```
//!
//! What knows derivations and stores is elsewhere: here are processes, mounts and accounts only.

pub(crate) mod cgroup;
mod child;
mod kernel;
mod landlock;
mod late;
mod launch;
mod protocol;
mod root;
mod seccomp;
pub mod spec;
mod view;

pub use cgroup::CpuTimes;
pub use child::child_main;
pub use late::LateInputs;
pub use launch::{Exit, Launcher, Running, Started};
pub use root::{Binds, Devices, Root, RootError, etc};
pub use view::exec_in_store;

pub use crate::builder::terminal::open as open_log;

use std::sync::OnceLock;

/// What the kernel grants this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// Mount, PID, IPC, UTS and network namespaces, as root or inside a user namespace.
    pub namespaces: bool,
    /// User namespaces.
    pub user_namespaces: bool,
}

/// Finds out, once, what the kernel grants, by trying it in `launcher`'s child process.
pub fn support(launcher: &Launcher) -> Support {
    static FOUND: OnceLock<Support> = OnceLock::new();
    *FOUND.get_or_init(|| launcher.probe())
}
