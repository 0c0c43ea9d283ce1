//! The world that notes what is read in it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_eval::context::DerivedPath;
use firn_eval::error::Result;
use firn_eval::io::{
    AddPath, Contents, EvalIo, Fetch, FetchedTree, FileKind, Filter, Outside, TreePlace,
};
use firn_eval::trees::{self, LazyTree};
use firn_model::input::{Input as Source, InputUrl};
use firn_model::{Derivation, StoreDir, StorePath};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::input::{Input, hash, hash_entries};
use crate::stamp::Stamp;
use crate::tree;

/// The builtin whose value is different each time. It is a constant, so nobody sees it being used; what is seen is
/// that a file has its name.
const TIME: &[u8] = b"currentTime";

/// Something said to the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The text.
    pub text: String,
    /// Whether it is a warning about an input, to be shown as other warnings are; otherwise the text is shown as
    /// it is.
    pub warning: bool,
}

/// What an evaluation read and said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// What it read.
    pub inputs: Vec<Input>,
    /// What it said.
    pub messages: Vec<Message>,
}

#[derive(Default)]
struct State {
    inputs: HashMap<(u8, OsString), Input>,
    messages: Vec<Message>,
    /// Why the answer cannot be kept.
    unrepeatable: Option<&'static str>,
}

impl State {
    fn add(&mut self, input: Input) {
        let (kind, name) = input.key();
        let key = (kind, name.to_owned());
        if let Some(known) = self.inputs.get(&key) {
            if !known.agrees(&input) {
                self.unrepeatable.get_or_insert("a file was changed meanwhile");
            }
            return;
        }
        self.inputs.insert(key, input);
    }

    fn add_all(&mut self, inputs: io::Result<Vec<Input>>) {
        match inputs {
            Ok(inputs) => inputs.into_iter().for_each(|input| self.add(input)),
            Err(_) => {
                self.unrepeatable.get_or_insert("a file of a source tree cannot be read");
            }
        }
    }
}

/// A world that notes what is read in another one.
pub struct RecordingIo {
    inner: Arc<dyn EvalIo>,
    pure: bool,
    warn_dirty: bool,
    /// Variables that are not noted.
    variables: Vec<String>,
    state: Arc<Mutex<State>>,
    /// Store paths that were found valid: nothing in them changes.
    valid: Mutex<HashSet<StorePath>>,
}

impl RecordingIo {
    /// Records what is read in `inner`. With `pure` evaluation knows no time; `warn_dirty` says whether users are
    /// told of working trees that differ from their commit.
    pub fn new(inner: Arc<dyn EvalIo>, pure: bool, warn_dirty: bool) -> Self {
        let variables = Vec::new();
        Self { inner, pure, warn_dirty, variables, state: Arc::default(), valid: Mutex::default() }
    }

    /// Does not note these variables, whose values the question tells.
    #[must_use]
    pub fn without(mut self, variables: &[&str]) -> Self {
        self.variables.extend(variables.iter().map(|name| (*name).to_owned()));
        self
    }

