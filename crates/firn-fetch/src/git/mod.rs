//! Git repositories as inputs, by way of the program `git`: working trees as they are, and commits out of
//! clones that are kept in the cache folder.
//!
//! | file | holds |
//! | --- | --- |
//! | `facts` | what is remembered of commits |
//! | `lfs` | Git LFS |
//! | `program` | running `git` |
//! | `tree` | a commit's files |
//! | `verify` | signatures of commits |
//! | `workdir` | a working tree's files |

mod facts;
mod lfs;
mod program;
#[cfg(test)]
mod tests;
mod tree;
mod verify;
mod workdir;

pub use program::GitError;

use crate::FetchSettings;
use firn_model::input::{Attr, Attrs, Input, InputUrl};
use firn_model::{Hash, HashAlgo};
use program::{Repository, io, plain, run};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How to fetch.
#[derive(Clone, Debug)]
pub struct GitOptions {
    /// Where clones are kept.
    pub cache_dir: PathBuf,
    /// How long a branch that was fetched counts as current (`tarball-ttl`).
    pub ttl: Duration,
    /// Whether working trees may differ from their commit (`allow-dirty`).
    pub allow_dirty: bool,
    /// Whether to warn when they do (`warn-dirty`).
    pub warn_dirty: bool,
    /// How files are downloaded (for Git LFS).
    pub fetch: FetchSettings,
}

/// Where the files of a Git input are.
#[derive(Debug)]
pub enum GitFiles {
    /// In a folder of their own, which goes away with this.
    Copied(tempfile::TempDir),
    /// In a working tree, of which only these files count.
    InPlace {
        /// The working tree.
        path: PathBuf,
        /// The files, relative to it.
        files: BTreeSet<PathBuf>,
        /// A file that is not as the commit has it, if there is one.
        changed: Option<PathBuf>,
    },
}

/// A Git input that was fetched.
#[derive(Debug)]
pub struct GitTree {
    /// The files.
    pub files: GitFiles,
    /// The input with all that became known: commit, time, number of commits.
    pub input: Input,
    /// Things to tell the user.
    pub warnings: Vec<String>,
}

/// The first branch of clones in the cache; nothing looks at it.
const NO_BRANCH: &str = "init.defaultBranch=__nix_dummy_branch";

/// Fetches a Git input.
///
/// # Errors
/// If `git` fails, or the commit is not to be had.
pub fn fetch(input: &Input, options: &GitOptions) -> Result<GitTree, GitError> {
    let mut warnings = Vec::new();
    fetch_at(input, options, &mut warnings, 0).map(|(files, input)| GitTree {
        files,
        input,
        warnings,
    })
}

/// Submodules within submodules; more are a circle.
const MAX_DEPTH: u32 = 32;

fn fetch_at(
    input: &Input,
    options: &GitOptions,
    warnings: &mut Vec<String>,
    depth: u32,
) -> Result<(GitFiles, Input), GitError> {
    if depth > MAX_DEPTH {
        return Err(GitError::Input(format!(
            "the submodules of '{}' are nested too deeply",
            input.shown()
        )));
    }
    if let Some(rev) = input.rev()?
        && !matches!(rev.algo(), HashAlgo::Sha1 | HashAlgo::Sha256)
    {
        return Err(GitError::Input(format!(
            "Hash '{}:{}' is not supported by Git. Supported types are sha1 and sha256.",
            rev.algo(),
            rev.to_base16()
        )));
    }
    if input.flag("exportIgnore") && input.flag("submodules") {
        return Err(GitError::Input(
            "exportIgnore and submodules are not supported together yet".into(),
        ));
    }
    let mut url = InputUrl::parse(input.text("url").unwrap_or_default(), false)?;
    let force = std::env::var_os("_NIX_FORCE_HTTP").is_some_and(|v| v == "1");
    if url.scheme == "file" {
        let path = PathBuf::from(url.plain_path());
        let bare = path.exists() && !path.join(".git").exists();
        if !bare && !force {
            if !path.exists() {
                let path = path.display();
                return Err(GitError::Input(format!("Git repository \"{path}\" does not exist.")));
            }
            if !path.is_absolute() {
                warnings.push(format!(
                    "Fetching Git repository '{url}', which uses a path relative to the current directory. \
                     This is not supported and will stop working in a future release. \
                     See https://github.com/NixOS/nix/issues/12281 for details."
                ));
            }
            let path = std::path::absolute(&path).map_err(io("resolving path", &path))?;
            let local = Repository { path, bare: false };
            return if input.text("ref").is_none() && input.text("rev").is_none() {
                from_workdir(input, &local, options, warnings, depth)
            } else {
                from_commit(input, Source::Local(local), options, warnings, depth)
            };
        }
        url.query.clear();
    }
    url.query.remove("dir");
    from_commit(input, Source::Remote(url.to_string()), options, warnings, depth)
}

