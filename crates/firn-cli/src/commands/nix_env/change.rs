//! What changes a profile: `--install`, `--upgrade`, `--uninstall`, `--set-flag` and `--set`.

use std::collections::BTreeSet;
use std::path::Path;

use firn_build::{DerivedPath, OutputsSpec};
use firn_eval::Vm;
use firn_eval::position::PosId;
use firn_event::Level;
use firn_store::profile;

use super::environment::{build, create, token};
use super::item::Item;
use super::sources::{Selector, Sources, compare_priorities, compare_versions, installed};
use crate::commands::nix::Stop;
use crate::common::build::Workbench;
use crate::common::legacy::{Failure, fail, usage};
use crate::common::store_paths::follow_links;

/// A profile and what is needed to change it.
pub struct Change<'a> {
    /// The store and how to build.
    pub bench: &'a Workbench,
    /// Where packages come from.
    pub sources: Sources<'a>,
    /// The profile.
    pub profile: &'a Path,
    /// Whether nothing is done.
    pub dry_run: bool,
    /// Whether only what need not be built is taken.
    pub prebuilt: bool,
    /// The name that a package gets.
    pub force_name: Option<String>,
    /// Whether the profile keeps derivations.
    pub keep_derivations: bool,
}

/// How `--install` goes about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Install {
    /// Packages of the same names stay.
    pub preserve: bool,
    /// Everything else goes.
    pub remove_all: bool,
    /// The priority that they get.
    pub priority: Option<i64>,
}

/// Which versions `--upgrade` takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Newer ones.
    #[default]
    Newer,
    /// Newer ones and the same.
    NotOlder,
    /// The same.
    Same,
    /// Any.
    Always,
}

/// Whether an installed package is meant.
type Selects = Box<dyn Fn(&mut Vm, &Item) -> Result<bool, Stop>>;

