//! The garbage collector.
//!
//! Reads the whole graph at once, marks what roots reach, and deletes the rest, referrers first, so
//! that at any moment the closure of every valid path is valid. A path becomes invalid before its
//! files go: whenever the collector is stopped, what is left is either valid and whole or garbage. Files are deleted by
//! threads of their own while the next paths become invalid.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use firn_event::Level;
use firn_model::store_path::StorePath;
use parking_lot::Mutex;

use super::LocalStore;
use super::gc_server::{Server, Shared};
use crate::error::{Error, Result};
use crate::fs::lock::{FileLock, LockKind};
use crate::fs::{delete_beneath, delete_path, dir};

/// What the collector is to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Action {
    /// Tell what is alive.
    ReturnLive,
    /// Tell what is dead.
    ReturnDead,
    /// Delete what is dead.
    #[default]
    DeleteDead,
    /// Delete these paths, if they are dead.
    DeleteSpecific(BTreeSet<StorePath>),
}

/// How the collector works.
#[derive(Debug, Clone, Default)]
pub struct GcOptions {
    /// What to do.
    pub action: Action,
    /// Take no notice of roots (but of referrers, and of temporary roots).
    pub ignore_liveness: bool,
    /// Stop after this many bytes were freed.
    pub max_freed: Option<u64>,
}

/// What the collector found or did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcResults {
    /// Printed paths: the live, the dead or the deleted ones.
    pub paths: BTreeSet<String>,
    /// Bytes that were freed.
    pub bytes_freed: u64,
}

/// How many paths are made invalid in one transaction. Who wants one of them meanwhile waits until they are gone.
const BATCH: usize = 1024;
/// How many paths a thread deletes before it asks for more.
const CHUNK: usize = 32;
/// How many threads delete files at most.
const MAX_THREADS: usize = 4;

impl LocalStore {
    /// Collects garbage.
    ///
    /// # Errors
    /// If roots cannot be read or something cannot be deleted; what was deleted before is told to the
    /// log only.
    pub fn collect_garbage(&self, options: &GcOptions) -> Result<GcResults> {
        let mut results = GcResults::default();
        self.collect_garbage_into(options, &mut results)?;
        Ok(results)
    }

    /// Collects garbage if less space is free than the options ask for. Looks rarely.
    ///
    /// # Errors
    /// As [`LocalStore::collect_garbage`].
    pub fn collect_if_space_is_short(&self) -> Result<()> {
        let options = &self.options;
        if options.min_free == 0 {
            return Ok(());
        }
        let mut checked = self.space_checked.lock();
        if checked.is_some_and(|at| at.elapsed() < options.min_free_check_interval) {
            return Ok(());
        }
        let free = self.free_space()?;
        *checked = Some(Instant::now());
        if free >= options.min_free || free >= options.max_free {
            return Ok(());
        }
        let wanted = options.max_free - free;
        self.info(format!("running auto-GC to free {wanted} bytes"));
        let result =
            self.collect_garbage(&GcOptions { max_freed: Some(wanted), ..GcOptions::default() });
        // the time that it took does not count
        *checked = Some(Instant::now());
        result.map(drop)
    }

