//! The one event stream that every long job reports to: activities with parents, progress and log
//! lines.
//!
//! Kinds and numbers are those of C++ Nix's `internal-json` log format, so that a display for one is
//! a display for both. Nothing here renders: the displays live in `firn-ui`.

pub mod json;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How important a message is; the numbers are those of `--verbose` and of `internal-json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Something failed.
    Error = 0,
    /// Something looks wrong, but the job goes on.
    Warn = 1,
    /// What a user should see even when quiet about progress.
    Notice = 2,
    /// The default level.
    Info = 3,
    /// `-v`
    Talkative = 4,
    /// `-vv`
    Chatty = 5,
    /// `-vvv`
    Debug = 6,
    /// `-vvvv`
    Vomit = 7,
}

/// What an activity is about; the numbers are those of `internal-json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are those of the log format")]
pub enum ActivityKind {
    Unknown = 0,
    CopyPath = 100,
    FileTransfer = 101,
    Realise = 102,
    CopyPaths = 103,
    Builds = 104,
    Build = 105,
    OptimiseStore = 106,
    VerifyPaths = 107,
    Substitute = 108,
    QueryPathInfo = 109,
    PostBuildHook = 110,
    BuildWaiting = 111,
    FetchTree = 112,
}

impl ActivityKind {
    /// The kind with this number; unknown numbers are [`ActivityKind::Unknown`].
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        [
            Self::CopyPath,
            Self::FileTransfer,
            Self::Realise,
            Self::CopyPaths,
            Self::Builds,
            Self::Build,
            Self::OptimiseStore,
            Self::VerifyPaths,
            Self::Substitute,
            Self::QueryPathInfo,
            Self::PostBuildHook,
            Self::BuildWaiting,
            Self::FetchTree,
        ]
        .into_iter()
        .find(|kind| *kind as u64 == number)
        .unwrap_or(Self::Unknown)
    }
}

/// A number or a text that goes with an activity or a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A number: bytes, counts or an activity kind.
    Int(u64),
    /// A text: a path, a URL or a log line.
    Text(String),
}

/// What an activity reports while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// One line of a builder's output, without its line end.
    BuildLogLine(String),
    /// The builder entered this phase.
    SetPhase(String),
    /// How far the activity is; bytes for transfers, items otherwise.
    Progress {
        /// Finished units.
        done: u64,
        /// All units, 0 if unknown.
        expected: u64,
        /// Units in work.
        running: u64,
        /// Units that failed.
        failed: u64,
    },
    /// How many units of another kind this activity will cause.
    SetExpected(ActivityKind, u64),
    /// What a fetcher is doing just now.
    FetchStatus(String),
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message for the user.
    Message {
        /// Its importance.
        level: Level,
        /// Its text, which may have several lines.
        text: String,
    },
    /// An activity begins.
    Start {
        /// Unique within the process, never 0.
        id: u64,
        /// The activity it is part of; 0 for none.
        parent: u64,
        /// Its importance.
        level: Level,
        /// What it is about.
        kind: ActivityKind,
        /// A line for a person.
        text: String,
        /// What `internal-json` gives for this kind.
        fields: Vec<Field>,
    },
    /// An activity reports.
    Result {
        /// The activity.
        id: u64,
        /// What it reports.
        report: Report,
    },
    /// An activity has ended, whether well or not.
    Stop {
        /// The activity.
        id: u64,
    },
}

/// Takes events; implementations must not block for long.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}

/// A cheap handle that jobs report to. The default one drops everything.
#[derive(Clone, Default)]
pub struct Logger {
    sink: Option<Arc<dyn EventSink>>,
}

impl std::fmt::Debug for Logger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logger").field("silent", &self.sink.is_none()).finish()
    }
}

impl Logger {
    /// A logger that reports to `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn EventSink>) -> Self {
        Self { sink: Some(sink) }
    }

    /// A logger that drops everything.
    #[must_use]
    pub fn silent() -> Self {
        Self::default()
    }

    /// Hands on an event that was made elsewhere, such as one that a builder sent.
    pub fn event(&self, event: Event) {
        if let Some(sink) = &self.sink {
            sink.event(event);
        }
    }

    /// Reports a message.
    pub fn message(&self, level: Level, text: impl Into<String>) {
        if let Some(sink) = &self.sink {
            sink.event(Event::Message { level, text: text.into() });
        }
    }

    /// Reports a warning; `text` comes without the word "warning".
    pub fn warn(&self, text: impl Into<String>) {
        self.message(Level::Warn, text);
    }

    /// Begins an activity; it ends when the returned guard is dropped.
    pub fn start(
        &self,
        kind: ActivityKind,
        level: Level,
        text: impl Into<String>,
        fields: Vec<Field>,
        parent: u64,
    ) -> Activity {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        if let Some(sink) = &self.sink {
            sink.event(Event::Start { id, parent, level, kind, text: text.into(), fields });
        }
        Activity { logger: self.clone(), id }
    }
}

/// A running activity.
#[derive(Debug)]
pub struct Activity {
    logger: Logger,
    id: u64,
}

impl Activity {
    /// Its number, for use as a parent.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Reports a result of this activity.
    pub fn report(&self, report: Report) {
        if let Some(sink) = &self.logger.sink {
            sink.event(Event::Result { id: self.id, report });
        }
    }

    /// Reports progress; `expected` is 0 while it is unknown.
    pub fn progress(&self, done: u64, expected: u64) {
        self.report(Report::Progress { done, expected, running: 0, failed: 0 });
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        if let Some(sink) = &self.logger.sink {
            sink.event(Event::Stop { id: self.id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Event>>);
    impl EventSink for Kept {
        fn event(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    #[test]
    fn an_activity_starts_reports_and_stops() {
        let kept = Arc::new(Kept::default());
        let logger = Logger::new(kept.clone());
        let outer = logger.start(ActivityKind::Builds, Level::Info, "all", vec![], 0);
        let inner = logger.start(ActivityKind::Build, Level::Info, "one", vec![], outer.id());
        inner.progress(1, 2);
        let (a, b) = (outer.id(), inner.id());
        drop(inner);
        drop(outer);
        let events = kept.0.lock().unwrap();
        assert!(matches!(&events[1], Event::Start { id, parent, .. } if *id == b && *parent == a));
        assert_eq!(events[3..], [Event::Stop { id: b }, Event::Stop { id: a }]);
    }
}
