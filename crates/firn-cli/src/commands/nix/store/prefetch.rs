//! `nix store prefetch-file`.

use firn_event::Level;
use firn_model::hash::{Hash, HashAlgo};
use serde_json::json;

use super::super::call::Call;
use super::super::flags::{Flag, flag, option};
use crate::common::legacy::{Failure, Outcome};
use crate::common::prefetch::Prefetch;

/// Flags.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("name", None, &["name"], "the name in the store, the URL's last part if not given"),
    option("expected-hash", None, &["hash"], "the hash that the file must have"),
    option("hash-type", None, &["hash-algo"], "the algorithm of the hash, sha256 if not given"),
    option("hash-algo", None, &["hash-algo"], "the same"),
    flag("executable", None, "make the file executable; the hash is then that of its NAR"),
    flag("unpack", None, "unpack an archive; the hash is then that of its NAR"),
];

/// `nix store prefetch-file`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let message = |e: &dyn std::fmt::Display| Failure::Message(e.to_string());
    let url = call.one_argument("url")?.to_owned();
    let algo = call.given.value("hash-algo").or_else(|| call.given.value("hash-type"));
    let algo: HashAlgo = algo.unwrap_or("sha256").parse().map_err(|e| message(&e))?;
    let expected = match call.given.value("expected-hash") {
        Some(text) => Some(Hash::parse_any(text, Some(algo)).map_err(|e| message(&e))?),
        None => None,
    };
    let wanted = Prefetch {
        url: url.clone(),
        name: call.given.value("name").map(str::to_owned),
        algo,
        expected,
        executable: call.given.has("executable"),
        unpack: call.given.has("unpack"),
    };
    let store = call.store()?;
    let (path, hash) = wanted.run(&call.common, &store)?;
    let dir = store.store_dir();
    if call.given.has("json") {
        return call.print_json(&json!({ "hash": hash.to_sri(), "storePath": dir.print(&path) }));
    }
    call.say(
        Level::Notice,
        format!("Downloaded '{url}' to '{}' (hash '{}').", dir.print(&path), hash.to_sri()),
    );
    Ok(())
}
