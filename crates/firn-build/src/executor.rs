//! Clusters that run builders: what a build asks of one, whatever protocol it speaks.
//!
//! Unlike a [build hook](crate::hook), which has another store build, an executor only runs the builder. What it
//! gives back are plain files: references, checks, signatures and registration are those of any build on this
//! machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use firn_event::Logger;
use firn_model::store_path::StorePath;
use firn_store::LocalStore;

use crate::error::Failure;
use crate::sandbox::Exit;
use crate::sandbox::spec::Bytes;

/// Everything about one run of a builder, as it sees it.
#[derive(Debug, Clone)]
pub struct Work {
    /// The program.
    pub builder: Bytes,
    /// Its arguments, the name first.
    pub args: Vec<Bytes>,
    /// Its whole environment.
    pub env: Vec<(Bytes, Bytes)>,
    /// Whether the number of cores in the environment is to be that of the machine that runs it.
    pub own_cores: bool,
    /// Files in its working directory.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Its working directory.
    pub build_dir: PathBuf,
    /// Things of this machine that it finds: where, and what they are here.
    pub host_paths: BTreeMap<PathBuf, PathBuf>,
    /// The size of `/dev/shm`, as tmpfs takes it.
    pub shm_size: String,
    /// Install the system call filter.
    pub filter_syscalls: bool,
    /// Let set-id programs work.
    pub allow_new_privileges: bool,
    /// Claim to be Linux 2.6.
    pub impersonate_linux_26: bool,
    /// How long it may take; zero for no limit.
    pub timeout: Duration,
    /// How long it may be silent; zero for no limit.
    pub max_silent_time: Duration,
    /// How long its log may be, in bytes; 0 for no limit.
    pub max_log_size: u64,
}

/// An output: what the builder is told, and where it has to be put.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its path as the builder knows it.
    pub path: StorePath,
    /// The place for it, where nothing is yet.
    pub place: PathBuf,
}

/// What an executor is asked.
pub struct ExecutorRequest<'a> {
    /// The store that is built for.
    pub store: &'a LocalStore,
    /// The derivation.
    pub drv_path: &'a StorePath,
    /// What machine it builds on.
    pub system: &'a str,
    /// What it needs of a machine.
    pub features: &'a BTreeSet<String>,
    /// All store paths that the builder may see. They are valid.
    pub inputs: &'a BTreeSet<StorePath>,
    /// What runs.
    pub work: &'a Work,
    /// Its outputs.
    pub outputs: &'a BTreeMap<String, Destination>,
    /// Run it even if its result is known.
    pub anew: bool,
    /// Where messages go.
    pub logger: &'a Logger,
}

/// What is heard of a run.
#[derive(Debug)]
pub enum ExecutorOutput<'a> {
    /// A piece of the builder's log.
    Log(&'a [u8]),
    /// Nothing, for a moment.
    Silence,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutorEnd {
    /// The builder ended; where that was in success, what there is of its outputs is in place.
    Exited(Exit),
    /// It took too long.
    TimedOut,
    /// It was silent for too long.
    Silent,
    /// Its log became too long.
    LogTooLong,
    /// It made something that no store can hold; the reason.
    BadOutput(String),
}

/// Why there was no run.
#[derive(Debug)]
pub enum ExecutorError {
    /// The cluster could not do it, which says nothing of the build; the reason.
    Unavailable(String),
    /// This build is nothing for a cluster, though others may be; the reason.
    Unfit(String),
    /// Whoever listened gave up, or this machine failed.
    Failed(Failure),
}

impl From<Failure> for ExecutorError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The right to run one more builder; it ends with this.
pub type Place = Box<dyn Send>;

/// Hears of a run; what it fails with ends that.
pub type Listener<'a> = dyn FnMut(ExecutorOutput<'_>) -> Result<(), Failure> + 'a;

/// Runs builders elsewhere.
pub trait Executor: Send + Sync {
    /// The cluster, as messages name it: without secrets.
    fn name(&self) -> &str;

    /// Whether it runs builders for `system` that need `features`.
    fn can_build(&self, system: &str, features: &BTreeSet<String>) -> bool;

    /// A place for one more builder, if there is one now.
    fn place(&self) -> Option<Place>;

    /// Runs a builder, and puts its outputs into their places.
    ///
    /// # Errors
    /// When the builder was not run to its end.
    fn run(
        &self,
        request: &ExecutorRequest<'_>,
        hear: &mut Listener<'_>,
    ) -> Result<ExecutorEnd, ExecutorError>;
}

/// Where the outputs of a run in a cluster are put, below the store's folder.
pub(crate) fn parent_of(real_drv_path: &Path) -> PathBuf {
    let mut parent = real_drv_path.as_os_str().to_owned();
    parent.push(".chroot");
    parent.into()
}
