//! Stores that look after themselves: what daemons offer beyond [`Store`], and what they are told about a client.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use firn_build::{BuildResult, DerivedPath, Missing};
use firn_event::Level;
use firn_model::derivation::Derivation;
use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::local::gc::{GcOptions, GcResults};
use firn_store::{NarSource, Repair, Settings, Store};

use crate::error::{Error, Result};
use crate::protocol::{BuildMode, KeyedResult};

/// Settings that clients hand on to a daemon if their user has set them. Those of evaluation, of the client's own
/// display and of where the store is are not among them.
const FORWARDED: &[&str] = &[
    "allow-new-privileges",
    "allow-symlinked-store",
    "allowed-impure-host-deps",
    "always-allow-substitutes",
    "auto-allocate-uids",
    "auto-optimise-store",
    "build-dir",
    "build-hook",
    "build-poll-interval",
    "build-users-group",
    "builders",
    "builders-use-substitutes",
    "compress-build-log",
    "connect-timeout",
    "diff-hook",
    "download-attempts",
    "download-buffer-size",
    "download-speed",
    "external-builders",
    "extra-platforms",
    "filter-syscalls",
    "fsync-metadata",
    "fsync-store-paths",
    "gc-reserved-space",
    "hashed-mirrors",
    "http-connections",
    "http2",
    "id-count",
    "ignored-acls",
    "impersonate-linux-26",
    "impure-env",
    "keep-build-log",
    "keep-derivations",
    "keep-outputs",
    "log-lines",
    "max-build-log-size",
    "max-free",
    "max-substitution-jobs",
    "min-free",
    "min-free-check-interval",
    "nar-buffer-size",
    "narinfo-cache-meta-ttl",
    "narinfo-cache-negative-ttl",
    "narinfo-cache-positive-ttl",
    "netrc-file",
    "post-build-hook",
    "pre-build-hook",
    "require-drop-supplementary-groups",
    "require-sigs",
    "run-diff-hook",
    "sandbox",
    "sandbox-build-dir",
    "sandbox-dev-shm-size",
    "sandbox-fallback",
    "sandbox-paths",
    "secret-key-files",
    "ssl-cert-file",
    "stalled-download-timeout",
    "start-id",
    "substituters",
    "sync-before-registering",
    "system",
    "system-features",
    "timeout",
    "trusted-public-keys",
    "trusted-substituters",
    "use-cgroups",
    "use-sqlite-wal",
    "user-agent-suffix",
    "warn-large-path-threshold",
];

/// What a client tells a daemon about how it wants things done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Keep the build directory of failed builds.
    pub keep_failed: bool,
    /// Go on with what does not depend on a failure.
    pub keep_going: bool,
    /// Build what could not be fetched.
    pub fallback: bool,
    /// Up to which level it wants messages.
    pub verbosity: Level,
    /// How many builds at a time.
    pub max_jobs: u64,
    /// How long a build may be silent, in seconds; 0 for no limit.
    pub max_silent_time: u64,
    /// Whether it shows the logs of builds.
    pub verbose_build: bool,
    /// Cores for each build; 0 for all.
    pub cores: u64,
    /// Fetch what can be fetched.
    pub substitute: bool,
    /// Other settings, by name.
    pub overrides: BTreeMap<String, String>,
}

impl ClientOptions {
    /// What the settings of this process say.
    #[must_use]
    pub fn from_settings(settings: &Settings, verbosity: Level, verbose_build: bool) -> Self {
        let overrides = settings
            .overridden()
            .filter(|(name, _)| FORWARDED.contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            keep_failed: settings.bool("keep-failed"),
            keep_going: settings.bool("keep-going"),
            fallback: settings.bool("fallback"),
            verbosity,
            max_jobs: settings.number("max-jobs"),
            max_silent_time: settings.number("max-silent-time"),
            verbose_build,
            cores: settings.number("cores"),
            substitute: settings.bool("substitute"),
            overrides,
        }
    }

    /// The values of the settings that are not among the overrides.
    #[must_use]
    pub fn direct(&self) -> [(&'static str, String); 7] {
        [
            ("keep-failed", self.keep_failed.to_string()),
            ("keep-going", self.keep_going.to_string()),
            ("fallback", self.fallback.to_string()),
            ("max-jobs", self.max_jobs.min(u64::from(u32::MAX)).to_string()),
            ("max-silent-time", self.max_silent_time.to_string()),
            ("cores", self.cores.to_string()),
            ("substitute", self.substitute.to_string()),
        ]
    }
}

/// What is known of a path that could be fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubstitutableInfo {
    /// The derivation that it was built from, if known.
    pub deriver: Option<StorePath>,
    /// What it refers to.
    pub references: BTreeSet<StorePath>,
    /// Bytes to download.
    pub download_size: u64,
    /// Bytes of its NAR.
    pub nar_size: u64,
}

