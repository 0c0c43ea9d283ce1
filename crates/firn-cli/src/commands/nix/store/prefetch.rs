//! `nix store prefetch-file`.

use std::collections::BTreeSet;

use firn_event::Level;
use firn_fetch::Downloader;
use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::References;
use firn_store::Repair;
use serde_json::json;

use super::super::call::Call;
use super::super::flags::{Flag, flag, option};
use crate::common::legacy::{Failure, Outcome, fail};

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
    let name = match call.given.value("name") {
        Some(name) => name.to_owned(),
        None => {
            let plain = url.split(['?', '#']).next().unwrap_or(&url);
            plain.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
        }
    };
    if name.is_empty() {
        return fail(format!(
            "cannot derive a store path name from '{url}'; give one with '--name'"
        ));
    }
    let (executable, unpack) = (call.given.has("executable"), call.given.has("unpack"));
    let method = if executable || unpack { Method::Nar } else { Method::Flat };
    let store = call.store()?;
    let dir = store.store_dir();
    let mut path = None;
    if let Some(hash) = expected {
        let address = ContentAddress { method, hash };
        let known = dir
            .make_fixed_output_path(&name, &address, &References::default())
            .map_err(|e| message(&e))?;
        if store.is_valid(&known)? {
            path = Some((known, hash));
        }
    }
    let (path, hash) = match path {
        Some(found) => found,
        None => {
            let options = call.common.build_options();
            let urls = options.fetch.mirrors.resolve(&url).map_err(|e| message(&e))?;
            let downloader = Downloader::new(options.fetch.clone(), call.common.logger())
                .map_err(|e| message(&e))?;
            let temp = tempfile::tempdir().map_err(|e| message(&e))?;
            let file = temp.path().join("file");
            downloader.download_file(&urls, &file, None, 0).map_err(|e| message(&e))?;
            let mut source = file.clone();
            if unpack {
                source = temp.path().join("unpacked");
                std::fs::create_dir(&source).map_err(|e| message(&e))?;
                firn_build::builtin::unpack_tarball(&file, &source).map_err(|e| message(&e))?;
                let mut entries = std::fs::read_dir(&source).map_err(|e| message(&e))?;
                if let (Some(Ok(only)), None) = (entries.next(), entries.next()) {
                    source = only.path();
                }
            }
            if executable {
                use std::os::unix::fs::PermissionsExt as _;
                std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o755))
                    .map_err(|e| message(&e))?;
            }
            let path =
                store.add_path(&name, &source, method, algo, None, &BTreeSet::new(), Repair::No)?;
            let hash = match &store.path_info(&path)?.ca {
                Some(address) => address.hash,
                None => return fail(format!("'{}' has no content address", dir.print(&path))),
            };
            (path, hash)
        }
    };
    if let Some(expected) = expected
        && expected != hash
    {
        return fail(format!(
            "hash mismatch for '{url}'\n  expected: {}\n  got:      {}",
            expected.to_sri(),
            hash.to_sri()
        ));
    }
    if call.given.has("json") {
        return call.print_json(&json!({ "hash": hash.to_sri(), "storePath": dir.print(&path) }));
    }
    call.say(
        Level::Notice,
        format!("Downloaded '{url}' to '{}' (hash '{}').", dir.print(&path), hash.to_sri()),
    );
    Ok(())
}
