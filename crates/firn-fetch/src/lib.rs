//! Downloads: URLs, mirrors, retries and progress.
//!
//! [`Downloader`] streams a URL into a [`Sink`]: `http`, `https` and `file`. Transient failures are
//! tried again with growing pauses, cut transfers go on where they stopped, stalled ones are given
//! up, TLS is always verified. [`Mirrors`] turns `mirror://` URLs into real ones from what the host
//! is set up to use, so that no host name need be built in.
//!
//! [`git`] reads and fetches Git repositories by way of the program `git`; [`hosted`] knows the URLs of GitHub,
//! GitLab and SourceHut.
//!
//! Nothing here knows what a fetched file means, and nothing is cached: whoever wants a file knows
//! its hash or keeps its validator.

mod client;
mod download;
mod error;
mod exchange;
pub mod git;
pub mod hosted;
mod mirror;
mod netrc;
mod request;
mod settings;
mod sink;
mod transfer;
mod wire;

pub use download::{Downloaded, Downloader, Request};
pub use error::{FailureKind, FetchError};
pub use exchange::{Answer, Exchange, Payload};
pub use mirror::Mirrors;
pub use netrc::Netrc;
pub use settings::{ClientCertificate, FetchSettings};
pub use sink::{FileSink, MemorySink, Sink, WriteSink};
pub use transfer::Transfer;

/// `url` without user name and password, for messages.
#[must_use]
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}
