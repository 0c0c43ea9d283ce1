//! gRPC calls over HTTP/2 (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
//!
//! A [`Channel`] is one connection, made when it is needed and again after it broke. Whether a call is tried again is
//! for whoever calls to say.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::proto::Message;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a connection is asked whether it still lives, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The longest message that is taken.
const LONGEST: usize = 64 << 20;
/// How much may be under way: of one call, and of all.
const WINDOWS: (u32, u32) = (4 << 20, 16 << 20);

/// The code of a status, as gRPC numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub i32);

impl Code {
    /// It went well.
    pub const OK: Self = Self(0);
    /// Whoever asked gave up.
    pub const CANCELLED: Self = Self(1);
    /// Nobody knows what went wrong.
    pub const UNKNOWN: Self = Self(2);
    /// What was asked makes no sense.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// It took too long.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// It does not exist.
    pub const NOT_FOUND: Self = Self(5);
    /// Whoever asks may not.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// Too much is asked.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// Something has to be done before.
    pub const FAILED_PRECONDITION: Self = Self(9);
    /// Something else came between.
    pub const ABORTED: Self = Self(10);
    /// The server does not know how.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// The server is broken.
    pub const INTERNAL: Self = Self(13);
    /// The server cannot be reached or cannot work now.
    pub const UNAVAILABLE: Self = Self(14);
    /// Whoever asks did not say who they are.
    pub const UNAUTHENTICATED: Self = Self(16);

    fn describe(self) -> &'static str {
        match self {
            Self::OK => "it went well",
            Self::CANCELLED => "it was cancelled",
            Self::INVALID_ARGUMENT => "the server says that this makes no sense",
            Self::DEADLINE_EXCEEDED => "it took too long",
            Self::NOT_FOUND => "the server does not have it",
            Self::PERMISSION_DENIED => "the server does not permit it",
            Self::RESOURCE_EXHAUSTED => "the server has no room for it",
            Self::FAILED_PRECONDITION => "the server misses something that it needs for this",
            Self::ABORTED => "the server gave it up",
            Self::UNIMPLEMENTED => "the server does not know this call",
            Self::INTERNAL => "the server is broken",
            Self::UNAVAILABLE => "the server is not available",
            Self::UNAUTHENTICATED => "the server wants to know who asks",
            _ => "the server does not say why",
        }
    }
}

/// How a call ended, if not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The kind.
    pub code: Code,
    /// Words for it, from the server or about the connection.
    pub message: String,
}

impl Status {
    /// A status with these words.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(self.code.describe()),
            message => f.write_str(message),
        }
    }
}

impl From<h2::Error> for Status {
    fn from(error: h2::Error) -> Self {
        let code = match error.reason() {
            Some(h2::Reason::CANCEL) => Code::CANCELLED,
            Some(h2::Reason::ENHANCE_YOUR_CALM) => Code::RESOURCE_EXHAUSTED,
            _ => Code::UNAVAILABLE,
        };
        Self::new(code, format!("the connection broke: {error}"))
    }
}

type Result<T> = std::result::Result<T, Status>;

/// Where a server is.
#[derive(Clone)]
pub struct Endpoint {
    /// Its name or number.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How TLS is done, if it is.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// A connection, or the wish for one.
#[derive(Clone)]
pub struct Channel {
    endpoint: Arc<Endpoint>,
    connected: Arc<Mutex<Option<SendRequest<Bytes>>>>,
}

impl Channel {
    /// A channel to this server.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: Arc::new(endpoint), connected: Arc::default() }
    }

    /// One question, one answer, within `limit`.
    ///
    /// # Errors
    /// The status of the call, or what is wrong with the connection.
    pub async fn call<A: Message>(
        &self,
        path: &str,
        headers: &HeaderMap,
        question: &impl Message,
        limit: Duration,
    ) -> Result<A> {
        within(limit, async {
            let mut answers = self.ask(path, headers, question).await?;
            let answer = answers.next().await?;
            let answer =
                answer.ok_or_else(|| Status::new(Code::INTERNAL, "the server gave no answer"))?;
            while answers.next::<A>().await?.is_some() {}
            Ok(answer)
        })
        .await
    }

