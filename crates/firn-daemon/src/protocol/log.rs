//! Log messages of a daemon: what it sends between a request and its answer.

use std::io::{self, Write};

use firn_build::plain::without_colours;
use firn_event::{ActivityKind, Event, Field, Level, Report};

use super::Version;
use crate::error::{Error, Result};
use crate::wire::{WireRead, WireWrite as _};

/// A line for people.
pub const NEXT: u64 = 0x6f6c_6d67;
/// The daemon wants some of the stream that goes with the request.
pub const READ: u64 = 0x6461_7461;
/// A piece of the stream that is the answer.
pub const WRITE: u64 = 0x6461_7416;
/// The request succeeded; its answer follows.
pub const LAST: u64 = 0x616c_7473;
/// The request failed.
pub const ERROR: u64 = 0x6378_7470;
/// An activity begins.
pub const START_ACTIVITY: u64 = 0x5354_5254;
/// An activity ends.
pub const STOP_ACTIVITY: u64 = 0x5354_4f50;
/// An activity reports.
pub const RESULT: u64 = 0x5253_4c54;

/// The most fields that an activity or a result may have.
const MAX_FIELDS: u64 = 64;

/// The most steps of a trace that an error may have.
const MAX_TRACES: u64 = 10_000;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A line for people, with its line end and any colours.
    Line(String),
    /// So many bytes of the request's stream are wanted at most.
    Read(u64),
    /// A piece of the answer's stream.
    Write(Vec<u8>),
    /// The request succeeded.
    Last,
    /// The request failed.
    Error {
        /// Why.
        message: String,
        /// The exit status that it asks for.
        status: u64,
    },
    /// Something that goes to the event stream.
    Event(Event),
    /// A report of a kind that is not known here.
    Ignored,
}

/// Reads the next message.
///
/// # Errors
/// If it makes no sense.
pub fn read(r: &mut WireRead<'_>, version: Version) -> Result<Message> {
    r.begin();
    Ok(match r.number()? {
        NEXT => Message::Line(r.message()?),
        READ => Message::Read(r.number()?),
        WRITE => Message::Write(r.bytes()?),
        LAST => Message::Last,
        ERROR => read_error(r, version)?,
        START_ACTIVITY => {
            let id = r.number()?;
            let level = level(r.number()?);
            let kind = ActivityKind::from_number(r.number()?);
            let text = r.message()?;
            let fields = read_fields(r)?;
            let parent = r.number()?;
            Message::Event(Event::Start { id, parent, level, kind, text, fields })
        }
        STOP_ACTIVITY => Message::Event(Event::Stop { id: r.number()? }),
        RESULT => {
            let (id, kind) = (r.number()?, r.number()?);
            let fields = read_fields(r)?;
            match report(kind, &fields) {
                Some(report) => Message::Event(Event::Result { id, report }),
                None => Message::Ignored,
            }
        }
        other => {
            return Err(Error::protocol(format!(
                "got unknown message type {other:x} from Nix daemon"
            )));
        }
    })
}

fn read_error(r: &mut WireRead<'_>, version: Version) -> Result<Message> {
    if version < Version(26) {
        let message = without_colours(&r.message()?);
        return Ok(Message::Error { message, status: r.number()? });
    }
    if r.text()? != "Error" {
        return Err(Error::protocol("the daemon sent an error of an unknown type"));
    }
    r.number()?;
    r.message()?;
    let mut message = without_colours(&r.message()?);
    if r.number()? != 0 {
        return Err(Error::protocol("the daemon sent an error with a position"));
    }
    let traces = r.number()?;
    if traces > MAX_TRACES {
        return Err(Error::protocol("the daemon sent an error with too long a trace"));
    }
    for _ in 0..traces {
        if r.number()? != 0 {
            return Err(Error::protocol("the daemon sent a trace with a position"));
        }
        r.message()?;
    }
    message.truncate(message.trim_end().len());
    Ok(Message::Error { message, status: 1 })
}

/// Writes that the request failed.
///
/// # Errors
/// If the sink fails.
pub fn put_error(w: &mut dyn Write, version: Version, message: &str) -> io::Result<()> {
    w.number(ERROR)?;
    if version < Version(26) {
        w.text(message)?;
        return w.number(1);
    }
    w.text("Error")?;
    w.number(Level::Error as u64)?;
    w.text("Error")?;
    w.text(message)?;
    w.number(0)?;
    w.number(0)
}

