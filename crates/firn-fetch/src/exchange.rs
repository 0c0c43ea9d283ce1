//! Requests of any method with small answers: whether a file is there, uploads, what a cloud store wants besides.

use std::fs::File;
use std::io::Read as _;

use firn_event::{ActivityKind, Field, Level};

use crate::download::{Downloader, stream_error};
use crate::error::{FailureKind, FetchError};
use crate::redact;
use crate::request::status_error;

/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;

/// What goes with a request.
#[derive(Debug, Clone, Copy, Default)]
pub enum Payload<'a> {
    /// Nothing.
    #[default]
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// A whole file.
    File(&'a File),
}

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Exchange<'a> {
    /// `GET`, `HEAD`, `PUT`, …
    pub method: &'a str,
    /// An `http` or `https` URL.
    pub url: &'a str,
    /// Header fields besides those for credentials.
    pub headers: Vec<(String, String)>,
    /// What goes with it.
    pub payload: Payload<'a>,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The header fields, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

impl Downloader {
    /// Sends a request and reads the answer, several times if need be.
    ///
    /// # Errors
    /// If the answer is not that it succeeded (2xx), after the last attempt or at once where another cannot help.
    pub fn exchange(&self, exchange: &Exchange<'_>, parent: u64) -> Result<Answer, FetchError> {
        let shown = redact(exchange.url);
        let up = matches!(exchange.method, "PUT" | "POST");
        let text = format!("{} '{shown}'", if up { "uploading" } else { "downloading" });
        let _activity = self.logger().start(
            ActivityKind::FileTransfer,
            Level::Talkative,
            text,
            vec![Field::Text(shown.clone())],
            parent,
        );
        let mut attempt = 1;
        loop {
            match self.attempt_exchange(exchange, &shown) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.wait_for_another(error, attempt, 0, None)?,
            }
            attempt += 1;
        }
    }

    fn attempt_exchange(&self, exchange: &Exchange<'_>, shown: &str) -> Result<Answer, FetchError> {
        let failed = |error: &std::io::Error| FetchError::Transfer {
            url: shown.to_owned(),
            reason: stream_error(error),
            kind: FailureKind::Transient,
            retry_after: None,
        };
        let response =
            self.request(exchange.method, exchange.url, &exchange.headers, exchange.payload)?;
        if !response.is_success() {
            return Err(status_error(response, shown));
        }
        let headers = response
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let mut body = Vec::new();
        response.body.take(ANSWER_LIMIT + 1).read_to_end(&mut body).map_err(|e| failed(&e))?;
        if body.len() as u64 > ANSWER_LIMIT {
            return Err(FetchError::Transfer {
                url: shown.to_owned(),
                reason: format!("the answer is longer than {ANSWER_LIMIT} bytes"),
                kind: FailureKind::Permanent,
                retry_after: None,
            });
        }
        Ok(Answer { headers, body })
    }
}
