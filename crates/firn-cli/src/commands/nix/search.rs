//! `nix search`.

use firn_eval::value::Set;
use firn_eval::{Value, Vm, packages};
use firn_syntax::Symbol;
use serde_json::{Map, json};

use super::call::{Call, Stop};
use super::flags::{Flag, option};
use super::flakes::Targets;
use super::installables::Installable;
use crate::common::legacy::{Failure, Outcome, fail, usage};

/// Flags of `nix search`.
pub const FLAGS: &[Flag] = &[option("exclude", Some('e'), &["regex"], "hide packages that match")];

/// A package that may be shown.
struct Found {
    attr: String,
    name: String,
    version: String,
    description: String,
}

/// `nix search`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let mut args = call.given.args.clone();
    if args.is_empty() {
        return usage("required argument 'installable' is missing");
    }
    let first = args.remove(0);
    if args.is_empty() {
        return usage(
            "Must provide at least one regex! To match all packages, use 'nix search <installable> ^'.",
        );
    }
    call.targets = Targets::Search;
    let item = call.installable(&first)?;
    if matches!(item, Installable::Store(_)) {
        return fail(format!("'{first}' is a store path, which has no packages"));
    }
    let wanted = args.iter().map(|r| pattern(r)).collect::<Outcome<Vec<_>>>()?;
    let excluded =
        call.given.all("exclude").flatten().map(|r| pattern(r)).collect::<Outcome<Vec<_>>>()?;
    let session = call.session()?;
    let source = call.root(&session)?;
    let found = call.evaluate(&session, true, |vm, args| {
        let top = source.values(args).get(vm, &item)?;
        let mut found = Vec::new();
        walk(vm, top.value, args, &top.attr, true, &mut found)?;
        Ok(found)
    })?;
    let matches = |f: &Found, r: &regex::Regex| {
        r.is_match(&f.attr) || r.is_match(&f.name) || r.is_match(&f.description)
    };
    let shown: Vec<&Found> = found
        .iter()
        .filter(|f| wanted.iter().all(|r| matches(f, r)))
        .filter(|f| !excluded.iter().any(|r| matches(f, r)))
        .collect();
    if call.given.has("json") {
        let all: Map<_, _> = shown
            .iter()
            .map(|f| {
                let value =
                    json!({ "description": f.description, "pname": f.name, "version": f.version });
                (f.attr.clone(), value)
            })
            .collect();
        return call.print_json(&all.into());
    }
    if shown.is_empty() {
        return fail("no results for the given search term(s)!");
    }
    let colours = std::env::var_os("NO_COLOR").is_none();
    for (n, f) in shown.iter().enumerate() {
        if n > 0 {
            writeln!(call.out)?;
        }
        let highlight = |text: &str, normal: &str| {
            if colours { highlighted(text, &wanted, normal) } else { text.to_owned() }
        };
        let version =
            if f.version.is_empty() { String::new() } else { format!(" ({})", f.version) };
        let (bold, normal) = if colours { ("\x1b[0;1m", "\x1b[0m") } else { ("", "") };
        writeln!(call.out, "* {bold}{}{normal}{version}", highlight(&f.attr, bold))?;
        if !f.description.is_empty() {
            writeln!(call.out, "  {}", highlight(&f.description, normal))?;
        }
    }
    Ok(())
}

/// A pattern of the user's, without regard to case.
fn pattern(text: &str) -> Outcome<regex::Regex> {
    regex::RegexBuilder::new(text)
        .case_insensitive(true)
        .build()
        .map_err(|e| Failure::Usage(format!("invalid regex '{text}': {e}")))
}

/// What matches in green.
fn highlighted(text: &str, wanted: &[regex::Regex], normal: &str) -> String {
    let mut spans: Vec<(usize, usize)> = wanted
        .iter()
        .flat_map(|r| r.find_iter(text).map(|m| (m.start(), m.end())))
        .filter(|(a, b)| a < b)
        .collect();
    spans.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    let (mut out, mut at) = (String::new(), 0);
    for (start, end) in merged {
        out.push_str(&text[at..start]);
        out.push_str("\x1b[32;1m");
        out.push_str(&text[start..end]);
        out.push_str(normal);
        at = end;
    }
    out + &text[at..]
}

/// Collects the derivations of a set, and of the sets in it if it is the outermost or wants that.
fn walk(
    vm: &mut Vm,
    value: Value,
    args: Set,
    at: &str,
    outermost: bool,
    found: &mut Vec<Found>,
) -> Result<(), Stop> {
    let value = if value.as_set().is_none() { vm.auto_call(args, value)? } else { value };
    let Some(set) = value.as_set() else { return Ok(()) };
    if vm.is_derivation(set)? {
        let package = packages::Package { attrs: set };
        let full = package.name(vm)?;
        let (name, version) = firn_eval::text::version::parse_drv_name(full.as_bytes());
        let description = match package.meta(vm, "description") {
            Ok(Some(text)) => text
                .as_str()
                .map(|s| String::from_utf8_lossy(s.bytes()).replace('\n', " "))
                .unwrap_or_default(),
            Ok(None) | Err(_) => String::new(),
        };
        found.push(Found {
            attr: at.to_owned(),
            name: String::from_utf8_lossy(name).into_owned(),
            version: String::from_utf8_lossy(version).into_owned(),
            description,
        });
        return Ok(());
    }
    if !outermost && !may_recurse(vm, set, at)? {
        return Ok(());
    }
    let names: Vec<(Vec<u8>, Value)> =
        set.sorted(&mut vm.heap).map(|(name, v)| (name.as_bytes().to_vec(), v)).collect();
    for (name, v) in names {
        let name = String::from_utf8_lossy(&name).into_owned();
        let path = if at.is_empty() { name } else { format!("{at}.{name}") };
        match vm.force(v, firn_eval::position::PosId::NONE) {
            Ok(v) => match walk(vm, v, args, &path, false, found) {
                // a package that does not evaluate must not hide the others
                Err(Stop::Eval(e)) if e.is_catchable() => {}
                other => other?,
            },
            Err(e) if e.is_catchable() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Whether packages are looked for in the set at a path. The outputs of a flake are known to have them;
/// its `legacyPackages` say where.
fn may_recurse(vm: &mut Vm, set: Set, at: &str) -> Result<bool, Stop> {
    let parts: Vec<&str> = at.split('.').collect();
    match (parts[0], parts.len()) {
        ("legacyPackages" | "packages", ..=2) => Ok(true),
        ("legacyPackages", _) => match set.get(Symbol::intern(b"recurseForDerivations")) {
            Some(v) => {
                let v = vm.force(v, firn_eval::position::PosId::NONE)?;
                Ok(v.as_bool() == Some(true))
            }
            None => Ok(false),
        },
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_marked_once() {
        let wanted = [pattern("ab").unwrap(), pattern("B").unwrap()];
        assert_eq!(highlighted("xabyb", &wanted, "|"), "x\x1b[32;1mab|y\x1b[32;1mb|");
        let overlapping = [pattern("broken b").unwrap(), pattern("en bar").unwrap()];
        let shown = highlighted("a broken bar", &overlapping, "|");
        assert_eq!(shown, "a \x1b[32;1mbroken bar|");
        assert!(pattern("(").is_err());
    }
}
