//! Strings, regular expressions, hashes and versions.

use super::Builtin;
use crate::context::ContextBuilder;
use crate::error::{Error, Kind, Result};
use crate::machine::Vm;
use crate::position::PosId;
use crate::text;
use crate::value::{List, Str, Value};
use firn_model::hash::HashFormat;
use firn_model::{Hash, HashAlgo};
use firn_syntax::{Symbol, sym};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Compiled regular expressions of the run.
#[derive(Default)]
pub struct RegexCache {
    known: RwLock<FxHashMap<Box<[u8]>, Arc<text::regex::Regex>>>,
}

impl RegexCache {
    fn get(&self, pattern: &[u8], pos: PosId) -> Result<Arc<text::regex::Regex>> {
        if let Some(found) = self.known.read().get(pattern) {
            return Ok(Arc::clone(found));
        }
        let regex = text::regex::Regex::new(pattern).map_err(|e| regex_error(e, pattern, pos))?;
        let regex = Arc::new(regex);
        self.known.write().insert(pattern.into(), Arc::clone(&regex));
        Ok(regex)
    }
}

fn regex_error(e: text::regex::Error, pattern: &[u8], pos: PosId) -> Error {
    let pattern = String::from_utf8_lossy(pattern);
    Error::other(match e {
        text::regex::Error::TooLarge => {
            format!("memory limit exceeded by regular expression '{pattern}'")
        }
        text::regex::Error::Invalid => format!("invalid regular expression '{pattern}'"),
    })
    .at(pos)
}

fn to_string(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let v = vm.force(args[0], pos)?;
    if v.as_str().is_some() {
        return Ok(v);
    }
    let mut context = ContextBuilder::new();
    let text = vm.coerce(
        pos,
        v,
        &mut context,
        "while evaluating the first argument passed to builtins.toString",
        true,
        false,
        true,
    )?;
    Ok(vm.string_with(&text, context.finish()))
}

fn substring(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let start = vm.force_int(
        args[0],
        pos,
        "while evaluating the first argument (the start offset) passed to builtins.substring",
    )?;
    let Ok(start) = usize::try_from(start) else {
        return Err(Error::other("negative start position in 'substring'").at(pos));
    };
    let len = vm.force_int(
        args[1],
        pos,
        "while evaluating the second argument (the substring length) passed to builtins.substring",
    )?;
    if len == 0
        && let Some(s) = vm.force(args[2], pos)?.as_str()
    {
        return Ok(vm.string_with(b"", s.context()));
    }
    let mut context = ContextBuilder::new();
    let text = vm.coerce(
        pos,
        args[2],
        &mut context,
        "while evaluating the third argument (the string) passed to builtins.substring",
        false,
        true,
        true,
    )?;
    let rest = text.get(start..).unwrap_or_default();
    let end = usize::try_from(len).map_or(rest.len(), |n| n.min(rest.len()));
    let part = &rest[..end];
    if part.len() == text.len()
        && let Some(s) = vm.force(args[2], pos)?.as_str()
    {
        return Ok(s.value());
    }
    Ok(vm.string_with(part, context.finish()))
}

fn string_length(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let mut context = ContextBuilder::new();
    let text = vm.coerce(
        pos,
        args[0],
        &mut context,
        "while evaluating the argument passed to builtins.stringLength",
        false,
        true,
        true,
    )?;
    Ok(vm.int(text.len() as i64))
}

/// The hash algorithm with this name.
pub(super) fn algorithm(vm: &Vm, name: &[u8], pos: PosId) -> Result<HashAlgo> {
    let name = String::from_utf8_lossy(name);
    let algo: HashAlgo =
        name.parse().map_err(|e| Error::new(Kind::Usage, format!("{e}")).at(pos))?;
    if algo == HashAlgo::Blake3 {
        need_feature(vm, "blake3-hashes", "")?;
    }
    Ok(algo)
}

/// An error unless an experimental feature is enabled.
pub(super) fn need_feature(vm: &Vm, feature: &str, reason: &str) -> Result<()> {
    if vm.shared.settings.has_feature(feature) {
        return Ok(());
    }
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    Err(Error::other(format!(
        "experimental Nix feature '{feature}' is disabled{reason}; add '--extra-experimental-features {feature}' to enable it"
    )))
}

