//! HTTP/1.1 on one connection: requests, bodies, answers, ranges. Everything that a client sends is limited.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// The most bytes of a request line and its header fields.
const MAX_HEAD: usize = 16 * 1024;
/// The most header fields.
const MAX_FIELDS: usize = 64;
/// The longest line that tells the size of a chunk.
const MAX_CHUNK_LINE: usize = 256;

/// A request without its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    /// The path, decoded, without the query.
    pub path: String,
    pub keep_alive: bool,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub if_none_match: Option<String>,
    pub authorization: Option<String>,
    pub content_length: Option<u64>,
    pub content_encoding: Option<String>,
    pub chunked: bool,
    pub expects_continue: bool,
}

impl Request {
    /// Whether something follows the head.
    pub fn has_body(&self) -> bool {
        self.chunked || self.content_length.unwrap_or(0) > 0
    }
}

/// A connection and what was read of it too early.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
}

/// What a connection gave.
pub(crate) enum Received {
    Request(Box<Request>),
    /// The client is gone or was silent for too long.
    End,
    /// It is no request that can be answered; the text says why.
    Bad(&'static str),
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::with_capacity(MAX_HEAD), at: 0 }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads more into the buffer; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        let old = self.buffer.len();
        self.buffer.resize(old + 8 * 1024, 0);
        loop {
            match self.stream.read(&mut self.buffer[old..]) {
                Ok(got) => {
                    self.buffer.truncate(old + got);
                    return Ok(got > 0);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.buffer.truncate(old);
                    return Err(e);
                }
            }
        }
    }

    /// Waits for the next request.
    pub fn receive(&mut self) -> Received {
        loop {
            if self.at < self.buffer.len() {
                match parse(self.rest()) {
                    Ok(Some((request, length))) => {
                        self.at += length;
                        return Received::Request(Box::new(request));
                    }
                    Ok(None) if self.rest().len() > MAX_HEAD => {
                        return Received::Bad("the header fields are too long");
                    }
                    Ok(None) => {}
                    Err(why) => return Received::Bad(why),
                }
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) | Err(_) => return Received::End,
            }
        }
    }

    /// The body that belongs to a request.
    pub fn body(&mut self, request: &Request) -> io::Result<Body<'_>> {
        if request.expects_continue {
            (&self.stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let left = if request.chunked { 0 } else { request.content_length.unwrap_or(0) };
        Ok(Body { left, chunked: request.chunked, ended: false, first: true, connection: self })
    }

    fn read_some(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at < self.buffer.len() {
            let n = into.len().min(self.buffer.len() - self.at);
            into[..n].copy_from_slice(&self.buffer[self.at..self.at + n]);
            self.at += n;
            return Ok(n);
        }
        self.stream.read(into)
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        loop {
            if let Some(end) = self.rest().iter().position(|b| *b == b'\n') {
                let line = self.rest()[..end].to_vec();
                self.at += end + 1;
                return Ok(line.strip_suffix(b"\r").map_or(line.clone(), <[u8]>::to_vec));
            }
            if self.rest().len() > MAX_CHUNK_LINE {
                return Err(bad("a line of a chunked body is too long"));
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The body of a request.
pub(crate) struct Body<'a> {
    connection: &'a mut Connection,
    left: u64,
    chunked: bool,
    first: bool,
    ended: bool,
}

impl Body<'_> {
    fn next_chunk(&mut self) -> io::Result<()> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "a chunked body is malformed");
        if !self.first && !self.connection.line()?.is_empty() {
            return Err(bad());
        }
        self.first = false;
        let line = self.connection.line()?;
        let digits = line.split(|b| *b == b';').next().unwrap_or_default();
        let text = std::str::from_utf8(digits).map_err(|_| bad())?.trim();
        if text.starts_with('+') {
            return Err(bad());
        }
        self.left = u64::from_str_radix(text, 16).map_err(|_| bad())?;
        if self.left == 0 {
            // trailers are of no use here
            while !self.connection.line()?.is_empty() {}
            self.ended = true;
        }
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.chunked && self.left == 0 && !self.ended {
            self.next_chunk()?;
        }
        if self.left == 0 || into.is_empty() {
            return Ok(0);
        }
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let got = self.connection.read_some(&mut into[..want])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        Ok(got)
    }
}

