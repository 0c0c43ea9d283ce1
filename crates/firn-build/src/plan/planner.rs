//! Finding out the steps for what is wanted, from what is known now.

use std::collections::{BTreeMap, BTreeSet};

use firn_event::Logger;
use firn_model::derivation::{Derivation, DerivedOutputs, Kind, Output};
use firn_model::realisation::Realisation;
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Store};

use super::{Known, Obtain, Plan, Step};
use crate::derivations::Derivations;
use crate::derived_path::{DerivedPath, OutputsSpec};
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind};
use crate::options::BuildOptions;
use crate::substitute::Substitutable;

/// What of the wanted outputs of a derivation is not there.
#[derive(Default)]
struct Absent {
    /// Paths that are not valid, or are but are wanted anew.
    paths: Vec<StorePath>,
    /// Whether there are outputs whose paths are not known.
    unknown: bool,
}

impl Absent {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.unknown
    }
}

/// Finds out steps. What it found stands in `plan`.
pub(crate) struct Planner<'a> {
    store: &'a LocalStore,
    options: &'a BuildOptions,
    logger: &'a Logger,
    not_fetched: &'a BTreeSet<StorePath>,
    /// Outputs that this run has made or found.
    known: &'a Known,
    pub(crate) plan: Plan,
    outputs: BTreeMap<StorePath, BTreeMap<String, Option<StorePath>>>,
    /// What substituters say that outputs are.
    realised: BTreeMap<StorePath, BTreeMap<String, Realisation>>,
    substitutable: BTreeMap<StorePath, Option<Substitutable>>,
    /// Whether a path can be fetched with everything that it refers to.
    complete: BTreeMap<StorePath, bool>,
    valid: BTreeMap<StorePath, bool>,
    missing_drvs: BTreeSet<StorePath>,
}

impl<'a> Planner<'a> {
    pub fn new(
        store: &'a LocalStore,
        options: &'a BuildOptions,
        logger: &'a Logger,
        not_fetched: &'a BTreeSet<StorePath>,
        known: &'a Known,
    ) -> Self {
        Self {
            store,
            options,
            logger,
            not_fetched,
            known,
            plan: Plan::default(),
            outputs: BTreeMap::new(),
            realised: BTreeMap::new(),
            substitutable: BTreeMap::new(),
            complete: BTreeMap::new(),
            valid: BTreeMap::new(),
            missing_drvs: BTreeSet::new(),
        }
    }

    fn is_valid(&mut self, path: &StorePath) -> firn_store::Result<bool> {
        if let Some(valid) = self.valid.get(path) {
            return Ok(*valid);
        }
        let valid = self.store.is_valid(path)?;
        self.valid.insert(path.clone(), valid);
        Ok(valid)
    }

    /// Has derivations built although their outputs are valid.
    pub fn force(&mut self, drvs: impl IntoIterator<Item = StorePath>) {
        self.plan.forced.extend(drvs);
    }

    /// Takes a derivation that need not be in the store.
    pub fn take(&mut self, path: &StorePath, drv: Derivation) {
        self.plan.drvs.insert(path.clone(), drv);
    }

    /// Reads all derivations that may have to be built and finds out what is substitutable, a level
    /// at a time, so that a cache is asked for many paths at once.
    pub fn collect(&mut self, wanted: &[DerivedPath]) -> firn_store::Result<()> {
        let mut level: Vec<(StorePath, OutputsSpec)> = Vec::new();
        let mut paths = BTreeSet::new();
        for path in wanted {
            match path {
                DerivedPath::Built { drv, outputs } => level.push((drv.clone(), outputs.clone())),
                DerivedPath::Dynamic { drv, via, .. } => {
                    let first = via.iter().take(1).cloned().collect();
                    level.push((drv.clone(), OutputsSpec::Names(first)));
                }
                DerivedPath::Opaque(path) => {
                    paths.insert(path.clone());
                }
            }
        }
        self.ask(paths)?;
        while !level.is_empty() {
            let mut candidates = BTreeMap::new();
            let mut queries = BTreeSet::new();
            for (drv_path, outputs) in std::mem::take(&mut level) {
                match self.plan.wanted.get_mut(&drv_path) {
                    Some(known) => {
                        let before = known.clone();
                        known.join(&outputs);
                        if *known == before {
                            continue;
                        }
                    }
                    None => {
                        self.plan.wanted.insert(drv_path.clone(), outputs);
                    }
                }
                if !self.read(&drv_path)? {
                    queries.insert(drv_path);
                    continue;
                }
                let Some(missing) = self.missing(&drv_path)? else { continue };
                if missing.is_empty() {
                    continue;
                }
                if self.may_substitute(&drv_path) && !self.plan.forced.contains(&drv_path) {
                    queries.extend(missing.paths.iter().cloned());
                }
                candidates.insert(drv_path, missing);
            }
            self.ask(queries)?;
            for (drv_path, missing) in candidates {
                if self.is_substitutable(&drv_path, &missing)? {
                    continue;
                }
                let Some(drv) = self.plan.drvs.get(&drv_path) else { continue };
                level.extend(drv.input_drvs.iter().map(|(input, wanted)| {
                    let mut names = wanted.outputs.clone();
                    names.extend(wanted.dynamic.keys().cloned());
                    (input.clone(), OutputsSpec::Names(names))
                }));
            }
        }
        Ok(())
    }

