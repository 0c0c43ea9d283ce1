//! Downloading a file into the store, as `nix-prefetch-url` and `nix store prefetch-file` do.

use std::collections::BTreeSet;

use firn_fetch::Downloader;
use firn_model::content_address::{ContentAddress, Method};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::{References, StorePath, check_name};
use firn_store::Repair;

use super::legacy::{Common, Failure, Outcome, fail};
use super::store::AnyStore;

/// What to download.
#[derive(Debug, Clone)]
pub struct Prefetch {
    /// Where from.
    pub url: String,
    /// The name in the store; the URL's last part if not given.
    pub name: Option<String>,
    /// The algorithm of the hash, if none is expected.
    pub algo: HashAlgo,
    /// The hash that it must have.
    pub expected: Option<Hash>,
    /// Make the file executable; the hash is then that of its NAR.
    pub executable: bool,
    /// Unpack an archive; the hash is then that of its NAR.
    pub unpack: bool,
}

fn message(e: impl std::fmt::Display) -> Failure {
    Failure::Message(e.to_string())
}

impl Prefetch {
    fn name(&self) -> Outcome<String> {
        if let Some(name) = &self.name {
            check_name(name).map_err(message)?;
            return Ok(name.clone());
        }
        let plain = self.url.split(['?', '#']).next().unwrap_or(&self.url);
        let name = plain.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if name.is_empty() {
            return fail(format!("cannot figure out file name for '{}'", self.url));
        }
        check_name(name)
            .map_err(|e| message(format!("{e} (extracted from the URL '{}')", self.url)))?;
        Ok(name.to_owned())
    }

    /// Downloads it, unless it is in the store; gives its path and its hash.
    pub fn run(&self, common: &Common, store: &AnyStore) -> Outcome<(StorePath, Hash)> {
        let name = self.name()?;
        let method = if self.executable || self.unpack { Method::Nar } else { Method::Flat };
        let dir = store.store_dir();
        let algo = self.expected.map_or(self.algo, |hash| hash.algo());
        if let Some(hash) = self.expected {
            let address = ContentAddress { method, hash };
            let known = dir
                .make_fixed_output_path(&name, &address, &References::default())
                .map_err(message)?;
            if store.is_valid(&known)? {
                return Ok((known, hash));
            }
        }
        let options = common.build_options();
        let urls = options.fetch.mirrors.resolve(&self.url).map_err(message)?;
        let downloader =
            Downloader::new(options.fetch.clone(), common.logger()).map_err(message)?;
        let temp = tempfile::tempdir().map_err(message)?;
        let file = temp.path().join("file");
        downloader.download_file(&urls, &file, None, 0).map_err(message)?;
        let mut source = file.clone();
        if self.unpack {
            source = temp.path().join("unpacked");
            std::fs::create_dir(&source).map_err(message)?;
            firn_build::builtin::unpack_tarball(&file, &source).map_err(message)?;
            let mut entries = std::fs::read_dir(&source).map_err(message)?;
            if let (Some(Ok(only)), None) = (entries.next(), entries.next()) {
                source = only.path();
            }
        }
        if self.executable {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o755))
                .map_err(message)?;
        }
        if let Some(expected) = self.expected {
            let got = match method {
                Method::Flat => {
                    let mut hasher = firn_model::Hasher::new(algo);
                    let mut open = std::fs::File::open(&source).map_err(message)?;
                    std::io::copy(&mut open, &mut hasher).map_err(message)?;
                    hasher.finish()
                }
                _ => firn_store::fs::hash_path(&source, algo)?.0,
            };
            if got != expected {
                return fail(format!(
                    "hash mismatch for '{}'\n  expected: {}\n  got:      {}",
                    self.url,
                    expected.to_sri(),
                    got.to_sri()
                ));
            }
        }
        let none = BTreeSet::new();
        let path = store.add_path(&name, &source, method, algo, None, &none, Repair::No)?;
        match &store.path_info(&path)?.ca {
            Some(address) => Ok((path, address.hash)),
            None => fail(format!("'{}' has no content address", dir.print(&path))),
        }
    }
}
