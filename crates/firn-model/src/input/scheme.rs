//! The types of inputs: their attributes, and the URLs that stand for them.

use super::url::{InputUrl, fix_git_url};
use super::{Attr, Attrs, Input, InputError, flag, need, text, to_json};
use crate::hash::{Hash, HashAlgo};

type Enabled<'a> = &'a dyn Fn(&str) -> bool;

const GIT: &[&str] = &[
    "url",
    "ref",
    "rev",
    "shallow",
    "submodules",
    "lfs",
    "exportIgnore",
    "lastModified",
    "revCount",
    "narHash",
    "allRefs",
    "name",
    "dirtyRev",
    "dirtyShortRev",
    "verifyCommit",
    "keytype",
    "publicKey",
    "publicKeys",
];
const HG: &[&str] = &["url", "ref", "rev", "revCount", "narHash", "name"];
const FILE: &[&str] = &["url", "narHash", "name", "unpack", "rev", "revCount", "lastModified"];
const PATH: &[&str] = &["path", "rev", "revCount", "lastModified", "narHash"];
const HOSTED: &[&str] =
    &["owner", "repo", "ref", "rev", "narHash", "lastModified", "host", "treeHash"];
const INDIRECT: &[&str] = &["id", "ref", "rev", "narHash"];

/// Flags of Git inputs that stand in the query.
const GIT_FLAGS: &[&str] =
    &["shallow", "submodules", "lfs", "exportIgnore", "allRefs", "verifyCommit"];

fn allowed(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "git" => GIT,
        "hg" => HG,
        "file" | "tarball" => FILE,
        "path" => PATH,
        "github" | "gitlab" | "sourcehut" => HOSTED,
        "indirect" => INDIRECT,
        _ => return None,
    })
}

/// The experimental feature that a type belongs to.
fn feature(kind: &str) -> Option<&'static str> {
    matches!(kind, "path" | "github" | "gitlab" | "sourcehut" | "indirect").then_some("flakes")
}

fn require(kind: &str, enabled: Enabled<'_>) -> Result<(), InputError> {
    match feature(kind) {
        Some(feature) if !enabled(feature) => Err(InputError::needs(feature)),
        _ => Ok(()),
    }
}

pub(super) fn from_attrs(
    kind: &str,
    mut attrs: Attrs,
    enabled: Enabled<'_>,
) -> Result<Input, InputError> {
    let Some(names) = allowed(kind) else { return Ok(Input::new(attrs, false)) };
    require(kind, enabled)?;
    for name in attrs.keys() {
        if name != "type" && name != "__final" && !names.contains(&name.as_str()) {
            return Err(InputError::other(format!(
                "input attribute '{name}' not supported by scheme '{kind}'"
            )));
        }
    }
    match kind {
        "git" | "hg" => {
            let verified = ["verifyCommit", "keytype", "publicKey", "publicKeys"];
            if attrs.keys().any(|name| verified.contains(&name.as_str()))
                && !enabled("verified-fetches")
            {
                return Err(InputError::needs("verified-fetches"));
            }
            if let Some(name) = text(&attrs, "ref")?.filter(|name| !is_legal_ref(name)) {
                let what = if kind == "git" { "Git" } else { "Mercurial" };
                return Err(InputError::bad_url(format!(
                    "invalid {what} branch/tag name '{name}'"
                )));
            }
            let url = need(&attrs, "url")?;
            if kind == "git" {
                let url = fix_git_url(url)?.to_string();
                attrs.insert("url".into(), url.into());
                for name in ["shallow", "submodules", "allRefs"] {
                    flag(&attrs, name)?;
                }
            } else {
                InputUrl::parse(url, false)?;
            }
        }
        "path" => {
            need(&attrs, "path")?;
        }
        "github" | "gitlab" | "sourcehut" => check_hosted(&attrs)?,
        "indirect" => {
            let id = need(&attrs, "id")?;
            if !is_flake_id(id) {
                return Err(InputError::bad_url(format!("'{id}' is not a valid flake ID")));
            }
        }
        _ => {}
    }
    Ok(Input::new(attrs, true))
}

