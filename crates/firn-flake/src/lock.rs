//! Bringing a lock file up to date: locks that still fit are kept, everything else is fetched. Nothing is
//! written here; [`LockedFlake`] says what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use firn_eval::builtins::{fetch_input, open_input};
use firn_eval::io::{FetchedTree, TreePlace};
use firn_eval::position::PosId;
use firn_eval::{Error, Result, Vm};
use firn_model::input::{Attr, Attrs, FlakeRef, Input};

use crate::flake::{self, Flake, FlakeInput};
use crate::lock_file::{Edge, InputPath, Lock, LockFile, Node, url_of};
use crate::registry::{Registries, Use};
use crate::{enabled, input_error, is_relative};

/// How locks are brought up to date.
#[derive(Debug, Clone, Default)]
pub struct LockFlags {
    /// Forget all locks.
    pub recreate: bool,
    /// Inputs to lock anew.
    pub updates: BTreeSet<InputPath>,
    /// Inputs to replace.
    pub overrides: BTreeMap<InputPath, FlakeRef>,
    /// Take the locks from this file and not from the flake's.
    pub reference_lock_file: Option<PathBuf>,
    /// Ask no registry.
    pub no_registries: bool,
    /// New inputs must be locked already.
    pub only_locked: bool,
}

/// A flake with locks for all of its inputs.
#[derive(Debug)]
pub struct LockedFlake {
    /// The flake.
    pub flake: Flake,
    /// The locks; see also [`LockedFlake::settled_locks`].
    pub locks: LockFile,
    /// The locks as they were before.
    pub before: LockFile,
    /// Nodes that were fetched on the way: their trees, and the folders with their `flake.nix`.
    pub fetched: BTreeMap<usize, (FetchedTree, PathBuf)>,
    /// What users should know.
    pub warnings: Vec<String>,
    /// Inputs that were fetched again because of what their flakes say of themselves.
    pub refetched: Vec<FlakeRef>,
}

impl LockedFlake {
    /// Whether the lock file has to be written.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.locks != self.before
    }

    /// The locks with the hashes of all trees. Those of working trees that nobody has copied are missing in
    /// [`LockedFlake::locks`] unless they decide whether something has changed.
    ///
    /// # Errors
    /// If a tree cannot be copied.
    pub fn settled_locks(&self) -> Result<LockFile> {
        let mut locks = self.locks.clone();
        settle(&mut locks, &self.fetched)?;
        Ok(locks)
    }
}

/// The nodes of trees that are not in the store yet, without those that are folders of their parent's.
fn unsettled<'a>(
    locks: &'a LockFile,
    fetched: &'a BTreeMap<usize, (FetchedTree, PathBuf)>,
) -> impl Iterator<Item = (usize, &'a FetchedTree)> {
    fetched.iter().filter_map(|(at, (tree, _))| {
        let lock = locks.nodes.get(*at)?.lock.as_ref()?;
        let input = &lock.locked.input;
        let lazy = matches!(tree.place, TreePlace::Lazy(_));
        (lazy && !is_relative(input) && input.text("narHash").is_none()).then_some((*at, tree))
    })
}

/// Completes locks with what follows from the contents of trees.
fn settle(locks: &mut LockFile, fetched: &BTreeMap<usize, (FetchedTree, PathBuf)>) -> Result<()> {
    let found: Vec<_> = unsettled(locks, fetched)
        .map(|(at, tree)| Ok((at, tree.settled()?.input)))
        .collect::<Result<_>>()?;
    for (at, input) in found {
        if let Some(lock) = &mut locks.nodes[at].lock {
            lock.locked.input = input;
        }
    }
    Ok(())
}

/// Whether hashes of trees that are not in the store yet decide if two files say the same.
fn hashes_decide(
    locks: &LockFile,
    fetched: &BTreeMap<usize, (FetchedTree, PathBuf)>,
    before: &LockFile,
) -> bool {
    let mut plain = before.clone();
    let (_, keys) = locks.to_json();
    let (_, known) = before.to_json();
    let mut some = false;
    for (at, _) in unsettled(locks, fetched) {
        some = true;
        let Some(old) = known.iter().position(|key| key.is_some() && *key == keys[at]) else {
            return false;
        };
        if let Some(lock) = &mut plain.nodes[old].lock {
            lock.locked.input.attrs.remove("narHash");
        }
    }
    some && *locks == plain
}