fn hash_string(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.hashString",
    )?;
    let algo = algorithm(vm, name.bytes(), pos)?;
    let text = vm.force_string(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.hashString",
    )?;
    let hash = Hash::digest(algo, text.bytes()).to_base16();
    Ok(vm.string(hash))
}

fn convert_hash(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let set = vm.force_set(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.convertHash",
    )?;
    let attr = |vm: &mut Vm, v: Value, name: &str| {
        let s = vm.force_string_no_context(
            v,
            pos,
            &format!("while evaluating the attribute '{name}'"),
        )?;
        Ok::<_, Error>(String::from_utf8_lossy(s.bytes()).into_owned())
    };
    let hash = vm.need_attr(set, sym::HASH, "while locating the attribute 'hash'")?;
    let hash = attr(vm, hash, "hash")?;
    let algo = match set.get(Symbol::intern(b"hashAlgo")) {
        Some(v) => {
            let name = attr(vm, v, "hashAlgo")?;
            Some(algorithm(vm, name.as_bytes(), pos)?)
        }
        None => None,
    };
    let format = vm.need_attr(
        set,
        Symbol::intern(b"toHashFormat"),
        "while locating the attribute 'toHashFormat'",
    )?;
    let format = attr(vm, format, "toHashFormat")?;
    if format == "base32" {
        let warning = "warning: \"base32\" is a deprecated alias for hash format \"nix32\".";
        vm.shared.io.message(warning.as_bytes());
    }
    let format: HashFormat =
        format.parse().map_err(|e| Error::new(Kind::Usage, format!("{e}")).at(pos))?;
    let hash = Hash::parse_any(&hash, algo).map_err(|e| Error::other(e.to_string()).at(pos))?;
    Ok(vm.string(hash.render(format, false)))
}

fn group(vm: &mut Vm, text: &[u8], range: Option<(usize, usize)>) -> Value {
    match range {
        Some((from, to)) => vm.string(&text[from..to]),
        None => Value::NULL,
    }
}

fn regex_match(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let pattern = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.match",
    )?;
    let regex = vm.shared.regexes.get(pattern.bytes(), pos)?;
    let text = vm.force_string(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.match",
    )?;
    let Some(groups) = regex.match_whole(text.bytes()) else { return Ok(Value::NULL) };
    let values: Vec<Value> = groups.iter().map(|range| group(vm, text.bytes(), *range)).collect();
    Ok(List::new(&mut vm.heap, &values).value())
}

fn split(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let pattern = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.split",
    )?;
    let regex = vm.shared.regexes.get(pattern.bytes(), pos)?;
    let s = vm.force_string(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.split",
    )?;
    let text = s.bytes();
    let found = regex.find_all(text);
    if found.is_empty() {
        return Ok(List::new(&mut vm.heap, &[s.value()]).value());
    }
    let mut out = Vec::with_capacity(found.len() * 2 + 1);
    let mut last = 0;
    for m in &found {
        out.push(vm.string(&text[last..m.start]));
        let groups: Vec<Value> = m.groups.iter().map(|range| group(vm, text, *range)).collect();
        out.push(List::new(&mut vm.heap, &groups).value());
        last = m.end;
    }
    out.push(vm.string(&text[last..]));
    Ok(List::new(&mut vm.heap, &out).value())
}

fn concat_strings_sep(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let separator = vm.force_string(
        args[0],
        pos,
        "while evaluating the first argument (the separator string) passed to builtins.concatStringsSep",
    )?;
    let list = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument (the list of strings to concat) passed to builtins.concatStringsSep",
    )?;
    let mut context = ContextBuilder::new();
    context.add(separator.context());
    let mut out = Vec::with_capacity((list.len() + 32) * separator.len());
    for i in 0..list.len() {
        if i > 0 {
            out.extend_from_slice(separator.bytes());
        }
        let text = vm.coerce(
            pos,
            list.get(i),
            &mut context,
            "while evaluating one element of the list of strings to concat passed to builtins.concatStringsSep",
            false,
            true,
            true,
        )?;
        out.extend_from_slice(&text);
    }
    let context = context.finish();
    Ok(vm.string_with(&out, context))
}

