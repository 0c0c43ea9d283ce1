//! `nix store`.

pub mod add;
pub mod exchange;
mod inside;
pub mod prefetch;

pub use inside::{cat, ls};

use std::collections::BTreeSet;

use firn_event::Level;
use firn_model::signature::SecretKey;
use firn_store::Trust;
use firn_store::local::gc::{Action, GcOptions, GcResults, render_size};
use firn_store::settings::parse_number;
use firn_store::trust::trusted_keys;
use serde_json::{Map, Value};

use super::call::Call;
use super::flags::{Flag, flag, option};
use crate::commands::nix_store::print_freed;
use crate::common::legacy::{Failure, Outcome, fail, usage};

/// Flags of `nix store gc`.
#[rustfmt::skip]
pub const GC: &[Flag] = &[
    option("max", None, &["n"], "stop after deleting this many bytes"),
    flag("dry-run", None, "tell what would be deleted"),
];
/// Flags of `nix store delete`.
#[rustfmt::skip]
pub const DELETE: &[Flag] = &[
    flag("ignore-liveness", None, "do not check whether the paths are reachable from a root"),
    flag("skip-live", None, "leave what is reachable from a root"),
];
/// Flags of `nix store sign`.
pub const SIGN: &[Flag] =
    &[option("key-file", Some('k'), &["file"], "the file with the secret key")];
/// Flags of `nix store verify`.
#[rustfmt::skip]
pub const VERIFY: &[Flag] = &[
    flag("no-contents", None, "do not check contents"),
    flag("no-trust", None, "do not check signatures"),
    option("sigs-needed", Some('n'), &["n"], "signatures that each path must have"),
    option("substituter", Some('s'), &["store-url"], "look for signatures there too"),
];

/// `nix store info`.
pub fn info(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let store = call.store()?;
    let uri = store.uri();
    let (version, trusted) = match store.managed() {
        Some(managed) => (managed.version()?, managed.trusts_us()?),
        None if store.is_local() => (Some(crate::common::NIX_VERSION.to_owned()), Some(true)),
        None => (store.program_version(), store.trusts_client()),
    };
    if call.given.has("json") {
        let mut shown = Map::new();
        if let Some(trusted) = trusted {
            shown.insert("trusted".into(), trusted.into());
        }
        shown.insert("url".into(), uri.into());
        if let Some(version) = version {
            shown.insert("version".into(), version.into());
        }
        return call.print_json(&Value::Object(shown));
    }
    call.say(Level::Notice, format!("Store URL: {uri}"));
    if let Some(version) = version {
        call.say(Level::Notice, format!("Version: {version}"));
    }
    if let Some(trusted) = trusted {
        call.say(Level::Notice, format!("Trusted: {}", u8::from(trusted)));
    }
    Ok(())
}

/// `nix store gc`.
pub fn gc(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let mut options = GcOptions::default();
    if let Some(max) = call.given.value("max") {
        options.max_freed = Some(parse_number(max)?);
    }
    let dry = call.given.has("dry-run");
    if dry {
        options.action = Action::ReturnDead;
    }
    let store = call.store()?;
    let mut results = GcResults::default();
    let outcome = store.collect_garbage_into(&options, &mut results);
    if dry {
        for path in &results.paths {
            writeln!(call.out, "{path}")?;
        }
    } else {
        print_freed(call.out, &results)?;
    }
    Ok(outcome?)
}

/// `nix store delete`.
pub fn delete(call: &mut Call<'_>) -> Outcome {
    let paths: BTreeSet<_> = call.store_paths(false)?.into_iter().collect();
    let options = GcOptions {
        action: Action::DeleteSpecific(paths),
        ignore_liveness: call.given.has("ignore-liveness"),
        max_freed: None,
    };
    let store = call.store()?;
    let mut results = GcResults::default();
    let outcome = store.collect_garbage_into(&options, &mut results);
    print_freed(call.out, &results)?;
    Ok(outcome?)
}

/// `nix store optimise`.
pub fn optimise(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let store = call.store()?;
    let stats = store.optimise()?;
    let freed = render_size(i64::try_from(stats.bytes_freed).unwrap_or(i64::MAX));
    call.say(Level::Notice, format!("{freed} freed by hard-linking {} files", stats.files_linked));
    Ok(())
}

