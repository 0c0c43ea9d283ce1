//! Installables: what users name on the command line to be built, evaluated or asked about. Defined in
//! the Nix manual, "nix", "Installables".

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_build::{DerivedPath, OutputsSpec};
use firn_eval::context::Element;
use firn_eval::position::PosId;
use firn_eval::value::Set;
use firn_eval::{Value, View, Vm, packages};
use firn_model::input::FlakeRef;
use firn_model::store_path::StorePath;
use firn_store::ClosureOptions;
use firn_syntax::source::Source;
use firn_syntax::{Ast, Origin, Symbol};

use super::cached::{parse_derived, print_derived};
use super::call::{Call, Stop};
use super::flakes::{self, Locking, Targets};
use crate::common::eval::{Session, current_dir};
use crate::common::legacy::{Failure, Outcome, fail, usage};
use crate::common::store::AnyStore;
use crate::common::store_paths::follow_links;

/// Something that a user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installable {
    /// A store path, or outputs of a derivation.
    Store(DerivedPath),
    /// An attribute of the file or expression that a flag gave.
    Attr {
        /// The path, with dots; empty for the whole.
        path: String,
        /// The outputs after `^`.
        outputs: Option<OutputsSpec>,
    },
    /// An attribute of a flake.
    Flake {
        /// The flake.
        reference: FlakeRef,
        /// The attribute, perhaps in short; empty for the default.
        fragment: String,
        /// The outputs after `^`.
        outputs: Option<OutputsSpec>,
    },
}

/// Divides `x^a,b` into `x` and its outputs.
///
/// # Errors
/// If no output follows `^`.
pub fn split_outputs(text: &str) -> Outcome<(&str, Option<OutputsSpec>)> {
    let Some((rest, outputs)) = text.rsplit_once('^') else { return Ok((text, None)) };
    if outputs == "*" {
        return Ok((rest, Some(OutputsSpec::All)));
    }
    let names: BTreeSet<String> = outputs.split(',').map(str::to_owned).collect();
    if outputs.is_empty() || names.contains("") {
        return fail(format!("invalid extended outputs specifier '{outputs}'"));
    }
    Ok((rest, Some(OutputsSpec::Names(names))))
}

impl Installable {
    /// The outputs after `^`.
    pub fn outputs(&self) -> Option<&OutputsSpec> {
        match self {
            Self::Store(_) => None,
            Self::Attr { outputs, .. } | Self::Flake { outputs, .. } => outputs.as_ref(),
        }
    }
}