/// Fetches a flake and reads it.
///
/// # Errors
/// If it cannot be found, fetched or read.
pub fn get_flake(
    vm: &mut Vm,
    registries: &Registries,
    reference: &FlakeRef,
    which: Use,
) -> Result<Flake> {
    let refetched = Vec::new();
    let mut fetcher = Fetcher { registries, known: BTreeMap::new(), refetched };
    fetcher.flake(vm, reference, which, &[], true)
}

/// Fetches a flake and locks its inputs.
///
/// # Errors
/// If a flake cannot be found, fetched or read, or its locks cannot be brought up to date.
pub fn lock_flake(
    vm: &mut Vm,
    registries: &Registries,
    reference: &FlakeRef,
    flags: &LockFlags,
) -> Result<LockedFlake> {
    let (top, inputs) =
        if flags.no_registries { (Use::No, Use::No) } else { (Use::All, Use::Limited) };
    let mut fetcher = Fetcher { registries, known: BTreeMap::new(), refetched: Vec::new() };
    let flake = fetcher.flake(vm, reference, top, &[], true)?;
    let root = flake.clone();
    let lock = |vm: &mut Vm| -> Result<LockedFlake> {
        let file = match &flags.reference_lock_file {
            Some(file) => {
                // The user names it, so it may be read wherever it is.
                vm.shared.io.allow(file);
                file.clone()
            }
            None => flake.dir.join("flake.lock"),
        };
        let before = read_locks(vm, &file)?;
        let unlocked = before.unlocked_entries();
        let mut locker = Locker {
            fetcher,
            flags,
            inputs_use: inputs,
            overrides: BTreeMap::new(),
            overrides_used: BTreeSet::new(),
            updates_used: BTreeSet::new(),
            locks: LockFile::default(),
            fetched: BTreeMap::new(),
            parents: Vec::new(),
            warnings: unlocked,
        };
        for (path, reference) in &flags.overrides {
            let input = FlakeInput { reference: Some(reference.clone()), ..FlakeInput::default() };
            locker
                .overrides
                .insert(path.clone(), Override { input, dir: flake.dir.clone(), parent: None });
        }
        locker.fetched.insert(0, (flake.tree.clone(), flake.dir.clone()));
        let place = Place {
            node: 0,
            path: Vec::new(),
            old: (!flags.recreate).then(|| (Rc::new(before.clone()), 0)),
            follows: Vec::new(),
            dir: flake.dir.clone(),
            tree: flake.tree.clone(),
            trusted: false,
        };
        locker.compute(vm, &flake.inputs, &place)?;
        for (path, reference) in &flags.overrides {
            if !locker.overrides_used.contains(path) {
                locker.warnings.push(format!(
                    "the flag '--override-input {} {}' does not match any input",
                    path.join("/"),
                    url_of(reference)
                ));
            }
        }
        for path in &flags.updates {
            if !locker.updates_used.contains(path) {
                locker
                    .warnings
                    .push(format!("'{}' does not match any input of this flake", path.join("/")));
            }
        }
        locker.locks.check()?;
        let Locker { mut locks, fetched, warnings, fetcher, .. } = locker;
        if hashes_decide(&locks, &fetched, &before) {
            settle(&mut locks, &fetched)?;
        }
        let refetched = fetcher.refetched;
        Ok(LockedFlake { flake, locks, before, fetched, warnings, refetched })
    };
    lock(vm).map_err(|e| {
        let shown = root.url().unwrap_or_else(|_| url_of(&root.resolved));
        e.trace(PosId::NONE, format!("while updating the lock file of flake '{shown}'"))
    })
}

fn read_locks(vm: &Vm, file: &Path) -> Result<LockFile> {
    match vm.shared.io.read_file(file) {
        Ok(text) => LockFile::parse(&String::from_utf8_lossy(&text), &file.display().to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(LockFile::default()),
        Err(e) => Err(Error::other(format!("reading '{}': {e}", file.display()))),
    }
}

/// Fetches each tree once.
struct Fetcher<'a> {
    registries: &'a Registries,
    known: BTreeMap<String, (Input, Option<String>, FetchedTree)>,
    /// Inputs that were fetched again because of what their flakes say of themselves.
    refetched: Vec<FlakeRef>,
}