fn from_workdir(
    input: &Input,
    repository: &Repository,
    options: &GitOptions,
    warnings: &mut Vec<String>,
    depth: u32,
) -> Result<(GitFiles, Input), GitError> {
    let mut input = input.clone();
    let mut found = workdir::look(repository)?;
    let export_ignore = input.flag("exportIgnore");
    if export_ignore {
        workdir::drop_ignored(repository, &mut found.files)?;
    }
    if input.flag("submodules") {
        for folder in &found.submodules {
            let path = repository.path.join(folder);
            let attrs = Attrs::from([
                ("type".into(), "git".into()),
                (
                    "url".into(),
                    InputUrl::of_path("file", &path.to_string_lossy()).to_string().into(),
                ),
                ("exportIgnore".into(), Attr::Bool(export_ignore)),
                ("submodules".into(), Attr::Bool(true)),
            ]);
            let inner = Input::from_attrs(attrs, &|_| true)?;
            let (files, inner) = fetch_at(&inner, options, warnings, depth + 1)?;
            // A submodule that differs from its commit makes this tree differ too.
            found.dirty |= inner.text("rev").is_none();
            if let GitFiles::InPlace { files, .. } = files {
                found.files.extend(files.into_iter().map(|file| folder.join(file)));
            }
        }
    }
    let shown = repository.path.display();
    let verified = verify::is_wanted(&input)?;
    if found.dirty {
        if verified {
            return Err(GitError::Input(format!(
                "commit verification is required for Git repository '{shown}', but it's dirty"
            )));
        }
        if !options.allow_dirty {
            return Err(GitError::Input(format!("Git tree '{shown}' is dirty")));
        }
        if options.warn_dirty {
            warnings.push(format!("Git tree '{shown}' is dirty"));
        }
        if let Some(head) = &found.head {
            input.attrs.insert("dirtyRev".into(), format!("{head}-dirty").into());
            let short = head.get(..7).unwrap_or(head);
            input.attrs.insert("dirtyShortRev".into(), format!("{short}-dirty").into());
        }
    } else {
        let cut = repository.line(&["rev-parse", "--is-shallow-repository"])? == "true";
        if cut && !input.flag("shallow") {
            return Err(GitError::Input(format!(
                "'{shown}' is a shallow Git repository, but shallow repositories are only allowed when `shallow = true;` is specified"
            )));
        }
        if let Ok(branch) = repository.line(&["symbolic-ref", "--quiet", "HEAD"]) {
            input.attrs.insert("ref".into(), branch.into());
        }
        // A repository without commits has a commit of zeros.
        let rev = found.head.clone().unwrap_or_else(|| "0".repeat(40));
        if verified {
            verify::check(&input, repository, &rev)?;
        }
        input.attrs.insert("rev".into(), rev.into());
        if !input.flag("shallow") {
            let count = match &found.head {
                Some(head) => rev_count(repository, head, options)?,
                None => 0,
            };
            input.attrs.insert("revCount".into(), Attr::Int(count));
        }
    }
    let time = match &found.head {
        Some(head) => commit_time(repository, head, options)?,
        None => 0,
    };
    input.attrs.insert("lastModified".into(), Attr::Int(time));
    let (files, changed) = (found.files, found.changed);
    let files = GitFiles::InPlace { path: repository.path.clone(), files, changed };
    Ok((files, input))
}

