//! One build, from a derivation whose inputs are valid to registered outputs.
//!
//! In order: locks on the outputs, a last look whether somebody else was faster, [`prepare`], the builder itself
//! with its log and time limits, [`outputs`], then [`hooks`].

mod checks;
mod cluster;
pub(crate) mod elsewhere;
pub(crate) mod environment;
mod external;
mod hooks;
pub(crate) mod log;
mod outputs;
mod prepare;
mod sandboxed;
mod structured;
pub(crate) mod terminal;
mod users;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use firn_event::{Activity, ActivityKind, Field, Level, Logger, Report};
use firn_model::derivation::{Derivation, Kind};
use firn_model::store_path::StorePath;
use firn_store::fs::delete_path;
use firn_store::fs::lock::PathLocks;
use firn_store::{LocalStore, Repair, Store};
use parking_lot::MutexGuard;

use self::log::{BuildLog, LogFile};
pub(crate) use self::outputs::sign_realisation;
use self::outputs::{Registration, Wanted};
use self::users::UserLock;
use crate::derivations::Derivations;
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::history;
use crate::hook::Slots;
use crate::options::{BuildOptions, Mode};
use crate::recursive::{RecursiveServer, SOCKET};
use crate::repair::is_good;
use crate::sandbox::spec::Spec;
use crate::sandbox::{CpuTimes, Exit, Running, Started, cgroup};

/// How often waiting builds look around.
const POLL: Duration = Duration::from_millis(100);

/// The outputs of a derivation with their paths, where these are known.
type KnownOutputs = BTreeMap<String, Option<StorePath>>;

