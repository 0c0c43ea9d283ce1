//! `derivationStrict`: from a set to a derivation and its output paths; placeholders.

use super::Builtin;
use super::strings::need_feature;
use crate::context::{Context, ContextBuilder, DerivedPath, Element};
use crate::error::{Error, Result};
use crate::io::Contents;
use crate::machine::{Ahead, Known, Text, Vm};
use crate::position::PosId;
use crate::print;
use crate::value::{Set, SetBuilder, Value};
use firn_model::content_address::ContentAddress;
use firn_model::derivation::placeholder::{DownstreamPlaceholder, placeholder};
use firn_model::derivation::{
    Completed, DerivedOutputs, Output, STRUCTURED_ATTRS_VARIABLE, complete,
};
use firn_model::store_path::{self, References};
use firn_model::{Derivation, Hash, HashAlgo, Method, StorePath};
use firn_syntax::{Symbol, sym};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The string that stands for the path of an output of a derivation whose outputs' paths are not known.
///
/// # Errors
/// If the derivation has a name that no output path can have.
pub(crate) fn downstream_placeholder(drv: &DerivedPath, output: &str) -> Result<String> {
    Ok(downstream(drv, output)?.render())
}

fn downstream(drv: &DerivedPath, output: &str) -> Result<DownstreamPlaceholder> {
    match drv {
        DerivedPath::Opaque(path) => {
            DownstreamPlaceholder::of_output(path, output).map_err(|e| Error::other(e.to_string()))
        }
        DerivedPath::Built(inner, inner_output) => {
            Ok(downstream(inner, inner_output)?.of_computed(output))
        }
    }
}

/// A hash in any form; the empty one is all zeros.
pub(super) fn parse_hash(vm: &Vm, text: &str, algo: Option<HashAlgo>) -> Result<Hash> {
    if text.is_empty() {
        let Some(algo) = algo else {
            return Err(Error::other("empty hash requires explicit hash algorithm"));
        };
        let zero = Hash::from_bytes(algo, &vec![0; algo.size()])
            .map_err(|e| Error::other(e.to_string()))?;
        vm.shared
            .io
            .message(format!("warning: found empty hash, assuming '{}'", zero.to_sri()).as_bytes());
        return Ok(zero);
    }
    Hash::parse_any(text, algo).map_err(|e| Error::other(e.to_string()))
}

/// What the attributes say, so far.
struct Builder {
    name: String,
    drv: Derivation,
    context: ContextBuilder,
    json: Option<Vec<u8>>,
    content_addressed: bool,
    impure: bool,
    hash: Option<String>,
    algo: Option<HashAlgo>,
    method: Option<Method>,
    outputs: BTreeSet<String>,
}