/// Writes an event. Numbers of activities get `offset` added, so that those of different processes differ.
///
/// # Errors
/// If the sink fails.
pub fn put_event(w: &mut dyn Write, event: &Event, offset: u64) -> io::Result<()> {
    let shift = |id: u64| if id == 0 { 0 } else { id.wrapping_add(offset) };
    match event {
        Event::Message { level, text } => {
            let text = match level {
                Level::Error => format!("\x1b[31;1merror:\x1b[0m {text}\n"),
                Level::Warn => format!("\x1b[35;1mwarning:\x1b[0m {text}\n"),
                _ => format!("{text}\n"),
            };
            w.number(NEXT)?;
            w.text(&text)
        }
        Event::Start { id, parent, level, kind, text, fields } => {
            w.number(START_ACTIVITY)?;
            w.number(shift(*id))?;
            w.number(*level as u64)?;
            w.number(*kind as u64)?;
            w.text(text)?;
            put_fields(w, fields)?;
            w.number(shift(*parent))
        }
        Event::Stop { id } => {
            w.number(STOP_ACTIVITY)?;
            w.number(shift(*id))
        }
        Event::Result { id, report } => {
            let int = Field::Int;
            let (kind, fields) = match report {
                Report::BuildLogLine(line) => (101, vec![Field::Text(line.clone())]),
                Report::SetPhase(phase) => (104, vec![Field::Text(phase.clone())]),
                Report::Progress { done, expected, running, failed } => {
                    (105, vec![int(*done), int(*expected), int(*running), int(*failed)])
                }
                Report::SetExpected(kind, count) => (106, vec![int(*kind as u64), int(*count)]),
                Report::FetchStatus(status) => (108, vec![Field::Text(status.clone())]),
            };
            w.number(RESULT)?;
            w.number(shift(*id))?;
            w.number(kind)?;
            put_fields(w, &fields)
        }
    }
}

fn put_fields(w: &mut dyn Write, fields: &[Field]) -> io::Result<()> {
    w.number(fields.len() as u64)?;
    for field in fields {
        match field {
            Field::Int(number) => {
                w.number(0)?;
                w.number(*number)?;
            }
            Field::Text(text) => {
                w.number(1)?;
                w.text(text)?;
            }
        }
    }
    Ok(())
}

fn read_fields(r: &mut WireRead<'_>) -> Result<Vec<Field>> {
    let count = r.number()?;
    if count > MAX_FIELDS {
        return Err(Error::protocol(format!("got {count} fields from Nix daemon")));
    }
    (0..count)
        .map(|_| match r.number()? {
            0 => Ok(Field::Int(r.number()?)),
            1 => Ok(Field::Text(r.message()?)),
            other => Err(Error::protocol(format!(
                "got unsupported field type {other:x} from Nix daemon"
            ))),
        })
        .collect()
}

/// What a result of an activity reports. Lines of a post-build hook are lines of its log.
fn report(kind: u64, fields: &[Field]) -> Option<Report> {
    let int = |n: usize| match fields.get(n) {
        Some(Field::Int(n)) => Some(*n),
        _ => None,
    };
    let text = |n: usize| match fields.get(n) {
        Some(Field::Text(text)) => Some(text.clone()),
        _ => None,
    };
    Some(match kind {
        101 | 107 => Report::BuildLogLine(text(0)?),
        104 => Report::SetPhase(text(0)?),
        105 => {
            Report::Progress { done: int(0)?, expected: int(1)?, running: int(2)?, failed: int(3)? }
        }
        106 => Report::SetExpected(ActivityKind::from_number(int(0)?), int(1)?),
        108 => Report::FetchStatus(text(0)?),
        _ => return None,
    })
}

/// The level with this number; numbers beyond the last are the last.
#[must_use]
pub fn level(number: u64) -> Level {
    match number {
        0 => Level::Error,
        1 => Level::Warn,
        2 => Level::Notice,
        3 => Level::Info,
        4 => Level::Talkative,
        5 => Level::Chatty,
        6 => Level::Debug,
        _ => Level::Vomit,
    }
}

/// A daemon's line as a message of this side: which level it has stands in the text alone.
#[must_use]
pub fn line_as_message(line: &str) -> Event {
    firn_build::plain::message(Level::Notice, line.trim_end_matches('\n'))
}