impl Call<'_> {
    /// Whether a flag says where attributes are.
    pub fn has_source(&self) -> bool {
        self.given.value("file").is_some() || self.given.value("expr").is_some()
    }

    /// What an argument stands for.
    pub fn installable(&mut self, text: &str) -> Outcome<Installable> {
        self.warn_of_query(text);
        let (path, outputs) = split_outputs(text)?;
        if self.has_source() {
            return Ok(Installable::Attr { path: path.to_owned(), outputs });
        }
        if path.contains('/') && !path.contains('#') && !path.contains(':') {
            // of outputs of outputs only a store path may have some
            let mut names = path.split('^');
            let path = names.next().unwrap_or_default();
            let via: Vec<String> = names.map(str::to_owned).collect();
            let store = self.store()?;
            let present =
                std::fs::symlink_metadata(path).is_ok() || store.is_in_store(Path::new(path));
            if let Ok(found) =
                follow_links(&store, path).or_else(|e| if present { Err(e) } else { fail("") })
            {
                let wanted = match outputs {
                    None => DerivedPath::Opaque(found),
                    Some(outputs) => DerivedPath::outputs_via(found, via, outputs),
                };
                return Ok(Installable::Store(wanted));
            }
        }
        let (reference, fragment) = firn_flake::reference::parse(path, &self.given.base())
            .map_err(|e| Failure::Message(e.message().to_owned()))?;
        Ok(Installable::Flake { reference, fragment, outputs })
    }

    /// Tells of words after `?` in a URL that are no `name=value`.
    fn warn_of_query(&self, text: &str) {
        let url = text.split_once('#').map_or(text, |(url, _)| url);
        let Some((scheme, query)) = url.split_once('?') else { return };
        if !scheme.contains(':') || self.has_source() {
            return;
        }
        for word in query.split('&').filter(|w| !w.is_empty() && !w.contains('=')) {
            self.common
                .logger()
                .warn(format!("dubious URI query '{word}' is missing equal sign '=', ignoring"));
        }
    }

    /// What all arguments stand for; without any, the whole file or expression.
    pub fn installables(&mut self) -> Outcome<Vec<Installable>> {
        let mut texts = self.given.args.clone();
        if self.given.has("stdin") && !self.given.has("file") {
            let mut lines = String::new();
            std::io::stdin()
                .read_to_string(&mut lines)
                .map_err(|e| Failure::Message(format!("reading standard input: {e}")))?;
            texts.extend(lines.lines().filter(|l| !l.is_empty()).map(str::to_owned));
        } else if texts.is_empty() {
            texts.push(if self.has_source() { String::new() } else { ".".to_owned() });
        }
        texts.iter().map(|t| self.installable(t)).collect()
    }

    /// The derivations and paths of installables.
    pub fn derived_paths(&mut self, items: &[Installable]) -> Outcome<Vec<Vec<DerivedPath>>> {
        if items.iter().all(|i| matches!(i, Installable::Store(_))) {
            return Ok(items
                .iter()
                .filter_map(|i| match i {
                    Installable::Store(path) => Some(vec![path.clone()]),
                    Installable::Attr { .. } | Installable::Flake { .. } => None,
                })
                .collect());
        }
        let session = self.session()?;
        self.derived_paths_for(&session, items, self.targets)
    }

    /// As [`Call::derived_paths`], with other outputs of flakes where nobody says which.
    pub fn derived_paths_for(
        &mut self,
        session: &Session,
        items: &[Installable],
        targets: Targets,
    ) -> Outcome<Vec<Vec<DerivedPath>>> {
        let root = Root { targets, ..self.root(session)? };
        let store = self.store()?;
        let dir = store.store_dir();
        let question = format!("paths {items:?} {targets:?}");
        let texts = self.evaluate_cached(session, false, &question, |vm, args| {
            let mut values = root.values(args);
            let mut all = Vec::new();
            for item in items {
                let paths = match item {
                    Installable::Store(path) => vec![path.clone()],
                    Installable::Attr { outputs, .. } => {
                        let found = values.get(vm, item)?;
                        of_value(vm, found.value, args, outputs.as_ref())?
                    }
                    Installable::Flake { outputs, .. } => {
                        let found = values.get(vm, item)?;
                        of_flake(vm, found.value, args, outputs.as_ref())?
                    }
                };
                let dir = vm.store_dir();
                all.push(paths.iter().map(|path| print_derived(dir, path)).collect::<Vec<_>>());
            }
            Ok(all)
        })?;
        texts
            .iter()
            .map(|paths| paths.iter().map(|text| parse_derived(dir, text)).collect())
            .collect()
    }

    /// What values of installables come from.
    pub fn root(&mut self, session: &Session) -> Outcome<Root> {
        Ok(Root {
            source: self.source()?,
            base: self.given.base(),
            locking: {
                let mut locking = self.locking(session)?;
                locking.apply_settings = true;
                locking
            },
            targets: self.targets,
            system: session.eval_settings(true).system,
        })
    }

    /// The store paths that the arguments stand for, dependencies first; outputs are built if
    /// `realise`.
    pub fn store_paths(&mut self, realise: bool) -> Outcome<Vec<StorePath>> {
        Ok(self.store_paths_and_wanted(realise)?.0)
    }

    /// As [`Call::store_paths`], with what was named.
    pub fn store_paths_and_wanted(
        &mut self,
        realise: bool,
    ) -> Outcome<(Vec<StorePath>, Vec<DerivedPath>)> {
        let store = self.store()?;
        let mut paths = BTreeSet::new();
        let mut wanted: Vec<DerivedPath> = Vec::new();
        if self.given.has("all") {
            if !self.given.args.is_empty() {
                return usage("'--all' does not expect arguments");
            }
            paths = store.query_all_valid_paths()?;
        } else {
            let items = self.installables()?;
            wanted = self.derived_paths(&items)?.into_iter().flatten().collect();
            if self.given.has("derivation") {
                paths.extend(wanted.iter().map(|w| w.store_path().clone()));
                for path in &paths {
                    if !path.is_derivation() {
                        return fail(format!(
                            "'{}' is not a derivation path",
                            store.store_dir().print(path)
                        ));
                    }
                }
            } else if realise {
                let bench = self.bench()?;
                let results = bench.build(&wanted).map_err(|e| super::realise::failure(&e))?;
                for (_, outputs) in results.outputs {
                    paths.extend(outputs.into_values());
                }
            } else {
                for path in &wanted {
                    paths.extend(outputs(&store, path)?.into_values());
                }
            }
            if self.given.has("recursive") {
                paths = store.compute_closure(&paths, ClosureOptions::default())?;
            }
        }
        let mut sorted = store.topo_sort(&paths)?;
        sorted.reverse();
        Ok((sorted, wanted))
    }

    /// The file or expression that flags name.
    pub fn source(&self) -> Outcome<SourceText> {
        if self.given.has("file") {
            if self.given.has("expr") {
                return usage("'--file' and '--expr' are exclusive");
            }
            let settings = &self.common.settings;
            if settings.bool("pure-eval")
                && settings.overridden().any(|(name, _)| name == "pure-eval")
            {
                return usage("'--file' is not compatible with '--pure-eval'");
            }
        }
        if let Some(text) = self.given.value("expr") {
            return Ok(SourceText::Expr(text.to_owned()));
        }
        match self.given.value("file") {
            Some("-") => {
                let mut text = Vec::new();
                std::io::stdin()
                    .read_to_end(&mut text)
                    .map_err(|e| Failure::Message(format!("reading standard input: {e}")))?;
                Ok(SourceText::Stdin(text))
            }
            Some(file) => Ok(SourceText::File(file.to_owned())),
            None => Ok(SourceText::None),
        }
    }
}

