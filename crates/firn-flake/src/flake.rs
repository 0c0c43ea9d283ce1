//! What a `flake.nix` says: its inputs, its description, its settings. The outputs are not evaluated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use firn_eval::io::{FetchedTree, TreePlace};
use firn_eval::position::PosId;
use firn_eval::value::Set;
use firn_eval::{Error, Result, Value, View, Vm};
use firn_model::input::{Attr, Attrs, FlakeRef};
use firn_syntax::Symbol;

use crate::lock_file::{InputPath, parse_input_path, url_of};
use crate::{enabled, input_error, reference};

/// A flake whose `flake.nix` was read.
#[derive(Debug, Clone)]
pub struct Flake {
    /// As it was asked for.
    pub original: FlakeRef,
    /// With registries asked.
    pub resolved: FlakeRef,
    /// With all that became known by fetching; see [`FetchedTree::input`].
    pub locked: FlakeRef,
    /// The tree it is in.
    pub tree: FetchedTree,
    /// The folder with `flake.nix`.
    pub dir: PathBuf,
    /// What it is, for people.
    pub description: Option<String>,
    /// What it needs.
    pub inputs: BTreeMap<String, FlakeInput>,
    /// Attributes that its own tree is fetched with.
    pub self_attrs: Attrs,
    /// Settings that it wants, as they are written in settings files.
    pub settings: Vec<(String, String)>,
}

/// An input as `flake.nix` names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlakeInput {
    /// Where it comes from.
    pub reference: Option<FlakeRef>,
    /// Whether it is no flake, just a tree.
    pub just_a_tree: bool,
    /// The input whose place it takes.
    pub follows: Option<InputPath>,
    /// Inputs of this input that are replaced.
    pub overrides: BTreeMap<String, FlakeInput>,
}

impl Flake {
    /// The reference with all that is to be known of the flake's tree, which is in the store then.
    ///
    /// # Errors
    /// If the tree cannot be copied there.
    pub fn settled(&self) -> Result<FlakeRef> {
        let input = match &self.tree.place {
            TreePlace::Stored(_) => self.locked.input.clone(),
            TreePlace::Lazy(_) => self.tree.settled()?.input,
        };
        Ok(FlakeRef { input, dir: self.locked.dir.clone() })
    }

    /// How messages name the flake, by what is known of it. A folder's URL has the hash of what is in it, so that its
    /// tree must be in the store; that of a repository has not.
    ///
    /// # Errors
    /// As [`Flake::settled`].
    pub fn url(&self) -> Result<String> {
        match self.locked.input.kind() {
            "path" => self.settled().map(|locked| url_of(&locked)),
            _ => Ok(url_of(&self.locked)),
        }
    }
}

