//! The ATerm form: what `.drv` files hold.

use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

use super::{Derivation, DerivedOutputs, Error, Output};
use crate::content_address::{ContentAddress, Method};
use crate::hash::Hash;
use crate::store_path::{StoreDir, StorePath};

/// How deep dynamic outputs may be nested in a file that is read.
const MAX_NESTING: usize = 64;

/// Inputs by the hash that stands for the input derivation's path when hashing modulo.
pub(super) type HashedInputs = BTreeMap<String, BTreeSet<String>>;

/// Prints `drv`; `inputs` stand for its input derivations if given, and `mask` empties the output
/// paths, for computing them.
pub(super) fn print(
    drv: &Derivation,
    dir: &StoreDir,
    inputs: Option<&HashedInputs>,
    mask: bool,
) -> Vec<u8> {
    let dynamic = drv.input_drvs.values().any(|o| !o.dynamic.is_empty());
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(if dynamic { b"DrvWithVersion(\"xp-dyn-drv\",[" } else { b"Derive([" });
    let mut first = true;
    for (name, output) in &drv.outputs {
        separate(&mut out, &mut first);
        out.push(b'(');
        unescaped(&mut out, name.as_bytes());
        let (path, algo, hash) = match output {
            Output::InputAddressed(path) => {
                (if mask { String::new() } else { dir.print(path) }, String::new(), String::new())
            }
            Output::Fixed(ca) => {
                let path = if mask {
                    String::new()
                } else {
                    // a name that is not allowed cannot be printed with its path; reading or
                    // computing it has failed before
                    output
                        .path(dir, &drv.name, name)
                        .ok()
                        .flatten()
                        .map_or_else(String::new, |p| dir.print(&p))
                };
                (path, ca.method_and_algo(), ca.hash.to_base16())
            }
            Output::Floating { method, algo } => {
                (String::new(), format!("{}{algo}", method.prefix()), String::new())
            }
            Output::Deferred => Default::default(),
            Output::Impure { method, algo } => {
                (String::new(), format!("{}{algo}", method.prefix()), "impure".to_owned())
            }
        };
        for text in [path, algo, hash] {
            out.push(b',');
            quoted(&mut out, text.as_bytes());
        }
        out.push(b')');
    }
    out.extend_from_slice(b"],[");
    first = true;
    if let Some(inputs) = inputs {
        for (hash, outputs) in inputs {
            separate(&mut out, &mut first);
            out.push(b'(');
            quoted(&mut out, hash.as_bytes());
            out.push(b',');
            names(&mut out, outputs);
            out.push(b')');
        }
    } else {
        for (path, outputs) in &drv.input_drvs {
            separate(&mut out, &mut first);
            out.push(b'(');
            quoted(&mut out, dir.print(path).as_bytes());
            out.push(b',');
            derived_outputs(&mut out, outputs, dynamic);
            out.push(b')');
        }
    }
    out.extend_from_slice(b"],[");
    first = true;
    for path in &drv.input_srcs {
        separate(&mut out, &mut first);
        quoted(&mut out, dir.print(path).as_bytes());
    }
    out.extend_from_slice(b"],");
    unescaped(&mut out, &drv.system);
    out.push(b',');
    quoted(&mut out, &drv.builder);
    out.extend_from_slice(b",[");
    first = true;
    for arg in &drv.args {
        separate(&mut out, &mut first);
        quoted(&mut out, arg);
    }
    out.extend_from_slice(b"],[");
    first = true;
    for (name, value) in &drv.env {
        separate(&mut out, &mut first);
        out.push(b'(');
        quoted(&mut out, name);
        out.push(b',');
        let masked =
            mask && std::str::from_utf8(name).is_ok_and(|name| drv.outputs.contains_key(name));
        quoted(&mut out, if masked { b"" } else { value });
        out.push(b')');
    }
    out.extend_from_slice(b"])");
    out
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// Names of outputs and systems are written as they are, also where a string would need escapes: that is
/// what C++ Nix does and hashes.
fn unescaped(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn names(out: &mut Vec<u8>, names: &BTreeSet<String>) {
    out.push(b'[');
    let mut first = true;
    for name in names {
        separate(out, &mut first);
        unescaped(out, name.as_bytes());
    }
    out.push(b']');
}

fn derived_outputs(out: &mut Vec<u8>, outputs: &DerivedOutputs, dynamic: bool) {
    if !dynamic {
        return names(out, &outputs.outputs);
    }
    if outputs.dynamic.is_empty() {
        return names(out, &outputs.outputs);
    }
    out.push(b'(');
    names(out, &outputs.outputs);
    out.extend_from_slice(b",[");
    let mut first = true;
    for (name, child) in &outputs.dynamic {
        separate(out, &mut first);
        out.push(b'(');
        quoted(out, name.as_bytes());
        out.push(b',');
        derived_outputs(out, child, true);
        out.push(b')');
    }
    out.extend_from_slice(b"])");
}

fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | b'\n' | b'\r' | b'\t'))
    {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(match rest[at] {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            other => other,
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Parses the content of a `.drv` file.
pub(super) fn parse(name: &str, text: &[u8], dir: &StoreDir) -> Result<Derivation, Error> {
    let mut p = Parser { name, text, at: 0, dir };
    let dynamic = if p.accept(b"Derive(") {
        false
    } else if p.accept(b"DrvWithVersion(") {
        let version = p.string()?;
        if version != "xp-dyn-drv" {
            return Err(p.error(format!("Unknown derivation ATerm format version '{version}'")));
        }
        p.expect(b",")?;
        true
    } else {
        return Err(p.error("derivation does not start with 'Derive' or 'DrvWithVersion'"));
    };
    let mut drv = Derivation { name: name.to_owned(), ..Derivation::default() };
    p.list(|p| {
        p.expect(b"(")?;
        let name = p.utf8()?;
        p.expect(b",")?;
        let path = p.utf8()?;
        p.expect(b",")?;
        let algo = p.utf8()?;
        p.expect(b",")?;
        let hash = p.utf8()?;
        p.expect(b")")?;
        let output = p.output(&path, &algo, &hash)?;
        drv.outputs.insert(name, output);
        Ok(())
    })?;
    p.expect(b",")?;
    p.list(|p| {
        p.expect(b"(")?;
        let path = p.path()?;
        p.expect(b",")?;
        let outputs = p.derived_outputs(dynamic, 0)?;
        p.expect(b")")?;
        drv.input_drvs.insert(path, outputs);
        Ok(())
    })?;
    p.expect(b",")?;
    p.list(|p| {
        let path = p.path()?;
        drv.input_srcs.insert(path);
        Ok(())
    })?;
    p.expect(b",")?;
    drv.system = p.string()?;
    p.expect(b",")?;
    drv.builder = p.string()?;
    p.expect(b",")?;
    p.list(|p| {
        let arg = p.string()?;
        drv.args.push(arg);
        Ok(())
    })?;
    p.expect(b",")?;
    p.list(|p| {
        p.expect(b"(")?;
        let name = p.string()?;
        p.expect(b",")?;
        let value = p.string()?;
        p.expect(b")")?;
        drv.env.insert(name, value);
        Ok(())
    })?;
    p.expect(b")")?;
    if p.at != text.len() {
        return Err(p.error("something follows the end of the derivation"));
    }
    Ok(drv)
}

struct Parser<'a> {
    name: &'a str,
    text: &'a [u8],
    at: usize,
    dir: &'a StoreDir,
}

impl Parser<'_> {
    fn error(&self, what: impl Into<String>) -> Error {
        Error::Parse { name: self.name.to_owned(), offset: self.at, what: what.into() }
    }

    fn accept(&mut self, token: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &[u8]) -> Result<(), Error> {
        if self.accept(token) {
            return Ok(());
        }
        Err(self.error(format!("expected string '{}'", String::from_utf8_lossy(token))))
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.expect(b"[")?;
        if self.accept(b"]") {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.accept(b"]") {
                return Ok(());
            }
            self.expect(b",")?;
        }
    }

    fn string(&mut self) -> Result<BString, Error> {
        self.expect(b"\"")?;
        let mut out = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.iter().position(|b| matches!(b, b'"' | b'\\')) else {
                return Err(self.error("unterminated string in derivation"));
            };
            out.extend_from_slice(&rest[..end]);
            self.at += end + 1;
            if rest[end] == b'"' {
                return Ok(out.into());
            }
            let Some(escaped) = rest.get(end + 1) else {
                return Err(self.error("unterminated string in derivation"));
            };
            self.at += 1;
            out.push(match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                other => *other,
            });
        }
    }

    fn utf8(&mut self) -> Result<String, Error> {
        let text = self.string()?;
        String::from_utf8(text.into()).map_err(|_| self.error("this string must be UTF-8"))
    }

    fn path(&mut self) -> Result<StorePath, Error> {
        let text = self.utf8()?;
        if !text.starts_with('/') {
            return Err(self.error(format!("bad path '{text}' in derivation")));
        }
        self.dir.parse(&text).map_err(|e| self.error(e.to_string()))
    }

    fn output(&self, path: &str, algo: &str, hash: &str) -> Result<Output, Error> {
        if algo.is_empty() {
            return Ok(if path.is_empty() {
                Output::Deferred
            } else {
                Output::InputAddressed(self.dir.parse(path).map_err(|e| self.error(e.to_string()))?)
            });
        }
        let (method, algo) =
            Method::parse_with_algo(algo).map_err(|e| self.error(e.to_string()))?;
        match hash {
            "impure" if path.is_empty() => Ok(Output::Impure { method, algo }),
            "impure" => Err(self.error("impure derivation output should not specify output path")),
            "" if path.is_empty() => Ok(Output::Floating { method, algo }),
            "" => {
                Err(self
                    .error("content-addressing derivation output should not specify output path"))
            }
            _ => {
                let hash =
                    Hash::parse_unprefixed(hash, algo).map_err(|e| self.error(e.to_string()))?;
                Ok(Output::Fixed(ContentAddress { method, hash }))
            }
        }
    }

    fn derived_outputs(&mut self, dynamic: bool, depth: usize) -> Result<DerivedOutputs, Error> {
        if depth > MAX_NESTING {
            return Err(self.error("dynamic outputs are nested too deeply"));
        }
        let mut out = DerivedOutputs::default();
        let tuple = dynamic && self.accept(b"(");
        self.list(|p| {
            let name = p.utf8()?;
            out.outputs.insert(name);
            Ok(())
        })?;
        if tuple {
            self.expect(b",")?;
            self.list(|p| {
                p.expect(b"(")?;
                let name = p.utf8()?;
                p.expect(b",")?;
                let child = p.derived_outputs(true, depth + 1)?;
                p.expect(b")")?;
                out.dynamic.insert(name, child);
                Ok(())
            })?;
            self.expect(b")")?;
        }
        Ok(out)
    }
}
