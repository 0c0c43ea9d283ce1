//! The ATerm form: what `.drv` files hold.

use std::collections::BTreeSet;

use bstr::BString;

use super::{Derivation, DerivedOutputs, Error, Output};
use crate::content_address::{ContentAddress, Method};
use crate::hash::Hash;
use crate::store_path::{StoreDir, StorePath};

/// How deep dynamic outputs may be nested in a file that is read.
const MAX_NESTING: usize = 64;

/// Prints `drv` as its `.drv` file has it.
pub(super) fn print(drv: &Derivation, dir: &StoreDir) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    head(&mut out, drv, dir, false);
    input_drvs(&mut out, drv, dir);
    rest(&mut out, drv, dir, false);
    out
}

/// What comes before the inputs: the outputs. With `mask` their paths are empty, for computing them.
pub(super) fn head(out: &mut Vec<u8>, drv: &Derivation, dir: &StoreDir, mask: bool) {
    let start: &[u8] =
        if is_dynamic(drv) { b"DrvWithVersion(\"xp-dyn-drv\",[" } else { b"Derive([" };
    out.extend_from_slice(start);
    let mut first = true;
    for (name, output) in &drv.outputs {
        separate(out, &mut first);
        out.push(b'(');
        unescaped(out, name.as_bytes());
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
            quoted(out, text.as_bytes());
        }
        out.push(b')');
    }
    out.extend_from_slice(b"],[");
}

fn is_dynamic(drv: &Derivation) -> bool {
    drv.input_drvs.values().any(|outputs| !outputs.dynamic.is_empty())
}

/// The input derivations, by their paths.
pub(super) fn input_drvs(out: &mut Vec<u8>, drv: &Derivation, dir: &StoreDir) {
    let dynamic = is_dynamic(drv);
    let mut first = true;
    for (path, outputs) in &drv.input_drvs {
        separate(out, &mut first);
        out.push(b'(');
        quoted(out, dir.print(path).as_bytes());
        out.push(b',');
        derived_outputs(out, outputs, dynamic);
        out.push(b')');
    }
}

/// The input derivations by the hashes that stand for them: pairs of hash and output in their order.
pub(super) fn hashed_inputs(out: &mut Vec<u8>, inputs: &[(Hash, &str)]) {
    let mut first = true;
    for group in inputs.chunk_by(|(a, _), (b, _)| a == b) {
        separate(out, &mut first);
        out.push(b'(');
        unescaped(out, group[0].0.to_base16().as_bytes());
        out.extend_from_slice(b",[");
        let mut first = true;
        for (_, name) in group {
            separate(out, &mut first);
            unescaped(out, name.as_bytes());
        }
        out.extend_from_slice(b"])");
    }
}

/// Where the value of an output's variable stands in what [`rest`] has printed.
pub(super) struct Place<'a> {
    /// Just behind its first quote.
    pub(super) at: usize,
    /// The output.
    pub(super) output: &'a str,
}

/// What comes behind the input derivations. With `mask` the variables of outputs are empty.
pub(super) fn rest<'a>(
    out: &mut Vec<u8>,
    drv: &'a Derivation,
    dir: &StoreDir,
    mask: bool,
) -> Vec<Place<'a>> {
    let start = out.len();
    let mut places = Vec::new();
    out.extend_from_slice(b"],[");
    let mut first = true;
    for path in &drv.input_srcs {
        separate(out, &mut first);
        quoted(out, dir.print(path).as_bytes());
    }
    out.extend_from_slice(b"],");
    unescaped(out, &drv.system);
    out.push(b',');
    quoted(out, &drv.builder);
    out.extend_from_slice(b",[");
    first = true;
    for arg in &drv.args {
        separate(out, &mut first);
        quoted(out, arg);
    }
    out.extend_from_slice(b"],[");
    first = true;
    for (name, value) in &drv.env {
        separate(out, &mut first);
        out.push(b'(');
        quoted(out, name);
        out.push(b',');
        let output = if mask {
            std::str::from_utf8(name).ok().and_then(|name| drv.outputs.get_key_value(name))
        } else {
            None
        };
        if let Some((output, _)) = output {
            places.push(Place { at: out.len() - start + 1, output });
            out.extend_from_slice(b"\"\"");
        } else {
            quoted(out, value);
        }
        out.push(b')');
    }
    out.extend_from_slice(b"])");
    places
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
    escaped(out, text);
    out.push(b'"');
}

/// A string's text without its quotes.
pub(super) fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = special(rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = match rest[at] {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            other => other,
        };
        out.extend_from_slice(&[b'\\', escape]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// The first byte that needs an escape.
fn special(text: &[u8]) -> Option<usize> {
    // No branches and a fixed length, so that the compiler makes it a few vector instructions.
    let is_special =
        |b: u8| (b == b'"') | (b == b'\\') | (b == b'\n') | (b == b'\r') | (b == b'\t');
    let (chunks, _) = text.as_chunks::<16>();
    let plain =
        chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |any, b| any | is_special(*b)));
    let from = plain.count() * 16;
    text[from..].iter().position(|b| is_special(*b)).map(|at| from + at)
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
