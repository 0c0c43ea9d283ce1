//! What commands ask of values: attributes by path, and derivations in sets and lists.

use crate::error::{Error, Kind, Result, best_matches};
use crate::machine::{Vm, looked_at, position_of};
use crate::position::PosId;
use crate::value::{Set, Value, View};
use firn_model::StorePath;
use firn_syntax::{Symbol, sym};
use rustc_hash::FxHashSet;

/// The names of an attribute path: separated by dots, with dots in quoted ones.
///
/// # Errors
/// A quote that is not closed.
pub fn parse_attr_path(text: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => names.push(std::mem::take(&mut name)),
            c => name.push(c),
        }
    }
    if quoted {
        return Err(Error::other(format!("missing closing quote in selection path '{text}'")));
    }
    if !name.is_empty() {
        names.push(name);
    }
    Ok(names)
}

/// The value at a path below `v`. Functions on the way are called with `args`. Numbers are indices of lists.
///
/// # Errors
/// What is not there or of the wrong type, and what evaluation raises.
pub fn select(vm: &mut Vm, path: &str, args: Set, v: Value) -> Result<(Value, PosId)> {
    let mut v = v;
    let mut pos = PosId::NONE;
    for name in parse_attr_path(path)? {
        v = vm.auto_call(args, v)?;
        let wrong = |what: &str, v: Value| {
            Error::type_error(format!(
                "the expression selected by the selection path '{path}' should be a {what} but is {}",
                v.describe()
            ))
        };
        if let Ok(i) = name.parse::<u32>() {
            let Some(list) = v.as_list() else { return Err(wrong("list", v)) };
            if i as usize >= list.len() {
                return Err(Error::other(format!(
                    "list index {i} in selection path '{path}' is out of range"
                )));
            }
            v = list.get(i as usize);
            pos = PosId::NONE;
            continue;
        }
        let Some(set) = v.as_set() else { return Err(wrong("set", v)) };
        if name.is_empty() {
            return Err(Error::other(format!("empty attribute name in selection path '{path}'")));
        }
        let symbol = Symbol::intern(name.as_bytes());
        let Some(found) = set.get(symbol) else {
            let names: Vec<Symbol> = set.iter(&mut vm.heap).map(|(n, _)| n).collect();
            let near = best_matches(names.iter().map(|n| n.as_bytes()), name.as_bytes());
            return Err(Error::new(
                Kind::Missing,
                format!("attribute '{name}' in selection path '{path}' not found"),
            )
            .suggest(near));
        };
        pos = set.position(symbol);
        v = found;
    }
    Ok((vm.force(v, pos)?, pos))
}

/// A derivation found in a value.
#[derive(Clone, Copy)]
pub struct Package {
    /// Its attributes.
    pub attrs: Set,
}

/// A derivation with the path of attributes that leads to it.
#[derive(Clone)]
pub struct Found {
    /// The path, joined with dots; empty for the value itself.
    pub attr_path: String,
    /// The derivation.
    pub package: Package,
}

impl Package {
    fn string(
        self,
        vm: &mut Vm,
        name: Symbol,
        pos: PosId,
        context: &str,
    ) -> Result<Option<String>> {
        let Some(v) = self.attrs.get(name) else { return Ok(None) };
        let s = vm.force_string_no_context(v, pos, context)?;
        Ok(Some(String::from_utf8_lossy(s.bytes()).into_owned()))
    }

    /// Its name.
    ///
    /// # Errors
    /// If it has none, and what evaluation raises.
    pub fn name(self, vm: &mut Vm) -> Result<String> {
        let context = "while evaluating the 'name' attribute of a derivation";
        self.string(vm, sym::NAME, PosId::NONE, context)?
            .ok_or_else(|| Error::type_error("derivation name missing"))
    }

    /// What machine it is for.
    ///
    /// # Errors
    /// What evaluation raises.
    pub fn system(self, vm: &mut Vm) -> Result<String> {
        let context = "while evaluating the 'system' attribute of a derivation";
        let pos = self.attrs.position(sym::SYSTEM);
        Ok(self.string(vm, sym::SYSTEM, pos, context)?.unwrap_or_else(|| "unknown".into()))
    }

