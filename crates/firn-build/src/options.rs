//! How to build: plain data, mostly from the settings.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use firn_fetch::FetchSettings;
use firn_model::derivation::Kind;
use firn_store::{Settings, Store};

use crate::error::Failure;
use crate::executor::Executor;
use crate::hook::BuildHook;
use crate::recursive::{FEATURE, RecursiveNix};
use crate::sandbox::Launcher;
use crate::substitute::Substituter;

/// `sandbox`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxMode {
    /// Every build.
    On,
    /// Every build but fixed outputs and those that ask not to be (`__noChroot`).
    Relaxed,
    /// None.
    Off,
}

/// What a build is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To have the outputs.
    Normal,
    /// To see whether valid outputs come out the same again (`--check`).
    Check,
    /// To replace outputs whose contents are not what they were (`--repair`).
    Repair,
}

/// A path of the host that every sandbox has (`sandbox-paths`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPath {
    /// Where it appears.
    pub target: PathBuf,
    /// What it is on the host.
    pub source: PathBuf,
    /// Whether it may be absent.
    pub optional: bool,
    /// Whether it cannot be written.
    pub read_only: bool,
}

/// Numbers of users without accounts (`start-id`, `id-count`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidPool {
    /// The first.
    pub start: u32,
    /// How many there are.
    pub count: u32,
}

/// A program that builds in place of this one (`external-builders`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalBuilder {
    /// The systems that it builds for.
    pub systems: BTreeSet<String>,
    /// The program.
    pub program: PathBuf,
    /// Its first arguments; the last is a file that says what to build.
    pub args: Vec<String>,
}

impl ExternalBuilder {
    /// Reads the setting, a JSON list of objects with `systems`, `program` and `args`. What makes no sense is
    /// left out, so that nothing is built by it.
    #[must_use]
    pub fn parse(text: &str) -> Vec<Self> {
        let Ok(serde_json::Value::Array(list)) = serde_json::from_str(text) else {
            return Vec::new();
        };
        let words = |value: &serde_json::Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let one = |value: &serde_json::Value| {
            Some(Self {
                systems: words(value.get("systems")?)?.into_iter().collect(),
                program: value.get("program")?.as_str()?.into(),
                args: value.get("args").map_or(Some(Vec::new()), words)?,
            })
        };
        list.iter().filter_map(one).collect()
    }
}

/// The name of the cgroup that a daemon moves itself into, so that those of builds can be beside it.
pub const DAEMON_CGROUP: &str = "nix-daemon";

