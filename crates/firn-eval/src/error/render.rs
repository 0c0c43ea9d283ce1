//! Errors as text, laid out as C++ Nix lays them out: the steps that led to the error, then the error last,
//! with pieces of source.

use super::{Details, Error, Frame};
use crate::position::{Location, PosId};
use std::fmt::Write;
use std::path::PathBuf;

/// How to render.
#[derive(Clone, Default)]
pub struct Options {
    /// All steps (`--show-trace`).
    pub show_trace: bool,
    /// ANSI colours.
    pub colors: bool,
    /// Folders of libraries: unless all steps are shown, steps in their files are folded, and so are those in
    /// files that are part of the evaluator.
    pub libraries: Vec<PathBuf>,
}

struct Colors {
    red: &'static str,
    blue: &'static str,
    warning: &'static str,
    normal: &'static str,
}

const PLAIN: Colors = Colors { red: "", blue: "", warning: "", normal: "" };
const ANSI: Colors =
    Colors { red: "\x1b[31;1m", blue: "\x1b[34;1m", warning: "\x1b[35;1m", normal: "\x1b[0m" };

/// The error as C++ Nix prints it, `error: ` included, without a final newline.
pub fn render(error: &Error, options: &Options) -> String {
    render_as("error", error, options)
}

/// As [`render`], with another word than `error`, such as `warning`.
pub fn render_as(word: &str, error: &Error, options: &Options) -> String {
    let colors = if options.colors { &ANSI } else { &PLAIN };
    let details = error.details();
    let mut body = String::new();
    let traced = details.frames.iter().any(|f| !f.text.is_empty());
    if traced {
        frames(&mut body, details, options, colors);
        let _ = write!(body, "\n{}{word}:{} ", colors.red, colors.normal);
    }
    body.push_str(&details.message);
    body.push('\n');
    position(&mut body, "", details.pos, colors);
    if let [first, rest @ ..] = &*details.suggestions {
        let _ = match rest {
            [] => writeln!(body, "Did you mean {first}?"),
            [middle @ .., last] => {
                let mut names = first.clone();
                for name in middle {
                    let _ = write!(names, ", {name}");
                }
                writeln!(body, "Did you mean one of {names} or {last}?")
            }
        };
    }
    let body = crate::trees::reveal_text(&body);
    // Every line but the first is indented by the width of "error: ".
    let mut out = format!("{}{word}:{}", colors.red, colors.normal);
    let indent = " ".repeat(word.chars().count() + 2);
    for (i, line) in body.trim_end().split('\n').enumerate() {
        let pad = if i == 0 { " " } else { &*indent };
        if i > 0 {
            out.push('\n');
        }
        out.push_str(format!("{pad}{line}").trim_end());
    }
    // C++ Nix colours what the reader of TOML says to its end, so that its last line feed stays.
    if details.message.starts_with("while parsing TOML: ") && details.message.ends_with('\n') {
        out.push('\n');
        out.push_str(&indent);
    }
    out
}

/// Whether a step is in a file of a library, where users have nothing to mend. A step without a place is where
/// the one around it is, unless it names a place itself or was written to be shown always.
fn in_library(frame: &Frame, around: bool, options: &Options) -> bool {
    match frame.pos.location() {
        Some(at) => at.path().is_some_and(|path| {
            path.starts_with(crate::builtins::INTERNAL_PREFIX)
                || (options.libraries.iter().any(|library| path.starts_with(library))
                    && !crate::trees::is_local(path))
        }),
        None => {
            let names_library = options
                .libraries
                .iter()
                .any(|library| frame.text.contains(&*format!("{}/", library.display())));
            let always = frame.always || frame.text.starts_with("while evaluating derivation");
            names_library || around && !always
        }
    }
}

fn frames(out: &mut String, details: &Details, options: &Options, colors: &Colors) {
    let mut seen: Vec<&Frame> = Vec::new();
    let mut skipped: Vec<&Frame> = Vec::new();
    let mut count = 0;
    let mut truncated = false;
    let mut folded = 0;
    let mut library = false;
    // Frames were added from the inside out; they are shown from the outside in.
    for frame in details.frames.iter().rev() {
        library = in_library(frame, library, options);
        if library && !options.show_trace {
            folded += 1;
            continue;
        }
        if !options.show_trace && count > 3 {
            truncated = true;
        }
        if truncated && !frame.always {
            continue;
        }
        if seen.iter().any(|s| s.pos == frame.pos && s.text == frame.text) {
            skipped.push(frame);
            continue;
        }
        seen.push(frame);
        flush(out, &mut skipped, &mut count, colors);
        count += 1;
        step(out, frame, &mut count, colors);
    }
    flush(out, &mut skipped, &mut count, colors);
    let left_out = match folded {
        0 if !truncated => return,
        0 => "stack trace truncated".to_owned(),
        1 => "1 step in a library folded".to_owned(),
        n => format!("{n} steps in libraries folded"),
    };
    let _ = writeln!(
        out,
        "\n{}({left_out}; use '--show-trace' to show the full, detailed trace){}",
        colors.warning, colors.normal
    );
}

fn flush(out: &mut String, skipped: &mut Vec<&Frame>, count: &mut usize, colors: &Colors) {
    if skipped.len() > 5 {
        let n = skipped.len();
        let _ =
            writeln!(out, "\n{}({n} duplicate frames omitted){}", colors.warning, colors.normal);
    } else {
        for frame in &*skipped {
            step(out, frame, count, colors);
        }
    }
    skipped.clear();
}

fn step(out: &mut String, frame: &Frame, count: &mut usize, colors: &Colors) {
    let _ = writeln!(out, "\n… {}", frame.text);
    if position(out, "  ", frame.pos, colors) {
        *count += 1;
    }
}

fn position(out: &mut String, indent: &str, pos: PosId, colors: &Colors) -> bool {
    let Some(at) = pos.location() else { return false };
    let _ = write!(out, "{indent}{}at {}{at}{}:", colors.blue, colors.warning, colors.normal);
    excerpt(out, &at, colors);
    out.push('\n');
    true
}

/// The line of a position with its neighbours, each after a line feed; with a caret below it.
pub fn lines_around(pos: PosId, colored: bool) -> Option<String> {
    let mut out = String::new();
    excerpt(&mut out, &pos.location()?, if colored { &ANSI } else { &PLAIN });
    Some(out)
}

/// The line of the position with its neighbours.
fn excerpt(out: &mut String, at: &Location, colors: &Colors) {
    if at.source.text().is_empty() {
        return;
    }
    let line = |n: u32| at.source.line(n).map(|l| String::from_utf8_lossy(l).into_owned());
    if at.line > 1
        && let Some(text) = line(at.line - 1)
    {
        let _ = write!(out, "\n {:5}| {text}", at.line - 1);
    }
    if let Some(text) = line(at.line) {
        let _ = write!(out, "\n {:5}| {text}", at.line);
        let spaces = " ".repeat(at.column as usize);
        let _ = write!(out, "\n      |{spaces}{}^{}", colors.red, colors.normal);
    }
    // A text that ends in a line feed has an empty last line.
    if let Some(text) = line(at.line + 1) {
        let _ = write!(out, "\n {:5}| {text}", at.line + 1);
    }
}
