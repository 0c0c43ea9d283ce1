//! A download to read from, for whoever unpacks it on the way. Cut transfers go on where they stopped.

use std::io::{self, ErrorKind, Read};
use std::time::{Duration, Instant};

use firn_event::{Activity, ActivityKind, Field, Level};

use crate::download::{
    Downloader, Request, check_cancelled, percent_decode, range_start, stream_error,
};
use crate::error::{FailureKind, FetchError};
use crate::redact;
use crate::request::status_error;

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// A download to read from. Errors that come out of [`Read`] have a [`FetchError`] in them.
pub struct Transfer {
    downloader: Downloader,
    request: Request,
    activity: Activity,
    source: Box<dyn Read + Send>,
    /// Bytes that were read.
    done: u64,
    /// All bytes, if known.
    expected: Option<u64>,
    /// The strong validator of what is read.
    etag: Option<String>,
    encoding: Option<String>,
    attempt: u32,
    reported: Instant,
    ended: bool,
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer")
            .field("url", &redact(&self.request.url))
            .field("done", &self.done)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Downloader {
    /// Begins a download to read from.
    ///
    /// # Errors
    /// If the server does not give the file, after the last attempt or at once where another cannot help.
    pub fn open(&self, request: Request, parent: u64) -> Result<Transfer, FetchError> {
        let shown = redact(&request.url);
        let activity = self.logger().start(
            ActivityKind::FileTransfer,
            Level::Talkative,
            format!("downloading '{shown}'"),
            vec![Field::Text(shown.clone())],
            parent,
        );
        let mut transfer = Transfer {
            downloader: self.clone(),
            request,
            activity,
            source: Box::new(io::empty()),
            done: 0,
            expected: None,
            etag: None,
            encoding: None,
            attempt: 1,
            reported: Instant::now(),
            ended: false,
        };
        loop {
            match transfer.connect() {
                Ok(()) => return Ok(transfer),
                Err(error) => transfer.wait(error)?,
            }
        }
    }
}

impl Transfer {
    /// How the whole file is encoded, if the server says that it is (`Content-Encoding`).
    #[must_use]
    pub fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    /// The size of the whole file, if the server told it.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.expected
    }

    fn failed(&self, kind: FailureKind, reason: String) -> FetchError {
        FetchError::Transfer { url: redact(&self.request.url), reason, kind, retry_after: None }
    }

    fn wait(&mut self, error: FetchError) -> Result<(), FetchError> {
        self.downloader.wait_for_another(
            error,
            self.attempt,
            self.done,
            self.request.cancel.as_ref(),
        )?;
        self.attempt += 1;
        Ok(())
    }

    /// Asks for what is still missing.
    fn connect(&mut self) -> Result<(), FetchError> {
        check_cancelled(&self.request)?;
        if let Some(path) = self.request.url.strip_prefix("file://") {
            return self.open_file(&percent_decode(path));
        }
        let response = self.downloader.send_from(&self.request, self.done, self.etag.as_deref())?;
        let status = response.status;
        if !response.is_success() {
            return Err(status_error(response, &redact(&self.request.url)));
        }
        let header = |name: &str| response.header(name);
        let length = header("content-length").and_then(|l| l.parse::<u64>().ok());
        if self.done == 0 {
            self.expected = length;
            self.etag = header("etag").filter(|e| !e.starts_with("W/"));
            self.encoding = header("content-encoding").filter(|e| e != "identity");
            self.source = Box::new(response.body);
            return Ok(());
        }
        if status == 206 {
            let start = header("content-range").as_deref().and_then(range_start);
            if start != Some(self.done) {
                return Err(self.failed(
                    FailureKind::Permanent,
                    format!("the server answered with another range than {}-", self.done),
                ));
            }
            self.source = Box::new(response.body);
            return Ok(());
        }
        // From the beginning again. What was read is gone, so what comes must be the same file.
        let etag = header("etag").filter(|e| !e.starts_with("W/"));
        if etag != self.etag || length != self.expected {
            return Err(self.failed(
                FailureKind::Permanent,
                "the transfer was cut and the file has changed meanwhile".to_owned(),
            ));
        }
        let mut source = response.body;
        let skipped = io::copy(&mut Read::by_ref(&mut source).take(self.done), &mut io::sink())
            .map_err(|e| self.failed(FailureKind::Transient, stream_error(&e)))?;
        if skipped != self.done {
            return Err(self.failed(FailureKind::Transient, "the transfer was cut".to_owned()));
        }
        self.source = Box::new(source);
        Ok(())
    }

    fn open_file(&mut self, path: &str) -> Result<(), FetchError> {
        let file = std::fs::File::open(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                self.failed(FailureKind::NotFound, "there is no such file".into())
            }
            ErrorKind::PermissionDenied => {
                self.failed(FailureKind::Forbidden, "it may not be read".into())
            }
            _ => self.failed(FailureKind::Permanent, e.to_string()),
        })?;
        self.expected = file.metadata().ok().map(|m| m.len());
        self.source = Box::new(file);
        Ok(())
    }

    fn next(&mut self, into: &mut [u8]) -> Result<usize, FetchError> {
        loop {
            check_cancelled(&self.request)?;
            let error = match self.source.read(into) {
                Ok(0) => match self.expected {
                    Some(expected) if expected != self.done => self.failed(
                        FailureKind::Transient,
                        format!("the transfer was cut after {} of {expected} bytes", self.done),
                    ),
                    _ => return Ok(0),
                },
                Ok(got) => return Ok(got),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => self.failed(FailureKind::Transient, stream_error(&e)),
            };
            let mut error = error;
            loop {
                self.wait(error)?;
                match self.connect() {
                    Ok(()) => break,
                    Err(e) => error = e,
                }
            }
        }
    }
}

impl Read for Transfer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended || into.is_empty() {
            return Ok(0);
        }
        let got = self.next(into).map_err(io::Error::other)?;
        self.done += got as u64;
        if got == 0 {
            self.ended = true;
        }
        if self.ended || self.reported.elapsed() >= PROGRESS_EVERY {
            self.activity.progress(self.done, self.expected.unwrap_or(0));
            self.reported = Instant::now();
        }
        Ok(got)
    }
}