    /// One question, several answers.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn ask(
        &self,
        path: &str,
        headers: &HeaderMap,
        question: &impl Message,
    ) -> Result<Answers> {
        let (mut asking, answers) = self.start(path, headers).await?;
        asking.send(question, true).await?;
        Ok(answers)
    }

    /// Begins a call.
    ///
    /// # Errors
    /// When there is no connection and none can be made.
    pub async fn start(&self, path: &str, headers: &HeaderMap) -> Result<(Asking, Answers)> {
        let connection = self.connection().await?;
        let endpoint = &self.endpoint;
        let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("{scheme}://{}:{}{path}", endpoint.host, endpoint.port))
            .body(())
            .map_err(|e| Status::new(Code::INVALID_ARGUMENT, e.to_string()))?;
        let all = request.headers_mut();
        all.insert("te", HeaderValue::from_static("trailers"));
        all.insert("content-type", HeaderValue::from_static("application/grpc"));
        all.insert(
            "user-agent",
            HeaderValue::from_static(concat!("firn/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in headers {
            all.insert(name.clone(), value.clone());
        }
        let mut ready = connection.ready().await?;
        let (response, stream) = ready.send_request(request, false)?;
        Ok((Asking(stream), Answers::new(response)))
    }

    async fn connection(&self) -> Result<SendRequest<Bytes>> {
        let mut connected = self.connected.lock().await;
        if let Some(connection) = &*connected
            && let Ok(connection) = connection.clone().ready().await
        {
            return Ok(connection);
        }
        *connected = None;
        let new = within(CONNECT, self.endpoint.connect()).await?;
        *connected = Some(new.clone());
        Ok(new)
    }
}

impl Endpoint {
    async fn connect(&self) -> Result<SendRequest<Bytes>> {
        let unavailable = |e: &dyn std::fmt::Display| {
            Status::new(
                Code::UNAVAILABLE,
                format!("connecting to {}, port {}: {e}", self.host, self.port),
            )
        };
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((host, self.port))
            .await
            .map_err(|e| unavailable(&firn_store::error::errno_text(&e)))?;
        let _ = socket.set_nodelay(true);
        match &self.tls {
            None => greet(socket).await.map_err(|e| unavailable(&e)),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|e| unavailable(&e))?;
                let socket = tokio_rustls::TlsConnector::from(tls.clone())
                    .connect(name, socket)
                    .await
                    .map_err(|e| unavailable(&e))?;
                greet(socket).await.map_err(|e| unavailable(&e))
            }
        }
    }
}

/// Begins HTTP/2.
async fn greet(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> std::result::Result<SendRequest<Bytes>, h2::Error> {
    let (sender, mut connection) = h2::client::Builder::new()
        .initial_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_frame_size(1 << 20)
        .enable_push(false)
        .handshake(socket)
        .await?;
    let pings = connection.ping_pong();
    let run = tokio::spawn(async move {
        let _ = connection.await;
    });
    if let Some(mut pings) = pings {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP_ALIVE).await;
                let answer = tokio::time::timeout(KEEP_ALIVE, pings.ping(h2::Ping::opaque()));
                if !matches!(answer.await, Ok(Ok(_))) {
                    // nobody is there any more; those who wait for answers learn it by this
                    run.abort();
                    return;
                }
            }
        });
    }
    Ok(sender)
}

/// The side of a call that asks.
pub struct Asking(SendStream<Bytes>);

impl Asking {
    /// Sends a message; `last` if no other follows.
    ///
    /// # Errors
    /// When nobody takes it.
    pub async fn send(&mut self, message: &impl Message, last: bool) -> Result<()> {
        send_framed(&mut self.0, &message.encode(), last).await
    }
}

/// Sends a message with its length before it, as the other side has room for it.
///
/// # Errors
/// When nobody takes it.
pub async fn send_framed(stream: &mut SendStream<Bytes>, data: &[u8], last: bool) -> Result<()> {
    let size = u32::try_from(data.len())
        .map_err(|_| Status::new(Code::INVALID_ARGUMENT, "a message is too long"))?;
    let mut frame = BytesMut::with_capacity(data.len() + 5);
    // not compressed
    frame.put_u8(0);
    frame.put_u32(size);
    frame.put_slice(data);
    let mut frame = frame.freeze();
    while !frame.is_empty() {
        stream.reserve_capacity(frame.len());
        let room = match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(room) => room?,
            None => return Err(Status::new(Code::CANCELLED, "the server takes no more of it")),
        };
        let part = frame.split_to(room.min(frame.len()));
        let end = last && frame.is_empty();
        stream.send_data(part, end)?;
    }
    Ok(())
}

enum Source {
    Waiting(h2::client::ResponseFuture),
    Reading(Framed),
    Ended,
}

/// The answers to a call.
pub struct Answers(Source);

impl Answers {
    fn new(response: h2::client::ResponseFuture) -> Self {
        Self(Source::Waiting(response))
    }

