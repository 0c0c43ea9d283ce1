//! Builds on other machines: what the scheduler asks of a build hook, and how many builds run on this machine.

use std::collections::BTreeSet;
use std::path::Path;

use firn_event::Logger;
use firn_model::store_path::{StoreDir, StorePath};
use parking_lot::{Condvar, Mutex};

use crate::error::Failure;

/// What a build hook is asked.
#[derive(Debug, Clone)]
pub struct HookRequest<'a> {
    /// The address of the store that is built for.
    pub store: &'a str,
    /// That store's name for its folder.
    pub dir: &'a StoreDir,
    /// The derivation, which is in the store.
    pub drv_path: &'a StorePath,
    /// What machine it builds on.
    pub system: &'a str,
    /// What it needs of a machine.
    pub features: &'a BTreeSet<String>,
    /// Whether a build could start on this machine now.
    pub willing: bool,
}

/// What a build hook answers.
pub enum HookAnswer {
    /// It builds it.
    Accept(Box<dyn RemoteBuild>),
    /// It does not build it.
    Decline,
    /// It would, but all machines are busy.
    Postpone,
}

/// What comes from a build on another machine.
#[derive(Debug)]
pub enum RemoteOutput<'a> {
    /// A piece of the builder's log.
    Log(&'a [u8]),
    /// A line of the hook's own, without its end.
    Line(&'a str),
    /// Nothing, for a moment.
    Silence,
}

/// How a build on another machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteEnd {
    /// The hook's exit status; `None` if a signal ended it.
    pub status: Option<i32>,
}

/// A build that a hook has accepted.
pub trait RemoteBuild: Send {
    /// The machine, as messages name it.
    fn machine(&self) -> &str;

    /// Builds. `inputs` is the closure that the build may see, `outputs` names the outputs that are wanted here;
    /// they are valid afterwards if it succeeds. What `hear` fails with ends the build.
    ///
    /// # Errors
    /// When the hook breaks, or what `hear` fails with.
    fn run(
        self: Box<Self>,
        inputs: &BTreeSet<StorePath>,
        outputs: &BTreeSet<String>,
        hear: &mut dyn FnMut(RemoteOutput<'_>) -> Result<(), Failure>,
    ) -> Result<RemoteEnd, Failure>;
}

/// Decides whether derivations are built on other machines, and builds them there.
pub trait BuildHook: Send + Sync {
    /// Asks whether it builds a derivation.
    ///
    /// # Errors
    /// When the hook breaks.
    fn ask(&self, request: &HookRequest<'_>, logger: &Logger) -> Result<HookAnswer, Failure>;
}

/// How many more builds may run on this machine.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Mutex<usize>,
    returned: Condvar,
}

/// One build that runs on this machine.
pub(crate) struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.returned.notify_one();
    }
}

impl Slots {
    pub fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), returned: Condvar::new() }
    }

    /// Whether a build could start now.
    pub fn any_free(&self) -> bool {
        *self.free.lock() > 0
    }

    /// Waits a moment for the right to build.
    pub fn take(&self, moment: std::time::Duration) -> Option<Slot<'_>> {
        let mut free = self.free.lock();
        if *free == 0 {
            self.returned.wait_for(&mut free, moment);
        }
        *free = free.checked_sub(1)?;
        Some(Slot(self))
    }
}

/// The address of a store with these directories, for programs that have to open the same.
#[must_use]
pub fn address_of(layout: &firn_store::StoreLayout) -> String {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let reference = firn_store::layout::StoreReference {
        scheme: "local".into(),
        authority: String::new(),
        params: [
            ("store", layout.store_dir.as_str().to_owned()),
            ("real", text(&layout.real_store_dir)),
            ("state", text(&layout.state_dir)),
            ("log", text(&layout.log_dir)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
    };
    reference.render()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use firn_store::layout::{Environment, Location, StoreLayout, locate};

    use super::*;

    #[test]
    fn slots_are_given_back() {
        let slots = Slots::new(1);
        let moment = Duration::from_millis(1);
        let slot = slots.take(moment).unwrap();
        assert!(!slots.any_free() && slots.take(moment).is_none());
        drop(slot);
        assert!(slots.any_free() && slots.take(moment).is_some());
        assert!(Slots::new(0).take(moment).is_none());
    }

    #[test]
    fn an_address_leads_to_the_same_directories() {
        let layout = StoreLayout {
            real_store_dir: "/a b/store".into(),
            log_dir: "/log".into(),
            ..StoreLayout::in_root(Path::new("/r&?"))
        };
        let env = Environment::from_variables([], true);
        let found = locate(&env, Some(&address_of(&layout))).unwrap();
        assert_eq!(found.store, Location::Local { layout, read_only: false });
    }
}
