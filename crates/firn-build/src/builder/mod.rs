//! One build, from a derivation whose inputs are valid to registered outputs.
//!
//! In order: locks on the outputs, a last look whether somebody else was faster, an account, a
//! private build directory, the environment, the sandbox's root, the builder itself with its log
//! and time limits, then [`outputs`].

mod checks;
pub(crate) mod environment;
mod log;
mod outputs;
mod sandboxed;
mod structured;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firn_event::{ActivityKind, Field, Level, Logger};
use firn_model::derivation::{Derivation, Kind, Output};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::StorePath;
use firn_store::fs::delete_path;
use firn_store::fs::lock::PathLocks;
use firn_store::{ClosureOptions, LocalStore, Store};

use self::environment::{Rewrites, environment, placeholder, write_file};
use self::log::{BuildLog, LogFile};
use self::outputs::{Registration, Wanted};
use self::users::{Acquired, UserLock};
use crate::builtin::{BuiltinSpec, Context};
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::options::{BuildOptions, Mode, SandboxMode};
use crate::sandbox::spec::{Builder, Spec};
use crate::sandbox::{Exit, Running, Started, support};

/// How often waiting builds look around.
const POLL: Duration = Duration::from_millis(100);

/// What a build gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    /// Whether the builder ran, or the outputs were there already.
    pub built: bool,
    /// All outputs.
    pub outputs: BTreeMap<String, StorePath>,
}

/// One build.
pub(crate) struct Job<'a> {
    pub store: &'a LocalStore,
    pub options: &'a BuildOptions,
    pub logger: &'a Logger,
    /// The activity that it is part of.
    pub parent: u64,
    pub drv_path: &'a StorePath,
    pub drv: &'a Derivation,
    /// Set when the scheduler gives up, besides the user's own flag.
    pub stop: &'a AtomicBool,
}

/// A tree that goes away with this.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nobody can reach it while it goes, not even through a descriptor of a directory below it.
        let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o000));
        let _ = delete_path(&self.0);
    }
}

/// What stays while the builder runs.
struct Prepared {
    spec: Spec,
    outputs: BTreeMap<String, Wanted>,
    inputs: BTreeSet<StorePath>,
    build_dir: PathBuf,
    top_dir: Option<Temporary>,
    root: Option<Temporary>,
    user: Option<UserLock>,
}

/// How long a builder may go on after it has closed its log.
const END_OF_BUILDER: Duration = Duration::from_secs(1);

/// How the log of a builder ended.
enum LogEnd {
    /// Nobody has it open any more.
    Closed,
    /// The builder has ended; a process that it started may still have the log open.
    BuilderGone,
}