impl Change<'_> {
    fn say(&self, text: String) {
        self.bench.logger().message(Level::Info, text);
    }

    fn is_prebuilt(&self, vm: &mut Vm, item: &Item) -> Result<bool, Stop> {
        let path = item.out_path(vm)?;
        if self.bench.store.is_valid(&path).map_err(Failure::from)? {
            return Ok(true);
        }
        let Some(substituter) = &self.bench.options.substituter else { return Ok(false) };
        let found = substituter.available(&[path].into()).map_err(Failure::from)?;
        Ok(!found.is_empty())
    }

    /// Tells what would be built for packages.
    fn show_plan(&self, vm: &mut Vm, items: &[Item]) -> Result<(), Stop> {
        let mut wanted = Vec::new();
        for item in items {
            wanted.push(self.wanted(vm, item)?);
        }
        vm.shared.io.flush()?;
        self.bench.show_plan(&wanted).map_err(|e| crate::commands::nix::build_failure(&e).into())
    }

    fn wanted(&self, vm: &mut Vm, item: &Item) -> Result<DerivedPath, Stop> {
        Ok(match item.drv_path(vm)? {
            Some(drv) => DerivedPath::Built { drv, outputs: OutputsSpec::All },
            None => DerivedPath::Opaque(item.out_path(vm)?),
        })
    }

    /// Does `work` on the installed packages until the profile has not changed in the meantime. `work` says
    /// whether there is something to do.
    fn update(
        &self,
        vm: &mut Vm,
        mut work: impl FnMut(&Self, &mut Vm) -> Result<Option<Vec<Item>>, Stop>,
    ) -> Result<(), Stop> {
        loop {
            let before = token(self.profile);
            let Some(items) = work(self, vm)? else { return Ok(()) };
            let keep = self.keep_derivations;
            if create(vm, self.bench, &items, self.profile, keep, before.as_deref())? {
                return Ok(());
            }
        }
    }

    /// `--install`
    pub fn install(&self, vm: &mut Vm, args: &[String], how: Install) -> Result<(), Stop> {
        let mut new = Vec::new();
        for mut item in self.sources.query(vm, args, true)? {
            if self.prebuilt && !self.is_prebuilt(vm, &item)? {
                continue;
            }
            if let Some(name) = &self.force_name {
                item.name.clone_from(name);
            }
            if let Some(priority) = how.priority {
                item.set_flag(vm, "priority", &priority.to_string());
            }
            new.push(item);
        }
        let names: BTreeSet<String> = new.iter().map(|i| i.short_name().to_owned()).collect();
        self.update(vm, |this, vm| {
            let mut all = new.clone();
            if !how.remove_all {
                for item in installed(vm, this.profile)? {
                    if !how.preserve && names.contains(item.short_name()) && !item.keeps(vm)? {
                        this.say(format!("replacing old '{}'", item.name));
                    } else {
                        all.push(item);
                    }
                }
                for item in &new {
                    this.say(format!("installing '{}'", item.name));
                }
            }
            this.show_plan(vm, &new)?;
            Ok((!this.dry_run).then_some(all))
        })
    }

    /// `--upgrade`
    pub fn upgrade(&self, vm: &mut Vm, args: &[String], which: Upgrade) -> Result<(), Stop> {
        self.update(vm, |this, vm| {
            let there = installed(vm, this.profile)?;
            let available = this.sources.query(vm, args, false)?;
            let mut new = Vec::new();
            for item in there {
                let best = this.best(vm, &item, &available, which).map_err(|e| match e {
                    Stop::Eval(e) => {
                        let text = format!("while trying to find an upgrade for '{}'", item.name);
                        e.trace(PosId::NONE, text).into()
                    }
                    other => other,
                })?;
                match best {
                    Some(best) => {
                        let up = compare_versions(item.version(), best.version()).is_le();
                        let action = if up { "upgrading" } else { "downgrading" };
                        this.say(format!("{action} '{}' to '{}'", item.name, best.name));
                        new.push(best);
                    }
                    None => new.push(item),
                }
            }
            this.show_plan(vm, &new)?;
            Ok((!this.dry_run).then_some(new))
        })
    }

    /// What a package is upgraded to, if to anything. Never to something that comes later by priority.
    fn best(
        &self,
        vm: &mut Vm,
        item: &Item,
        available: &[Item],
        which: Upgrade,
    ) -> Result<Option<Item>, Stop> {
        if item.keeps(vm)? {
            return Ok(None);
        }
        let mut best: Option<&Item> = None;
        for other in available {
            if other.short_name() != item.short_name()
                || compare_priorities(vm, item, other)?.is_gt()
            {
                continue;
            }
            let order = compare_versions(item.version(), other.version());
            let wanted = match which {
                Upgrade::Newer => order.is_lt(),
                Upgrade::NotOlder => order.is_le(),
                Upgrade::Same => order.is_eq(),
                Upgrade::Always => true,
            };
            if !wanted {
                continue;
            }
            let better = match best {
                None => true,
                Some(best) => compare_priorities(vm, best, other)?
                    .then_with(|| compare_versions(best.version(), other.version()))
                    .is_lt(),
            };
            if better && (!self.prebuilt || self.is_prebuilt(vm, other)?) {
                best = Some(other);
            }
        }
        let Some(best) = best else { return Ok(None) };
        let changed = item.out_path(vm)? != best.out_path(vm)?;
        Ok(changed.then(|| best.clone()))
    }

    /// `--uninstall`
    pub fn uninstall(&self, vm: &mut Vm, args: &[String]) -> Result<(), Stop> {
        self.update(vm, |this, vm| {
            let mut items = installed(vm, this.profile)?;
            for text in args {
                let selects: Selects = if text.contains('/') {
                    let path = follow_links(&this.bench.store, text)?;
                    Box::new(move |vm, item| Ok(item.out_path(vm)? == path))
                } else {
                    let selector = Selector::new(text)?;
                    Box::new(move |_, item| Ok(selector.matches(&item.name)))
                };
                let (mut kept, mut found) = (Vec::new(), false);
                for item in items {
                    if selects(vm, &item)? {
                        found = true;
                        this.say(format!("uninstalling '{}'", item.name));
                    } else {
                        kept.push(item);
                    }
                }
                items = kept;
                if !found {
                    this.bench
                        .logger()
                        .warn(format!("selector '{text}' matched no installed derivations"));
                }
            }
            Ok((!this.dry_run).then_some(items))
        })
    }

    /// `--set-flag`
    pub fn set_flag(&self, vm: &mut Vm, args: &[String]) -> Result<(), Stop> {
        let [name, value, selectors @ ..] = args else {
            return usage("not enough arguments to '--set-flag'").map_err(Stop::Other);
        };
        let mut selectors = Selector::all(selectors)?;
        self.update(vm, |this, vm| {
            let mut items = installed(vm, this.profile)?;
            for item in &mut items {
                if let Some(selector) = selectors.iter_mut().find(|s| s.matches(&item.name)) {
                    selector.used = true;
                    this.say(format!("setting flag on '{}'", item.name));
                    item.set_flag(vm, name, value);
                }
            }
            for selector in &selectors {
                selector.check_used()?;
            }
            Ok(Some(items))
        })
    }

    /// `--set`
    pub fn set(&self, vm: &mut Vm, args: &[String]) -> Result<(), Stop> {
        let items = self.sources.query(vm, args, true)?;
        let [item] = &items[..] else {
            return fail("--set requires exactly one derivation").map_err(Stop::Other);
        };
        let wanted = self.wanted(vm, item)?;
        self.show_plan(vm, &items)?;
        if self.dry_run {
            return Ok(());
        }
        build(vm, self.bench, &[wanted])?;
        let path = item.out_path(vm)?;
        profile::set(&*self.bench.store, self.profile, &path).map_err(Failure::from)?;
        Ok(())
    }
}
