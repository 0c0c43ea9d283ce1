//! A package as `nix-env` sees it: evaluated, installed, or just a store path, with what was changed about it.

use std::collections::{BTreeMap, BTreeSet};

use firn_eval::packages::{Found, Package};
use firn_eval::position::PosId;
use firn_eval::text::version;
use firn_eval::value::Set;
use firn_eval::{Error, Value, View, Vm, packages};
use firn_model::StorePath;
use firn_syntax::{Symbol, sym};

use crate::commands::nix::Stop;

/// A package.
#[derive(Clone)]
pub struct Item {
    /// Where it was found.
    pub attr_path: String,
    /// Its name with its version.
    pub name: String,
    /// Its value; a store path has none.
    package: Option<Package>,
    /// The paths of one that has no value.
    drv_path: Option<StorePath>,
    out_path: Option<StorePath>,
    /// Attributes of `meta` that were set by hand.
    flags: BTreeMap<String, Value>,
}

/// Outputs by name, with their paths if those were asked for.
pub type Outputs = BTreeMap<String, Option<StorePath>>;

impl Item {
    /// A package that evaluation found.
    pub fn evaluated(vm: &mut Vm, found: Found) -> Result<Self, Stop> {
        Ok(Self {
            attr_path: found.attr_path,
            name: found.package.name(vm)?,
            package: Some(found.package),
            drv_path: None,
            out_path: None,
            flags: BTreeMap::new(),
        })
    }

    /// A path of the store; if it is what a derivation builds, that is named too.
    pub fn of_path(name: String, out_path: StorePath, drv_path: Option<StorePath>) -> Self {
        Self {
            attr_path: String::new(),
            name,
            package: None,
            drv_path,
            out_path: Some(out_path),
            flags: BTreeMap::new(),
        }
    }

    /// Its name without the version.
    pub fn short_name(&self) -> &str {
        split_name(&self.name).0
    }

    /// Its version; empty if it has none.
    pub fn version(&self) -> &str {
        split_name(&self.name).1
    }

    /// The machine it is for; empty if nobody says.
    pub fn system(&self, vm: &mut Vm) -> Result<String, Stop> {
        Ok(match self.package {
            Some(package) => package.system(vm)?,
            None => String::new(),
        })
    }

    /// Its derivation, if it has one.
    pub fn drv_path(&self, vm: &mut Vm) -> Result<Option<StorePath>, Stop> {
        match self.package {
            Some(package) if package.attrs.has(sym::DRV_PATH) => Ok(Some(package.drv_path(vm)?)),
            Some(_) => Ok(None),
            None => Ok(self.drv_path.clone()),
        }
    }

    /// The path of its output.
    pub fn out_path(&self, vm: &mut Vm) -> Result<StorePath, Stop> {
        match (self.package, &self.out_path) {
            (Some(package), _) => Ok(package.out_path(vm)?),
            (None, Some(path)) => Ok(path.clone()),
            (None, None) => Err(Error::other("this package has no output path").into()),
        }
    }

    /// Which of its outputs it is; empty if it does not say.
    pub fn output_name(&self, vm: &mut Vm) -> Result<String, Stop> {
        Ok(match self.package {
            Some(package) => package.output_name(vm)?,
            None => String::new(),
        })
    }