fn check_hosted(attrs: &Attrs) -> Result<(), InputError> {
    need(attrs, "owner")?;
    need(attrs, "repo")?;
    let (name, rev) = (text(attrs, "ref")?, text(attrs, "rev")?);
    if let (Some(name), Some(rev)) = (name, rev) {
        return Err(InputError::bad_url(format!(
            "input {} contains both a commit hash ('{rev}') and a branch/tag name ('{name}')",
            to_json(attrs)
        )));
    }
    if let Some(rev) = rev {
        Hash::parse_any(rev, Some(HashAlgo::Sha1)).map_err(|e| InputError::other(e.to_string()))?;
    }
    if name.is_some_and(|name| !is_legal_ref(name)) {
        return Err(InputError::bad_url(format!(
            "input {} contains an invalid branch/tag name",
            to_json(attrs)
        )));
    }
    let is_host = |h: &str| h.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    if text(attrs, "host")?.is_some_and(|host| !is_host(host)) {
        return Err(InputError::bad_url(format!(
            "input {} contains an invalid instance host",
            to_json(attrs)
        )));
    }
    Ok(())
}

pub(super) fn from_url(
    url: &InputUrl,
    tree: bool,
    enabled: Enabled<'_>,
) -> Result<Input, InputError> {
    let (application, transport) = url.schemes();
    let fetched = matches!(transport, "file" | "http" | "https");
    let tarball = url.path.last().is_some_and(|last| {
        [".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst"]
            .iter()
            .any(|end| last.ends_with(end))
    });
    match (application, transport) {
        (None, "git") | (Some("git"), _) => git_from_url(url, enabled),
        (Some("hg"), "http" | "https" | "ssh" | "file") => hg_from_url(url, enabled),
        (None, "path") => path_from_url(url, enabled),
        (None, kind @ ("github" | "gitlab" | "sourcehut")) => hosted_from_url(kind, url, enabled),
        (None, "flake") => indirect_from_url(url, enabled),
        (Some("tarball"), _) if fetched => Ok(file_from_url("tarball", url)),
        (Some("file"), _) if fetched => Ok(file_from_url("file", url)),
        (None, _) if fetched => {
            Ok(file_from_url(if tree || tarball { "tarball" } else { "file" }, url))
        }
        (Some("file"), "git") => Err(InputError::other(format!(
            "input '{url}' is unsupported; did you mean 'git+file' instead of 'file+git'?"
        ))),
        _ => Err(InputError::other(format!("input '{url}' is unsupported"))),
    }
}

fn git_from_url(url: &InputUrl, enabled: Enabled<'_>) -> Result<Input, InputError> {
    let mut rest = url.clone();
    let mut attrs = Attrs::from([("type".into(), "git".into())]);
    for (name, value) in std::mem::take(&mut rest.query) {
        match name.as_str() {
            "rev" | "ref" | "keytype" | "publicKey" | "publicKeys" => {
                attrs.insert(name, value.into());
            }
            flag if GIT_FLAGS.contains(&flag) => {
                attrs.insert(name, Attr::Bool(value == "1"));
            }
            _ => {
                rest.query.insert(name, value);
            }
        }
    }
    attrs.insert("url".into(), rest.to_string().into());
    from_attrs("git", attrs, enabled)
}

fn hg_from_url(url: &InputUrl, enabled: Enabled<'_>) -> Result<Input, InputError> {
    let mut rest = url.clone();
    rest.scheme = url.schemes().1.to_owned();
    let mut attrs = Attrs::from([("type".into(), "hg".into())]);
    for (name, value) in std::mem::take(&mut rest.query) {
        if matches!(name.as_str(), "rev" | "ref") {
            attrs.insert(name, value.into());
        } else {
            rest.query.insert(name, value);
        }
    }
    attrs.insert("url".into(), rest.to_string().into());
    from_attrs("hg", attrs, enabled)
}