    /// How many bytes are free for everybody where the store is.
    fn free_space(&self) -> Result<u64> {
        if let Some(file) = &self.options.free_space_file {
            let text = std::fs::read_to_string(file).map_err(Error::io("reading", file))?;
            return text.trim().parse().map_err(|_| Error::CorruptFile { path: file.clone() });
        }
        let dir = &self.layout.real_store_dir;
        let stat = rustix::fs::statvfs(dir).map_err(Error::os("getting info about", dir))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// As [`LocalStore::collect_garbage`]; `results` also tells what was done before an error.
    ///
    /// # Errors
    /// As [`LocalStore::collect_garbage`].
    pub fn collect_garbage_into(&self, options: &GcOptions, results: &mut GcResults) -> Result<()> {
        let deletes = matches!(options.action, Action::DeleteDead | Action::DeleteSpecific(_));
        if deletes {
            // the space that is kept for this moment
            let _ = std::fs::remove_file(self.layout.db_dir().join("reserved"));
        }
        let mut lock = FileLock::open(&self.layout.state_dir.join("gc.lock"))?;
        if !lock.try_lock(LockKind::Exclusive)? {
            self.info("waiting for the big garbage collector lock...");
            lock.lock(LockKind::Exclusive)?;
        }
        self.clear_cache();
        let shared = Arc::new(Shared::default());
        let socket = self.layout.state_dir.join("gc-socket/socket");
        let server = Server::start(&socket, &self.layout.store_dir, shared.clone())?;
        let result = self.collect(options, &shared, results);
        drop(server);
        drop(lock);
        self.clear_cache();
        if deletes {
            self.reserve_space();
            self.remount_if_stale()?;
        }
        result
    }

    fn collect(&self, options: &GcOptions, shared: &Shared, results: &mut GcResults) -> Result<()> {
        self.info("finding garbage collector roots...");
        let mut roots: HashSet<StorePath> = HashSet::new();
        if !options.ignore_liveness {
            roots.extend(self.find_permanent_roots()?.into_keys());
        }
        for (root, _) in self.find_temp_roots()? {
            shared.add(root.hash_part());
            roots.insert(root);
        }
        let ignores =
            options.ignore_liveness && matches!(options.action, Action::DeleteSpecific(_));
        let graph = Graph::load(
            self,
            self.options.keep_outputs && !ignores,
            self.options.keep_derivations && !ignores,
        )?;
        let mut alive = vec![false; graph.paths.len()];
        for (n, path) in graph.paths.iter().enumerate() {
            if roots.contains(path) || shared.is_root(path.hash_part()) {
                graph.mark(n, &mut alive);
            }
        }
        let print = |n: usize| self.print(&graph.paths[n]);
        match &options.action {
            Action::ReturnLive => {
                self.info("determining live/dead paths...");
                results.paths = (0..alive.len()).filter(|n| alive[*n]).map(print).collect();
                Ok(())
            }
            Action::ReturnDead => {
                self.info("determining live/dead paths...");
                results.paths = (0..alive.len()).filter(|n| !alive[*n]).map(print).collect();
                for name in self.unregistered(&graph)? {
                    if let Some(path) = self.dead_entry(&name, shared) {
                        results.paths.insert(path);
                    }
                }
                Ok(())
            }
            Action::DeleteDead => {
                if options.max_freed != Some(0) {
                    self.info("deleting garbage...");
                    let mut work = Work { store: self, options, shared, results };
                    match work.delete_all(&graph, alive) {
                        Ok(()) => {}
                        Err(Stop::Limit) => {}
                        Err(Stop::Failed(e)) => return Err(e),
                    }
                }
                self.delete_unused_links()
            }
            Action::DeleteSpecific(wanted) => {
                let mut work = Work { store: self, options, shared, results };
                match work.delete_specific(&graph, alive, wanted) {
                    Ok(()) | Err(Stop::Limit) => {}
                    Err(Stop::Failed(e)) => return Err(e),
                }
                self.delete_unused_links()
            }
        }
    }

    /// Names in the store's folder that are no valid paths.
    fn unregistered(&self, graph: &Graph) -> Result<Vec<std::ffi::OsString>> {
        let dir = &self.layout.real_store_dir;
        let mut names = Vec::new();
        let entries = std::fs::read_dir(dir).map_err(Error::io("opening directory", dir))?;
        for entry in entries {
            let name = entry.map_err(Error::io("reading directory", dir))?.file_name();
            let valid = name
                .to_str()
                .and_then(|n| StorePath::from_base_name(n).ok())
                .is_some_and(|p| graph.index.contains_key(&p));
            // what is in a lower store only is none of our garbage
            let ours = self.layers().is_none_or(|layers| layers.in_upper(&name));
            if !valid && ours && name != ".links" {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The printed store path of an entry that is no valid path and no temporary root.
    fn dead_entry(&self, name: &std::ffi::OsStr, shared: &Shared) -> Option<String> {
        let path = StorePath::from_base_name(name.to_str()?).ok()?;
        (!shared.is_root(path.hash_part())).then(|| self.print(&path))
    }

    /// Deletes the files in `.links` that no store path shares any more.
    fn delete_unused_links(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        self.info("deleting unused links...");
        let dir = self.layout.links_dir();
        let (mut actual, mut unshared) = (0i64, 0i64);
        let entries = std::fs::read_dir(&dir).map_err(Error::io("opening directory", &dir))?;
        for entry in entries {
            let entry = entry.map_err(Error::io("reading directory", &dir))?;
            let name = Path::new(".links").join(entry.file_name());
            if self.layers().is_some_and(|layers| !layers.in_upper(name.as_os_str())) {
                continue;
            }
            let path = entry.path();
            let meta = path.symlink_metadata().map_err(Error::io("getting status of", &path))?;
            let size = i64::try_from(meta.len()).unwrap_or(i64::MAX);
            if meta.nlink() != 1 {
                actual += size;
                unshared += i64::try_from(meta.nlink() - 1).unwrap_or(0).saturating_mul(size);
                continue;
            }
            self.logger().message(Level::Talkative, format!("deleting unused link {path:?}"));
            std::fs::remove_file(&path).map_err(Error::io("removing file", &path))?;
        }
        let meta = dir.metadata().map_err(Error::io("getting status of", &dir))?;
        let overhead = i64::try_from(meta.blocks() * 512).unwrap_or(0);
        self.info(format!(
            "note: hard linking is currently saving {}",
            render_size(unshared - actual - overhead)
        ));
        Ok(())
    }
}

/// The graph of valid paths by number, with the edges that keep things alive.
struct Graph {
    paths: Vec<StorePath>,
    index: HashMap<StorePath, usize>,
    /// What a path refers to, itself excluded.
    references: Vec<Vec<usize>>,
    /// What else a live path keeps: its deriver, or its outputs.
    keeps: Vec<Vec<usize>>,
}

impl Graph {
    fn load(store: &LocalStore, keep_outputs: bool, keep_derivations: bool) -> Result<Self> {
        let (ids, edges, outputs) = store.db.read(|rows| {
            let outputs = if keep_outputs { rows.all_outputs()? } else { Vec::new() };
            Ok((rows.all_ids()?, rows.all_references()?, outputs))
        })?;
        let dir = &store.layout.store_dir;
        let mut graph = Self {
            paths: Vec::with_capacity(ids.len()),
            index: HashMap::with_capacity(ids.len()),
            references: vec![Vec::new(); ids.len()],
            keeps: vec![Vec::new(); ids.len()],
        };
        let mut numbers: HashMap<i64, usize> = HashMap::with_capacity(ids.len());
        for (id, path, _) in &ids {
            let path = dir.parse(path).map_err(Error::model)?;
            numbers.insert(*id, graph.paths.len());
            graph.index.insert(path.clone(), graph.paths.len());
            graph.paths.push(path);
        }
        for (referrer, reference) in edges {
            if let (Some(a), Some(b)) = (numbers.get(&referrer), numbers.get(&reference))
                && a != b
            {
                graph.references[*a].push(*b);
            }
        }
        if keep_derivations {
            for (n, (_, _, deriver)) in ids.iter().enumerate() {
                let deriver = deriver.as_deref().and_then(|d| dir.parse(d).ok());
                if let Some(deriver) = deriver.and_then(|d| graph.index.get(&d).copied()) {
                    graph.keeps[n].push(deriver);
                }
            }
        }
        for (drv, output) in outputs {
            let output = dir.parse(&output).ok().and_then(|o| graph.index.get(&o).copied());
            if let (Some(drv), Some(output)) = (numbers.get(&drv), output) {
                graph.keeps[*drv].push(output);
            }
        }
        Ok(graph)
    }

    /// Marks `start` and everything that it keeps.
    fn mark(&self, start: usize, alive: &mut [bool]) {
        let mut todo = vec![start];
        while let Some(n) = todo.pop() {
            if std::mem::replace(&mut alive[n], true) {
                continue;
            }
            todo.extend(self.references[n].iter().chain(&self.keeps[n]).filter(|n| !alive[**n]));
        }
    }

    /// What would have to go with each path: its referrers and what keeps it.
    fn backwards(&self) -> Vec<Vec<usize>> {
        let mut back = vec![Vec::new(); self.paths.len()];
        for (n, targets) in self.references.iter().zip(&self.keeps).enumerate() {
            for target in targets.0.iter().chain(targets.1) {
                back[*target].push(n);
            }
        }
        back
    }

    /// The numbered paths, referrers before what they refer to.
    fn sorted(&self, numbers: &[usize]) -> Vec<usize> {
        // depth first without recursion; edges to others do not matter
        let wanted: HashSet<usize> = numbers.iter().copied().collect();
        let mut done: HashSet<usize> = HashSet::with_capacity(numbers.len());
        let mut out = Vec::with_capacity(numbers.len());
        for start in numbers {
            if !done.insert(*start) {
                continue;
            }
            let mut stack = vec![(*start, 0)];
            while let Some((n, at)) = stack.last_mut() {
                let n = *n;
                match self.references[n].get(*at) {
                    Some(next) => {
                        *at += 1;
                        if wanted.contains(next) && done.insert(*next) {
                            stack.push((*next, 0));
                        }
                    }
                    None => {
                        out.push(n);
                        stack.pop();
                    }
                }
            }
        }
        out.reverse();
        out
    }
}

enum Stop {
    /// Enough was freed.
    Limit,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Work<'a> {
    store: &'a LocalStore,
    options: &'a GcOptions,
    shared: &'a Shared,
    results: &'a mut GcResults,
}

impl Work<'_> {
    fn delete_all(&mut self, graph: &Graph, mut alive: Vec<bool>) -> Result<(), Stop> {
        // what is not valid first: it is most likely left over from something that failed
        for name in self.store.unregistered(graph)? {
            self.delete_unregistered(&name)?;
        }
        let dead: Vec<usize> = (0..alive.len()).filter(|n| !alive[*n]).collect();
        self.delete_sorted(graph, &dead, &mut alive)
    }

    fn delete_specific(
        &mut self,
        graph: &Graph,
        mut alive: Vec<bool>,
        wanted: &BTreeSet<StorePath>,
    ) -> Result<(), Stop> {
        let back = graph.backwards();
        let wanted_numbers: HashSet<usize> =
            wanted.iter().filter_map(|p| graph.index.get(p).copied()).collect();
        for path in wanted {
            let still_alive = || Stop::Failed(Error::StillAlive { path: self.store.print(path) });
            let Some(start) = graph.index.get(path).copied() else {
                if self.shared.is_root(path.hash_part()) {
                    return Err(still_alive());
                }
                let name: &std::ffi::OsStr = path.base_name().as_ref();
                self.delete_unregistered(name)?;
                self.results.paths.insert(self.store.print(path));
                continue;
            };
            // everything that needs it must go too, so all of that must be wanted and dead
            let mut todo = vec![start];
            let mut group: Vec<usize> = Vec::new();
            let mut seen: HashSet<usize> = HashSet::new();
            while let Some(n) = todo.pop() {
                if !seen.insert(n) {
                    continue;
                }
                if alive[n] || !wanted_numbers.contains(&n) {
                    return Err(still_alive());
                }
                group.push(n);
                todo.extend(&back[n]);
            }
            self.delete_sorted(graph, &group, &mut alive)?;
            if alive[start] {
                return Err(still_alive());
            }
        }
        Ok(())
    }

    /// Deletes valid paths in an order that keeps closures whole; what becomes a root meanwhile is
    /// marked alive with its closure.
    fn delete_sorted(
        &mut self,
        graph: &Graph,
        numbers: &[usize],
        alive: &mut [bool],
    ) -> Result<(), Stop> {
        let order = graph.sorted(numbers);
        if self.options.max_freed.is_some() {
            // nothing may become invalid that is not deleted then
            for n in order {
                let gone = self.invalidate(graph, &[n], alive)?;
                let deleted = gone.iter().try_for_each(|path| {
                    self.delete_files(&self.store.layout.real_path(path), self.store.print(path))
                });
                self.shared.release_all();
                deleted?;
            }
            return Ok(());
        }
        let result = self.delete_side_by_side(graph, &order, alive);
        self.shared.release_all();
        Ok(result?)
    }

    /// Makes paths invalid in this thread and deletes them in others.
    fn delete_side_by_side(
        &mut self,
        graph: &Graph,
        order: &[usize],
        alive: &mut [bool],
    ) -> Result<()> {
        let (store, shared) = (self.store, self.shared);
        let folder = dir::open(&store.layout.real_store_dir)?;
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
        let (to, from) = sync_channel::<Vec<StorePath>>(BATCH / CHUNK);
        let from = Mutex::new(from);
        let failed = AtomicBool::new(false);
        let delete = || -> (Vec<String>, u64, Result<()>) {
            let (mut deleted, mut freed, mut outcome) = (Vec::new(), 0, Ok(()));
            loop {
                let Ok(paths) = from.lock().recv() else { return (deleted, freed, outcome) };
                // what is left then is garbage; who sends must not wait forever
                if failed.load(Ordering::Relaxed) {
                    continue;
                }
                for path in &paths {
                    store.forget(path);
                    let printed = store.print(path);
                    store.info(format!("deleting '{printed}'"));
                    let real = store.layout.real_path(path);
                    let result = match store.layers() {
                        Some(layers) => store.delete_in_upper(layers, &real),
                        None => dir::c_name(path.base_name().as_ref())
                            .and_then(|name| delete_beneath(folder.as_fd(), &name, &real)),
                    };
                    deleted.push(printed);
                    match result {
                        Ok(bytes) => freed += bytes,
                        Err(e) => {
                            failed.store(true, Ordering::Relaxed);
                            outcome = Err(e);
                            break;
                        }
                    }
                }
                shared.release(&paths);
            }
        };
        let (invalidated, deleters) = std::thread::scope(|scope| {
            let deleters: Vec<_> = (0..threads).map(|_| scope.spawn(delete)).collect();
            let mut result = Ok(());
            for batch in order.chunks(BATCH) {
                if failed.load(Ordering::Relaxed) {
                    break;
                }
                match self.invalidate(graph, batch, alive) {
                    // the threads listen until nobody can send any more
                    Ok(gone) => gone.chunks(CHUNK).for_each(|c| drop(to.send(c.to_vec()))),
                    Err(e) => {
                        result = Err(e);
                        break;
                    }
                }
            }
            drop(to);
            let deleters: Vec<_> =
                deleters.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            (result, deleters)
        });
        let mut result = invalidated;
        for deleter in deleters {
            let (deleted, freed, outcome) = deleter.unwrap_or_else(|_| {
                (Vec::new(), 0, Err(Error::Format("a thread that deletes files failed".to_owned())))
            });
            self.results.paths.extend(deleted);
            self.results.bytes_freed += freed;
            result = result.and(outcome);
        }
        result
    }

    /// Makes those of the paths invalid that nobody wants. They stay claimed; the caller releases them when their files are
    /// gone.
    fn invalidate(
        &self,
        graph: &Graph,
        numbers: &[usize],
        alive: &mut [bool],
    ) -> Result<Vec<StorePath>> {
        let store = self.store;
        let mut paths: Vec<StorePath> =
            numbers.iter().filter(|n| !alive[**n]).map(|n| graph.paths[*n].clone()).collect();
        for kept in self.shared.claim(&mut paths) {
            graph.mark(graph.index[&kept], alive);
        }
        // a root may have come between whose closure reaches into this very batch
        let (kept, mut paths): (Vec<_>, Vec<_>) =
            paths.into_iter().partition(|p| alive[graph.index[p]]);
        self.shared.release(&kept);
        // whoever registered a referrer since we read the graph keeps the path
        let in_use = store.db.write(|rows| {
            let mut in_use = HashSet::new();
            for path in &paths {
                match store.invalidate_row(rows, path) {
                    Ok(()) => {}
                    Err(Error::PathInUse { .. }) => {
                        in_use.insert(path.clone());
                    }
                    Err(e) => return Err(e),
                }
            }
            Ok(in_use)
        })?;
        self.shared.release(&in_use);
        paths.retain(|path| !in_use.contains(path));
        Ok(paths)
    }

    fn delete_unregistered(&mut self, name: &std::ffi::OsStr) -> Result<(), Stop> {
        let store = self.store;
        let real = store.layout.real_store_dir.join(name);
        let printed = format!("{}/{}", store.layout.store_dir.as_str(), name.to_string_lossy());
        let Some(path) = name.to_str().and_then(|n| StorePath::from_base_name(n).ok()) else {
            let locked = if name.as_encoded_bytes().starts_with(b"tmp-") {
                // a folder that somebody is filling is locked by them
                let Ok(dir) = std::fs::File::open(&real) else { return Ok(()) };
                let mut lock = FileLock::on(dir, &real);
                if !lock.try_lock(LockKind::Exclusive)? {
                    return Ok(());
                }
                Some(lock)
            } else {
                None
            };
            let result = self.delete_files(&real, printed);
            drop(locked);
            return result;
        };
        let mut claimed = vec![path.clone()];
        if !self.shared.claim(&mut claimed).is_empty() {
            return Ok(());
        }
        // it may have become valid since the graph was read
        let result = match store.is_registered(&path) {
            Ok(true) => Ok(()),
            Ok(false) => self.delete_files(&real, printed),
            Err(e) => Err(e.into()),
        };
        self.shared.release([&path]);
        result
    }

    fn delete_files(&mut self, real: &Path, printed: String) -> Result<(), Stop> {
        self.store.info(format!("deleting '{printed}'"));
        self.results.paths.insert(printed);
        self.results.bytes_freed += match self.store.layers() {
            Some(layers) => self.store.delete_in_upper(layers, real)?,
            None => delete_path(real)?,
        };
        if let Some(limit) = self.options.max_freed
            && self.results.bytes_freed > limit
        {
            self.store.info(format!("deleted more than {limit} bytes; stopping"));
            return Err(Stop::Limit);
        }
        Ok(())
    }
}

/// A size for people: `1.5 MiB`; exactly 1024 of a unit is not yet one of the next.
#[must_use]
pub fn render_size(bytes: i64) -> String {
    let mut unit = 0;
    let mut rest = bytes.unsigned_abs();
    while rest > 1024 && unit < 6 {
        rest /= 1024;
        unit += 1;
    }
    let unit = unit.max(1);
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    let value = bytes as f64 / 1024f64.powi(unit);
    let letter = ['K', 'M', 'G', 'T', 'P', 'E'][unit as usize - 1];
    format!("{value:.1} {letter}iB")
}