    /// Whether the derivation could be read; keeps it.
    fn read(&mut self, path: &StorePath) -> firn_store::Result<bool> {
        if self.plan.drvs.contains_key(path) || self.plan.bad.contains_key(path) {
            return Ok(true);
        }
        let derivations = Derivations::new(self.store, self.options);
        if !derivations.is_valid(path)? {
            self.missing_drvs.insert(path.clone());
            return Ok(false);
        }
        match derivations.read(path) {
            Ok(drv) => {
                if let Some(substituter) = &self.options.substituter {
                    let dir = self.store.store_dir();
                    for (name, output) in &drv.outputs {
                        if let Output::Fixed(address) = output
                            && let Ok(Some(fixed)) = output.path(dir, &drv.name, name)
                        {
                            substituter.note_address(&fixed, address);
                        }
                    }
                }
                self.plan.drvs.insert(path.clone(), drv);
            }
            Err(error) => {
                self.plan.bad.insert(path.clone(), Failure::misc(error));
            }
        }
        Ok(true)
    }

    /// The outputs of a derivation that was read, with what is known of their paths. `None` if it makes no sense,
    /// which is noted.
    fn outputs(
        &mut self,
        drv_path: &StorePath,
    ) -> firn_store::Result<Option<BTreeMap<String, Option<StorePath>>>> {
        if let Some(outputs) = self.outputs.get(drv_path) {
            return Ok(Some(outputs.clone()));
        }
        let Some(drv) = self.plan.drvs.get(drv_path) else { return Ok(None) };
        let fixed = drv.output_paths(self.store.store_dir());
        let (mut outputs, kind) = match (fixed, drv.kind()) {
            (Ok(outputs), Ok(kind)) => (outputs, kind),
            (Err(error), _) | (_, Err(error)) => {
                self.plan.bad.insert(drv_path.clone(), Failure::misc(error));
                return Ok(None);
            }
        };
        if outputs.values().any(Option::is_none) {
            if let Err(failure) = self.options.need_features(kind) {
                self.plan.bad.insert(drv_path.clone(), failure);
                return Ok(None);
            }
            if kind != Kind::Impure {
                outputs = Derivations::new(self.store, self.options).known_outputs(drv)?;
            }
        }
        for (name, path) in self.known.get(drv_path).into_iter().flatten() {
            outputs.insert(name.clone(), Some(path.clone()));
        }
        if kind != Kind::Impure && self.may_substitute(drv_path) {
            self.ask_for_realisations(drv_path, &mut outputs)?;
        }
        self.outputs.insert(drv_path.clone(), outputs.clone());
        Ok(Some(outputs))
    }

    /// Asks the substituter what outputs are whose paths are not known.
    fn ask_for_realisations(
        &mut self,
        drv_path: &StorePath,
        outputs: &mut BTreeMap<String, Option<StorePath>>,
    ) -> firn_store::Result<()> {
        let Some(substituter) = &self.options.substituter else { return Ok(()) };
        let Some(drv) = self.plan.drvs.get(drv_path) else { return Ok(()) };
        if outputs.values().all(Option::is_some) {
            return Ok(());
        }
        for (name, id) in Derivations::new(self.store, self.options).output_ids(drv)? {
            let Some(slot) = outputs.get_mut(&name).filter(|slot| slot.is_none()) else { continue };
            match substituter.query_realisation(&id) {
                Ok(Some(found)) if !self.not_fetched.contains(&found.out_path) => {
                    *slot = Some(found.out_path.clone());
                    self.realised.entry(drv_path.clone()).or_default().insert(name, found);
                }
                Ok(_) => {}
                Err(error) => self.logger.warn(format!("{error}; going on without it")),
            }
        }
        Ok(())
    }

