//! Source files: finding, reading, parsing and evaluating each once; symlinks; the search path.

use super::Vm;
use crate::compile::{self, Surroundings};
use crate::context::{Context, ContextBuilder, DerivedPath, Element};
use crate::error::{Error, Kind, Result, render};
use crate::io::tree::file_error;
use crate::io::{AddPath, FetchedTree, FileKind};
use crate::position;
use crate::value::{Env, Set, Value};
use crate::{paths, position::PosId};
use firn_model::input::Input;
use firn_model::{HashAlgo, Method, StorePath};
use firn_syntax::source::{Origin, Source};
use firn_syntax::{Ast, Symbol};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What directory entries are, remembered for the run.
pub type FileKindCache = ByPath<Option<FileKind>>;

/// Values by paths. Hashing and comparing their bytes is several times faster than what `Path` does, and the
/// paths of evaluation are normalised.
pub(super) type ByPath<T> = FxHashMap<Box<[u8]>, T>;

fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// What the run knows of files.
#[derive(Default)]
pub(crate) struct Files {
    pub(super) values: RwLock<ByPath<Value>>,
    pub(super) kinds: RwLock<FileKindCache>,
    pub(super) resolved: RwLock<ByPath<PathBuf>>,
    pub(super) sources: RwLock<ByPath<StorePath>>,
    pub(super) lookups: Mutex<FxHashMap<String, Option<PathBuf>>>,
    /// Trees that were fetched, by the attributes they were asked for with.
    pub(super) fetched: Mutex<FxHashMap<String, FetchedTree>>,
}

pub(super) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

impl super::Shared {
    /// How texts are parsed.
    pub(super) fn parse_options(&self) -> firn_syntax::Options {
        firn_syntax::Options {
            pipe_operators: self.settings.has_feature("pipe-operators"),
            home: None,
            pure: self.settings.pure,
            lints: self.settings.lints,
        }
    }
}

impl Vm {
    /// A tree that was fetched before in this run, or else is now. The same input is the same tree all the time,
    /// even if what it names changes.
    pub(crate) fn fetched(
        &self,
        input: &Input,
        fetch: impl FnOnce() -> Result<FetchedTree>,
    ) -> Result<FetchedTree> {
        let key = firn_model::input::to_json(&input.attrs);
        if let Some(tree) = self.shared.files.fetched.lock().get(&key) {
            return Ok(tree.clone());
        }
        let tree = fetch()?;
        Ok(self.shared.files.fetched.lock().entry(key).or_insert(tree).clone())
    }