enum Source {
    Local(Repository),
    Remote(String),
}

fn from_commit(
    input: &Input,
    source: Source,
    options: &GitOptions,
    warnings: &mut Vec<String>,
    depth: u32,
) -> Result<(GitFiles, Input), GitError> {
    let mut input = input.clone();
    let remote = match &source {
        Source::Remote(url) => Some(url.clone()),
        Source::Local(_) => None,
    };
    let (repository, shown, name) = match source {
        Source::Local(repository) => {
            let shown = repository.path.display().to_string();
            let name = match input.text("ref") {
                Some(name) => name.to_owned(),
                None => repository
                    .line(&["symbolic-ref", "--quiet", "HEAD"])
                    .unwrap_or_else(|_| "master".into()),
            };
            (repository, shown, name)
        }
        Source::Remote(url) => {
            let (repository, name) = update_clone(&input, &url, options, warnings)?;
            (repository, url, name)
        }
    };
    input.attrs.insert("ref".into(), name.as_str().into());
    let rev = match input.rev()? {
        Some(rev) => {
            let rev = rev.to_base16();
            if repository.commit(&rev).is_none() {
                return Err(GitError::Input(format!(
                    "Cannot find Git revision '{rev}' in ref '{name}' of repository '{shown}'! \
                     Please make sure that the rev exists on the ref you've specified or add \
                     allRefs = true; to fetchGit."
                )));
            }
            rev
        }
        None => find_ref(&repository, &name).ok_or_else(|| {
            GitError::Input(format!("resolving Git reference '{name}': revspec '{name}' not found"))
        })?,
    };
    if verify::is_wanted(&input)? {
        verify::check(&input, &repository, &rev)?;
    }
    input.attrs.insert("rev".into(), rev.as_str().into());
    let shallow = input.flag("shallow");
    if !shallow && repository.line(&["rev-parse", "--is-shallow-repository"])? == "true" {
        return Err(GitError::Input(format!(
            "'{shown}' is a shallow Git repository, but shallow repositories are only allowed when `shallow = true;` is specified"
        )));
    }
    input.attrs.insert("lastModified".into(), Attr::Int(commit_time(&repository, &rev, options)?));
    if !shallow {
        input.attrs.insert("revCount".into(), Attr::Int(rev_count(&repository, &rev, options)?));
    }
    let dir = tempfile::tempdir().map_err(io("creating a folder in", Path::new("/tmp")))?;
    let out = dir.path().join("source");
    fs::create_dir(&out).map_err(io("creating directory", &out))?;
    let links = tree::write(&repository, &rev, input.flag("exportIgnore"), &out)?;
    if input.flag("lfs") {
        let marked = tree::marked(&repository, &rev, "filter", b"lfs")?;
        lfs::smudge(&repository, remote.as_deref(), marked, &out, options, warnings)?;
    }
    if input.flag("submodules") {
        for link in links {
            let place = out.join(&link.path);
            let mut inner = submodule(&repository, &rev, &link.path, &link.id, &shown, &name)?;
            if input.flag("lfs") {
                inner.attrs.insert("lfs".into(), Attr::Bool(true));
            }
            if let (GitFiles::Copied(copy), _) = fetch_at(&inner, options, warnings, depth + 1)? {
                fs::remove_dir(&place).map_err(io("removing directory", &place))?;
                let from = copy.path().join("source");
                fs::rename(&from, &place).map_err(io("moving directory", &from))?;
            }
        }
    }
    Ok((GitFiles::Copied(dir), input))
}

