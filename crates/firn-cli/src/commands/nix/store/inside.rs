//! `nix store ls` and `nix store cat`: single files of store paths. Where a store has no files of its own, they are
//! read out of archives.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use firn_model::nar::listing::Node;
use firn_model::store_path::StorePath;
use firn_store::error::errno_text;

use crate::commands::nix::call::Call;
use crate::commands::nix::nar;
use crate::common::legacy::{Failure, Outcome, absolute, fail};
use crate::common::store::AnyStore;

/// A valid path, and what follows it.
fn inside(store: &AnyStore, text: &str) -> Outcome<(StorePath, String)> {
    let path = absolute(text)?;
    let shown = path.to_string_lossy();
    let (store_path, rest) =
        store.store_dir().parse_prefix(&shown).map_err(|e| Failure::Message(e.to_string()))?;
    if !store.is_valid(&store_path)? {
        return fail(format!("path '{}' is not valid", store.store_dir().print(&store_path)));
    }
    Ok((store_path, rest.trim_start_matches('/').to_owned()))
}

fn on_disk(store: &AnyStore, path: &StorePath, rest: &str) -> PathBuf {
    let real = store.real_path(path);
    if rest.is_empty() { real } else { real.join(rest) }
}

/// The archive of a path and what is in it.
fn archive(store: &AnyStore, path: &StorePath) -> Outcome<(File, Node)> {
    let mut file = store.nar_file(path)?;
    let failed = |e: &dyn std::fmt::Display| {
        Failure::Message(format!("reading the archive of '{}': {e}", store.store_dir().print(path)))
    };
    let node =
        Node::read(&mut BufReader::with_capacity(256 * 1024, &mut file)).map_err(|e| failed(&e))?;
    Ok((file, node))
}

/// `nix store ls`.
pub fn ls(call: &mut Call<'_>) -> Outcome {
    let text = call.one_argument("path")?.to_owned();
    let store = call.store()?;
    let (path, rest) = inside(&store, &text)?;
    let missing = || Failure::Message(format!("path '{text}' does not exist"));
    let node = if store.has_files() {
        nar::from_disk(&on_disk(&store, &path, &rest), call.given.has("recursive")).map_err(
            |e| match e.kind() {
                std::io::ErrorKind::NotFound => missing(),
                _ => Failure::Message(format!("reading '{text}': {}", errno_text(&e))),
            },
        )?
    } else {
        let (_, root) = archive(&store, &path)?;
        root.find(&nar::components(&rest)).cloned().ok_or_else(missing)?
    };
    nar::list(call, &node, &text)
}

/// `nix store cat`.
pub fn cat(call: &mut Call<'_>) -> Outcome {
    let text = call.one_argument("path")?.to_owned();
    let store = call.store()?;
    let (path, rest) = inside(&store, &text)?;
    let failed =
        |e: std::io::Error| Failure::Message(format!("opening file '{text}': {}", errno_text(&e)));
    if !store.has_files() {
        let (mut file, root) = archive(&store, &path)?;
        let Some(node) = root.find(&nar::components(&rest)) else {
            return fail(format!("path '{text}' does not exist"));
        };
        let Node::File { size, offset: Some(offset), .. } = node else {
            return fail(format!("path '{text}' is not a regular file"));
        };
        file.seek(SeekFrom::Start(*offset)).map_err(failed)?;
        std::io::copy(&mut file.take(*size), call.out)?;
        return Ok(());
    }
    let real = on_disk(&store, &path, &rest);
    if !real.symlink_metadata().is_ok_and(|m| m.is_file()) {
        return fail(format!("path '{text}' is not a regular file"));
    }
    let mut file = File::open(&real).map_err(failed)?;
    std::io::copy(&mut file, call.out)?;
    Ok(())
}
