//! A cache on a web server (`http://`, `https://`). With `_NIX_FORCE_HTTP` C++ Nix treats folders so too, which its
//! tests need; those can be read and not written.

use std::io::Read;
use std::time::{Duration, Instant};

use firn_event::Level;
use firn_fetch::{Downloader, Exchange, FailureKind, FetchError, Payload, Request, redact};
use firn_model::hash::{Hash, HashAlgo, Hasher};
use firn_store::{Error, Result};
use parking_lot::Mutex;

use super::{Body, Transport};
use crate::compression::{Compression, compress};
use crate::config::CacheConfig;

/// The largest small file that is believed in, in bytes.
const SMALL_LIMIT: u64 = 64 * 1024 * 1024;

/// How many small files are asked for at a time where all requests share a connection: what servers usually allow.
const MULTIPLEXED: usize = 100;

/// How long a cache that failed is left alone.
const DISABLED_FOR: Duration = Duration::from_secs(60);

/// Makes the header fields that requests of a server need besides.
pub(crate) trait Signer: Send + Sync {
    /// The fields for a request whose payload has this SHA-256 (base 16).
    fn sign(&self, method: &str, url: &str, payload: &str) -> Vec<(String, String)>;
}

/// Leaves a cache alone for a while after it failed, if there is another way to get what is wanted.
#[derive(Debug, Default)]
pub struct Disabling {
    /// Whether it is done at all (`fallback`).
    pub allowed: bool,
    until: Mutex<Option<Instant>>,
}

impl Disabling {
    /// One that is not disabled.
    #[must_use]
    pub fn new(allowed: bool) -> Self {
        Self { allowed, until: Mutex::new(None) }
    }
}

/// A cache on a web server.
pub struct HttpTransport {
    /// The address that is shown and under which answers are remembered.
    uri: String,
    /// The address that files are below.
    base: String,
    downloader: Downloader,
    config: CacheConfig,
    disabling: Disabling,
    connections: usize,
    signer: Option<Box<dyn Signer>>,
    /// Header fields of every upload.
    upload_headers: Vec<(String, String)>,
}

impl HttpTransport {
    /// The cache at `uri`, asked with at most `connections` small requests at a time.
    #[must_use]
    pub fn new(
        uri: &str,
        downloader: Downloader,
        config: CacheConfig,
        disabling: Disabling,
        connections: usize,
    ) -> Self {
        let base = uri.trim_end_matches('/').to_owned();
        Self {
            uri: redact(&base),
            base,
            downloader,
            config,
            disabling,
            connections: connections.max(1),
            signer: None,
            upload_headers: Vec::new(),
        }
    }

    /// A cache that is asked at another address than it is called by, with signed requests.
    pub(crate) fn with_signer(
        mut self,
        base: String,
        signer: Option<Box<dyn Signer>>,
        upload_headers: Vec<(String, String)>,
    ) -> Self {
        self.base = base;
        self.signer = signer;
        self.upload_headers = upload_headers;
        self
    }

    pub(crate) fn url(&self, name: &str) -> String {
        if name.contains("://") {
            return name.to_owned();
        }
        match name.strip_prefix('/') {
            None => format!("{}/{name}", self.base),
            Some(rest) => {
                let host = self.base.find("://").map_or(0, |at| at + 3);
                let end = self.base[host..].find('/').map_or(self.base.len(), |at| host + at);
                format!("{}/{rest}", &self.base[..end])
            }
        }
    }

    pub(crate) fn headers(&self, method: &str, url: &str, payload: &str) -> Vec<(String, String)> {
        // what is signed is meant for this cache alone
        match &self.signer {
            Some(signer) if is_below(url, &self.base) => signer.sign(method, url, payload),
            _ => Vec::new(),
        }
    }

