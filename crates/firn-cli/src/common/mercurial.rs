//! Mercurial repositories as inputs, by way of the program `hg`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use firn_fetch::git::{GitFiles, GitOptions, GitTree};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::input::{Attr, Input};

/// Fetches a Mercurial input; clones are kept beside those of Git.
pub fn fetch(input: &Input, options: &GitOptions) -> Result<GitTree, String> {
    let mut input = input.clone();
    let url = input.text("url").unwrap_or_default().to_owned();
    let local = url.strip_prefix("file://").map(PathBuf::from);
    let mut warnings = Vec::new();
    if let Some(path) = &local
        && path.join(".hg").is_dir()
        && input.text("rev").is_none()
        && input.text("ref").is_none()
    {
        let shown = path.display();
        if !hg(path, &["status", "--modified", "--added", "--removed"])?.is_empty() {
            if !options.allow_dirty {
                return Err(format!("Mercurial tree '{shown}' is unclean"));
            }
            if options.warn_dirty {
                warnings.push(format!("Mercurial tree '{shown}' is unclean"));
            }
            let branch = line(path, &["branch"])?;
            input.attrs.insert("ref".into(), branch.into());
            let args = ["status", "--clean", "--modified", "--added", "--no-status", "--print0"];
            let files: BTreeSet<PathBuf> = hg(path, &args)?
                .split(|b| *b == 0)
                .filter(|name| !name.is_empty())
                .map(|name| PathBuf::from(OsStr::from_bytes(name)))
                .collect();
            let files = GitFiles::InPlace { path: path.clone(), files, changed: None };
            return Ok(GitTree { files, input, warnings });
        }
    }
    let key = Hash::digest(HashAlgo::Sha256, url.as_bytes()).to_base32();
    let clones = options.cache_dir.with_file_name("hg");
    std::fs::create_dir_all(&clones).map_err(|e| format!("making '{}': {e}", clones.display()))?;
    let clone = clones.join(key);
    let source = local.map_or_else(|| url.clone(), |path| path.display().to_string());
    let name = input.text("ref").unwrap_or("default").to_owned();
    let head = clones.join(head_file(&url, &name));
    let asked = input.text("rev").map(str::to_owned);
    // a branch that was looked at not long ago is taken to be where it was
    let wanted = asked.clone().or_else(|| fresh(&head, options)).unwrap_or_else(|| name.clone());
    let known = clone.join(".hg").is_dir();
    let has_rev = |clone: &Path| {
        wanted != name && hg(clone, &["log", "-r", &wanted, "--template", "1"]).is_ok()
    };
    if !known {
        let clone = clone.display().to_string();
        hg(&clones, &["clone", "--noupdate", "--", &source, &clone])?;
    } else if !has_rev(&clone) {
        pull(&clone, &source)?;
    }
    let template = "{node} {rev} {branch}";
    let found = line(&clone, &["log", "-r", &wanted, "--template", template])?;
    let mut words = found.splitn(3, ' ');
    let (Some(node), Some(count), Some(branch)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("'hg log' gave '{found}' for '{url}'"));
    };
    if asked.is_none() && wanted == name {
        // nothing is lost but time if it cannot be kept
        let _ = std::fs::write(&head, node);
    }
    input.attrs.insert("rev".into(), node.into());
    input.attrs.insert("ref".into(), branch.into());
    if let Ok(count) = count.parse() {
        input.attrs.insert("revCount".into(), Attr::Int(count));
    }
    let dir = tempfile::tempdir().map_err(|e| format!("making a temporary folder: {e}"))?;
    let out = dir.path().join("source");
    let shown = out.display().to_string();
    hg(&clone, &["archive", "-r", node, "--", &shown])?;
    // What `hg archive` adds is no file of the repository.
    if let Err(e) = std::fs::remove_file(out.join(".hg_archival.txt"))
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(format!("removing '.hg_archival.txt': {e}"));
    }
    Ok(GitTree { files: GitFiles::Copied(dir), input, warnings })
}

/// The file that keeps which commit a branch of a repository was at.
fn head_file(url: &str, name: &str) -> String {
    let key = format!("{url}\n{name}");
    format!("{}.head", Hash::digest(HashAlgo::Sha256, key.as_bytes()).to_base32())
}

/// The commit that such a file names, if it was written not too long ago.
fn fresh(head: &Path, options: &GitOptions) -> Option<String> {
    let age = SystemTime::now().duration_since(head.metadata().ok()?.modified().ok()?).ok()?;
    let node = std::fs::read_to_string(head).ok().filter(|_| age < options.ttl)?;
    (node.len() == 40 && node.bytes().all(|b| b.is_ascii_hexdigit())).then_some(node)
}

/// Brings a clone up to date, also one that an earlier run left in the middle of a transaction.
fn pull(clone: &Path, source: &str) -> Result<(), String> {
    let args = ["pull", "--", source];
    let Err(failed) = hg(clone, &args) else { return Ok(()) };
    if !clone.join(".hg/store/journal").exists() {
        return Err(failed);
    }
    hg(clone, &["recover"])?;
    hg(clone, &args).map(drop)
}

/// Makes Mercurial see a file of a working tree, and commits it if there is a message.
pub fn add(root: &Path, file: &str, message: Option<&str>) -> Result<(), String> {
    hg(root, &["add", "--", file])?;
    if let Some(message) = message {
        hg(root, &["commit", "-m", message, "--", file])?;
    }
    Ok(())
}

fn line(repository: &Path, args: &[&str]) -> Result<String, String> {
    let out = hg(repository, args)?;
    Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
}

fn hg(dir: &Path, args: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("hg")
        .current_dir(dir)
        .args(args)
        .env("HGPLAIN", "")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            format!(
                "executing 'hg': {e}; fetching Mercurial repositories needs the program 'hg' in PATH"
            )
        })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("program 'hg' failed with {}: {message}", output.status))
}
