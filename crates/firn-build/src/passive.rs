//! Builds for a store that runs no builders and plans nothing, such as a binary cache: other machines do them, by way
//! of the build hook, and what they make is copied into the store.
//!
//! One derivation is built after the other, each after those it needs; how many a machine could do at a time does not
//! matter here. Derivations whose outputs are known only when they are built need a store on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use firn_event::{ActivityKind, Field, Level, Logger};
use firn_model::derivation::Derivation;
use firn_model::store_path::StorePath;
use firn_store::copy::{CopyOptions, copy_closure};
use firn_store::{ClosureOptions, Store, Trust};

use crate::builder::elsewhere::{ASK_AGAIN, hook_line};
use crate::builder::log::{BuildLog, LogFile};
use crate::builder::show_outputs;
use crate::derived_path::{DerivedPath, OutputsSpec};
use crate::drv_options::DrvOptions;
use crate::error::{BuildError, Failure, FailureKind};
use crate::hook::{BuildHook, HookAnswer, HookRequest, RemoteBuild, RemoteOutput};
use crate::missing::Missing;
use crate::options::BuildOptions;
use crate::scheduler::BuildResults;

/// The outputs of a derivation and their paths.
type Outputs = BTreeMap<String, StorePath>;

/// Has all of `wanted` in `store`, whose whole address is `address`: what is not there is built on other machines.
///
/// # Errors
/// If something is not there and no other machine builds it, or its build fails.
pub fn build_for_passive(
    store: &dyn Store,
    address: &str,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
) -> Result<BuildResults, BuildError> {
    let work = Work { store, address, options, logger };
    let steps = work.steps(wanted)?;
    let mut results = BuildResults::default();
    for step in &steps {
        work.build(step).map_err(|failure| {
            let mut error = BuildError::from(failure);
            error.failed.push(step.drv_path.clone());
            error
        })?;
        results.built.push(step.drv_path.clone());
    }
    for want in wanted {
        let outputs = match want {
            DerivedPath::Opaque(path) => {
                store.path_info(path)?;
                [("out".to_owned(), path.clone())].into()
            }
            DerivedPath::Built { drv, outputs } => {
                let mut known = work.outputs(drv, &work.read(drv)?)?;
                known.retain(|name, _| outputs.contains(name));
                known
            }
            DerivedPath::Dynamic { .. } => return Err(work.unsupported().into()),
        };
        results.outputs.push((want.clone(), outputs));
    }
    Ok(results)
}

/// What [`build_for_passive`] would build for `wanted`, and what it could not have.
///
/// # Errors
/// If the store cannot be asked.
pub fn missing_in_passive(
    store: &dyn Store,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
) -> firn_store::Result<Missing> {
    let work = Work { store, address: "", options, logger };
    let mut missing = Missing::default();
    for want in wanted {
        let path = want.store_path();
        if matches!(want, DerivedPath::Opaque(_)) {
            if !store.is_valid(path)? {
                missing.unknown.insert(path.clone());
            }
            continue;
        }
        // why it cannot be built is told when that is tried
        let drvs = match work.steps(std::slice::from_ref(want)) {
            Ok(steps) => steps.into_iter().map(|step| step.drv_path).collect(),
            Err(_) => vec![path.clone()],
        };
        for drv in drvs {
            if !missing.will_build.contains(&drv) {
                missing.will_build.push(drv);
            }
        }
    }
    Ok(missing)
}

/// A derivation to build.
struct Step {
    drv_path: StorePath,
    drv: Derivation,
    /// Its outputs that are to be had.
    wanted: BTreeSet<String>,
}

struct Work<'a> {
    store: &'a dyn Store,
    address: &'a str,
    options: &'a BuildOptions,
    logger: &'a Logger,
}