impl Fetcher<'_> {
    /// What an input stands for, a folder that a registry adds, and its tree, which need not be in the store. That of
    /// the flake itself is not copied, nor are Git's: it is known what they are by their commits. All that is known
    /// of another `input` is its hash, with which it is locked and shown.
    fn tree(
        &mut self,
        vm: &mut Vm,
        input: &Input,
        which: Use,
        top: bool,
    ) -> Result<(Input, Option<String>, FetchedTree)> {
        let lazy = |resolved: &Input| top || resolved.kind() == "git";
        let key = firn_model::input::to_json(&input.attrs);
        if let Some((resolved, dir, tree)) = self.known.get(&key) {
            let tree = if lazy(resolved) { tree.clone() } else { tree.settled()? };
            return Ok((resolved.clone(), dir.clone(), tree));
        }
        let (resolved, dir) = self.registries.resolve(vm, input, which)?;
        let tree =
            if lazy(&resolved) { open_input(vm, &resolved)? } else { fetch_input(vm, &resolved)? };
        let found = (resolved, dir, tree);
        self.known.insert(key, found.clone());
        Ok(found)
    }

    fn flake(
        &mut self,
        vm: &mut Vm,
        original: &FlakeRef,
        which: Use,
        at: &[String],
        top: bool,
    ) -> Result<Flake> {
        let (resolved, dir, mut tree) = self.tree(vm, &original.input, which, top)?;
        let dir = dir.unwrap_or_else(|| original.dir.clone());
        let resolved = FlakeRef { input: resolved, dir: dir.clone() };
        let mut locked = FlakeRef { input: tree.input.clone(), dir: dir.clone() };
        let folder = |vm: &Vm, tree: &FetchedTree| {
            let root = tree.root(vm.store_dir());
            if dir.is_empty() { root } else { root.join(&dir) }
        };
        let here = folder(vm, &tree);
        let flake = flake::read(vm, &tree, &here, original, &resolved, &locked, at)?;
        if flake.self_attrs.is_empty() {
            return Ok(flake);
        }
        // what the flake says of itself changes what its tree is
        let mut input = locked.input.clone();
        for (name, value) in &flake.self_attrs {
            if !matches!(name.as_str(), "submodules" | "lfs") {
                return Err(Error::other(format!(
                    "flake 'self' attribute '{name}' is not supported"
                )));
            }
            input.attrs.insert(name.clone(), value.clone());
        }
        if input == locked.input {
            return Ok(flake);
        }
        input.attrs.remove("narHash");
        (_, _, tree) = self.tree(vm, &input, Use::No, top)?;
        locked.input = tree.input.clone();
        let here = folder(vm, &tree);
        self.refetched.push(locked.clone());
        flake::read(vm, &tree, &here, original, &resolved, &locked, at)
    }
}

/// An input that something above has replaced.
#[derive(Clone)]
struct Override {
    input: FlakeInput,
    /// The folder that relative paths are relative to.
    dir: PathBuf,
    /// The input whose flake has the override; none for the command line.
    parent: Option<InputPath>,
}

/// The flake whose inputs are locked.
struct Place {
    node: usize,
    path: InputPath,
    /// The node it had, in its own lock file or in that of a flake above it.
    old: Option<(Rc<LockFile>, usize)>,
    /// What `follows` in the old node is relative to.
    follows: InputPath,
    dir: PathBuf,
    tree: FetchedTree,
    /// Whether the old node is known to be what its flake says.
    trusted: bool,
}

struct Locker<'a> {
    fetcher: Fetcher<'a>,
    flags: &'a LockFlags,
    inputs_use: Use,
    overrides: BTreeMap<InputPath, Override>,
    overrides_used: BTreeSet<InputPath>,
    updates_used: BTreeSet<InputPath>,
    locks: LockFile,
    fetched: BTreeMap<usize, (FetchedTree, PathBuf)>,
    parents: Vec<FlakeRef>,
    warnings: Vec<String>,
}

