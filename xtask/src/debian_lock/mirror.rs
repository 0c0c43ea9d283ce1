//! Downloads from the mirror that this machine's apt uses, into a cache. The index is checked against the
//! release's signature, each package against the index.

use std::path::{Path, PathBuf};
use std::process::Command;

use firn_model::hash::{Hash, HashAlgo};

use super::index::Package;
use super::wanted::Wanted;
use super::{Error, Result};

/// What is asked of the mirror.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Fetch the index anew.
    pub update: bool,
    /// Take the security suite and the updates suite too.
    pub security: bool,
}

/// A mirror and its cache.
pub struct Mirror {
    /// Archive (`debian`, `debian-security`) → address.
    archives: Vec<(String, String)>,
    suites: Vec<(String, String)>,
    architecture: String,
    cache: PathBuf,
    update: bool,
}

impl Mirror {
    /// Finds the mirror: `FIRN_DEBIAN_MIRROR` (its security archive is beside it), or what apt's sources say.
    pub fn new(wanted: &Wanted, options: Options) -> Result<Self> {
        let mut archives = Vec::new();
        if let Ok(given) = std::env::var("FIRN_DEBIAN_MIRROR") {
            let given = given.trim_end_matches('/');
            archives.push(("debian".to_owned(), given.to_owned()));
            archives.push(("debian-security".to_owned(), format!("{given}-security")));
        } else {
            for (address, suite) in apt_sources() {
                let archive = match suite.strip_prefix(&wanted.suite) {
                    Some("") => "debian",
                    Some("-security") => "debian-security",
                    _ => continue,
                };
                archives.push((archive.to_owned(), address.trim_end_matches('/').to_owned()));
            }
        }
        if archives.is_empty() {
            return Err(Error::Resolve(format!(
                "apt's sources on this machine have no {}; set FIRN_DEBIAN_MIRROR to a mirror's address",
                wanted.suite
            )));
        }
        let mut suites = vec![("debian".to_owned(), wanted.suite.clone())];
        if options.security {
            suites.push(("debian".to_owned(), format!("{}-updates", wanted.suite)));
            suites.push(("debian-security".to_owned(), format!("{}-security", wanted.suite)));
        }
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let cache =
            std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
        let cache = cache.join("firn/debian");
        std::fs::create_dir_all(&cache)
            .map_err(|error| Error::Io("create", cache.clone(), error))?;
        Ok(Self {
            archives,
            suites,
            architecture: wanted.architecture.clone(),
            cache,
            update: options.update,
        })
    }

    /// The folder that downloads are kept in.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The index of each suite, with the archive it is of.
    pub fn indexes(&self) -> Result<Vec<(String, PathBuf)>> {
        self.suites
            .iter()
            .map(|(archive, suite)| Ok((archive.clone(), self.index(archive, suite)?)))
            .collect()
    }

    fn index(&self, archive: &str, suite: &str) -> Result<PathBuf> {
        let path = self.cache.join(format!("Packages-{suite}-{}.xz", self.architecture));
        if path.exists() && !self.update {
            return Ok(path);
        }
        let release = self.cache.join(format!("InRelease-{suite}"));
        self.download(archive, &format!("dists/{suite}/InRelease"), &release)?;
        let text = verified_release(&release)?;
        let name = format!("main/binary-{}/Packages.xz", self.architecture);
        let sums = text.split("SHA256:").nth(1).unwrap_or_default();
        let sum = sums
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with(' '))
            .find_map(|line| {
                let mut fields = line.split_whitespace();
                let sum = fields.next()?;
                (fields.nth(1)? == name).then_some(sum)
            })
            .ok_or_else(|| Error::Format(release.clone(), format!("does not list {name}")))?;
        let new = path.with_extension("new");
        self.download(archive, &format!("dists/{suite}/{name}"), &new)?;
        check(&new, sum)?;
        std::fs::rename(&new, &path).map_err(|error| Error::Io("rename", new, error))?;
        Ok(path)
    }

    /// A package's file, downloaded if it is not in the cache.
    pub fn package(&self, package: &Package) -> Result<PathBuf> {
        let name = package.path.rsplit('/').next().unwrap_or_default();
        let path = self.cache.join(name);
        if path.exists() && check(&path, &package.sha256).is_ok() {
            return Ok(path);
        }
        self.download(&package.archive, &package.path, &path)?;
        check(&path, &package.sha256)?;
        Ok(path)
    }

    fn download(&self, archive: &str, path: &str, to: &Path) -> Result<()> {
        let mut reason = format!("no mirror of '{archive}' is known");
        for (_, address) in self.archives.iter().filter(|(name, _)| name == archive) {
            let url = format!("{address}/{path}");
            let output = Command::new("curl")
                .args([
                    "--fail",
                    "--silent",
                    "--show-error",
                    "--location",
                    "--retry",
                    "3",
                    "--output",
                ])
                .arg(to)
                .arg(&url)
                .output()
                .map_err(|error| Error::Download(url.clone(), format!("curl: {error}")))?;
            if output.status.success() {
                return Ok(());
            }
            reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        }
        Err(Error::Download(format!("mirror://{archive}/{path}"), reason))
    }
}

fn check(path: &Path, sha256: &str) -> Result<()> {
    let data = std::fs::read(path).map_err(|error| Error::Io("read", path.to_owned(), error))?;
    let found = Hash::digest(HashAlgo::Sha256, &data).to_base16();
    if found == sha256 {
        Ok(())
    } else {
        Err(Error::Format(path.to_owned(), format!("has the hash {found}, not {sha256}")))
    }
}

/// The text of a signed release file, after gpgv found its signature good.
fn verified_release(path: &Path) -> Result<String> {
    let output = Command::new("gpgv")
        .args(["--keyring", "/usr/share/keyrings/debian-archive-keyring.gpg", "--output", "-"])
        .arg(path)
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(Error::Format(
            path.to_owned(),
            format!("is not signed by Debian: {}", String::from_utf8_lossy(&output.stderr)),
        )),
        Err(error) => Err(Error::Format(
            path.to_owned(),
            format!(
                "cannot be verified, as gpgv cannot be run ({error}); install gpgv and debian-archive-keyring"
            ),
        )),
    }
}

/// The addresses and suites of apt's sources, one-line and deb822 style.
fn apt_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if file.extension().is_some_and(|extension| extension == "sources") {
            for paragraph in text.split("\n\n") {
                let plain: Vec<&str> =
                    paragraph.lines().filter(|line| !line.starts_with('#')).collect();
                let fields = firn_import::archive::deb::paragraph(&plain.join("\n"));
                let words = |name: &str| {
                    fields.get(name).map(String::as_str).unwrap_or_default().split_whitespace()
                };
                for address in words("URIs") {
                    found.extend(
                        words("Suites").map(|suite| (address.to_owned(), suite.to_owned())),
                    );
                }
            }
        } else {
            for line in text.lines().filter_map(|line| line.trim().strip_prefix("deb ")) {
                let line = match line.trim().strip_prefix('[') {
                    Some(rest) => rest.split_once(']').map_or("", |(_, rest)| rest),
                    None => line,
                };
                let mut words = line.split_whitespace();
                if let (Some(address), Some(suite)) = (words.next(), words.next()) {
                    found.push((address.to_owned(), suite.to_owned()));
                }
            }
        }
    }
    found
}