/// How to build.
#[derive(Clone)]
pub struct BuildOptions {
    /// What for.
    pub mode: Mode,
    /// How many builders may run at a time; 0 allows none.
    pub max_jobs: usize,
    /// How many paths are fetched at a time.
    pub max_substitution_jobs: usize,
    /// `NIX_BUILD_CORES`; 0 means all of this machine's.
    pub cores: usize,
    /// Go on with what does not depend on a failure.
    pub keep_going: bool,
    /// Keep the build directory of failed builds.
    pub keep_failed: bool,
    /// Build what could not be fetched.
    pub fallback: bool,
    /// How long a build may take; zero for no limit.
    pub timeout: Duration,
    /// How long a build may be silent; zero for no limit.
    pub max_silent_time: Duration,
    /// How long a log may be, in bytes; 0 for no limit.
    pub max_log_size: u64,
    /// How many lines of a failed build's log its error shows.
    pub log_lines: usize,
    /// Whether the user sees the logs anyway, so that errors need not repeat them.
    pub verbose_logs: bool,
    /// Keep logs.
    pub keep_log: bool,
    /// Compress them.
    pub compress_log: bool,
    /// `sandbox`
    pub sandbox: SandboxMode,
    /// Build without a sandbox where the machine has none.
    pub sandbox_fallback: bool,
    /// `sandbox-paths`
    pub sandbox_paths: Vec<SandboxPath>,
    /// Where a build's directory appears in the sandbox.
    pub sandbox_build_dir: PathBuf,
    /// Size of `/dev/shm` in the sandbox.
    pub shm_size: String,
    /// Install the system call filter.
    pub filter_syscalls: bool,
    /// Fail where a builder would keep the groups of this process.
    pub must_drop_groups: bool,
    /// Let set-id programs work.
    pub allow_new_privileges: bool,
    /// Claim to be Linux 2.6.
    pub impersonate_linux_26: bool,
    /// The group whose members builds run as; empty for none.
    pub build_users_group: String,
    /// Numbers of users that builds run as in place of that group's members (`auto-allocate-uids`).
    pub uid_pool: Option<UidPool>,
    /// Run each sandboxed build in a cgroup of its own (`use-cgroups`).
    pub use_cgroups: bool,
    /// Where build directories are made; by default `builds` in the store's state.
    pub build_dir: Option<PathBuf>,
    /// What this machine is.
    pub system: String,
    /// What else it can run.
    pub extra_platforms: BTreeSet<String>,
    /// What builds may ask for.
    pub system_features: BTreeSet<String>,
    /// Host paths that a derivation may ask for (`allowed-impure-host-deps`).
    pub allowed_host_paths: Vec<PathBuf>,
    /// Experimental features that are on.
    pub features: BTreeSet<String>,
    /// `impure-env`
    pub impure_env: Vec<(String, String)>,
    /// A program that says which more paths the sandbox of a build has.
    pub pre_build_hook: Option<PathBuf>,
    /// A program to run after each build.
    pub post_build_hook: Option<PathBuf>,
    /// A program that shows how the outputs of a check differ.
    pub diff_hook: Option<PathBuf>,
    /// Programs that build in place of this one, for systems that this machine is not.
    pub external_builders: Vec<ExternalBuilder>,
    /// Files with keys to sign outputs with.
    pub secret_key_files: Vec<PathBuf>,
    /// Serves builders that use the store themselves; `None` where the feature is off.
    pub recursive: Option<Arc<dyn RecursiveNix>>,
    /// Builds on other machines; `None` for none.
    pub hook: Option<Arc<dyn BuildHook>>,
    /// Clusters that run builders; empty for none.
    pub executors: Vec<Arc<dyn Executor>>,
    /// The store that evaluation wrote derivations to, if it is another.
    pub eval_store: Option<Arc<dyn Store>>,
    /// Where paths can be had without building; `None` for nowhere.
    pub substituter: Option<Arc<dyn Substituter>>,
    /// Ask it even for derivations that would rather be built (`always-allow-substitutes`).
    pub always_allow_substitutes: bool,
    /// How to download (for `builtin:fetchurl`).
    pub fetch: FetchSettings,
    /// `hashed-mirrors`
    pub hashed_mirrors: Vec<String>,
    /// How the sandbox's guard process is started.
    pub launcher: Launcher,
    /// Set by whoever wants everything to stop.
    pub cancel: Arc<AtomicBool>,
}

impl std::fmt::Debug for BuildOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildOptions")
            .field("mode", &self.mode)
            .field("max_jobs", &self.max_jobs)
            .field("cores", &self.cores)
            .field("sandbox", &self.sandbox)
            .finish_non_exhaustive()
    }
}

