//! What the HTTP client is made of: TLS roots, this client's certificate, limits. It is made at its first use, since most
//! commands ask nobody.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::error::FetchError;
use crate::settings::{ClientCertificate, FetchSettings};

/// How much of one answer over HTTP/2 a server may send before it is read, in bytes.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// The same of all answers of a connection. It is as large as can be: answers are read in an order of their reader's, and one
/// that waits for another to be read must not keep that from coming.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// The largest piece that a server sends over HTTP/2, in bytes.
const FRAME: u32 = 128 * 1024;
/// How many connections of a host are kept open when nothing goes over them.
const IDLE_CONNECTIONS: usize = 32;

/// The client that all downloads of one [`Downloader`](crate::Downloader) share.
pub(crate) struct Client {
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    made: OnceLock<Result<reqwest::Client, String>>,
}

/// Who this client is.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Reads what the settings name.
    pub(crate) fn new(settings: &FetchSettings) -> Result<Self, FetchError> {
        Ok(Self {
            roots: roots(settings)?,
            identity: settings.client_certificate.as_ref().map(identity).transpose()?,
            made: OnceLock::new(),
        })
    }

    /// The client itself.
    pub(crate) fn get(&self, settings: &FetchSettings) -> Result<&reqwest::Client, String> {
        self.made.get_or_init(|| self.make(settings)).as_ref().map_err(Clone::clone)
    }

    fn make(&self, settings: &FetchSettings) -> Result<reqwest::Client, String> {
        let suffix = &settings.user_agent_suffix;
        let space = if suffix.is_empty() { "" } else { " " };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls(settings.http2)?)
            .user_agent(format!("firn/{}{space}{suffix}", env!("CARGO_PKG_VERSION")))
            // followed where it is known what may go along
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_frame_size(FRAME);
        if let Some(limit) = settings.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if !settings.http2 {
            builder = builder.http1_only();
        }
        builder.build().map_err(|e| innermost(&e))
    }

    fn tls(&self, http2: bool) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.roots.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(|e| e.to_string())?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = match http2 {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        };
        Ok(config)
    }
}

/// What the last error of a chain says; those before it say little more than "it failed".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn roots(settings: &FetchSettings) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let path = settings.ca_file.clone().or_else(FetchSettings::host_ca_file);
    let bad = |reason: String| FetchError::Certificates {
        path: path.clone().unwrap_or_default(),
        reason,
    };
    let pem = match (&settings.ca_data, &path) {
        (Some(data), _) => data.clone(),
        (None, Some(path)) => std::fs::read(path).map_err(|e| bad(e.to_string()))?,
        // Plain HTTP still works; HTTPS then fails with an unknown issuer.
        (None, None) => Vec::new(),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|e| bad(e.to_string()))?;
    if certificates.is_empty() && !pem.is_empty() {
        return Err(bad("there is no certificate in it".into()));
    }
    Ok(certificates)
}

fn identity(files: &ClientCertificate) -> Result<Identity, FetchError> {
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |reason: String| FetchError::ClientCertificate { path, reason }
    };
    let read = |path: &Path| std::fs::read(path).map_err(|e| bad(path)(e.to_string()));
    let pem = read(&files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|e| bad(&files.certificate)(e.to_string()))?;
    if chain.is_empty() {
        return Err(bad(&files.certificate)("there is no certificate in it".into()));
    }
    let pem = read(&files.private_key)?;
    let key = match PrivateKeyDer::pem_slice_iter(&pem).next() {
        Some(key) => key.map_err(|e| bad(&files.private_key)(e.to_string()))?,
        None => return Err(bad(&files.private_key)("there is no private key in it".into())),
    };
    // a key that does not fit would only be noticed when the first connection is made
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)
        .map_err(|e| bad(&files.private_key)(e.to_string()))?;
    Ok(Identity { chain, key })
}