fn symbol(name: &str) -> Symbol {
    Symbol::intern(name.as_bytes())
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads the `flake.nix` in `dir`. Names in `follows` are below `at`.
///
/// # Errors
/// If there is none, it has errors, or says what flakes cannot say.
pub(crate) fn read(
    vm: &mut Vm,
    tree: &FetchedTree,
    dir: &Path,
    original: &FlakeRef,
    resolved: &FlakeRef,
    locked: &FlakeRef,
    at: &[String],
) -> Result<Flake> {
    let file = dir.join("flake.nix");
    let root = tree.root(vm.store_dir());
    vm.shared.io.allow(&root);
    if !dir.starts_with(&root) {
        // a relative path that leads out of its tree
        vm.shared.io.check_path(&file)?;
        vm.store_dir().parse_prefix(&dir.to_string_lossy()).map_err(|e| {
            Error::other(format!("flake '{}' is not in the store: {e}", url_of(original)))
        })?;
    }
    if vm.shared.io.kind(&file).ok().flatten().is_none() {
        return Err(Error::other(firn_eval::trees::absent(&file)));
    }
    let ast = vm.parse_file(&file)?;
    crate::literal::check(&ast, &file)?;
    let value = vm.eval_ast(&ast)?;
    let value = vm.force(value, PosId::NONE)?;
    let Some(set) = value.as_set() else {
        return Err(Error::type_error(format!(
            "file '{}' must be an attribute set",
            file.display()
        )));
    };
    let mut flake = Flake {
        original: original.clone(),
        resolved: resolved.clone(),
        locked: locked.clone(),
        tree: tree.clone(),
        dir: dir.to_owned(),
        description: None,
        inputs: BTreeMap::new(),
        self_attrs: Attrs::new(),
        settings: Vec::new(),
    };
    for (name, value) in set.sorted(&mut vm.heap).collect::<Vec<_>>() {
        let pos = set.position(name);
        match name.as_bytes() {
            b"description" => flake.description = Some(string(vm, value, pos)?),
            b"inputs" => {
                let inputs = expect_set(vm, value, pos)?;
                (flake.inputs, flake.self_attrs) = read_inputs(vm, inputs, at, dir, true)?;
            }
            b"nixConfig" => flake.settings = read_settings(vm, value, pos)?,
            b"outputs" => {}
            other => {
                return Err(Error::other(format!(
                    "flake '{}' has an unsupported attribute '{}'",
                    url_of(resolved),
                    text_of(other)
                ))
                .at(pos));
            }
        }
    }
    let Some(outputs) = set.get(symbol("outputs")) else {
        return Err(Error::other(format!(
            "flake '{}' lacks attribute 'outputs'",
            url_of(resolved)
        )));
    };
    let outputs = vm.force(outputs, PosId::NONE)?;
    if !matches!(
        outputs.view(),
        View::Function(_) | View::Partial(_) | View::Builtin(_) | View::Applied(_)
    ) {
        return Err(Error::type_error(format!(
            "expected a function but got {} at {}",
            outputs.describe(),
            file.display()
        )));
    }
    for name in firn_eval::builtins::formals(outputs) {
        let name = text_of(name.as_bytes());
        if name == "self" {
            continue;
        }
        if let std::collections::btree_map::Entry::Vacant(place) = flake.inputs.entry(name) {
            let (found, _) = FlakeRef::parse(place.key(), &enabled).map_err(|e| input_error(&e))?;
            place.insert(FlakeInput { reference: Some(found), ..FlakeInput::default() });
        }
    }
    Ok(flake)
}

fn expect_set(vm: &mut Vm, value: Value, pos: PosId) -> Result<Set> {
    let value = vm.force(value, pos)?;
    value.as_set().ok_or_else(|| {
        Error::type_error(format!("expected a set but got {}", value.describe())).at(pos)
    })
}

fn string(vm: &mut Vm, value: Value, pos: PosId) -> Result<String> {
    let value = vm.force(value, pos)?;
    match value.as_str() {
        Some(text) => Ok(text_of(text.bytes())),
        None => {
            Err(Error::type_error(format!("expected a string but got {}", value.describe()))
                .at(pos))
        }
    }
}

fn read_inputs(
    vm: &mut Vm,
    set: Set,
    at: &[String],
    dir: &Path,
    allow_self: bool,
) -> Result<(BTreeMap<String, FlakeInput>, Attrs)> {
    let (mut inputs, mut self_attrs) = (BTreeMap::new(), Attrs::new());
    for (name, value) in set.sorted(&mut vm.heap).collect::<Vec<_>>() {
        let pos = set.position(name);
        let name = text_of(name.as_bytes());
        let of = expect_set(vm, value, pos)?;
        if name != "self" {
            let input = read_input(vm, of, pos, at, dir)?;
            inputs.insert(name, input);
            continue;
        }
        if !allow_self {
            return Err(Error::other("'self' input attribute not allowed").at(pos));
        }
        for (name, value) in of.sorted(&mut vm.heap).collect::<Vec<_>>() {
            let value = attr(vm, name, value, of.position(name))?;
            self_attrs.insert(text_of(name.as_bytes()), value);
        }
    }
    Ok((inputs, self_attrs))
}

fn read_input(vm: &mut Vm, set: Set, pos: PosId, at: &[String], dir: &Path) -> Result<FlakeInput> {
    let mut input = FlakeInput::default();
    let mut attrs = Attrs::new();
    let mut url = None;
    for (name, value) in set.sorted(&mut vm.heap).collect::<Vec<_>>() {
        let here = set.position(name);
        let shown = text_of(name.as_bytes());
        let mut read = || -> Result<()> {
            match shown.as_str() {
                "url" => {
                    let value = vm.force(value, here)?;
                    let text = match value.view() {
                        View::Str(text) => text_of(text.bytes()),
                        View::Path(path) => relative_to(dir, &text_of(path.bytes())),
                        _ => {
                            return Err(Error::type_error(format!(
                                "expected a string or a path but got {}",
                                value.describe()
                            ))
                            .at(here));
                        }
                    };
                    attrs.insert("url".into(), text.clone().into());
                    url = Some(text);
                }
                "flake" => {
                    let value = vm.force(value, here)?;
                    let Some(is_flake) = value.as_bool() else {
                        return Err(Error::type_error(format!(
                            "expected a Boolean but got {}",
                            value.describe()
                        ))
                        .at(here));
                    };
                    input.just_a_tree = !is_flake;
                }
                "inputs" => {
                    let of = expect_set(vm, value, here)?;
                    (input.overrides, _) = read_inputs(vm, of, at, dir, false)?;
                }
                "follows" => {
                    let target = parse_input_path(&string(vm, value, here)?)?;
                    input.follows = Some(at.iter().cloned().chain(target).collect());
                }
                _ => {
                    let value = attr(vm, name, value, here)?;
                    attrs.insert(shown.clone(), value);
                }
            }
            Ok(())
        };
        read().map_err(|e| e.trace(here, format!("while evaluating flake attribute '{shown}'")))?;
    }
    if attrs.contains_key("type") {
        let found = FlakeRef::from_attrs(attrs, &enabled).map_err(|e| input_error(&e));
        input.reference = Some(found.map_err(|e| e.trace(pos, "while evaluating flake input"))?);
    } else {
        attrs.remove("url");
        if let Some(name) = attrs.keys().next() {
            return Err(Error::other(format!("unexpected flake input attribute '{name}'")).at(pos));
        }
        input.reference =
            url.map(|url| reference::parse_input(&url, !input.just_a_tree)).transpose()?;
    }
    if input.reference.is_some() && input.follows.is_some() {
        return Err(
            Error::other("flake input has both a flake reference and a follows attribute").at(pos)
        );
    }
    Ok(input)
}

/// A path as a reference relative to the flake's folder.
fn relative_to(dir: &Path, path: &str) -> String {
    let path = Path::new(path);
    let (mut steps, mut base) = (Vec::new(), dir);
    loop {
        if let Ok(rest) = path.strip_prefix(base) {
            steps.extend(rest.iter().map(|s| s.to_string_lossy().into_owned()));
            let relative = if steps.is_empty() { ".".to_owned() } else { steps.join("/") };
            return format!("path:{relative}");
        }
        match base.parent() {
            Some(parent) => {
                steps.push("..".to_owned());
                base = parent;
            }
            None => return format!("path:{}", path.display()),
        }
    }
}

fn attr(vm: &mut Vm, name: Symbol, value: Value, pos: PosId) -> Result<Attr> {
    let value = vm.force(value, pos)?;
    let name = text_of(name.as_bytes());
    if name == "publicKeys" && value.as_list().is_some() {
        let (mut context, mut text) = (firn_eval::context::ContextBuilder::new(), Vec::new());
        firn_eval::print::json::to_json(vm, value, pos, &mut context, false, true, &mut text)?;
        return Ok(Attr::String(text_of(&text)));
    }
    match value.view() {
        View::Str(text) => Ok(Attr::String(text_of(text.bytes()))),
        View::Bool(b) => Ok(Attr::Bool(b)),
        View::Int(n) => u64::try_from(n).map(Attr::Int).map_err(|_| {
            Error::other(format!("negative value given for flake input attribute {name}: {n}"))
                .at(pos)
        }),
        _ => Err(Error::type_error(format!(
            "flake input attribute '{name}' is {} while a string, Boolean, or integer is expected",
            value.describe()
        ))
        .at(pos)),
    }
}

fn read_settings(vm: &mut Vm, value: Value, pos: PosId) -> Result<Vec<(String, String)>> {
    let set = expect_set(vm, value, pos)?;
    let mut settings = Vec::new();
    for (name, value) in set.sorted(&mut vm.heap).collect::<Vec<_>>() {
        let here = set.position(name);
        let value = vm.force(value, here)?;
        let name = text_of(name.as_bytes());
        let text = match value.view() {
            View::Str(text) => text_of(text.bytes()),
            View::Int(n) => n.to_string(),
            View::Bool(b) => b.to_string(),
            View::Path(path) => {
                let mut context = firn_eval::context::ContextBuilder::new();
                let path = vm.copy_source(path.bytes(), &mut context)?;
                vm.store_dir().print(&path)
            }
            View::List(list) => {
                let mut words = Vec::new();
                for item in list.iter() {
                    let item = vm.force(item, here)?;
                    match item.as_str() {
                        Some(text) => words.push(text_of(text.bytes())),
                        None => {
                            return Err(Error::type_error(format!(
                                "list element in flake configuration setting '{name}' is {} while a string is expected",
                                item.describe()
                            ))
                            .at(here));
                        }
                    }
                }
                words.join(" ")
            }
            _ => {
                return Err(Error::type_error(format!(
                    "flake configuration setting '{name}' is {}",
                    value.describe()
                ))
                .at(here));
            }
        };
        settings.push((name, text));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative() {
        let dir = Path::new("/nix/store/x-source/a");
        assert_eq!(relative_to(dir, "/nix/store/x-source/a/b"), "path:b");
        assert_eq!(relative_to(dir, "/nix/store/x-source/c"), "path:../c");
        assert_eq!(relative_to(dir, "/nix/store/x-source"), "path:..");
        assert_eq!(relative_to(dir, "/nix/store/x-source/a"), "path:.");
    }
}