fn path_from_url(url: &InputUrl, enabled: Enabled<'_>) -> Result<Input, InputError> {
    require("path", enabled)?;
    if let Some(host) = url.authority.as_deref().filter(|host| !host.is_empty()) {
        return Err(InputError::other(format!(
            "path URL '{url}' should not have an authority ('{host}')"
        )));
    }
    let mut attrs =
        Attrs::from([("type".into(), "path".into()), ("path".into(), url.plain_path().into())]);
    for (name, value) in &url.query {
        let value = match name.as_str() {
            "rev" | "narHash" => value.as_str().into(),
            "revCount" | "lastModified" => Attr::Int(value.parse().map_err(|_| {
                InputError::other(format!("path URL '{url}' has invalid parameter '{name}'"))
            })?),
            _ => {
                return Err(InputError::other(format!(
                    "path URL '{url}' has unsupported parameter '{name}'"
                )));
            }
        };
        attrs.insert(name.clone(), value);
    }
    Ok(Input::new(attrs, true))
}

fn hosted_from_url(kind: &str, url: &InputUrl, enabled: Enabled<'_>) -> Result<Input, InputError> {
    require(kind, enabled)?;
    let bad = |why: &str| InputError::bad_url(format!("URL '{url}' {why}"));
    let path = url.segments();
    let [owner, repo, more @ ..] = &path[..] else { return Err(bad("is invalid")) };
    let (mut rev, mut name) = match more {
        [] => (None, None),
        [one] if is_rev(one) => (Some((*one).to_owned()), None),
        many => (None, Some(many.join("/"))),
    };
    let mut attrs = Attrs::from([
        ("type".into(), kind.into()),
        ("owner".into(), (*owner).into()),
        ("repo".into(), (*repo).into()),
    ]);
    for (key, value) in &url.query {
        match key.as_str() {
            "rev" if rev.is_some() => return Err(bad("contains multiple commit hashes")),
            "rev" => rev = Some(value.clone()),
            "ref" if name.is_some() => return Err(bad("contains multiple branch/tag names")),
            "ref" => name = Some(value.clone()),
            "host" | "narHash" => {
                attrs.insert(key.clone(), value.as_str().into());
            }
            _ => {}
        }
    }
    attrs.extend(rev.map(|rev| ("rev".to_owned(), rev.into())));
    attrs.extend(name.map(|name| ("ref".to_owned(), name.into())));
    from_attrs(kind, attrs, enabled)
}

fn indirect_from_url(url: &InputUrl, enabled: Enabled<'_>) -> Result<Input, InputError> {
    require("indirect", enabled)?;
    let bad = |part: &str, what: &str| {
        InputError::bad_url(format!("in flake URL '{url}', '{part}' is not {what}"))
    };
    let path = url.segments();
    let mut attrs = Attrs::from([("type".into(), "indirect".into())]);
    let id = match path[..] {
        [id] => id,
        [id, part] => {
            let name = if is_rev(part) {
                "rev"
            } else if is_legal_ref(part) {
                "ref"
            } else {
                return Err(bad(part, "a commit hash or branch/tag name"));
            };
            attrs.insert(name.into(), part.into());
            id
        }
        [id, name, rev] => {
            if !is_legal_ref(name) {
                return Err(bad(name, "a branch/tag name"));
            }
            if !is_rev(rev) {
                return Err(bad(rev, "a commit hash"));
            }
            attrs.insert("ref".into(), name.into());
            attrs.insert("rev".into(), rev.into());
            id
        }
        _ => return Err(InputError::bad_url(format!("GitHub URL '{url}' is invalid"))),
    };
    attrs.insert("id".into(), id.into());
    from_attrs("indirect", attrs, enabled)
}

fn file_from_url(kind: &str, url: &InputUrl) -> Input {
    let mut rest = url.clone();
    rest.scheme = url.schemes().1.to_owned();
    let mut attrs = Attrs::from([("type".into(), kind.into())]);
    for name in ["narHash", "rev"] {
        attrs.extend(url.query.get(name).map(|v| (name.to_owned(), v.as_str().into())));
    }
    for name in ["revCount", "lastModified"] {
        let n = url.query.get(name).and_then(|v| v.parse().ok());
        attrs.extend(n.map(|n| (name.to_owned(), Attr::Int(n))));
    }
    rest.query.retain(|name, _| !FILE.contains(&name.as_str()));
    attrs.insert("url".into(), rest.to_string().into());
    Input::new(attrs, true)
}

