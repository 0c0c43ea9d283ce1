//! How to download: time limits, attempts, certificates, credentials. The names and defaults are
//! those of `nix.conf`.

use std::path::PathBuf;
use std::time::Duration;

use crate::mirror::Mirrors;
use crate::netrc::Netrc;

/// Files in PEM format that prove who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those up to an authority that the server knows.
    pub certificate: PathBuf,
    /// Its private key; may be the same file.
    pub private_key: PathBuf,
}

/// Settings of a [`Downloader`](crate::Downloader).
#[derive(Clone)]
pub struct FetchSettings {
    /// `ssl-cert-file`: the certificate authorities, PEM; if absent, those of the host.
    pub ca_file: Option<PathBuf>,
    /// The same as bytes, which win over the file; for a process that cannot see the file.
    pub ca_data: Option<Vec<u8>>,
    /// Who this client is to servers that ask for a certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// `connect-timeout`; `None` for no limit.
    pub connect_timeout: Option<Duration>,
    /// `stalled-download-timeout`: how long a transfer may bring nothing.
    pub stalled_timeout: Option<Duration>,
    /// `http2`: whether HTTP/2 is spoken with servers that can.
    pub http2: bool,
    /// `download-speed`: how many bytes of each transfer may come in a second; `None` for no limit.
    pub download_speed: Option<u64>,
    /// `download-attempts`, at least 1.
    pub attempts: u32,
    /// The pause before the second attempt; each later one is about twice as long.
    pub retry_pause: Duration,
    /// The longest pause, whatever a server asks for.
    pub longest_pause: Duration,
    /// `user-agent-suffix`.
    pub user_agent_suffix: String,
    /// `netrc-file`, read.
    pub netrc: Netrc,
    /// Its text, for a process that cannot see the file; never shown.
    pub netrc_text: String,
    /// What `mirror://` URLs stand for.
    pub mirrors: Mirrors,
}

impl std::fmt::Debug for FetchSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without what may hold passwords.
        f.debug_struct("FetchSettings")
            .field("ca_file", &self.ca_file)
            .field("attempts", &self.attempts)
            .field("netrc", &self.netrc)
            .field("mirrors", &self.mirrors)
            .finish_non_exhaustive()
    }
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            ca_file: None,
            ca_data: None,
            client_certificate: None,
            connect_timeout: Some(Duration::from_secs(15)),
            stalled_timeout: Some(Duration::from_secs(300)),
            http2: true,
            download_speed: None,
            attempts: 5,
            retry_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(120),
            user_agent_suffix: String::new(),
            netrc: Netrc::default(),
            netrc_text: String::new(),
            mirrors: Mirrors::default(),
        }
    }
}

impl FetchSettings {
    /// The defaults with what the environment and the host's package managers say: certificates
    /// and mirrors.
    #[must_use]
    pub fn from_host() -> Self {
        Self { ca_file: Self::host_ca_file(), mirrors: Mirrors::from_host(), ..Self::default() }
    }

    /// Reads credentials from a `netrc` file; one that is not there or not readable means none.
    #[must_use]
    pub fn with_netrc(mut self, file: &std::path::Path) -> Self {
        if let Ok(text) = std::fs::read_to_string(file) {
            self.netrc = Netrc::parse(&text);
            self.netrc_text = text;
        }
        self
    }

    /// The file of certificate authorities that the environment names, or else the host's.
    #[must_use]
    pub fn host_ca_file() -> Option<PathBuf> {
        for variable in ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"] {
            if let Some(path) = std::env::var_os(variable).filter(|v| !v.is_empty()) {
                return Some(path.into());
            }
        }
        [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/ssl/certs/ca-bundle.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
            "/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt",
        ]
        .iter()
        .map(PathBuf::from)
        .find(|p| p.is_file())
    }
}