/// What values of installables come from.
pub struct Root {
    source: SourceText,
    base: PathBuf,
    /// How flakes are locked.
    pub locking: Locking,
    targets: Targets,
    /// The machine that packages are for.
    pub system: String,
}

/// Values of installables; each file and flake is evaluated once.
pub struct Values<'a> {
    root: &'a Root,
    args: Set,
    file: Option<Value>,
    /// As they were asked for, what they are, and their outputs.
    flakes: Vec<(FlakeRef, firn_flake::Flake, Value)>,
}

/// The value of an installable.
pub struct Found {
    /// The value.
    pub value: Value,
    /// Where it is, as a path of attributes.
    pub attr: String,
    /// Its position, if it has one.
    pub pos: PosId,
    /// The flake that it is from.
    pub flake: Option<firn_flake::Flake>,
}

impl Root {
    /// Whether values come from a file.
    pub fn is_file(&self) -> bool {
        matches!(self.source, SourceText::File(_) | SourceText::Stdin(_))
    }

    /// Starts evaluating; `args` are for functions.
    pub fn values(&self, args: Set) -> Values<'_> {
        Values { root: self, args, file: None, flakes: Vec::new() }
    }

    /// The same flakes, of which other outputs are taken if nobody says which.
    pub fn for_targets(&self, targets: Targets) -> Root {
        let (locking, system) = (self.locking.clone(), self.system.clone());
        Root { source: SourceText::None, base: self.base.clone(), locking, targets, system }
    }
}

impl Values<'_> {
    /// The value of an installable.
    pub fn get(&mut self, vm: &mut Vm, item: &Installable) -> Result<Found, Stop> {
        match item {
            Installable::Store(path) => Err(Failure::Message(format!(
                "'{}' is a store path and has no value",
                vm.store_dir().print(path.store_path())
            ))
            .into()),
            Installable::Attr { path, .. } => {
                let root = match self.file {
                    Some(value) => value,
                    None => self.root.source.root(vm, &self.root.base)?,
                };
                self.file = Some(root);
                let (value, pos) = packages::select(vm, path, self.args, root)?;
                Ok(Found { value, attr: path.clone(), pos, flake: None })
            }
            Installable::Flake { reference, fragment, .. } => {
                let known = self.flakes.iter().find(|(r, _, _)| r == reference);
                let (found, outputs) = match known {
                    Some((_, locked, outputs)) => (locked.clone(), *outputs),
                    None => {
                        let locked = self.root.locking.lock(vm, reference)?;
                        let outputs = flakes::outputs(vm, &locked)?;
                        let flake = locked.flake.clone();
                        self.flakes.push((reference.clone(), flake.clone(), outputs));
                        (flake, outputs)
                    }
                };
                let candidates = self.root.targets.candidates(fragment, &self.root.system);
                let shown = firn_flake::lock_file::url_of(reference);
                let (value, attr) = flakes::find(vm, outputs, &shown, &candidates)?;
                Ok(Found { value, attr, pos: PosId::NONE, flake: Some(found) })
            }
        }
    }
}

