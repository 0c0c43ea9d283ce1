//! From an address to a cache.

use std::path::PathBuf;
use std::sync::Arc;

use firn_event::Logger;
use firn_fetch::{Downloader, FetchSettings};
use firn_model::store_path::StoreDir;
use firn_store::layout::StoreReference;
use firn_store::{Error, Result, Settings};

use crate::config::CacheConfig;
use crate::disk::{DiskCache, TimeToLive};
use crate::store::BinaryCacheStore;
use crate::transport::{Disabling, FileTransport, HttpTransport, S3Transport, Transport};

/// What opening caches needs, shared by all that a process opens.
#[derive(Debug, Clone)]
pub struct Caches {
    /// The folder of the store whose paths are meant.
    pub store_dir: StoreDir,
    /// How to download.
    pub fetch: FetchSettings,
    /// Where messages go.
    pub logger: Logger,
    /// Answers on disk; without, every run asks anew.
    pub disk: Option<Arc<DiskCache>>,
    /// `http-connections`
    pub connections: usize,
    /// Leave a cache that failed alone for a while (`fallback`).
    pub fallback: bool,
    /// Treat folders as web servers, for tests (`_NIX_FORCE_HTTP`).
    pub force_http: bool,
}

/// Whether addresses with this scheme are those of binary caches.
#[must_use]
pub fn is_cache(scheme: &str) -> bool {
    matches!(scheme, "file" | "http" | "https" | "s3")
}

impl Caches {
    /// What the settings say. `cache_dir` is the user's folder for what may be lost, if there is one.
    #[must_use]
    pub fn from_settings(
        settings: &Settings,
        store_dir: StoreDir,
        fetch: FetchSettings,
        cache_dir: Option<PathBuf>,
        logger: Logger,
    ) -> Self {
        let ttl = TimeToLive {
            positive: settings.number("narinfo-cache-positive-ttl"),
            negative: settings.number("narinfo-cache-negative-ttl"),
            meta: settings.number("narinfo-cache-meta-ttl"),
        };
        let disk = cache_dir.and_then(|dir| match DiskCache::open(&dir, ttl) {
            Ok(disk) => Some(Arc::new(disk)),
            Err(error) => {
                logger.warn(format!("{error}; what caches say is not kept"));
                None
            }
        });
        let connections = match settings.number("http-connections") {
            // no limit
            0 => 128,
            n => usize::try_from(n).unwrap_or(128).min(128),
        };
        Self {
            store_dir,
            fetch,
            logger,
            disk,
            connections,
            fallback: settings.bool("fallback"),
            force_http: std::env::var_os("_NIX_FORCE_HTTP").is_some_and(|v| v == "1"),
        }
    }

    /// Opens a cache.
    ///
    /// # Errors
    /// If it is none, a parameter makes no sense, or it cannot be reached.
    pub fn open(&self, reference: &StoreReference) -> Result<Arc<BinaryCacheStore>> {
        let scheme = reference.scheme.as_str();
        let (config, unknown) = CacheConfig::parse(scheme, &reference.params)?;
        for name in unknown {
            self.logger.warn(format!("unknown setting '{name}'"));
        }
        let dir = match &config.store_dir {
            Some(dir) => StoreDir::new(dir).map_err(Error::model)?,
            None => self.store_dir.clone(),
        };
        let uri = format!("{scheme}://{}", reference.authority);
        let client_certificate = config.client_certificate()?;
        let downloader = || {
            let fetch = FetchSettings { client_certificate, ..self.fetch.clone() };
            Downloader::new(fetch, self.logger.clone()).map_err(Error::remote)
        };
        let disabling = Disabling::new(self.fallback);
        let transport: Box<dyn Transport> = match scheme {
            "file" if !self.force_http => {
                if !reference.authority.starts_with('/') {
                    return Err(Error::Usage(format!(
                        "'{uri}' is not the address of a folder; write 'file:///…'"
                    )));
                }
                let root = firn_store::layout::canonical(reference.authority.as_ref());
                Box::new(FileTransport::new(root))
            }
            "http" | "https" | "file" => {
                if scheme != "file" && reference.authority.trim_matches('/').is_empty() {
                    return Err(Error::Usage(format!(
                        "`{scheme}` Store requires a non-empty authority in Store URL"
                    )));
                }
                Box::new(HttpTransport::new(
                    &uri,
                    downloader()?,
                    config.clone(),
                    disabling,
                    self.connections,
                ))
            }
            "s3" => Box::new(S3Transport::new(
                &reference.authority,
                downloader()?,
                config.clone(),
                disabling,
                self.connections,
                &|name| std::env::var(name).ok().filter(|v| !v.is_empty()),
            )?),
            _ => {
                return Err(Error::Usage(format!(
                    "don't know how to open Nix store with scheme '{scheme}'"
                )));
            }
        };
        BinaryCacheStore::open(transport, config, dir, self.disk.clone(), self.logger.clone())
            .map(Arc::new)
    }
}
