//! Fetching while evaluating: files, archives and trees, into the store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::fetch_cache::{FetchCache, Remembered};
use super::local_tree::{Checkout, LocalTree};
use firn_eval::io::{Fetch, FetchedTree, TreePlace};
use firn_eval::trees::LazyTree;
use firn_event::{Level, Logger};
use firn_fetch::git::{self, GitError, GitFiles, GitOptions, GitTree};
use firn_fetch::hosted::{self, HostedUrl};
use firn_fetch::{Downloaded, Downloader, FetchSettings, FileSink, MemorySink, Request};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::input::{Attr, Input, InputUrl};
use firn_model::store_path::{References, StorePath};
use firn_store::settings::Settings;
use firn_store::{FileKind, Repair, Store};

/// What fetching needs.
#[derive(Clone)]
pub struct Fetching {
    /// Where things are put.
    pub store: Arc<dyn Store>,
    /// How to download.
    pub settings: FetchSettings,
    /// Where messages go.
    pub logger: Logger,
    /// How to fetch Git repositories.
    pub git: GitOptions,
    /// `access-tokens`
    pub tokens: Vec<(String, String)>,
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// Where what was fetched is kept.
pub fn cache_folder() -> PathBuf {
    std::env::var_os("NIX_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("XDG_CACHE_HOME").map(|dir| Path::new(&dir).join("nix")))
        .or_else(|| std::env::var_os("HOME").map(|dir| Path::new(&dir).join(".cache/nix")))
        .unwrap_or_else(|| std::env::temp_dir().join("nix-cache"))
}

/// How the settings say to fetch Git repositories.
pub fn git_options(settings: &Settings, fetch: &FetchSettings) -> GitOptions {
    GitOptions {
        cache_dir: cache_folder().join("gitv3"),
        ttl: Duration::from_secs(settings.number("tarball-ttl")),
        allow_dirty: settings.bool("allow-dirty"),
        warn_dirty: settings.bool("warn-dirty"),
        fetch: fetch.clone(),
    }
}

/// The pairs of `access-tokens`: `host=token`.
pub fn access_tokens(settings: &Settings) -> Vec<(String, String)> {
    let pair = |word: String| {
        word.split_once('=').map(|(host, token)| (host.to_owned(), token.to_owned()))
    };
    settings.words("access-tokens").into_iter().filter_map(pair).collect()
}

impl Fetching {
    /// Downloads what evaluation asks for, unless its hash says that it is there.
    pub fn file(&self, what: &Fetch<'_>) -> Result<StorePath, String> {
        let method = if what.unpack { Method::Nar } else { Method::Flat };
        if let Some(hash) = what.hash {
            let ca = ContentAddress { method, hash };
            let path = self
                .store
                .store_dir()
                .make_fixed_output_path(what.name, &ca, &References::default())
                .map_err(text)?;
            if self.store.is_valid(&path).map_err(text)? {
                self.store.add_temp_root(&path).map_err(text)?;
                return Ok(path);
            }
        }
        let kind = if what.unpack { "tarball" } else { "file" };
        if what.hash.is_none()
            && let Some((path, _)) = self.remembered(kind, what.name, what.url)?
        {
            return Ok(path);
        }
        let dir = temporary()?;
        let file = dir.path().join("file");
        let done = self.download(&plain_url(what.url), &file)?;
        let (source, modified) = if what.unpack { unpack(&file, dir.path())? } else { (file, 0) };
        let algo = what.hash.as_ref().map_or(HashAlgo::Sha256, Hash::algo);
        let path = self.add(what.name, &source, method, algo)?;
        if let Some(wanted) = what.hash {
            let info = self.store.path_info(&path).map_err(text)?;
            if let Some(got) = info.ca.as_ref().filter(|ca| ca.hash != wanted) {
                return Err(format!(
                    "hash mismatch in file downloaded from '{}':\n  specified: {wanted}\n  got:       {}",
                    what.url, got.hash
                ));
            }
        } else {
            let immutable = done.immutable_url;
            let what_is = Remembered { path: path.base_name().to_owned(), modified, immutable };
            self.cache().put(kind, what.name, what.url, &what_is);
        }
        Ok(path)
    }

    /// Fetches a tree.
    pub fn tree(&self, input: &Input) -> Result<FetchedTree, String> {
        if !input.is_known() {
            let attrs = firn_model::input::to_json(&input.attrs);
            return Err(format!("cannot fetch unsupported input '{attrs}'"));
        }
        if let Some(path) = self.locked(input)? {
            self.note_origin(&path, input, None);
            return Ok(FetchedTree::stored(path, input.clone()));
        }
        let mut checkout = None;
        let (path, input) = match input.kind() {
            "git" => self.git(input, &mut checkout)?,
            "hg" => self.mercurial(input)?,
            "path" => match self.installed(input)? {
                Some(path) => (path, input.clone()),
                None => self.path(input)?,
            },
            "file" => self.plain_file(input)?,
            "tarball" => self.tarball(input)?,
            _ => self.hosted(input)?,
        };
        let (path, input) = self.finish(path, input, checkout)?;
        Ok(FetchedTree::stored(path, input))
    }

    /// Adds to the input of a tree in the store what the store knows.
    fn finish(
        &self,
        path: StorePath,
        mut input: Input,
        checkout: Option<PathBuf>,
    ) -> Result<(StorePath, Input), String> {
        let hash = self.store.path_info(&path).map_err(text)?.nar_hash;
        self.note_origin(&path, &input, checkout);
        input.attrs.insert("narHash".into(), hash.to_sri().into());
        Ok((path, input))
    }

    /// As [`Fetching::tree`], but a tree of this machine is left where it is until somebody asks for its store path.
    pub fn open(&self, input: &Input) -> Result<FetchedTree, String> {
        // what must have a certain hash is hashed first
        if !input.is_known() || input.text("narHash").is_some() {
            return self.tree(input);
        }
        let (local, found) = match input.kind() {
            "git" => {
                let tree = self.git_tree(input)?;
                let GitFiles::InPlace { path, files, changed } = tree.files else {
                    return self.store_git(tree).and_then(|(path, input)| {
                        let (path, input) = self.finish(path, input, None)?;
                        Ok(FetchedTree::stored(path, input))
                    });
                };
                let input = tree.input.clone();
                let checkout = Checkout { files, changed };
                (LocalTree::new(self, path, tree.input, Some(checkout)), input)
            }
            "path" => {
                let path = PathBuf::from(input.text("path").unwrap_or_default());
                let plain = path.is_absolute()
                    && !path.starts_with(self.store.store_dir().as_str())
                    && path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
                if !plain {
                    return self.tree(input);
                }
                (LocalTree::new(self, path, input.clone(), None), input.clone())
            }
            _ => return self.tree(input),
        };
        let name = found.name().to_owned();
        let checkout = local.checkout();
        let lazy = LazyTree::new(self.store.store_dir(), &name, Box::new(local));
        self.note_root(lazy.root().to_owned(), &found, checkout);
        Ok(FetchedTree { place: TreePlace::Lazy(lazy), input: found })
    }

    /// Copies the files of a working tree.
    pub fn settle_checkout(
        &self,
        folder: &Path,
        files: &BTreeSet<PathBuf>,
        input: Input,
    ) -> Result<(StorePath, Input), String> {
        let path = self.copy_checkout(input.name(), folder, files)?;
        self.finish(path, input, Some(folder.to_owned()))
    }

    /// Copies a folder.
    pub fn settle_folder(&self, input: &Input) -> Result<(StorePath, Input), String> {
        let (path, input) = self.path(input)?;
        self.finish(path, input, None)
    }

    /// Notes what a tree is called in messages. A working tree is called by its folder.
    fn note_origin(&self, path: &StorePath, input: &Input, checkout: Option<PathBuf>) {
        self.note_root(PathBuf::from(self.store.store_dir().print(path)), input, checkout);
    }

    fn note_root(&self, root: PathBuf, input: &Input, checkout: Option<PathBuf>) {
        use firn_eval::trees::{TreeOrigin, note};
        let local = checkout.is_some() || input.kind() == "path";
        let shown = match &checkout {
            Some(dir) => Some(dir.display().to_string()),
            None if local => None,
            None => Some(format!("«{}»", input.shown())),
        };
        note(root, TreeOrigin { shown, checkout, local });
    }

    /// The tree of an input of which everything is known, if the store has it: a lock file's, mostly.
    fn locked(&self, input: &Input) -> Result<Option<StorePath>, String> {
        let complete = input.is_locked() && input.int("lastModified").is_some();
        let Some(hash) = input.nar_hash().map_err(text)?.filter(|_| complete) else {
            return Ok(None);
        };
        let address = ContentAddress { method: Method::Nar, hash };
        let path = self
            .store
            .store_dir()
            .make_fixed_output_path(input.name(), &address, &References::default())
            .map_err(text)?;
        if !self.store.is_valid(&path).map_err(text)? {
            return Ok(None);
        }
        self.store.add_temp_root(&path).map_err(text)?;
        Ok(Some(path))
    }

    fn cache(&self) -> FetchCache {
        FetchCache::new(self.git.cache_dir.with_file_name("firn-downloads"), self.git.ttl)
    }

    /// A download of not long ago that is still in the store.
    fn remembered(
        &self,
        kind: &str,
        name: &str,
        url: &str,
    ) -> Result<Option<(StorePath, Remembered)>, String> {
        // Files of this machine are looked at each time.
        if url.starts_with("file:") {
            return Ok(None);
        }
        let Some(found) = self.cache().get(kind, name, url) else { return Ok(None) };
        let Some(path) = found.store_path() else { return Ok(None) };
        self.store.add_temp_root(&path).map_err(text)?;
        Ok(self.store.is_valid(&path).map_err(text)?.then_some((path, found)))
    }

    fn add(
        &self,
        name: &str,
        source: &Path,
        method: Method,
        algo: HashAlgo,
    ) -> Result<StorePath, String> {
        self.store
            .add_path(name, source, method, algo, None, &BTreeSet::new(), Repair::No)
            .map_err(text)
    }

    /// Adds some files of a folder.
    fn add_files(
        &self,
        name: &str,
        root: &Path,
        files: &BTreeSet<PathBuf>,
    ) -> Result<StorePath, String> {
        let mut kept: BTreeSet<&Path> = BTreeSet::new();
        for file in files {
            kept.extend(file.ancestors());
        }
        let mut wanted = |path: &Path, _: FileKind| {
            Ok(path.strip_prefix(root).is_ok_and(|inner| kept.contains(inner)))
        };
        self.store
            .add_path(
                name,
                root,
                Method::Nar,
                HashAlgo::Sha256,
                Some(&mut wanted),
                &BTreeSet::new(),
                Repair::No,
            )
            .map_err(text)
    }

    /// Fetches from a Git repository; `checkout` becomes the working tree whose files were taken.
    fn git(
        &self,
        input: &Input,
        checkout: &mut Option<PathBuf>,
    ) -> Result<(StorePath, Input), String> {
        let tree = self.git_tree(input)?;
        if let GitFiles::InPlace { path, .. } = &tree.files {
            *checkout = Some(path.clone());
        }
        self.store_git(tree)
    }

    fn git_tree(&self, input: &Input) -> Result<GitTree, String> {
        let tree = git::fetch(input, &self.git).map_err(|e| {
            if let GitError::Fetch { message, .. } = &e {
                self.logger.warn(message.clone());
            }
            text(e)
        })?;
        for warning in &tree.warnings {
            self.logger.warn(warning.clone());
        }
        Ok(tree)
    }

    /// Puts the files of a repository into the store.
    fn store_git(&self, tree: GitTree) -> Result<(StorePath, Input), String> {
        let name = tree.input.name();
        let path = match &tree.files {
            GitFiles::Copied(dir) => {
                self.add(name, &dir.path().join("source"), Method::Nar, HashAlgo::Sha256)?
            }
            GitFiles::InPlace { path, files, .. } => self.copy_checkout(name, path, files)?,
        };
        Ok((path, tree.input))
    }

    fn copy_checkout(
        &self,
        name: &str,
        path: &Path,
        files: &BTreeSet<PathBuf>,
    ) -> Result<StorePath, String> {
        self.logger.message(Level::Chatty, format!("copying '{}/' to the store", path.display()));
        self.add_files(name, path, files)
    }

    fn mercurial(&self, input: &Input) -> Result<(StorePath, Input), String> {
        let tree = super::mercurial::fetch(input, &self.git)?;
        for warning in &tree.warnings {
            self.logger.warn(warning.clone());
        }
        self.store_git(tree)
    }

    fn path(&self, input: &Input) -> Result<(StorePath, Input), String> {
        let mut input = input.clone();
        let shown = input.text("path").unwrap_or_default().to_owned();
        if !shown.starts_with('/') {
            return Err(format!(
                "cannot fetch input '{}' because it uses a relative path",
                input.shown()
            ));
        }
        let (path, modified) = match self.store.store_dir().parse(&shown) {
            Ok(path) if path.name() == "source" && self.store.is_valid(&path).map_err(text)? => {
                self.store.add_temp_root(&path).map_err(text)?;
                (path, 0)
            }
            _ => {
                let source = Path::new(&shown);
                let modified = latest(source).map_err(|e| {
                    let hint = match input.text("narHash") {
                        Some(_) => "\n'nix flake update' locks what there is on this machine",
                        None => "",
                    };
                    format!("reading '{shown}': {e}{hint}")
                })?;
                (self.add("source", source, Method::Nar, HashAlgo::Sha256)?, modified)
            }
        };
        input.attrs.entry("lastModified".into()).or_insert(Attr::Int(modified));
        Ok((path, input))
    }

    /// The distribution of this program, if it is what a lock file of another machine, or of another place on this one,
    /// has locked.
    fn installed(&self, input: &Input) -> Result<Option<StorePath>, String> {
        let Some(wanted) = input.nar_hash().map_err(text)? else { return Ok(None) };
        let there = input.text("path").is_some_and(|path| Path::new(path).exists());
        let Some((own, _)) = super::flakes::own_tree().filter(|_| !there) else { return Ok(None) };
        let path = self.add("source", &own, Method::Nar, HashAlgo::Sha256)?;
        Ok((self.store.path_info(&path).map_err(text)?.nar_hash == wanted).then_some(path))
    }

    fn plain_file(&self, input: &Input) -> Result<(StorePath, Input), String> {
        let dir = temporary()?;
        let file = dir.path().join("file");
        let url = input.text("url").unwrap_or_default().to_owned();
        self.download(&plain_url(&url), &file)?;
        let path = self.add(input.name(), &file, Method::Nar, HashAlgo::Sha256)?;
        Ok((path, input.clone()))
    }

    fn tarball(&self, input: &Input) -> Result<(StorePath, Input), String> {
        let url = input.text("url").unwrap_or_default().to_owned();
        check_local(&url)?;
        let (path, found) = match self.remembered("tarball", input.name(), &url)? {
            Some(found) => found,
            None => {
                let dir = temporary()?;
                let file = dir.path().join("file");
                let done = self.download(&plain_url(&url), &file)?;
                let (source, modified) = unpack(&file, dir.path())?;
                let path = self.add(input.name(), &source, Method::Nar, HashAlgo::Sha256)?;
                let found = Remembered {
                    path: path.base_name().to_owned(),
                    modified,
                    immutable: done.immutable_url,
                };
                self.cache().put("tarball", input.name(), &url, &found);
                (path, found)
            }
        };
        let modified = found.modified;
        let mut input = match found.immutable {
            Some(url) => {
                let url = InputUrl::parse(&url, false).map_err(text)?;
                let found = Input::from_url(&url, true, &|_| true).map_err(text)?;
                if found.kind() != "tarball" {
                    return Err(
                        "tarball 'Link' headers that redirect to non-tarball URLs are not supported"
                            .into(),
                    );
                }
                found
            }
            None => input.clone(),
        };
        if modified > 0 {
            input.attrs.entry("lastModified".into()).or_insert(Attr::Int(modified));
        }
        Ok((path, input))
    }

    fn hosted(&self, input: &Input) -> Result<(StorePath, Input), String> {
        let mut input = input.clone();
        let rev = match input.rev().map_err(text)? {
            Some(rev) => rev.to_base16(),
            None => self.hosted_commit(&input)?,
        };
        input.attrs.remove("ref");
        input.attrs.insert("rev".into(), rev.as_str().into());
        let dir = temporary()?;
        let file = dir.path().join("file");
        self.download(&hosted::archive_url(&input, &rev, &self.tokens), &file)?;
        let (source, modified) = unpack(&file, dir.path())?;
        let path = self.add(input.name(), &source, Method::Nar, HashAlgo::Sha256)?;
        input.attrs.insert("lastModified".into(), Attr::Int(modified));
        Ok((path, input))
    }

    /// The commit that the branch of a hosted repository stands for.
    fn hosted_commit(&self, input: &Input) -> Result<String, String> {
        let mut name = input.text("ref").unwrap_or("HEAD").to_owned();
        if input.kind() == "sourcehut" && name == "HEAD" {
            let head = self.read(&hosted::head_url(input, &self.tokens))?;
            let head = String::from_utf8_lossy(&head).into_owned();
            name = head.trim().strip_prefix("ref: ").unwrap_or("refs/heads/master").to_owned();
        }
        let (url, answer) = hosted::commit_url(input, &name, &self.tokens);
        let text = self.read(&url)?;
        hosted::commit_of(answer, &name, &text).ok_or_else(|| {
            format!("'{}' does not say which commit '{name}' is", firn_fetch::redact(&url.url))
        })
    }

    fn downloader(&self) -> Result<Downloader, String> {
        Downloader::new(self.settings.clone(), self.logger.clone()).map_err(text)
    }

    fn read(&self, from: &HostedUrl) -> Result<Vec<u8>, String> {
        let mut request = Request::new(from.url.clone());
        request.headers = from.headers.clone();
        let mut sink = MemorySink::default();
        self.downloader()?.download(&request, &mut sink, 0).map_err(text)?;
        Ok(sink.bytes)
    }

    fn download(&self, from: &HostedUrl, file: &Path) -> Result<Downloaded, String> {
        let downloader = self.downloader()?;
        if from.headers.is_empty() {
            let urls = self.settings.mirrors.resolve(&from.url).map_err(text)?;
            return downloader.download_file(&urls, file, None, 0).map_err(text);
        }
        let mut request = Request::new(from.url.clone());
        request.headers = from.headers.clone();
        let out = std::fs::File::create(file).map_err(text)?;
        downloader.download(&request, &mut FileSink::new(out, None), 0).map_err(text)
    }
}

fn plain_url(url: &str) -> HostedUrl {
    HostedUrl { url: url.to_owned(), headers: Vec::new() }
}

fn temporary() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|e| format!("making a temporary folder: {e}"))
}