    /// What is at a path, without following a symlink in its last part.
    pub(crate) fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        if let Some(kind) = self.shared.files.kinds.read().get(key(path)) {
            return Ok(*kind);
        }
        let kind =
            self.shared.io.kind(path).map_err(|e| file_error("getting status of", path, &e))?;
        // The store changes while building; the rest is taken to stand still.
        if !path.as_os_str().as_bytes().starts_with(self.store_dir().as_str().as_bytes()) {
            self.shared.files.kinds.write().insert(key(path).into(), kind);
        }
        Ok(kind)
    }

    /// The path with symlinks followed: in all parts, or in all but the last. Parts that do not exist stay.
    pub(crate) fn resolve_links(&self, path: &Path, last: bool) -> Result<PathBuf> {
        // The whole path first, so that an error names it and not a part of it.
        self.shared.io.check_path(path)?;
        if !last {
            return Ok(match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => self.resolve_links(parent, true)?.join(name),
                _ => path.to_owned(),
            });
        }
        if let Some(found) = self.shared.files.resolved.read().get(key(path)) {
            return Ok(found.clone());
        }
        let resolved = self.resolve_uncached(path)?;
        if !path.as_os_str().as_bytes().starts_with(self.store_dir().as_str().as_bytes()) {
            self.shared.files.resolved.write().insert(key(path).into(), resolved.clone());
        }
        Ok(resolved)
    }

    fn resolve_uncached(&self, path: &Path) -> Result<PathBuf> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(path.to_owned());
        };
        let mut at = self.resolve_links(parent, true)?.join(name);
        for _ in 0..1024 {
            if self.kind(&at)? != Some(FileKind::Symlink) {
                return Ok(at);
            }
            let target = self
                .shared
                .io
                .read_link(&at)
                .map_err(|e| file_error("reading symlink", &at, &e))?;
            let base = at.parent().unwrap_or(Path::new("/"));
            let joined = base.join(&target);
            let next = paths::canonical(joined.as_os_str().as_bytes());
            let next = as_path(&next);
            let (Some(parent), Some(name)) = (next.parent(), next.file_name()) else {
                return Ok(next.to_owned());
            };
            at = self.resolve_links(parent, true)?.join(name);
        }
        Err(Error::new(
            Kind::Io,
            format!(
                "too many symbolic links encountered while traversing the path '{}'",
                path.display()
            ),
        ))
    }

    /// The file that importing a path means: symlinks to files followed, `default.nix` in directories.
    pub fn resolve_expr_path(&self, path: &Path) -> Result<PathBuf> {
        self.shared.io.check_path(path)?;
        let mut at = path.to_owned();
        let mut count = 0;
        while let (Some(parent), Some(name)) = (at.parent(), at.file_name()) {
            count += 1;
            if count >= 1024 {
                return Err(Error::new(
                    Kind::Io,
                    format!(
                        "too many symbolic links encountered while traversing the path '{}'",
                        at.display()
                    ),
                ));
            }
            let place = self.resolve_links(parent, true)?.join(name);
            match self.kind(&place)? {
                None => {
                    return Err(Error::new(Kind::Io, crate::trees::absent(&at)));
                }
                Some(FileKind::Symlink) => {}
                Some(_) => break,
            }
            let target = self
                .shared
                .io
                .read_link(&place)
                .map_err(|e| file_error("reading symlink", &place, &e))?;
            let joined = parent.join(target);
            at = as_path(&paths::canonical(joined.as_os_str().as_bytes())).to_owned();
        }
        let target = self.resolve_links(&at, true)?;
        if self.kind(&target)? == Some(FileKind::Directory) {
            at.push("default.nix");
        }
        Ok(at)
    }

    /// Parses a text.
    ///
    /// # Errors
    /// Where it is not in the language.
    pub fn parse(&self, source: Source, base: &Path) -> Result<Arc<Ast>> {
        match firn_syntax::parse(source, base, &self.shared.parse_options()) {
            Ok(ast) => {
                self.show_warnings(ast.warnings(), ast.source());
                Ok(Arc::new(ast))
            }
            Err(e) => {
                self.show_warnings(&e.warnings, &e.source);
                let id = position::register(&e.source);
                Err(Error::new(Kind::Syntax, e.message).at(id.at(e.pos)))
            }
        }
    }

    fn show_warnings(&self, warnings: &[firn_syntax::Warning], source: &Arc<Source>) {
        if warnings.is_empty() {
            return;
        }
        let id = position::register(source);
        for warning in warnings {
            let text = if warning.placed {
                format!("warning: {}", warning.message)
            } else {
                let shown = Error::new(Kind::Other, &*warning.message).at(id.at(warning.pos));
                render::render_as("warning", &shown, &render::Options::default())
            };
            self.shared.io.message(text.as_bytes());
        }
    }

    /// Evaluates a parsed text.
    ///
    /// # Errors
    /// What evaluation raises.
    pub fn eval_ast(&mut self, ast: &Arc<Ast>) -> Result<Value> {
        let node = self.compile(ast, &Surroundings::default())?;
        self.eval(node, Env::NONE)
    }

    fn compile(&mut self, ast: &Ast, around: &Surroundings<'_>) -> Result<&'static compile::Node> {
        let source = ast.source();
        let id = match source.origin() {
            // Wherever the text can be had again, it is not kept.
            Origin::Path(path)
                if crate::builtins::internal_file(path).is_none()
                    && self.shared.io.real(path) == *path =>
            {
                position::register_later(path.clone(), source.text().len())
            }
            _ => position::register(source),
        };
        self.compile_at(ast, id, around)
    }

    /// As [`Vm::compile`], for a text whose positions are those of another.
    pub(super) fn compile_at(
        &mut self,
        ast: &Ast,
        id: position::SourceId,
        around: &Surroundings<'_>,
    ) -> Result<&'static compile::Node> {
        let shared = Arc::clone(&self.shared);
        let around = Surroundings { debug: self.is_debugged(), ..*around };
        firn_syntax::stack::with_depth(ast.depth(), || {
            compile::compile(ast, id, &mut self.heap, &shared.globals, &around)
        })
    }

    /// Evaluates a text.
    ///
    /// # Errors
    /// Where it is not in the language, and what evaluation raises.
    pub fn eval_text(&mut self, origin: Origin, text: &[u8], base: &Path) -> Result<Value> {
        let ast = self.parse(Source::new(origin, text), base)?;
        self.eval_ast(&ast)
    }

    /// Parses a file.
    ///
    /// # Errors
    /// What reading and parsing raise.
    pub fn parse_file(&self, path: &Path) -> Result<Arc<Ast>> {
        self.read_source(path)
    }

    /// Whether all variables of a text are bound, without evaluating it.
    ///
    /// # Errors
    /// A variable that nothing binds.
    pub fn check_scopes(&self, ast: &Arc<Ast>) -> Result<()> {
        let names = &self.shared.globals.names;
        firn_syntax::scope::check(ast, &|name| names.contains_key(&name)).map_err(|e| {
            let id = position::register(&e.source);
            Error::new(Kind::UndefinedVariable, e.message).at(id.at(e.pos))
        })
    }

    fn read_source(&self, path: &Path) -> Result<Arc<Ast>> {
        let text = match crate::builtins::internal_file(path) {
            Some(text) => text.to_vec(),
            None => {
                let target = self.resolve_links(path, true)?;
                if target == path
                    && let Some(ast) = self.shared.parse_ahead.take(path)
                {
                    self.show_warnings(ast.warnings(), ast.source());
                    return Ok(Arc::new(ast));
                }
                self.shared.io.read_file(&target).map_err(|e| {
                    if e.kind() == std::io::ErrorKind::NotFound {
                        Error::new(Kind::Io, crate::trees::absent(path))
                    } else {
                        file_error("opening file", path, &e)
                    }
                })?
            }
        };
        let base = path.parent().unwrap_or(Path::new("/")).to_owned();
        self.parse(Source::new(Origin::Path(path.to_owned()), text), &base)
    }

    /// The value of a file. Each is evaluated once.
    ///
    /// # Errors
    /// What reading, parsing and evaluating raise.
    pub fn eval_file(&mut self, path: &Path) -> Result<Value> {
        let known = self.shared.files.values.read().get(key(path)).copied();
        if let Some(v) = known {
            return self.force(v, PosId::NONE);
        }
        let file = match crate::builtins::internal_file(path) {
            Some(_) => path.to_owned(),
            None => self.resolve_expr_path(path)?,
        };
        // Whoever comes first makes the thunk, whoever forces it first evaluates the file.
        let known = self.shared.files.values.read().get(key(&file)).copied();
        let value = match known {
            Some(v) => v,
            None => {
                let thunk = crate::builtins::load_file(&mut self.heap, &file);
                *self.shared.files.values.write().entry(key(&file).into()).or_insert(thunk)
            }
        };
        let value = self.force(value, PosId::NONE)?;
        let mut values = self.shared.files.values.write();
        values.insert(key(&file).into(), value);
        values.insert(key(path).into(), value);
        Ok(value)
    }

    /// Parses and evaluates a file.
    pub(crate) fn load_file(&mut self, file: &Path) -> Result<Value> {
        let ast = self.read_source(file)?;
        if self.shared.pool.has_processors() {
            self.shared.parse_ahead.offer(&self.shared, &ast);
        }
        let node = self.compile(&ast, &Surroundings::default());
        drop(ast);
        node.and_then(|node| self.in_file(file, |vm| vm.eval(node, Env::NONE))).map_err(|e| {
            if self.show_trace {
                e.trace(PosId::NONE, format!("while evaluating the file '{}':", file.display()))
            } else {
                e
            }
        })
    }

    /// The value of a file with a set's attributes as global names.
    pub(crate) fn scoped_import(&mut self, scope: Set, path: &Path) -> Result<Value> {
        let file = self.resolve_expr_path(path)?;
        let ast = self.read_source(&file)?;
        let names: Vec<Symbol> = scope.iter(&mut self.heap).map(|(name, _)| name).collect();
        let around = Surroundings { scope: Some(&names), ..Surroundings::default() };
        let node = self.compile(&ast, &around)?;
        drop(ast);
        let compile::Node::Enter(slots, body) = node else {
            unreachable!("compiling a text gives a node with an environment")
        };
        let env = Env::new(&mut self.heap, Env::NONE, *slots);
        // SAFETY: a scoped text's environment has at least the slot of its scope.
        unsafe { env.set(0, scope.value()) };
        self.eval(body, env)
    }

    /// The store path of a source file or tree, copied once in a run.
    pub(crate) fn source_path(&mut self, path: &[u8]) -> Result<StorePath> {
        if let Some(found) = self.shared.files.sources.read().get(path) {
            return Ok(found.clone());
        }
        let source = self.resolve_links(as_path(path), false)?;
        self.refuse_store_itself(&source)?;
        if self.kind(&source)?.is_none() {
            return Err(Error::new(Kind::Io, crate::trees::absent(as_path(path))));
        }
        let name = paths::store_name(&crate::trees::reveal_root(path)?);
        let what = AddPath {
            name: &name,
            path: &source,
            method: Method::Nar,
            algo: HashAlgo::Sha256,
            references: &BTreeSet::new(),
            dry: self.shared.settings.read_only,
        };
        let found = self.shared.io.add_path(&what, None)?;
        self.shared.files.sources.write().insert(path.into(), found.clone());
        Ok(found)
    }

    /// The folder of all store paths can be read and not copied into itself.
    pub(crate) fn refuse_store_itself(&self, source: &Path) -> Result<()> {
        if source == Path::new(self.store_dir().as_str()) {
            let text = format!("path '{}/' is not in the Nix store", self.store_dir().as_str());
            return Err(Error::new(Kind::Io, text));
        }
        Ok(())
    }

    /// Puts a file or folder into the store under the name `source`, as trees of flakes are; a path of the store
    /// is there already.
    ///
    /// # Errors
    /// If it does not exist, or cannot be put there.
    pub fn copy_source(
        &mut self,
        path: &[u8],
        context: &mut crate::context::ContextBuilder,
    ) -> Result<StorePath> {
        let known = crate::trees::reveal_root(path)?;
        let there = std::str::from_utf8(&known).ok().and_then(|p| self.store_dir().parse(p).ok());
        let found = match there {
            Some(found) => found,
            None => {
                let source = self.resolve_links(as_path(path), false)?;
                self.refuse_store_itself(&source)?;
                if self.kind(&source)?.is_none() {
                    return Err(Error::new(Kind::Io, crate::trees::absent(as_path(path))));
                }
                let what = AddPath {
                    name: "source",
                    path: &source,
                    method: Method::Nar,
                    algo: HashAlgo::Sha256,
                    references: &BTreeSet::new(),
                    dry: self.shared.settings.read_only,
                };
                self.shared.io.add_path(&what, None)?
            }
        };
        context.add_element(Element::Opaque(found.clone()));
        Ok(found)
    }

    /// Makes sure that what a context refers to is there, building it if need be; says with what to replace
    /// placeholders.
    pub(crate) fn realise_context(
        &mut self,
        context: Option<Context>,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let Some(context) = context else { return Ok(Vec::new()) };
        let mut builds = Vec::new();
        for element in context.elements() {
            let path = match element {
                Element::Opaque(path) | Element::DrvDeep(path) => path,
                Element::Built { drv, output } => {
                    builds.push((drv.clone(), output.clone()));
                    let mut base = drv;
                    loop {
                        match base {
                            DerivedPath::Opaque(path) => break path,
                            DerivedPath::Built(inner, _) => base = inner,
                        }
                    }
                }
            };
            if !self.shared.io.is_valid(path) {
                return Err(Error::new(
                    Kind::Io,
                    format!("path '{}' is not valid", path.base_name()),
                ));
            }
        }
        if builds.is_empty() {
            return Ok(Vec::new());
        }
        if !self.shared.settings.allow_import_from_derivation {
            let (drv, output) = &builds[0];
            return Err(Error::new(
                Kind::ImportFromDerivation,
                format!(
                    "cannot build '{}^{output}' during evaluation because the option 'allow-import-from-derivation' is disabled",
                    drv.print(self.store_dir())
                ),
            ));
        }
        let built = self.shared.io.realise(&builds)?;
        let mut rewrites = Vec::new();
        for ((drv, output), path) in builds.iter().zip(built) {
            let placeholder = crate::builtins::downstream_placeholder(drv, output)?;
            rewrites.push((placeholder.into_bytes(), self.store_dir().print(&path).into_bytes()));
        }
        Ok(rewrites)
    }

    /// The path that a value names, with what it needs built.
    pub(crate) fn realise_path(
        &mut self,
        v: Value,
        pos: PosId,
        resolve: Option<bool>,
    ) -> Result<PathBuf> {
        let mut context = ContextBuilder::new();
        let text = self.coerce_path(
            PosId::NONE,
            v,
            &mut context,
            "while realising the context of a path",
        )?;
        let traced = |e: Error| {
            e.trace(
                pos,
                format!("while realising the context of path '{}'", String::from_utf8_lossy(&text)),
            )
        };
        let mut bytes = text.to_vec();
        if !context.is_empty() {
            for (from, to) in self.realise_context(context.finish()).map_err(traced)? {
                bytes = paths::replace_all(&bytes, &from, &to);
            }
        }
        let path = as_path(&bytes).to_owned();
        match resolve {
            None => Ok(path),
            Some(last) => self.resolve_links(&path, last).map_err(traced),
        }
    }

    /// Where an element of the search path is, if it is anywhere.
    fn lookup_location(&self, location: &str) -> Result<Option<PathBuf>> {
        if let Some(known) = self.shared.files.lookups.lock().get(location) {
            return Ok(known.clone());
        }
        let found = self.lookup_uncached(location)?;
        self.shared.files.lookups.lock().insert(location.to_owned(), found.clone());
        Ok(found)
    }

    fn lookup_uncached(&self, location: &str) -> Result<Option<PathBuf>> {
        if let (Some(flake), Some(loader)) =
            (location.strip_prefix("flake:"), &self.shared.settings.flakes)
        {
            return (loader.1)(self, flake).map(Some);
        }
        if paths::is_pseudo_url(location) {
            let url = match location.strip_prefix("channel:") {
                Some(channel) => format!("https://channels.nixos.org/{channel}/nixexprs.tar.xz"),
                None => location.to_owned(),
            };
            let what = crate::io::Fetch { url: &url, name: "source", unpack: true, hash: None };
            match self.shared.io.fetch(&what) {
                Ok(path) => return Ok(Some(PathBuf::from(self.store_dir().print(&path)))),
                Err(_) => {
                    self.shared.io.message(
                        format!("warning: Nix search path entry '{location}' cannot be downloaded, ignoring")
                            .as_bytes(),
                    );
                }
            }
        }
        let absolute = if location.starts_with('/') {
            location.as_bytes().to_vec()
        } else {
            let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
            cwd.join(location).into_os_string().into_encoded_bytes()
        };
        let path = paths::canonical(&absolute);
        let path = as_path(&path);
        let exists = self
            .resolve_links(path, true)
            .ok()
            .and_then(|p| self.kind(&p).ok().flatten())
            .is_some();
        if exists {
            return Ok(Some(path.to_owned()));
        }
        // one that may not be looked at is an error, one that is not there is not
        self.shared.io.check_path(path)?;
        self.shared.io.message(
            format!("warning: Nix search path entry '{location}' does not exist, ignoring")
                .as_bytes(),
        );
        Ok(None)
    }

    /// What `<name>` means with this search path.
    ///
    /// # Errors
    /// If nothing has that name.
    pub fn find_file(
        &self,
        search_path: &[(String, String)],
        name: &str,
        pos: PosId,
    ) -> Result<PathBuf> {
        for (prefix, location) in search_path {
            let n = prefix.len();
            if !name.starts_with(prefix.as_str()) {
                continue;
            }
            let suffix = if n > 0 && n < name.len() {
                match name[n..].strip_prefix('/') {
                    Some(rest) => rest,
                    None => continue,
                }
            } else {
                &name[n..]
            };
            let Some(root) = self.lookup_location(location)? else { continue };
            let full = paths::canonical(root.join(suffix).as_os_str().as_bytes());
            let target = self.resolve_links(as_path(&full), true)?;
            if self.kind(&target)?.is_some() {
                return Ok(target);
            }
        }
        if let Some(rest) = name.strip_prefix("nix/") {
            return Ok(PathBuf::from(crate::builtins::internal_name(rest)));
        }
        Err(Error::new(
            Kind::Throw,
            if self.shared.settings.pure {
                format!(
                    "cannot look up '<{name}>' in pure evaluation mode (use '--impure' to override)"
                )
            } else {
                format!(
                    "file '{name}' was not found in the Nix search path (add it using $NIX_PATH or -I)"
                )
            },
        )
        .at(pos))
    }
}
