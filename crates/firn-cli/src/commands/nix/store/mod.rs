//! `nix store`.

pub mod add;
pub mod prefetch;

use std::collections::BTreeSet;

use firn_event::Level;
use firn_model::signature::{PublicKey, SecretKey};
use firn_store::local::gc::{Action, GcOptions, GcResults, render_size};
use firn_store::settings::parse_number;
use serde_json::json;

use super::call::Call;
use super::flags::{Flag, flag, option};
use super::nar;
use crate::commands::nix_store::print_freed;
use crate::common::legacy::{Failure, Outcome, absolute, fail, usage};
use crate::common::store::AnyStore;

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
    if call.given.has("json") {
        return call.print_json(
            &json!({ "trusted": true, "url": uri, "version": crate::common::NIX_VERSION }),
        );
    }
    call.say(Level::Notice, format!("Store URL: {uri}"));
    call.say(Level::Notice, format!("Version: {}", crate::common::NIX_VERSION));
    call.say(Level::Notice, "Trusted: 1".to_owned());
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

/// A file in the store: the store path's real place and what follows it.
fn inside(store: &AnyStore, text: &str) -> Outcome<std::path::PathBuf> {
    let path = absolute(text)?;
    let shown = path.to_string_lossy();
    let (store_path, rest) =
        store.store_dir().parse_prefix(&shown).map_err(|e| Failure::Message(e.to_string()))?;
    if !store.is_valid(&store_path)? {
        return fail(format!("path '{}' is not valid", store.store_dir().print(&store_path)));
    }
    let real = store.real_path(&store_path);
    let rest = rest.trim_start_matches('/');
    Ok(if rest.is_empty() { real } else { real.join(rest) })
}

/// `nix store ls`.
pub fn ls(call: &mut Call<'_>) -> Outcome {
    let text = call.one_argument("path")?.to_owned();
    let store = call.store()?;
    let path = inside(&store, &text)?;
    let node = nar::from_disk(&path, call.given.has("recursive"));
    let node = node.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Failure::Message(format!("path '{text}' does not exist")),
        _ => Failure::Message(format!("reading '{text}': {}", firn_store::error::errno_text(&e))),
    })?;
    nar::list(call, &node, &text)
}

/// `nix store cat`.
pub fn cat(call: &mut Call<'_>) -> Outcome {
    let text = call.one_argument("path")?.to_owned();
    let store = call.store()?;
    let path = inside(&store, &text)?;
    if !path.symlink_metadata().is_ok_and(|m| m.is_file()) {
        return fail(format!("path '{text}' is not a regular file"));
    }
    let mut file = std::fs::File::open(&path).map_err(|e| {
        Failure::Message(format!("opening file '{text}': {}", firn_store::error::errno_text(&e)))
    })?;
    std::io::copy(&mut file, call.out)?;
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
    let mut keys = Vec::new();
    for text in call.common.settings.words("trusted-public-keys") {
        let key: PublicKey = text
            .parse()
            .map_err(|e: firn_model::signature::Error| Failure::Message(e.to_string()))?;
        keys.push(key);
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
        call.say(Level::Talkative, format!("checking '{shown}'..."));
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
            let fingerprint = info.fingerprint(dir);
            let valid = info
                .signatures
                .iter()
                .filter(|s| {
                    keys.iter()
                        .any(|k| k.name() == s.key_name() && k.verify(fingerprint.as_bytes(), s))
                })
                .count() as u64;
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
