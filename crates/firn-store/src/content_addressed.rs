//! Rewriting a closure so that all its paths are content-addressed (`nix store make-content-addressed`,
//! `builtins.fetchClosure`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use firn_event::{Level, Logger};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::path_info::PathInfo;
use firn_model::store_path::{References, StorePath};

use crate::error::{Error, Result};
use crate::rewrite::{HashModulo, Rewriter};
use crate::store::{ClosureOptions, Repair, Store};

/// Adds the closure of `paths` in `source` to `destination` in a form in which every path follows from its contents;
/// gives what each path became.
///
/// # Errors
/// If a path cannot be read or added.
pub fn make_content_addressed(
    source: &dyn Store,
    destination: &dyn Store,
    paths: &BTreeSet<StorePath>,
    logger: &Logger,
) -> Result<BTreeMap<StorePath, StorePath>> {
    let closure = source.compute_closure(paths, ClosureOptions::default())?;
    let mut sorted = source.topo_sort(&closure)?;
    sorted.reverse();
    let mut became: BTreeMap<StorePath, StorePath> = BTreeMap::new();
    let (from_dir, to_dir) = (source.store_dir(), destination.store_dir());
    for path in sorted {
        let old = source.path_info(&path)?;
        let mut references = References::default();
        let mut rewrites = Vec::new();
        for reference in &old.references {
            if *reference == path {
                references.self_reference = true;
                continue;
            }
            let new = became.get(reference).unwrap_or(reference);
            if new != reference {
                rewrites
                    .push((from_dir.print(reference).into_bytes(), to_dir.print(new).into_bytes()));
            }
            references.paths.insert(new.clone());
        }
        let failed = Error::stream("rewriting a NAR");
        let mut rewriter = Rewriter::new(rewrites, Vec::new());
        source.nar_from_path(&path, &mut rewriter)?;
        let (nar, _) = rewriter.finish().map_err(failed)?;
        let mut modulo = HashModulo::new(HashAlgo::Sha256, path.hash_part());
        modulo.write_all(&nar).map_err(Error::stream("hashing a NAR"))?;
        let address = ContentAddress { method: Method::Nar, hash: modulo.finish().0 };
        let new = to_dir
            .make_fixed_output_path(path.name(), &address, &references)
            .map_err(Error::model)?;
        logger.message(
            Level::Info,
            format!("rewriting '{}' to '{}'", from_dir.print(&path), to_dir.print(&new)),
        );
        let own = (path.hash_part().as_bytes().to_vec(), new.hash_part().as_bytes().to_vec());
        let mut rewriter = Rewriter::new([own], Vec::with_capacity(nar.len()));
        rewriter.write_all(&nar).map_err(Error::stream("rewriting a NAR"))?;
        let (nar, size) = rewriter.finish().map_err(Error::stream("rewriting a NAR"))?;
        let mut info = PathInfo::new(new.clone(), Hash::digest(HashAlgo::Sha256, &nar), size);
        info.references = references.paths;
        if references.self_reference {
            info.references.insert(new.clone());
        }
        info.ca = Some(address);
        destination.add_nar(&info, &mut &nar[..], Repair::No)?;
        became.insert(path, new);
    }
    Ok(became)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::StoreLayout;
    use crate::{LocalStore, StoreOptions};

    /// Adds a file that refers to `other` and to itself under a name that does not follow from that.
    fn add(store: &LocalStore, digit: char, other: Option<&StorePath>) -> StorePath {
        let name = format!("{}-p", digit.to_string().repeat(32));
        let path = StorePath::from_base_name(&name).unwrap();
        let dir = store.store_dir();
        let mut text = format!("me: {}\n", dir.print(&path));
        if let Some(other) = other {
            text.push_str(&dir.print(other));
        }
        let mut nar = Vec::new();
        firn_model::nar::NarWriter::new(&mut nar)
            .unwrap()
            .file(false, text.len() as u64, &mut text.as_bytes())
            .unwrap();
        let mut info =
            PathInfo::new(path.clone(), Hash::digest(HashAlgo::Sha256, &nar), nar.len() as u64);
        info.references.insert(path.clone());
        info.references.extend(other.cloned());
        store.add_nar(&info, &mut &nar[..], Repair::No).unwrap();
        path
    }

    #[test]
    fn a_closure_is_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        let layout = StoreLayout::in_root(dir.path());
        let store = LocalStore::open(layout, StoreOptions::default()).unwrap();
        let a = add(&store, 'a', None);
        let b = add(&store, 'b', Some(&a));
        let became =
            make_content_addressed(&store, &store, &[b.clone()].into(), &Logger::silent()).unwrap();
        let (new_a, new_b) = (&became[&a], &became[&b]);
        let info = store.path_info(new_b).unwrap();
        assert_eq!(info.references, BTreeSet::from([new_a.clone(), new_b.clone()]));
        assert!(info.is_content_addressed(store.store_dir()));
        let text = std::fs::read_to_string(store.real_path(new_b)).unwrap();
        assert!(text.contains(new_a.hash_part()) && text.contains(new_b.hash_part()));
        assert!(!text.contains(a.hash_part()) && !text.contains(b.hash_part()));
        // what is content-addressed already stays as it is
        let again =
            make_content_addressed(&store, &store, &[new_b.clone()].into(), &Logger::silent())
                .unwrap();
        assert_eq!(again[new_b], *new_b);
    }
}
