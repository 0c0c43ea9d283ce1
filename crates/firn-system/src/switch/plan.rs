//! The plan of a switch: from the old units, the new units, and what is active, what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::unit::{self, Difference, Unit};

/// A unit's state in systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// `active`, `activating`, `reloading` or `failed`.
    pub state: String,
    /// `running`, `exited`, `listening`, …
    pub sub: String,
}

/// Active units by name.
pub type ActiveUnits = BTreeMap<String, Active>;

/// What to do to the units, each list in order of name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To stop before the activation.
    pub stop: Vec<String>,
    /// To reload after it.
    pub reload: Vec<String>,
    /// To restart after it.
    pub restart: Vec<String>,
    /// To start after it.
    pub start: Vec<String>,
    /// Changed, but left as they run, because they ask for it.
    pub skip: Vec<String>,
    /// What starts with the targets among `start`, because it is new in them.
    pub new: Vec<String>,
}

impl Plan {
    /// The lists that have something, with their verbs.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, Vec<String>)> {
        let named = self.start.iter().filter(|u| !u.ends_with(".target"));
        let start: BTreeSet<String> = named.chain(&self.new).cloned().collect();
        let start = start.into_iter().collect();
        [
            ("stop", self.stop.clone()),
            ("NOT restart", self.skip.clone()),
            ("reload", self.reload.clone()),
            ("restart", self.restart.clone()),
            ("start", start),
        ]
        .into_iter()
        .filter(|(_, units)| !units.is_empty())
        .collect()
    }

    /// Whether the plan does something to `unit`.
    #[must_use]
    pub fn touches(&self, unit: &str) -> bool {
        [&self.stop, &self.reload, &self.restart, &self.start]
            .iter()
            .any(|l| l.iter().any(|u| u == unit))
    }
}

/// Units that a switch must not touch, whatever changed: the manager's own and what a session or the
/// root file system hangs on.
const UNTOUCHABLE: &[&str] = &[
    "-.mount",
    "-.slice",
    "init.scope",
    "nix.mount",
    "nix-store.mount",
    "system.slice",
    "systemd-journald.service",
    "systemd-logind.service",
    "systemd-udevd.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "dbus.service",
    "dbus.socket",
    "user.slice",
];

/// Decides what to do.
#[must_use]
pub fn plan(old_dir: &Path, new_dir: &Path, active: &ActiveUnits) -> Plan {
    let mut stop = BTreeSet::new();
    let mut reload = BTreeSet::new();
    let mut restart = BTreeSet::new();
    let mut start = BTreeSet::new();
    let mut skip = BTreeSet::new();
    for (name, state) in active {
        let Some(old) = Unit::read(old_dir, name) else { continue };
        let new = Unit::read(new_dir, name).filter(|u| !u.masked);
        let Some(new) = new else {
            // gone from the configuration
            if !old.masked && old.flag("Unit", "X-StopOnRemoval", true) && !untouchable(name) {
                stop.insert(name.clone());
            }
            continue;
        };
        let running = state.state != "failed";
        if name.ends_with(".target") {
            // starting a target again starts whatever is new in it
            if running
                && !matches!(
                    name.as_str(),
                    "suspend.target" | "hibernate.target" | "hybrid-sleep.target"
                )
                && !new.flag("Unit", "RefuseManualStart", false)
                && !new.flag("Unit", "X-OnlyManualStart", false)
            {
                start.insert(name.clone());
            }
            if new.flag("Unit", "X-StopOnReconfiguration", false) {
                stop.insert(name.clone());
            }
            continue;
        }
        let difference = unit::compare(&old, &new);
        if difference == Difference::None {
            continue;
        }
        if untouchable(name) {
            skip.insert(name.clone());
            continue;
        }
        let suffix = name.rsplit_once('.').map_or("", |(_, s)| s);
        match suffix {
            "path" | "slice" | "scope" | "device" | "swap" => {}
            "mount" | "automount" => {
                reload.insert(name.clone());
            }
            "socket" | "timer" => {
                stop.insert(name.clone());
                start.insert(name.clone());
            }
            _ => {
                let reload_only = difference == Difference::Reload
                    || new.flag("Service", "X-ReloadIfChanged", false)
                    || new.flag("Unit", "X-ReloadIfChanged", false);
                let manual = new.flag("Unit", "RefuseManualStop", false)
                    || new.flag("Unit", "X-OnlyManualStart", false);
                let may = key(&new, "X-RestartIfChanged", true);
                if !running {
                    // it has failed; a changed unit gets another chance
                    if may && !manual {
                        start.insert(name.clone());
                    }
                } else if reload_only {
                    reload.insert(name.clone());
                } else if !may || manual {
                    skip.insert(name.clone());
                } else if !key(&new, "X-StopIfChanged", true) {
                    restart.insert(name.clone());
                } else {
                    // the sockets that activate a service are stopped with it and start it again
                    let sockets = sockets_of(&new, name);
                    let mut by_socket = false;
                    for socket in sockets {
                        if active.contains_key(&socket) {
                            stop.insert(socket.clone());
                            if Unit::read(new_dir, &socket).is_some_and(|u| !u.masked) {
                                start.insert(socket);
                                by_socket = true;
                            }
                        }
                    }
                    stop.insert(name.clone());
                    if !by_socket {
                        start.insert(name.clone());
                    }
                }
            }
        }
    }
    let targets: Vec<&String> = start.iter().filter(|u| u.ends_with(".target")).collect();
    let before = pulled_in(old_dir, &targets);
    let new = pulled_in(new_dir, &targets)
        .into_iter()
        .filter(|name| !before.contains(name) && !active.contains_key(name))
        .filter(|name| ![".target", ".slice", ".device"].iter().any(|s| name.ends_with(s)))
        .collect();
    let list = |set: BTreeSet<String>| set.into_iter().collect();
    Plan {
        stop: list(stop),
        reload: list(reload),
        restart: list(restart),
        start: list(start),
        skip: list(skip),
        new: list(new),
    }
}

