//! Git LFS: the files of a commit that are pointers become what they point to.
//!
//! Pointers, the batch API and `git-lfs-authenticate` are defined in git-lfs's `docs/spec.md`,
//! `docs/api/batch.md` and `docs/api/authentication.md`. What is fetched has the SHA-256 that the pointer names,
//! so it is kept and used for every repository, and a server cannot give anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use firn_event::Logger;
use firn_model::input::InputUrl;
use firn_model::{Hash, HashAlgo};
use serde::Deserialize;
use serde_json::json;

use super::GitOptions;
use super::program::{GitError, Repository, io, run};
use crate::{Downloader, Exchange, FileSink, Payload, Request};

/// Files that are larger are no pointers.
const MAX_POINTER: u64 = 1024;

/// How many objects are asked for at a time, as git-lfs does.
const BATCH: usize = 100;

const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// What a pointer file says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pointer {
    /// The SHA-256 in base-16.
    oid: String,
    size: u64,
}

impl Pointer {
    /// Reads a pointer file; `None` if it is none.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines();
        if lines.next()? != "version https://git-lfs.github.com/spec/v1" {
            return None;
        }
        let (mut oid, mut size) = (None, None);
        for line in lines {
            match line.split_once(' ')? {
                ("oid", hash) => oid = hash.strip_prefix("sha256:"),
                ("size", bytes) => size = bytes.parse().ok(),
                // extensions
                _ => {}
            }
        }
        let oid = oid.filter(|oid| {
            oid.len() == 64 && oid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })?;
        Some(Self { oid: oid.to_owned(), size: size? })
    }
}

#[derive(Deserialize)]
struct BatchAnswer {
    #[serde(default)]
    objects: Vec<BatchObject>,
}

#[derive(Deserialize)]
struct BatchObject {
    oid: String,
    #[serde(default)]
    actions: BTreeMap<String, Action>,
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct ObjectError {
    #[serde(default)]
    message: String,
}

/// Where something is and what to ask for it with.
#[derive(Debug, Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, String>,
}

/// Puts what pointers point to in place of those files below `out` that `paths` names and that are pointers.
pub(super) fn smudge(
    repository: &Repository,
    remote: Option<&str>,
    paths: BTreeSet<PathBuf>,
    out: &Path,
    options: &GitOptions,
    warnings: &mut Vec<String>,
) -> Result<(), GitError> {
    let mut pointers: BTreeMap<Pointer, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        let file = out.join(&path);
        let Ok(meta) = file.symlink_metadata() else { continue };
        if !meta.is_file() {
            continue;
        }
        let shown = path.display();
        if meta.len() >= MAX_POINTER {
            warnings.push(format!(
                "encountered file '{shown}' that should have been a git-lfs pointer, but is too large"
            ));
            continue;
        }
        match Pointer::parse(&fs::read(&file).map_err(io("reading file", &file))?) {
            Some(pointer) => pointers.entry(pointer).or_default().push(file),
            None => warnings.push(format!(
                "encountered file '{shown}' that should have been a git-lfs pointer, but is invalid"
            )),
        }
    }
    if pointers.is_empty() {
        return Ok(());
    }
    let cache = options.cache_dir.with_file_name("git-lfs");
    fs::create_dir_all(&cache).map_err(io("creating directory", &cache))?;
    let missing: Vec<&Pointer> =
        pointers.keys().filter(|pointer| !cache.join(&pointer.oid).is_file()).collect();
    if !missing.is_empty() {
        Server::of(repository, remote, options)?.fetch(&missing, &cache)?;
    }
    for (pointer, files) in &pointers {
        let kept = cache.join(&pointer.oid);
        for file in files {
            let mode = fs::metadata(file).map_err(io("reading file", file))?.permissions().mode();
            fs::remove_file(file).map_err(io("removing file", file))?;
            fs::copy(&kept, file).map_err(io("copying file", &kept))?;
            fs::set_permissions(file, fs::Permissions::from_mode(mode))
                .map_err(io("changing mode of file", file))?;
        }
    }
    Ok(())
}

