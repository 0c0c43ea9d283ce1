//! The HTTP client: TLS roots, proxies, time limits.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, TlsProvider};

use crate::error::FetchError;
use crate::settings::{ClientCertificate, FetchSettings};

/// Makes the client that all downloads of one [`Downloader`](crate::Downloader) share.
pub(crate) fn agent(settings: &FetchSettings) -> Result<Agent, FetchError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(roots(settings)?)
        .client_cert(settings.client_certificate.as_ref().map(client_certificate).transpose()?)
        .build();
    let suffix = &settings.user_agent_suffix;
    let space = if suffix.is_empty() { "" } else { " " };
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(10)
        .user_agent(format!("firn/{}{space}{suffix}", env!("CARGO_PKG_VERSION")))
        .timeout_connect(settings.connect_timeout)
        .timeout_recv_response(settings.stalled_timeout)
        .timeout_per_read(settings.stalled_timeout)
        .timeout_per_write(settings.stalled_timeout)
        .max_idle_connections(64)
        .max_idle_connections_per_host(32)
        .accept_encoding("identity")
        .build();
    Ok(Agent::new_with_config(config))
}

fn roots(settings: &FetchSettings) -> Result<RootCerts, FetchError> {
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
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| bad(e.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() && !pem.is_empty() {
        return Err(bad("there is no certificate in it".into()));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

fn client_certificate(files: &ClientCertificate) -> Result<ClientCert, FetchError> {
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |reason: String| FetchError::ClientCertificate { path, reason }
    };
    let items = |path: &Path| -> Result<Vec<PemItem<'static>>, FetchError> {
        let pem = std::fs::read(path).map_err(|e| bad(path)(e.to_string()))?;
        let items: Result<Vec<_>, _> = ureq::tls::parse_pem(&pem).collect();
        items.map_err(|e| bad(path)(e.to_string()))
    };
    let certificates: Vec<Certificate<'static>> = items(&files.certificate)?
        .into_iter()
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(bad(&files.certificate)("there is no certificate in it".into()));
    }
    let key = items(&files.private_key)?.into_iter().find_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let Some(key) = key else {
        return Err(bad(&files.private_key)("there is no private key in it".into()));
    };
    // a key that does not fit would only be noticed, with a panic, when the first connection is made
    let chain = certificates.iter().map(|c| c.der().to_vec().into()).collect();
    let der = PrivateKeyDer::try_from(key.der().to_vec())
        .map_err(|e| bad(&files.private_key)(e.to_owned()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    rustls::sign::CertifiedKey::from_der(chain, der, &provider)
        .map_err(|e| bad(&files.private_key)(e.to_string()))?;
    Ok(ClientCert::new_with_certs(&certificates, key))
}