    /// The next answer; `None` after the last, if the call went well.
    ///
    /// # Errors
    /// The status of the call, or what is wrong with the connection.
    pub async fn next<A: Message>(&mut self) -> Result<Option<A>> {
        if let Source::Waiting(response) = &mut self.0 {
            let (head, body) = response.await?.into_parts();
            if head.status != http::StatusCode::OK {
                self.0 = Source::Ended;
                return Err(of_http(head.status));
            }
            // a call that fails at once has its status here
            if let Some(status) = status_of(&head.headers) {
                self.0 = Source::Ended;
                return status.map(|()| None);
            }
            self.0 = Source::Reading(Framed::new(body));
        }
        let Source::Reading(framed) = &mut self.0 else { return Ok(None) };
        if let Some(data) = framed.next().await? {
            let answer = A::decode(&data)
                .map_err(|e| Status::new(Code::INTERNAL, format!("the server's answer: {e}")))?;
            return Ok(Some(answer));
        }
        let trailers = framed.trailers().await?;
        self.0 = Source::Ended;
        let none = || Status::new(Code::UNKNOWN, "the server does not say how the call ended");
        status_of(&trailers.unwrap_or_default()).unwrap_or_else(|| Err(none()))?;
        Ok(None)
    }
}

/// Messages with their lengths before them.
pub struct Framed {
    body: RecvStream,
    buffer: BytesMut,
}

impl Framed {
    /// Those in this stream.
    #[must_use]
    pub fn new(body: RecvStream) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next; `None` at the end.
    ///
    /// # Errors
    /// When the stream breaks or makes no sense.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let bad = |text: &str| Err(Status::new(Code::INTERNAL, text));
        loop {
            if let Some((compressed, mut size)) = self
                .buffer
                .split_first_chunk::<5>()
                .map(|([compressed, size @ ..], _)| (*compressed, &size[..]))
            {
                let size = size.get_u32() as usize;
                if compressed != 0 {
                    return bad("a message is compressed, which was not asked for");
                }
                if size > LONGEST {
                    return bad("a message is too long");
                }
                if self.buffer.len() >= size + 5 {
                    self.buffer.advance(5);
                    return Ok(Some(self.buffer.split_to(size).freeze()));
                }
            }
            match self.body.data().await {
                Some(data) => {
                    let data = data?;
                    self.body.flow_control().release_capacity(data.len())?;
                    self.buffer.extend_from_slice(&data);
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return bad("a message is cut off"),
            }
        }
    }

    async fn trailers(&mut self) -> Result<Option<HeaderMap>> {
        Ok(self.body.trailers().await?)
    }
}

/// What headers say of how a call ended, if they do.
fn status_of(headers: &HeaderMap) -> Option<Result<()>> {
    let code = headers.get("grpc-status")?;
    let code = code.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(Code::UNKNOWN.0);
    if code == 0 {
        return Some(Ok(()));
    }
    let message = headers.get("grpc-message").map(|text| decode_percent(text.as_bytes()));
    Some(Err(Status::new(Code(code), message.unwrap_or_default())))
}

/// What a failure of HTTP means here.
fn of_http(status: http::StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => Code::INTERNAL,
        401 => Code::UNAUTHENTICATED,
        403 => Code::PERMISSION_DENIED,
        404 => Code::UNIMPLEMENTED,
        429 | 502 | 503 | 504 => Code::UNAVAILABLE,
        _ => Code::UNKNOWN,
    };
    Status::new(code, format!("the server answers with HTTP status {status}"))
}

fn decode_percent(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) if *byte == b'%' => {
                out.push(value);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The headers that end a call.
#[must_use]
pub fn trailers(status: &Result<()>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let code = status.as_ref().err().map_or(0, |status| status.code.0);
    headers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(code));
    if let Err(status) = status {
        let mut text = String::new();
        for byte in status.message.bytes() {
            match byte {
                b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static("grpc-message"), value);
        }
    }
    headers
}

/// Limits how long something may take.
///
/// # Errors
/// What it fails with, or that it took too long.
pub async fn within<T>(limit: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::new(
            Code::DEADLINE_EXCEEDED,
            format!("no answer within {} seconds", limit.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_survive() {
        for message in ["", "plain", "100 % \u{e9}\n"] {
            let status = Err(Status::new(Code::NOT_FOUND, message));
            assert_eq!(status_of(&trailers(&status)), Some(status));
        }
        assert_eq!(status_of(&trailers(&Ok(()))), Some(Ok(())));
        assert_eq!(status_of(&HeaderMap::new()), None);
        assert_eq!(decode_percent(b"%zz%4"), "%zz%4");
    }
}
