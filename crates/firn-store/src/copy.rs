//! Copying paths between any two stores: several at a time, each after those that it refers to.
//!
//! Used by `nix copy`, by substitution and by clients of daemons. Nothing here knows kinds of stores: what needs to be
//! checked is data in [`CopyOptions`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use firn_event::{Activity, ActivityKind, Field, Level, Logger, Report};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;
use parking_lot::{Condvar, Mutex};

use crate::closure::topo_sort_by;
use crate::error::{Error, Result};
use crate::store::{ClosureOptions, Repair, Store};
use crate::stream::queue;
use crate::trust::Trust;

/// How much of an archive is read at a time, in bytes.
const BUFFER: usize = 128 * 1024;
/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// How to copy.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// Whom the destination believes; not asked where the source is the destination's own substituter that is trusted.
    pub trust: Trust,
    /// Whether valid paths are copied again.
    pub repair: Repair,
    /// How many paths are copied at a time; 0 means twice the number of processors.
    pub jobs: usize,
    /// Where messages go.
    pub logger: Logger,
    /// The activity that this is part of, 0 for none.
    pub parent: u64,
    /// Set by whoever wants it to stop.
    pub cancel: Arc<AtomicBool>,
}

impl CopyOptions {
    /// Copies that believe whom `trust` says and report to `logger`.
    #[must_use]
    pub fn new(trust: Trust, logger: Logger) -> Self {
        Self { trust, repair: Repair::No, jobs: 0, logger, parent: 0, cancel: Arc::default() }
    }

    fn jobs(&self) -> usize {
        match self.jobs {
            // also where there are few processors: files are waited for, and hashing many streams is hardly more work than one
            0 => std::thread::available_parallelism().map_or(8, |n| 8.max(2 * n.get())),
            jobs => jobs,
        }
    }
}

/// Copies the closure of `paths`; gives each path of it with what it is called in the destination.
///
/// # Errors
/// If a path is not valid in the source, cannot be read there, or cannot be added to the destination.
pub fn copy_closure(
    source: &dyn Store,
    destination: &dyn Store,
    paths: &BTreeSet<StorePath>,
    options: &CopyOptions,
) -> Result<BTreeMap<StorePath, StorePath>> {
    let closure = source.compute_closure(paths, ClosureOptions::default())?;
    copy_paths(source, destination, &closure, options)
}

/// Copies `paths` and nothing else; gives each with what it is called in the destination.
///
/// # Errors
/// As [`copy_closure`].
pub fn copy_paths(
    source: &dyn Store,
    destination: &dyn Store,
    paths: &BTreeSet<StorePath>,
    options: &CopyOptions,
) -> Result<BTreeMap<StorePath, StorePath>> {
    let valid = match options.repair {
        Repair::No => destination.query_valid_paths(paths)?,
        Repair::Yes => BTreeSet::new(),
    };
    let mut infos = BTreeMap::new();
    let mut names: BTreeMap<StorePath, StorePath> =
        paths.iter().map(|path| (path.clone(), path.clone())).collect();
    let missing: BTreeSet<StorePath> = paths.difference(&valid).cloned().collect();
    let mut known = source.query_path_infos(&missing)?;
    for path in &missing {
        let info = match known.remove(path) {
            Some(info) => info,
            None => return Err(Error::InvalidPath { path: source.store_dir().print(path) }),
        };
        let there = info_at(destination, &info)?;
        names.insert(path.clone(), there.path.clone());
        infos.insert(path.clone(), there);
    }
    let all = options.logger.start(
        ActivityKind::CopyPaths,
        Level::Info,
        format!("copying {} paths", missing.len()),
        Vec::new(),
        options.parent,
    );
    let bytes: u64 = infos.values().map(|info| info.nar_size).sum();
    all.report(Report::SetExpected(ActivityKind::CopyPath, bytes));
    let expected = infos.len() as u64;
    let (done, running) = (AtomicU64::new(0), AtomicU64::new(0));
    let report = |failed: u64| {
        all.report(Report::Progress {
            done: done.load(Ordering::Relaxed),
            expected,
            running: running.load(Ordering::Relaxed),
            failed,
        });
    };
    report(0);
    if infos.len() > 1 && copy_in_one_go(source, destination, &infos, options, all.id())? {
        done.store(expected, Ordering::Relaxed);
        report(0);
        return Ok(names);
    }
    let copy = |path: &StorePath| {
        let Some(info) = infos.get(path) else { return Ok(()) };
        running.fetch_add(1, Ordering::Relaxed);
        report(0);
        let result = copy_one(source, destination, path, info, options, all.id());
        running.fetch_sub(1, Ordering::Relaxed);
        match &result {
            Ok(()) => {
                done.fetch_add(1, Ordering::Relaxed);
                report(0);
            }
            Err(_) => report(1),
        }
        result
    };
    in_order(&infos, options, copy)?;
    Ok(names)
}

