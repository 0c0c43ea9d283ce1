//! One request on the wire, for callers who wait: it is sent, and its answer received, by threads that all requests of this
//! process share. What arrives waits in a queue of bounded size for whoever reads it.
//!
//! Nothing here knows of attempts, credentials or what an answer means.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::error::FailureKind;
use crate::exchange::Payload;

/// How many bytes of an answer may wait for their reader.
const WAITING: usize = 1024 * 1024;
/// How much of a file is read at a time to send it, in bytes.
const PIECE: usize = 128 * 1024;
/// How many threads send and receive. More than one, since TLS is work.
const THREADS: usize = 2;

/// Why a request failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) reason: String,
}

/// Limits of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long nothing may come or go.
    pub(crate) stalled: Option<Duration>,
    /// How many bytes may come in a second.
    pub(crate) speed: Option<u64>,
}

/// An answer whose body is still to be read.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Whether many requests go over one connection to that server.
    pub(crate) multiplexed: bool,
    /// What was asked for in the end.
    pub(crate) url: String,
    pub(crate) body: Body,
}

impl Response {
    /// A header field that is text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What the threads tell the reader.
enum News {
    Head { status: u16, headers: HeaderMap, multiplexed: bool },
    Piece(Bytes),
    Failed(Failure),
}

/// Reads the body of an answer.
pub(crate) struct Body {
    news: Receiver<News>,
    room: Arc<Semaphore>,
    piece: Bytes,
    /// How much room the piece takes until it has been read.
    taken: usize,
}

impl Drop for Body {
    fn drop(&mut self) {
        // whoever waits for room has nobody to wait for
        self.room.close();
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            self.room.add_permits(std::mem::take(&mut self.taken));
            match self.news.recv() {
                Ok(News::Piece(piece)) => {
                    self.taken = room_of(&piece);
                    self.piece = piece;
                }
                Ok(News::Failed(failure)) => return Err(io::Error::other(failure.reason)),
                Ok(News::Head { .. }) => {}
                // all has come
                Err(_) => return Ok(0),
            }
        }
        let got = into.len().min(self.piece.len());
        into[..got].copy_from_slice(&self.piece.split_to(got));
        Ok(got)
    }
}

fn room_of(piece: &Bytes) -> usize {
    piece.len().min(WAITING)
}

/// The threads that send and receive.
fn runtime() -> Result<&'static Runtime, Failure> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(THREADS)
                .thread_name("http")
                .enable_io()
                .enable_time()
                .build()
                .map_err(|e| format!("cannot start a thread for the network: {e}"))
        })
        .as_ref()
        .map_err(|reason| Failure { kind: FailureKind::Permanent, reason: reason.clone() })
}

/// Sends a request and waits for the beginning of its answer.
pub(crate) fn send(
    client: &reqwest::Client,
    method: &http::Method,
    url: &reqwest::Url,
    headers: HeaderMap,
    payload: Payload<'_>,
    limits: Limits,
) -> Result<Response, Failure> {
    let bad =
        |error: &io::Error| Failure { kind: FailureKind::Permanent, reason: error.to_string() };
    let mut request = reqwest::Request::new(method.clone(), url.clone());
    *request.headers_mut() = headers;
    let sent = Arc::new(AtomicU64::new(0));
    if let Some(upload) = Upload::new(payload, Arc::clone(&sent)).map_err(|e| bad(&e))? {
        *request.body_mut() = Some(reqwest::Body::wrap(upload));
    }
    let (to, news) = channel();
    let room = Arc::new(Semaphore::new(WAITING));
    let (client, there) = (client.clone(), Arc::clone(&room));
    runtime()?.spawn(async move {
        if let Err(failure) = transfer(&client, request, &sent, limits, &to, &there).await {
            // a reader who has gone needs no reason
            let _ = to.send(News::Failed(failure));
        }
    });
    let body = Body { news, room, piece: Bytes::new(), taken: 0 };
    match body.news.recv() {
        Ok(News::Head { status, headers, multiplexed }) => {
            Ok(Response { status, headers, multiplexed, url: url.to_string(), body })
        }
        Ok(News::Failed(failure)) => Err(failure),
        Ok(News::Piece(_)) | Err(_) => Err(Failure {
            kind: FailureKind::Transient,
            reason: "the thread for the network gave up".to_owned(),
        }),
    }
}

/// The request, from the first byte to the last.
async fn transfer(
    client: &reqwest::Client,
    request: reqwest::Request,
    sent: &AtomicU64,
    limits: Limits,
    to: &Sender<News>,
    room: &Semaphore,
) -> Result<(), Failure> {
    let response = begin(client, request, sent, limits.stalled).await?;
    let response: http::Response<reqwest::Body> = response.into();
    let (head, body) = response.into_parts();
    let multiplexed = head.version == http::Version::HTTP_2;
    let head = News::Head { status: head.status.as_u16(), headers: head.headers, multiplexed };
    if to.send(head).is_err() {
        return Ok(());
    }
    let mut body = pin!(body);
    let (begun, mut received) = (Instant::now(), 0u64);
    loop {
        let next = match limits.stalled {
            None => body.frame().await,
            Some(limit) => match tokio::time::timeout(limit, body.frame()).await {
                Ok(next) => next,
                Err(_) => {
                    return Err(Failure {
                        kind: FailureKind::Transient,
                        reason: format!("nothing came for {} seconds", limit.as_secs_f32()),
                    });
                }
            },
        };
        let piece = match next {
            None => return Ok(()),
            Some(Err(error)) => return Err(explain(&error)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) if !piece.is_empty() => piece,
                _ => continue,
            },
        };
        received += piece.len() as u64;
        let Ok(taken) = u32::try_from(room_of(&piece)) else { continue };
        // the one who has read it gives the room back
        match room.acquire_many(taken).await {
            Ok(permit) => permit.forget(),
            Err(_) => return Ok(()),
        }
        if to.send(News::Piece(piece)).is_err() {
            return Ok(());
        }
        if let Some(speed) = limits.speed.filter(|speed| *speed > 0) {
            let due = begun + Duration::from_secs_f64(received as f64 / speed as f64);
            tokio::time::sleep_until(due.into()).await;
        }
    }
}