/// A tarball on this machine must be a file.
fn check_local(url: &str) -> Result<(), String> {
    let Some(path) = url.strip_prefix("file://") else { return Ok(()) };
    let path = firn_model::input::url::percent_decode(path.split('?').next().unwrap_or(path))
        .map_err(text)?;
    let local = Path::new(&path);
    if !local.exists() {
        return Err(format!("tarball \"{path}\" does not exist."));
    }
    if local.is_dir() {
        return Err(if local.join(".git").exists() {
            format!(
                "tarball \"{path}\" is a git repository, not a tarball. Please use `git+file` as the scheme."
            )
        } else {
            format!("tarball \"{path}\" is a directory, not a file.")
        });
    }
    Ok(())
}

/// Unpacks an archive beneath `dir`. Gives its only folder, or the folder with all that is in it, and the time
/// of the newest member.
fn unpack(file: &Path, dir: &Path) -> Result<(PathBuf, u64), String> {
    let out = dir.join("unpacked");
    std::fs::create_dir(&out).map_err(text)?;
    let modified = firn_build::builtin::unpack_tarball(file, &out).map_err(text)?;
    let mut entries = std::fs::read_dir(&out).map_err(text)?;
    if let (Some(Ok(entry)), None) = (entries.next(), entries.next())
        && entry.file_type().map_err(text)?.is_dir()
    {
        return Ok((entry.path(), modified));
    }
    Ok((out, modified))
}

/// When something in a tree was changed last, in seconds since 1970.
fn latest(path: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let meta = path.symlink_metadata()?;
    let mut newest = u64::try_from(meta.mtime()).unwrap_or(0);
    if meta.is_dir() {
        for entry in std::fs::read_dir(path)? {
            newest = newest.max(latest(&entry?.path())?);
        }
    }
    Ok(newest)
}
