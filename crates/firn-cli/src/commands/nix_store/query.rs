//! `--query`, `--print-env`, `--read-log`.

use std::collections::BTreeSet;

use firn_model::store_path::StorePath;
use firn_store::ClosureOptions;

use super::{Call, graph, realise};
use crate::commands::nix::log::find_log;
use crate::common::legacy::{Outcome, fail, usage};
use crate::common::store::AnyStore;
use crate::common::store_paths::{follow_links, parse};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Query {
    Outputs,
    Requisites,
    References,
    Referrers,
    ReferrersClosure,
    Deriver,
    ValidDerivers,
    Binding,
    Hash,
    Size,
    Tree,
    Graph,
    GraphMl,
    Resolve,
    Roots,
}

struct Asked {
    query: Query,
    use_output: bool,
    include_outputs: bool,
    force_realise: bool,
    binding: String,
}

fn asked(call: &mut Call<'_>) -> Outcome<Asked> {
    let mut query: Option<Query> = None;
    let mut asked = Asked {
        query: Query::Outputs,
        use_output: false,
        include_outputs: false,
        force_realise: false,
        binding: String::new(),
    };
    for flag in &call.flags {
        let found = match flag.as_str() {
            "--outputs" => Query::Outputs,
            "--requisites" | "-R" => Query::Requisites,
            "--references" => Query::References,
            "--referrers" | "--referers" => Query::Referrers,
            "--referrers-closure" | "--referers-closure" => Query::ReferrersClosure,
            "--deriver" | "-d" => Query::Deriver,
            "--valid-derivers" => Query::ValidDerivers,
            "--binding" | "-b" => {
                if call.args.is_empty() {
                    return usage("expected binding name");
                }
                asked.binding = call.args.remove(0);
                Query::Binding
            }
            "--hash" => Query::Hash,
            "--size" => Query::Size,
            "--tree" => Query::Tree,
            "--graph" => Query::Graph,
            "--graphml" => Query::GraphMl,
            "--resolve" => Query::Resolve,
            "--roots" => Query::Roots,
            "--use-output" | "-u" => {
                asked.use_output = true;
                continue;
            }
            "--force-realise" | "--force-realize" | "-f" => {
                asked.force_realise = true;
                continue;
            }
            "--include-outputs" => {
                asked.include_outputs = true;
                continue;
            }
            _ => return usage(format!("unknown flag '{flag}'")),
        };
        if query.is_some_and(|q| q != found) {
            return usage(format!("query type '{flag}' conflicts with earlier flag"));
        }
        query = Some(found);
    }
    asked.query = query.unwrap_or(Query::Outputs);
    Ok(asked)
}