/// An LFS server.
struct Server {
    /// The batch API's URL without `/objects/batch`, and header fields for it.
    api: Action,
    downloader: Downloader,
}

impl Server {
    /// The server that the repository's configuration names, or the one that belongs to the remote repository.
    fn of(
        repository: &Repository,
        remote: Option<&str>,
        options: &GitOptions,
    ) -> Result<Self, GitError> {
        let config = |name: &str| {
            repository.line(&["config", "--get", name]).ok().filter(|value| !value.is_empty())
        };
        let downloader = Downloader::new(options.fetch.clone(), Logger::silent())
            .map_err(|e| GitError::Input(e.to_string()))?;
        let api = match config("lfs.url") {
            Some(url) => Action { href: url, header: BTreeMap::new() },
            None => {
                let origin = config("remote.origin.url");
                let url = remote.map(str::to_owned).or(origin).ok_or_else(|| {
                    GitError::Input(format!(
                        "there are Git LFS files in '{}', but neither 'lfs.url' nor a remote 'origin' says where from",
                        repository.path.display()
                    ))
                })?;
                api_of(&url)?
            }
        };
        Ok(Self { api, downloader })
    }

    fn fetch(&self, pointers: &[&Pointer], cache: &Path) -> Result<(), GitError> {
        for batch in pointers.chunks(BATCH) {
            let mut answers: BTreeMap<String, BatchObject> =
                self.ask(batch)?.into_iter().map(|object| (object.oid.clone(), object)).collect();
            for pointer in batch {
                let oid = &pointer.oid;
                let missing = |why: &str| {
                    let server = crate::redact(&self.api.href);
                    GitError::Input(format!(
                        "the Git LFS server '{server}' has no object '{oid}'{why}"
                    ))
                };
                let mut object = answers.remove(oid).ok_or_else(|| missing(""))?;
                if let Some(error) = object.error {
                    return Err(missing(&format!(": {}", error.message)));
                }
                let download = object.actions.remove("download").ok_or_else(|| missing(""))?;
                self.download(pointer, &download, cache)?;
            }
        }
        Ok(())
    }

    fn ask(&self, pointers: &[&Pointer]) -> Result<Vec<BatchObject>, GitError> {
        let objects: Vec<_> =
            pointers.iter().map(|p| json!({"oid": p.oid, "size": p.size})).collect();
        let body = json!({
            "operation": "download",
            "transfers": ["basic"],
            "objects": objects,
            "hash_algo": "sha256",
        });
        let body = body.to_string();
        let url = format!("{}/objects/batch", self.api.href.trim_end_matches('/'));
        let mut headers = vec![
            ("Content-Type".to_owned(), MEDIA_TYPE.to_owned()),
            ("Accept".to_owned(), MEDIA_TYPE.to_owned()),
        ];
        headers.extend(self.api.header.clone());
        let exchange = Exchange {
            method: "POST",
            url: &url,
            headers,
            payload: Payload::Bytes(body.as_bytes()),
        };
        let answer =
            self.downloader.exchange(&exchange, 0).map_err(|e| GitError::Input(e.to_string()))?;
        let parsed: BatchAnswer = serde_json::from_slice(&answer.body).map_err(|e| {
            let shown = crate::redact(&url);
            GitError::Input(format!(
                "the answer of the Git LFS server '{shown}' makes no sense: {e}"
            ))
        })?;
        Ok(parsed.objects)
    }