impl Job<'_> {
    fn print(&self, path: &StorePath) -> String {
        self.store.store_dir().print(path)
    }

    fn check_stop(&self) -> Result<(), Failure> {
        if self.stop.load(Ordering::Relaxed) || self.options.cancel.load(Ordering::Relaxed) {
            return Err(Failure::new(FailureKind::Interrupted, "interrupted by the user"));
        }
        Ok(())
    }

    /// Builds. The inputs must be valid.
    pub fn run(&self) -> Result<Built, Failure> {
        self.store.add_temp_root(self.drv_path)?;
        let drv_options = DrvOptions::parse(self.drv, self.store.store_dir()).map_err(|f| {
            let message =
                format!("while parsing derivation '{}': {}", self.print(self.drv_path), f.message);
            Failure::new(f.kind, message)
        })?;
        self.check_fits(&drv_options)?;
        let paths = self.output_paths()?;
        for path in paths.values() {
            self.store.add_temp_root(path)?;
        }
        let mut locks = self.lock(&paths)?;
        let valid = self.valid_outputs(&paths)?;
        if self.options.mode == Mode::Normal && valid.len() == paths.len() {
            locks.set_removal(true);
            return Ok(Built { built: false, outputs: paths });
        }
        for (name, path) in &paths {
            if !valid.contains(name) {
                delete_path(&self.store.real_path(path))?;
            }
        }
        let prepared = self.prepare(&drv_options, &paths, &valid)?;
        let outputs = self.build(prepared, &drv_options)?;
        self.post_build_hook(&outputs);
        locks.set_removal(true);
        Ok(Built { built: true, outputs })
    }

    /// Whether this machine can build it.
    fn check_fits(&self, drv_options: &DrvOptions) -> Result<(), Failure> {
        let options = self.options;
        let system = self.drv.system.to_string();
        let builtin = self.drv.builder.starts_with(b"builtin:");
        let mut reasons = String::new();
        if !builtin && system != options.system && !options.extra_platforms.contains(&system) {
            reasons.push_str(&format!(
                "\nReason: platform mismatch\nRequired system: '{system}'\nCurrent system: '{}'",
                options.system
            ));
        }
        let required = &drv_options.required_features;
        if !required.is_subset(&options.system_features) {
            let list = |set: &BTreeSet<String>| {
                set.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            };
            reasons.push_str(&format!(
                "\nReason: missing system features\nRequired features: {{{}}}\nAvailable features: {{{}}}",
                list(required),
                list(&options.system_features)
            ));
        }
        if required.contains("uid-range") && reasons.is_empty() {
            reasons = "\nReason: the feature 'uid-range' is not supported by this version".into();
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::InputRejected,
            format!("Cannot build '{}'.{reasons}", self.print(self.drv_path)),
        ))
    }

    fn output_paths(&self) -> Result<BTreeMap<String, StorePath>, Failure> {
        let known = self.drv.output_paths(self.store.store_dir())?;
        known
            .into_iter()
            .map(|(name, path)| match path {
                Some(path) => Ok((name, path)),
                None => Err(Failure::new(
                    FailureKind::InputRejected,
                    format!(
                        "the path of output '{name}' of derivation '{}' is not known before the build; such derivations cannot be built by this version",
                        self.print(self.drv_path)
                    ),
                )),
            })
            .collect()
    }

    fn valid_outputs(
        &self,
        paths: &BTreeMap<String, StorePath>,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut valid = BTreeSet::new();
        for (name, path) in paths {
            if self.store.is_valid(path)? {
                valid.insert(name.clone());
            }
        }
        Ok(valid)
    }

    /// Takes the locks of all outputs, waiting for other processes that build the same.
    fn lock(&self, paths: &BTreeMap<String, StorePath>) -> Result<PathLocks, Failure> {
        let files: Vec<PathBuf> = paths.values().map(|p| self.store.real_path(p)).collect();
        let mut activity = None;
        loop {
            if let Some(locks) = PathLocks::try_lock(files.iter().map(PathBuf::as_path))? {
                return Ok(locks);
            }
            if activity.is_none() {
                let list: Vec<String> =
                    files.iter().map(|f| format!("'{}'", f.display())).collect();
                activity = Some(self.logger.start(
                    ActivityKind::BuildWaiting,
                    Level::Warn,
                    format!("waiting for lock on {}", list.join(", ")),
                    vec![],
                    self.parent,
                ));
            }
            self.check_stop()?;
            std::thread::sleep(POLL);
        }
    }

    fn acquire_user(&self) -> Result<Option<UserLock>, Failure> {
        let mut activity = None;
        loop {
            let state = &self.store.layout().state_dir;
            match users::acquire(state, &self.options.build_users_group)? {
                Acquired::User(user) => return Ok(Some(user)),
                Acquired::NotConfigured => return Ok(None),
                Acquired::Busy => {}
            }
            if activity.is_none() {
                activity = Some(self.logger.start(
                    ActivityKind::BuildWaiting,
                    Level::Warn,
                    format!("waiting for a free build user ID for '{}'", self.print(self.drv_path)),
                    vec![],
                    self.parent,
                ));
            }
            self.check_stop()?;
            std::thread::sleep(POLL);
        }
    }

    /// The closure of the inputs, which the builder may see.
    fn input_closure(&self) -> Result<BTreeSet<StorePath>, Failure> {
        let mut start = self.drv.input_srcs.clone();
        for (input, wanted) in &self.drv.input_drvs {
            let outputs =
                self.store.read_derivation(input)?.output_paths(self.store.store_dir())?;
            for name in &wanted.outputs {
                match outputs.get(name) {
                    Some(Some(path)) => {
                        start.insert(path.clone());
                    }
                    _ => {
                        return Err(Failure::misc(format!(
                            "derivation '{}' requires non-existent output '{name}' from input derivation '{}'",
                            self.print(self.drv_path),
                            self.print(input)
                        )));
                    }
                }
            }
        }
        Ok(self.store.compute_closure(&start, ClosureOptions::default())?)
    }

    /// Whether this build is sandboxed. Fails where it must be and cannot.
    fn wants_sandbox(&self, drv_options: &DrvOptions) -> Result<bool, Failure> {
        let options = self.options;
        let pure = !matches!(self.drv.kind()?, Kind::Fixed | Kind::Impure);
        let chroot_store = self.store.layout().is_chroot();
        let wants = match options.sandbox {
            SandboxMode::On if drv_options.no_sandbox => {
                return Err(Failure::misc(format!(
                    "derivation '{}' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'",
                    self.print(self.drv_path)
                )));
            }
            SandboxMode::On => true,
            SandboxMode::Off => false,
            SandboxMode::Relaxed => pure && !drv_options.no_sandbox,
        };
        if !wants && !chroot_store {
            return Ok(false);
        }
        if support(&options.launcher).namespaces {
            return Ok(true);
        }
        if chroot_store {
            return Err(Failure::misc(format!(
                "builds in a store whose contents are elsewhere ('{}' holds '{}') need kernel namespaces, which this system does not grant; check /proc/sys/user/max_user_namespaces",
                self.store.layout().real_store_dir.display(),
                self.store.store_dir().as_str()
            )));
        }
        if options.sandbox_fallback {
            self.logger.message(
                Level::Debug,
                "auto-disabling sandboxing because the prerequisite namespaces are not available",
            );
            return Ok(false);
        }
        Err(Failure::misc(
            "this system does not support the kernel namespaces that are required for sandboxing; use '--no-sandbox' to disable sandboxing",
        ))
    }

    fn prepare(
        &self,
        drv_options: &DrvOptions,
        paths: &BTreeMap<String, StorePath>,
        valid: &BTreeSet<String>,
    ) -> Result<Prepared, Failure> {
        let (store, options) = (self.store, self.options);
        let sandboxed = self.wants_sandbox(drv_options)?;
        let inputs = self.input_closure()?;
        let user = self.acquire_user()?;
        let owner = user.as_ref().map(|u| (u.user.uid, u.user.gid));

        let parent = match &options.build_dir {
            Some(dir) => dir.clone(),
            None => store.layout().state_dir.join("builds"),
        };
        fs::create_dir_all(&parent)
            .map_err(io(format!("creating directory '{}'", parent.display())))?;
        if let (Some(_), Some(open)) = (&user, environment::world_writable(&parent)) {
            return Err(Failure::misc(format!(
                "Path \"{}\" is world-writable or a symlink. That's not allowed for security.",
                open.display()
            )));
        }
        let top_dir = Temporary(private_directory(&parent)?);
        // In a sandbox, the builder's own directory is below one that nobody outside can enter.
        let build_dir = if sandboxed {
            let dir = top_dir.0.join("build");
            DirBuilder::new()
                .mode(0o700)
                .create(&dir)
                .map_err(io(format!("creating directory '{}'", dir.display())))?;
            dir
        } else {
            top_dir.0.clone()
        };
        if let Some((uid, gid)) = owner {
            chown(&build_dir, Some(uid), Some(gid))
                .map_err(io(format!("changing owner of '{}'", build_dir.display())))?;
        }
        let seen_dir = if sandboxed { &options.sandbox_build_dir } else { &build_dir };

        let mut outputs = BTreeMap::new();
        let mut rewrites = Rewrites::default();
        for (name, path) in paths {
            let taken = valid.contains(name) && !sandboxed;
            let scratch = if taken { self.scratch_path(path)? } else { path.clone() };
            let real = store.real_path(&scratch);
            if taken {
                delete_path(&real)?;
                let pair = (path.hash_part().into(), scratch.hash_part().into());
                rewrites.0.push(pair);
            }
            rewrites.0.push((placeholder(name).into(), self.print(&scratch).into()));
            outputs.insert(
                name.clone(),
                Wanted { path: path.clone(), scratch, actual: real, valid: valid.contains(name) },
            );
        }
        let env = environment(store, self.drv, drv_options, &inputs, options, seen_dir, &rewrites)?;
        for (name, contents) in &env.files {
            write_file(&build_dir, name, contents, owner)?;
        }
        let builder = self.builder(&outputs, &rewrites, drv_options)?;
        let (root, namespaces) = if sandboxed {
            let (root, namespaces) =
                self.sandbox(drv_options, &inputs, &mut outputs, &build_dir, user.as_ref())?;
            (Some(root), Some(namespaces))
        } else {
            if Path::new("/homeless-shelter").symlink_metadata().is_ok() {
                return Err(Failure::misc(
                    "home directory '/homeless-shelter' exists; please remove it to assure purity of builds without sandboxing",
                ));
            }
            (None, None)
        };
        let spec = Spec {
            builder,
            env: env.variables.iter().map(|(n, v)| ((&**n).into(), (&**v).into())).collect(),
            cwd: seen_dir.clone(),
            namespaces,
            user: user.as_ref().map(|u| u.user.clone()),
            filter_syscalls: options.filter_syscalls,
            allow_new_privileges: options.allow_new_privileges,
            system: self.drv.system.to_string(),
            impersonate_linux_26: options.impersonate_linux_26,
        };
        Ok(Prepared { spec, outputs, inputs, build_dir, top_dir: Some(top_dir), root, user })
    }

    /// A path that stands for `path` while that is taken by valid contents.
    fn scratch_path(&self, path: &StorePath) -> Result<StorePath, Failure> {
        let kind = format!("rewrite:{}:{}", self.drv_path.base_name(), path.base_name());
        let zero = Hash::from_bytes(HashAlgo::Sha256, &[0; 32]).map_err(Failure::misc)?;
        Ok(self.store.store_dir().make_path(&kind, &zero, path.name())?)
    }

    fn builder(
        &self,
        outputs: &BTreeMap<String, Wanted>,
        rewrites: &Rewrites,
        drv_options: &DrvOptions,
    ) -> Result<Builder, Failure> {
        if !self.drv.builder.starts_with(b"builtin:") {
            let name = environment::program_name(self.drv.builder.as_ref());
            let args = self.drv.args.iter().map(|arg| (&rewrites.apply(arg)).into());
            return Ok(Builder::Program {
                path: (&**self.drv.builder).into(),
                args: std::iter::once(name.into()).chain(args).collect(),
            });
        }
        let places = outputs.iter().map(|(n, w)| (n.clone(), self.print(&w.scratch))).collect();
        let fixed = self.drv.outputs.get("out").and_then(|output| match output {
            Output::Fixed(ca) => {
                Some((ca.hash, ca.method == firn_model::content_address::Method::Flat))
            }
            _ => None,
        });
        let env = match &drv_options.structured {
            Some(attrs) => plain_env(attrs),
            None => self.drv.env.clone(),
        };
        let context = Context {
            env: &env,
            outputs: &places,
            fixed,
            store_dir: self.store.store_dir().as_str(),
            cores: self.options.effective_cores(),
            fetch: &self.options.fetch,
            hashed_mirrors: &self.options.hashed_mirrors,
        };
        let spec = BuiltinSpec::prepare(&self.drv.builder, &context).map_err(|e| {
            Failure::new(
                FailureKind::Permanent,
                format!("Cannot build '{}'.\nReason: {e}.", self.print(self.drv_path)),
            )
        })?;
        Ok(Builder::Builtin(Box::new(spec)))
    }

    fn build(
        &self,
        mut prepared: Prepared,
        drv_options: &DrvOptions,
    ) -> Result<BTreeMap<String, StorePath>, Failure> {
        let options = self.options;
        let shown = self.print(self.drv_path);
        let verb = match options.mode {
            Mode::Normal => "building",
            Mode::Check => "checking outputs of",
        };
        let activity = self.logger.start(
            ActivityKind::Build,
            Level::Info,
            format!("{verb} '{shown}'"),
            vec![
                Field::Text(shown.clone()),
                Field::Text(String::new()),
                Field::Int(1),
                Field::Int(1),
            ],
            self.parent,
        );
        let log_file = if options.keep_log {
            let path = self.store.layout().log_file(self.drv_path);
            LogFile::create(path.clone(), options.compress_log)
                .map_err(io(format!("creating log file '{}'", path.display())))?
        } else {
            LogFile::none()
        };
        let mut log = BuildLog::new(activity, self.logger.clone(), log_file, options.log_lines);

        let builder = String::from_utf8_lossy(&self.drv.builder);
        self.logger.message(Level::Chatty, format!("executing builder '{builder}'"));
        let (reader, writer) = io::pipe().map_err(io("making a pipe for the log"))?;
        let mut running = options
            .launcher
            .start(&prepared.spec, writer.into())
            .map_err(io("starting the sandbox's guard process"))?;
        match running.started().map_err(io("waiting for the sandbox"))? {
            Started::Yes => {}
            Started::No(why) => {
                return Err(Failure::misc(format!(
                    "while setting up the build environment for '{shown}': {why}"
                )));
            }
        }
        let watched = self.watch(&running, reader, &mut log);
        match watched {
            Ok(LogEnd::BuilderGone) => {}
            // A builder that has closed its log is over, whatever it still does. Many programs close it as the
            // last thing before they end, though, and are given the time for that.
            Ok(LogEnd::Closed) if running.ends_within(END_OF_BUILDER) => {}
            Ok(LogEnd::Closed) | Err(_) => running.kill(),
        }
        let exit = running.wait().map_err(io("waiting for the builder"));
        let tail = log.finish();
        let result = watched.and(exit).and_then(|exit| match exit {
            Exit::Code(0) => Registration {
                store: self.store,
                logger: self.logger,
                options,
                drv_path: self.drv_path,
                drv: self.drv,
                drv_options,
                inputs: &prepared.inputs,
                outputs: &prepared.outputs,
                build_uid: prepared.user.as_ref().map(|u| u.user.uid),
            }
            .run(),
            exit => Err(self.builder_failed(exit, &tail, &prepared)),
        });
        if result.is_err() {
            self.keep_failed(&mut prepared);
        }
        for wanted in prepared.outputs.values().filter(|w| w.scratch != w.path) {
            delete_path(&self.store.real_path(&wanted.scratch))?;
        }
        drop(prepared.root);
        drop(prepared.user);
        result
    }

    /// Reads the log until the builder is gone, and keeps to the limits.
    fn watch(
        &self,
        running: &Running,
        mut reader: io::PipeReader,
        log: &mut BuildLog,
    ) -> Result<LogEnd, Failure> {
        let options = self.options;
        let begin = Instant::now();
        let mut last_output = begin;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let mut wait = [
                libc::pollfd { fd: reader.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 },
                libc::pollfd { fd: running.as_raw_fd(), events: libc::POLLIN, revents: 0 },
            ];
            let millis = i32::try_from(POLL.as_millis()).unwrap_or(100);
            // SAFETY: pointer and length describe `wait`.
            unsafe { libc::poll(wait.as_mut_ptr(), 2, millis) };
            if wait[0].revents != 0 {
                match reader.read(&mut buffer) {
                    Ok(0) => return Ok(LogEnd::Closed),
                    Ok(read) => {
                        last_output = Instant::now();
                        let size = log.take(&buffer[..read]);
                        if options.max_log_size != 0 && size > options.max_log_size {
                            return Err(Failure::new(
                                FailureKind::LogLimitExceeded,
                                format!(
                                    "building derivation '{}' killed after writing more than {} bytes of log output",
                                    self.print(self.drv_path),
                                    options.max_log_size
                                ),
                            ));
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(io("reading the builder's log")(e)),
                }
            } else if wait[1].revents != 0 {
                // It ended, but left the log open to a process that it started.
                return Ok(LogEnd::BuilderGone);
            }
            self.check_stop()?;
            for (limit, since) in [(options.max_silent_time, last_output), (options.timeout, begin)]
            {
                if !limit.is_zero() && since.elapsed() >= limit {
                    return Err(Failure::new(
                        FailureKind::TimedOut,
                        format!("timed out after {} seconds", limit.as_secs()),
                    ));
                }
            }
        }
    }

    fn builder_failed(&self, exit: Exit, tail: &[String], prepared: &Prepared) -> Failure {
        let disk_full =
            [&self.store.layout().real_store_dir, &prepared.build_dir].iter().any(|dir| {
                rustix::fs::statvfs(dir.as_path())
                    .is_ok_and(|s| s.f_bavail.saturating_mul(s.f_frsize) < 8 << 20)
            });
        let mut message = format!(
            "Cannot build '{}'.\nReason: builder {}.",
            self.print(self.drv_path),
            exit.describe()
        );
        message.push_str(&show_outputs(self.store, self.drv));
        if !self.options.verbose_logs && !tail.is_empty() {
            message.push_str(&format!("\nLast {} log lines:\n", tail.len()));
            for line in tail {
                message.push_str(&format!("> {line}\n"));
            }
            message
                .push_str(&format!("For full logs, run:\n  nix log {}", self.print(self.drv_path)));
        }
        if disk_full {
            message
                .push_str("\nnote: build failure may have been caused by lack of free disk space");
        }
        let fixed = matches!(self.drv.kind(), Ok(Kind::Fixed | Kind::Impure));
        let kind = match disk_full || fixed {
            true => FailureKind::Transient,
            false => FailureKind::Permanent,
        };
        Failure::new(kind, message)
    }

    /// Leaves the build directory, and outputs that were begun, for a look at them.
    fn keep_failed(&self, prepared: &mut Prepared) {
        // Built-in builders may have credentials in theirs.
        if !self.options.keep_failed || self.drv.builder.starts_with(b"builtin:") {
            return;
        }
        let Some(top) = prepared.top_dir.take() else { return };
        for dir in [&top.0, &prepared.build_dir] {
            let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o755));
        }
        self.logger.message(
            Level::Notice,
            format!("note: keeping build directory \"{}\"", prepared.build_dir.display()),
        );
        std::mem::forget(top);
        if self.options.mode == Mode::Normal {
            for wanted in prepared.outputs.values().filter(|w| !w.valid) {
                let real = self.store.real_path(&wanted.path);
                if wanted.actual != real && wanted.actual.symlink_metadata().is_ok() {
                    let _ = outputs::move_path(&wanted.actual, &real);
                }
            }
        }
    }

    fn post_build_hook(&self, outputs: &BTreeMap<String, StorePath>) {
        let Some(hook) = &self.options.post_build_hook else { return };
        let activity = self.logger.start(
            ActivityKind::PostBuildHook,
            Level::Talkative,
            format!("running post-build-hook '{}'", hook.display()),
            vec![Field::Text(self.print(self.drv_path))],
            self.parent,
        );
        let paths: Vec<String> = outputs.values().map(|p| self.print(p)).collect();
        let output = Command::new(hook)
            .env("DRV_PATH", self.print(self.drv_path))
            .env("OUT_PATHS", paths.join(" "))
            .stdin(std::process::Stdio::null())
            .output();
        match output {
            Ok(output) => {
                let text = [output.stdout, output.stderr].concat();
                for line in String::from_utf8_lossy(&text).lines() {
                    activity.report(firn_event::Report::BuildLogLine(line.to_owned()));
                }
                if !output.status.success() {
                    self.logger.warn(format!(
                        "the post-build-hook '{}' failed: {}",
                        hook.display(),
                        output.status
                    ));
                }
            }
            Err(e) => self
                .logger
                .warn(format!("the post-build-hook '{}' cannot be run: {e}", hook.display())),
        }
    }
}