impl BuildOptions {
    /// What the settings say. Downloads use the host's certificates and mirrors.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        let seconds = |name| Duration::from_secs(settings.number(name));
        let path = |name: &str| match settings.text(name) {
            "" => None,
            text => Some(PathBuf::from(text)),
        };
        let limit = |d: Duration| (!d.is_zero()).then_some(d);
        let number = |name| usize::try_from(settings.number(name)).unwrap_or(usize::MAX);
        let mut fetch = FetchSettings::from_host();
        if let Some(file) = path("ssl-cert-file") {
            fetch.ca_file = Some(file);
        }
        fetch.connect_timeout = limit(seconds("connect-timeout"));
        fetch.stalled_timeout = limit(seconds("stalled-download-timeout"));
        fetch.http2 = settings.bool("http2");
        // it is in KiB
        let speed = settings.number("download-speed").saturating_mul(1024);
        fetch.download_speed = (speed > 0).then_some(speed);
        fetch.attempts = u32::try_from(settings.number("download-attempts")).unwrap_or(u32::MAX);
        settings.text("user-agent-suffix").clone_into(&mut fetch.user_agent_suffix);
        if let Some(file) = path("netrc-file") {
            fetch = fetch.with_netrc(&file);
        }
        let mut sandbox_paths: Vec<SandboxPath> =
            settings.words("sandbox-paths").iter().map(|w| SandboxPath::parse(w)).collect();
        if !sandbox_paths.iter().any(|p| p.target.as_os_str() == "/bin/sh") {
            sandbox_paths.extend(SandboxPath::shell());
        }
        Self {
            mode: Mode::Normal,
            max_jobs: number("max-jobs"),
            max_substitution_jobs: number("max-substitution-jobs").max(1),
            cores: number("cores"),
            keep_going: settings.bool("keep-going"),
            keep_failed: settings.bool("keep-failed"),
            fallback: settings.bool("fallback"),
            timeout: seconds("timeout"),
            max_silent_time: seconds("max-silent-time"),
            max_log_size: settings.number("max-build-log-size"),
            log_lines: number("log-lines"),
            verbose_logs: false,
            keep_log: settings.bool("keep-build-log"),
            compress_log: settings.bool("compress-build-log"),
            sandbox: match settings.text("sandbox") {
                "relaxed" => SandboxMode::Relaxed,
                "false" | "no" | "0" => SandboxMode::Off,
                _ => SandboxMode::On,
            },
            // On by default for others; here only who asks for it goes without a sandbox unawares.
            sandbox_fallback: settings
                .overridden()
                .any(|(name, value)| name == "sandbox-fallback" && value == "true"),
            sandbox_paths,
            sandbox_build_dir: settings.text("sandbox-build-dir").into(),
            shm_size: settings.text("sandbox-dev-shm-size").to_owned(),
            filter_syscalls: settings.bool("filter-syscalls"),
            // Only root can give them up, so nobody else has to unless they say so.
            must_drop_groups: settings.bool("require-drop-supplementary-groups")
                && (rustix::process::geteuid().is_root()
                    || settings
                        .overridden()
                        .any(|(name, _)| name == "require-drop-supplementary-groups")),
            allow_new_privileges: settings.bool("allow-new-privileges"),
            impersonate_linux_26: settings.bool("impersonate-linux-26"),
            build_users_group: settings.text("build-users-group").to_owned(),
            uid_pool: (settings.bool("auto-allocate-uids")
                && settings.has_feature("auto-allocate-uids"))
            .then(|| {
                let number = |name| u32::try_from(settings.number(name)).unwrap_or(0);
                UidPool { start: number("start-id"), count: number("id-count") }
            }),
            use_cgroups: settings.bool("use-cgroups"),
            build_dir: path("build-dir"),
            system: settings.system().to_owned(),
            extra_platforms: settings.words("extra-platforms").into_iter().collect(),
            system_features: settings
                .words("system-features")
                .into_iter()
                .chain(settings.has_feature(FEATURE).then(|| FEATURE.to_owned()))
                .collect(),
            allowed_host_paths: settings
                .words("allowed-impure-host-deps")
                .into_iter()
                .map(PathBuf::from)
                .collect(),
            features: settings.words("experimental-features").into_iter().collect(),
            impure_env: settings
                .words("impure-env")
                .iter()
                .filter_map(|w| w.split_once('='))
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
            pre_build_hook: path("pre-build-hook"),
            post_build_hook: path("post-build-hook"),
            diff_hook: path("diff-hook").filter(|_| settings.bool("run-diff-hook")),
            external_builders: ExternalBuilder::parse(settings.text("external-builders")),
            secret_key_files: settings
                .words("secret-key-files")
                .into_iter()
                .map(PathBuf::from)
                .collect(),
            recursive: None,
            hook: None,
            executors: Vec::new(),
            eval_store: None,
            substituter: None,
            always_allow_substitutes: settings.bool("always-allow-substitutes"),
            fetch,
            hashed_mirrors: settings.words("hashed-mirrors"),
            launcher: Launcher::default(),
            cancel: Arc::default(),
        }
    }

    /// Whether an experimental feature is on.
    #[must_use]
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.contains(name)
    }

    /// Whether builders may run on other machines.
    pub(crate) fn builds_elsewhere(&self) -> bool {
        self.hook.is_some() || !self.executors.is_empty()
    }

    /// The program that builds for `system` in place of this one.
    pub(crate) fn external_builder(&self, system: &str) -> Option<&ExternalBuilder> {
        if !self.has_feature("external-builders") {
            return None;
        }
        self.external_builders.iter().find(|builder| builder.systems.contains(system))
    }

    /// Whether derivations with outputs of this kind, whose paths are not known, can be built.
    pub(crate) fn need_features(&self, kind: Kind) -> Result<(), Failure> {
        let needed = match kind {
            Kind::Impure => &["ca-derivations", "impure-derivations"][..],
            _ => &["ca-derivations"][..],
        };
        match needed.iter().find(|name| !self.has_feature(name)) {
            None => Ok(()),
            Some(name) => Err(Failure::misc(firn_store::Error::FeatureOff(name))),
        }
    }

    /// The number of cores that a builder is told to use.
    #[must_use]
    pub fn effective_cores(&self) -> usize {
        match self.cores {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cores => cores,
        }
    }
}