/// `nix store dump-path`.
pub fn dump_path(call: &mut Call<'_>) -> Outcome {
    let store = call.store()?;
    for path in call.store_paths(true)? {
        store.nar_from_path(&path, &mut call.out)?;
    }
    Ok(())
}

/// `nix store path-from-hash-part`.
pub fn path_from_hash_part(call: &mut Call<'_>) -> Outcome {
    let part = call.one_argument("hash-part")?.to_owned();
    let store = call.store()?;
    if part.len() != 32 {
        return usage("invalid hash part: it has 32 characters");
    }
    match store.query_path_from_hash_part(&part)? {
        Some(path) => Ok(writeln!(call.out, "{}", store.store_dir().print(&path))?),
        None => fail(format!("there is no store path corresponding to '{part}'")),
    }
}

/// `nix store repair`.
pub fn repair(call: &mut Call<'_>) -> Outcome {
    let store = call.store()?;
    for path in call.store_paths(false)? {
        crate::commands::nix_store::repair(store.local("repairPath")?, &call.common, &path)?;
    }
    Ok(())
}

/// `nix store sign`.
pub fn sign(call: &mut Call<'_>) -> Outcome {
    let Some(file) = call.given.value("key-file") else {
        return usage("you must specify a secret key file using '-k'");
    };
    let text = std::fs::read_to_string(file).map_err(|e| {
        Failure::Message(format!("opening file '{file}': {}", firn_store::error::errno_text(&e)))
    })?;
    let key: SecretKey = text
        .trim_end()
        .parse()
        .map_err(|e: firn_model::signature::Error| Failure::Message(format!("'{file}': {e}")))?;
    let store = call.store()?;
    let mut added = 0;
    for path in call.store_paths(false)? {
        let info = store.path_info(&path)?;
        let signature = key.sign(info.fingerprint(store.store_dir()).as_bytes());
        if !info.signatures.contains(&signature) {
            store.add_signatures(&path, &[signature].into())?;
            added += 1;
        }
    }
    call.say(Level::Info, format!("added {added} signatures"));
    Ok(())
}

/// `nix store verify`.
pub fn verify(call: &mut Call<'_>) -> Outcome {
    let (contents, trust) = (!call.given.has("no-contents"), !call.given.has("no-trust"));
    let needed = call.given.value("sigs-needed").map_or(Ok(0), parse_number)?;
    let keys = Trust::Keys(trusted_keys(&call.common.settings)?);
    let mut others = Vec::new();
    for values in call.given.all("substituter") {
        for uri in values {
            others.push(call.common.open_store_at(Some(uri))?);
        }
    }
    let store = call.store()?;
    let dir = store.store_dir();
    let (mut corrupted, mut untrusted, mut failed) = (0_u32, 0_u32, 0_u32);
    for path in call.store_paths(false)? {
        let shown = dir.print(&path);
        let info = match store.path_info(&path) {
            Ok(info) => info,
            Err(e) => {
                failed += 1;
                call.say(Level::Error, e.to_string());
                continue;
            }
        };
        call.say(Level::Info, format!("checking '{shown}'..."));
        if contents && let Some(found) = store.check_path(&path)? {
            corrupted += 1;
            call.say(
                Level::Error,
                format!(
                    "path '{shown}' was modified! expected hash '{}', got '{}'",
                    info.nar_hash.render(firn_model::hash::HashFormat::Nix32, true),
                    found.render(firn_model::hash::HashFormat::Nix32, true)
                ),
            );
        }
        if trust {
            let mut signed = (*info).clone();
            for other in &others {
                if let Some(theirs) = other.query_path_info(&path)?
                    && theirs.fingerprint(dir) == info.fingerprint(dir)
                {
                    signed.signatures.extend(theirs.signatures.iter().cloned());
                }
            }
            let valid = keys.good_signatures(&signed, dir) as u64;
            let good = if info.ultimate && needed == 0 || info.is_content_addressed(dir) {
                true
            } else {
                valid >= needed.max(1)
            };
            if !good {
                untrusted += 1;
                call.say(Level::Error, format!("path '{shown}' is untrusted"));
            }
        }
    }
    let status = u8::from(corrupted > 0) | u8::from(untrusted > 0) << 1 | u8::from(failed > 0) << 2;
    if status == 0 { Ok(()) } else { Err(Failure::Exit(status)) }
}