impl Locker<'_> {
    fn compute(
        &mut self,
        vm: &mut Vm,
        inputs: &BTreeMap<String, FlakeInput>,
        place: &Place,
    ) -> Result<()> {
        for (name, input) in inputs {
            let path: InputPath = place.path.iter().cloned().chain([name.clone()]).collect();
            self.add_overrides(input, &path, place);
        }
        for path in self.overrides.keys() {
            if let Some((last, parent)) = path.split_last()
                && *parent == place.path[..]
                && !inputs.contains_key(last)
            {
                self.warnings.push(format!(
                    "input '{}' has an override for a non-existent input '{last}'",
                    place.path.join("/")
                ));
            }
        }
        for (name, input) in inputs {
            let path: InputPath = place.path.iter().cloned().chain([name.clone()]).collect();
            self.input(vm, name, input, &path, place).map_err(|e| {
                e.trace(PosId::NONE, format!("while updating the flake input '{}'", path.join("/")))
            })?;
        }
        Ok(())
    }

    /// Notes what `inputs.a.inputs.b` says; what flakes above have said counts more.
    fn add_overrides(&mut self, input: &FlakeInput, path: &[String], place: &Place) {
        for (name, inner) in &input.overrides {
            let path: InputPath = path.iter().cloned().chain([name.clone()]).collect();
            if inner.reference.is_some() || inner.follows.is_some() {
                self.overrides.entry(path.clone()).or_insert_with(|| Override {
                    input: inner.clone(),
                    dir: place.dir.clone(),
                    parent: Some(place.path.clone()),
                });
            }
            self.add_overrides(inner, &path, place);
        }
    }

    fn input(
        &mut self,
        vm: &mut Vm,
        name: &str,
        own: &FlakeInput,
        path: &InputPath,
        place: &Place,
    ) -> Result<()> {
        let replaced = self.overrides.get(path).cloned();
        let by_flag = self.flags.overrides.contains_key(path);
        if replaced.is_some() {
            self.overrides_used.insert(path.clone());
        }
        let mut input = replaced.as_ref().map_or_else(|| own.clone(), |o| o.input.clone());
        input.just_a_tree = own.just_a_tree;
        if let Some(target) = input.follows {
            self.locks.nodes[place.node].inputs.insert(name.to_owned(), Edge::Follows(target));
            return Ok(());
        }
        let reference = match input.reference {
            Some(reference) => reference,
            None => indirect(name)?,
        };
        let relative = is_relative(&reference.input);
        let parent = match (&replaced, relative) {
            (_, false) => None,
            (Some(o), true) => o.parent.clone(),
            (None, true) => Some(place.path.clone()),
        };
        let base = replaced.as_ref().map_or(&place.dir, |o| &o.dir).clone();
        self.updates_used.insert(path.clone());

        let old = match &place.old {
            Some((file, at)) if !self.flags.updates.contains(path) => {
                match file.nodes[*at].inputs.get(name) {
                    Some(Edge::Node(at)) => Some((Rc::clone(file), *at)),
                    _ => None,
                }
            }
            _ => None,
        };
        let kept = old.as_ref().and_then(|(file, at)| {
            let lock = file.nodes[*at].lock.clone()?;
            let same = canonical(&lock.original) == canonical(&reference);
            let same = same && lock.parent == parent && !by_flag;
            same.then_some(lock)
        });
        if let (Some(lock), Some((file, at))) = (kept, old) {
            return self.keep(vm, name, path, place, lock, file, at, &base);
        }

        if self.flags.only_locked && !reference.input.is_locked() && !relative {
            return Err(Error::other(format!(
                "cannot update unlocked flake input '{}' in pure mode",
                path.join("/")
            )));
        }
        // an override by flag does not change what the file says it was made from
        let original = match &own.reference {
            Some(own) if by_flag => own.clone(),
            _ => reference.clone(),
        };
        let which = if by_flag && self.inputs_use != Use::No { Use::All } else { self.inputs_use };
        if input.just_a_tree {
            let (tree, folder, locked) = if relative {
                let folder = self.relative(&reference, &base)?;
                (place.tree.clone(), folder, reference.clone())
            } else {
                let (_, _, tree) = self.fetcher.tree(vm, &reference.input, which, false)?;
                let folder = tree.root(vm.store_dir());
                let locked = FlakeRef { input: tree.input.clone(), dir: reference.dir.clone() };
                (tree, folder, locked)
            };
            let child =
                self.add(place.node, name, Lock { locked, original, is_flake: false, parent });
            self.fetched.insert(child, (tree, folder));
            return Ok(());
        }
        let flake = self.flake_of(vm, &reference, which, path, &base, place)?;
        let child = self.add(
            place.node,
            name,
            Lock { locked: flake.locked.clone(), original, is_flake: true, parent },
        );
        if self.parents.contains(&reference) {
            return Err(Error::other(format!(
                "found circular import of flake '{}'",
                url_of(&reference)
            )));
        }
        self.parents.push(reference);
        self.fetched.insert(child, (flake.tree.clone(), flake.dir.clone()));
        let old = Rc::new(read_locks(vm, &flake.dir.join("flake.lock"))?);
        let next = Place {
            node: child,
            path: path.clone(),
            old: Some((old, 0)),
            follows: path.clone(),
            dir: flake.dir.clone(),
            tree: flake.tree.clone(),
            trusted: false,
        };
        let result = self.compute(vm, &flake.inputs, &next);
        self.parents.pop();
        result
    }

    /// Takes a lock over from the old file; its flake is fetched only if something below it may change.
    #[expect(clippy::too_many_arguments, reason = "all of them are what is known of the input")]
    fn keep(
        &mut self,
        vm: &mut Vm,
        name: &str,
        path: &InputPath,
        place: &Place,
        lock: Lock,
        file: Rc<LockFile>,
        at: usize,
        base: &Path,
    ) -> Result<()> {
        let locked = lock.locked.clone();
        let is_flake = lock.is_flake;
        let child = self.add(place.node, name, lock);
        let below = |p: &InputPath| p.len() > path.len() && p.starts_with(path);
        let mut refetch = self.flags.updates.iter().any(below);
        let mut inputs = BTreeMap::new();
        if !refetch {
            for (name, edge) in &file.nodes[at].inputs {
                let input = match edge {
                    Edge::Node(next) => {
                        let Some(lock) = &file.nodes[*next].lock else { continue };
                        FlakeInput {
                            reference: Some(lock.original.clone()),
                            just_a_tree: !lock.is_flake,
                            ..FlakeInput::default()
                        }
                    }
                    Edge::Follows(target) => {
                        let inner: InputPath = path.iter().cloned().chain([name.clone()]).collect();
                        // the flake may have changed its mind about what nobody overrides any more
                        if !place.trusted && !self.overrides.contains_key(&inner) {
                            refetch = true;
                            break;
                        }
                        let target = place.follows.iter().chain(target).cloned().collect();
                        FlakeInput { follows: Some(target), ..FlakeInput::default() }
                    }
                };
                inputs.insert(name.clone(), input);
            }
        }
        let mut next = Place {
            node: child,
            path: path.clone(),
            old: Some((file, at)),
            follows: place.follows.clone(),
            dir: place.dir.clone(),
            tree: place.tree.clone(),
            trusted: true,
        };
        if refetch && is_flake {
            let flake = self.flake_of(vm, &locked, self.inputs_use, path, base, place)?;
            self.fetched.insert(child, (flake.tree.clone(), flake.dir.clone()));
            next.dir = flake.dir.clone();
            next.tree = flake.tree.clone();
            next.trusted = false;
            return self.compute(vm, &flake.inputs, &next);
        }
        self.compute(vm, &inputs, &next)
    }

    fn flake_of(
        &mut self,
        vm: &mut Vm,
        reference: &FlakeRef,
        which: Use,
        path: &InputPath,
        base: &Path,
        place: &Place,
    ) -> Result<Flake> {
        if !is_relative(&reference.input) {
            return self.fetcher.flake(vm, reference, which, path, false);
        }
        let mut folder = self.relative(reference, base)?;
        if !reference.dir.is_empty() {
            folder.push(&reference.dir);
        }
        flake::read(vm, &place.tree, &folder, reference, reference, reference, path)
    }

    /// The folder of a relative path.
    fn relative(&self, reference: &FlakeRef, base: &Path) -> Result<PathBuf> {
        let path = reference.input.text("path").unwrap_or_default();
        let joined = base.join(path).into_os_string().into_encoded_bytes();
        let bytes = firn_eval::paths::canonical(&joined);
        use std::os::unix::ffi::OsStrExt as _;
        Ok(PathBuf::from(std::ffi::OsStr::from_bytes(&bytes)))
    }

    fn add(&mut self, parent: usize, name: &str, lock: Lock) -> usize {
        let at = self.locks.nodes.len();
        self.locks.nodes.push(Node { inputs: BTreeMap::new(), lock: Some(lock) });
        self.locks.nodes[parent].inputs.insert(name.to_owned(), Edge::Node(at));
        at
    }
}

/// A reference without the folder that older versions left in the URL as well.
fn canonical(reference: &FlakeRef) -> FlakeRef {
    let mut found = reference.clone();
    if let Some(url) = reference.input.text("url")
        && let Ok(mut url) = firn_model::input::InputUrl::parse(url, true)
        && !reference.dir.is_empty()
        && url.query.get("dir") == Some(&reference.dir)
    {
        url.query.remove("dir");
        found.input.attrs.insert("url".into(), url.to_string().into());
    }
    found
}

/// An input that has no more than a name is looked up in registries.
fn indirect(name: &str) -> Result<FlakeRef> {
    let attrs = Attrs::from([
        ("type".to_owned(), Attr::from("indirect")),
        ("id".to_owned(), Attr::from(name)),
    ]);
    FlakeRef::from_attrs(attrs, &enabled).map_err(|e| input_error(&e))
}