    /// What was read until now; or why the answer cannot be kept.
    ///
    /// # Errors
    /// If something was read that may be different the next time without a way to tell.
    pub fn finish(&self) -> std::result::Result<Record, &'static str> {
        let mut state = self.state.lock();
        if let Some(why) = state.unrepeatable {
            return Err(why);
        }
        let mut inputs: Vec<((u8, OsString), Input)> = state.inputs.drain().collect();
        inputs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let inputs: Vec<Input> = inputs.into_iter().map(|(_, input)| input).collect();
        // what has a name that is no text cannot be written down
        if inputs.iter().any(|input| input.key().1.to_str().is_none()) {
            return Err("a file's name is not UTF-8");
        }
        Ok(Record { inputs, messages: std::mem::take(&mut state.messages) })
    }

    fn unrepeatable(&self, why: &'static str) {
        self.state.lock().unrepeatable.get_or_insert(why);
    }

    fn add(&self, input: Input) {
        self.state.lock().add(input);
    }

    fn note_all(&self, inputs: io::Result<Vec<Input>>) {
        self.state.lock().add_all(inputs);
    }

    /// Notes what is known of a tree that was opened and not copied: `seen` is what a Git working tree had in it
    /// before. The rest of the tree is noted if it is copied after all.
    fn note_opened(&self, source: &Source, tree: &LazyTree, seen: Option<Vec<Input>>) {
        let real = tree.real(Path::new(""));
        match seen {
            Some(seen) => {
                let clean = source.text("rev").is_some();
                // that it differs from its commit is shown by one file that does
                let proof = tree.changed().map(|file| real.join(file));
                let whole = clean || proof.is_none();
                for input in seen {
                    let counts = match &input {
                        Input::Member { path, found, .. } => {
                            whole || found.is_none() || proof.as_ref() == Some(path)
                        }
                        _ => true,
                    };
                    if counts {
                        self.add(input);
                    }
                }
                let (state, attributes) = (Arc::clone(&self.state), source.flag("exportIgnore"));
                tree.before_settling(move || match tree::git(&real, attributes) {
                    Ok(Some(inputs)) => state.lock().add_all(Ok(inputs)),
                    _ => state.lock().add_all(Err(io::ErrorKind::Other.into())),
                });
            }
            None => {
                let state = Arc::clone(&self.state);
                tree.before_settling(move || {
                    let inputs = tree::folder(&real, true);
                    state.lock().add_all(inputs);
                });
            }
        }
    }

    /// Notes the files of a tree of which only some are part.
    fn note_listed(&self, tree: &LazyTree, inner: &Path) {
        for file in tree.listed(inner).unwrap_or_default() {
            self.note_all(tree::member(&tree.real(&file), false).map(|input| vec![input]));
        }
    }

    /// Whether a path is in a store path that is valid, and so will not change.
    fn is_fixed(&self, path: &Path) -> bool {
        let Some(text) = path.to_str() else { return false };
        let dir = self.inner.store_dir();
        if !text.starts_with(dir.as_str()) {
            return false;
        }
        let Ok((top, _)) = dir.parse_prefix(text) else { return false };
        if self.valid.lock().contains(&top) {
            return true;
        }
        let valid = self.inner.is_valid(&top);
        if valid {
            self.valid.lock().insert(top);
        }
        valid
    }

    fn look_for_time(&self, text: &[u8]) {
        if !self.pure && memchr::memmem::find(text, TIME).is_some() {
            self.unrepeatable("the present time may be used");
        }
    }

    /// Notes that the user is told of changes in a working tree.
    fn note_warning(&self, source: &Source, tree: &FetchedTree) {
        if source.kind() == "git" && tree.input.text("rev").is_none() && self.warn_dirty {
            let url = InputUrl::parse(source.text("url").unwrap_or_default(), false);
            let shown = url.map_or_else(|_| String::new(), |url| url.plain_path());
            let text = format!("Git tree '{shown}' is dirty");
            self.state.lock().messages.push(Message { text, warning: true });
        }
    }

    /// Notes a source that is not locked, before it is fetched.
    fn note_source(&self, source: &Source) {
        match source.kind() {
            "path" => {
                let path = PathBuf::from(source.text("path").unwrap_or_default());
                if !path.is_absolute() {
                    return self.unrepeatable("a source has a relative path");
                }
                if !self.is_fixed(&path) {
                    self.note_all(tree::folder(&self.inner.real(&path), true));
                }
            }
            "git" => match plain_checkout(source) {
                Some(root) => match tree::git(&root, source.flag("exportIgnore")) {
                    Ok(Some(inputs)) => self.note_all(Ok(inputs)),
                    Ok(None) => self.unrepeatable("a Git repository cannot be looked at"),
                    Err(e) => self.note_all(Err(e)),
                },
                None => self.unrepeatable("a Git repository is not locked"),
            },
            "tarball" | "file" => match local_url(source) {
                Some(path) => self.note_all(tree::member(&path, false).map(|input| vec![input])),
                None => self.unrepeatable("a download is not locked"),
            },
            _ => self.unrepeatable("a source is not locked"),
        }
    }
}

/// The place on this machine that a source's URL names.
fn local_url(source: &Source) -> Option<PathBuf> {
    let url = InputUrl::parse(source.text("url")?, false).ok()?;
    let path = (url.scheme == "file").then(|| PathBuf::from(url.plain_path()))?;
    path.is_absolute().then_some(path)
}

