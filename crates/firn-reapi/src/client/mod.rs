//! The connection to a server: what it can do, what is sent with each call, and trying again.

mod blobs;
mod execute;
mod retry;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use self::retry::Retry;
use crate::address::ClusterSettings;
use crate::api::re;
use crate::error::{Error, Result};
use crate::wire::grpc::{Channel, Endpoint};
use crate::wire::proto::Message as _;

pub use blobs::{Blob, Contents, Wanted};
pub use execute::{Cached, Executed, Progress};

/// How long a call may take that moves little.
const CALL: Duration = Duration::from_secs(60);
/// How many bytes of blobs are in one call, if the server names no limit. Calls are limited to 4 MiB, with their
/// framing.
const BATCH: u64 = 3 << 20;
/// The header that says who asks.
const WHO: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

/// A server.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    /// What is sent with each call.
    headers: Arc<RwLock<HeaderMap>>,
    instance: String,
    retry: Retry,
    /// The most bytes of blobs in one call.
    batch: u64,
    /// Whether it knows outputs by their paths alone, as servers since 2.1 do.
    pub output_paths: bool,
    /// Whether it takes links to absolute paths.
    pub absolute_links: bool,
}

impl Client {
    /// Connects, and finds out what the server can do.
    ///
    /// # Errors
    /// When it cannot be reached, or is not what is needed.
    pub async fn connect(settings: &ClusterSettings) -> Result<Self> {
        let mut client = Self {
            channel: Channel::new(endpoint(settings)?),
            headers: Arc::default(),
            instance: settings.instance.clone(),
            retry: Retry { attempts: settings.attempts },
            batch: BATCH,
            output_paths: true,
            absolute_links: true,
        };
        client.read_headers(settings)?;
        client.ask_capabilities().await?;
        Ok(client)
    }

    /// Reads the file of headers anew: what is in it may be good for a short time only.
    ///
    /// # Errors
    /// If it cannot be read or makes no sense. The error never has its contents.
    pub fn read_headers(&self, settings: &ClusterSettings) -> Result<()> {
        let who = re::RequestMetadata {
            tool_details: Some(re::ToolDetails {
                tool_name: "firn".into(),
                tool_version: env!("CARGO_PKG_VERSION").into(),
            }),
        };
        let mut headers = HeaderMap::new();
        let who = base64::engine::general_purpose::STANDARD_NO_PAD.encode(who.encode());
        if let Ok(who) = HeaderValue::from_str(&who) {
            headers.insert(HeaderName::from_static(WHO), who);
        }
        if let Some(file) = &settings.headers {
            let text = std::fs::read_to_string(file)
                .map_err(Error::file("reading the headers for a cluster from", file))?;
            headers.extend(parse_headers(&text, file)?);
        }
        *self.headers.write() = headers;
        Ok(())
    }

    async fn ask_capabilities(&mut self) -> Result<()> {
        let mut tries = self.retry.begin();
        let found = loop {
            let attempt: Result<re::ServerCapabilities> = async {
                let request = re::GetCapabilitiesRequest { instance_name: self.instance.clone() };
                let path = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities";
                let answer = self.channel.call(path, &self.headers(), &request, CALL).await;
                answer.map_err(Error::call("asking for capabilities"))
            }
            .await;
            match attempt {
                Ok(done) => break done,
                Err(error) => tries.after(error).await?,
            }
        };
        let unsuited = |what: &str| Err(Error::Unsuited(format!("the server {what}")));
        let Some(cache) = found.cache_capabilities else {
            return unsuited("has no content-addressed storage");
        };
        if !cache.digest_functions.contains(&re::SHA256) {
            return unsuited("does not name blobs by SHA-256");
        }
        match &found.execution_capabilities {
            Some(execution) if execution.exec_enabled => {}
            _ => return unsuited("executes nothing"),
        }
        if let Ok(most) = u64::try_from(cache.max_batch_total_size_bytes)
            && most > 0
        {
            self.batch = self.batch.min(most);
        }
        self.absolute_links = cache.symlink_absolute_path_strategy != re::ABSOLUTE_LINKS_DISALLOWED;
        self.output_paths =
            found.high_api_version.is_none_or(|version| (version.major, version.minor) >= (2, 1));
        Ok(())
    }

    fn headers(&self) -> HeaderMap {
        self.headers.read().clone()
    }

    /// The instance's name as resource names begin with it.
    fn prefix(&self) -> String {
        match self.instance.as_str() {
            "" => String::new(),
            name => format!("{name}/"),
        }
    }
}

fn endpoint(settings: &ClusterSettings) -> Result<Endpoint> {
    Ok(Endpoint {
        host: settings.host.clone(),
        port: settings.port,
        tls: settings.tls.then(|| tls(settings)).transpose()?.map(Arc::new),
    })
}

/// How TLS is done with this cluster.
fn tls(settings: &ClusterSettings) -> Result<rustls::ClientConfig> {
    let bad = |what: String| Error::Address(format!("'{}': {what}", settings.name));
    let Some(file) = &settings.ca_file else {
        let text = "no file of certificates was found on this system; name one by 'ca-file'";
        return Err(bad(text.into()));
    };
    let read = |file: &Path| -> Result<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|e| bad(format!("reading certificates from '{}': {e}", file.display())))
    };
    let mut roots = rustls::RootCertStore::empty();
    if roots.add_parsable_certificates(read(file)?).0 == 0 {
        return Err(bad(format!("there are no certificates in '{}'", file.display())));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(e.to_string()))?
        .with_root_certificates(roots);
    let mut config = match &settings.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            // the error of a key must not have what is in it
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|_| bad(format!("there is no private key in '{}'", key.display())))?;
            config.with_client_auth_cert(read(certificate)?, key).map_err(|e| bad(e.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Reads headers. Errors name lines, not what is in them.
fn parse_headers(text: &str, file: &Path) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parsed = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = parsed.ok_or_else(|| {
            Error::Address(format!(
                "line {} of the file of headers '{}' is not of the form 'Name: value'",
                number + 1,
                file.display()
            ))
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lines_and_stay_secret() {
        let file = Path::new("/h");
        let headers = parse_headers("# c\n\nAuthorization: Bearer a:b\n", file).unwrap();
        assert_eq!(headers["authorization"], "Bearer a:b");
        assert!(!format!("{headers:?}").contains("Bearer"));
        for text in ["s3cret", "s3 cret: x", "ok: s3cret\u{1}"] {
            let error = parse_headers(text, file).unwrap_err().to_string();
            assert!(error.contains("line 1") && !error.contains("s3"), "{error}");
        }
    }
}