/// A submodule of a commit as an input.
fn submodule(
    repository: &Repository,
    rev: &str,
    path: &Path,
    commit: &str,
    parent_url: &str,
    parent_ref: &str,
) -> Result<Input, GitError> {
    let shown = path.to_string_lossy();
    let blob = format!("{rev}:.gitmodules");
    let config = |args: &[&str]| {
        let mut all = vec!["config", "--blob", &blob];
        all.extend_from_slice(args);
        repository.line(&all)
    };
    let paths = config(&["--get-regexp", r"^submodule\..*\.path$"])?;
    let missing =
        || GitError::Input(format!("'.gitmodules' says nothing of the submodule '{shown}'"));
    let section = paths
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(_, value)| *value == shown)
        .and_then(|(key, _)| key.strip_suffix(".path"))
        .ok_or_else(missing)?;
    let url = config(&["--get", &format!("{section}.url")])?;
    // of a clone that somebody works in, submodules are where its origin says
    let origin = repository.line(&["config", "--get", "remote.origin.url"]).ok();
    let origin = origin.filter(|url| !repository.bare && !url.is_empty());
    let url = resolve_url(&url, origin.as_deref().unwrap_or(parent_url));
    let mut attrs = Attrs::from([
        ("type".into(), "git".into()),
        ("url".into(), url.into()),
        ("rev".into(), commit.into()),
        ("exportIgnore".into(), Attr::Bool(false)),
        ("submodules".into(), Attr::Bool(true)),
        ("allRefs".into(), Attr::Bool(true)),
    ]);
    if let Ok(branch) = config(&["--get", &format!("{section}.branch")]) {
        let branch = if branch == "." { parent_ref.to_owned() } else { branch };
        attrs.insert("ref".into(), branch.into());
    }
    Ok(Input::from_attrs(attrs, &|_| true)?)
}

/// A submodule's URL; `./` and `../` are relative to the repository's.
fn resolve_url(url: &str, parent: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return url.to_owned();
    }
    let (head, path) = match parent.find("://") {
        Some(at) => {
            let host = parent[at + 3..].find('/').map_or(parent.len(), |i| at + 3 + i);
            parent.split_at(host)
        }
        None => ("", parent),
    };
    let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    for part in url.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("{head}/{}", parts.join("/"))
}

/// The commit that a branch, a tag, or a name below `refs/` stands for.
fn find_ref(repository: &Repository, name: &str) -> Option<String> {
    if name == "HEAD" || name.starts_with("refs/") {
        return repository.commit(name);
    }
    repository
        .commit(&format!("refs/heads/{name}"))
        .or_else(|| repository.commit(&format!("refs/tags/{name}")))
        .or_else(|| repository.commit(name))
}

/// Makes sure that the clone of a remote repository has what the input asks for; gives the clone and the
/// name of the branch.
fn update_clone(
    input: &Input,
    url: &str,
    options: &GitOptions,
    warnings: &mut Vec<String>,
) -> Result<(Repository, String), GitError> {
    let shallow = input.flag("shallow");
    let key = Hash::digest(HashAlgo::Sha256, url.as_bytes()).to_base32();
    let suffix = if shallow { "-shallow" } else { "" };
    let path = options.cache_dir.join(format!("{key}{suffix}"));
    fs::create_dir_all(&options.cache_dir).map_err(io("creating directory", &options.cache_dir))?;
    // One process at a time changes the clone.
    let lock_path = options.cache_dir.join(format!("{key}{suffix}.lock"));
    let lock = fs::File::create(&lock_path).map_err(io("creating file", &lock_path))?;
    lock.lock().map_err(io("locking", &lock_path))?;
    let clone = Repository { path, bare: true };
    if !clone.path.join("config").exists() {
        let mut init = plain();
        init.args(["-c", NO_BRANCH, "init", "--quiet", "--bare", "--"]).arg(&clone.path);
        run(&mut init, None)?;
    }
    let name = match input.text("ref") {
        Some(name) => name.to_owned(),
        None => remote_head(&clone, url, options, warnings),
    };
    let stamp = match name.strip_prefix("refs/") {
        Some(_) => clone.path.join(&name),
        None => clone.path.join("refs/heads").join(&name),
    };
    let rev = input.rev()?.map(|rev| rev.to_base16());
    let wanted = match &rev {
        Some(rev) => clone.commit(rev).is_none(),
        None => input.flag("allRefs") || !is_fresh(&stamp, options.ttl),
    };
    if !wanted {
        return Ok((clone, name));
    }
    let refspec = if input.flag("allRefs") {
        "refs/*:refs/*".to_owned()
    } else if let Some(rev) = &rev {
        rev.clone()
    } else if name.starts_with("refs/") {
        format!("{name}:{name}")
    } else if name == "HEAD" {
        "HEAD:HEAD".to_owned()
    } else {
        format!("refs/heads/{name}:refs/heads/{name}")
    };
    let mut args = vec!["fetch", "--quiet", "--force"];
    if shallow {
        args.extend(["--depth", "1"]);
    }
    args.extend(["--", url, &refspec]);
    if let Err(e) = clone.output(&args) {
        if find_ref(&clone, &name).is_none() || rev.is_some() {
            let message = match e {
                GitError::Failed { message, .. } => message,
                other => return Err(other),
            };
            return Err(GitError::Fetch { url: crate::redact(url), message });
        }
        warnings.push(format!("{e}"));
        warnings.push(format!(
            "could not update local clone of Git repository '{url}'; continuing with the most recent version"
        ));
    }
    if rev.is_none()
        && let Ok(file) = fs::File::options().append(true).open(&stamp)
    {
        // Only the clone's age: if it cannot be set, the branch is fetched again next time.
        let _ = file.set_modified(SystemTime::now());
    }
    if input.text("ref").is_none()
        && name.starts_with("refs/")
        && clone.output(&["symbolic-ref", "--", "HEAD", &name]).is_err()
    {
        warnings.push(format!("could not update cached head '{name}' for '{url}'"));
    }
    Ok((clone, name))
}

