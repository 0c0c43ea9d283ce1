//! A build whose builder runs in a cluster: what it is told is made here, and what it made is checked and registered
//! here, as for any other.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use firn_event::{ActivityKind, Field, Level};
use firn_model::derivation::Kind;
use firn_model::derivation::placeholder::placeholder;
use firn_model::store_path::StorePath;
use firn_store::fs::delete_path;
use firn_store::{ClosureOptions, Store};

use super::environment::{self, Rewrites, environment};
use super::log::{BuildLog, LogFile};
use super::outputs::{Registration, Wanted};
use super::{Built, Job, KnownOutputs, Temporary, now, show_outputs};
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::executor::{
    Destination, Executor, ExecutorEnd, ExecutorError, ExecutorOutput, ExecutorRequest, Place,
    Work, parent_of,
};
use crate::options::Mode;
use crate::recursive::FEATURE;
use crate::sandbox::Exit;

/// How often is looked whether a place has become free.
const ASK_AGAIN: Duration = Duration::from_millis(100);

impl Job<'_> {
    /// The clusters that could run this builder. `fits` is whether this machine could.
    pub(super) fn clusters(
        &self,
        drv_options: &DrvOptions,
        fits: bool,
    ) -> Result<Vec<Arc<dyn Executor>>, Failure> {
        let options = self.options;
        let local_only = options.executors.is_empty()
            // they need the network, or more of this machine than others have
            || matches!(self.drv.kind()?, Kind::Fixed | Kind::Impure)
            || self.drv.builder.starts_with(b"builtin:")
            || drv_options.no_sandbox
            || !drv_options.impure_host_paths.is_empty()
            || drv_options.required_features.contains(FEATURE)
            || (drv_options.prefer_local_build && fits && options.max_jobs > 0);
        if local_only {
            return Ok(Vec::new());
        }
        let system = self.drv.system.to_string();
        let able = options
            .executors
            .iter()
            .filter(|e| e.can_build(&system, &drv_options.required_features));
        Ok(able.cloned().collect())
    }

    /// Has one of `clusters` run the builder; `None` if none does and another way is left.
    pub(super) fn build_in_cluster(
        &self,
        mut clusters: Vec<Arc<dyn Executor>>,
        drv_options: &DrvOptions,
        known: &KnownOutputs,
        valid: &BTreeSet<String>,
        other_way: bool,
    ) -> Result<Option<Built>, Failure> {
        let here = other_way && self.options.max_jobs > 0;
        let mut why = None;
        while !clusters.is_empty() {
            let Some((number, place)) = self.cluster_place(&clusters, here)? else {
                return Ok(None);
            };
            let cluster = clusters.remove(number);
            match self.run_in_cluster(&*cluster, place, drv_options, known, valid) {
                Ok(built) => return Ok(Some(built)),
                Err(ExecutorError::Failed(failure)) => return Err(failure),
                Err(ExecutorError::Unavailable(reason) | ExecutorError::Unfit(reason)) => {
                    let message = format!(
                        "cannot build '{}' on '{}': {reason}",
                        self.print(self.drv_path),
                        cluster.name()
                    );
                    if other_way || !clusters.is_empty() {
                        self.logger.warn(message.clone());
                    }
                    why = Some(message);
                }
            }
        }
        match why {
            Some(why) if !other_way => Err(Failure::misc(why)),
            _ => Ok(None),
        }
    }

    /// Waits for a place in one of `clusters`, but no longer than until this machine could do it.
    fn cluster_place(
        &self,
        clusters: &[Arc<dyn Executor>],
        here: bool,
    ) -> Result<Option<(usize, Place)>, Failure> {
        loop {
            self.check_stop()?;
            let free = clusters.iter().enumerate().find_map(|(n, c)| Some((n, c.place()?)));
            if free.is_some() {
                return Ok(free);
            }
            if here && self.slots.any_free() {
                return Ok(None);
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    fn run_in_cluster(
        &self,
        cluster: &dyn Executor,
        _place: Place,
        drv_options: &DrvOptions,
        known: &KnownOutputs,
        valid: &BTreeSet<String>,
    ) -> Result<Built, ExecutorError> {
        let (store, options) = (self.store, self.options);
        let mut inputs = self.input_closure()?;
        // In the store's folder, so that outputs can be moved into place by renaming.
        let parent = parent_of(&store.real_path(self.drv_path));
        delete_path(&parent).map_err(Failure::from)?;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&parent)
            .map_err(io(format!("creating directory '{}'", parent.display())))?;
        let parent = Temporary(parent);
        let mut outputs = BTreeMap::new();
        let mut destinations = BTreeMap::new();
        let mut rewrites = Rewrites::default();
        for (name, path) in known {
            let scratch = match path {
                Some(path) => path.clone(),
                None => self.scratch_path_of(name)?,
            };
            rewrites.0.push((placeholder(name).into(), self.print(&scratch).into()));
            let actual = parent.0.join(scratch.base_name());
            destinations
                .insert(name.clone(), Destination { path: scratch.clone(), place: actual.clone() });
            let valid = valid.contains(name);
            outputs.insert(name.clone(), Wanted { path: path.clone(), scratch, actual, valid });
        }
        let work = self.work(drv_options, &inputs, &rewrites)?;
        inputs.extend(self.host_closure(&work, &outputs)?);

        let shown = self.print(self.drv_path);
        let verb = match options.mode {
            Mode::Normal => "building",
            Mode::Repair => "repairing outputs of",
            Mode::Check => "checking outputs of",
        };
        let machine = cluster.name().to_owned();
        let activity = self.logger.start(
            ActivityKind::Build,
            Level::Info,
            format!("{verb} '{shown}' on '{machine}'"),
            vec![Field::Text(shown), Field::Text(machine), Field::Int(1), Field::Int(1)],
            self.parent,
        );
        let log_file = if options.keep_log {
            let path = store.layout().log_file(self.drv_path);
            LogFile::create(path.clone(), options.compress_log)
                .map_err(io(format!("creating log file '{}'", path.display())))?
        } else {
            LogFile::none()
        };
        let mut log = BuildLog::new(activity, self.logger.clone(), log_file, options.log_lines);
        let start = now();
        let mut hear = |output: ExecutorOutput<'_>| {
            if let ExecutorOutput::Log(data) = output {
                log.take(data);
            }
            self.check_stop()
        };
        let system = self.drv.system.to_string();
        let end = cluster.run(
            &ExecutorRequest {
                store,
                drv_path: self.drv_path,
                system: &system,
                features: &drv_options.required_features,
                inputs: &inputs,
                work: &work,
                outputs: &destinations,
                anew: options.mode != Mode::Normal,
                logger: self.logger,
            },
            &mut hear,
        );
        let tail = log.finish();
        self.cluster_ended(end?, &tail)?;
        let outputs = Registration {
            store,
            options,
            drv_path: self.drv_path,
            drv: self.drv,
            drv_options,
            inputs: &inputs,
            outputs: &outputs,
            user: None,
            logger: self.logger,
            build_dir: &parent.0,
        }
        .run()?;
        Ok(Built { built: true, outputs, start, stop: now(), cpu: None })
    }

    fn cluster_ended(&self, end: ExecutorEnd, tail: &[String]) -> Result<(), Failure> {
        let options = self.options;
        let (kind, message) = match end {
            ExecutorEnd::Exited(Exit::Code(0)) => return Ok(()),
            ExecutorEnd::Exited(exit) => {
                let mut message = format!(
                    "Cannot build '{}'.\nReason: builder {}.",
                    self.print(self.drv_path),
                    exit.describe()
                );
                message.push_str(&show_outputs(self.store, self.drv));
                self.show_log(&mut message, tail);
                (FailureKind::Permanent, message)
            }
            ExecutorEnd::TimedOut => (
                FailureKind::TimedOut,
                format!("timed out after {} seconds", options.timeout.as_secs()),
            ),
            ExecutorEnd::Silent => (
                FailureKind::TimedOut,
                format!("timed out after {} seconds", options.max_silent_time.as_secs()),
            ),
            ExecutorEnd::LogTooLong => (FailureKind::LogLimitExceeded, self.log_too_long()),
            ExecutorEnd::BadOutput(why) => (FailureKind::OutputRejected, why),
        };
        Err(Failure::new(kind, message))
    }

    /// What the builder finds, the same as on this machine.
    fn work(
        &self,
        drv_options: &DrvOptions,
        inputs: &BTreeSet<StorePath>,
        rewrites: &Rewrites,
    ) -> Result<Work, Failure> {
        let options = self.options;
        let dir = &options.sandbox_build_dir;
        let env = environment(self.store, self.drv, drv_options, inputs, options, dir, rewrites)?;
        let name = environment::program_name(self.drv.builder.as_ref());
        let args = self.drv.args.iter().map(|arg| (&rewrites.apply(arg)).into());
        let mut host_paths = BTreeMap::new();
        for path in &options.sandbox_paths {
            let source = match self.store.store_dir().parse_prefix(&path.source.to_string_lossy()) {
                Ok((in_store, rest)) => {
                    self.store.real_path(&in_store).join(rest.trim_start_matches('/'))
                }
                Err(_) => path.source.clone(),
            };
            match std::fs::canonicalize(&source) {
                Ok(source) => {
                    host_paths.insert(path.target.clone(), source);
                }
                Err(_) if path.optional => {}
                Err(_) => {
                    return Err(Failure::misc(format!(
                        "path '{}' in the setting 'sandbox-paths' does not exist",
                        path.source.display()
                    )));
                }
            }
        }
        Ok(Work {
            builder: (&**self.drv.builder).into(),
            args: std::iter::once(name.into()).chain(args).collect(),
            env: env.variables.iter().map(|(n, v)| ((&**n).into(), (&**v).into())).collect(),
            own_cores: options.cores == 0,
            files: env.files,
            build_dir: dir.clone(),
            host_paths,
            shm_size: options.shm_size.clone(),
            filter_syscalls: options.filter_syscalls,
            allow_new_privileges: options.allow_new_privileges,
            impersonate_linux_26: options.impersonate_linux_26,
            timeout: options.timeout,
            max_silent_time: options.max_silent_time,
            max_log_size: options.max_log_size,
        })
    }

    /// The closure of those configured paths that are in the store, without what is being built.
    fn host_closure(
        &self,
        work: &Work,
        outputs: &BTreeMap<String, Wanted>,
    ) -> Result<BTreeSet<StorePath>, Failure> {
        let dir = self.store.store_dir();
        let in_store = |path: &std::path::PathBuf| {
            let relative = path.strip_prefix(&self.store.layout().real_store_dir).ok()?;
            let shown = format!("{}/{}", dir.as_str(), relative.to_str()?);
            dir.parse_prefix(&shown).ok().map(|(path, _)| path)
        };
        let roots: BTreeSet<StorePath> = work.host_paths.values().filter_map(in_store).collect();
        let mut closure = self.store.compute_closure(&roots, ClosureOptions::default())?;
        closure.retain(|path| !outputs.values().any(|w| w.path.as_ref() == Some(path)));
        Ok(closure)
    }
}