impl SandboxPath {
    /// Parses a word of `sandbox-paths`: `TARGET`, `TARGET=SOURCE`, each with `?` behind it if the
    /// source may be absent.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        let (word, optional) = match word.strip_suffix('?') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let (target, source) = word.split_once('=').unwrap_or((word, word));
        Self { target: target.into(), source: source.into(), optional, read_only: false }
    }

    /// A `/bin/sh` for derivations that count on one: the host's static busybox, if it has one.
    #[must_use]
    pub fn shell() -> Option<Self> {
        ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/lib/busybox/bin/busybox"]
            .iter()
            .map(PathBuf::from)
            .find(|path| is_static(path))
            .map(|source| Self {
                target: "/bin/sh".into(),
                source,
                optional: false,
                read_only: true,
            })
    }
}

/// Whether a program runs without a loader: an ELF file without an interpreter.
#[must_use]
pub fn is_static(path: &std::path::Path) -> bool {
    const PT_INTERP: u32 = 3;
    let Ok(data) = std::fs::read(path) else { return false };
    let Some(b"\x7fELF\x02\x01") = data.get(..6) else { return false };
    let u16_at = |at: usize| Some(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(data.get(at..at + 8)?.try_into().ok()?));
    let (Some(table), Some(size), Some(count)) = (u64_at(32), u16_at(54), u16_at(56)) else {
        return false;
    };
    let Ok(table) = usize::try_from(table) else { return false };
    (0..usize::from(count)).all(|n| {
        table
            .checked_add(n * usize::from(size))
            .and_then(u32_at)
            .is_some_and(|kind| kind != PT_INTERP)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_builders_are_a_list_of_objects() {
        let text =
            r#"[{"systems": ["a", "b"], "program": "/p", "args": ["x"]}, {"program": "/q"}]"#;
        let found = ExternalBuilder::parse(text);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].program.as_path(), found[0].args.len()), ("/p".as_ref(), 1));
        assert!(ExternalBuilder::parse("{").is_empty());
    }

    #[test]
    fn sandbox_paths_have_targets_and_sources() {
        let path = SandboxPath::parse("/bin/sh=/opt/sh?");
        assert_eq!(path.target, PathBuf::from("/bin/sh"));
        assert_eq!(path.source, PathBuf::from("/opt/sh"));
        assert!(path.optional);
        assert_eq!(SandboxPath::parse("/x").source, PathBuf::from("/x"));
    }
}
