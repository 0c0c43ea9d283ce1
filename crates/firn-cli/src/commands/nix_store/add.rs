//! `--add`, `--add-fixed`, `--print-fixed-path`.

use std::collections::BTreeSet;
use std::path::Path;

use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::References;
use firn_store::Repair;

use super::Call;
use crate::common::legacy::{Failure, Outcome, absolute, usage};
use crate::common::store::AnyStore;

pub fn add(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    for file in &call.args {
        let path = add_one(store, file, Method::Nar, HashAlgo::Sha256)?;
        writeln!(call.out, "{path}")?;
    }
    Ok(())
}

pub fn add_fixed(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let method = method(call)?;
    let mut args = call.args.iter();
    let Some(algo) = args.next() else { return usage("first argument must be hash algorithm") };
    let algo = parse_algo(algo)?;
    for file in args {
        let path = add_one(store, file, method, algo)?;
        writeln!(call.out, "{path}")?;
    }
    Ok(())
}

fn add_one(store: &AnyStore, file: &str, method: Method, algo: HashAlgo) -> Outcome<String> {
    let source = absolute(file)?;
    let name = Path::new(file)
        .file_name()
        .or_else(|| source.file_name())
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let none = BTreeSet::new();
    let path = store.add_path(&name, &source, method, algo, None, &none, Repair::No)?;
    Ok(store.store_dir().print(&path))
}

pub fn print_fixed_path(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let method = method(call)?;
    let [algo, hash, name] = &call.args[..] else {
        return usage("'--print-fixed-path' requires three arguments");
    };
    let model = |e: String| Failure::Message(e);
    let hash = Hash::parse_any(hash, Some(parse_algo(algo)?)).map_err(|e| model(e.to_string()))?;
    let path = store
        .store_dir()
        .make_fixed_output_path(name, &ContentAddress { method, hash }, &References::default())
        .map_err(|e| model(e.to_string()))?;
    Ok(writeln!(call.out, "{}", store.store_dir().print(&path))?)
}

fn method(call: &Call<'_>) -> Outcome<Method> {
    let mut method = Method::Flat;
    for flag in &call.flags {
        match flag.as_str() {
            "--recursive" => method = Method::Nar,
            _ => return usage(format!("unknown flag '{flag}'")),
        }
    }
    Ok(method)
}

fn parse_algo(text: &str) -> Outcome<HashAlgo> {
    text.parse().map_err(|e: firn_model::hash::Error| Failure::Usage(e.to_string()))
}
