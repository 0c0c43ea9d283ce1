//! The `internal-json` form of events: one JSON object a line, as C++ Nix writes and reads it
//! (manual, "Logging: JSON"). Builders that are built in write it to their log with `@nix ` before
//! it, as `stdenv` does for phases.

use serde_json::{Value, json};

use crate::{ActivityKind, Event, Field, Level, Report};

/// The numbers of result types.
mod result {
    pub const BUILD_LOG_LINE: u64 = 101;
    pub const SET_PHASE: u64 = 104;
    pub const PROGRESS: u64 = 105;
    pub const SET_EXPECTED: u64 = 106;
    pub const FETCH_STATUS: u64 = 108;
}

/// The JSON object for an event, without a line end.
#[must_use]
pub fn encode(event: &Event) -> String {
    let fields = |fields: &[Field]| -> Value {
        fields
            .iter()
            .map(|f| match f {
                Field::Int(n) => json!(n),
                Field::Text(t) => json!(t),
            })
            .collect()
    };
    let value = match event {
        Event::Message { level, text } => {
            json!({ "action": "msg", "level": *level as u8, "msg": text })
        }
        Event::Start { id, parent, level, kind, text, fields: f } => {
            let mut value = json!({ "action": "start" });
            if !f.is_empty() {
                value["fields"] = fields(f);
            }
            value["id"] = json!(id);
            value["level"] = json!(*level as u8);
            value["parent"] = json!(parent);
            value["text"] = json!(text);
            value["type"] = json!(*kind as u32);
            value
        }
        Event::Result { id, report } => {
            let (kind, fields) = match report {
                Report::BuildLogLine(line) => (result::BUILD_LOG_LINE, json!([line])),
                Report::SetPhase(phase) => (result::SET_PHASE, json!([phase])),
                Report::Progress { done, expected, running, failed } => {
                    (result::PROGRESS, json!([done, expected, running, failed]))
                }
                Report::SetExpected(kind, count) => {
                    (result::SET_EXPECTED, json!([*kind as u32, count]))
                }
                Report::FetchStatus(status) => (result::FETCH_STATUS, json!([status])),
            };
            json!({ "action": "result", "fields": fields, "id": id, "type": kind })
        }
        Event::Stop { id } => json!({ "action": "stop", "id": id }),
    };
    value.to_string()
}

/// What a line of a builder's log says if it is meant for a program: `@nix {…}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An event; its ids are the builder's own.
    Event(Event),
    /// The whole build enters a phase (`{"action":"setPhase","phase":…}`).
    Phase(String),
}

/// Reads a line of a builder's log: `None` if it is for people. Lines of actions that are not known
/// are for people too.
#[must_use]
pub fn decode_line(line: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(line.strip_prefix("@nix ")?).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    match value.get("action")?.as_str()? {
        "setPhase" => Some(Line::Phase(text("phase")?)),
        "msg" => {
            Some(Line::Event(Event::Message { level: level(number("level")?), text: text("msg")? }))
        }
        "start" => Some(Line::Event(Event::Start {
            id: number("id")?,
            parent: number("parent").unwrap_or(0),
            level: level(number("level").unwrap_or(3)),
            kind: ActivityKind::from_number(number("type")?),
            text: text("text").unwrap_or_default(),
            fields: fields(&value)?,
        })),
        "stop" => Some(Line::Event(Event::Stop { id: number("id")? })),
        "result" => {
            let fields = fields(&value)?;
            let int = |n: usize| match fields.get(n) {
                Some(Field::Int(n)) => Some(*n),
                _ => None,
            };
            let words = |n: usize| match fields.get(n) {
                Some(Field::Text(t)) => Some(t.clone()),
                _ => None,
            };
            let report = match number("type")? {
                result::BUILD_LOG_LINE => Report::BuildLogLine(words(0)?),
                result::SET_PHASE => Report::SetPhase(words(0)?),
                result::PROGRESS => Report::Progress {
                    done: int(0)?,
                    expected: int(1)?,
                    running: int(2)?,
                    failed: int(3)?,
                },
                result::SET_EXPECTED => {
                    Report::SetExpected(ActivityKind::from_number(int(0)?), int(1)?)
                }
                result::FETCH_STATUS => Report::FetchStatus(words(0)?),
                _ => return None,
            };
            Some(Line::Event(Event::Result { id: number("id")?, report }))
        }
        _ => None,
    }
}

/// What is wrong with a line that begins as one for programs, but that [`decode_line`] does not know: an error if
/// it is no JSON, a warning if it says nothing that there is.
#[must_use]
pub fn complaint(line: &str, source: &str) -> Option<(Level, String)> {
    let value: Value = match serde_json::from_str(line.strip_prefix("@nix ")?) {
        Ok(value) => value,
        Err(e) => {
            return Some((Level::Error, format!("bad JSON log message from {source}: {e}")));
        }
    };
    let why = match (value.as_object(), value.get("action")) {
        (None, _) => "it is no object",
        (_, None) => "it has no action",
        // what this program does not know, others may
        (_, Some(Value::String(_))) => return None,
        _ => "its action is no string",
    };
    Some((Level::Warn, format!("Unable to handle a JSON message from {source}: {why}")))
}

fn level(number: u64) -> Level {
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

fn fields(value: &Value) -> Option<Vec<Field>> {
    let Some(fields) = value.get("fields") else { return Some(Vec::new()) };
    fields
        .as_array()?
        .iter()
        .map(|field| match field {
            Value::Number(n) => n.as_u64().map(Field::Int),
            Value::String(t) => Some(Field::Text(t.clone())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_their_json_form() {
        let events = [
            Event::Message { level: Level::Warn, text: "a \"b\"\n".into() },
            Event::Start {
                id: 7,
                parent: 3,
                level: Level::Talkative,
                kind: ActivityKind::FileTransfer,
                text: "downloading 'x'".into(),
                fields: vec![Field::Text("x".into()), Field::Int(1)],
            },
            Event::Result {
                id: 7,
                report: Report::Progress { done: 1, expected: 2, running: 0, failed: 0 },
            },
            Event::Result { id: 7, report: Report::SetExpected(ActivityKind::Build, 4) },
            Event::Result { id: 7, report: Report::BuildLogLine("hello".into()) },
            Event::Result { id: 7, report: Report::SetPhase("p".into()) },
            Event::Result { id: 7, report: Report::FetchStatus("s".into()) },
            Event::Stop { id: 7 },
        ];
        for event in events {
            let line = format!("@nix {}", encode(&event));
            assert_eq!(decode_line(&line), Some(Line::Event(event)), "{line}");
        }
    }

    #[test]
    fn other_lines_are_for_people() {
        assert_eq!(
            decode_line("@nix { \"action\": \"setPhase\", \"phase\": \"buildPhase\" }"),
            Some(Line::Phase("buildPhase".into()))
        );
        for line in ["", "text", "@nix", "@nix {", "@nix {\"action\":\"no\"}", "@nix []"] {
            assert_eq!(decode_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_form_is_that_of_cpp_nix() {
        assert_eq!(
            encode(&Event::Result { id: 1, report: Report::BuildLogLine("x".into()) }),
            r#"{"action":"result","fields":["x"],"id":1,"type":101}"#
        );
        assert_eq!(encode(&Event::Stop { id: 1 }), r#"{"action":"stop","id":1}"#);
    }
}
