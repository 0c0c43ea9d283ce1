//! Displays that write lines: for pipes and files, and for programs that read JSON.

use std::collections::HashMap;
use std::io::Write;

use firn_event::{ActivityKind, Event, EventSink, Field, Level, Logger, Report};
use parking_lot::Mutex;

use crate::error::format_error;
use crate::text::filter_escapes;

/// Writes a line to standard error in one piece. A reader that went away is no reason to stop.
pub(crate) fn write_line(text: &str) {
    let mut line = text.to_owned();
    line.push('\n');
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(line.as_bytes());
    let _ = out.flush();
}

/// The text of a message as it is shown.
pub(crate) fn format_message(level: Level, text: &str, color: bool) -> String {
    match level {
        Level::Error => format_error(text, color),
        Level::Warn if color => format!("\x1b[35;1mwarning:\x1b[0m {text}"),
        Level::Warn => format!("warning: {text}"),
        _ => text.to_owned(),
    }
}

/// The name of what a build makes, from its derivation's path: without directory, hash and `.drv`.
pub(crate) fn build_name(fields: &[Field]) -> Option<String> {
    let Some(Field::Text(path)) = fields.first() else { return None };
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = base.get(33..).unwrap_or(base);
    Some(name.strip_suffix(".drv").unwrap_or(name).to_owned())
}

/// Plain lines.
pub(crate) struct Lines {
    verbosity: Level,
    logs: bool,
    prefixed: bool,
    color: bool,
    /// The names of running builds, to begin log lines with.
    names: Mutex<HashMap<u64, String>>,
}

impl Lines {
    pub fn new(verbosity: Level, logs: bool, prefixed: bool, color: bool) -> Self {
        Self { verbosity, logs, prefixed, color, names: Mutex::default() }
    }
}

impl EventSink for Lines {
    fn event(&self, event: Event) {
        match event {
            Event::Message { level, text } if level <= self.verbosity => {
                write_line(&format_message(level, &text, self.color));
            }
            Event::Start { id, level, kind, text, fields, .. } => {
                if level <= self.verbosity && !text.is_empty() {
                    write_line(&format!("{text}..."));
                }
                if let (ActivityKind::Build | ActivityKind::PostBuildHook, Some(name)) =
                    (kind, build_name(&fields))
                {
                    self.names.lock().insert(id, name);
                }
            }
            Event::Result { id, report: Report::BuildLogLine(line) } if self.logs => {
                let line = if self.color { filter_escapes(&line, true, usize::MAX) } else { line };
                match self.names.lock().get(&id) {
                    Some(name) if self.prefixed => write_line(&format!("{name}> {line}")),
                    _ => write_line(&line),
                }
            }
            Event::Stop { id } => {
                self.names.lock().remove(&id);
            }
            _ => {}
        }
    }
}

/// JSON lines, as C++ Nix writes them.
pub(crate) struct Json {
    pub verbosity: Level,
}

/// Whether programs that read JSON are told. How long builds may take is for the display alone: C++ Nix has nothing
/// like it.
fn is_for_programs(event: &Event, verbosity: Level) -> bool {
    match event {
        Event::Message { level, .. } => *level <= verbosity,
        Event::Result { report: Report::SetExpected(ActivityKind::Build, _), .. } => false,
        _ => true,
    }
}

impl EventSink for Json {
    fn event(&self, event: Event) {
        if is_for_programs(&event, self.verbosity) {
            write_line(&format!("@nix {}", firn_event::json::encode(&event)));
        }
    }
}

/// JSON lines in a file, beside what is shown.
pub(crate) struct JsonFile {
    file: Mutex<std::fs::File>,
    verbosity: Level,
    shown: Logger,
}

impl JsonFile {
    /// Goes on with the file at `path`, or makes it.
    pub fn open(path: &str, verbosity: Level, shown: Logger) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { file: Mutex::new(file), verbosity, shown })
    }
}

impl EventSink for JsonFile {
    fn event(&self, event: Event) {
        if is_for_programs(&event, self.verbosity) {
            let line = firn_event::json::encode(&event) + "\n";
            // a log that cannot be written is no reason to stop
            let _ = self.file.lock().write_all(line.as_bytes());
        }
        self.shown.event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_kept_in_a_file_as_lines_of_json() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.json");
        let path = path.to_str().unwrap();
        for text in ["one", "two"] {
            let log = JsonFile::open(path, Level::Info, Logger::silent()).unwrap();
            log.event(Event::Message { level: Level::Info, text: text.into() });
            log.event(Event::Message { level: Level::Debug, text: "left out".into() });
        }
        let expected = "{\"action\":\"msg\",\"level\":3,\"msg\":\"one\"}\n\
            {\"action\":\"msg\",\"level\":3,\"msg\":\"two\"}\n";
        assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
    }

    #[test]
    fn builds_are_named_after_what_they_make() {
        let path = "/nix/store/00000000000000000000000000000000-hello-2.12.drv";
        assert_eq!(build_name(&[Field::Text(path.into())]).as_deref(), Some("hello-2.12"));
        assert_eq!(build_name(&[]), None);
    }
}
