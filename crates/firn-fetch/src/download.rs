//! One download: attempts, pauses, resumption, checks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use firn_event::{Activity, ActivityKind, Field, Level, Logger};
use firn_model::hash::Hash;

use crate::client::Client;
use crate::error::{FailureKind, FetchError};
use crate::exchange::Payload;
use crate::redact;
use crate::request::status_error;
use crate::settings::FetchSettings;
use crate::sink::{FileSink, Sink};
use crate::wire::Response;

/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// What to ask for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// An `http`, `https` or `file` URL.
    pub url: String,
    /// The validator of what the caller already has (`If-None-Match`).
    pub expected_etag: Option<String>,
    /// More header fields.
    pub headers: Vec<(String, String)>,
    /// Set by whoever wants the transfer to stop.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Request {
    /// Asks for `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }
}

/// What a download brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Downloaded {
    /// The URL after redirections.
    pub url: String,
    /// The validator for the next time.
    pub etag: Option<String>,
    /// `Last-Modified` as the server wrote it.
    pub last_modified: Option<String>,
    /// `Content-Type` as the server wrote it.
    pub content_type: Option<String>,
    /// The target of a `Link: <…>; rel="immutable"` field (the lockable tarball protocol).
    pub immutable_url: Option<String>,
    /// The server said that what the caller has is still right (304); the sink got nothing.
    pub not_modified: bool,
    /// Bytes that went into the sink.
    pub size: u64,
}

/// Downloads; cheap to share between threads, keeps connections open.
#[derive(Debug, Clone)]
pub struct Downloader {
    client: Arc<Client>,
    settings: Arc<FetchSettings>,
    /// By host and port, which servers take many requests over one connection.
    multiplexing: Arc<Mutex<HashMap<String, bool>>>,
    logger: Logger,
}

/// How far the attempts at one download have come.
#[derive(Default)]
struct State {
    written: u64,
    /// The strong validator of what was written so far.
    etag: Option<String>,
    result: Downloaded,
}

impl Downloader {
    /// A downloader with these settings, which reports to `logger`.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(settings: FetchSettings, logger: Logger) -> Result<Self, FetchError> {
        let client = Arc::new(Client::new(&settings)?);
        Ok(Self { client, settings: Arc::new(settings), multiplexing: Arc::default(), logger })
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &FetchSettings {
        &self.settings
    }