/// Where attributes are.
pub enum SourceText {
    Expr(String),
    Stdin(Vec<u8>),
    File(String),
    None,
}

impl SourceText {
    /// The value, not yet called with arguments.
    pub fn root(&self, vm: &mut Vm, base: &Path) -> Result<Value, Stop> {
        let ast: Arc<Ast> = match self {
            Self::Expr(text) => vm.parse(Source::new(Origin::String, text.as_bytes()), base)?,
            Self::Stdin(text) => vm.parse(Source::new(Origin::Stdin, text.clone()), base)?,
            Self::File(file) => {
                // relative to the present folder, unless a script says otherwise
                let file =
                    match base == current_dir() || file.starts_with('<') || file.contains(':') {
                        true => file.clone(),
                        false => base.join(file).to_string_lossy().into_owned(),
                    };
                crate::commands::nix_build::parse(vm, &file, false)?
            }
            Self::None => {
                return Err(Failure::Usage("no file or expression is given".into()).into());
            }
        };
        Ok(vm.eval_ast(&ast)?)
    }
}

/// As [`of_value`] for an output of a flake. Of a package that does not say what is to be installed it is the
/// output `out` alone, where of one in a file it is all of them.
pub fn of_flake(
    vm: &mut Vm,
    value: Value,
    args: Set,
    outputs: Option<&OutputsSpec>,
) -> Result<Vec<DerivedPath>, Stop> {
    let out = OutputsSpec::Names(["out".to_owned()].into());
    let mut chosen = outputs;
    if let (None, Some(attrs)) = (outputs, value.as_set())
        && vm.is_derivation(attrs)?
    {
        let package = packages::Package { attrs };
        let says = attrs.has(Symbol::intern(b"outputSpecified"))
            || package.meta(vm, "outputsToInstall")?.is_some();
        if !says {
            chosen = Some(&out);
        }
    }
    of_value(vm, value, args, chosen)
}

/// What a value says is to be built: its derivations, or the one path that it names.
pub fn of_value(
    vm: &mut Vm,
    value: Value,
    args: Set,
    outputs: Option<&OutputsSpec>,
) -> Result<Vec<DerivedPath>, Stop> {
    let value = if value.as_set().is_none() { vm.auto_call(args, value)? } else { value };
    if let Some(path) = single_path(vm, value)? {
        if outputs.is_some() {
            return Err(Failure::Message(
                "cannot choose outputs of a value that is a store path".into(),
            )
            .into());
        }
        return Ok(vec![path]);
    }
    let mut by_drv: BTreeMap<StorePath, OutputsSpec> = BTreeMap::new();
    for found in packages::derivations(vm, value, args, false)? {
        let drv = found.package.drv_path(vm)?;
        let spec = match outputs {
            Some(spec) => spec.clone(),
            None => OutputsSpec::Names(outputs_to_install(vm, found.package)?),
        };
        by_drv.entry(drv).and_modify(|there| there.join(&spec)).or_insert(spec);
    }
    Ok(by_drv.into_iter().map(|(drv, outputs)| DerivedPath::Built { drv, outputs }).collect())
}

/// The outputs that a package wants to be installed by default.
pub fn outputs_to_install(
    vm: &mut Vm,
    package: packages::Package,
) -> Result<BTreeSet<String>, Stop> {
    let specified = match package.attrs.get(Symbol::intern(b"outputSpecified")) {
        Some(v) => vm.force(v, PosId::NONE)?.as_bool() == Some(true),
        None => false,
    };
    if specified {
        return Ok([package.output_name(vm)?].into());
    }
    let all = package.outputs(vm)?;
    let Some(wanted) = package.meta(vm, "outputsToInstall")? else {
        return Ok(all.into_iter().collect());
    };
    let mut names = BTreeSet::new();
    let bad = || Failure::Message("this derivation has bad 'meta.outputsToInstall'".into());
    let Some(list) = wanted.as_list() else { return Err(bad().into()) };
    for v in list.iter() {
        let v = vm.force(v, PosId::NONE)?;
        let Some(text) = v.as_str() else { return Err(bad().into()) };
        let name = String::from_utf8_lossy(text.bytes()).into_owned();
        if !all.contains(&name) {
            return Err(bad().into());
        }
        names.insert(name);
    }
    if names.is_empty() {
        names.insert("out".to_owned());
    }
    Ok(names)
}