/// Parses a head; none if it is not whole yet.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err("there are too many header fields"),
        Err(_) => return Err("the request is malformed"),
    };
    let target = parsed.path.unwrap_or("/");
    // a proxy's form: the whole URL
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let plain = target.split(['?', '#']).next().unwrap_or(target);
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: decode(plain).ok_or("the path is malformed")?,
        keep_alive: parsed.version == Some(1),
        ..Request::default()
    };
    for field in parsed.headers.iter() {
        let Ok(value) = std::str::from_utf8(field.value) else { continue };
        let value = value.trim();
        let text = || Some(value.to_owned());
        match field.name.to_ascii_lowercase().as_str() {
            "connection" => {
                let has =
                    |word: &str| value.split(',').any(|w| w.trim().eq_ignore_ascii_case(word));
                if has("close") {
                    request.keep_alive = false;
                } else if has("keep-alive") {
                    request.keep_alive = true;
                }
            }
            "range" => request.range = text(),
            "if-range" => request.if_range = text(),
            "if-none-match" => request.if_none_match = text(),
            "authorization" => request.authorization = text(),
            "content-encoding" => request.content_encoding = text(),
            "content-length" => {
                let length = value.parse().map_err(|_| "the content length is no number")?;
                if request.content_length.is_some_and(|l| l != length) {
                    return Err("there are two content lengths");
                }
                request.content_length = Some(length);
            }
            "transfer-encoding" => {
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err("the transfer encoding is not supported");
                }
                request.chunked = true;
            }
            "expect" if value.eq_ignore_ascii_case("100-continue") => {
                request.expects_continue = true;
            }
            _ => {}
        }
    }
    if request.chunked && request.content_length.is_some() {
        // whoever reads only one of them would take the rest for another request
        return Err("there are a content length and a transfer encoding");
    }
    Ok(Some((request, length)))
}

/// Percent-decoding; none if malformed, not UTF-8 or with a NUL.
fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let digit = |b: Option<u8>| char::from(b?).to_digit(16);
            let byte = u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?;
            if byte == 0 {
                return None;
            }
            out.push(byte);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

/// What a `Range` field asks for of `size` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ranged {
    /// Everything: there is no such field, or one that may be disregarded.
    Whole,
    /// These bytes.
    Part(std::ops::Range<u64>),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads a `Range` field; several ranges at once are answered with everything.
pub(crate) fn ranged(field: Option<&str>, size: u64) -> Ranged {
    let Some(spec) = field.and_then(|f| f.strip_prefix("bytes=")) else { return Ranged::Whole };
    let Some((from, to)) = spec.split_once('-') else { return Ranged::Whole };
    let (from, to) = (from.trim(), to.trim());
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (number(from), number(to)) {
        (Some(from), None) if to.is_empty() => from..size,
        (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(size),
        (None, Some(last)) if from.is_empty() => size.saturating_sub(last)..size,
        _ => return Ranged::Whole,
    };
    if range.start >= size || range.is_empty() {
        Ranged::Unsatisfiable
    } else {
        Ranged::Part(range)
    }
}

/// The beginning of an answer; header fields are added to it.
pub(crate) fn head(status: u16, keep_alive: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        201 => "Created",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let connection = if keep_alive { "" } else { "connection: close\r\n" };
    format!("HTTP/1.1 {status} {reason}\r\nserver: firn\r\n{connection}").into_bytes()
}

/// Writes chunks, for a body whose size is not known beforehand.
pub(crate) struct Chunked<W: Write> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> Chunked<W> {
    pub fn new(out: W) -> Self {
        Self { out, buffer: Vec::with_capacity(128 * 1024) }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        write!(self.out, "{:x}\r\n", self.buffer.len())?;
        self.buffer.extend_from_slice(b"\r\n");
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// The end; without it the client knows that something is missing.
    pub fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.out.write_all(b"0\r\n\r\n")
    }
}

impl<W: Write> Write for Chunked<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= 64 * 1024 {
            self.send()?;
        }
        Ok(data.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_parsed() {
        let text = b"GET /a%20b?x HTTP/1.1\r\nHost: h\r\nRange: bytes=1-2\r\nConnection: close\r\n\r\nrest";
        let (request, length) = parse(text).unwrap().unwrap();
        assert_eq!((request.path.as_str(), request.keep_alive), ("/a b", false));
        assert_eq!(request.range.as_deref(), Some("bytes=1-2"));
        assert_eq!(&text[length..], b"rest");
        assert!(parse(&text[..20]).unwrap().is_none());
        for bad in [
            "nonsense\r\n\r\n",
            "GET /%zz HTTP/1.1\r\n\r\n",
            "GET /%00 HTTP/1.1\r\n\r\n",
            "PUT / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            "PUT / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "PUT / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "PUT / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ranges_are_within_the_file() {
        let part = |field: &str| ranged(Some(field), 10);
        assert_eq!(part("bytes=2-4"), Ranged::Part(2..5));
        assert_eq!(part("bytes=2-"), Ranged::Part(2..10));
        assert_eq!(part("bytes=-3"), Ranged::Part(7..10));
        assert_eq!(part("bytes=-30"), Ranged::Part(0..10));
        assert_eq!(part("bytes=5-99999999999999999999999"), Ranged::Part(5..10));
        assert_eq!(part("bytes=10-"), Ranged::Unsatisfiable);
        assert_eq!(part("bytes=-0"), Ranged::Unsatisfiable);
        for whole in ["bytes=4-2", "bytes=1-2,4-5", "lines=1-2", "bytes=x-"] {
            assert_eq!(part(whole), Ranged::Whole, "{whole}");
        }
        assert_eq!(ranged(None, 10), Ranged::Whole);
    }

    #[test]
    fn chunks_end() {
        let mut out = Vec::new();
        let mut chunked = Chunked::new(&mut out);
        chunked.write_all(b"hello").unwrap();
        chunked.finish().unwrap();
        assert_eq!(out, b"5\r\nhello\r\n0\r\n\r\n");
    }
}