    /// Whether the server of `url` takes many requests over one connection (HTTP/2); `None` if it has not been asked for
    /// anything yet.
    #[must_use]
    pub fn multiplexes(&self, url: &str) -> Option<bool> {
        let url = reqwest::Url::parse(url).ok()?;
        let known = self.multiplexing.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&host_and_port(&url)).copied()
    }

    /// Whether the server of `url` might do so.
    #[must_use]
    pub fn may_multiplex(&self, url: &str) -> bool {
        self.settings.http2 && url.starts_with("https://")
    }

    pub(crate) fn note_multiplexing(&self, url: &reqwest::Url, does: bool) {
        let mut known = self.multiplexing.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(host_and_port(url), does);
    }

    /// Streams `request` into `sink`. `parent` is the activity that this is part of, 0 for none.
    ///
    /// # Errors
    /// After the last attempt, or at once where another attempt cannot help.
    pub fn download(
        &self,
        request: &Request,
        sink: &mut dyn Sink,
        parent: u64,
    ) -> Result<Downloaded, FetchError> {
        let shown = redact(&request.url);
        let activity = self.logger.start(
            ActivityKind::FileTransfer,
            Level::Talkative,
            format!("downloading '{shown}'"),
            vec![Field::Text(shown.clone())],
            parent,
        );
        if let Some(path) = request.url.strip_prefix("file://") {
            return self.copy_file(request, path, sink, &activity);
        }
        let mut state = State::default();
        let mut attempt = 1;
        loop {
            let error = match self.attempt(request, sink, &mut state, &activity) {
                Ok(()) => {
                    activity.progress(state.written, state.written);
                    state.result.size = state.written;
                    return Ok(state.result);
                }
                Err(error) => error,
            };
            self.wait_for_another(error, attempt, state.written, request.cancel.as_ref())?;
            attempt += 1;
        }
    }

    /// Downloads into a new file at `path`, trying `urls` one after the other until one brings
    /// what `wanted` says. With no `wanted` the first that answers wins. Returns the hash.
    ///
    /// # Errors
    /// With what every URL said; then there is no file at `path`.
    pub fn download_file(
        &self,
        urls: &[String],
        path: &Path,
        wanted: Option<&Hash>,
        parent: u64,
    ) -> Result<Downloaded, FetchError> {
        let mut tried = Vec::new();
        for url in urls {
            let sink_error = |source| FetchError::Sink {
                url: format!("{} to {}", redact(url), path.display()),
                source,
            };
            let file = File::create(path).map_err(sink_error)?;
            let mut sink = FileSink::new(file, wanted.map(Hash::algo));
            let error = match self.download(&Request::new(url.clone()), &mut sink, parent) {
                Ok(done) => match (wanted, sink.finish().1) {
                    (Some(wanted), Some(got)) if *wanted != got => FetchError::WrongHash {
                        url: redact(url),
                        wanted: wanted.to_sri(),
                        got: got.to_sri(),
                    },
                    _ => return Ok(done),
                },
                Err(error) => error,
            };
            std::fs::remove_file(path).map_err(sink_error)?;
            if error.kind() == FailureKind::Interrupted {
                return Err(error);
            }
            tried.push(error);
            if let (Some(last), true) = (tried.last(), tried.len() < urls.len()) {
                self.logger.warn(format!("{last}; trying the next mirror"));
            }
        }
        match tried.len() {
            1 => Err(tried.remove(0)),
            _ => Err(FetchError::AllMirrorsFailed {
                wanted: urls.first().map(|u| redact(u)).unwrap_or_default(),
                tried,
            }),
        }
    }

    /// Waits before attempt `attempt + 1`; fails with `error` if another one cannot help or was the last. `written`
    /// bytes need not come again.
    pub(crate) fn wait_for_another(
        &self,
        error: FetchError,
        attempt: u32,
        written: u64,
        cancel: Option<&Arc<AtomicBool>>,
    ) -> Result<(), FetchError> {
        let FetchError::Transfer { kind: FailureKind::Transient, retry_after, url, .. } = &error
        else {
            return Err(error);
        };
        if attempt >= self.settings.attempts.max(1) {
            return Err(error);
        }
        let pause = self.pause(attempt, *retry_after);
        let from = if written > 0 { format!(" from offset {written}") } else { String::new() };
        self.logger.warn(format!("{error}; retrying{from} in {} ms", pause.as_millis()));
        self.sleep(url, cancel, pause)
    }

    /// Where it reports to.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.logger
    }

    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        let base = self.settings.retry_pause.saturating_mul(1 << (attempt - 1).min(10));
        // A little spread, so that many clients do not come back at the same moment.
        let spread = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |t| t.subsec_nanos() % 400);
        let pause = base + base * spread / 1000;
        pause.max(asked.unwrap_or_default()).min(self.settings.longest_pause)
    }

    fn sleep(
        &self,
        url: &str,
        cancel: Option<&Arc<AtomicBool>>,
        pause: Duration,
    ) -> Result<(), FetchError> {
        let until = Instant::now() + pause;
        loop {
            check_flag(url, cancel)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    fn attempt(
        &self,
        request: &Request,
        sink: &mut dyn Sink,
        state: &mut State,
        activity: &Activity,
    ) -> Result<(), FetchError> {
        check_cancelled(request)?;
        let shown = redact(&request.url);
        let failed = |kind, reason: String| FetchError::Transfer {
            url: shown.clone(),
            reason,
            kind,
            retry_after: None,
        };
        let response = self.send(request, state)?;
        let status = response.status;
        let header = |name: &str| response.header(name);
        if status == 304 && request.expected_etag.is_some() {
            state.result.etag = header("etag").or_else(|| request.expected_etag.clone());
            state.result.not_modified = true;
            return Ok(());
        }
        if status == 416 && state.written > 0 {
            // Everything had already arrived, or the file changed; from the start then.
            restart(sink, state, &shown)?;
            return Err(failed(FailureKind::Transient, "the server refused to resume".into()));
        }
        if !(200..300).contains(&status) {
            return Err(status_error(response, &shown));
        }
        let etag = header("etag");
        if state.written > 0 && status != 206 {
            let same = etag.is_some() && etag == state.etag;
            if !restart(sink, state, &shown)? {
                let hint = if same { "it cannot resume" } else { "the file changed" };
                return Err(failed(
                    FailureKind::Permanent,
                    format!("the transfer was cut and the server began anew ({hint})"),
                ));
            }
        }
        if status == 206 {
            let start = header("content-range").as_deref().and_then(range_start);
            if start != Some(state.written) {
                return Err(failed(
                    FailureKind::Permanent,
                    format!("the server answered with another range than {}-", state.written),
                ));
            }
        }
        let expected = header("content-length").and_then(|l| l.parse::<u64>().ok());
        let expected = expected.map(|rest| state.written + rest);
        state.result = Downloaded {
            url: response.url.clone(),
            last_modified: header("last-modified"),
            content_type: header("content-type"),
            immutable_url: header("link").as_deref().and_then(immutable_link),
            etag: etag.clone(),
            ..Downloaded::default()
        };
        state.etag = etag.filter(|e| !e.starts_with("W/"));

        let mut reader = response.body;
        let mut buffer = vec![0; 128 * 1024];
        let mut reported = Instant::now();
        loop {
            check_cancelled(request)?;
            let read = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(failed(FailureKind::Transient, stream_error(&e))),
            };
            sink.take(&buffer[..read])
                .map_err(|source| FetchError::Sink { url: shown.clone(), source })?;
            state.written += read as u64;
            if reported.elapsed() >= PROGRESS_EVERY {
                activity.progress(state.written, expected.unwrap_or(0));
                reported = Instant::now();
            }
        }
        match expected {
            Some(expected) if expected != state.written => Err(failed(
                FailureKind::Transient,
                format!("the transfer was cut after {} of {expected} bytes", state.written),
            )),
            _ => Ok(()),
        }
    }

    fn send(&self, request: &Request, state: &State) -> Result<Response, FetchError> {
        self.send_from(request, state.written, state.etag.as_deref())
    }

    /// Sends a request for what follows the first `from` bytes; `etag` is the validator of what they belong to.
    pub(crate) fn send_from(
        &self,
        request: &Request,
        from: u64,
        etag: Option<&str>,
    ) -> Result<Response, FetchError> {
        let mut headers = request.headers.clone();
        if from > 0 {
            headers.push(("range".into(), format!("bytes={from}-")));
            if let Some(etag) = etag {
                headers.push(("if-range".into(), etag.to_owned()));
            }
        } else if let Some(etag) = &request.expected_etag {
            headers.push(("if-none-match".into(), etag.clone()));
        }
        self.request("GET", &request.url, &headers, Payload::None)
    }

    /// The HTTP client, made now if it is the first time.
    pub(crate) fn client(&self) -> Result<&reqwest::Client, String> {
        self.client.get(&self.settings)
    }

    fn copy_file(
        &self,
        request: &Request,
        path: &str,
        sink: &mut dyn Sink,
        activity: &Activity,
    ) -> Result<Downloaded, FetchError> {
        let failed = |kind, reason: String| FetchError::Transfer {
            url: request.url.clone(),
            reason,
            kind,
            retry_after: None,
        };
        let path = percent_decode(path.strip_prefix("localhost").unwrap_or(path));
        let mut file = File::open(&path).map_err(|e| match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                failed(FailureKind::NotFound, "there is no such file".into())
            }
            ErrorKind::PermissionDenied => {
                failed(FailureKind::Forbidden, "it may not be read".into())
            }
            _ => failed(FailureKind::Permanent, e.to_string()),
        })?;
        let mut buffer = vec![0; 128 * 1024];
        let mut size = 0;
        loop {
            check_cancelled(request)?;
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(failed(FailureKind::Permanent, e.to_string())),
            };
            sink.take(&buffer[..read])
                .map_err(|source| FetchError::Sink { url: request.url.clone(), source })?;
            size += read as u64;
        }
        activity.progress(size, size);
        Ok(Downloaded { url: request.url.clone(), size, ..Downloaded::default() })
    }
}

