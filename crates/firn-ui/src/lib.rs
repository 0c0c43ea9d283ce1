//! What a person sees of long jobs: the event stream's displays and error reports.
//!
//! [`Display`] takes the events of [`firn_event`] and shows them on standard error: as plain lines,
//! as one live line on a terminal, or as C++ Nix's `internal-json`. It does not know what the events
//! are for.

mod bar;
mod error;
mod lines;
mod text;

use std::sync::{Arc, Weak};

use firn_event::{Event, EventSink, Level, Logger};
use parking_lot::Mutex;

pub use error::format_error;
pub use text::{filter_escapes, render_size};

/// How events are shown (`--log-format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines, with the logs of builds as they come.
    Raw,
    /// One JSON object a line, after `@nix `.
    InternalJson,
    /// One live line on a terminal, lines elsewhere; no logs of builds.
    Bar,
    /// As `Bar`, with the logs of builds.
    BarWithLogs,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "raw" | "raw-with-logs" => Ok(Self::Raw),
            "internal-json" => Ok(Self::InternalJson),
            "bar" => Ok(Self::Bar),
            "bar-with-logs" => Ok(Self::BarWithLogs),
            _ => Err(format!("option 'log-format' has an invalid value '{text}'")),
        }
    }
}

/// How to show events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayOptions {
    /// The form; `None` is a live line on a terminal and raw lines elsewhere.
    pub format: Option<LogFormat>,
    /// Messages and beginnings of activities above this level are not shown.
    pub verbosity: Level,
    /// Show the logs of builds in any form (`-L`), or in none (`-Q`).
    pub print_build_logs: Option<bool>,
}

impl Default for DisplayOptions {
    fn default() -> Self {
        Self { format: None, verbosity: Level::Info, print_build_logs: None }
    }
}

impl DisplayOptions {
    /// Whether the user sees the logs of builds as they come, so that errors need not repeat them.
    #[must_use]
    pub fn shows_logs(&self) -> bool {
        match (self.print_build_logs, self.resolved()) {
            (Some(logs), _) => logs,
            (None, format) => format != LogFormat::Bar,
        }
    }

    fn resolved(&self) -> LogFormat {
        self.format.unwrap_or(if stderr_is_terminal() { LogFormat::Bar } else { LogFormat::Raw })
    }
}

/// Whether standard error is a terminal that can be drawn on.
#[must_use]
pub fn stderr_is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Shows events until it is dropped.
pub struct Display {
    logger: Logger,
    bar: Option<Arc<bar::Bar>>,
}

impl std::fmt::Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Display").field("live", &self.bar.is_some()).finish()
    }
}

impl Display {
    /// Begins to show events on standard error.
    #[must_use]
    pub fn start(options: DisplayOptions) -> Self {
        let logs = options.shows_logs();
        let terminal = stderr_is_terminal();
        match options.resolved() {
            LogFormat::InternalJson => {
                let sink = lines::Json { verbosity: options.verbosity };
                Self { logger: Logger::new(Arc::new(sink)), bar: None }
            }
            LogFormat::Bar | LogFormat::BarWithLogs if terminal => {
                let bar = bar::Bar::start(options.verbosity, logs);
                *LIVE.lock() = Arc::downgrade(&bar);
                Self { logger: Logger::new(bar.clone()), bar: Some(bar) }
            }
            format => {
                let prefixed = format == LogFormat::BarWithLogs;
                let sink = lines::Lines::new(options.verbosity, logs, prefixed, terminal);
                Self { logger: Logger::new(Arc::new(sink)), bar: None }
            }
        }
    }

    /// As [`Display::start`], with all events also as lines of JSON at the end of a file (the setting
    /// `json-log-path`), if there is one and it can be written to.
    #[must_use]
    pub fn start_with_log(options: DisplayOptions, json_log: &str) -> Self {
        let mut display = Self::start(options);
        if json_log.is_empty() {
            return display;
        }
        match lines::JsonFile::open(json_log, options.verbosity, display.logger.clone()) {
            Ok(sink) => display.logger = Logger::new(Arc::new(sink)),
            Err(e) => display.logger.warn(format!("cannot write the log '{json_log}': {e}")),
        }
        display
    }

    /// Where jobs report to.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.logger
    }

    /// Takes the live line away while `f` uses the terminal.
    pub fn paused<T>(&self, f: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => {
                bar.pause();
                let result = f();
                bar.resume();
                result
            }
            None => f(),
        }
    }

    /// Ends the display; later events are dropped or shown as lines.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.stop();
        }
    }
}

/// The live line of this process, if it has one: whoever ends the process or becomes another program takes it away.
static LIVE: Mutex<Weak<bar::Bar>> = Mutex::new(Weak::new());

/// Takes the live line away for good, before another program takes over the terminal or a last word is said.
pub fn end() {
    let bar = LIVE.lock().upgrade();
    if let Some(bar) = bar {
        bar.stop();
    }
}

/// Shows one error as the end of a command.
pub fn print_error(text: &str) {
    lines::write_line(&format_error(text, stderr_is_terminal()));
}

/// Shows a warning outside of any job.
pub fn print_warning(text: &str) {
    let sink = lines::Lines::new(Level::Warn, false, false, stderr_is_terminal());
    sink.event(Event::Message { level: Level::Warn, text: text.to_owned() });
}