/// Copies all in one request, to a destination for which that is quicker; whether it is one.
fn copy_in_one_go(
    source: &dyn Store,
    destination: &dyn Store,
    infos: &BTreeMap<StorePath, PathInfo>,
    options: &CopyOptions,
    parent: u64,
) -> Result<bool> {
    let paths: BTreeSet<StorePath> = infos.keys().cloned().collect();
    let none = BTreeSet::new();
    let order = topo_sort_by(&paths, |path| infos.get(path).map_or(&none, |i| &i.references));
    let order = order.map_err(|(path, parent)| Error::Cycle {
        path: source.store_dir().print(&path),
        parent: source.store_dir().print(&parent),
    })?;
    let mut sorted = Vec::with_capacity(infos.len());
    // what each is called in the source
    let mut from: BTreeMap<&StorePath, &StorePath> = BTreeMap::new();
    for path in order.iter().rev() {
        if let Some((path, info)) = infos.get_key_value(path) {
            options.trust.check(info, destination.store_dir())?;
            from.insert(&info.path, path);
            sorted.push(info.clone());
        }
    }
    let nars = |info: &PathInfo, sink: &mut dyn Write| {
        let path = from.get(&info.path).copied().unwrap_or(&info.path);
        let activity = begin(source, destination, path, options, parent);
        let mut sink = Watched::new(sink, &activity, info, options);
        source.nar_from_path(path, &mut sink)
    };
    destination.add_many(&sorted, &nars, options.repair)
}

/// Copies one path whose references are valid in the destination; nothing if it is valid there.
///
/// # Errors
/// As [`copy_closure`].
pub fn copy_path(
    source: &dyn Store,
    destination: &dyn Store,
    path: &StorePath,
    options: &CopyOptions,
) -> Result<()> {
    let info = info_at(destination, &*source.path_info(path)?)?;
    if options.repair == Repair::No && destination.is_valid(&info.path)? {
        return Ok(());
    }
    copy_one(source, destination, path, &info, options, options.parent)
}

/// What a path of another store is here: what has no references is called by its contents alone, so it may have
/// another name in a store with another folder.
fn info_at(destination: &dyn Store, info: &PathInfo) -> Result<PathInfo> {
    let mut there = info.clone();
    // what was built elsewhere is only as trusted as its signatures
    there.ultimate = false;
    if let Some(ca) = &info.ca
        && info.references.is_empty()
    {
        there.path = destination
            .store_dir()
            .make_fixed_output_path(info.path.name(), ca, &info.split_references())
            .map_err(Error::model)?;
    }
    Ok(there)
}

fn copy_one(
    source: &dyn Store,
    destination: &dyn Store,
    path: &StorePath,
    info: &PathInfo,
    options: &CopyOptions,
    parent: u64,
) -> Result<()> {
    options.trust.check(info, destination.store_dir())?;
    let activity = begin(source, destination, path, options, parent);
    if let Some(reader) = source.nar_reader(path)? {
        // archives are read in small pieces, streams are better read in large ones
        let watched = Watched::new(reader, &activity, info, options);
        let mut buffered = BufReader::with_capacity(BUFFER, watched);
        return destination.add_nar(info, &mut buffered, options.repair);
    }
    let (mut writer, reader) = queue();
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            source.nar_from_path(path, &mut writer)?;
            // a reader that has all it wants may be gone already
            let _ = writer.finish();
            Ok(())
        });
        let watched = Watched::new(reader, &activity, info, options);
        let mut buffered = BufReader::with_capacity(BUFFER, watched);
        let added = destination.add_nar(info, &mut buffered, options.repair);
        drop(buffered);
        let sent: Result<()> = sender
            .join()
            .unwrap_or_else(|_| Err(Error::Format(format!("reading '{}' failed", info.path))));
        match (added, sent) {
            // what the sender says is why the receiver failed, unless it failed because nobody listened
            (Err(_), Err(sent)) if sent.io_kind() != Some(std::io::ErrorKind::BrokenPipe) => {
                Err(sent)
            }
            (added, _) => added,
        }
    })
}

