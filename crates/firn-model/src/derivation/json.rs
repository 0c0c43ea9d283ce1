//! The JSON form (`nix derivation show`); store paths stand in it without the store's folder.

use std::collections::BTreeMap;

use bstr::BString;
use serde_json::{Map, Value, json};

use super::{Derivation, DerivedOutputs, Error, Output, STRUCTURED_ATTRS_VARIABLE};
use crate::content_address::{ContentAddress, Method};
use crate::hash::Hash;
use crate::store_path::StorePath;

/// The version of the format, as C++ Nix 2.34 writes and reads it.
pub const JSON_VERSION: u64 = 4;

const MAX_NESTING: usize = 64;

fn text(bytes: &BString) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// Prints `drv`.
pub(super) fn print(drv: &Derivation) -> Result<Value, Error> {
    let outputs: Map<String, Value> =
        drv.outputs.iter().map(|(n, o)| (n.clone(), print_output(o))).collect();
    let drvs: Map<String, Value> =
        drv.input_drvs.iter().map(|(p, o)| (p.to_string(), print_derived(o))).collect();
    let srcs: Vec<String> = drv.input_srcs.iter().map(ToString::to_string).collect();
    let structured = drv.structured_attrs()?;
    let env: Map<String, Value> = drv
        .env
        .iter()
        .filter(|(n, _)| structured.is_none() || *n != STRUCTURED_ATTRS_VARIABLE)
        .map(|(n, v)| (String::from_utf8_lossy(n).into_owned(), text(v)))
        .collect();
    let mut out = Map::new();
    out.insert("args".into(), drv.args.iter().map(text).collect());
    out.insert("builder".into(), text(&drv.builder));
    out.insert("env".into(), env.into());
    out.insert("inputs".into(), json!({ "drvs": drvs, "srcs": srcs }));
    out.insert("name".into(), drv.name.clone().into());
    out.insert("outputs".into(), outputs.into());
    if let Some(attrs) = structured {
        out.insert("structuredAttrs".into(), attrs.into());
    }
    out.insert("system".into(), text(&drv.system));
    out.insert("version".into(), JSON_VERSION.into());
    Ok(out.into())
}

fn print_output(output: &Output) -> Value {
    match output {
        Output::InputAddressed(path) => json!({ "path": path.to_string() }),
        Output::Fixed(ca) => json!({ "hash": ca.hash.to_sri(), "method": ca.method.as_str() }),
        Output::Floating { method, algo } => {
            json!({ "hashAlgo": algo.as_str(), "method": method.as_str() })
        }
        Output::Deferred => json!({}),
        Output::Impure { method, algo } => {
            json!({ "hashAlgo": algo.as_str(), "impure": true, "method": method.as_str() })
        }
    }
}

fn print_derived(outputs: &DerivedOutputs) -> Value {
    let dynamic: Map<String, Value> =
        outputs.dynamic.iter().map(|(n, o)| (n.clone(), print_derived(o))).collect();
    json!({ "dynamicOutputs": dynamic, "outputs": outputs.outputs })
}

/// Parses the form that [`print`] prints.
pub(super) fn parse(value: &Value) -> Result<Derivation, Error> {
    let name = value.get("name").and_then(Value::as_str).unwrap_or("?").to_owned();
    let p = Parser { name: &name };
    let root = p.object(value, "the derivation")?;
    let name = p.text(p.key(root, "name")?, "name")?;
    let version = p.key(root, "version")?;
    if version.as_u64() != Some(JSON_VERSION) {
        return Err(p.error(format!(
            "Unsupported derivation JSON format version {version}, only format version {JSON_VERSION} is currently supported."
        )));
    }
    let mut drv = Derivation { name: name.to_owned(), ..Derivation::default() };
    for (output, value) in p.object(p.key(root, "outputs")?, "outputs")? {
        drv.outputs.insert(output.clone(), p.output(value)?);
    }
    let inputs = p.object(p.key(root, "inputs")?, "inputs")?;
    for src in p.array(p.key(inputs, "srcs")?, "srcs")? {
        drv.input_srcs.insert(p.path(p.text(src, "srcs")?)?);
    }
    for (path, outputs) in p.object(p.key(inputs, "drvs")?, "drvs")? {
        drv.input_drvs.insert(p.path(path)?, p.derived(outputs, 0)?);
    }
    drv.system = p.text(p.key(root, "system")?, "system")?.into();
    drv.builder = p.text(p.key(root, "builder")?, "builder")?.into();
    for arg in p.array(p.key(root, "args")?, "args")? {
        drv.args.push(p.text(arg, "args")?.into());
    }
    let mut env = BTreeMap::new();
    for (key, value) in p.object(p.key(root, "env")?, "env")? {
        env.insert(key.as_str().into(), p.text(value, "env")?.into());
    }
    drv.env = env;
    if let Some(attrs) = root.get("structuredAttrs") {
        p.object(attrs, "structuredAttrs")?;
        drv.env.insert(STRUCTURED_ATTRS_VARIABLE.into(), attrs.to_string().into());
    }
    Ok(drv)
}