    /// Its outputs, with their paths if `paths`; only those that are installed by default if `chosen`.
    pub fn outputs(&self, vm: &mut Vm, paths: bool, chosen: bool) -> Result<Outputs, Stop> {
        let mut all = Outputs::new();
        let listed = self.package.filter(|p| p.attrs.has(sym::OUTPUTS));
        if listed.is_none() {
            let path = if paths { Some(self.out_path(vm)?) } else { None };
            all.insert("out".to_owned(), path);
        }
        let Some(package) = self.package else { return Ok(all) };
        for name in if listed.is_some() { package.outputs(vm)? } else { Vec::new() } {
            if !paths {
                all.insert(name, None);
                continue;
            }
            let symbol = Symbol::intern(name.as_bytes());
            let Some(output) = package.attrs.get(symbol) else { continue };
            let attrs = vm.force_set(
                output,
                package.attrs.position(symbol),
                "while evaluating an output of a derivation",
            )?;
            if attrs.has(sym::OUT_PATH) {
                all.insert(name, Some(Package { attrs }.out_path(vm)?));
            }
        }
        if !chosen {
            return Ok(all);
        }
        let specified = match package.attrs.get(Symbol::intern(b"outputSpecified")) {
            Some(v) => vm.force_bool(
                v,
                package.attrs.position(Symbol::intern(b"outputSpecified")),
                "while evaluating the 'outputSpecified' attribute of a derivation",
            )?,
            None => false,
        };
        if specified {
            let name = package.output_name(vm)?;
            if !all.contains_key(&name) {
                let text = format!("derivation does not have output '{name}'");
                return Err(Error::other(text).into());
            }
            all.retain(|output, _| *output == name);
            return Ok(all);
        }
        let Some(wanted) = self.meta(vm, "outputsToInstall")? else { return Ok(all) };
        let bad = || Error::other("this derivation has bad 'meta.outputsToInstall'");
        let list = wanted.as_list().ok_or_else(bad)?;
        let mut names = BTreeSet::new();
        for name in list.iter() {
            let name = vm.force(name, PosId::NONE)?.as_str().ok_or_else(bad)?;
            let name = String::from_utf8_lossy(name.bytes()).into_owned();
            if !all.contains_key(&name) {
                return Err(bad().into());
            }
            names.insert(name);
        }
        all.retain(|name, _| names.contains(name));
        Ok(all)
    }

    fn meta_set(&self, vm: &mut Vm) -> Result<Option<Set>, Stop> {
        let Some(package) = self.package else { return Ok(None) };
        let Some(meta) = package.attrs.get(sym::META) else { return Ok(None) };
        Ok(Some(vm.force_set(
            meta,
            package.attrs.position(sym::META),
            "while evaluating the 'meta' attribute of a derivation",
        )?))
    }

    /// The names in its `meta`.
    pub fn meta_names(&self, vm: &mut Vm) -> Result<BTreeSet<String>, Stop> {
        let mut names: BTreeSet<String> = self.flags.keys().cloned().collect();
        if let Some(meta) = self.meta_set(vm)? {
            names.extend(meta.iter(&mut vm.heap).map(|(name, _)| name.as_str().to_string()));
        }
        Ok(names)
    }

    /// A value of its `meta`; none if it is of a kind that cannot be kept, such as a function.
    pub fn meta(&self, vm: &mut Vm, name: &str) -> Result<Option<Value>, Stop> {
        let value = match self.flags.get(name) {
            Some(value) => *value,
            None => match self.meta_set(vm)?.and_then(|m| m.get(Symbol::intern(name.as_bytes()))) {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        let value = vm.force(value, PosId::NONE)?;
        Ok(packages::is_plain(vm, value)?.then_some(value))
    }

    /// A text of its `meta`; empty if there is none.
    pub fn meta_text(&self, vm: &mut Vm, name: &str) -> Result<String, Stop> {
        let text = self.meta(vm, name)?.and_then(Value::as_str);
        Ok(text.map(|t| String::from_utf8_lossy(t.bytes()).into_owned()).unwrap_or_default())
    }

    /// Its priority: 0 if it says nothing, a lower number for one that comes first.
    pub fn priority(&self, vm: &mut Vm) -> Result<i64, Stop> {
        let Some(value) = self.meta(vm, "priority")? else { return Ok(0) };
        Ok(match value.view() {
            View::Int(n) => n,
            View::Str(text) => String::from_utf8_lossy(text.bytes()).parse().unwrap_or(0),
            _ => 0,
        })
    }

    /// Whether it stays when another of its name is installed or upgraded.
    pub fn keeps(&self, vm: &mut Vm) -> Result<bool, Stop> {
        let Some(value) = self.meta(vm, "keep")? else { return Ok(false) };
        Ok(match value.view() {
            View::Bool(keep) => keep,
            View::Str(text) => text.bytes() == b"true",
            _ => false,
        })
    }

    /// Sets an attribute of its `meta` to a text.
    pub fn set_flag(&mut self, vm: &mut Vm, name: &str, value: &str) {
        let value = vm.string(value);
        self.flags.insert(name.to_owned(), value);
    }
}

/// A name and the version behind it.
pub fn split_name(full: &str) -> (&str, &str) {
    let (name, version) = version::parse_drv_name(full.as_bytes());
    (&full[..name.len()], &full[full.len() - version.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_told_apart() {
        assert_eq!(split_name("foo-1.0"), ("foo", "1.0"));
        assert_eq!(split_name("foo-bar"), ("foo-bar", ""));
        assert_eq!(split_name("é-1"), ("é", "1"));
    }
}
