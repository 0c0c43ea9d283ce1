//! Doing one step. A step may find that more has to be done first, which only now can be known.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use firn_event::{ActivityKind, Field, Level};
use firn_model::derivation::{Derivation, Kind};
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::Store;
use parking_lot::MutexGuard;

use super::Scheduler;
use super::results::{Found, Record};
use crate::builder::{Job, sign_realisation};
use crate::derivations::Derivations;
use crate::derived_path::{DerivedPath, OutputsSpec};
use crate::error::{Failure, FailureKind};
use crate::options::{BuildOptions, Mode};
use crate::plan::{Known, Obtain, Plan, Planner, Step};
use crate::result::BuildStatus;

/// What came of a step.
pub(super) enum Outcome {
    /// It is done.
    Done {
        /// How it went, if it was a derivation's.
        record: Option<Record>,
        /// The outputs of a derivation that are known now.
        outputs: Option<(StorePath, BTreeMap<String, StorePath>)>,
    },
    /// These steps, which are in this plan, have to be done first.
    More(Box<Plan>, BTreeSet<Step>),
}

impl Outcome {
    const NOTHING: Self = Self::Done { record: None, outputs: None };
}

impl Scheduler<'_> {
    /// Does a step. A builder begins before `turn` is given up, which lets the next step be taken.
    pub(super) fn perform(
        &self,
        step: &Step,
        turn: Option<MutexGuard<'_, ()>>,
    ) -> Result<Outcome, Failure> {
        let turn = turn.filter(|_| matches!(step, Step::Build(_)));
        match step {
            Step::Build(drv_path) => self.build(drv_path, turn),
            Step::Fetch(path) => self.fetch(path),
            Step::Realise(drv_path, outputs) => self.realise(drv_path, outputs),
            Step::Obtain(obtain) => self.obtain(obtain),
        }
    }

    fn fetch(&self, path: &StorePath) -> Result<Outcome, Failure> {
        let Some(substituter) = &self.options.substituter else { return Ok(Outcome::NOTHING) };
        self.store.add_temp_root(path)?;
        substituter.fetch(path, self.store, self.logger, self.fetches.id())?;
        Ok(Outcome::NOTHING)
    }

    /// Notes what substituters say that outputs are, now that these are valid.
    fn realise(&self, drv_path: &StorePath, wanted: &OutputsSpec) -> Result<Outcome, Failure> {
        let which = (drv_path.clone(), wanted.clone());
        let realisations =
            self.state.lock().plan.realisations.get(&which).cloned().unwrap_or_default();
        let mut outputs = BTreeMap::new();
        for realisation in realisations {
            self.store.register_realisation(&realisation)?;
            outputs.insert(realisation.id.output_name, realisation.out_path);
        }
        let record = Record::new(BuildStatus::Substituted);
        Ok(Outcome::Done { record: Some(record), outputs: Some((drv_path.clone(), outputs)) })
    }

    fn build(
        &self,
        drv_path: &StorePath,
        turn: Option<MutexGuard<'_, ()>>,
    ) -> Result<Outcome, Failure> {
        let (drv, wanted, forced) = {
            let state = self.state.lock();
            if let Some(failure) = state.plan.bad.get(drv_path) {
                return Err(failure.clone());
            }
            let Some(drv) = state.plan.drvs.get(drv_path) else {
                return Err(Failure::misc("the derivation was not read"));
            };
            let wanted = state.plan.wanted.get(drv_path).cloned().unwrap_or(OutputsSpec::All);
            (drv.clone(), wanted, state.plan.forced.contains(drv_path))
        };
        if drv.should_resolve(self.options.has_feature("ca-derivations"))? {
            drop(turn);
            return self.resolve(drv_path, &drv, &wanted, forced);
        }
        // Inputs of what is checked are built as usual.
        let normal;
        let options = if self.options.mode == Mode::Normal || forced {
            self.options
        } else {
            normal = BuildOptions { mode: Mode::Normal, ..self.options.clone() };
            &normal
        };
        let built = Job {
            store: self.store,
            options,
            logger: self.logger,
            // programs that read these events expect builds to be part of nothing
            parent: 0,
            drv_path,
            drv: &drv,
            stop: &self.stop,
            slots: &self.slots,
            estimate: self.history.estimate(&drv),
            turn: Cell::new(turn),
        }
        .run()?;
        let status = if built.built { BuildStatus::Built } else { BuildStatus::AlreadyValid };
        let record = Record { status, start: built.start, stop: built.stop, cpu: built.cpu };
        Ok(Outcome::Done { record: Some(record), outputs: Some((drv_path.clone(), built.outputs)) })
    }

    /// Builds the derivation that this one is with its inputs' outputs put in, and notes that its outputs are
    /// those of that one. If that was built before, nothing is: so a change that does not change an input's
    /// outputs ends here.
    fn resolve(
        &self,
        drv_path: &StorePath,
        drv: &Derivation,
        wanted: &OutputsSpec,
        forced: bool,
    ) -> Result<Outcome, Failure> {
        let dir = self.store.store_dir();
        if !self.options.has_feature("ca-derivations") {
            return Err(firn_store::Error::FeatureOff("ca-derivations").into());
        }
        let known = self.known();
        let mut failed = None;
        let resolved = drv.resolve(dir, &mut |input, chain| {
            self.output_at(&known, input, chain).unwrap_or_else(|failure| {
                failed = Some(failure);
                None
            })
        })?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        let Some(resolved) = resolved else {
            return Err(Failure::misc(format!(
                "derivation '{}' cannot be built since not all outputs that it needs are known",
                dir.print(drv_path)
            )));
        };
        let path = resolved.store_path(dir)?;
        let first = self.state.lock().resolved.insert(drv_path.clone(), path.clone()).is_none();
        if first {
            let (from, to) = (dir.print(drv_path), dir.print(&path));
            let fields = vec![Field::Text(from.clone()), Field::Text(to.clone())];
            let text = format!("resolved derivation: '{from}' -> '{to}'");
            self.logger.start(ActivityKind::BuildWaiting, Level::Info, text, fields, 0);
        }
        if let Some(made) = known.get(&path)
            && resolved.outputs.keys().all(|name| !wanted.contains(name) || made.contains_key(name))
        {
            return self.resolved(drv_path, drv, &path, made);
        }
        let mut planner = self.planner(&known);
        planner.take(&path, resolved);
        let derived = DerivedPath::Built { drv: path.clone(), outputs: wanted.clone() };
        if forced {
            planner.force([path.clone()]);
        }
        planner.collect(&[derived])?;
        let needs = planner.derivation(&path)?;
        if needs.is_empty() {
            let plan = planner.plan;
            let derivations = self.derivations();
            let found = Found { store: self.store, derivations, plan: &plan, known: &known };
            let outputs = found.outputs(&path, wanted)?;
            return self.resolved(drv_path, drv, &path, &outputs);
        }
        if needs.is_subset(&self.state.lock().done) {
            return Err(Failure::misc(format!(
                "derivation '{}' was built, but not all outputs that are wanted of it are known",
                dir.print(&path)
            )));
        }
        Ok(Outcome::More(Box::new(planner.plan), needs))
    }

    /// Notes that the outputs of a derivation are those of the one that it was resolved to.
    fn resolved(
        &self,
        drv_path: &StorePath,
        drv: &Derivation,
        to: &StorePath,
        outputs: &BTreeMap<String, StorePath>,
    ) -> Result<Outcome, Failure> {
        if drv.kind()? != Kind::Impure {
            let ids = self.derivations().output_ids(drv)?;
            for (name, path) in outputs {
                let Some(id) = ids.get(name) else { continue };
                let mut realisation = Realisation::new(id.clone(), path.clone());
                sign_realisation(&mut realisation, self.options)?;
                self.store.register_realisation(&realisation)?;
            }
        }
        let record = self.state.lock().records.get(to).copied();
        let record = match record {
            Some(record) if record.status != BuildStatus::AlreadyValid => record,
            _ => Record::new(BuildStatus::ResolvesToAlreadyValid),
        };
        Ok(Outcome::Done {
            record: Some(record),
            outputs: Some((drv_path.clone(), outputs.clone())),
        })
    }

    fn obtain(&self, obtain: &Obtain) -> Result<Outcome, Failure> {
        if !self.options.has_feature("dynamic-derivations") {
            return Err(firn_store::Error::FeatureOff("dynamic-derivations").into());
        }
        let known = self.known();
        let mut planner = self.planner(&known);
        let (needs, complete) = planner.obtained(obtain)?;
        if needs.is_empty() && complete {
            return Ok(Outcome::NOTHING);
        }
        if needs.is_empty() || needs.is_subset(&self.state.lock().done) {
            return Err(Failure::new(
                FailureKind::DependencyFailed,
                format!(
                    "failed to obtain derivation of '{}'",
                    obtain.derivation(self.store.store_dir())
                ),
            ));
        }
        Ok(Outcome::More(Box::new(planner.plan), needs))
    }

    fn derivations(&self) -> Derivations<'_> {
        Derivations::new(self.store, self.options)
    }

    fn known(&self) -> Arc<Known> {
        self.state.lock().known.clone()
    }

    fn planner<'b>(&'b self, known: &'b Known) -> Planner<'b> {
        Planner::new(self.store, self.options, self.logger, self.not_fetched, known)
    }

    /// The path of an output: of a derivation, and then of its outputs that are derivations.
    fn output_at(
        &self,
        known: &Known,
        drv: &StorePath,
        chain: &[String],
    ) -> Result<Option<StorePath>, Failure> {
        let mut path = drv.clone();
        for name in chain {
            let known_here = known.get(&path).and_then(|outputs| outputs.get(name)).cloned();
            path = match known_here {
                Some(found) => found,
                None => {
                    let read = self.state.lock().plan.drvs.get(&path).cloned();
                    let drv = match read {
                        Some(drv) => drv,
                        None => self.derivations().read(&path)?,
                    };
                    match self.derivations().known_outputs(&drv)?.remove(name).flatten() {
                        Some(found) => found,
                        None => return Ok(None),
                    }
                }
            };
        }
        Ok(Some(path))
    }
}