/// What a build gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    /// Whether the builder ran, or the outputs were there already.
    pub built: bool,
    /// All outputs.
    pub outputs: BTreeMap<String, StorePath>,
    /// When the builder was started and had ended, in seconds since 1970; 0 if it was not.
    pub start: i64,
    pub stop: i64,
    /// The processor time of its cgroup, if it had one.
    pub cpu: Option<CpuTimes>,
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
    /// How many builds run on this machine.
    pub slots: &'a Slots,
    /// How long it may take, if that is known.
    pub estimate: Option<Duration>,
    /// Held until the builder runs or something has to be waited for, so that the first builders begin in the order
    /// that the scheduler takes them in. Otherwise it would be left to chance which of two that fail at once fails first.
    pub turn: Cell<Option<MutexGuard<'a, ()>>>,
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
    recursive: Option<Box<dyn RecursiveServer>>,
    /// The guard's end of what makes paths appear in the sandbox.
    requests: Option<OwnedFd>,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // The guard removes it; this is for builds that never came to it.
        if let Some(cgroup) = &self.spec.cgroup {
            let _ = cgroup::destroy(cgroup);
        }
    }
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

    /// Lets the next build begin.
    fn give_turn(&self) {
        drop(self.turn.take());
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
        let fits = self.check_fits(&drv_options);
        let hook = self.prefers_hook(&drv_options, fits.is_ok());
        let clusters = self.clusters(&drv_options, fits.is_ok())?;
        if !hook && clusters.is_empty() {
            fits.clone()?;
        }
        let known = self.known_outputs()?;
        for path in known.values().flatten() {
            self.store.add_temp_root(path)?;
        }
        let mut locks = self.lock(&known)?;
        // Another process may have been faster.
        let known = self.known_outputs()?;
        let valid = self.valid_outputs(&known)?;
        if self.options.mode != Mode::Check && valid.len() == known.len() {
            locks.set_removal(true);
            let outputs = known.into_iter().filter_map(|(name, path)| Some((name, path?)));
            let outputs = outputs.collect();
            return Ok(Built { built: false, outputs, start: 0, stop: 0, cpu: None });
        }
        for (name, path) in &known {
            if let (Some(path), false) = (path, valid.contains(name))
                && !self.store.is_valid(path)?
            {
                delete_path(&self.store.real_path(path))?;
            }
        }
        self.write_derivation()?;
        if hook || !clusters.is_empty() {
            self.give_turn();
        }
        let other_way = hook || (fits.is_ok() && self.options.max_jobs > 0);
        if let Some(built) =
            self.build_in_cluster(clusters, &drv_options, &known, &valid, other_way)?
        {
            self.post_build_hook(&built.outputs);
            locks.set_removal(true);
            return Ok(built);
        }
        if hook && let Some(built) = self.build_elsewhere(&drv_options, &valid)? {
            self.post_build_hook(&built.outputs);
            locks.set_removal(true);
            return Ok(built);
        }
        fits?;
        let _slot = self.wait_for_slot()?;
        let prepared = self.prepare(&drv_options, &known, &valid)?;
        let start = now();
        let begin = Instant::now();
        let (outputs, cpu) = self.build(prepared, &drv_options)?;
        let stop = now();
        history::note(&self.store.layout().state_dir, self.drv, begin.elapsed());
        self.post_build_hook(&outputs);
        locks.set_removal(true);
        Ok(Built { built: true, outputs, start, stop, cpu })
    }

    /// Tells whoever watches how long it may take.
    fn tell_estimate(&self, activity: &Activity) {
        if let Some(time) = self.estimate {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            activity.report(Report::SetExpected(ActivityKind::Build, millis));
        }
    }

    /// A derivation that came of resolving another is written once it is really built, so that outputs have a
    /// deriver and logs a name.
    fn write_derivation(&self) -> Result<(), Failure> {
        let dir = self.store.store_dir();
        let new = self.drv.input_drvs.is_empty()
            && !Derivations::new(self.store, self.options).is_valid(self.drv_path)?
            && self.drv.store_path(dir)? == *self.drv_path;
        if new {
            self.store.add_derivation(self.drv, Repair::No)?;
        }
        Ok(())
    }

    /// Whether this machine can build it.
    fn check_fits(&self, drv_options: &DrvOptions) -> Result<(), Failure> {
        let options = self.options;
        let system = self.drv.system.to_string();
        let external = options.external_builder(&system).is_some();
        let builtin = self.drv.builder.starts_with(b"builtin:");
        let mut reasons = String::new();
        if options.max_jobs == 0 {
            reasons.push_str(
                "\nReason: local builds are disabled (max-jobs = 0)\nHint: set 'max-jobs' to a non-zero value to enable local builds, or configure remote builders via 'builders'",
            );
        }
        if !external
            && !builtin
            && system != options.system
            && !options.extra_platforms.contains(&system)
        {
            reasons.push_str(&format!(
                "\nReason: platform mismatch\nRequired system: '{system}'\nCurrent system: '{}'",
                options.system
            ));
        }
        let required = &drv_options.required_features;
        if !external && !required.is_subset(&options.system_features) {
            let list = |set: &BTreeSet<String>| {
                set.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
            };
            reasons.push_str(&format!(
                "\nReason: missing system features\nRequired features: {{{}}}\nAvailable features: {{{}}}",
                list(required),
                list(&options.system_features)
            ));
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::InputRejected,
            format!("Cannot build '{}'.{reasons}", self.print(self.drv_path)),
        ))
    }

    fn known_outputs(&self) -> Result<KnownOutputs, Failure> {
        let kind = self.drv.kind()?;
        let static_paths = self.drv.output_paths(self.store.store_dir())?;
        if static_paths.values().all(Option::is_some) {
            return Ok(static_paths);
        }
        self.options.need_features(kind)?;
        if matches!(kind, Kind::InputAddressed { .. }) || !self.drv.input_drvs.is_empty() {
            return Err(Failure::new(
                FailureKind::InputRejected,
                format!(
                    "derivation '{}' cannot be built before the outputs that it needs are put into it",
                    self.print(self.drv_path)
                ),
            ));
        }
        match kind {
            Kind::Impure => Ok(static_paths),
            _ => Ok(Derivations::new(self.store, self.options).known_outputs(self.drv)?),
        }
    }

    /// The outputs that are valid, and when repairing, whole.
    fn valid_outputs(&self, known: &KnownOutputs) -> Result<BTreeSet<String>, Failure> {
        let mut valid = BTreeSet::new();
        for (name, path) in known {
            if let Some(path) = path
                && self.store.is_valid(path)?
                && (self.options.mode != Mode::Repair || is_good(self.store, path)?)
            {
                valid.insert(name.clone());
            }
        }
        Ok(valid)
    }

    /// Takes the locks of all outputs, waiting for other processes that build the same.
    fn lock(&self, known: &KnownOutputs) -> Result<PathLocks, Failure> {
        let file = |(name, path): (&String, &Option<StorePath>)| match path {
            Some(path) => self.store.real_path(path),
            None => {
                let mut file = self.store.real_path(self.drv_path).into_os_string();
                file.push(format!(".{name}"));
                file.into()
            }
        };
        let files: Vec<PathBuf> = known.iter().map(file).collect();
        let mut activity = None;
        loop {
            if let Some(locks) = PathLocks::try_lock(files.iter().map(PathBuf::as_path))? {
                return Ok(locks);
            }
            if activity.is_none() {
                self.give_turn();
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

    fn build(
        &self,
        mut prepared: Prepared,
        drv_options: &DrvOptions,
    ) -> Result<(BTreeMap<String, StorePath>, Option<CpuTimes>), Failure> {
        let options = self.options;
        let shown = self.print(self.drv_path);
        let verb = match options.mode {
            Mode::Normal => "building",
            Mode::Repair => "repairing outputs of",
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
            0,
        );
        self.tell_estimate(&activity);
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
        let owner = prepared.user.as_ref().map(|u| u.user.uid);
        let (reader, writer) = terminal::open(owner).map_err(io("making a pipe for the log"))?;
        let mut running = options
            .launcher
            .start_with(&prepared.spec, writer, prepared.requests.take())
            .map_err(io("starting the sandbox's guard process"))?;
        match running.started().map_err(io("waiting for the sandbox"))? {
            Started::Yes => self.give_turn(),
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
        let exit = running.wait_with_times().map_err(io("waiting for the builder"));
        let tail = log.finish();
        if let Some(mut server) = prepared.recursive.take() {
            // what it added it may refer to
            let added = server.finish();
            for path in &added {
                self.store.add_temp_root(path)?;
            }
            prepared.inputs.extend(added);
            let _ = fs::remove_file(prepared.build_dir.join(SOCKET));
        }
        let times = exit.as_ref().ok().and_then(|(_, times)| *times);
        if let Some(times) = times {
            self.logger.message(
                Level::Debug,
                format!(
                    "builder for '{shown}' terminated, user CPU {:.3}s, system CPU {:.3}s",
                    times.user.as_secs_f64(),
                    times.system.as_secs_f64()
                ),
            );
        }
        let result = watched.and(exit).and_then(|(exit, _)| match exit {
            Exit::Code(0) => Registration {
                store: self.store,
                options,
                drv_path: self.drv_path,
                drv: self.drv,
                drv_options,
                inputs: &prepared.inputs,
                outputs: &prepared.outputs,
                user: prepared.user.as_ref().map(|u| &u.user),
                logger: self.logger,
                build_dir: &prepared.build_dir,
            }
            .run(),
            exit => Err(self.builder_failed(exit, &tail, &prepared)),
        });
        if result.is_err() {
            self.keep_failed(&mut prepared);
        }
        for wanted in prepared.outputs.values().filter(|w| w.path.as_ref() != Some(&w.scratch)) {
            delete_path(&self.store.real_path(&wanted.scratch))?;
        }
        drop(prepared.root.take());
        // While the account is still this build's: the next one's cgroup has the same name.
        if let Some(cgroup) = prepared.spec.cgroup.take() {
            let _ = cgroup::destroy(&cgroup);
        }
        drop(prepared.user.take());
        Ok((result?, times))
    }

    /// Reads the log until the builder is gone, and keeps to the limits.
    fn watch(
        &self,
        running: &Running,
        mut reader: File,
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
                        self.check_log_size(size)?;
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    // the end of a terminal
                    Err(e) if e.raw_os_error() == Some(libc::EIO) => return Ok(LogEnd::Closed),
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
        self.show_log(&mut message, tail);
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

    /// Adds the end of the log to a message, if the user does not see it anyway.
    fn show_log(&self, message: &mut String, tail: &[String]) {
        if self.options.verbose_logs || tail.is_empty() {
            return;
        }
        message.push_str(&format!("\nLast {} log lines:\n", tail.len()));
        for line in tail {
            message.push_str(&format!("> {line}\n"));
        }
        message.push_str(&format!("For full logs, run:\n  nix log {}", self.print(self.drv_path)));
    }

    fn check_log_size(&self, size: u64) -> Result<(), Failure> {
        let most = self.options.max_log_size;
        if most == 0 || size <= most {
            return Ok(());
        }
        Err(Failure::new(FailureKind::LogLimitExceeded, self.log_too_long()))
    }

    fn log_too_long(&self) -> String {
        format!(
            "building derivation '{}' killed after writing more than {} bytes of log output",
            self.print(self.drv_path),
            self.options.max_log_size
        )
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
                let Some(path) = &wanted.path else { continue };
                let real = self.store.real_path(path);
                if wanted.actual != real && wanted.actual.symlink_metadata().is_ok() {
                    let _ = outputs::move_path(&wanted.actual, &real);
                }
            }
        }
    }
}

/// `\nOutput paths:\n  …` as errors about a derivation end.
pub(crate) fn show_outputs(store: &dyn Store, drv: &Derivation) -> String {
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

/// Seconds since 1970.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// What several threads share to stop all builds.
pub(crate) type StopFlag = Arc<AtomicBool>;
