//! What can go wrong with a download, and whether trying again could help.

use std::path::PathBuf;

/// Why a transfer failed, as far as it matters for what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server says that there is no such file (404, 410).
    NotFound,
    /// The server wants credentials or refuses them (401, 403, 407); never "not found".
    Forbidden,
    /// Trying again later may help.
    Transient,
    /// Trying again will not help.
    Permanent,
    /// The user stopped it.
    Interrupted,
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A transfer failed; `reason` says how, `url` is without credentials.
    #[error("unable to download '{url}': {reason}")]
    Transfer {
        /// What was asked for.
        url: String,
        /// How it failed, with the beginning of the server's answer.
        reason: String,
        /// Whether trying again could help.
        kind: FailureKind,
        /// The pause that the server asked for.
        retry_after: Option<std::time::Duration>,
    },
    /// Every candidate URL failed.
    #[error("unable to download '{wanted}' from any mirror:{}", list(.tried))]
    AllMirrorsFailed {
        /// The URL that the mirrors were made from.
        wanted: String,
        /// The failures in the order in which they came.
        tried: Vec<FetchError>,
    },
    /// What arrived is not what was asked for.
    #[error("the file from '{url}' has the wrong hash:\n  specified: {wanted}\n     got:    {got}")]
    WrongHash {
        /// Where it came from.
        url: String,
        /// The hash that was asked for.
        wanted: String,
        /// The hash of what arrived.
        got: String,
    },
    /// A `mirror://` URL of a kind that has no known mirror on this host.
    #[error("no mirror is known for '{url}'; {hint}")]
    NoMirror {
        /// The URL.
        url: String,
        /// How to set one.
        hint: String,
    },
    /// A URL that cannot be used.
    #[error("'{url}' is not a URL that can be downloaded: {reason}")]
    BadUrl {
        /// The URL.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The certificates of the certificate authorities cannot be read.
    #[error("cannot use the certificates in '{}': {reason}; set 'ssl-cert-file' or NIX_SSL_CERT_FILE to a file in PEM format", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The certificate of this client cannot be used.
    #[error("cannot use the client certificate or key in '{}': {reason}; it must be a file in PEM format", .path.display())]
    ClientCertificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// What arrives cannot be written.
    #[error("cannot write what is downloaded from '{url}': {source}")]
    Sink {
        /// Where it comes from.
        url: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl FetchError {
    /// Whether trying again could help, and whether the file is known to be absent.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Transfer { kind, .. } => *kind,
            Self::AllMirrorsFailed { tried, .. } => {
                if tried.iter().all(|e| e.kind() == FailureKind::NotFound) {
                    FailureKind::NotFound
                } else {
                    tried.last().map_or(FailureKind::Permanent, FetchError::kind)
                }
            }
            _ => FailureKind::Permanent,
        }
    }
}

fn list(tried: &[FetchError]) -> String {
    let mut text = String::new();
    for error in tried {
        text.push_str("\n  - ");
        text.push_str(&error.to_string().replace('\n', "\n    "));
    }
    text
}
