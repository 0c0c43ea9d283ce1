//! `--gc`, `--delete`, `--optimise`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use firn_event::Level;
use firn_store::local::gc::{Action, GcOptions, GcResults, render_size};

use super::Call;
use crate::common::legacy::{Outcome, usage};
use crate::common::store::AnyStore;
use crate::common::store_paths::follow_links;

pub fn gc(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let mut options = GcOptions::default();
    let mut print_roots = false;
    let mut flags = call.flags.iter();
    while let Some(flag) = flags.next() {
        match flag.as_str() {
            "--print-roots" => print_roots = true,
            "--print-live" => options.action = Action::ReturnLive,
            "--print-dead" => options.action = Action::ReturnDead,
            "--max-freed" => {
                options.max_freed = Some(max_freed(flags.next().map_or("", String::as_str))?);
            }
            _ => return usage(format!("bad sub-operation '{flag}' in GC")),
        }
    }
    call.no_arguments()?;
    let deletes = options.action == Action::DeleteDead;
    if options.max_freed.is_some() && (!deletes || print_roots) {
        return usage(
            "option --max-freed cannot be combined with --print-live, --print-dead, or --print-roots",
        );
    }
    if print_roots {
        let mut lines: BTreeSet<(PathBuf, String)> = BTreeSet::new();
        for (path, links) in store.find_roots()? {
            for link in links {
                lines.insert((link.into(), store.store_dir().print(&path)));
            }
        }
        for (link, path) in lines {
            writeln!(call.out, "{link:?} -> {path}")?;
        }
        return Ok(());
    }
    let mut results = GcResults::default();
    let outcome = store.collect_garbage_into(&options, &mut results);
    if deletes {
        print_freed(call.out, &results)?;
    } else {
        for path in &results.paths {
            writeln!(call.out, "{path}")?;
        }
    }
    Ok(outcome?)
}

/// The argument of `--max-freed`; negative is 0.
pub fn max_freed(text: &str) -> Outcome<u64> {
    if let Some(digits) = text.strip_prefix('-')
        && digits.starts_with(|c: char| c.is_ascii_digit())
    {
        return Ok(0);
    }
    Ok(firn_store::settings::parse_number(text)?)
}

/// Says what a collection has deleted.
pub fn print_freed(out: &mut dyn Write, results: &GcResults) -> Outcome {
    let freed = i64::try_from(results.bytes_freed).unwrap_or(i64::MAX);
    let count = results.paths.len();
    Ok(writeln!(out, "{count} store paths deleted, {} freed", render_size(freed))?)
}

pub fn delete(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let mut ignore_liveness = false;
    for flag in &call.flags {
        match flag.as_str() {
            "--ignore-liveness" => ignore_liveness = true,
            _ => return usage(format!("unknown flag '{flag}'")),
        }
    }
    let mut paths = BTreeSet::new();
    for arg in &call.args {
        paths.insert(follow_links(store, arg)?);
    }
    let options =
        GcOptions { action: Action::DeleteSpecific(paths), ignore_liveness, max_freed: None };
    let mut results = GcResults::default();
    let outcome = store.collect_garbage_into(&options, &mut results);
    print_freed(call.out, &results)?;
    Ok(outcome?)
}

pub fn optimise(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    if !call.args.is_empty() || !call.flags.is_empty() {
        return usage("no arguments expected");
    }
    let stats = store.optimise()?;
    call.common.logger().message(
        Level::Info,
        format!(
            "{} freed by hard-linking {} files",
            render_size(i64::try_from(stats.bytes_freed).unwrap_or(i64::MAX)),
            stats.files_linked
        ),
    );
    Ok(())
}
