//! Where the npm registry is on a host that has no npm: Debian's package of npm knows it.
//!
//! Whoever sets up npm or `FIRN_MIRROR_NPM` is asked first, by `firn_fetch::mirror`.

use std::path::Path;
use std::sync::OnceLock;

use firn_event::Logger;
use firn_fetch::{Downloader, FetchError, FetchSettings};
use firn_import::archive::deb;
use firn_import::tree::{Node, Tree};
use firn_model::hash::Hash;

/// Debian's package of npm, which has the address of its default registry in it.
const PACKAGE: &str = "mirror://debian/pool/main/n/npm/npm_9.2.0~ds1-1_all.deb";
/// The SHA-256 hash of the package.
const PACKAGE_HASH: &str =
    "sha256:1e31d6a0bd0bef04c2f1748ea776cd4e1f2c266ecf177c9539a8015e04d3a068";
/// The file in it with npm's defaults.
const DEFAULTS: &str = "usr/share/nodejs/npm/node_modules/npm-registry-fetch/lib/default-opts.js";

/// The URLs that `url` stands for on this host, the preferred first.
///
/// # Errors
/// When the host knows no mirror of the kind that `url` names.
pub(super) fn resolve(settings: &FetchSettings, url: &str) -> Result<Vec<String>, FetchError> {
    static REGISTRY: OnceLock<Option<String>> = OnceLock::new();
    let error = match settings.mirrors.resolve(url) {
        Ok(urls) => return Ok(urls),
        Err(error) => error,
    };
    let Some(path) = url.strip_prefix("mirror://npm/") else { return Err(error) };
    match REGISTRY.get_or_init(|| from_debian(settings)) {
        Some(base) => Ok(vec![format!("{base}/{path}")]),
        None => Err(error),
    }
}

/// Downloads Debian's npm and looks into it.
fn from_debian(settings: &FetchSettings) -> Option<String> {
    let urls = settings.mirrors.resolve(PACKAGE).ok()?;
    let hash = Hash::parse_prefixed(PACKAGE_HASH).ok()?;
    let dir = tempfile::tempdir().ok()?;
    let file = dir.path().join("npm.deb");
    let downloader = Downloader::new(settings.clone(), Logger::silent()).ok()?;
    downloader.download_file(&urls, &file, Some(&hash), 0).ok()?;
    default_registry(&file, &std::fs::read(&file).ok()?)
}

/// The address in a package of npm, without a slash at the end.
fn default_registry(path: &Path, package: &[u8]) -> Option<String> {
    let mut tree = Tree::default();
    let place = |name: &str| (name == DEFAULTS).then(|| name.to_owned());
    deb::read_data(path, package, &place, &mut tree).ok()?;
    let Some(Node::File { data, .. }) = tree.get(DEFAULTS) else { return None };
    let text = std::str::from_utf8(data).ok()?;
    let (_, rest) = text.split_once("registry: '")?;
    let (url, _) = rest.split_once('\'')?;
    url.starts_with("https://").then(|| url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package with one file in it, as `ar` and `tar` write it.
    fn package(name: &str, contents: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, contents.as_bytes()).unwrap();
        let tar = tar.into_inner().unwrap();
        let mut out = b"!<arch>\n".to_vec();
        for (member, data) in [("debian-binary", &b"2.0\n"[..]), ("data.tar", &tar)] {
            let head = format!(
                "{member:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                "100644",
                data.len()
            );
            out.extend(head.bytes());
            out.extend(data);
            if data.len() % 2 == 1 {
                out.push(b'\n');
            }
        }
        out
    }

    #[test]
    fn the_registry_is_what_the_package_says() {
        let text =
            "module.exports = {\n  maxSockets: 12,\n  registry: 'https://npm.example/',\n}\n";
        let found = |name| default_registry(Path::new("npm.deb"), &package(name, text));
        assert_eq!(found(DEFAULTS).as_deref(), Some("https://npm.example"));
        assert_eq!(found("usr/share/other.js"), None);
        assert_eq!(default_registry(Path::new("npm.deb"), b"no package"), None);
    }
}