/// A store that builds, fetches and collects by itself. Trust in whoever asks is the caller's business, but for
/// what takes it as an argument.
pub trait ManagedStore: Send + Sync {
    /// The store itself.
    fn store(&self) -> &dyn Store;

    /// Whether it trusts this process, if it knows.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn trusts_us(&self) -> Result<Option<bool>>;

    /// The version of the program that looks after it, if it tells.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn version(&self) -> Result<Option<String>>;

    /// The versions of the protocol that the other side and this one speak best, if there is a protocol.
    ///
    /// # Errors
    /// If it cannot be reached.
    fn protocol_version(&self) -> Result<Option<(String, String)>> {
        Ok(None)
    }

    /// Takes a client's wishes. Those of an untrusted client are kept only as far as they can do no harm.
    ///
    /// # Errors
    /// If a wish makes no sense.
    fn set_options(&self, options: &ClientOptions, trusted: bool) -> Result<()>;

    /// Has all of `wanted`, and tells what came of each.
    ///
    /// # Errors
    /// If the store fails; a failed build is a result.
    fn build(&self, wanted: &[DerivedPath], mode: BuildMode) -> Result<Vec<KeyedResult>>;

    /// Builds a derivation that need not be in the store; its inputs are its input sources.
    ///
    /// # Errors
    /// If the store fails; a failed build is a result.
    fn build_derivation(
        &self,
        path: &StorePath,
        drv: &Derivation,
        mode: BuildMode,
    ) -> Result<BuildResult>;

    /// What would have to be done to have all of `wanted`.
    ///
    /// # Errors
    /// If the store fails.
    fn query_missing(&self, wanted: &[DerivedPath]) -> Result<Missing>;

    /// Makes a path valid, by fetching it if need be.
    ///
    /// # Errors
    /// If it cannot be had.
    fn ensure_path(&self, path: &StorePath) -> Result<()>;

    /// What could be fetched of `paths`.
    ///
    /// # Errors
    /// If the store fails.
    fn query_substitutable(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, SubstitutableInfo>>;

    /// Those of `paths` that are valid; with `substitute`, after fetching those that can be.
    ///
    /// # Errors
    /// If the store fails.
    fn query_valid(
        &self,
        paths: &BTreeSet<StorePath>,
        substitute: bool,
    ) -> Result<BTreeSet<StorePath>>;

    /// Adds a path whose references are valid. With `check`, it must be content-addressed or have a signature by a
    /// key that the store trusts, if the store demands that.
    ///
    /// # Errors
    /// If it is not what it should be.
    fn add_to_store(
        &self,
        info: &PathInfo,
        nar: &mut (dyn Read + Send),
        repair: Repair,
        check: bool,
    ) -> Result<()>;

    /// Whether a realisation has a signature by a key that the store trusts, if it demands one.
    ///
    /// # Errors
    /// If the store fails.
    fn trusts_realisation(&self, realisation: &Realisation) -> Result<bool>;

    /// Adds paths, each after what it refers to.
    ///
    /// # Errors
    /// If one is not what it should be; those before it are valid then.
    fn add_multiple(
        &self,
        infos: &[PathInfo],
        nars: &NarSource<'_>,
        repair: Repair,
        check: bool,
    ) -> Result<()> {
        for info in infos {
            if repair == Repair::No && self.store().is_valid(&info.path)? {
                continue;
            }
            crate::pipe::pipe(
                |sink| nars(info, sink).map_err(Error::from),
                |source| self.add_to_store(info, source, repair, check),
            )?;
        }
        Ok(())
    }

    /// Checks the store, and puts right what can be; whether errors remain.
    ///
    /// # Errors
    /// If that is not supported, or the check cannot be done.
    fn verify_store(&self, check_contents: bool, repair: Repair) -> Result<bool>;

    /// Collects garbage, keeping what the client's options say.
    ///
    /// # Errors
    /// If that is not supported, or something cannot be deleted.
    fn collect(&self, options: &GcOptions) -> Result<GcResults> {
        Ok(self.store().collect_garbage(options)?)
    }
}