    /// The wanted outputs of a derivation that are not valid. `None`: it makes no sense.
    fn missing(&mut self, drv_path: &StorePath) -> firn_store::Result<Option<Absent>> {
        let Some(outputs) = self.outputs(drv_path)? else { return Ok(None) };
        let forced = self.plan.forced.contains(drv_path);
        let wanted = self.plan.wanted.get(drv_path).cloned().unwrap_or(OutputsSpec::All);
        if let OutputsSpec::Names(names) = &wanted
            && let Some(name) = names.iter().find(|name| !outputs.contains_key(*name))
        {
            let message = format!(
                "derivation '{}' does not have wanted outputs '{name}'",
                self.store.store_dir().print(drv_path)
            );
            self.plan
                .bad
                .insert(drv_path.clone(), Failure::new(FailureKind::InputRejected, message));
            return Ok(None);
        }
        let mut missing = Absent::default();
        for (name, path) in outputs {
            if !wanted.contains(&name) {
                continue;
            }
            match path {
                None => missing.unknown = true,
                Some(path) => {
                    let noted = !self.realised.get(drv_path).is_some_and(|r| r.contains_key(&name));
                    if forced || !noted || !self.is_valid(&path)? {
                        missing.paths.push(path);
                    }
                }
            }
        }
        Ok(Some(missing))
    }

    fn may_substitute(&self, drv_path: &StorePath) -> bool {
        if self.options.substituter.is_none() {
            return false;
        }
        let Some(drv) = self.plan.drvs.get(drv_path) else { return true };
        self.options.always_allow_substitutes
            || DrvOptions::parse(drv, self.store.store_dir())
                .map_or(true, |options| options.allow_substitutes)
    }

    /// Whether all that is missing of a derivation's outputs can be fetched, with everything that it refers to.
    fn is_substitutable(
        &mut self,
        drv_path: &StorePath,
        missing: &Absent,
    ) -> firn_store::Result<bool> {
        let may = !missing.unknown
            && !self.plan.forced.contains(drv_path)
            && self.may_substitute(drv_path);
        if !may {
            return Ok(false);
        }
        for path in &missing.paths {
            let there = self.valid.get(path) == Some(&true)
                || matches!(self.substitutable.get(path), Some(Some(_)));
            if !there {
                return Ok(false);
            }
        }
        let mut complete = true;
        for path in &missing.paths {
            complete &= self.is_complete(path)?;
        }
        Ok(complete)
    }

    /// Whether all that a path refers to is valid or can be fetched. What is missing is noted as unknown.
    fn is_complete(&mut self, start: &StorePath) -> firn_store::Result<bool> {
        if let Some(complete) = self.complete.get(start) {
            return Ok(*complete);
        }
        let mut complete = true;
        let mut seen = BTreeSet::new();
        let mut left = vec![start.clone()];
        while let Some(path) = left.pop() {
            if self.complete.get(&path) == Some(&true)
                || seen.contains(&path)
                || self.is_valid(&path)?
            {
                continue;
            }
            match self.substitutable.get(&path) {
                Some(Some(info)) => left.extend(info.references.iter().cloned()),
                _ => {
                    self.plan.unknown.insert(path.clone());
                    complete = false;
                }
            }
            seen.insert(path);
        }
        if complete {
            self.complete.extend(seen.into_iter().map(|path| (path, true)));
        } else {
            self.complete.insert(start.clone(), false);
        }
        Ok(complete)
    }

    /// Asks the substituter for what was not asked yet, and for all that it refers to.
    fn ask(&mut self, paths: BTreeSet<StorePath>) -> firn_store::Result<()> {
        let Some(substituter) = self.options.substituter.clone() else { return Ok(()) };
        let mut paths = paths;
        loop {
            let mut unasked = BTreeSet::new();
            for path in paths {
                if !self.substitutable.contains_key(&path)
                    && !self.not_fetched.contains(&path)
                    && !self.is_valid(&path)?
                {
                    unasked.insert(path);
                }
            }
            if unasked.is_empty() {
                return Ok(());
            }
            let mut answers = substituter.query(&unasked)?;
            paths = answers.values().flat_map(|s| s.references.iter().cloned()).collect();
            for path in unasked {
                let answer = answers.remove(&path);
                self.substitutable.insert(path, answer);
            }
        }
    }

    /// What has to be done for something that [`Planner::collect`] was told of.
    pub fn derived(&mut self, path: &DerivedPath) -> firn_store::Result<BTreeSet<Step>> {
        match path {
            DerivedPath::Opaque(path) => self.path(path),
            DerivedPath::Built { drv, .. } => self.derivation(drv),
            DerivedPath::Dynamic { drv, via, outputs } => self.obtain(&Obtain {
                drv: drv.clone(),
                via: via.clone(),
                outputs: outputs.clone(),
            }),
        }
    }