fn host_and_port(url: &reqwest::Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

fn restart(sink: &mut dyn Sink, state: &mut State, shown: &str) -> Result<bool, FetchError> {
    let done = sink.restart().map_err(|source| FetchError::Sink { url: shown.into(), source })?;
    if done {
        state.written = 0;
        state.etag = None;
    }
    Ok(done)
}

pub(crate) fn check_cancelled(request: &Request) -> Result<(), FetchError> {
    check_flag(&request.url, request.cancel.as_ref())
}

fn check_flag(url: &str, cancel: Option<&Arc<AtomicBool>>) -> Result<(), FetchError> {
    match cancel {
        Some(flag) if flag.load(Ordering::Relaxed) => Err(FetchError::Transfer {
            url: redact(url),
            reason: "the download was interrupted".into(),
            kind: FailureKind::Interrupted,
            retry_after: None,
        }),
        _ => Ok(()),
    }
}

pub(crate) fn stream_error(error: &std::io::Error) -> String {
    format!("the transfer was cut: {error}")
}

/// The first byte of `bytes 100-199/200`.
pub(crate) fn range_start(value: &str) -> Option<u64> {
    value.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.parse().ok()
}

fn immutable_link(value: &str) -> Option<String> {
    value.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let immutable = parameters.split(';').any(|p| {
            p.trim().strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"') == "immutable")
        });
        immutable.then(|| target.to_owned())
    })
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod units {
    use super::*;

    #[test]
    fn header_values() {
        assert_eq!(range_start("bytes 5-9/10"), Some(5));
        assert_eq!(
            immutable_link("<https://a/x>; rel=\"canonical\", <https://a/y>; rel=\"immutable\""),
            Some("https://a/y".into())
        );
        assert_eq!(percent_decode("/a%20b%2"), "/a b%2");
    }
}