    /// Which of its outputs this is; empty if it does not say.
    ///
    /// # Errors
    /// What evaluation raises.
    pub fn output_name(self, vm: &mut Vm) -> Result<String> {
        let context = "while evaluating the output name of a derivation";
        Ok(self.string(vm, sym::OUTPUT_NAME, PosId::NONE, context)?.unwrap_or_default())
    }

    /// The path of its derivation.
    ///
    /// # Errors
    /// If it has none, and what evaluation raises.
    pub fn drv_path(self, vm: &mut Vm) -> Result<StorePath> {
        let Some(v) = self.attrs.get(sym::DRV_PATH) else {
            return Err(Error::other("derivation does not contain a 'drvPath' attribute"));
        };
        let mut context = crate::context::ContextBuilder::new();
        let pos = self.attrs.position(sym::DRV_PATH);
        let what = "while evaluating the 'drvPath' attribute of a derivation";
        let path = vm.coerce_store_path(pos, v, &mut context, what)?;
        if !path.is_derivation() {
            return Err(Error::other(format!(
                "store path '{}' is not a valid derivation path",
                path.base_name()
            ))
            .trace(pos, what));
        }
        Ok(path)
    }

    /// The path of the output that it is.
    ///
    /// # Errors
    /// If it has none, and what evaluation raises.
    pub fn out_path(self, vm: &mut Vm) -> Result<StorePath> {
        let Some(v) = self.attrs.get(sym::OUT_PATH) else {
            return Err(Error::other("derivation does not have attribute 'outPath'"));
        };
        let mut context = crate::context::ContextBuilder::new();
        vm.coerce_store_path(
            self.attrs.position(sym::OUT_PATH),
            v,
            &mut context,
            "while evaluating the output path of a derivation",
        )
    }

    /// The names of its outputs.
    ///
    /// # Errors
    /// What evaluation raises.
    pub fn outputs(self, vm: &mut Vm) -> Result<Vec<String>> {
        let Some(v) = self.attrs.get(sym::OUTPUTS) else { return Ok(vec!["out".into()]) };
        let pos = self.attrs.position(sym::OUTPUTS);
        let list =
            vm.force_list(v, pos, "while evaluating the 'outputs' attribute of a derivation")?;
        let mut names = Vec::new();
        for v in list.iter() {
            let s = vm.force_string_no_context(
                v,
                pos,
                "while evaluating the name of an output of a derivation",
            )?;
            names.push(String::from_utf8_lossy(s.bytes()).into_owned());
        }
        Ok(names)
    }

    /// An attribute of its `meta`.
    ///
    /// # Errors
    /// What evaluation raises.
    pub fn meta(self, vm: &mut Vm, name: &str) -> Result<Option<Value>> {
        let Some(v) = self.attrs.get(sym::META) else { return Ok(None) };
        let meta = vm.force_set(
            v,
            self.attrs.position(sym::META),
            "while evaluating the 'meta' attribute of a derivation",
        )?;
        match meta.get(Symbol::intern(name.as_bytes())) {
            Some(v) => vm.force(v, PosId::NONE).map(Some),
            None => Ok(None),
        }
    }
}

