//! What goes to a client: answers, and messages while it waits for one.

use std::io::{BufWriter, Write};

use firn_event::{Event, EventSink, Level};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::protocol::{LATEST, Version, log};
use crate::wire::WireWrite as _;

/// The most bytes of messages that are kept for a client that does not wait for an answer.
const MAX_PENDING: usize = 1 << 20;

/// The writing end of a connection to a client.
pub(super) struct Tunnel {
    state: Mutex<State>,
    offset: u64,
}

struct State {
    out: BufWriter<Box<dyn Write + Send>>,
    version: Version,
    verbosity: Level,
    /// Whether a request is being worked on, so that the client reads messages.
    working: bool,
    /// Messages for the next time it does.
    pending: Vec<u8>,
    /// Whether the client is gone.
    broken: bool,
}

impl State {
    fn attempt(&mut self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
        if self.broken {
            return Err(Error::Disconnected("the client has hung up".into()));
        }
        write(&mut self.out).map_err(|e| {
            self.broken = true;
            Error::io("writing to the client")(e)
        })
    }
}

impl Tunnel {
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self {
            state: Mutex::new(State {
                out: BufWriter::with_capacity(64 * 1024, out),
                version: LATEST,
                verbosity: Level::Info,
                working: false,
                pending: Vec::new(),
                broken: false,
            }),
            // numbers of activities of different processes must not meet at the client
            offset: u64::from(std::process::id()) << 32,
        }
    }

    pub fn set_version(&self, version: Version) {
        self.state.lock().version = version;
    }

    pub fn set_verbosity(&self, level: Level) {
        self.state.lock().verbosity = level;
    }

    /// Writes an answer, or a part of it.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
        self.state.lock().attempt(write)
    }

    pub fn flush(&self) -> Result<()> {
        self.write(|w| w.flush())
    }

    /// The request has been read: the client listens to messages from now on.
    pub fn start(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.working = true;
        let pending = std::mem::take(&mut state.pending);
        state.attempt(|w| {
            w.write_all(&pending)?;
            w.flush()
        })
    }

    /// The request has succeeded: the answer follows.
    pub fn succeed(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.working = false;
        state.attempt(|w| {
            w.number(log::LAST)?;
            w.flush()
        })
    }

    /// The request has failed.
    pub fn fail(&self, message: &str) -> Result<()> {
        let mut state = self.state.lock();
        state.working = false;
        let version = state.version;
        state.attempt(|w| {
            log::put_error(w, version, message)?;
            w.flush()
        })
    }

    /// Whether a request was read and is not answered yet.
    pub fn is_working(&self) -> bool {
        self.state.lock().working
    }
}

/// An answer that is a stream. Messages that come meanwhile wait for the next request.
pub(super) struct Answer<'a>(pub &'a Tunnel);

impl Write for Answer<'_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.write(|w| w.write_all(data)).map_err(std::io::Error::other)?;
        Ok(data.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush().map_err(std::io::Error::other)
    }
}

impl EventSink for Tunnel {
    fn event(&self, event: Event) {
        let mut state = self.state.lock();
        if let Event::Message { level, .. } = &event
            && *level > state.verbosity
        {
            return;
        }
        let mut message = Vec::new();
        if log::put_event(&mut message, &event, self.offset).is_err() {
            return;
        }
        if state.working {
            // whoever writes the answer will notice that the client is gone
            let _ = state.attempt(|w| {
                w.write_all(&message)?;
                w.flush()
            });
        } else if state.pending.len() + message.len() <= MAX_PENDING {
            state.pending.extend_from_slice(&message);
        }
    }
}
