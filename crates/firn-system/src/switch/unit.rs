//! Unit files as far as comparing them needs: sections, keys and their values, drop-ins merged, with
//! systemd's rules of `systemd.syntax(7)`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Sections, their keys, and each key's values in order.
pub type Sections = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// A unit file with its drop-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// What it says.
    pub sections: Sections,
    /// Whether it is a link to `/dev/null` or empty: it shall not run.
    pub masked: bool,
}

impl Unit {
    /// Parses the text of a unit file into `self`, over what is there already.
    pub fn merge(&mut self, text: &str) {
        let mut section = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut line = line.trim_start().to_owned();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            while line.ends_with('\\') {
                line.pop();
                match lines.next() {
                    // comments inside a continued line are skipped
                    Some(next) if next.trim_start().starts_with(['#', ';']) => line.push('\\'),
                    Some(next) => {
                        line.push(' ');
                        line.push_str(next.trim_start());
                    }
                    None => break,
                }
            }
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.trim_end().strip_suffix(']'))
            {
                name.clone_into(&mut section);
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let values = self
                .sections
                .entry(section.clone())
                .or_default()
                .entry(key.trim_end().to_owned())
                .or_default();
            let value = value.trim();
            if value.is_empty() {
                // an empty assignment resets a list
                values.clear();
            }
            values.push(value.to_owned());
        }
    }

    /// Reads the unit `name` in `folder`; an instance `a@b.service` falls back to its template
    /// `a@.service`. Drop-ins of both are merged.
    #[must_use]
    pub fn read(folder: &Path, name: &str) -> Option<Self> {
        let template = template_of(name);
        let path = [Some(name), template.as_deref()]
            .into_iter()
            .flatten()
            .map(|n| folder.join(n))
            .find(|p| fs::symlink_metadata(p).is_ok())?;
        let mut unit = Self::default();
        if fs::canonicalize(&path).is_ok_and(|p| p == Path::new("/dev/null")) {
            unit.masked = true;
            return Some(unit);
        }
        let text = fs::read(&path).ok()?;
        unit.masked = text.is_empty();
        unit.merge(&String::from_utf8_lossy(&text));
        for base in [template.as_deref(), Some(name)].into_iter().flatten() {
            for part in drop_ins(&folder.join(format!("{base}.d"))) {
                if let Ok(text) = fs::read(part) {
                    unit.merge(&String::from_utf8_lossy(&text));
                }
            }
        }
        Some(unit)
    }

    /// The last value of a key.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.sections.get(section)?.get(key)?.last().map(String::as_str)
    }

    /// A yes-or-no key.
    #[must_use]
    pub fn flag(&self, section: &str, key: &str, default: bool) -> bool {
        match self.get(section, key) {
            Some("1" | "yes" | "true" | "on" | "y" | "t") => true,
            Some("0" | "no" | "false" | "off" | "n" | "f") => false,
            _ => default,
        }
    }
}

/// `a@.service` for `a@b.service`.
#[must_use]
pub fn template_of(name: &str) -> Option<String> {
    let (base, rest) = name.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{base}@.{suffix}"))
}

fn drop_ins(folder: &Path) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .collect();
    out.sort();
    out
}

/// How two versions of a unit differ, as far as a switch cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// In nothing that matters to what runs.
    None,
    /// Only in what a reload takes care of.
    Reload,
    /// In something that only a restart applies.
    Restart,
}

/// Keys of `[Unit]` that do not matter to what runs already.
const IGNORED: &[&str] = &[
    "After",
    "Before",
    "Description",
    "Documentation",
    "JobTimeoutAction",
    "JobTimeoutRebootArgument",
    "JobTimeoutSec",
    "OnFailure",
    "OnFailureJobMode",
    "OnSuccess",
    "OnSuccessJobMode",
    "RefuseManualStart",
    "RefuseManualStop",
    "SourcePath",
    "StartLimitAction",
    "StartLimitBurst",
    "StartLimitIntervalSec",
    "X-OnlyManualStart",
    "X-ReloadIfChanged",
    "X-RestartIfChanged",
    "X-StopIfChanged",
    "X-StopOnReconfiguration",
    "X-StopOnRemoval",
];

/// Compares two versions of a unit.
#[must_use]
pub fn compare(old: &Unit, new: &Unit) -> Difference {
    let mut found = Difference::None;
    let names: std::collections::BTreeSet<&String> =
        old.sections.keys().chain(new.sections.keys()).collect();
    let empty = BTreeMap::new();
    for section in names {
        if section == "Install" {
            continue;
        }
        let a = old.sections.get(section).unwrap_or(&empty);
        let b = new.sections.get(section).unwrap_or(&empty);
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            if a.get(key) == b.get(key) {
                continue;
            }
            if section == "Unit" && key == "X-Reload-Triggers" {
                found = Difference::Reload;
            } else if !(section == "Unit" && IGNORED.contains(&key.as_str())) {
                return Difference::Restart;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        let mut unit = Unit::default();
        unit.merge(text);
        unit
    }

    #[test]
    fn syntax_of_unit_files() {
        let u = unit(
            "# c\n[Service]\nExecStart=/a \\\n  # inside\n  --b\nEnvironment=A=1\nEnvironment=B=2\n; x\n[Unit]\nDescription = d \n",
        );
        assert_eq!(u.get("Service", "ExecStart"), Some("/a  --b"));
        assert_eq!(u.sections["Service"]["Environment"], ["A=1", "B=2"]);
        assert_eq!(u.get("Unit", "Description"), Some("d"));
        let mut u = u;
        u.merge("[Service]\nEnvironment=\nEnvironment=C=3\n");
        assert_eq!(u.sections["Service"]["Environment"], ["", "C=3"]);
    }

    #[test]
    fn templates_and_drop_ins() {
        assert_eq!(template_of("getty@tty1.service").as_deref(), Some("getty@.service"));
        assert_eq!(template_of("getty@.service"), None);
        assert_eq!(template_of("nginx.service"), None);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a@.service"), "[Service]\nExecStart=/x\n").unwrap();
        fs::create_dir(dir.path().join("a@b.service.d")).unwrap();
        fs::write(dir.path().join("a@b.service.d/over.conf"), "[Service]\nUser=u\n").unwrap();
        let u = Unit::read(dir.path(), "a@b.service").unwrap();
        assert_eq!(
            (u.get("Service", "ExecStart"), u.get("Service", "User")),
            (Some("/x"), Some("u"))
        );
        std::os::unix::fs::symlink("/dev/null", dir.path().join("m.service")).unwrap();
        assert!(Unit::read(dir.path(), "m.service").unwrap().masked);
    }

    #[test]
    fn differences() {
        let base = "[Unit]\nDescription=a\n[Service]\nExecStart=/x\n";
        let d = |new: &str| compare(&unit(base), &unit(new));
        assert_eq!(d(base), Difference::None);
        assert_eq!(
            d("[Unit]\nDescription=b\n[Service]\nExecStart=/x\n[Install]\nWantedBy=q\n"),
            Difference::None
        );
        assert_eq!(
            d("[Unit]\nX-Reload-Triggers=/y\n[Service]\nExecStart=/x\n"),
            Difference::Reload
        );
        assert_eq!(d("[Service]\nExecStart=/y\n"), Difference::Restart);
        assert_eq!(
            d("[Unit]\nX-Restart-Triggers=/y\n[Service]\nExecStart=/x\n"),
            Difference::Restart
        );
    }
}