/// Whether a value consists of strings, numbers and Booleans, in lists and sets that are no derivations: what
/// the `meta` of a package may be if it is to be kept. Evaluates it.
///
/// # Errors
/// What evaluation raises.
pub fn is_plain(vm: &mut Vm, value: Value) -> Result<bool> {
    vm.nested(position_of(looked_at(value)), |vm| {
        let value = vm.force(value, PosId::NONE)?;
        let inner: Vec<Value> = match value.view() {
            View::List(list) => list.iter().collect(),
            View::Set(set) if set.has(sym::OUT_PATH) => return Ok(false),
            View::Set(set) => set.iter(&mut vm.heap).map(|(_, v)| v).collect(),
            other => {
                return Ok(matches!(
                    other,
                    View::Int(_) | View::Bool(_) | View::Str(_) | View::Float(_)
                ));
            }
        };
        for value in inner {
            if !is_plain(vm, value)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

struct Search {
    args: Set,
    ignore_failed_assertions: bool,
    seen: FxHashSet<u64>,
    found: Vec<Found>,
}

/// The derivations in a value: itself, or those of a set or list, and of sets in it that want to be searched
/// (`recurseForDerivations`).
///
/// # Errors
/// A value that is no derivation, set or list, and what evaluation raises.
pub fn derivations(
    vm: &mut Vm,
    v: Value,
    args: Set,
    ignore_failed_assertions: bool,
) -> Result<Vec<Found>> {
    let mut search =
        Search { args, ignore_failed_assertions, seen: FxHashSet::default(), found: Vec::new() };
    search.walk(vm, v, "")?;
    Ok(search.found)
}

fn is_path_component(name: &[u8]) -> bool {
    let Some((first, rest)) = name.split_first() else { return false };
    (first.is_ascii_alphabetic() || *first == b'_')
        && rest.iter().all(|c| c.is_ascii_alphanumeric() || b"-_+".contains(c))
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.into() } else { format!("{prefix}.{name}") }
}

impl Search {
    /// Notes a derivation; true if the value is none and may contain some.
    fn note(&mut self, vm: &mut Vm, v: Value, path: &str) -> Result<(bool, Value)> {
        let result = (|| {
            let v = vm.force(v, PosId::NONE)?;
            let Some(set) = v.as_set() else { return Ok((true, v)) };
            if !vm.is_derivation(set)? {
                return Ok((true, v));
            }
            if !self.seen.insert(v.0) {
                return Ok((false, v));
            }
            let package = Package { attrs: set };
            package.name(vm)?;
            self.found.push(Found { attr_path: path.into(), package });
            Ok((false, v))
        })();
        match result {
            Err(e) if self.ignore_failed_assertions && Error::is_catchable(&e) => {
                Ok((false, Value::NULL))
            }
            other => other,
        }
    }

    fn walk(&mut self, vm: &mut Vm, v: Value, path: &str) -> Result<()> {
        let args = self.args;
        vm.nested(PosId::NONE, |vm| {
            let v = vm.auto_call(args, v)?;
            let (search, v) = self.note(vm, v, path)?;
            if !search {
                return Ok(());
            }
            match v.view() {
                View::Set(set) => self.walk_set(vm, set, path),
                View::List(list) => {
                    for (i, v) in list.iter().enumerate() {
                        let path = join(path, &i.to_string());
                        let (search, v) = self.note(vm, v, &path)?;
                        if search {
                            self.walk(vm, v, &path)?;
                        }
                    }
                    Ok(())
                }
                _ => Err(Error::type_error(
                    "expression does not evaluate to a derivation (or a set or list of those)",
                )),
            }
        })
    }

    fn walk_set(&mut self, vm: &mut Vm, set: Set, path: &str) -> Result<()> {
        let combine = set.has(Symbol::intern(b"_combineChannels"));
        let recurse = Symbol::intern(b"recurseForDerivations");
        for (name, v) in set.sorted(&mut vm.heap) {
            if !is_path_component(name.as_bytes()) {
                continue;
            }
            let path = join(path, &name.as_str());
            let result = (|| {
                if combine {
                    return self.walk(vm, v, &path);
                }
                let (search, v) = self.note(vm, v, &path)?;
                if search
                    && let Some(inner) = v.as_set()
                    && let Some(flag) = inner.get(recurse)
                    && vm.force_bool(
                        flag,
                        inner.position(recurse),
                        "while evaluating the attribute `recurseForDerivations`",
                    )?
                {
                    self.walk(vm, v, &path)?;
                }
                Ok(())
            })();
            result.map_err(|e| {
                e.trace(set.position(name), format!("while evaluating the attribute '{name}'"))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attr_paths() {
        assert_eq!(parse_attr_path("a.b").expect("valid"), ["a", "b"]);
        assert_eq!(parse_attr_path("a.\"b.c\".d").expect("valid"), ["a", "b.c", "d"]);
        assert!(parse_attr_path("").expect("valid").is_empty());
        assert!(parse_attr_path("a.\"b").is_err());
    }
}
