//! The loop: a line is read and carried out, until one ends the session.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use firn_eval::print::{self, Style};
use firn_eval::value::Set;
use firn_eval::{Error, Kind, Value, View, Vm};
use firn_repl::complete::{Completions, complete};
use firn_repl::{Command, Entered, Session, command, doc, markdown};

use super::super::call::Stop;
use super::super::installables::{Installable, Root};
use super::debugger;
use super::terminal::{Line, Terminal};
use super::world::World;
use crate::common::interrupt;
use crate::common::legacy::Failure;

const PROMPT: &str = "nix-repl> ";
/// As wide as the prompt.
const CONTINUED: &str = "        > ";

/// How a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// All is over.
    Quit,
    /// Evaluation goes on.
    Continue,
    /// Evaluation goes on to its next step.
    Step,
}

/// What a line led to.
pub(super) enum Next {
    /// Another line.
    Prompt,
    /// More of this one.
    More,
    /// The session's end.
    End(End),
}

/// A session on a terminal.
pub struct Repl<'a> {
    pub(super) world: Arc<World>,
    pub(super) session: Session,
    /// The arguments of the command line, for functions that files are.
    pub args: Option<Set>,
    /// What the command line named, with its text.
    pub loaded: Vec<(Installable, String)>,
    /// What values of that come from.
    pub root: Option<&'a Root>,
    pub(super) files: Vec<String>,
    pub(super) flakes: Vec<String>,
    frame: usize,
}

/// Writes to standard output.
pub(super) fn put(text: impl AsRef<[u8]>) {
    let mut out = std::io::stdout();
    // Nobody can be told that nobody reads.
    let _ = out.write_all(text.as_ref()).and_then(|()| out.flush());
}

/// Writes a line to standard error.
pub(super) fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

impl<'a> Repl<'a> {
    /// A session with nothing bound.
    pub fn new(vm: &Vm, world: Arc<World>, base: &Path) -> Repl<'a> {
        Repl {
            world,
            session: Session::new(vm, base),
            args: None,
            loaded: Vec::new(),
            root: None,
            files: Vec::new(),
            flakes: Vec::new(),
            frame: 0,
        }
    }

    /// Says what this is, the first time.
    pub fn greet(&self, vm: &Vm) {
        if self.world.is_first() {
            let what = if vm.is_debugged() { " debugger" } else { "" };
            say(&format!("Nix {}{what}\nType :? for help.", crate::common::NIX_VERSION));
        }
    }

    /// Binds the names of a step that is under way, and nothing else.
    pub fn bind_frame(&mut self, vm: &mut Vm, index: usize) {
        self.session.reset(vm);
        if let Some(view) = vm.trace_view(index) {
            for (name, value) in view.bindings() {
                self.session.bind(name, value);
            }
        }
    }

    /// Reads lines and carries them out.
    ///
    /// # Errors
    /// None of a line: those are shown.
    pub fn run(&mut self, vm: &mut Vm) -> Result<End, Error> {
        let interrupter = interrupt::evaluation(vm);
        let history = self.world.history.clone();
        let mut terminal = Terminal::new(history.as_deref());
        let mut input = String::new();
        loop {
            let prompt = if input.is_empty() { PROMPT } else { CONTINUED };
            let asked = |text: &str| -> Completions {
                // Only the expression counts, not the lines before.
                complete(&self.session, vm, text)
            };
            match terminal.line(prompt, asked) {
                Line::Text(line) => {
                    input.push_str(&line);
                    input.push('\n');
                }
                Line::Interrupted => input.clear(),
                Line::End => {
                    put("\n");
                    return Ok(End::Quit);
                }
            }
            interrupt::reset(&interrupter);
            match self.line(vm, &input) {
                Ok(Next::End(end)) => return Ok(end),
                Ok(Next::More) => continue,
                Ok(Next::Prompt) => {}
                Err(stop) => {
                    interrupt::reset(&interrupter);
                    self.report(&stop);
                }
            }
            input.clear();
            put("\n");
        }
    }

    fn report(&self, stop: &Stop) {
        match stop {
            // Where it was does not matter to who stopped it.
            Stop::Eval(error) if error.kind() == Kind::Interrupted => {
                firn_ui::print_error(error.message());
            }
            Stop::Eval(error) => say(&self.world.rendered(error)),
            Stop::Other(Failure::Message(text) | Failure::Usage(text)) => {
                firn_ui::print_error(text);
            }
            Stop::Other(Failure::Shown(text)) => say(text),
            Stop::Other(Failure::Exit(_)) => {}
        }
    }

    fn line(&mut self, vm: &mut Vm, input: &str) -> Result<Next, Stop> {
        let debugged = vm.is_debugged();
        match command::parse(input, debugged) {
            Command::Empty => {}
            Command::Enter(text) => return self.enter(vm, text),
            Command::Help => put(help(debugged)),
            Command::Add(text) => {
                let Some(value) = self.session.evaluate(vm, text)? else { return Ok(Next::More) };
                self.add(vm, value)?;
            }
            Command::Load(file) => {
                vm.forget_files();
                self.load_file(vm, file)?;
            }
            Command::LoadFlake(reference) => self.load_flake(vm, reference)?,
            Command::LastLoaded => {
                let names = self.session.last_loaded(vm)?;
                super::actions::page(names.join("\n").as_bytes());
            }
            Command::Reload => self.reload(vm)?,
            Command::Print(text) => {
                let Some(value) = self.session.evaluate(vm, text)? else { return Ok(Next::More) };
                self.print(vm, value, true)?;
            }
            Command::Type(text) => {
                let Some(value) = self.session.evaluate(vm, text)? else { return Ok(Next::More) };
                put(format!("{}\n", value.describe()));
            }
            Command::Doc(text) => {
                let Some(text) = doc::of_expression(&self.session, vm, text)? else {
                    return Ok(Next::More);
                };
                put(format!("{}\n", laid_out(&text).trim()));
            }
            Command::Trace { command, wanted } => self.trace(vm, command, wanted)?,
            Command::Quit => return Ok(Next::End(End::Quit)),
            Command::Continue => return Ok(Next::End(End::Continue)),
            Command::Step => return Ok(Next::End(End::Step)),
            Command::Backtrace => {
                for i in 0..vm.trace_count() {
                    if let Some(view) = vm.trace_view(i) {
                        put(debugger::trace(i, &view));
                    }
                }
            }
            Command::Env => {
                if let Some(view) = vm.trace_view(self.frame) {
                    put(debugger::environment(vm, &view));
                }
            }
            Command::Frame(text) => {
                if let Ok(index) = text.parse() {
                    self.frame = index;
                }
                if let Some(view) = vm.trace_view(self.frame) {
                    put(format!("{}\n", debugger::trace(self.frame, &view)));
                    put(debugger::environment(vm, &view));
                    self.bind_frame(vm, self.frame);
                }
            }
            Command::Unknown(name) => {
                return Err(Failure::Message(format!("unknown command '{name}'")).into());
            }
            other => return self.act(vm, other),
        }
        Ok(Next::Prompt)
    }

    fn enter(&mut self, vm: &mut Vm, text: &str) -> Result<Next, Stop> {
        match self.session.enter(vm, text)? {
            Entered::Bound => {}
            Entered::Incomplete => return Ok(Next::More),
            Entered::Value(value) => self.print(vm, value, false)?,
        }
        Ok(Next::Prompt)
    }

    fn print(&mut self, vm: &mut Vm, value: Value, all: bool) -> Result<(), Stop> {
        let mut text = match value.view() {
            View::Str(s) if all => s.bytes().to_vec(),
            _ if all => print::pretty(vm, value, Style::SESSION)?,
            _ => print::pretty(vm, value, Style { max_depth: 1, ..Style::SESSION })?,
        };
        text.push(b'\n');
        put(text);
        Ok(())
    }

    fn trace(&mut self, vm: &mut Vm, command: &str, wanted: &str) -> Result<(), Stop> {
        let show = match wanted {
            "true" => true,
            "false" => false,
            "" => !self.world.shows_traces(),
            _ => {
                let text = format!("unexpected argument '{wanted}' to {command}");
                return Err(Failure::Message(text).into());
            }
        };
        self.world.show_traces(show);
        vm.set_show_trace(show);
        put(if show { "showing error traces\n" } else { "not showing error traces\n" });
        Ok(())
    }

    /// Binds a set's attributes and says what they are.
    pub(super) fn add(&mut self, vm: &mut Vm, value: Value) -> Result<(), Error> {
        let added = self.session.add(vm, value)?;
        say(&format!("Added {} variables.", added.count));
        say(&added.first.join(", "));
        if added.count > added.first.len() {
            say(&format!("... and {} more; view with :ll", added.count - added.first.len()));
        }
        Ok(())
    }
}