    /// Downloads an object into the cache; it is there whole or not at all.
    fn download(&self, pointer: &Pointer, from: &Action, cache: &Path) -> Result<(), GitError> {
        let file = tempfile::NamedTempFile::new_in(cache).map_err(io("creating file in", cache))?;
        let open = file.reopen().map_err(io("opening file", file.path()))?;
        let mut sink = FileSink::new(open, Some(HashAlgo::Sha256));
        let request = Request {
            headers: from.header.clone().into_iter().collect(),
            ..Request::new(from.href.as_str())
        };
        let got = self
            .downloader
            .download(&request, &mut sink, 0)
            .map_err(|e| GitError::Input(e.to_string()))?;
        let shown = crate::redact(&from.href);
        if got.size != pointer.size {
            return Err(GitError::Input(format!(
                "size mismatch while fetching {shown}: expected {} but got {}",
                pointer.size, got.size
            )));
        }
        let hash = sink.finish().1.map(|hash: Hash| hash.to_base16()).unwrap_or_default();
        if hash != pointer.oid {
            return Err(GitError::Input(format!(
                "hash mismatch while fetching {shown}: expected sha256:{} but got sha256:{hash}",
                pointer.oid
            )));
        }
        let path = cache.join(&pointer.oid);
        file.persist(&path).map_err(|e| io("renaming file", &path)(e.error))?;
        Ok(())
    }
}

/// The LFS server that belongs to a remote repository: of one that is reached by SSH, a program there says it.
fn api_of(remote: &str) -> Result<Action, GitError> {
    // `host:path` and `user@host:path` are SSH, too
    let scp = !remote.contains("://")
        && remote.split_once(':').is_some_and(|(host, _)| !host.contains('/'));
    let text = match (scp, remote.split_once(':')) {
        (true, Some((host, path))) => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        _ => remote.to_owned(),
    };
    let url = InputUrl::parse(&text, false)?;
    match url.scheme.as_str() {
        "http" | "https" => Ok(Action {
            href: format!("{}/info/lfs", text.trim_end_matches('/')),
            header: BTreeMap::new(),
        }),
        "ssh" | "git+ssh" => authenticate(&text),
        other => Err(GitError::Input(format!(
            "Git LFS files of '{}' cannot be fetched: there is no LFS server for '{other}' URLs; \
             the setting 'lfs.url' of the repository can name one",
            crate::redact(remote)
        ))),
    }
}

fn authenticate(url: &str) -> Result<Action, GitError> {
    let shown = crate::redact(url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    if host.starts_with('-') || host.is_empty() {
        return Err(GitError::Input(format!("'{shown}' names no host")));
    }
    let mut command = Command::new("ssh");
    let options = std::env::var("NIX_SSHOPTS").unwrap_or_default();
    command.args(options.split_ascii_whitespace());
    if let Some(port) = port {
        command.args(["-p", port]);
    }
    command.args([host, "--", "git-lfs-authenticate", path, "download"]);
    command.stdin(std::process::Stdio::null());
    let output = run(&mut command, None).map_err(|e| match e {
        GitError::Failed { message, .. } => {
            GitError::Input(format!("'git-lfs-authenticate' of '{shown}' failed: {message}"))
        }
        GitError::Start(e) => GitError::Input(format!("executing 'ssh': {e}")),
        other => other,
    })?;
    serde_json::from_slice(&output).map_err(|e| {
        GitError::Input(format!(
            "the answer of 'git-lfs-authenticate' of '{shown}' makes no sense: {e}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read() {
        let oid = "0".repeat(63) + "f";
        let text =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12\n");
        assert_eq!(Pointer::parse(text.as_bytes()), Some(Pointer { oid: oid.clone(), size: 12 }));
        for bad in [
            String::new(),
            "version https://git-lfs.github.com/spec/v1\n".to_owned(),
            text.replace("v1", "v2"),
            text.replace("12", "twelve"),
            text.replace(&oid, "../../etc/passwd"),
            text.replace(&oid, &oid.to_uppercase()),
        ] {
            assert_eq!(Pointer::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn servers_follow_from_remotes() {
        assert_eq!(api_of("https://h/a/b.git").unwrap().href, "https://h/a/b.git/info/lfs");
        assert!(api_of("file:///x").unwrap_err().to_string().contains("'file' URLs"));
        assert!(api_of("ssh://-oProxyCommand=x/y").is_err());
    }
}
