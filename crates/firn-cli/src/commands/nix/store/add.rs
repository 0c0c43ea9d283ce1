//! `nix store add` and its older forms.

use std::collections::BTreeSet;
use std::path::Path;

use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{HashAlgo, Hasher};
use firn_model::store_path::References;
use firn_store::Repair;

use super::super::call::Call;
use super::super::flags::{Flag, flag, option};
use crate::common::legacy::{Failure, Outcome, absolute, usage};

/// Flags of all forms.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("name", Some('n'), &["name"], "the name in the store, the file's own if not given"),
    option("hash-algo", None, &["hash-algo"], "the algorithm of the content address, sha256 if not given"),
    flag("dry-run", None, "print the path and add nothing"),
];
/// How what is added is addressed.
pub const MODE: &[Flag] = &[option(
    "mode",
    None,
    &["content-address-method"],
    "'nar' (the default), 'flat', 'text' or 'git'",
)];

/// `nix store add`.
pub fn add(call: &mut Call<'_>) -> Outcome {
    let method = match call.given.value("mode") {
        None | Some("nar") => Method::Nar,
        Some("flat") => Method::Flat,
        Some("text") => Method::Text,
        Some("git") => {
            call.need_feature("git-hashing")?;
            Method::Git
        }
        Some(other) => {
            return usage(format!(
                "unknown content-address method '{other}', expect 'flat', 'nar', 'text', or 'git'"
            ));
        }
    };
    add_as(call, method)
}

/// `nix store add-file`.
pub fn add_file(call: &mut Call<'_>) -> Outcome {
    add_as(call, Method::Flat)
}

fn add_as(call: &mut Call<'_>, method: Method) -> Outcome {
    let file = call.one_argument("path")?.to_owned();
    let source = absolute(&file)?;
    let name = match call.given.value("name") {
        Some(name) => name.to_owned(),
        None => source.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    let algo: HashAlgo = match call.given.value("hash-algo") {
        Some(text) => {
            text.parse().map_err(|e: firn_model::hash::Error| Failure::Usage(e.to_string()))?
        }
        None => HashAlgo::Sha256,
    };
    let store = call.store()?;
    let path = if call.given.has("dry-run") {
        let hash = match method {
            Method::Nar => firn_store::fs::hash_path(&source, algo)?.0,
            Method::Git => firn_store::fs::git_hash(&source, algo, None)?,
            Method::Flat | Method::Text => hash_file(&source, algo)?,
        };
        store
            .store_dir()
            .make_fixed_output_path(&name, &ContentAddress { method, hash }, &References::default())
            .map_err(|e| Failure::Message(e.to_string()))?
    } else {
        store.add_path(&name, &source, method, algo, None, &BTreeSet::new(), Repair::No)?
    };
    Ok(writeln!(call.out, "{}", store.store_dir().print(&path))?)
}

fn hash_file(path: &Path, algo: HashAlgo) -> Outcome<firn_model::Hash> {
    let mut hasher = Hasher::new(algo);
    std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher)).map_err(
        |e| {
            Failure::Message(format!(
                "opening file '{}': {}",
                path.display(),
                firn_store::error::errno_text(&e)
            ))
        },
    )?;
    Ok(hasher.finish())
}
