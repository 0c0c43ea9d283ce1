//! What has to be done for some paths to be valid: which derivations to build, which paths to
//! fetch, and in which order.
//!
//! Where the paths of outputs follow from their contents, not all of it is known beforehand: the scheduler then
//! asks for the rest as outputs become known, and adds its steps to those that it has.

mod planner;

use std::collections::{BTreeMap, BTreeSet};

use firn_event::Logger;
use firn_model::derivation::Derivation;
use firn_model::realisation::Realisation;
use firn_model::store_path::{StoreDir, StorePath};
use firn_store::LocalStore;

use crate::derived_path::{DerivedPath, OutputsSpec};
use crate::error::Failure;
use crate::missing::Missing;
use crate::options::{BuildOptions, Mode};
use crate::substitute::Substitutable;

pub(crate) use planner::Planner;

/// A step: something to build or to fetch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// Build this derivation, or the one that it is once its inputs' outputs are known.
    Build(StorePath),
    /// Fetch this path.
    Fetch(StorePath),
    /// Note that these outputs of a derivation are paths that were fetched.
    Realise(StorePath, OutputsSpec),
    /// Get outputs of a derivation that is an output itself.
    Obtain(Obtain),
}

impl Step {
    /// The name of the store path that it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Build(path) | Self::Fetch(path) | Self::Realise(path, _) => path.name(),
            Self::Obtain(obtain) => obtain.drv.name(),
        }
    }
}

/// Outputs of a derivation that is an output itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Obtain {
    /// The derivation that is there.
    pub drv: StorePath,
    /// The output that is a derivation, and that one's output that is one, and so on.
    pub via: Vec<String>,
    /// The outputs of the last.
    pub outputs: OutputsSpec,
}

impl Obtain {
    /// `DRV^out`: what must be had first.
    pub fn derivation(&self, dir: &StoreDir) -> String {
        format!("{}^{}", dir.print(&self.drv), self.via.join("^"))
    }
}

/// Outputs by derivation.
pub(crate) type Known = BTreeMap<StorePath, BTreeMap<String, StorePath>>;

/// What has to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Steps, and what each needs to be done before.
    pub(crate) steps: BTreeMap<Step, BTreeSet<Step>>,
    /// What each thing that was asked for needs.
    pub(crate) roots: Vec<(DerivedPath, BTreeSet<Step>)>,
    /// The derivations that were read.
    pub(crate) drvs: BTreeMap<StorePath, Derivation>,
    /// Which outputs of each derivation are needed by anybody.
    pub(crate) wanted: BTreeMap<StorePath, OutputsSpec>,
    /// Derivations that are built although their outputs are valid.
    pub(crate) forced: BTreeSet<StorePath>,
    /// For [`Step::Realise`]: what to note.
    pub(crate) realisations: BTreeMap<(StorePath, OutputsSpec), Vec<Realisation>>,
    /// Derivations to build, each after those that it needs.
    pub will_build: Vec<StorePath>,
    /// Paths to fetch.
    pub will_fetch: BTreeMap<StorePath, Substitutable>,
    /// Paths that nobody can provide.
    pub unknown: BTreeSet<StorePath>,
    /// Derivations that cannot be what they say, with the reason.
    pub(crate) bad: BTreeMap<StorePath, Failure>,
}

impl Plan {
    /// Bytes to download.
    #[must_use]
    pub fn download_size(&self) -> u64 {
        self.will_fetch.values().map(|s| s.download_size).sum()
    }

    /// Bytes that what is fetched takes unpacked.
    #[must_use]
    pub fn nar_size(&self) -> u64 {
        self.will_fetch.values().map(|s| s.nar_size).sum()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.will_build.is_empty() && self.will_fetch.is_empty() && self.unknown.is_empty()
    }

    /// What a user is told of it.
    #[must_use]
    pub fn missing(&self) -> Missing {
        Missing {
            will_build: self.will_build.clone(),
            will_fetch: self.will_fetch.keys().cloned().collect(),
            unknown: self.unknown.clone(),
            download_size: self.download_size(),
            nar_size: self.nar_size(),
        }
    }
}

/// Finds out what has to be done for `wanted`.
///
/// # Errors
/// When the store cannot be read.
pub fn plan(
    store: &LocalStore,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
) -> firn_store::Result<Plan> {
    let forced = match options.mode {
        Mode::Check => named(wanted),
        Mode::Normal | Mode::Repair => BTreeSet::new(),
    };
    plan_without(store, wanted, options, logger, &BTreeSet::new(), &forced)
}

/// The derivations that are asked for by name.
pub(crate) fn named(wanted: &[DerivedPath]) -> BTreeSet<StorePath> {
    wanted
        .iter()
        .filter_map(|path| match path {
            DerivedPath::Built { drv, .. } => Some(drv.clone()),
            DerivedPath::Opaque(_) | DerivedPath::Dynamic { .. } => None,
        })
        .collect()
}

/// As [`plan`], but nothing of `not_fetched` is fetched, and what is `forced` is built although it is valid.
pub(crate) fn plan_without(
    store: &LocalStore,
    wanted: &[DerivedPath],
    options: &BuildOptions,
    logger: &Logger,
    not_fetched: &BTreeSet<StorePath>,
    forced: &BTreeSet<StorePath>,
) -> firn_store::Result<Plan> {
    let known = Known::new();
    let mut planner = Planner::new(store, options, logger, not_fetched, &known);
    planner.force(forced.iter().cloned());
    planner.collect(wanted)?;
    for path in wanted {
        let needs = planner.derived(path)?;
        planner.plan.roots.push((path.clone(), needs));
    }
    let mut plan = planner.plan;
    plan.will_build = build_order(&plan.steps);
    Ok(plan)
}

/// The derivations among the steps, each after those it needs; otherwise by name.
fn build_order(steps: &BTreeMap<Step, BTreeSet<Step>>) -> Vec<StorePath> {
    let mut order = Vec::new();
    let mut done: BTreeSet<&Step> = BTreeSet::new();
    let mut starts: Vec<&Step> = steps.keys().collect();
    starts.sort_by_key(|step| match step {
        Step::Build(path) | Step::Fetch(path) | Step::Realise(path, _) => {
            (path.name(), path.hash_part())
        }
        Step::Obtain(obtain) => (obtain.drv.name(), obtain.drv.hash_part()),
    });
    for start in starts {
        let mut stack = vec![(start, false)];
        while let Some((step, entered)) = stack.pop() {
            if done.contains(step) {
                continue;
            }
            if entered {
                done.insert(step);
                if let Step::Build(path) = step {
                    order.push(path.clone());
                }
                continue;
            }
            stack.push((step, true));
            if let Some(needs) = steps.get(step) {
                stack.extend(needs.iter().filter(|n| steps.contains_key(*n)).map(|n| (n, false)));
            }
        }
    }
    order
}
