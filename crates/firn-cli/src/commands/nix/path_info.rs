//! `nix path-info`.

use std::collections::BTreeSet;

use firn_model::StorePath;
use firn_store::ClosureOptions;
use firn_store::local::gc::render_size;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::flags::{Flag, flag, option};
use crate::common::legacy::{Outcome, fail, stderr_logger};
use crate::common::store::AnyStore;

/// Flags of `nix path-info`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    flag("size", Some('s'), "print the size of the NAR of each path"),
    flag("closure-size", Some('S'), "print the sum of the sizes of the NARs of each path's closure"),
    flag("human-readable", Some('h'), "print sizes such as 5.7 MiB"),
    flag("sigs", None, "show signatures"),
    option("json-format", None, &["version"], "1: whole paths and hashes as text; 2: base names, structured hashes"),
];

/// `nix path-info`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let paths = call.store_paths(false)?;
    let store = call.store()?;
    if call.given.has("json") {
        let version = match call.given.value("json-format") {
            None => {
                stderr_logger(call.common.verbosity).warn(
                    "'--json' without '--json-format' is deprecated; please specify \
                     '--json-format 1' or '--json-format 2'. This will become an error in a future release.",
                );
                1
            }
            Some("1") => 1,
            Some("2") => 2,
            Some(other) => {
                return fail(format!("unsupported path info JSON format version {other}"));
            }
        };
        let mut all = Map::new();
        for path in paths.iter().collect::<BTreeSet<_>>() {
            let key = if version == 1 {
                store.store_dir().print(path)
            } else {
                path.base_name().to_owned()
            };
            let mut shown = to_json(&store, path, version)?;
            if let (Value::Object(map), true) = (&mut shown, call.given.has("closure-size")) {
                map.insert("closureSize".into(), closure_size(&store, path)?.into());
                map.sort_keys();
            }
            all.insert(key, shown);
        }
        all.sort_keys();
        let shown = if version == 1 {
            Value::Object(all)
        } else {
            json!({ "info": all, "storeDir": store.store_dir().as_str(), "version": 2 })
        };
        return call.print_json(&shown);
    }
    let width = paths.iter().map(|p| store.store_dir().print(p).len()).max().unwrap_or(0);
    let (size, closure, sigs) =
        (call.given.has("size"), call.given.has("closure-size"), call.given.has("sigs"));
    let human = call.given.has("human-readable");
    for path in &paths {
        let info = store.path_info(path)?;
        let mut line = store.store_dir().print(path);
        if size || closure || sigs {
            line = format!("{line:width$}");
        }
        let mut add_size = |bytes: u64| {
            line.push_str(&if human {
                format!("\t{:>10}", render_size(i64::try_from(bytes).unwrap_or(i64::MAX)))
            } else {
                format!("\t{bytes:11}")
            });
        };
        if size {
            add_size(info.nar_size);
        }
        if closure {
            add_size(closure_size(&store, path)?);
        }
        if sigs {
            let mut words = Vec::new();
            if info.ultimate {
                words.push("ultimate".to_owned());
            }
            words.extend(info.ca.as_ref().map(|ca| format!("ca:{ca}")));
            words.extend(info.signatures.iter().map(ToString::to_string));
            line.push('\t');
            line.push_str(&words.join(" "));
        }
        writeln!(call.out, "{line}")?;
    }
    Ok(())
}

fn closure_size(store: &AnyStore, path: &StorePath) -> Outcome<u64> {
    let mut sum = 0;
    let start = BTreeSet::from([path.clone()]);
    for member in store.compute_closure(&start, ClosureOptions::default())? {
        sum += store.path_info(&member)?.nar_size;
    }
    Ok(sum)
}

/// What is known of a path; null if it is not valid. Defined in the Nix manual, "Store Object Info JSON".
fn to_json(store: &AnyStore, path: &StorePath, version: u8) -> Outcome<Value> {
    let Some(info) = store.query_path_info(path)? else { return Ok(Value::Null) };
    let dir = store.store_dir();
    let shown = |p: &StorePath| -> Value {
        if version == 1 { dir.print(p).into() } else { p.base_name().into() }
    };
    let ca: Value = match &info.ca {
        None => Value::Null,
        Some(ca) if version == 1 => ca.to_string().into(),
        Some(ca) => json!({ "hash": ca.hash.to_sri(), "method": ca.method.as_str() }),
    };
    let archive = store.query_nar_info(path)?;
    // a cache does not know when it got something
    let registered: Value = match archive {
        Some(_) => Value::Null,
        None => info.registration_time.into(),
    };
    let mut all = json!({
        "ca": ca,
        "deriver": info.deriver.as_ref().map(shown),
        "narHash": info.nar_hash.to_sri(),
        "narSize": info.nar_size,
        "references": info.references.iter().map(shown).collect::<Vec<_>>(),
        "registrationTime": registered,
        "signatures": info.signatures.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "storeDir": dir.as_str(),
        "ultimate": info.ultimate,
        "version": version,
    });
    if let (Some(archive), Value::Object(all)) = (archive, &mut all) {
        all.insert("compression".into(), archive.compression.clone().into());
        if let Some(hash) = &archive.file_hash {
            all.insert("downloadHash".into(), hash.to_sri().into());
        }
        if archive.file_size > 0 {
            all.insert("downloadSize".into(), archive.file_size.into());
        }
        all.insert("url".into(), archive.url.clone().into());
        all.sort_keys();
    }
    Ok(all)
}