    fn check_enabled(&self) -> Result<()> {
        let mut until = self.disabling.until.lock();
        match *until {
            Some(time) if time > Instant::now() => Err(Error::Disabled(self.uri.clone())),
            Some(_) => {
                *until = None;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What a failed request means.
    fn failure(&self, error: FetchError) -> Error {
        if self.disabling.allowed && error.kind() != FailureKind::Interrupted {
            let mut until = self.disabling.until.lock();
            if until.is_none() {
                *until = Some(Instant::now() + DISABLED_FOR);
                self.downloader.logger().message(
                    Level::Error,
                    format!(
                        "disabling binary cache '{}' for {} seconds",
                        self.uri,
                        DISABLED_FOR.as_secs()
                    ),
                );
            }
        }
        Error::remote(error)
    }

    fn is_folder(&self) -> bool {
        self.base.starts_with("file://")
    }

    /// How a file is compressed on its way.
    fn encoding(&self, name: &str) -> Option<Compression> {
        if name.ends_with(".narinfo") {
            self.config.narinfo_compression
        } else if name.ends_with(".ls") {
            self.config.ls_compression
        } else if name.starts_with("log/") {
            self.config.log_compression
        } else {
            None
        }
        .filter(|method| *method != Compression::None)
    }

    pub(crate) fn exchange(
        &self,
        method: &str,
        url: &str,
        mut headers: Vec<(String, String)>,
        payload: Payload<'_>,
        digest: &str,
    ) -> Result<firn_fetch::Answer, FetchError> {
        headers.extend(self.headers(method, url, digest));
        self.downloader.exchange(&Exchange { method, url, headers, payload }, 0)
    }
}

/// Whether a URL is that of something below `base`, and not of a host whose name only begins as that one's.
fn is_below(url: &str, base: &str) -> bool {
    url.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// Whether an error says that a file is not there. Amazon's buckets answer so to those who may read but not list.
fn is_absent(error: &FetchError) -> bool {
    match error {
        FetchError::Transfer { kind: FailureKind::NotFound, .. } => true,
        FetchError::Transfer { kind: FailureKind::Forbidden, reason, .. } => {
            reason.contains("<Code>AccessDenied</Code>")
        }
        _ => false,
    }
}

/// The SHA-256 of nothing, base 16.
pub(crate) fn empty_digest() -> String {
    Hash::digest(HashAlgo::Sha256, b"").to_base16()
}

impl Transport for HttpTransport {
    fn uri(&self) -> String {
        self.uri.clone()
    }

    fn exists(&self, name: &str) -> Result<bool> {
        self.check_enabled()?;
        let url = self.url(name);
        if self.is_folder() {
            return Ok(self.open(name, 0)?.is_some());
        }
        match self.exchange("HEAD", &url, Vec::new(), Payload::None, &empty_digest()) {
            Ok(_) => Ok(true),
            Err(e) if is_absent(&e) => Ok(false),
            // an answer without a body does not say why it is forbidden
            Err(e) if e.kind() == FailureKind::Forbidden => Ok(self.open(name, 0)?.is_some()),
            Err(e) => Err(self.failure(e)),
        }
    }

    fn get(&self, name: &str, parent: u64) -> Result<Option<Vec<u8>>> {
        let Some(source) = self.open(name, parent)? else { return Ok(None) };
        let mut bytes = Vec::new();
        source
            .take(SMALL_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| stream_failure(self, e))?;
        if bytes.len() as u64 > SMALL_LIMIT {
            return Err(Error::Format(format!(
                "the file '{name}' of the binary cache '{}' is larger than {SMALL_LIMIT} bytes",
                self.uri
            )));
        }
        Ok(Some(bytes))
    }

    fn open(&self, name: &str, parent: u64) -> Result<Option<Box<dyn Read + Send>>> {
        self.check_enabled()?;
        let url = self.url(name);
        let headers = self.headers("GET", &url, &empty_digest());
        let request = Request { url, headers, ..Request::default() };
        match self.downloader.open(request, parent) {
            Ok(transfer) => {
                let encoding = transfer.encoding().map(Compression::parse).transpose()?;
                let source: Box<dyn Read + Send> = Box::new(transfer);
                Ok(Some(match encoding {
                    Some(encoding) => encoding.decoder(source)?,
                    None => source,
                }))
            }
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(self.failure(e)),
        }
    }

    fn put(&self, name: &str, body: Body<'_>, mime: &str) -> Result<()> {
        let url = self.url(name);
        if self.is_folder() {
            return Err(Error::Format(format!("uploading to '{url}' is not supported")));
        }
        let mut headers = vec![("content-type".to_owned(), mime.to_owned())];
        headers.extend(self.upload_headers.iter().cloned());
        let done = match body {
            Body::Bytes(bytes) => {
                let packed;
                let mut bytes = bytes;
                if let Some(method) = self.encoding(name) {
                    packed = compress(method, bytes)?;
                    bytes = &packed;
                    headers.push(("content-encoding".to_owned(), method.name().to_owned()));
                }
                let digest = Hash::digest(HashAlgo::Sha256, bytes).to_base16();
                self.exchange("PUT", &url, headers, Payload::Bytes(bytes), &digest)
            }
            Body::Temporary(file) => {
                let digest = match &self.signer {
                    Some(_) => digest_of(file.as_file())?,
                    None => String::new(),
                };
                self.exchange("PUT", &url, headers, Payload::File(file.as_file()), &digest)
            }
        };
        done.map(drop).map_err(|e| match self.failure(e) {
            // the client's words are about downloads
            Error::Remote(e) => {
                let text = e.to_string();
                Error::remote(text.replacen("unable to download", "unable to upload to", 1))
            }
            other => other,
        })
    }

    /// Over one connection more can be asked than over several, and several are not made before it is known whether one will do.
    fn parallel(&self) -> usize {
        match self.downloader.multiplexes(&self.base) {
            Some(true) => self.connections.max(MULTIPLEXED),
            Some(false) => self.connections,
            None if self.downloader.may_multiplex(&self.base) => 1,
            None => self.connections,
        }
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// A failed transfer within an I/O error, as an error of a store.
pub(crate) fn stream_failure(transport: &HttpTransport, error: std::io::Error) -> Error {
    match error.downcast::<FetchError>() {
        Ok(error) => transport.failure(error),
        Err(source) => Error::Stream { action: "reading from a binary cache", source },
    }
}

/// The SHA-256 of a whole file, base 16.
fn digest_of(mut file: &std::fs::File) -> Result<String> {
    use std::io::Seek as _;
    let failed = |source| Error::Stream { action: "reading a temporary file", source };
    let mut hasher = Hasher::new(HashAlgo::Sha256);
    file.rewind().map_err(failed)?;
    std::io::copy(&mut file, &mut hasher).map_err(failed)?;
    Ok(hasher.finish().to_base16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_event::Logger;
    use firn_fetch::FetchSettings;

    #[test]
    fn requests_of_other_hosts_are_not_signed() {
        let base = "https://b.s3.example.org";
        for url in [base, "https://b.s3.example.org/x", "https://b.s3.example.org?uploads"] {
            assert!(is_below(url, base), "{url}");
        }
        for url in ["https://b.s3.example.org.evil/x", "https://b.s3.example.org@evil/", "http://b"]
        {
            assert!(!is_below(url, base), "{url}");
        }
    }

    #[test]
    fn names_are_below_the_cache() {
        let downloader = Downloader::new(FetchSettings::default(), Logger::silent()).unwrap();
        let new = |uri: &str| {
            let config = CacheConfig::default();
            HttpTransport::new(uri, downloader.clone(), config, Disabling::default(), 1)
        };
        let transport = new("https://u:p@example.org/a/b/");
        assert_eq!(transport.uri(), "https://example.org/a/b");
        assert_eq!(transport.url("nar/x?y=z"), "https://u:p@example.org/a/b/nar/x?y=z");
        assert_eq!(transport.url("/nar/x"), "https://u:p@example.org/nar/x");
        assert_eq!(transport.url("http://o.example/x"), "http://o.example/x");
    }
}