/// Sends a request. How long that may take depends on whether something still goes.
async fn begin(
    client: &reqwest::Client,
    request: reqwest::Request,
    sent: &AtomicU64,
    stalled: Option<Duration>,
) -> Result<reqwest::Response, Failure> {
    let mut running = pin!(client.execute(request));
    let Some(limit) = stalled else {
        return running.await.map_err(|e| explain(&e));
    };
    let mut seen = sent.load(Ordering::Relaxed);
    loop {
        if let Ok(done) = tokio::time::timeout(limit, &mut running).await {
            return done.map_err(|e| explain(&e));
        }
        let now = sent.load(Ordering::Relaxed);
        if now == seen {
            return Err(Failure {
                kind: FailureKind::Transient,
                reason: format!("no answer came for {} seconds", limit.as_secs_f32()),
            });
        }
        seen = now;
    }
}

/// What is sent along.
struct Upload {
    source: Source,
    left: u64,
    sent: Arc<AtomicU64>,
}

enum Source {
    Bytes(Bytes),
    File { file: File, at: u64 },
}

impl Upload {
    fn new(payload: Payload<'_>, sent: Arc<AtomicU64>) -> io::Result<Option<Self>> {
        Ok(Some(match payload {
            Payload::None => return Ok(None),
            Payload::Bytes(bytes) => Self {
                left: bytes.len() as u64,
                source: Source::Bytes(Bytes::copy_from_slice(bytes)),
                sent,
            },
            Payload::File(file) => Self {
                left: file.metadata()?.len(),
                source: Source::File { file: file.try_clone()?, at: 0 },
                sent,
            },
        }))
    }

    fn next(&mut self) -> io::Result<Bytes> {
        let want = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let piece = match &mut self.source {
            Source::Bytes(bytes) => bytes.split_to(want),
            Source::File { file, at } => {
                let mut piece = vec![0; want];
                file.read_exact_at(&mut piece, *at)?;
                *at += want as u64;
                piece.into()
            }
        };
        self.left -= want as u64;
        self.sent.fetch_add(want as u64, Ordering::Relaxed);
        Ok(piece)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.left {
            0 => Poll::Ready(None),
            _ => Poll::Ready(Some(self.next().map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What an error of the client means.
fn explain(error: &reqwest::Error) -> Failure {
    let mut chain: Vec<&(dyn std::error::Error + 'static)> = Vec::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        // what an I/O error was made from is not its source
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        chain.push(error);
        next = inner.map(|e| e as _).or_else(|| error.source());
    }
    let text = chain.last().map(ToString::to_string).unwrap_or_default();
    let has = |kind: fn(&rustls::Error) -> bool| {
        chain.iter().any(|e| e.downcast_ref::<rustls::Error>().is_some_and(kind))
    };
    let permanent = |reason| Failure { kind: FailureKind::Permanent, reason };
    let transient = |reason| Failure { kind: FailureKind::Transient, reason };
    if error.is_builder() {
        return permanent(text);
    }
    if error.is_timeout() {
        return transient("timed out (connect)".to_owned());
    }
    if error.is_dns() {
        // no name is known where there is no network, and waiting brings none
        return match (is_unknown_name(&text), has_network()) {
            (true, _) => permanent("the host's name is not known".to_owned()),
            (false, false) => permanent("the host's name cannot be resolved".to_owned()),
            (false, true) => transient("the host's name cannot be resolved".to_owned()),
        };
    }
    if has(|e| matches!(e, rustls::Error::InvalidCertificate(_))) {
        return permanent(format!("{text}; is 'ssl-cert-file' right?"));
    }
    // a server that refuses this client's certificate does so the next time, too
    if has(|e| matches!(e, rustls::Error::AlertReceived(_))) && says_certificate(&text) {
        return permanent(text);
    }
    transient(text)
}

fn says_certificate(text: &str) -> bool {
    text.to_ascii_lowercase().contains("certificate")
}

/// Whether this machine has a way to any other, as far as the system says.
fn has_network() -> bool {
    let routes = |file: &str, leads_out: fn(&str) -> bool| {
        std::fs::read_to_string(file).map_or(true, |text| text.lines().any(leads_out))
    };
    // the first line of the one is a heading; each line of the other ends with the interface
    routes("/proc/net/route", |line| !line.starts_with("Iface") && !line.trim().is_empty())
        || routes("/proc/net/ipv6_route", |line| !line.trim_end().ends_with(" lo"))
}

/// Whether the resolver has said that there is no such name, rather than that it could not find out. The
/// standard library has no kind of error for it, only the C library's words (`getaddrinfo(3)`).
fn is_unknown_name(text: &str) -> bool {
    ["Name or service not known", "Name does not resolve", "No address associated with hostname"]
        .iter()
        .any(|said| text.ends_with(said))
}