fn replace_strings(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let from = vm.force_list(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.replaceStrings",
    )?;
    let to = vm.force_list(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.replaceStrings",
    )?;
    if from.len() != to.len() {
        return Err(Error::other(
            "'from' and 'to' arguments passed to builtins.replaceStrings have different lengths",
        )
        .at(pos));
    }
    let mut patterns: Vec<&'static [u8]> = Vec::with_capacity(from.len());
    for v in from.iter() {
        patterns.push(
            vm.force_string(
                v,
                pos,
                "while evaluating one of the strings to replace passed to builtins.replaceStrings",
            )?
            .bytes(),
        );
    }
    let s = vm.force_string(
        args[2],
        pos,
        "while evaluating the third argument passed to builtins.replaceStrings",
    )?;
    let mut context = ContextBuilder::new();
    context.add(s.context());
    let mut known: Vec<Option<&'static [u8]>> = vec![None; patterns.len()];
    // Which patterns may match at a byte; an empty one matches anywhere.
    let mut first = [false; 256];
    let empty = patterns.iter().any(|p| p.is_empty());
    for p in &patterns {
        if let Some(b) = p.first() {
            first[usize::from(*b)] = true;
        }
    }
    let text = s.bytes();
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut changed = false;
    while at <= text.len() {
        if !empty {
            // Skip to the next byte that a pattern begins with.
            let skip = text[at..].iter().position(|b| first[usize::from(*b)]);
            let end = skip.map_or(text.len(), |n| at + n);
            out.extend_from_slice(&text[at..end]);
            at = end;
            if at == text.len() {
                break;
            }
        }
        let found = patterns.iter().position(|p| text[at..].starts_with(p));
        let Some(i) = found else {
            out.extend(text.get(at));
            at += 1;
            continue;
        };
        changed = true;
        let replacement = match known[i] {
            Some(bytes) => bytes,
            None => {
                let r = vm.force_string(
                    to.get(i),
                    pos,
                    "while evaluating one of the replacement strings passed to builtins.replaceStrings",
                )?;
                context.add(r.context());
                known[i] = Some(r.bytes());
                r.bytes()
            }
        };
        out.extend_from_slice(replacement);
        if patterns[i].is_empty() {
            out.extend(text.get(at));
            at += 1;
        } else {
            at += patterns[i].len();
        }
    }
    if !changed {
        return Ok(s.value());
    }
    let context = context.finish();
    Ok(vm.string_with(&out, context))
}

fn parse_drv_name(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.parseDrvName",
    )?;
    let (name, version) = text::version::parse_drv_name(name.bytes());
    let name = vm.string(name);
    let version = vm.string(version);
    Ok(vm.set_of(&[(sym::NAME, name), (sym::VERSION, version)]))
}

fn compare_versions(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let a = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.compareVersions",
    )?;
    let b = vm.force_string_no_context(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.compareVersions",
    )?;
    let order = text::version::compare(a.bytes(), b.bytes());
    Ok(vm.int(order as i64))
}

fn split_version(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let version = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.splitVersion",
    )?;
    let mut parts = Vec::new();
    for part in text::version::components(version.bytes()) {
        parts.push(Str::new(&mut vm.heap, part).value());
    }
    Ok(List::new(&mut vm.heap, &parts).value())
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("toString", 1, to_string).strict(""),
        Builtin::new("__substring", 3, substring).strict(
            "while evaluating the first argument (the start offset) passed to builtins.substring",
        ),
        Builtin::new("__stringLength", 1, string_length).strict(""),
        Builtin::new("__hashString", 2, hash_string)
            .strict("while evaluating the first argument passed to builtins.hashString"),
        Builtin::new("__convertHash", 1, convert_hash)
            .strict(""),
        Builtin::new("__match", 2, regex_match)
            .strict("while evaluating the first argument passed to builtins.match"),
        Builtin::new("__split", 2, split)
            .strict("while evaluating the first argument passed to builtins.split"),
        Builtin::new("__concatStringsSep", 2, concat_strings_sep).strict(
            "while evaluating the first argument (the separator string) passed to builtins.concatStringsSep",
        ),
        Builtin::new("__replaceStrings", 3, replace_strings)
            .strict(""),
        Builtin::new("__parseDrvName", 1, parse_drv_name)
            .strict("while evaluating the first argument passed to builtins.parseDrvName"),
        Builtin::new("__compareVersions", 2, compare_versions)
            .strict("while evaluating the first argument passed to builtins.compareVersions"),
        Builtin::new("__splitVersion", 1, split_version)
            .strict("while evaluating the first argument passed to builtins.splitVersion"),
    ]
}