pub fn query(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let asked = asked(call)?;
    let print = |p: &StorePath| store.store_dir().print(p);
    let args = std::mem::take(&mut call.args);
    let selected = |call: &mut Call<'_>, use_output| -> Outcome<Vec<BTreeSet<StorePath>>> {
        args.iter()
            .map(|a| {
                let path = follow_links(store, a)?;
                outputs_or_self(store, call, path, use_output, asked.force_realise)
            })
            .collect()
    };
    match asked.query {
        Query::Outputs => {
            for paths in selected(call, true)? {
                for path in paths {
                    writeln!(call.out, "{}", print(&path))?;
                }
            }
        }
        Query::Requisites | Query::References | Query::Referrers | Query::ReferrersClosure => {
            let mut all = BTreeSet::new();
            for path in selected(call, asked.use_output)?.into_iter().flatten() {
                all.extend(related(store, &path, &asked)?);
            }
            print_sorted(store, call, &all)?;
        }
        Query::Deriver => {
            for arg in &args {
                let info = store.path_info(&follow_links(store, arg)?)?;
                let deriver = info.deriver.as_ref().map_or("unknown-deriver".to_owned(), print);
                writeln!(call.out, "{deriver}")?;
            }
        }
        Query::ValidDerivers => {
            let mut all = BTreeSet::new();
            for arg in &args {
                all.extend(store.query_valid_derivers(&follow_links(store, arg)?)?);
            }
            print_sorted(store, call, &all)?;
        }
        Query::Binding => {
            for arg in &args {
                print_binding(store, call, arg, &asked.binding)?;
            }
        }
        Query::Hash | Query::Size => {
            for path in selected(call, asked.use_output)?.into_iter().flatten() {
                let info = store.path_info(&path)?;
                if asked.query == Query::Hash {
                    writeln!(call.out, "{}", info.nar_hash)?;
                } else {
                    writeln!(call.out, "{}", info.nar_size)?;
                }
            }
        }
        Query::Tree => {
            let mut done = BTreeSet::new();
            for arg in &args {
                graph::tree(store, &follow_links(store, arg)?, &mut done, call.out)?;
            }
        }
        Query::Graph | Query::GraphMl => {
            let roots = selected(call, asked.use_output)?.into_iter().flatten().collect();
            if asked.query == Query::Graph {
                graph::dot(store, roots, call.out)?;
            } else {
                graph::graphml(store, roots, call.out)?;
            }
        }
        Query::Resolve => {
            for arg in &args {
                writeln!(call.out, "{}", print(&follow_links(store, arg)?))?;
            }
        }
        Query::Roots => {
            let start = selected(call, asked.use_output)?.into_iter().flatten().collect();
            let options = ClosureOptions {
                flip: true,
                include_outputs: call.common.settings.bool("keep-outputs"),
                include_derivers: call.common.settings.bool("keep-derivations"),
            };
            let referrers = store.compute_closure(&start, options)?;
            for (path, links) in store.find_roots()? {
                if referrers.contains(&path) {
                    for link in links {
                        writeln!(call.out, "{link} -> {}", print(&path))?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn related(store: &AnyStore, path: &StorePath, asked: &Asked) -> Outcome<BTreeSet<StorePath>> {
    let start = || [path.clone()].into();
    Ok(match asked.query {
        Query::Requisites => store.compute_closure(
            &start(),
            ClosureOptions { include_outputs: asked.include_outputs, ..Default::default() },
        )?,
        Query::References => store.path_info(path)?.references.clone(),
        Query::Referrers => store.query_referrers(path)?,
        _ => {
            // a path that is not valid has no referrers, but is an error as it is elsewhere
            store.path_info(path)?;
            store.compute_closure(&start(), ClosureOptions { flip: true, ..Default::default() })?
        }
    })
}

fn print_sorted(store: &AnyStore, call: &mut Call<'_>, paths: &BTreeSet<StorePath>) -> Outcome {
    for path in store.topo_sort(paths)?.iter().rev() {
        writeln!(call.out, "{}", store.store_dir().print(path))?;
    }
    Ok(())
}

/// The outputs of a derivation if they are asked for, else the path itself.
fn outputs_or_self(
    store: &AnyStore,
    call: &mut Call<'_>,
    path: StorePath,
    use_output: bool,
    force_realise: bool,
) -> Outcome<BTreeSet<StorePath>> {
    if force_realise {
        realise::build(store, call.common, &[(path.clone(), Vec::new())])?;
    }
    if !use_output || !path.is_derivation() {
        return Ok([path].into());
    }
    if force_realise {
        return Ok(store.query_derivation_outputs(&path)?.into_values().flatten().collect());
    }
    let drv = store.read_derivation(&path)?;
    let outputs = drv.output_paths(store.store_dir());
    let outputs = outputs.map_err(|e| crate::common::legacy::Failure::Message(e.to_string()))?;
    if outputs.values().any(Option::is_none) {
        return usage(
            "Cannot use output path of floating content-addressing derivation until we know what it is (e.g. by building it)",
        );
    }
    Ok(outputs.into_values().flatten().collect())
}

fn print_binding(store: &AnyStore, call: &mut Call<'_>, arg: &str, name: &str) -> Outcome {
    let path = follow_links(store, arg)?;
    let drv_path = if path.is_derivation() {
        path
    } else {
        match &store.path_info(&path)?.deriver {
            Some(deriver) => deriver.clone(),
            None => {
                return fail(format!(
                    "deriver of path '{}' is not known",
                    store.store_dir().print(&path)
                ));
            }
        }
    };
    let drv = store.read_derivation(&drv_path)?;
    let Some(value) = drv.env.get(bstr::BStr::new(name)) else {
        return fail(format!(
            "derivation '{}' has no environment binding named '{name}'",
            store.store_dir().print(&drv_path)
        ));
    };
    call.out.write_all(value)?;
    Ok(writeln!(call.out)?)
}

pub fn print_env(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    let [arg] = &call.args[..] else {
        return usage("'--print-env' requires one derivation store path");
    };
    let drv = store.read_derivation(&parse(store, arg)?)?;
    for (name, value) in &drv.env {
        call.out.write_all(b"export ")?;
        call.out.write_all(name)?;
        call.out.write_all(b"; ")?;
        call.out.write_all(name)?;
        call.out.write_all(b"=")?;
        call.out.write_all(&shell_quote(value))?;
        // two line ends, as scripts that read this may expect
        call.out.write_all(b"\n\n")?;
    }
    let args = bstr::join(" ", &drv.args);
    call.out.write_all(b"export _args; _args=")?;
    call.out.write_all(&shell_quote(&args))?;
    Ok(writeln!(call.out)?)
}

fn shell_quote(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'\''];
    for b in text {
        if *b == b'\'' {
            out.extend(b"'\\''");
        } else {
            out.push(*b);
        }
    }
    out.push(b'\'');
    out
}

pub fn read_log(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    for arg in &call.args {
        let path = follow_links(store, arg)?;
        let drv = if path.is_derivation() {
            Some(path.clone())
        } else {
            store.query_path_info(&path)?.and_then(|i| i.deriver.clone())
        };
        let log = match drv {
            Some(drv) => find_log(call.common, store, &drv)?,
            None => None,
        };
        match log {
            Some(log) => call.out.write_all(&log)?,
            None => {
                return fail(format!(
                    "build log of derivation '{}' is not available",
                    store.store_dir().print(&path)
                ));
            }
        }
    }
    Ok(())
}