fn owned(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn derivation_strict(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set = vm.force_set(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.derivationStrict",
    )?;
    let name = vm.need_attr(
        set,
        sym::NAME,
        "in the attrset passed as argument to builtins.derivationStrict",
    )?;
    let name_pos = set.position(sym::NAME);
    let name = vm
        .force_string_no_context(
            name,
            pos,
            "while evaluating the `name` attribute passed to builtins.derivationStrict",
        )
        .map_err(|e| e.trace(name_pos, "while evaluating the derivation attribute 'name'"))?;
    let name = owned(name.bytes());
    build(vm, &name, set).map_err(|e| {
        let at = name_pos.location().map_or_else(|| "«none»:0".into(), |l| l.to_string());
        e.trace(
            PosId::NONE,
            format!(
                "while evaluating derivation '{name}'\n  whose name attribute is located at {at}"
            ),
        )
    })
}

fn flag(vm: &mut Vm, set: Set, name: Symbol) -> Result<bool> {
    match set.get(name) {
        None => Ok(false),
        Some(v) => vm.force_bool(
            v,
            PosId::NONE,
            &format!("while evaluating the `{name}` attribute passed to builtins.derivationStrict"),
        ),
    }
}

fn build(vm: &mut Vm, name: &str, set: Set) -> Result<Value> {
    store_path::check_name(name).map_err(|e| {
        Error::other(format!("invalid derivation name: {e}. Please pass a different 'name'."))
    })?;
    let structured = flag(vm, set, sym::STRUCTURED_ATTRS)?;
    let ignore_nulls = flag(vm, set, sym::IGNORE_NULLS)?;
    let mut b = Builder {
        name: name.to_owned(),
        drv: Derivation { name: name.to_owned(), ..Derivation::default() },
        context: ContextBuilder::new(),
        json: structured.then(|| b"{".to_vec()),
        content_addressed: false,
        impure: false,
        hash: None,
        algo: None,
        method: None,
        outputs: BTreeSet::from(["out".to_owned()]),
    };
    let how = if structured { Ahead::Json } else { Ahead::Text };
    let values = |vm: &mut Vm| set.sorted(&mut vm.heap).map(|(_, v)| v).collect();
    vm.ahead(how, set.len(), values, |vm| {
        for (key, v) in set.sorted(&mut vm.heap) {
            if key == sym::IGNORE_NULLS {
                continue;
            }
            let result = (|| {
                if ignore_nulls && vm.force(v, PosId::NONE)? == Value::NULL {
                    return Ok(());
                }
                b.attribute(vm, key, v)
            })();
            result.map_err(|e| {
                e.trace(
                    set.position(key),
                    format!("while evaluating attribute '{key}' of derivation '{name}'"),
                )
            })?;
        }
        Ok(())
    })?;
    b.finish(vm)
}

/// Attributes that structured attributes make meaningless.
const CHECKS: [&[u8]; 6] = [
    b"allowedReferences",
    b"allowedRequisites",
    b"disallowedReferences",
    b"disallowedRequisites",
    b"maxSize",
    b"maxClosureSize",
];

impl Builder {
    fn attribute(&mut self, vm: &mut Vm, key: Symbol, v: Value) -> Result<()> {
        match key {
            sym::CONTENT_ADDRESSED => {
                if vm.force_bool(v, PosId::NONE, "")? {
                    self.content_addressed = true;
                    need_feature(vm, "ca-derivations", "")?;
                }
                return Ok(());
            }
            sym::IMPURE => {
                if vm.force_bool(v, PosId::NONE, "")? {
                    self.impure = true;
                    need_feature(vm, "impure-derivations", "")?;
                }
                return Ok(());
            }
            sym::ARGS => {
                let list = vm.force_list(v, PosId::NONE, "")?;
                for v in list.iter() {
                    let text = vm.coerce(
                        PosId::NONE,
                        v,
                        &mut self.context,
                        "while evaluating an element of the argument list",
                        true,
                        true,
                        true,
                    )?;
                    self.drv.args.push(text.into_owned().into());
                }
                return Ok(());
            }
            _ => {}
        }
        if self.json.is_some() { self.structured(vm, key, v) } else { self.variable(vm, key, v) }
    }

    /// An attribute that becomes part of the JSON text.
    fn structured(&mut self, vm: &mut Vm, key: Symbol, v: Value) -> Result<()> {
        if key == sym::STRUCTURED_ATTRS {
            return Ok(());
        }
        if let Some(json) = &mut self.json {
            if json.len() > 1 {
                json.push(b',');
            }
            print::json::string(key.as_bytes(), json)?;
            json.push(b':');
            print::json::to_json(vm, v, PosId::NONE, &mut self.context, true, true, json)?;
        }
        match key {
            sym::BUILDER => {
                let s = vm.force_string(v, PosId::NONE, "")?;
                self.context.add(s.context());
                self.drv.builder = s.bytes().into();
            }
            sym::SYSTEM => {
                self.drv.system = vm.force_string_no_context(v, PosId::NONE, "")?.bytes().into();
            }
            sym::OUTPUT_HASH => {
                self.hash = Some(owned(vm.force_string_no_context(v, PosId::NONE, "")?.bytes()));
            }
            sym::OUTPUT_HASH_ALGO => {
                let s = vm.force_string_no_context(v, PosId::NONE, "")?;
                self.algo(vm, s.bytes())?;
            }
            sym::OUTPUT_HASH_MODE => {
                let s = vm.force_string_no_context(v, PosId::NONE, "")?;
                self.mode(vm, s.bytes())?;
            }
            sym::OUTPUTS => {
                let list = vm.force_list(v, PosId::NONE, "")?;
                let mut names = Vec::new();
                for v in list.iter() {
                    names.push(owned(vm.force_string_no_context(v, PosId::NONE, "")?.bytes()));
                }
                self.set_outputs(names)?;
            }
            _ if CHECKS.contains(&key.as_bytes()) => {
                vm.shared.io.message(
                    format!(
                        "warning: In a derivation named '{}', 'structuredAttrs' disables the effect of the derivation attribute '{key}'; use 'outputChecks.<output>.{key}' instead",
                        self.name
                    )
                    .as_bytes(),
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// An attribute that becomes an environment variable.
    fn variable(&mut self, vm: &mut Vm, key: Symbol, v: Value) -> Result<()> {
        let text: Text = vm.coerce(PosId::NONE, v, &mut self.context, "", true, true, true)?;
        if key == sym::JSON {
            vm.shared.io.message(
                format!(
                    "warning: In derivation '{}': setting structured attributes via '__json' is deprecated, and may be disallowed in future versions of Nix. Set '__structuredAttrs = true' instead.",
                    self.name
                )
                .as_bytes(),
            );
        }
        match key {
            sym::BUILDER => self.drv.builder = (*text).into(),
            sym::SYSTEM => self.drv.system = (*text).into(),
            sym::OUTPUT_HASH => self.hash = Some(owned(&text)),
            sym::OUTPUT_HASH_ALGO => self.algo(vm, &text)?,
            sym::OUTPUT_HASH_MODE => self.mode(vm, &text)?,
            sym::OUTPUTS => {
                let names = text
                    .split(|b| b" \t\n\r".contains(b))
                    .filter(|n| !n.is_empty())
                    .map(owned)
                    .collect();
                self.set_outputs(names)?;
            }
            _ => {}
        }
        self.drv.env.insert(key.as_bytes().into(), text.into_owned().into());
        Ok(())
    }

    fn algo(&mut self, vm: &Vm, name: &[u8]) -> Result<()> {
        self.algo = owned(name).parse().ok();
        if self.algo == Some(HashAlgo::Blake3) {
            need_feature(vm, "blake3-hashes", "")?;
        }
        Ok(())
    }

    fn mode(&mut self, vm: &Vm, mode: &[u8]) -> Result<()> {
        let method = match mode {
            b"recursive" | b"nar" => Method::Nar,
            b"flat" => Method::Flat,
            b"text" => Method::Text,
            b"git" => Method::Git,
            _ => {
                return Err(Error::other(format!(
                    "invalid value '{}' for 'outputHashMode' attribute",
                    owned(mode)
                )));
            }
        };
        if method == Method::Text {
            let reason =
                format!("text-hashed derivation '{}', outputHashMode = \"text\"", self.name);
            need_feature(vm, "dynamic-derivations", &reason)?;
        }
        if method == Method::Git {
            need_feature(vm, "git-hashing", "")?;
        }
        self.method = Some(method);
        Ok(())
    }

    fn set_outputs(&mut self, names: Vec<String>) -> Result<()> {
        self.outputs.clear();
        for name in names {
            if name == "drvPath" {
                return Err(Error::other("invalid derivation output name 'drvPath'"));
            }
            if self.outputs.contains(&name) {
                return Err(Error::other(format!("duplicate derivation output '{name}'")));
            }
            self.outputs.insert(name);
        }
        if self.outputs.is_empty() {
            return Err(Error::other("derivation cannot have an empty set of outputs"));
        }
        Ok(())
    }

    /// Turns contexts into inputs.
    fn inputs(&mut self, vm: &mut Vm) -> Result<()> {
        let Some(context) = std::mem::take(&mut self.context).finish() else { return Ok(()) };
        for element in context.elements() {
            match element {
                Element::Opaque(path) => {
                    self.drv.input_srcs.insert(path.clone());
                }
                Element::Built { drv, output } => {
                    self.slot(drv).outputs.insert(output.to_string());
                }
                Element::DrvDeep(path) => {
                    for path in closure(vm, path)? {
                        if path.is_derivation() {
                            let outputs = vm.derivation(&path)?.outputs.keys().cloned().collect();
                            self.drv.input_drvs.entry(path.clone()).or_default().outputs = outputs;
                        }
                        self.drv.input_srcs.insert(path);
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the needed outputs of an input stand.
    fn slot(&mut self, drv: &DerivedPath) -> &mut DerivedOutputs {
        match drv {
            DerivedPath::Opaque(path) => self.drv.input_drvs.entry(path.clone()).or_default(),
            DerivedPath::Built(inner, output) => {
                self.slot(inner).dynamic.entry(output.to_string()).or_default()
            }
        }
    }

    fn finish(mut self, vm: &mut Vm) -> Result<Value> {
        if let Some(mut json) = self.json.take() {
            json.push(b'}');
            self.drv.env.insert(STRUCTURED_ATTRS_VARIABLE.into(), json.into());
        }
        self.inputs(vm)?;
        if self.drv.builder.is_empty() {
            return Err(Error::other("required attribute 'builder' missing"));
        }
        if self.drv.system.is_empty() {
            return Err(Error::other("required attribute 'system' missing"));
        }
        let only_out = self.outputs.len() == 1 && self.outputs.contains("out");
        if self.name.ends_with(".drv") && !(self.method == Some(Method::Text) && only_out) {
            return Err(Error::other(
                "derivation names are allowed to end in '.drv' only if they produce a single derivation file",
            ));
        }
        self.declare_outputs(vm, only_out)?;
        let Builder { drv, .. } = self;
        register(vm, drv)
    }

    fn declare_outputs(&mut self, vm: &mut Vm, only_out: bool) -> Result<()> {
        let dir = vm.store_dir().clone();
        if let Some(hash) = &self.hash {
            if !only_out {
                return Err(Error::other(
                    "multiple outputs are not supported in fixed-output derivations",
                ));
            }
            let hash = parse_hash(vm, hash, self.algo)?;
            let ca = ContentAddress { method: self.method.unwrap_or(Method::Flat), hash };
            let path = dir
                .make_fixed_output_path(&self.name, &ca, &References::default())
                .map_err(|e| Error::other(e.to_string()))?;
            self.drv.env.insert("out".into(), dir.print(&path).into());
            self.drv.outputs.insert("out".into(), Output::Fixed(ca));
        } else if self.content_addressed || self.impure {
            if self.content_addressed && self.impure {
                return Err(Error::other("derivation cannot be both content-addressed and impure"));
            }
            let algo = self.algo.unwrap_or(HashAlgo::Sha256);
            let method = self.method.unwrap_or(Method::Nar);
            for output in &self.outputs {
                self.drv.env.insert(output.as_str().into(), placeholder(output).into());
                let declared = if self.impure {
                    Output::Impure { method, algo }
                } else {
                    Output::Floating { method, algo }
                };
                self.drv.outputs.insert(output.clone(), declared);
            }
        } else {
            for output in &self.outputs {
                self.drv.env.insert(output.as_str().into(), "".into());
                self.drv.outputs.insert(output.clone(), Output::Deferred);
            }
        }
        Ok(())
    }
}

/// All that a derivation of this run or of the store needs.
fn closure(vm: &Vm, path: &StorePath) -> Result<BTreeSet<StorePath>> {
    let mut seen = BTreeSet::new();
    let mut work = vec![path.clone()];
    while let Some(path) = work.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        if path.is_derivation()
            && let Some(known) = vm.shared.derivations.get(&path)
            && let Some(derivation) = known.derivation
        {
            work.extend(derivation.references());
        } else {
            work.extend(vm.shared.io.closure(&path)?);
        }
    }
    Ok(seen)
}

/// Computes the paths of the outputs, writes the derivation, and makes the set that `derivationStrict` gives.
fn register(vm: &mut Vm, mut drv: Derivation) -> Result<Value> {
    let dir = vm.store_dir().clone();
    let other = |e: String| Error::other(e);
    let Completed { text, hash, path, modulo } =
        complete(&mut drv, &dir, &mut |input| vm.modulo(input))
            .map_err(|e| other(e.to_string()))?;
    if !vm.shared.settings.read_only {
        vm.shared.io.write_derivation(&drv, &path, Contents { text, hash })?;
    }
    // The rest is in the store, or was never wanted.
    let drv = Arc::new(Derivation {
        name: drv.name,
        outputs: drv.outputs,
        input_drvs: drv.input_drvs,
        input_srcs: drv.input_srcs,
        ..Derivation::default()
    });
    vm.shared
        .derivations
        .insert(path.clone(), Known { modulo, derivation: Some(Arc::clone(&drv)) });

    let mut set = SetBuilder::with_capacity(1 + drv.outputs.len());
    let drv_path =
        vm.string_with(dir.print(&path), Some(Context::of(Element::DrvDeep(path.clone()))));
    set.push(sym::DRV_PATH, drv_path);
    let derived = DerivedPath::Opaque(path);
    for (output, declared) in &drv.outputs {
        let known = declared.path(&dir, &drv.name, output).map_err(|e| other(e.to_string()))?;
        let text = match known {
            Some(path) => dir.print(&path),
            None => downstream_placeholder(&derived, output)?,
        };
        let context =
            Context::of(Element::Built { drv: derived.clone(), output: output.as_str().into() });
        let value = vm.string_with(text, Some(context));
        set.push(Symbol::intern(output.as_bytes()), value);
    }
    Ok(set.finish(&mut vm.heap).value())
}

/// `outputOf`: an output of what an output or derivation will be.
fn output_of(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let s =
        vm.force_string(args[0], pos, "while evaluating the first argument to builtins.outputOf")?;
    let elements: Vec<&'static Element> =
        s.context().map(|c| c.elements().collect()).unwrap_or_default();
    let shown = owned(s.bytes());
    let drv = match &*elements {
        [Element::Opaque(path)] => DerivedPath::Opaque(path.clone()),
        [Element::Built { drv, output }] => {
            DerivedPath::Built(Box::new(drv.clone()), output.clone())
        }
        [Element::DrvDeep(_)] => {
            return Err(Error::other(format!(
                "string '{shown}' has a context which refers to a complete source and binary closure. This is not supported at this time"
            ))
            .trace(pos, "while evaluating the first argument to builtins.outputOf"));
        }
        other => {
            return Err(Error::other(format!(
                "string '{shown}' has {} entries in its context. It should only have exactly one entry",
                other.len()
            ))
            .trace(pos, "while evaluating the first argument to builtins.outputOf"));
        }
    };
    let output = vm.force_string_no_context(
        args[1],
        pos,
        "while evaluating the second argument to builtins.outputOf",
    )?;
    let output = owned(output.bytes());
    let known = match &drv {
        DerivedPath::Opaque(path) => {
            let derivation = vm.derivation(path)?;
            let declared = derivation.outputs.get(&output).ok_or_else(|| {
                Error::other(format!(
                    "derivation '{}' does not have output '{output}'",
                    vm.store_dir().print(path)
                ))
            })?;
            declared
                .path(vm.store_dir(), &derivation.name, &output)
                .map_err(|e| Error::other(e.to_string()))?
        }
        DerivedPath::Built(..) => None,
    };
    let text = match known {
        Some(path) => vm.store_dir().print(&path),
        None => downstream_placeholder(&drv, &output)?,
    };
    let context = Context::of(Element::Built { drv, output: output.into() });
    Ok(vm.string_with(text, Some(context)))
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("derivationStrict", 1, derivation_strict).strict(""),
        Builtin::new("placeholder", 1, |vm, args, pos| {
            let output = vm.force_string_no_context(
                args[0],
                pos,
                "while evaluating the first argument passed to builtins.placeholder",
            )?;
            let text = placeholder(&owned(output.bytes()));
            Ok(vm.string(text))
        })
        .strict("while evaluating the first argument passed to builtins.placeholder"),
        Builtin::new("__outputOf", 2, output_of).feature("dynamic-derivations"),
    ]
}
