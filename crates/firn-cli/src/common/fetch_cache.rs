//! What was downloaded without a hash, remembered for `tarball-ttl`: one small file for each URL in the cache
//! folder, which names the store path.
//!
//! A file that cannot be read or written only costs a download.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::StorePath;
use serde::{Deserialize, Serialize};

/// What is remembered of a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The store path's last part.
    pub path: String,
    /// When the newest member of the archive was changed, in seconds since 1970.
    pub modified: u64,
    /// The URL that will always give the same, if the server named one.
    pub immutable: Option<String>,
}

impl Remembered {
    /// The store path.
    pub fn store_path(&self) -> Option<StorePath> {
        StorePath::from_base_name(&self.path).ok()
    }
}

/// Remembered downloads.
#[derive(Clone, Debug)]
pub struct FetchCache {
    dir: PathBuf,
    ttl: Duration,
}

impl FetchCache {
    /// In this folder, for so long.
    pub fn new(dir: PathBuf, ttl: Duration) -> FetchCache {
        FetchCache { dir, ttl }
    }

    fn file(&self, kind: &str, name: &str, url: &str) -> PathBuf {
        let key = format!("{kind}\n{name}\n{url}");
        self.dir.join(Hash::digest(HashAlgo::Sha256, key.as_bytes()).to_base32())
    }

    /// What is remembered of a URL, if that is not too long ago.
    pub fn get(&self, kind: &str, name: &str, url: &str) -> Option<Remembered> {
        let file = self.file(kind, name, url);
        let age = SystemTime::now().duration_since(modified(&file)?).ok()?;
        if age >= self.ttl {
            return None;
        }
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    /// Remembers a download.
    pub fn put(&self, kind: &str, name: &str, url: &str, what: &Remembered) {
        let written = || -> std::io::Result<()> {
            std::fs::create_dir_all(&self.dir)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            serde_json::to_writer(&mut file, what)?;
            file.persist(self.file(kind, name, url))?;
            Ok(())
        };
        // Nothing is lost but time.
        let _ = written();
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_are_remembered_for_a_while() {
        let dir = tempfile::tempdir().expect("folder");
        let what = Remembered {
            path: "00000000000000000000000000000000-source".into(),
            modified: 5,
            immutable: None,
        };
        let cache =
            |seconds| FetchCache::new(dir.path().join("cache"), Duration::from_secs(seconds));
        assert_eq!(cache(60).get("file", "source", "https://a"), None);
        cache(60).put("file", "source", "https://a", &what);
        assert_eq!(cache(60).get("file", "source", "https://a"), Some(what.clone()));
        assert_eq!(cache(60).get("tarball", "source", "https://a"), None);
        assert_eq!(cache(60).get("file", "other", "https://a"), None);
        assert_eq!(cache(0).get("file", "source", "https://a"), None);
        assert_eq!(what.store_path().expect("a path").name(), "source");
    }
}
