//! From what a user types to a store path.

use std::path::Path;

use firn_model::store_path::StorePath;

use super::legacy::{Failure, Outcome, absolute, fail};
use crate::common::store::AnyStore;

/// The store path that `text` names, or that a chain of links from there leads to.
pub fn follow_links(store: &AnyStore, text: &str) -> Outcome<StorePath> {
    let mut path = absolute(text)?;
    // as many links as the kernel would follow
    for _ in 0..40 {
        if store.is_in_store(&path) {
            let text = path.to_string_lossy();
            return match store.store_dir().parse_prefix(&text) {
                Ok((found, _)) => Ok(found),
                Err(e) => fail(e.to_string()),
            };
        }
        match firn_store::fs::read_link(&path)? {
            Some(target) => {
                path = absolute(path.parent().unwrap_or(Path::new("/")).join(target))?;
            }
            None => break,
        }
    }
    fail(format!("path {path:?} is not in the Nix store"))
}

/// As [`follow_links`] for `PATH!OUTPUT,OUTPUT`; the names are empty if none are given.
pub fn follow_links_with_outputs(
    store: &AnyStore,
    text: &str,
) -> Outcome<(StorePath, Vec<String>)> {
    match text.rsplit_once('!') {
        Some((path, outputs)) => Ok((
            follow_links(store, path)?,
            outputs.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect(),
        )),
        None => Ok((follow_links(store, text)?, Vec::new())),
    }
}

/// A whole store path, no link.
pub fn parse(store: &AnyStore, text: &str) -> Outcome<StorePath> {
    let path = absolute(text)?;
    if !store.is_in_store(&path) {
        return fail(format!("path {path:?} is not in the Nix store"));
    }
    store.store_dir().parse(&path.to_string_lossy()).map_err(|e| Failure::Message(e.to_string()))
}