impl Work<'_> {
    fn print(&self, path: &StorePath) -> String {
        self.store.store_dir().print(path)
    }

    fn unsupported(&self) -> Failure {
        self.store.unsupported("buildPaths").into()
    }

    fn read(&self, drv: &StorePath) -> Result<Derivation, Failure> {
        match &self.options.eval_store {
            Some(eval) if !self.store.is_valid(drv)? => Ok(eval.read_derivation(drv)?),
            _ => Ok(self.store.read_derivation(drv)?),
        }
    }

    /// The outputs of a derivation, of which the store must know where they are.
    fn outputs(&self, path: &StorePath, drv: &Derivation) -> Result<Outputs, Failure> {
        self.store
            .known_outputs(drv)?
            .into_iter()
            .map(|(name, output)| {
                let output = output.ok_or_else(|| {
                    Failure::misc(format!(
                        "'{}' cannot be built for '{}': where its output '{name}' is would be known only afterwards, which needs a store on this machine",
                        self.print(path),
                        self.store.uri()
                    ))
                })?;
                Ok((name, output))
            })
            .collect()
    }

    /// What has to be built, each after what it needs.
    fn steps(&self, wanted: &[DerivedPath]) -> Result<Vec<Step>, Failure> {
        let mut steps = Vec::new();
        let mut seen: BTreeMap<StorePath, BTreeSet<String>> = BTreeMap::new();
        // a derivation whose inputs have been looked at comes a second time, to be built
        let mut todo: Vec<(StorePath, OutputsSpec, Option<Step>)> = Vec::new();
        for want in wanted.iter().rev() {
            match want {
                DerivedPath::Opaque(_) => {}
                DerivedPath::Built { drv, outputs } => {
                    todo.push((drv.clone(), outputs.clone(), None));
                }
                DerivedPath::Dynamic { .. } => return Err(self.unsupported()),
            }
        }
        while let Some((drv_path, spec, ready)) = todo.pop() {
            if let Some(step) = ready {
                steps.push(step);
                continue;
            }
            let drv = self.read(&drv_path)?;
            let outputs = self.outputs(&drv_path, &drv)?;
            let known = seen.entry(drv_path.clone()).or_default();
            let mut missing = BTreeSet::new();
            for (name, path) in outputs.iter().filter(|(name, _)| spec.contains(name)) {
                if known.insert(name.clone()) && !self.store.is_valid(path)? {
                    missing.insert(name.clone());
                }
            }
            if missing.is_empty() {
                continue;
            }
            let inputs: Vec<_> = drv
                .input_drvs
                .iter()
                .map(|(input, wanted)| (input.clone(), OutputsSpec::Names(wanted.outputs.clone())))
                .collect();
            todo.push((drv_path.clone(), spec, Some(Step { drv_path, drv, wanted: missing })));
            todo.extend(inputs.into_iter().map(|(input, spec)| (input, spec, None)));
        }
        Ok(steps)
    }

    fn check_stop(&self) -> Result<(), Failure> {
        if self.options.cancel.load(Ordering::Relaxed) {
            return Err(Failure::new(FailureKind::Interrupted, "interrupted by the user"));
        }
        Ok(())
    }

    fn build(&self, step: &Step) -> Result<(), Failure> {
        let outputs = self.outputs(&step.drv_path, &step.drv)?;
        let wanted = || outputs.iter().filter(|(name, _)| step.wanted.contains(*name));
        // another output of it may have been wanted before
        let mut there = true;
        for (_, path) in wanted() {
            there &= self.store.is_valid(path)?;
        }
        if there {
            return Ok(());
        }
        self.bring(step)?;
        let inputs = self.inputs(step)?;
        let build = self.ask(step)?;
        self.run(build, step, &inputs)?;
        self.store.refresh();
        for (name, path) in wanted() {
            if !self.store.is_valid(path)? {
                return Err(Failure::misc(format!(
                    "output '{name}' of '{}' is unexpectedly invalid",
                    self.print(&step.drv_path)
                )));
            }
        }
        Ok(())
    }

    /// Brings the derivation and its sources from the store that evaluation wrote them to.
    fn bring(&self, step: &Step) -> Result<(), Failure> {
        let Some(eval) = &self.options.eval_store else { return Ok(()) };
        if self.store.is_valid(&step.drv_path)? {
            return Ok(());
        }
        let options = CopyOptions::new(Trust::Everybody, self.logger.clone());
        copy_closure(&**eval, self.store, &[step.drv_path.clone()].into(), &options)?;
        Ok(())
    }

    /// The closure that the builder may see.
    fn inputs(&self, step: &Step) -> Result<BTreeSet<StorePath>, Failure> {
        let mut start = step.drv.input_srcs.clone();
        for (input, wanted) in &step.drv.input_drvs {
            let mut outputs = self.outputs(input, &self.read(input)?)?;
            for name in &wanted.outputs {
                start.extend(outputs.remove(name));
            }
        }
        Ok(self.store.compute_closure(&start, ClosureOptions::default())?)
    }

    /// Finds a machine.
    fn ask(&self, step: &Step) -> Result<Box<dyn RemoteBuild>, Failure> {
        let nobody = || {
            Failure::new(
                FailureKind::Permanent,
                format!(
                    "'{}' must be built, but '{}' is not a store on this machine, and no other machine builds it; choose another '--store', or machines by the setting 'builders'",
                    self.print(&step.drv_path),
                    self.store.uri()
                ),
            )
        };
        let hook: &dyn BuildHook = self.options.hook.as_deref().ok_or_else(nobody)?;
        let features = DrvOptions::parse(&step.drv, self.store.store_dir())?.required_features;
        let system = step.drv.system.to_string();
        loop {
            self.check_stop()?;
            let request = HookRequest {
                store: self.address,
                dir: self.store.store_dir(),
                drv_path: &step.drv_path,
                system: &system,
                features: &features,
                willing: false,
            };
            match hook.ask(&request, self.logger)? {
                HookAnswer::Accept(build) => return Ok(build),
                HookAnswer::Decline => return Err(nobody()),
                HookAnswer::Postpone => std::thread::sleep(ASK_AGAIN),
            }
        }
    }

    fn run(
        &self,
        build: Box<dyn RemoteBuild>,
        step: &Step,
        inputs: &BTreeSet<StorePath>,
    ) -> Result<(), Failure> {
        let shown = self.print(&step.drv_path);
        let machine = build.machine().to_owned();
        let activity = self.logger.start(
            ActivityKind::Build,
            Level::Info,
            format!("building '{shown}' on '{machine}'"),
            vec![Field::Text(shown.clone()), Field::Text(machine), Field::Int(1), Field::Int(1)],
            0,
        );
        let lines = self.options.log_lines;
        let mut log = BuildLog::new(activity, self.logger.clone(), LogFile::none(), lines);
        let begin = Instant::now();
        let mut heard = begin;
        let (timeout, silence) = (self.options.timeout, self.options.max_silent_time);
        let over = |limit: Duration, since: Instant| !limit.is_zero() && since.elapsed() >= limit;
        let mut hear = |output: RemoteOutput<'_>| -> Result<(), Failure> {
            match output {
                RemoteOutput::Log(data) => {
                    log.take(data);
                    heard = Instant::now();
                }
                RemoteOutput::Line(line) => {
                    hook_line(self.logger, &mut log, line);
                    heard = Instant::now();
                }
                RemoteOutput::Silence => {}
            }
            self.check_stop()?;
            match [(silence, heard), (timeout, begin)].iter().find(|(l, since)| over(*l, *since)) {
                None => Ok(()),
                Some((limit, _)) => Err(Failure::new(
                    FailureKind::TimedOut,
                    format!("timed out after {} seconds", limit.as_secs()),
                )),
            }
        };
        let end = build.run(inputs, &step.wanted, &mut hear);
        log.finish();
        let how = match end?.status {
            Some(0) => return Ok(()),
            Some(status) => format!("failed with exit code {status}"),
            None => "was killed".to_owned(),
        };
        let outputs = show_outputs(self.store, &step.drv);
        let message = format!("Cannot build '{shown}'.\nReason: builder {how}.{outputs}");
        Err(Failure::new(FailureKind::Misc, message))
    }
}