/// Says that a path is being copied.
fn begin(
    source: &dyn Store,
    destination: &dyn Store,
    path: &StorePath,
    options: &CopyOptions,
    parent: u64,
) -> Activity {
    let shown = source.store_dir().print(path);
    let (from, to) = (source.uri(), destination.uri());
    let text = match (is_here(&from), is_here(&to)) {
        (true, _) => format!("copying path '{shown}' to '{to}'"),
        (_, true) => format!("copying path '{shown}' from '{from}'"),
        _ => format!("copying path '{shown}' from '{from}' to '{to}'"),
    };
    let fields = vec![Field::Text(shown), Field::Text(from), Field::Text(to)];
    options.logger.start(ActivityKind::CopyPath, Level::Info, text, fields, parent)
}

/// Whether a store is the one that needs no name in messages.
fn is_here(uri: &str) -> bool {
    matches!(uri, "local" | "daemon" | "auto" | "unix://" | "local://")
}

/// Tells how much of a NAR has been read, and stops if the user wants that.
struct Watched<'a, R> {
    inner: R,
    activity: &'a Activity,
    total: u64,
    done: u64,
    reported: Instant,
    cancel: &'a AtomicBool,
}

impl<'a, R> Watched<'a, R> {
    fn new(inner: R, activity: &'a Activity, info: &PathInfo, options: &'a CopyOptions) -> Self {
        Self {
            inner,
            activity,
            total: info.nar_size,
            done: 0,
            reported: Instant::now(),
            cancel: &options.cancel,
        }
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("interrupted by the user"));
        }
        let got = self.inner.read(into)?;
        self.note(got);
        Ok(got)
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("interrupted by the user"));
        }
        let written = self.inner.write(data)?;
        self.note(written);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<T> Watched<'_, T> {
    fn note(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.reported.elapsed() >= PROGRESS_EVERY {
            self.activity.progress(self.done, self.total);
            self.reported = Instant::now();
        }
    }
}

impl<R> Drop for Watched<'_, R> {
    fn drop(&mut self) {
        self.activity.progress(self.done, self.total);
    }
}

