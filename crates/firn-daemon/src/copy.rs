//! Copying paths from one store to another.

use std::collections::BTreeSet;
use std::io::{BufReader, BufWriter, Read, Write};

use firn_event::{ActivityKind, Field, Level, Logger};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;
use firn_store::{Repair, Store};

use crate::error::{Error, Result};
use crate::managed::ManagedStore;

/// Runs `write` and `read` at the same time, one at each end of a pipe. If both fail, the reader's error is the one
/// that is told, unless it says no more than that the stream was cut.
///
/// # Errors
/// If one of them fails.
pub fn pipe(
    write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    read: impl FnOnce(&mut (dyn Read + Send)) -> Result<()>,
) -> Result<()> {
    let (reader, writer) = std::io::pipe().map_err(Error::io("making a pipe"))?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let mut sink = BufWriter::with_capacity(256 * 1024, writer);
            write(&mut sink)?;
            sink.flush().map_err(Error::io("writing to a pipe"))
        });
        let mut source = BufReader::with_capacity(256 * 1024, reader);
        let done = read(&mut source);
        drop(source);
        let wrote = writing
            .join()
            .unwrap_or_else(|_| Err(Error::Refused("a bug stopped the copying".into())));
        match (done, wrote) {
            (Ok(()), Err(e)) if is_broken_pipe(&e) => Ok(()),
            (Ok(()), wrote) => wrote,
            (Err(_), Err(e)) if !is_broken_pipe(&e) => Err(e),
            (Err(e), _) => Err(e),
        }
    })
}

/// Whether the error says only that the reader stopped early.
fn is_broken_pipe(error: &Error) -> bool {
    let kind = match error {
        Error::Io { source, .. } => Some(source.kind()),
        Error::Store(error) => error.io_kind(),
        _ => None,
    };
    kind == Some(std::io::ErrorKind::BrokenPipe)
        || error.to_string().to_ascii_lowercase().contains("broken pipe")
}

/// How to copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    /// Replace contents that are there.
    pub repair: Repair,
    /// Demand signatures.
    pub check: bool,
    /// Let the target fetch what it can from elsewhere first.
    pub substitute: bool,
}

/// Copies those of `paths` that the target does not have, each after what it refers to. What they refer to must be
/// among them or in the target.
///
/// # Errors
/// If a path is not valid in the source, or the target does not take it.
pub fn copy_paths(
    from: &dyn Store,
    to: &dyn ManagedStore,
    paths: &BTreeSet<StorePath>,
    options: CopyOptions,
    logger: &Logger,
) -> Result<()> {
    let valid = to.query_valid(paths, options.substitute)?;
    let missing: BTreeSet<StorePath> = paths.difference(&valid).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut sorted = from.topo_sort(&missing)?;
    sorted.reverse();
    let activity = logger.start(
        ActivityKind::CopyPaths,
        Level::Info,
        format!("copying {} paths...", sorted.len()),
        vec![],
        0,
    );
    let infos = sorted
        .iter()
        .map(|path| {
            // what was built elsewhere is only as trusted as its signatures
            Ok(PathInfo { ultimate: false, ..(*from.path_info(path)?).clone() })
        })
        .collect::<firn_store::Result<Vec<_>>>()?;
    let parent = activity.id();
    let nars = |info: &PathInfo, sink: &mut dyn Write| {
        let shown = from.store_dir().print(&info.path);
        let _copying = logger.start(
            ActivityKind::CopyPath,
            Level::Info,
            format!("copying path '{shown}'"),
            vec![Field::Text(shown), Field::Text(from.uri()), Field::Text(to.store().uri())],
            parent,
        );
        from.nar_from_path(&info.path, sink)
    };
    to.add_multiple(&infos, &nars, options.repair, options.check)
}