/// The units in `dir` that start with `roots`: what these want or require, what that does, and so on.
fn pulled_in(dir: &Path, roots: &[&String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = roots.iter().map(|r| (*r).clone()).collect();
    while let Some(name) = open.pop() {
        let Some(unit) = Unit::read(dir, &name).filter(|u| !u.masked) else { continue };
        if !found.insert(name.clone()) {
            continue;
        }
        for key in ["Wants", "Requires", "BindsTo", "Upholds"] {
            let values = unit.sections.get("Unit").and_then(|s| s.get(key));
            let words = values.into_iter().flatten().flat_map(|v| v.split_whitespace());
            open.extend(words.map(str::to_owned));
        }
        for kind in ["wants", "requires", "upholds"] {
            let entries = std::fs::read_dir(dir.join(format!("{name}.{kind}")));
            let names = entries.into_iter().flatten().flatten();
            open.extend(names.map(|e| e.file_name().to_string_lossy().into_owned()));
        }
    }
    found
}

fn untouchable(name: &str) -> bool {
    UNTOUCHABLE.contains(&name) || name.starts_with("user@") || name.starts_with("session-")
}

/// NixOS writes these keys into `[Service]` or `[Unit]`.
fn key(unit: &Unit, name: &str, default: bool) -> bool {
    if unit.get("Service", name).is_some() {
        unit.flag("Service", name, default)
    } else {
        unit.flag("Unit", name, default)
    }
}

fn sockets_of(unit: &Unit, name: &str) -> Vec<String> {
    match unit.get("Service", "Sockets") {
        Some(list) => list.split_whitespace().map(str::to_owned).collect(),
        None => name.strip_suffix(".service").map(|n| format!("{n}.socket")).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Fixture {
        dir: tempfile::TempDir,
        active: ActiveUnits,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("old")).unwrap();
            fs::create_dir(dir.path().join("new")).unwrap();
            Self { dir, active: ActiveUnits::new() }
        }
        /// A unit that runs; `""` means that it is not in that generation.
        fn unit(&mut self, name: &str, old: &str, new: &str) -> &mut Self {
            for (folder, text) in [("old", old), ("new", new)] {
                if !text.is_empty() {
                    fs::write(self.dir.path().join(folder).join(name), text).unwrap();
                }
            }
            self.state(name, "active")
        }
        fn state(&mut self, name: &str, state: &str) -> &mut Self {
            let active = Active { state: state.into(), sub: "running".into() };
            self.active.insert(name.into(), active);
            self
        }
        fn plan(&self) -> Plan {
            plan(&self.dir.path().join("old"), &self.dir.path().join("new"), &self.active)
        }
    }

    const A: &str = "[Service]\nExecStart=/a\n";
    const B: &str = "[Service]\nExecStart=/b\n";

    fn plan_of(name: &str, old: &str, new: &str) -> Plan {
        Fixture::new().unit(name, old, new).plan()
    }

    #[test]
    fn only_what_changed_is_touched() {
        assert_eq!(plan_of("a.service", A, A), Plan::default());
        let p = plan_of("a.service", A, B);
        assert_eq!((p.stop, p.start), (vec!["a.service".into()], vec!["a.service".to_owned()]));
        let p = plan_of("a.service", A, "");
        assert_eq!((p.stop, p.start), (vec!["a.service".to_owned()], vec![]));
        // a unit that no generation declared is not ours
        assert_eq!(plan_of("a.service", "", B), Plan::default());
    }

    #[test]
    fn units_say_how_they_take_a_change() {
        let p = plan_of("a.service", A, &format!("{B}X-ReloadIfChanged=true\n"));
        assert_eq!(p.reload, ["a.service"]);
        let p = plan_of("a.service", A, &format!("{B}X-RestartIfChanged=false\n"));
        assert_eq!(p.skip, ["a.service"]);
        let p = plan_of("a.service", A, &format!("{B}X-StopIfChanged=false\n"));
        assert_eq!(p.restart, ["a.service"]);
        let p = plan_of("a.service", A, &format!("[Unit]\nX-OnlyManualStart=true\n{B}"));
        assert_eq!(p.skip, ["a.service"]);
        let p = plan_of("a.service", A, &format!("[Unit]\nX-Reload-Triggers=/y\n{A}"));
        assert_eq!(p.reload, ["a.service"]);
        let p = plan_of("a.mount", "[Mount]\nOptions=a\n", "[Mount]\nOptions=b\n");
        assert_eq!(p.reload, ["a.mount"]);
        let p = plan_of("dbus.service", A, B);
        assert_eq!(p.skip, ["dbus.service"]);
    }

    #[test]
    fn a_service_behind_a_socket_starts_by_it() {
        let mut f = Fixture::new();
        f.unit("a.service", A, B).unit(
            "a.socket",
            "[Socket]\nListenStream=1\n",
            "[Socket]\nListenStream=1\n",
        );
        let p = f.plan();
        assert_eq!(p.stop, ["a.service", "a.socket"]);
        assert_eq!(p.start, ["a.socket"]);
    }

    #[test]
    fn targets_are_started_so_that_what_is_new_in_them_starts() {
        let p = plan_of("multi-user.target", "[Unit]\n#\n", "[Unit]\n#\n");
        assert_eq!(p.start, ["multi-user.target"]);
        assert!(p.lines().is_empty(), "targets are not worth a line");
    }

    #[test]
    fn what_is_new_in_a_target_is_told() {
        let mut f = Fixture::new();
        f.unit("multi-user.target", "[Unit]\n#\n", "[Unit]\nWants=direct.service\n");
        let wants = |generation: &str, unit: &str| {
            let folder = f.dir.path().join(generation).join("multi-user.target.wants");
            fs::create_dir_all(&folder).unwrap();
            fs::write(f.dir.path().join(generation).join(unit), A).unwrap();
            std::os::unix::fs::symlink(format!("../{unit}"), folder.join(unit)).unwrap();
        };
        // wanted before too: one that runs, and one that has run to its end
        for unit in ["runs.service", "oneshot.service"] {
            wants("old", unit);
            wants("new", unit);
        }
        for unit in ["a.service", "b.timer"] {
            wants("new", unit);
        }
        let new = f.dir.path().join("new");
        fs::write(new.join("a.service"), format!("[Unit]\nRequires=c.socket absent.socket\n{A}"))
            .unwrap();
        fs::write(new.join("c.socket"), "[Socket]\nListenStream=1\n").unwrap();
        fs::write(new.join("direct.service"), A).unwrap();
        // there, but in no target that runs
        fs::write(new.join("unwanted.service"), A).unwrap();
        f.state("runs.service", "active");
        let plan = f.plan();
        assert_eq!(plan.new, ["a.service", "b.timer", "c.socket", "direct.service"]);
        assert_eq!(plan.lines(), [("start", plan.new.clone())]);
    }

    #[test]
    fn a_failed_unit_that_changed_gets_another_chance() {
        let mut f = Fixture::new();
        f.unit("a.service", A, B).state("a.service", "failed");
        assert_eq!(f.plan().start, ["a.service"]);
        assert!(f.plan().stop.is_empty());
    }
}