pub(super) fn to_url(input: &Input) -> Result<InputUrl, InputError> {
    let attrs = &input.attrs;
    let rev = || input.rev().map(|rev| rev.map(|rev| rev.to_base16()));
    match input.kind() {
        "git" => {
            let mut url = InputUrl::parse(need(attrs, "url")?, false)?;
            if url.scheme != "git" {
                url.scheme = format!("git+{}", url.scheme);
            }
            url.query.extend(rev()?.map(|rev| ("rev".to_owned(), rev)));
            url.query.extend(input.text("ref").map(|r| ("ref".to_owned(), r.to_owned())));
            for name in ["shallow", "lfs", "submodules", "exportIgnore", "verifyCommit"] {
                if input.flag(name) {
                    url.query.insert(name.into(), "1".into());
                }
            }
            if let Some(key) = input.text("publicKey") {
                let kind = input.text("keytype").unwrap_or("ssh-ed25519");
                url.query.insert("keytype".into(), kind.into());
                url.query.insert("publicKey".into(), key.into());
            } else if let Some(keys) = input.text("publicKeys") {
                url.query.insert("publicKeys".into(), keys.into());
            }
            Ok(url)
        }
        "hg" => {
            let mut url = InputUrl::parse(need(attrs, "url")?, false)?;
            url.scheme = format!("hg+{}", url.scheme);
            url.query.extend(rev()?.map(|rev| ("rev".to_owned(), rev)));
            url.query.extend(input.text("ref").map(|r| ("ref".to_owned(), r.to_owned())));
            Ok(url)
        }
        "path" => {
            let mut url = InputUrl {
                scheme: "path".into(),
                path: need(attrs, "path")?.split('/').map(str::to_owned).collect(),
                ..InputUrl::default()
            };
            for (name, value) in attrs {
                if matches!(name.as_str(), "path" | "type" | "__final") {
                    continue;
                }
                let value = match value {
                    Attr::String(text) => text.clone(),
                    Attr::Int(n) => n.to_string(),
                    Attr::Bool(b) => u8::from(*b).to_string(),
                };
                url.query.insert(name.clone(), value);
            }
            Ok(url)
        }
        "indirect" => {
            let mut path = vec![need(attrs, "id")?.to_owned()];
            path.extend(input.text("ref").map(str::to_owned));
            path.extend(rev()?);
            Ok(InputUrl { scheme: "flake".into(), path, ..InputUrl::default() })
        }
        kind @ ("github" | "gitlab" | "sourcehut") => {
            let mut path = vec![need(attrs, "owner")?.to_owned(), need(attrs, "repo")?.to_owned()];
            path.extend(input.text("ref").map(str::to_owned));
            path.extend(rev()?);
            let mut url = InputUrl { scheme: kind.to_owned(), path, ..InputUrl::default() };
            url.query.extend(input.nar_hash()?.map(|h| ("narHash".to_owned(), h.to_sri())));
            url.query.extend(input.text("host").map(|h| ("host".to_owned(), h.to_owned())));
            Ok(url)
        }
        _ => {
            let mut url = InputUrl::parse(need(attrs, "url")?, false)?;
            if let Some(hash) = input.nar_hash()? {
                url.query.insert("narHash".into(), hash.to_sri());
            }
            Ok(url)
        }
    }
}

/// A commit: 40 hexadecimal digits.
pub(super) fn is_rev(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A flake's name in a registry.
pub(super) fn is_flake_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// Whether Git accepts this as the name of a branch, a tag or a reference (`git check-ref-format`).
#[must_use]
pub fn is_legal_ref(name: &str) -> bool {
    !name.is_empty()
        && name != "@"
        && !name.starts_with('-')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name.bytes().any(|b| b <= b' ' || b == 0x7f || b"~^:?*[\\".contains(&b))
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}