/// Structured attributes for a built-in builder, which reads plain ones.
fn plain_env(
    attrs: &serde_json::Map<String, serde_json::Value>,
) -> BTreeMap<bstr::BString, bstr::BString> {
    use serde_json::Value;
    fn plain(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(true) => Some("1".into()),
            Value::Bool(false) | Value::Null => Some(String::new()),
            Value::Number(number) => Some(number.to_string()),
            Value::Array(items) => {
                items.iter().map(plain).collect::<Option<Vec<_>>>().map(|words| words.join(" "))
            }
            Value::Object(_) => None,
        }
    }
    attrs
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().into(), plain(value)?.into())))
        .collect()
}

/// `\nOutput paths:\n  …` as errors about a derivation end.
pub(crate) fn show_outputs(store: &LocalStore, drv: &Derivation) -> String {
    let dir = store.store_dir();
    let paths: BTreeSet<StorePath> =
        drv.output_paths(dir).unwrap_or_default().into_values().flatten().collect();
    let mut text = String::new();
    if !paths.is_empty() {
        text.push_str("\nOutput paths:");
        for path in paths {
            text.push_str(&format!("\n  {}", dir.print(&path)));
        }
    }
    text
}

/// Makes a directory that only this account can enter, under a name that nobody could foresee.
fn private_directory(parent: &Path) -> Result<PathBuf, Failure> {
    for _ in 0..1000 {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| io("getting random bytes")(e.into()))?;
        let name = format!("nix-{}-{}", std::process::id(), u64::from_le_bytes(random));
        let dir = parent.join(name);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io(format!("creating directory '{}'", dir.display()))(e)),
        }
    }
    Err(Failure::misc(format!("cannot make a new directory in '{}'", parent.display())))
}

/// What several threads share to stop all builds.
pub(crate) type StopFlag = Arc<AtomicBool>;
