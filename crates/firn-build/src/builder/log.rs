//! The log of a build: to a file, to the event stream, and its last lines for an error.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use bzip2::Compression;
use bzip2::write::BzEncoder;
use firn_event::json::{Line, complaint, decode_line};
use firn_event::{Activity, Event, Level, Logger, Report};

/// Where the bytes of the log are kept.
enum Kept {
    Nowhere,
    Plain(BufWriter<File>),
    Compressed(Box<BzEncoder<BufWriter<File>>>),
}

/// The file of a log; what cannot be written is dropped, for a build is worth more than its log.
pub(crate) struct LogFile(Kept);

impl LogFile {
    /// Begins the file `path` anew (`path.bz2` if `compress`).
    pub fn create(path: PathBuf, compress: bool) -> io::Result<Self> {
        let mut name = path.into_os_string();
        if compress {
            name.push(".bz2");
        }
        let path = PathBuf::from(name);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        // A new file, for nobody who reads the old one should see it change or follow a link.
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o644).open(&path)?;
        let file = BufWriter::new(file);
        Ok(Self(if compress {
            Kept::Compressed(Box::new(BzEncoder::new(file, Compression::best())))
        } else {
            Kept::Plain(file)
        }))
    }

    /// Keeps nothing.
    pub fn none() -> Self {
        Self(Kept::Nowhere)
    }

    fn write(&mut self, data: &[u8]) {
        let result = match &mut self.0 {
            Kept::Nowhere => Ok(()),
            Kept::Plain(file) => file.write_all(data),
            Kept::Compressed(file) => file.write_all(data),
        };
        if result.is_err() {
            self.0 = Kept::Nowhere;
        }
    }

    fn finish(self) -> io::Result<()> {
        match self.0 {
            Kept::Nowhere => Ok(()),
            Kept::Plain(mut file) => file.flush(),
            Kept::Compressed(file) => file.finish()?.flush(),
        }
    }
}

/// Takes a builder's output in pieces and makes lines of it.
pub(crate) struct BuildLog {
    activity: Activity,
    logger: Logger,
    file: LogFile,
    line: Vec<u8>,
    /// Where the next byte goes: a carriage return goes back without erasing.
    at: usize,
    tail: VecDeque<String>,
    tail_lines: usize,
    size: u64,
    /// Activities that the builder reported, by its own numbers.
    inner: HashMap<u64, Activity>,
}

/// A line longer than this is cut into several.
const LONGEST_LINE: usize = 1 << 20;
/// A builder may report this many activities at a time.
const MOST_ACTIVITIES: usize = 1000;

impl BuildLog {
    pub fn new(activity: Activity, logger: Logger, file: LogFile, tail_lines: usize) -> Self {
        Self {
            activity,
            logger,
            file,
            line: Vec::new(),
            at: 0,
            tail: VecDeque::new(),
            tail_lines,
            size: 0,
            inner: HashMap::new(),
        }
    }

    /// Takes more output; gives the size of all of it.
    pub fn take(&mut self, data: &[u8]) -> u64 {
        self.size += data.len() as u64;
        self.file.write(data);
        for byte in data {
            match byte {
                b'\r' => self.at = 0,
                b'\n' => self.end_line(),
                byte => {
                    if self.at < self.line.len() {
                        self.line[self.at] = *byte;
                    } else {
                        self.line.push(*byte);
                    }
                    self.at += 1;
                    if self.at >= LONGEST_LINE {
                        self.end_line();
                    }
                }
            }
        }
        self.size
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.truncate(self.at);
        self.at = 0;
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(message) = decode_line(&line) {
            self.message(message);
            return;
        }
        if let Some((level, complaint)) = complaint(&line, "the derivation builder") {
            self.logger.message(level, complaint);
            if level == Level::Warn {
                return;
            }
        }
        self.activity.report(Report::BuildLogLine(line.clone()));
        if self.tail.len() >= self.tail_lines {
            self.tail.pop_front();
        }
        if self.tail_lines > 0 {
            self.tail.push_back(line);
        }
    }

    /// What a builder reports becomes part of its build's activity. It is not trusted: its numbers
    /// are its own, and its messages are no errors of this program.
    pub fn message(&mut self, line: Line) {
        match line {
            Line::Phase(phase) => self.activity.report(Report::SetPhase(phase)),
            Line::Event(Event::Start { id, level, kind, text, fields, .. }) => {
                if self.inner.len() < MOST_ACTIVITIES {
                    let activity = self.logger.start(kind, level, text, fields, self.activity.id());
                    self.inner.insert(id, activity);
                }
            }
            Line::Event(Event::Stop { id }) => {
                self.inner.remove(&id);
            }
            Line::Event(Event::Result { id, report }) => {
                if let Some(activity) = self.inner.get(&id) {
                    activity.report(report);
                }
            }
            Line::Event(Event::Message { level, text }) => {
                if level <= Level::Info {
                    self.activity.report(Report::BuildLogLine(text));
                } else {
                    self.logger.message(level, text);
                }
            }
        }
    }

    /// Ends the log; gives its last lines.
    pub fn finish(mut self) -> Vec<String> {
        if !self.line.is_empty() {
            self.end_line();
        }
        let _ = self.file.finish();
        self.tail.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_event::{ActivityKind, EventSink};
    use std::io::Read;
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Kept(Mutex<Vec<Event>>);
    impl EventSink for Kept {
        fn event(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    #[test]
    fn lines_phases_and_activities_are_told_apart() {
        let kept = Arc::new(Kept::default());
        let logger = Logger::new(kept.clone());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let activity = logger.start(ActivityKind::Build, Level::Info, "b", vec![], 0);
        let file = LogFile::create(path.clone(), true).unwrap();
        let mut log = BuildLog::new(activity, logger, file, 2);
        let text = "one\ntw";
        log.take(text.as_bytes());
        log.take(b"o\n10%\r20\n@nix {\"action\":\"setPhase\",\"phase\":\"p\"}\n");
        log.take(b"@nix {\"action\":\"start\",\"id\":1,\"type\":101,\"level\":4,\"text\":\"d\"}\n");
        log.take(b"@nix {\"action\":\"stop\",\"id\":1}\n@nix {\"action\":1}\n@nix broken\nend");
        log.take(b"\n@nix {\"action\":\"msg\",\"level\":3,\"msg\":\"for all\"}\n");
        log.take(b"@nix {\"action\":\"msg\",\"level\":4,\"msg\":\"for the curious\"}\n");
        assert_eq!(log.finish(), ["@nix broken", "end"]);

        let events = format!("{:?}", kept.0.lock().unwrap());
        for part in [
            "BuildLogLine(\"one\")",
            "(\"two\")",
            "(\"20\")",
            "SetPhase(\"p\")",
            "FileTransfer",
            "BuildLogLine(\"for all\")",
            "Message { level: Talkative, text: \"for the curious\" }",
            "level: Warn, text: \"Unable to handle a JSON message from the derivation builder: its action",
            "level: Error, text: \"bad JSON log message from the derivation builder: ",
        ] {
            assert!(events.contains(part), "{part}: {events}");
        }
        let mut kept = String::new();
        let file = File::open(dir.path().join("a/b.bz2")).unwrap();
        bzip2::read::BzDecoder::new(file).read_to_string(&mut kept).unwrap();
        assert!(kept.starts_with("one\ntwo\n10%\r20\n@nix {"));
        assert!(kept.contains("\nend\n@nix {") && kept.contains("for the curious"), "{kept}");
    }
}
