//! `nix copy` between stores on this machine.

use std::collections::BTreeSet;

use firn_event::Level;
use firn_model::StorePath;
use firn_store::{ClosureOptions, Repair};

use super::call::Call;
use super::flags::{Flag, flag, option};
use crate::common::legacy::{Outcome, fail, usage};
use crate::common::store::AnyStore;

/// Flags of `nix copy`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("from", None, &["store-url"], "the store to copy from"),
    option("to", None, &["store-url"], "the store to copy to"),
    flag("no-recursive", None, "copy the paths alone, without their closures"),
    flag("no-check-sigs", None, "do not demand signatures of trusted keys"),
    flag("substitute-on-destination", Some('s'), "let the destination use its substituters"),
];

/// `nix copy`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (call.given.value("from"), call.given.value("to"));
    if from.is_none() && to.is_none() {
        return usage("you must pass '--from' and/or '--to'");
    }
    let from = from.map(|uri| call.common.open_store_at(Some(uri))).transpose()?;
    let to = to.map(|uri| call.common.open_store_at(Some(uri))).transpose()?;
    if let Some(from) = &from {
        call.use_store(from.clone());
    }
    let source = call.store()?;
    let target = match to {
        Some(to) => to,
        None => call.common.open_store()?,
    };
    if source.store_dir() != target.store_dir() {
        return fail(format!(
            "the stores have different folders: '{}' and '{}'",
            source.store_dir().as_str(),
            target.store_dir().as_str()
        ));
    }
    // built only where there is a store to build in
    let build = from.is_none();
    let mut paths: BTreeSet<StorePath> = call.store_paths(build)?.into_iter().collect();
    if !call.given.has("no-recursive") {
        paths = source.compute_closure(&paths, ClosureOptions::default())?;
    }
    let check = !call.given.has("no-check-sigs") && call.common.settings.bool("require-sigs");
    let mut sorted = source.topo_sort(&paths)?;
    sorted.reverse();
    for path in sorted {
        if target.is_valid(&path)? {
            continue;
        }
        let info = source.path_info(&path)?;
        let trusted = !check
            || info.ultimate
            || info.is_content_addressed(source.store_dir())
            || call.common.trusts(&info, source.store_dir())?;
        if !trusted {
            return fail(format!(
                "cannot add path '{}' because it lacks a signature by a trusted key",
                source.store_dir().print(&path)
            ));
        }
        call.say(
            Level::Talkative,
            format!("copying path '{}'...", source.store_dir().print(&path)),
        );
        copy_one(&source, &target, &path)?;
    }
    Ok(())
}

/// Copies one path; its references are valid in the target.
pub fn copy_one(source: &AnyStore, target: &AnyStore, path: &StorePath) -> Outcome {
    let mut info = (*source.path_info(path)?).clone();
    // what was built elsewhere is only as trusted as its signatures
    info.ultimate = false;
    let (mut reader, mut writer) = std::io::pipe()?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || source.nar_from_path(path, &mut writer));
        let added = target.add_nar(&info, &mut reader, Repair::No);
        drop(reader);
        let sent = sender.join();
        added?;
        if let Ok(sent) = sent {
            sent?;
        }
        Ok(())
    })
}