/// Markdown as it is, for tests, or for this terminal.
fn laid_out(text: &str) -> String {
    if std::env::var_os("_NIX_TEST_RAW_MARKDOWN").is_some_and(|v| v == "1") {
        return text.to_owned();
    }
    let out = std::io::stdout();
    let columns = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    let width = columns.saturating_sub(5).max(60);
    let ansi = rustix::termios::isatty(&out) && std::env::var_os("NO_COLOR").is_none();
    markdown::render(text, markdown::Layout { width, ansi })
}

/// What `:?` shows.
fn help(debugged: bool) -> String {
    let mut commands: Vec<(&str, &str)> = vec![
        ("<expr>", "Evaluate an expression and print its value"),
        ("<x> = <expr>", "Bind a variable; also 'inherit', and several at once"),
        (":a, :add <expr>", "Bind all attributes of a set"),
        (":b <expr>", "Build a derivation"),
        (":bl <expr>", "Build a derivation, with links to its outputs here"),
        (":e, :edit <expr>", "Open where a package or function is written in $EDITOR"),
        (":i <expr>", "Build a derivation and install it into the profile"),
        (":l, :load <path>", "Load a Nix file and bind its attributes"),
        (":lf, :load-flake <ref>", "Load a flake and bind its attributes"),
        (":ll, :last-loaded", "List the variables that were bound last"),
        (":p, :print <expr>", "Evaluate and print at all depths; strings as they are"),
        (":q, :quit", "Leave"),
        (":r, :reload", "Load all files and flakes again"),
        (":sh <expr>", "Open a shell in the build environment of a derivation"),
        (":t <expr>", "Say what sort of value it is"),
        (":u <expr>", "Open a shell with a derivation in its environment"),
        (":doc <expr>", "Show what a builtin or a function does"),
        (":log <expr>", "Show the build log of a derivation"),
        (":te, :trace-enable [bool]", "Show all steps of errors, or not"),
        (":?, :help", "Show this list"),
    ];
    if debugged {
        commands.extend([
            (":env", "Show the variables of the present step"),
            (":bt, :backtrace", "Show all steps that are under way"),
            (":st", "Show the present step"),
            (":st <n>", "Go to another step"),
            (":c, :continue", "Go on to the next error or breakpoint"),
            (":s, :step", "Go on to the next step"),
        ]);
    }
    let mut text = "The following commands are available:\n\n".to_owned();
    for (name, about) in commands {
        text.push_str(&format!("  {name:27}  {about}\n"));
    }
    text
}