fn is_fresh(file: &Path, ttl: Duration) -> bool {
    fs::metadata(file)
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok())
        .is_some_and(|age| age < ttl)
}

/// The branch that a remote repository's `HEAD` is on: as the clone remembers it, or as the remote says.
fn remote_head(
    clone: &Repository,
    url: &str,
    options: &GitOptions,
    warnings: &mut Vec<String>,
) -> String {
    let cached = clone
        .line(&["symbolic-ref", "--quiet", "HEAD"])
        .ok()
        .filter(|name| find_ref(clone, name).is_some());
    if let Some(name) = &cached
        && is_fresh(&clone.path.join("HEAD"), options.ttl)
    {
        return name.clone();
    }
    let mut ask = plain();
    ask.args(["ls-remote", "--symref", "--", url, "HEAD"]);
    let asked = run(&mut ask, None).ok().and_then(|out| {
        let text = String::from_utf8_lossy(&out).into_owned();
        let line = text.lines().next()?;
        match line.strip_prefix("ref: ") {
            Some(rest) => rest.split('\t').next().map(str::to_owned),
            None => line.split('\t').next().map(|_| "HEAD".to_owned()),
        }
    });
    match (asked, cached) {
        (Some(name), _) => name,
        (None, Some(name)) => {
            warnings.push(format!(
                "could not get HEAD ref for repository '{url}'; using expired cached ref '{name}'"
            ));
            name
        }
        (None, None) => {
            warnings.push(format!("could not read HEAD ref from repo at '{url}', using 'master'"));
            "master".to_owned()
        }
    }
}

fn number(text: &str, what: &str) -> Result<u64, GitError> {
    text.parse().map_err(|_| GitError::Input(format!("'git' gave '{text}' as {what}")))
}

fn commit_time(repository: &Repository, rev: &str, options: &GitOptions) -> Result<u64, GitError> {
    facts::of(options, "lastModified", rev, true, || {
        let args = ["show", "--no-patch", "--no-show-signature", "--format=%ct", rev];
        number(&repository.line(&args)?, "a commit's time")
    })
}

fn rev_count(repository: &Repository, rev: &str, options: &GitOptions) -> Result<u64, GitError> {
    // where history is cut off, the number is not that of the commit
    let cut = repository.line(&["rev-parse", "--is-shallow-repository"])? == "true";
    facts::of(options, "revCount", rev, !cut, || {
        number(&repository.line(&["rev-list", "--count", rev])?, "the number of commits")
    })
}