    /// What has to be done for a path as it is.
    fn path(&mut self, path: &StorePath) -> firn_store::Result<BTreeSet<Step>> {
        if self.is_valid(path)? {
            return Ok(BTreeSet::new());
        }
        if matches!(self.substitutable.get(path), Some(Some(_))) && self.is_complete(path)? {
            return self.fetch(path);
        }
        self.plan.unknown.insert(path.clone());
        Ok(BTreeSet::new())
    }

    fn fetch(&mut self, start: &StorePath) -> firn_store::Result<BTreeSet<Step>> {
        // Closures may be deep, so this is a loop and no recursion.
        let mut left = vec![start.clone()];
        while let Some(path) = left.pop() {
            let step = Step::Fetch(path.clone());
            if self.plan.steps.contains_key(&step) {
                continue;
            }
            let Some(Some(info)) = self.substitutable.get(&path).cloned() else {
                self.plan.unknown.insert(path);
                continue;
            };
            let mut needs = BTreeSet::new();
            for reference in &info.references {
                if *reference != path && !self.is_valid(reference)? {
                    needs.insert(Step::Fetch(reference.clone()));
                    left.push(reference.clone());
                }
            }
            self.plan.will_fetch.insert(path, info);
            self.plan.steps.insert(step, needs);
        }
        Ok([Step::Fetch(start.clone())].into())
    }

    /// What has to be done for outputs of a derivation that is an output itself.
    fn obtain(&mut self, obtain: &Obtain) -> firn_store::Result<BTreeSet<Step>> {
        let step = Step::Obtain(obtain.clone());
        if self.plan.steps.contains_key(&step) {
            return Ok([step].into());
        }
        match self.obtained(obtain)? {
            (needs, true) => Ok(needs),
            (needs, false) => {
                self.plan.steps.insert(step.clone(), needs);
                Ok([step].into())
            }
        }
    }

    /// What has to be done next for such outputs, and whether that is all: whether the derivation itself is there.
    pub fn obtained(&mut self, obtain: &Obtain) -> firn_store::Result<(BTreeSet<Step>, bool)> {
        let mut drv = obtain.drv.clone();
        for name in &obtain.via {
            let needs = self.outputs_of(&drv, &OutputsSpec::Names([name.clone()].into()))?;
            let path = self.outputs.get(&drv).and_then(|o| o.get(name).cloned().flatten());
            match path {
                Some(path) if needs.is_empty() => drv = path,
                _ => return Ok((needs, false)),
            }
        }
        Ok((self.outputs_of(&drv, &obtain.outputs)?, true))
    }

    fn outputs_of(
        &mut self,
        drv: &StorePath,
        outputs: &OutputsSpec,
    ) -> firn_store::Result<BTreeSet<Step>> {
        let wanted = DerivedPath::Built { drv: drv.clone(), outputs: outputs.clone() };
        self.collect(std::slice::from_ref(&wanted))?;
        self.derivation(drv)
    }

    /// What has to be done for the wanted outputs of a derivation.
    pub fn derivation(&mut self, root: &StorePath) -> firn_store::Result<BTreeSet<Step>> {
        let mut results: BTreeMap<StorePath, BTreeSet<Step>> = BTreeMap::new();
        let mut stack = vec![(root.clone(), false)];
        while let Some((drv_path, entered)) = stack.pop() {
            if results.contains_key(&drv_path) {
                continue;
            }
            if !entered {
                match self.leaf(&drv_path)? {
                    Some(needs) => {
                        results.insert(drv_path, needs);
                    }
                    None => {
                        let inputs: Vec<StorePath> = self
                            .plan
                            .drvs
                            .get(&drv_path)
                            .map(|drv| drv.input_drvs.keys().cloned().collect())
                            .unwrap_or_default();
                        stack.push((drv_path, true));
                        stack.extend(inputs.into_iter().map(|input| (input, false)));
                    }
                }
                continue;
            }
            let step = Step::Build(drv_path.clone());
            let mut needs = BTreeSet::new();
            let (inputs, sources) = match self.plan.drvs.get(&drv_path) {
                Some(drv) => (drv.input_drvs.clone(), drv.input_srcs.clone()),
                None => Default::default(),
            };
            for (input, wanted) in &inputs {
                needs.extend(results.get(input).cloned().unwrap_or_default());
                self.dynamic(input, &mut Vec::new(), wanted, &mut needs)?;
            }
            for source in sources {
                needs.extend(self.source(&drv_path, &source)?);
            }
            self.plan.steps.insert(step.clone(), needs);
            results.insert(drv_path, [step].into());
        }
        Ok(results.remove(root).unwrap_or_default())
    }

