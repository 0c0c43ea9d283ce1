//! Writes a finished tree to a folder that did not exist, with several threads.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::tree::{Node, Tree};

/// Writes the tree; `root` must not exist. A tree whose root is a single file cannot be had.
pub(crate) fn write(tree: &Tree, root: &Path, threads: usize) -> Result<()> {
    std::fs::create_dir(root).map_err(Error::io("create the output", root))?;
    let mut leaves = Vec::new();
    for (path, node) in tree.iter() {
        match node {
            Node::Folder => {
                let folder = root.join(path);
                std::fs::create_dir(&folder).map_err(Error::io("create", folder.clone()))?;
            }
            _ => leaves.push((path, node)),
        }
    }
    for_each(&leaves, threads, |(path, node)| {
        let path = root.join(path);
        match node {
            Node::File { data, executable } => std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(if *executable { 0o755 } else { 0o644 })
                .open(&path)
                .and_then(|mut file| file.write_all(data))
                .map_err(Error::io("write", path.clone())),
            Node::Link(target) => {
                symlink(target, &path).map_err(Error::io("create the link", path.clone()))
            }
            Node::Folder => Ok(()),
        }
    })
}

/// Calls `work` for each item, on up to `threads` threads; the error of the first item in order.
pub(crate) fn for_each<T: Sync>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    map(items, threads, work).into_iter().collect()
}

/// The results of `work` for each item, in the items' order, found on up to `threads` threads.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let threads = threads.clamp(1, items.len().max(1));
    let mut results: Vec<(usize, R)> = if threads == 1 {
        run()
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            workers
                .into_iter()
                .flat_map(|worker| match worker.join() {
                    Ok(done) => done,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        })
    };
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