struct Parser<'a> {
    name: &'a str,
}

impl Parser<'_> {
    fn error(&self, what: impl Into<String>) -> Error {
        Error::Json { name: self.name.to_owned(), what: what.into() }
    }

    fn key<'v>(&self, object: &'v Map<String, Value>, key: &str) -> Result<&'v Value, Error> {
        object.get(key).ok_or_else(|| self.error(format!("key '{key}' is missing")))
    }

    fn object<'v>(&self, value: &'v Value, key: &str) -> Result<&'v Map<String, Value>, Error> {
        value.as_object().ok_or_else(|| self.error(format!("'{key}' must be an object")))
    }

    fn array<'v>(&self, value: &'v Value, key: &str) -> Result<&'v Vec<Value>, Error> {
        value.as_array().ok_or_else(|| self.error(format!("'{key}' must be an array")))
    }

    fn text<'v>(&self, value: &'v Value, key: &str) -> Result<&'v str, Error> {
        value.as_str().ok_or_else(|| self.error(format!("'{key}' must be a string")))
    }

    fn path(&self, base: &str) -> Result<StorePath, Error> {
        StorePath::from_base_name(base).map_err(|e| self.error(e.to_string()))
    }

    fn output(&self, value: &Value) -> Result<Output, Error> {
        let object = self.object(value, "outputs")?;
        if object.is_empty() {
            return Ok(Output::Deferred);
        }
        if let Some(path) = object.get("path") {
            return Ok(Output::InputAddressed(self.path(self.text(path, "path")?)?));
        }
        let method = match self.text(self.key(object, "method")?, "method")? {
            "flat" => Method::Flat,
            "nar" => Method::Nar,
            "text" => Method::Text,
            "git" => Method::Git,
            other => return Err(self.error(format!("unknown method '{other}'"))),
        };
        if let Some(hash) = object.get("hash") {
            let hash = Hash::parse_prefixed(self.text(hash, "hash")?)
                .map_err(|e| self.error(e.to_string()))?;
            return Ok(Output::Fixed(ContentAddress { method, hash }));
        }
        let algo = self
            .text(self.key(object, "hashAlgo")?, "hashAlgo")?
            .parse()
            .map_err(|e: crate::hash::Error| self.error(e.to_string()))?;
        Ok(if object.get("impure") == Some(&Value::Bool(true)) {
            Output::Impure { method, algo }
        } else {
            Output::Floating { method, algo }
        })
    }

    fn derived(&self, value: &Value, depth: usize) -> Result<DerivedOutputs, Error> {
        if depth > MAX_NESTING {
            return Err(self.error("dynamic outputs are nested too deeply"));
        }
        let object = self.object(value, "drvs")?;
        let mut out = DerivedOutputs::default();
        for name in self.array(self.key(object, "outputs")?, "outputs")? {
            out.outputs.insert(self.text(name, "outputs")?.to_owned());
        }
        for (name, child) in self.object(self.key(object, "dynamicOutputs")?, "dynamicOutputs")? {
            out.dynamic.insert(name.clone(), self.derived(child, depth + 1)?);
        }
        Ok(out)
    }
}
