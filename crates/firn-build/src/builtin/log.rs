//! The log of a built-in builder: its standard error, in which events are `@nix {…}` lines.

use std::io::Write;
use std::sync::Arc;

use firn_event::{Event, EventSink, Level, Logger};

/// Writes a line for people.
pub(super) fn line(text: &str) {
    let mut out = std::io::stderr().lock();
    // A log that nobody reads any more is no reason to stop.
    let _ = writeln!(out, "{text}");
}

/// Writes a line for the curious: the log's file has it, the screen only if more than usual is asked for.
pub(super) fn detail(text: &str) {
    let event = Event::Message { level: Level::Talkative, text: text.to_owned() };
    line(&format!("@nix {}", firn_event::json::encode(&event)));
}

struct Lines;

impl EventSink for Lines {
    fn event(&self, event: Event) {
        match &event {
            Event::Message { level, text } if *level <= Level::Info => {
                let prefix = if *level == Level::Warn { "warning: " } else { "" };
                line(&format!("{prefix}{text}"));
            }
            Event::Message { .. } => {}
            _ => line(&format!("@nix {}", firn_event::json::encode(&event))),
        }
    }
}

/// A logger that writes to the build's log.
pub(super) fn logger() -> Logger {
    Logger::new(Arc::new(Lines))
}