/// The Git working tree that a source is, as it is now and without anything from elsewhere.
fn plain_checkout(source: &Source) -> Option<PathBuf> {
    let plain = source.kind() == "git"
        && source.text("ref").is_none()
        && source.text("rev").is_none()
        && !source.flag("submodules")
        && !source.flag("lfs");
    plain.then(|| local_url(source)).flatten()
}

impl EvalIo for RecordingIo {
    fn store_dir(&self) -> &StoreDir {
        self.inner.store_dir()
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.is_fixed(path) {
            let contents = self.inner.read_file(path)?;
            self.look_for_time(&contents);
            return Ok(contents);
        }
        let real = self.inner.real(path);
        // before reading, so that a change in between makes the stamp too old
        let stamp = Stamp::behind(&real);
        let contents = self.inner.read_file(path);
        let found = match (&stamp, &contents) {
            (Ok(Some(stamp)), Ok(contents)) if stamp.is_file() => {
                self.look_for_time(contents);
                Some((*stamp, hash(contents)))
            }
            (Ok(None), Err(e))
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                None
            }
            _ => {
                self.unrepeatable("a file cannot be read");
                return contents;
            }
        };
        self.add(Input::File { path: real, found });
        contents
    }

    fn kind(&self, path: &Path) -> io::Result<Option<FileKind>> {
        let kind = self.inner.kind(path)?;
        if !self.is_fixed(path) {
            let kind = kind.map(|kind| kind.name().to_owned());
            self.add(Input::Kind { path: self.inner.real(path), kind });
        }
        Ok(kind)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let target = self.inner.read_link(path)?;
        if !self.is_fixed(path) {
            if target.to_str().is_none() {
                self.unrepeatable("a symlink's target is not UTF-8");
            }
            self.add(Input::Link { path: self.inner.real(path), target: target.clone() });
        }
        Ok(target)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        if self.is_fixed(path) {
            return self.inner.read_dir(path);
        }
        let real = self.inner.real(path);
        if trees::lazy(path).is_some_and(|(tree, _)| tree.is_partial()) {
            // which files there may be is noted already
            let entries = self.inner.read_dir(path)?;
            for (name, kind) in &entries {
                let kind = Some(kind.name().to_owned());
                self.add(Input::Kind { path: real.join(name), kind });
            }
            return Ok(entries);
        }
        let stamp = Stamp::behind(&real);
        let entries = self.inner.read_dir(path)?;
        match stamp {
            Ok(Some(stamp)) => {
                let hash =
                    hash_entries(entries.iter().map(|(name, kind)| (name.as_os_str(), *kind)));
                self.add(Input::Dir { path: real, stamp, hash });
            }
            _ => self.unrepeatable("a folder cannot be looked at"),
        }
        Ok(entries)
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.inner.real(path)
    }

    fn add_path(&self, what: &AddPath<'_>, filter: Option<Filter<'_>>) -> Result<StorePath> {
        if self.is_fixed(what.path) {
            return self.inner.add_path(what, filter);
        }
        let real = self.inner.real(what.path);
        let partial = trees::lazy(what.path).filter(|(tree, _)| tree.is_partial());
        let Some(filter) = filter else {
            if let Some((tree, inner)) = partial {
                self.note_listed(&tree, &inner);
                return self.inner.add_path(what, None);
            }
            self.note_all(tree::folder(&real, false));
            return self.inner.add_path(what, None);
        };
        // What the filter was asked about is what folders have in them, and what it said depends on nothing but
        // what is recorded anyway. What it lets through is read.
        if partial.is_none() {
            self.note_all(tree::member(&real, false).map(|input| vec![input]));
        }
        let mut ask = |path: &Path, kind: FileKind| {
            let wanted = filter(path, kind)?;
            // a folder of a tree of which only some files are part may have others put into it
            if wanted && !(partial.is_some() && kind == FileKind::Directory) {
                let real = self.inner.real(path);
                self.note_all(tree::member(&real, false).map(|input| vec![input]));
            }
            Ok(wanted)
        };
        self.inner.add_path(what, Some(&mut ask))
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
        dry: bool,
    ) -> Result<StorePath> {
        self.inner.add_text(name, text, references, dry)
    }

    fn write_derivation(
        &self,
        derivation: &Derivation,
        path: &StorePath,
        contents: Contents,
    ) -> Result<()> {
        self.inner.write_derivation(derivation, path, contents)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        self.inner.read_derivation(path)
    }

    fn is_valid(&self, path: &StorePath) -> bool {
        self.inner.is_valid(path)
    }

    fn ensure(&self, path: &StorePath) -> Result<()> {
        self.inner.ensure(path)
    }

    fn references(&self, path: &StorePath) -> BTreeSet<StorePath> {
        self.inner.references(path)
    }

    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        self.inner.closure(path)
    }

    fn realise(&self, outputs: &[(DerivedPath, Box<str>)]) -> Result<Vec<StorePath>> {
        self.inner.realise(outputs)
    }

    fn fetch_closure(&self, from: &str, path: &StorePath, rewrite: bool) -> Result<StorePath> {
        self.inner.fetch_closure(from, path, rewrite)
    }

    fn is_content_addressed(&self, path: &StorePath) -> Result<bool> {
        self.inner.is_content_addressed(path)
    }

    fn fetch(&self, what: &Fetch<'_>) -> Result<StorePath> {
        if what.hash.is_none() {
            match what.url.strip_prefix("file://").map(Path::new).filter(|p| p.is_absolute()) {
                Some(path) => self.note_all(tree::member(path, false).map(|input| vec![input])),
                None => self.unrepeatable("a download is not locked"),
            }
        }
        self.inner.fetch(what)
    }

    fn fetch_tree(&self, input: &Source) -> Result<FetchedTree> {
        let locked = input.is_locked();
        if !locked {
            self.note_source(input);
        }
        let tree = self.inner.fetch_tree(input)?;
        if !locked {
            self.note_warning(input, &tree);
        }
        Ok(tree)
    }

    fn open_tree(&self, input: &Source) -> Result<FetchedTree> {
        if input.is_locked() {
            return self.inner.open_tree(input);
        }
        // before it is looked at, as all else
        let seen = match plain_checkout(input) {
            Some(root) => match tree::git(&root, input.flag("exportIgnore")) {
                Ok(Some(inputs)) => Some(inputs),
                // why that cannot be kept is for `fetch_tree` to say
                _ => return self.fetch_tree(input),
            },
            None if input.kind() == "path" => None,
            None => return self.fetch_tree(input),
        };
        let tree = self.inner.open_tree(input)?;
        match (&tree.place, seen) {
            (TreePlace::Lazy(lazy), seen) => self.note_opened(&tree.input, lazy, seen),
            (TreePlace::Stored(_), Some(seen)) => self.note_all(Ok(seen)),
            (TreePlace::Stored(_), None) => return self.fetch_tree(input),
        }
        self.note_warning(input, &tree);
        Ok(tree)
    }

    fn run_program(&self, program: &str, args: &[String]) -> Result<Vec<u8>> {
        self.unrepeatable("a program was run");
        self.inner.run_program(program, args)
    }

    fn allow(&self, path: &Path) {
        self.inner.allow(path);
    }

    fn check_path(&self, path: &Path) -> Result<()> {
        self.inner.check_path(path)
    }

    fn note(&self, what: Outside<'_>) {
        match what {
            Outside::File(path) => self.note_all(tree::file(path).map(|input| vec![input])),
            Outside::Unrepeatable(why) => self.unrepeatable(why),
        }
        self.inner.note(what);
    }

    fn env(&self, name: &str) -> Option<OsString> {
        let value = self.inner.env(name);
        if self.variables.iter().any(|known| known == name) {
            return value;
        }
        let hash = value.as_deref().map(OsStr::as_bytes).map(hash);
        self.add(Input::Variable { name: name.to_owned(), hash });
        value
    }

    fn message(&self, text: &[u8]) {
        let said = String::from_utf8_lossy(text).into_owned();
        self.state.lock().messages.push(Message { text: said, warning: false });
        self.inner.message(text);
    }

    fn silence(&self) {
        self.inner.silence();
    }
}