    /// What is built anew each time must not be an input of what is built once.
    fn refuse_impure_inputs(&mut self, drv_path: &StorePath) {
        let kind = |path: &StorePath| self.plan.drvs.get(path).map(Derivation::kind);
        let Some(drv) = self.plan.drvs.get(drv_path) else { return };
        if !self.options.has_feature("impure-derivations")
            || matches!(kind(drv_path), Some(Ok(Kind::Impure | Kind::Fixed)))
        {
            return;
        }
        let impure = drv.input_drvs.keys().find(|i| matches!(kind(i), Some(Ok(Kind::Impure))));
        if let Some(input) = impure {
            let dir = self.store.store_dir();
            let message = format!(
                "pure derivation '{}' depends on impure derivation '{}'",
                dir.print(drv_path),
                dir.print(input)
            );
            self.plan.bad.insert(drv_path.clone(), Failure::misc(message));
        }
    }

    /// What has to be done for outputs of `drv` that are derivations, of which outputs are needed.
    fn dynamic(
        &mut self,
        drv: &StorePath,
        via: &mut Vec<String>,
        wanted: &DerivedOutputs,
        needs: &mut BTreeSet<Step>,
    ) -> firn_store::Result<()> {
        for (name, inner) in &wanted.dynamic {
            via.push(name.clone());
            if !inner.outputs.is_empty() {
                let outputs = OutputsSpec::Names(inner.outputs.clone());
                let obtain = Obtain { drv: drv.clone(), via: via.clone(), outputs };
                needs.extend(self.obtain(&obtain)?);
            }
            self.dynamic(drv, via, inner, needs)?;
            via.pop();
        }
        Ok(())
    }

    /// What has to be done for a source of a derivation to be valid.
    fn source(
        &mut self,
        drv_path: &StorePath,
        source: &StorePath,
    ) -> firn_store::Result<BTreeSet<Step>> {
        if self.is_valid(source)? {
            return Ok(BTreeSet::new());
        }
        self.ask([source.clone()].into())?;
        if let Some(Some(_)) = self.substitutable.get(source) {
            return self.fetch(source);
        }
        if Derivations::new(self.store, self.options).copy_source(source, self.logger)? {
            self.valid.clear();
            return Ok(BTreeSet::new());
        }
        let dir = self.store.store_dir();
        let message = format!(
            "dependency '{}' of '{}' does not exist, and substitution is disabled",
            dir.print(source),
            dir.print(drv_path)
        );
        self.plan.bad.insert(drv_path.clone(), Failure::misc(message));
        Ok(BTreeSet::new())
    }

    /// The steps for a derivation that need not look at its inputs; `None` if it must be built.
    fn leaf(&mut self, drv_path: &StorePath) -> firn_store::Result<Option<BTreeSet<Step>>> {
        let step = Step::Build(drv_path.clone());
        if self.plan.steps.contains_key(&step) {
            return Ok(Some([step].into()));
        }
        if self.missing_drvs.contains(drv_path) {
            self.plan.unknown.insert(drv_path.clone());
            return Ok(Some(BTreeSet::new()));
        }
        let missing = match self.plan.bad.contains_key(drv_path) {
            true => None,
            false => self.missing(drv_path)?,
        };
        let Some(missing) = missing else {
            self.plan.steps.insert(step.clone(), BTreeSet::new());
            return Ok(Some([step].into()));
        };
        if missing.is_empty() {
            return Ok(Some(BTreeSet::new()));
        }
        if !self.is_substitutable(drv_path, &missing)? {
            self.refuse_impure_inputs(drv_path);
            if self.plan.bad.contains_key(drv_path) {
                self.plan.steps.insert(step.clone(), BTreeSet::new());
                return Ok(Some([step].into()));
            }
            return Ok(None);
        }
        let mut needs = BTreeSet::new();
        for path in missing.paths {
            needs.extend(self.path(&path)?);
        }
        let Some(realised) = self.realised.get(drv_path) else { return Ok(Some(needs)) };
        let wanted = self.plan.wanted.get(drv_path).cloned().unwrap_or(OutputsSpec::All);
        let found = realised.iter().filter(|(name, _)| wanted.contains(name));
        let found = found.map(|(_, realisation)| realisation.clone()).collect();
        self.plan.realisations.insert((drv_path.clone(), wanted.clone()), found);
        let step = Step::Realise(drv_path.clone(), wanted);
        self.plan.steps.insert(step.clone(), needs);
        Ok(Some([step].into()))
    }
}
