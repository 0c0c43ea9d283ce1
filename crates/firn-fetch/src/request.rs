//! From what a caller asks for to an answer: credentials, redirections, what a status means.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, header};

use crate::download::{Downloader, percent_decode};
use crate::error::{FailureKind, FetchError};
use crate::exchange::Payload;
use crate::redact;
use crate::wire::{self, Limits, Response};

/// How much of an error page goes into the message, in bytes.
const ERROR_BODY_LIMIT: u64 = 1024;
/// How many redirections are followed.
const REDIRECTIONS: usize = 10;
/// The header fields that go along to another server. All others may be meant for the first alone.
const FOR_ALL: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
    header::USER_AGENT,
];

impl Downloader {
    /// What is really asked for, without credentials, and the header fields that stand for them.
    fn target(&self, given: &str) -> Result<(reqwest::Url, Option<HeaderValue>), FetchError> {
        let shown = redact(given);
        let bad = |reason: String| FetchError::BadUrl { url: shown.clone(), reason };
        let mut url = reqwest::Url::parse(given).map_err(|e| bad(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!("the scheme '{}' is not supported", url.scheme())));
        }
        let credentials = if !url.username().is_empty() || url.password().is_some() {
            let decode = |s: &str| percent_decode(s);
            Some((decode(url.username()), decode(url.password().unwrap_or_default())))
        } else {
            url.host_str()
                .and_then(|h| self.settings().netrc.credentials(h))
                .map(|(u, p)| (u.to_owned(), p.to_owned()))
        };
        clean(&mut url);
        let authorization = match credentials {
            Some((user, password)) => {
                let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                let mut value = HeaderValue::try_from(text).map_err(|e| bad(e.to_string()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok((url, authorization))
    }

    /// Sends one request, and others where the answer is that what is wanted is elsewhere.
    pub(crate) fn request(
        &self,
        method: &str,
        given: &str,
        fields: &[(String, String)],
        payload: Payload<'_>,
    ) -> Result<Response, FetchError> {
        let shown = redact(given);
        let bad = |reason: String| FetchError::BadUrl { url: shown.clone(), reason };
        let failed = |kind, reason| FetchError::Transfer {
            url: shown.clone(),
            reason,
            kind,
            retry_after: None,
        };
        let (mut url, authorization) = self.target(given)?;
        let mut method = Method::try_from(method).map_err(|e| bad(e.to_string()))?;
        let mut payload = payload;
        let mut headers = HeaderMap::new();
        // what comes is wanted as it is
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value);
        }
        for (name, value) in fields {
            let name = HeaderName::try_from(name).map_err(|e| bad(e.to_string()))?;
            headers.insert(name, HeaderValue::try_from(value).map_err(|e| bad(e.to_string()))?);
        }
        let client = self.client().map_err(|reason| failed(FailureKind::Permanent, reason))?;
        let limits = Limits {
            stalled: self.settings().stalled_timeout,
            speed: self.settings().download_speed,
        };
        for _ in 0..=REDIRECTIONS {
            let answer = wire::send(client, &method, &url, headers.clone(), payload, limits)
                .map_err(|failure| failed(failure.kind, failure.reason))?;
            self.note_multiplexing(&url, answer.multiplexed);
            let Some(next) = elsewhere(&url, &answer) else { return Ok(answer) };
            let next = next.map_err(|reason| failed(FailureKind::Permanent, reason))?;
            if next.origin() != url.origin() {
                headers = FOR_ALL
                    .iter()
                    .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
                    .collect();
            }
            let post = answer.status <= 302 && method == Method::POST;
            if post || (answer.status == 303 && method != Method::HEAD) {
                method = Method::GET;
                payload = Payload::None;
                headers.remove(header::CONTENT_TYPE);
                headers.remove(header::CONTENT_ENCODING);
            }
            url = next;
        }
        Err(failed(
            FailureKind::Permanent,
            format!("there were more than {REDIRECTIONS} redirections"),
        ))
    }
}

/// Takes out what is not sent as part of a URL.
fn clean(url: &mut reqwest::Url) {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
}

/// Where an answer says that what is wanted is.
fn elsewhere(url: &reqwest::Url, answer: &Response) -> Option<Result<reqwest::Url, String>> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.header("location")?;
    Some(match url.join(&location) {
        Ok(mut next) if matches!(next.scheme(), "http" | "https") => {
            clean(&mut next);
            Ok(next)
        }
        Ok(next) => Err(format!(
            "it is said to be at an address with the scheme '{}', which is not supported",
            next.scheme()
        )),
        Err(e) => Err(format!("it is said to be at an address that makes no sense: {e}")),
    })
}

/// What an answer that is not a success means.
pub(crate) fn status_error(response: Response, shown: &str) -> FetchError {
    let status = response.status;
    let kind = match status {
        404 | 410 => FailureKind::NotFound,
        401 | 403 | 407 => FailureKind::Forbidden,
        408 | 429 => FailureKind::Transient,
        501 | 505 | 511 => FailureKind::Permanent,
        500..=599 => FailureKind::Transient,
        _ => FailureKind::Permanent,
    };
    let retry_after = response
        .header("retry-after")
        .and_then(|v| v.trim().parse().ok())
        .map(Duration::from_secs)
        // "Too many requests" without a time: clearly longer than for a hiccup.
        .or((status == 429).then_some(Duration::from_secs(10)));
    let mut body = Vec::new();
    let _ = response.body.take(ERROR_BODY_LIMIT).read_to_end(&mut body);
    let mut reason = format!("HTTP error {status}");
    match kind {
        FailureKind::Forbidden if status == 407 => {
            reason.push_str(" (the proxy wants credentials)");
        }
        FailureKind::Forbidden => {
            reason.push_str(" (credentials are missing or refused; see 'netrc-file')");
        }
        _ => {}
    }
    let body = String::from_utf8_lossy(&body);
    let body = body.trim();
    if !body.is_empty() {
        reason.push_str("\n\nresponse body:\n\n");
        reason.extend(body.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()));
    }
    FetchError::Transfer { url: shown.into(), reason, kind, retry_after }
}
