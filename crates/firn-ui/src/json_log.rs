//! A file or socket that gets all events as JSON lines, beside whatever shows them (`json-log-path`).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use firn_event::{Event, EventSink, Level, Logger};
use parking_lot::Mutex;

/// Writes events to a file, and hands them on.
pub(crate) struct Tee {
    shown: Logger,
    verbosity: Level,
    log: Mutex<Box<dyn Write + Send>>,
}

impl Tee {
    /// Begins the log at `path`: a socket that somebody listens at, or a file, which is continued.
    pub fn open(path: &Path, verbosity: Level, shown: Logger) -> io::Result<Self> {
        let is_socket = path.metadata().is_ok_and(|meta| meta.file_type().is_socket());
        let log: Box<dyn Write + Send> = if is_socket {
            Box::new(UnixStream::connect(path)?)
        } else {
            Box::new(File::options().create(true).append(true).open(path)?)
        };
        Ok(Self { shown, verbosity, log: Mutex::new(log) })
    }
}

impl EventSink for Tee {
    fn event(&self, event: Event) {
        let hidden = matches!(event, Event::Message { level, .. } if level > self.verbosity);
        if !hidden {
            let line = format!("{}\n", firn_event::json::encode(&event));
            // A reader that went away is no reason to stop.
            let _ = self.log.lock().write_all(line.as_bytes());
        }
        self.shown.event(event);
    }
}
