//! Buckets of Amazon S3, and of what speaks like it.
//!
//! Here: [`bucket`] is the cache in a bucket, [`sigv4`] signs requests, and the others say who signs, in this order: the
//! environment, a user who has signed in ([`sso`]), the files of the AWS command line ([`files`]), by themselves or by a
//! role that they may take on ([`role`]), the machine that this one runs on ([`machine`]). [`source`] puts these together.

mod bucket;
mod files;
mod machine;
mod role;
mod sigv4;
mod source;
mod sso;

pub use bucket::S3Transport;

use firn_event::Logger;
use firn_fetch::{Downloader, Exchange, FetchSettings, Payload};

/// Variables of the environment that say who asks.
pub(crate) type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Credentials, and when they expire in seconds since 1970.
type Found = Result<(sigv4::Credentials, u64), String>;

/// Asks for a small text.
fn ask(
    fetch: &FetchSettings,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    payload: Payload<'_>,
) -> Result<String, String> {
    let downloader = Downloader::new(fetch.clone(), Logger::silent()).map_err(|e| e.to_string())?;
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let answer = downloader
        .exchange(&Exchange { method, url, headers, payload }, 0)
        .map_err(|error| error.to_string())?;
    String::from_utf8(answer.body).map_err(|_| format!("'{url}' gives no text"))
}