/// Does `work` for every path, after it has been done for those that the path refers to. The first failure ends it.
fn in_order(
    infos: &BTreeMap<StorePath, PathInfo>,
    options: &CopyOptions,
    work: impl Fn(&StorePath) -> Result<()> + Sync,
) -> Result<()> {
    struct State<'a> {
        waiting: BTreeMap<&'a StorePath, usize>,
        ready: Vec<&'a StorePath>,
        left: usize,
        running: usize,
        failed: Option<Error>,
    }
    let mut referrers: BTreeMap<&StorePath, Vec<&StorePath>> = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    let mut ready = Vec::new();
    for (path, info) in infos {
        let needs: Vec<&StorePath> = info
            .references
            .iter()
            .filter(|r| *r != path)
            .filter_map(|r| infos.get_key_value(r).map(|(key, _)| key))
            .collect();
        if needs.is_empty() {
            ready.push(path);
        }
        waiting.insert(path, needs.len());
        for need in needs {
            referrers.entry(need).or_default().push(path);
        }
    }
    // popped from the end: large ones first, so that none is alone at the end
    ready.sort_by_key(|path| infos.get(*path).map_or(0, |i| i.nar_size));
    let jobs = options.jobs().min(infos.len());
    let state = Mutex::new(State { waiting, ready, left: infos.len(), running: 0, failed: None });
    let changed = Condvar::new();
    let worker = || {
        loop {
            let path = {
                let mut state = state.lock();
                loop {
                    if options.cancel.load(Ordering::Relaxed) && state.failed.is_none() {
                        state.failed = Some(Error::Usage("interrupted by the user".to_owned()));
                    }
                    if state.left == 0 || state.failed.is_some() {
                        changed.notify_all();
                        return;
                    }
                    if let Some(path) = state.ready.pop() {
                        state.running += 1;
                        break path;
                    }
                    if state.running == 0 {
                        // nothing runs and nothing can: references that lead back
                        state.failed = Some(Error::Format(
                            "the references of the paths to copy form a cycle".to_owned(),
                        ));
                        continue;
                    }
                    changed.wait_for(&mut state, Duration::from_millis(100));
                }
            };
            let result = work(path);
            let mut state = state.lock();
            state.running -= 1;
            match result {
                Ok(()) => {
                    state.left -= 1;
                    for referrer in referrers.get(path).into_iter().flatten() {
                        let free = match state.waiting.get_mut(referrer) {
                            Some(count) => {
                                *count -= 1;
                                *count == 0
                            }
                            None => false,
                        };
                        if free {
                            state.ready.push(referrer);
                        }
                    }
                }
                Err(error) => {
                    state.failed.get_or_insert(error);
                }
            }
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
    });
    match state.into_inner().failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::StoreLayout;
    use crate::{LocalStore, StoreOptions};

    fn store(dir: &tempfile::TempDir, name: &str) -> LocalStore {
        let layout = StoreLayout::in_root(&dir.path().join(name));
        LocalStore::open(layout, StoreOptions::default()).unwrap()
    }

    #[test]
    fn a_closure_arrives_whole_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (store(&dir, "from"), store(&dir, "to"));
        let mut paths = BTreeSet::new();
        for n in 0..40 {
            let references: BTreeSet<StorePath> = paths.iter().rev().take(3).cloned().collect();
            let text = format!("{n} {references:?}");
            paths.insert(
                from.add_text(&format!("p{n}"), text.as_bytes(), &references, Repair::No).unwrap(),
            );
        }
        let options = CopyOptions::new(Trust::Nobody, Logger::silent());
        let names = copy_closure(&from, &to, &paths, &options).unwrap();
        assert_eq!(names.keys().cloned().collect::<BTreeSet<_>>(), paths);
        assert_eq!(to.query_all_valid_paths().unwrap(), paths);
        for path in &paths {
            assert_eq!(
                to.path_info(path).unwrap().references,
                from.path_info(path).unwrap().references
            );
        }
        copy_closure(&from, &to, &paths, &options).unwrap();
    }

    #[test]
    fn what_nobody_vouches_for_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (store(&dir, "from"), store(&dir, "to"));
        let text = from.add_text("x", b"x", &BTreeSet::new(), Repair::No).unwrap();
        // the same contents under a name that does not follow from them
        let mut info = (*from.path_info(&text).unwrap()).clone();
        info.path = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-x").unwrap();
        info.ca = None;
        info.ultimate = true;
        let mut nar = Vec::new();
        from.nar_from_path(&text, &mut nar).unwrap();
        from.add_nar(&info, &mut &nar[..], Repair::No).unwrap();
        let options = CopyOptions::new(Trust::Nobody, Logger::silent());
        let error = copy_path(&from, &to, &info.path, &options).unwrap_err();
        assert!(error.to_string().contains("because it lacks a signature by a trusted key"));
        let options = CopyOptions::new(Trust::Everybody, Logger::silent());
        copy_path(&from, &to, &info.path, &options).unwrap();
        assert!(!to.path_info(&info.path).unwrap().ultimate);
    }

    #[test]
    fn contents_that_changed_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (store(&dir, "from"), store(&dir, "to"));
        let path = from.add_text("x", b"x", &BTreeSet::new(), Repair::No).unwrap();
        let file = from.real_path(&path);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "y").unwrap();
        let options = CopyOptions::new(Trust::Nobody, Logger::silent());
        let error = copy_path(&from, &to, &path, &options).unwrap_err().to_string();
        assert!(error.contains("hash mismatch importing path"), "{error}");
        assert!(!to.is_valid(&path).unwrap());
    }
}
