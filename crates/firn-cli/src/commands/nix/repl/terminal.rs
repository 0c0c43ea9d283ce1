//! Where lines come from: an editor with history and completion on a terminal, or a pipe.
//!
//! The editor has a thread of its own, because completion needs the evaluator, which belongs to the thread
//! that waits for the line: the editor asks it.

use std::cell::RefCell;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};

use firn_repl::complete::Completions;
use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

/// How many lines are kept.
const HISTORY: usize = 1000;

/// What came instead of a prompt.
pub enum Line {
    /// A line, without its end.
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// The end of the input.
    End,
}

/// Where lines come from.
pub enum Terminal {
    /// A pipe or a file.
    Piped,
    /// The editor's thread.
    Edited {
        /// What it is to do.
        asks: Sender<Ask>,
        /// What it has to say.
        events: Receiver<Event>,
    },
}

/// What the editor is asked.
pub enum Ask {
    /// A line, with this prompt.
    Line(&'static str),
    /// Here is what a word may become.
    Completions(Completions),
}

/// What the editor says.
pub enum Event {
    /// The line is there, or there is none.
    Line(Line),
    /// What may the word at the end of this text become?
    Complete(String),
}

impl Terminal {
    /// Standard input.
    pub fn new(history: Option<&Path>) -> Terminal {
        if !std::io::stdin().is_terminal() {
            return Terminal::Piped;
        }
        let history = history.map(Path::to_owned);
        let (asks, asked) = channel();
        let (said, events) = channel();
        let thread = std::thread::Builder::new().name("line editor".into());
        match thread.spawn(move || edit(asked, said, history)) {
            Ok(_) => Terminal::Edited { asks, events },
            Err(_) => Terminal::Piped,
        }
    }

    /// Reads a line. `complete` says what the word at the end of a text may become.
    pub fn line(
        &mut self,
        prompt: &'static str,
        mut complete: impl FnMut(&str) -> Completions,
    ) -> Line {
        let Terminal::Edited { asks, events } = self else { return piped(prompt) };
        if asks.send(Ask::Line(prompt)).is_err() {
            return Line::End;
        }
        loop {
            match events.recv() {
                Ok(Event::Line(line)) => return line,
                Ok(Event::Complete(text)) => {
                    if asks.send(Ask::Completions(complete(&text))).is_err() {
                        return Line::End;
                    }
                }
                Err(_) => return Line::End,
            }
        }
    }
}

/// A line of a pipe, shown behind its prompt, so that what is printed reads like a session.
fn piped(prompt: &str) -> Line {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_until(b'\n', &mut bytes);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let mut out = std::io::stdout();
    // Nobody can be told that nobody reads.
    let _ = out.write_all(prompt.as_bytes());
    match read {
        Ok(0) | Err(_) => {
            let _ = out.flush();
            Line::End
        }
        Ok(_) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = writeln!(out, "{text}");
            Line::Text(text)
        }
    }
}

/// The editor's side of completion.
struct Asking {
    asks: Rc<RefCell<Receiver<Ask>>>,
    said: Sender<Event>,
}

impl Completer for Asking {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let text = line.get(..pos).unwrap_or(line).to_owned();
        let none = Ok((pos, Vec::new()));
        if self.said.send(Event::Complete(text)).is_err() {
            return none;
        }
        match self.asks.borrow().recv() {
            Ok(Ask::Completions(found)) => Ok((found.start, found.words)),
            _ => none,
        }
    }
}

impl Hinter for Asking {
    type Hint = String;
}
impl Highlighter for Asking {}
impl Validator for Asking {}
impl Helper for Asking {}

#[expect(clippy::needless_pass_by_value, reason = "the thread owns its ends")]
fn edit(asks: Receiver<Ask>, said: Sender<Event>, history: Option<PathBuf>) {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY)
        .map(rustyline::config::Builder::build);
    let editor = config.and_then(Editor::<Asking, DefaultHistory>::with_config);
    let Ok(mut editor) = editor else {
        return;
    };
    let asks = Rc::new(RefCell::new(asks));
    editor.set_helper(Some(Asking { asks: Rc::clone(&asks), said: said.clone() }));
    let known = history.as_ref().and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
    for line in String::from_utf8_lossy(&known).lines() {
        // A history without a line is no reason to stop.
        let _ = editor.add_history_entry(line);
    }
    loop {
        let ask = asks.borrow().recv();
        let prompt = match ask {
            Ok(Ask::Line(prompt)) => prompt,
            Ok(Ask::Completions(_)) => continue,
            Err(_) => return,
        };
        let line = match editor.readline(prompt) {
            Ok(text) => {
                if !text.trim().is_empty() && editor.add_history_entry(&*text).unwrap_or(false) {
                    remember(history.as_deref(), &text);
                }
                Line::Text(text)
            }
            Err(ReadlineError::Interrupted) => Line::Interrupted,
            Err(_) => Line::End,
        };
        if said.send(Event::Line(line)).is_err() {
            return;
        }
    }
}

/// Adds a line to the history's file. A session goes on without.
fn remember(history: Option<&Path>, line: &str) {
    let Some(file) = history else { return };
    if let Some(folder) = file.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let line: Vec<&str> = line.lines().collect();
    if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(file) {
        let _ = file.write_all(format!("{}\n", line.join(" ")).as_bytes());
    }
}
