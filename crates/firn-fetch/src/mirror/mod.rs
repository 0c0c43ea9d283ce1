//! `mirror://KIND/PATH` URLs: what they stand for on this host.
//!
//! The order of sources: the variable or setting (`FIRN_MIRROR_DEBIAN`,
//! `FIRN_MIRROR_DEBIAN_SECURITY`, `FIRN_MIRROR_NPM`; several, separated by spaces), then what the
//! host's own package manager is set up to use. A download through a mirror is always checked
//! against a hash, so which host serves it does not matter.

mod apt;
mod cargo;
mod npm;

use std::sync::OnceLock;

use crate::error::FetchError;

/// Base URLs for each kind of mirror, without a slash at the end, the preferred first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// `mirror://debian/…`
    pub debian: Vec<String>,
    /// `mirror://debian-security/…`
    pub debian_security: Vec<String>,
    /// `mirror://npm/…`
    pub npm: Vec<String>,
    /// `mirror://crates/NAME/NAME-VERSION.crate`
    pub crates: Vec<String>,
    /// Ask what npm and Cargo use on this host where `npm` or `crates` is empty and a URL needs it, which takes a while.
    pub ask_host: bool,
}

impl Mirrors {
    /// What this host is set up to use.
    #[must_use]
    pub fn from_host() -> Self {
        let archives = apt::archives(std::path::Path::new("/etc/apt"));
        let ending = |name: &str| -> Vec<String> {
            archives.iter().filter(|uri| uri.ends_with(name)).cloned().collect()
        };
        let or = |variable: &str, fallback: &dyn Fn() -> Vec<String>| {
            let set = from_variable(variable);
            if set.is_empty() { fallback() } else { set }
        };
        Self {
            debian: or("FIRN_MIRROR_DEBIAN", &|| {
                let mut found = ending("/debian");
                found.extend(apt::known_mirrors());
                found
            }),
            debian_security: or("FIRN_MIRROR_DEBIAN_SECURITY", &|| ending("/debian-security")),
            npm: from_variable("FIRN_MIRROR_NPM"),
            crates: from_variable("FIRN_MIRROR_CRATES"),
            ask_host: true,
        }
    }

    /// The URLs that `url` stands for, the preferred first; `url` itself if it is no mirror URL.
    ///
    /// # Errors
    /// [`FetchError::NoMirror`] when the host knows no mirror of that kind.
    pub fn resolve(&self, url: &str) -> Result<Vec<String>, FetchError> {
        static NPM: OnceLock<Vec<String>> = OnceLock::new();
        static CARGO: OnceLock<Vec<String>> = OnceLock::new();
        let Some(rest) = url.strip_prefix("mirror://") else {
            return Ok(vec![url.to_owned()]);
        };
        let no_mirror = |hint: &str| FetchError::NoMirror { url: url.into(), hint: hint.into() };
        let (kind, path) = rest
            .split_once('/')
            .ok_or_else(|| no_mirror("it has no path after the mirror's name"))?;
        if path.split('/').any(|part| part == "..") {
            return Err(no_mirror("its path leads out of the mirror"));
        }
        let (bases, hint) = match kind {
            "debian" => (
                &self.debian,
                "set FIRN_MIRROR_DEBIAN to the base URL of a Debian mirror (it ends in /debian); \
                 no apt source of this host is one",
            ),
            "debian-security" => (
                &self.debian_security,
                "set FIRN_MIRROR_DEBIAN_SECURITY to the base URL of a mirror of the security \
                 archive (it ends in /debian-security); no apt source of this host is one",
            ),
            "npm" if self.npm.is_empty() && self.ask_host => (
                NPM.get_or_init(npm::registries),
                "set FIRN_MIRROR_NPM to the base URL of an npm registry; npm is not set up on \
                 this host",
            ),
            "npm" => (
                &self.npm,
                "set FIRN_MIRROR_NPM to the base URL of an npm registry; npm is not set up on \
                 this host",
            ),
            "crates" if self.crates.is_empty() && self.ask_host => {
                let found: Vec<String> = CARGO
                    .get_or_init(cargo::downloads)
                    .iter()
                    .filter_map(|dl| cargo::expand(dl, path))
                    .collect();
                return match found.is_empty() {
                    false => Ok(found),
                    true => Err(no_mirror(
                        "set FIRN_MIRROR_CRATES to the base URL of an archive of crates, in which \
                         NAME/NAME-VERSION.crate is one; Cargo has not been used on this host",
                    )),
                };
            }
            "crates" => (
                &self.crates,
                "set FIRN_MIRROR_CRATES to the base URL of an archive of crates, in which \
                 NAME/NAME-VERSION.crate is one",
            ),
            _ => return Err(no_mirror("the kinds are debian, debian-security, npm and crates")),
        };
        if bases.is_empty() {
            return Err(no_mirror(hint));
        }
        Ok(bases.iter().map(|base| format!("{}/{path}", base.trim_end_matches('/'))).collect())
    }
}

fn from_variable(name: &str) -> Vec<String> {
    std::env::var(name)
        .unwrap_or_default()
        .split_whitespace()
        .map(|base| base.trim_end_matches('/').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_url_becomes_one_url_for_each_base() {
        let mirrors = Mirrors {
            debian: vec!["http://a.example/debian".into(), "http://b.example/debian/".into()],
            ..Mirrors::default()
        };
        assert_eq!(
            mirrors.resolve("mirror://debian/pool/main/h/hello/hello_1_amd64.deb").unwrap(),
            [
                "http://a.example/debian/pool/main/h/hello/hello_1_amd64.deb",
                "http://b.example/debian/pool/main/h/hello/hello_1_amd64.deb"
            ]
        );
        assert_eq!(mirrors.resolve("http://x/y").unwrap(), ["http://x/y"]);
        assert!(mirrors.resolve("mirror://debian/../secret").is_err());
        let error = mirrors.resolve("mirror://npm/left-pad/-/left-pad-1.tgz").unwrap_err();
        assert!(error.to_string().contains("FIRN_MIRROR_NPM"), "{error}");
        assert!(mirrors.resolve("mirror://unknown/x").is_err());
        let crates = "mirror://crates/itoa/itoa-1.0.0.crate";
        assert!(mirrors.resolve(crates).unwrap_err().to_string().contains("FIRN_MIRROR_CRATES"));
        let mirrors = Mirrors { crates: vec!["https://c.example/crates".into()], ..mirrors };
        assert_eq!(
            mirrors.resolve(crates).unwrap(),
            ["https://c.example/crates/itoa/itoa-1.0.0.crate"]
        );
    }
}
