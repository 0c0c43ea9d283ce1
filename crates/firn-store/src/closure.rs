//! Closures and topological order over any store's references.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use firn_model::store_path::StorePath;

use crate::error::{Error, Result};
use crate::store::{ClosureOptions, Store};

/// The paths reachable from `start`, which includes it; what [`Store::compute_closure`] does unless a store does better.
///
/// # Errors
/// [`Error::InvalidPath`] if a path on the way is not valid (only where references are followed).
pub fn compute_closure<S: Store + ?Sized>(
    store: &S,
    start: &BTreeSet<StorePath>,
    options: ClosureOptions,
) -> Result<BTreeSet<StorePath>> {
    let mut done: BTreeSet<StorePath> = BTreeSet::new();
    let mut todo: Vec<StorePath> = start.iter().cloned().collect();
    while let Some(path) = todo.pop() {
        if !done.insert(path.clone()) {
            continue;
        }
        let mut next = |p: StorePath| {
            if !done.contains(&p) {
                todo.push(p);
            }
        };
        if options.flip {
            store.query_referrers(&path)?.into_iter().for_each(&mut next);
            if options.include_outputs {
                store.query_valid_derivers(&path)?.into_iter().for_each(&mut next);
            }
            if options.include_derivers {
                valid_outputs(store, &path)?.into_iter().for_each(&mut next);
            }
            continue;
        }
        let info = store.path_info(&path)?;
        info.references.iter().cloned().for_each(&mut next);
        if options.include_derivers
            && let Some(deriver) = &info.deriver
            && store.is_valid(deriver)?
        {
            next(deriver.clone());
        }
        if options.include_outputs {
            valid_outputs(store, &path)?.into_iter().for_each(&mut next);
        }
    }
    Ok(done)
}

fn valid_outputs<S: Store + ?Sized>(store: &S, drv: &StorePath) -> Result<Vec<StorePath>> {
    if !drv.is_derivation() || !store.is_valid(drv)? {
        return Ok(Vec::new());
    }
    let mut valid = Vec::new();
    for output in store.query_derivation_outputs(drv)?.into_values().flatten() {
        if store.is_valid(&output)? {
            valid.push(output);
        }
    }
    Ok(valid)
}

/// `paths` in topological order: a path before those that it refers to.
pub(crate) fn topo_sort<S: Store + ?Sized>(
    store: &S,
    paths: &BTreeSet<StorePath>,
) -> Result<Vec<StorePath>> {
    let mut references = HashMap::new();
    for path in paths {
        if let Some(info) = store.query_path_info(path)? {
            references.insert(path, info);
        }
    }
    let none = BTreeSet::new();
    topo_sort_by(paths, |p| references.get(p).map_or(&none, |i| &i.references)).map_err(
        |(path, parent)| Error::Cycle {
            path: store.store_dir().print(&path),
            parent: store.store_dir().print(&parent),
        },
    )
}

/// Sorts `items` so that each comes before its `children`; a cycle is told by an item and the one
/// that leads back to it. Self-references and children outside `items` do not count.
///
/// The order among items that do not depend on each other is that of C++ Nix: depth first from the
/// smallest, reversed.
pub(crate) fn topo_sort_by<'a>(
    items: &'a BTreeSet<StorePath>,
    children: impl Fn(&StorePath) -> &'a BTreeSet<StorePath>,
) -> Result<Vec<StorePath>, (StorePath, StorePath)> {
    #[derive(PartialEq, Clone, Copy)]
    enum State {
        Open,
        Done,
    }
    let mut state: BTreeMap<&StorePath, State> = BTreeMap::new();
    let mut sorted: Vec<StorePath> = Vec::with_capacity(items.len());
    for item in items {
        if state.contains_key(item) {
            continue;
        }
        state.insert(item, State::Open);
        let mut stack = vec![(item, children(item).iter())];
        while let Some((path, rest)) = stack.last_mut() {
            let path = *path;
            match rest.next() {
                Some(child) => {
                    let Some(child) = items.get(child).filter(|c| *c != path) else { continue };
                    match state.get(child) {
                        None => {
                            state.insert(child, State::Open);
                            stack.push((child, children(child).iter()));
                        }
                        Some(State::Open) => return Err((child.clone(), path.clone())),
                        Some(State::Done) => {}
                    }
                }
                None => {
                    state.insert(path, State::Done);
                    sorted.push(path.clone());
                    stack.pop();
                }
            }
        }
    }
    sorted.reverse();
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(c: char) -> StorePath {
        StorePath::from_base_name(&format!("{}-{c}", c.to_string().repeat(32))).unwrap()
    }

    fn sorted(edges: &[(char, &str)]) -> Result<String, (StorePath, StorePath)> {
        let graph: BTreeMap<StorePath, BTreeSet<StorePath>> =
            edges.iter().map(|(a, b)| (path(*a), b.chars().map(path).collect())).collect();
        let items: BTreeSet<StorePath> = graph.keys().cloned().collect();
        let none = BTreeSet::new();
        // the graph must outlive the closure's result
        let order = topo_sort_by(&items, |p| graph.get(p).map_or(same(&none), |r| same(r)))?;
        Ok(order.iter().map(|p| p.name().to_owned()).collect())
    }

    // the same lifetime for both
    fn same(set: &BTreeSet<StorePath>) -> &BTreeSet<StorePath> {
        set
    }

    #[test]
    fn referrers_come_first() {
        assert_eq!(sorted(&[('a', "b"), ('b', "c"), ('c', "")]).unwrap(), "abc");
        assert_eq!(sorted(&[('a', ""), ('b', "a"), ('c', "a")]).unwrap(), "cba");
        assert_eq!(sorted(&[('a', "a"), ('b', "xyz")]).unwrap(), "ba");
    }

    #[test]
    fn cycles_are_told() {
        let (at, from) = sorted(&[('a', "b"), ('b', "c"), ('c', "b")]).unwrap_err();
        assert_eq!((at.name(), from.name()), ("b", "c"));
    }
}