/// A path, or a string that is one path of the store or one output of a derivation.
fn single_path(vm: &mut Vm, value: Value) -> Result<Option<DerivedPath>, Stop> {
    match value.view() {
        View::Path(path) => {
            let mut context = firn_eval::context::ContextBuilder::new();
            Ok(Some(DerivedPath::Opaque(vm.copy_source(path.bytes(), &mut context)?)))
        }
        View::Str(text) => {
            let elements: Vec<&Element> =
                text.context().map(|c| c.elements().collect()).unwrap_or_default();
            let shown = String::from_utf8_lossy(text.bytes()).into_owned();
            match elements[..] {
                [Element::Opaque(path)] => Ok(Some(DerivedPath::Opaque(path.clone()))),
                [Element::DrvDeep(_)] => Err(Failure::Message(format!(
                    "string '{shown}' has a context which refers to a complete source and binary closure. This is not supported at this time"
                ))
                .into()),
                [Element::Built { drv, output }] => {
                    Ok(Some(crate::common::build::output_of(drv, output)))
                }
                _ => Err(Failure::Message(format!(
                    "string '{shown}' has {} entries in its context. It should only have exactly one entry",
                    elements.len()
                ))
                .into()),
            }
        }
        _ => Ok(None),
    }
}

/// The paths of what is derived; nothing is built.
pub fn outputs(store: &AnyStore, wanted: &DerivedPath) -> Outcome<BTreeMap<String, StorePath>> {
    match wanted {
        DerivedPath::Opaque(path) => Ok([("out".to_owned(), path.clone())].into()),
        DerivedPath::Built { drv, outputs } => outputs_of(store, drv, outputs),
        DerivedPath::Dynamic { drv, via, outputs } => {
            outputs_of(store, &at_end_of(store, drv, via)?, outputs)
        }
    }
}

/// The derivation that outputs which are derivations lead to.
pub fn at_end_of(store: &AnyStore, drv: &StorePath, via: &[String]) -> Outcome<StorePath> {
    let mut drv = drv.clone();
    for name in via {
        let one = OutputsSpec::Names([name.clone()].into());
        for (_, path) in outputs_of(store, &drv, &one)? {
            drv = path;
        }
    }
    Ok(drv)
}

fn outputs_of(
    store: &AnyStore,
    drv: &StorePath,
    wanted: &OutputsSpec,
) -> Outcome<BTreeMap<String, StorePath>> {
    let known = firn_store::realised::realised_outputs(&**store, drv)?;
    let shown = store.store_dir().print(drv);
    if let OutputsSpec::Names(names) = wanted
        && let Some(missing) = names.iter().find(|n| !known.contains_key(*n))
    {
        return fail(format!("derivation '{shown}' does not have wanted outputs '{missing}'"));
    }
    let mut found = BTreeMap::new();
    for (name, path) in known.into_iter().filter(|(name, _)| wanted.contains(name)) {
        match path {
            Some(path) => found.insert(name, path),
            None => return fail(missing_realisation(&shown, &name)),
        };
    }
    Ok(found)
}

/// That an output's path is not known.
pub fn missing_realisation(drv: &str, output: &str) -> String {
    format!("cannot operate on output '{output}' of the unbuilt derivation '{drv}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_follow_a_caret() {
        assert_eq!(split_outputs("a.b").unwrap(), ("a.b", None));
        assert_eq!(split_outputs("a^*").unwrap(), ("a", Some(OutputsSpec::All)));
        let names = OutputsSpec::Names(["dev".to_owned(), "out".to_owned()].into());
        assert_eq!(split_outputs("a^out,dev").unwrap(), ("a", Some(names)));
        assert!(split_outputs("a^").is_err());
        assert!(split_outputs("a^out,").is_err());
    }
}
