//! The command line that all `nix-…` commands share: flags, settings as flags, errors, messages.
//!
//! Defined in the Nix manual, "Common Options". A command gets its own flags and arguments through a
//! closure; everything else has been dealt with by then.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::OnceLock;

use super::caches::Substituters;
use super::store::{AnyStore, Opener};
use firn_build::{BuildOptions, Substituter};
use firn_event::{Event, EventSink, Level, Logger};
use firn_store::layout::{Environment, StoreLayout, StoreReference, canonical};
use firn_store::settings::{self, Kind, SETTINGS};
use firn_store::{Settings, Trust};
use firn_ui::{Display, DisplayOptions, LogFormat};

/// Why a command ends early.
#[derive(Debug)]
pub enum Failure {
    /// It was called wrongly.
    Usage(String),
    /// Something failed.
    Message(String),
    /// Something failed; the text is shown as it is.
    Shown(String),
    /// It ends with this status and has said why.
    Exit(u8),
}

/// A result of a command or a step of it.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// What it says, without more.
    pub fn text(self) -> String {
        match self {
            Self::Usage(text) | Self::Message(text) | Self::Shown(text) => text,
            Self::Exit(status) => format!("it ended with status {status}"),
        }
    }
}

impl From<firn_store::Error> for Failure {
    fn from(error: firn_store::Error) -> Self {
        match error {
            firn_store::Error::Usage(text) => Self::Usage(text),
            other => Self::Message(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Exit(1);
        }
        Self::Message(format!(
            "writing to standard output: {}",
            firn_store::error::errno_text(&error)
        ))
    }
}

/// A failure that is an error message.
pub fn fail<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Failure::Message(text.into()))
}

/// A failure because of how the command was called.
pub fn usage<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Failure::Usage(text.into()))
}

/// What the common flags and the settings files say.
pub struct Common {
    /// The command's name.
    pub program: String,
    /// The environment.
    pub env: Environment,
    /// All settings.
    pub settings: Settings,
    /// `--store`.
    pub store: Option<String>,
    /// `-v`, `--quiet`.
    pub verbosity: Level,
    /// `--readonly-mode`.
    pub read_only: bool,
    /// Whether `--no-gc-warning` was not given.
    pub gc_warning: bool,
    /// Whether `--no-build-output` was not given.
    pub build_output: bool,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
    /// The substituters, once something has asked for them.
    substituters: OnceCell<Option<Arc<Substituters>>>,
    /// Settings of experimental features that flags set.
    flagged: Vec<String>,
    /// What shows messages and progress, once something has asked for it.
    display: OnceCell<Arc<Display>>,
    /// The folder of a store that goes away with this process.
    scratch: OnceLock<tempfile::TempDir>,
}

/// The arguments that are still to be read.
pub struct Arguments {
    rest: VecDeque<String>,
    only_arguments: bool,
}

impl Arguments {
    /// The argument that `flag` needs.
    pub fn value(&mut self, flag: &str) -> Outcome<String> {
        self.rest
            .pop_front()
            .ok_or_else(|| Failure::Usage(format!("'{flag}' requires an argument")))
    }

    /// The next argument, if there is one.
    pub fn next_value(&mut self) -> Option<String> {
        self.rest.pop_front()
    }

    /// All arguments that follow.
    pub fn remaining(&mut self) -> impl Iterator<Item = String> {
        std::mem::take(&mut self.rest).into_iter()
    }

    /// Whether a `--` was there, after which nothing is a flag.
    pub fn only_arguments(&self) -> bool {
        self.only_arguments
    }

    /// The arguments that a common flag needs.
    fn values<const N: usize>(&mut self, flag: &str) -> Outcome<[String; N]> {
        let there = self.rest.len();
        if there < N {
            return usage(format!(
                "flag '{flag}' requires {N} argument(s), but only {there} were given"
            ));
        }
        Ok(std::array::from_fn(|_| self.rest.pop_front().unwrap_or_default()))
    }
}

/// What a command makes of one of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is one of its own.
    Yes,
    /// It knows nothing like that.
    No,
}

impl Common {
    /// Reads settings and arguments; `own` gets those that are not common to all commands.
    pub fn parse(
        program: &str,
        args: Vec<OsString>,
        mut own: impl FnMut(&mut Self, &str, &mut Arguments) -> Outcome<Taken>,
    ) -> Outcome<Self> {
        let env = Environment::current();
        let (settings, warnings) = Settings::load(&env)?;
        let mut common = Self {
            program: program.to_owned(),
            env,
            settings,
            store: None,
            verbosity: Level::Info,
            read_only: false,
            gc_warning: true,
            build_output: true,
            log_format: None,
            substituters: OnceCell::new(),
            flagged: Vec::new(),
            display: OnceCell::new(),
            scratch: OnceLock::new(),
        };
        for warning in warnings {
            stderr_logger(Level::Info).warn(warning);
        }
        let mut rest = VecDeque::new();
        for arg in args {
            match arg.into_string() {
                Ok(arg) => rest.push_back(arg),
                Err(arg) => return fail(format!("argument {arg:?} is not valid UTF-8")),
            }
        }
        let mut args = Arguments { rest, only_arguments: false };
        while let Some(arg) = args.rest.pop_front() {
            if !args.only_arguments && arg == "--" {
                args.only_arguments = true;
                continue;
            }
            let arg = if args.only_arguments { arg } else { split_short(arg, &mut args.rest) };
            if !args.only_arguments && arg.starts_with('-') && common.take(&arg, &mut args)? {
                continue;
            }
            if own(&mut common, &arg, &mut args)? == Taken::No {
                return if arg.starts_with('-') {
                    usage(format!("unrecognised flag '{arg}'"))
                } else {
                    usage(format!("unexpected argument '{arg}'"))
                };
            }
        }
        if let Some(feature) =
            common.flagged.iter().find_map(|name| common.settings.missing_feature(name))
        {
            return fail(disabled(feature));
        }
        if common.settings.words("experimental-features").iter().any(|f| f == "no-url-literals") {
            stderr_logger(common.verbosity).warn(
                "experimental feature 'no-url-literals' has been stabilized and renamed; use 'lint-url-literals = fatal' setting instead".to_owned(),
            );
        }
        firn_store::fs::use_case_hack(common.settings.bool("use-case-hack"));
        Ok(common)
    }

    /// Takes a flag that is common to all commands.
    fn take(&mut self, flag: &str, args: &mut Arguments) -> Outcome<bool> {
        match flag {
            "-v" | "--verbose" => self.verbosity = louder(self.verbosity),
            "--quiet" => self.verbosity = quieter(self.verbosity),
            "--debug" => self.verbosity = Level::Debug,
            "--option" => {
                let [name, value] = args.values(flag)?;
                match self.settings.set(&name, &value) {
                    Ok(true) => {}
                    Ok(false) => {
                        let hint = did_you_mean(SETTINGS.iter().map(|s| s.name), &name);
                        let text = format!("unknown setting '{name}'{hint}");
                        stderr_logger(self.verbosity).warn(text);
                    }
                    Err(e) => stderr_logger(self.verbosity).warn(e.to_string()),
                }
            }
            "--log-format" => {
                let [format] = args.values(flag)?;
                self.log_format = Some(format.parse().map_err(Failure::Usage)?);
            }
            "-j" | "--max-jobs" => {
                let [jobs] = args.values(flag)?;
                self.settings.set("max-jobs", &jobs)?;
            }
            "-Q" | "--no-build-output" => self.build_output = false,
            "-K" => self.set("keep-failed", "true")?,
            // some commands of `nix` mean something else by it
            "-k" if self.program != "nix" => self.keep_going()?,
            "--readonly-mode" => self.read_only = true,
            "--no-gc-warning" => self.gc_warning = false,
            "--store" => {
                let [store] = args.values(flag)?;
                self.store = Some(store);
            }
            _ => return self.take_setting(flag, args),
        }
        Ok(true)
    }

    /// Takes a setting as a flag: `--NAME VALUE`, `--extra-NAME VALUE`, `--NAME`, `--no-NAME`.
    fn take_setting(&mut self, flag: &str, args: &mut Arguments) -> Outcome<bool> {
        let Some(name) = flag.strip_prefix("--") else { return Ok(false) };
        if name == "system" && self.program == "nix-env" {
            return Ok(false);
        }
        if let Some(setting) = settings::find(name) {
            match setting.kind {
                Kind::Bool | Kind::Sandbox => self.set(setting.name, "true")?,
                _ => {
                    let [value] = args.values(flag)?;
                    if matches!(setting.name, "cores" | "timeout" | "max-silent-time") {
                        settings::parse_number(&value)?;
                    }
                    self.set(setting.name, &value)?;
                }
            }
            return Ok(true);
        }
        if let Some(setting) = name.strip_prefix("no-").and_then(settings::find)
            && matches!(setting.kind, Kind::Bool | Kind::Sandbox)
        {
            self.set(setting.name, "false")?;
            return Ok(true);
        }
        if name
            .strip_prefix("extra-")
            .and_then(settings::find)
            .is_some_and(|s| s.kind == Kind::Words)
        {
            let [value] = args.values(flag)?;
            self.set(name, &value)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// What `--version` prints; with `-v`, also where this program looks for what.
    pub fn version(&self) -> Outcome<String> {
        version_text(&self.program, self.verbosity > Level::Info, &self.settings, &self.env)
    }

    /// What `-k` means, if it means nothing else.
    pub fn keep_going(&mut self) -> Outcome {
        self.set("keep-going", "true")
    }

    fn set(&mut self, name: &str, value: &str) -> Outcome {
        self.settings.set(name, value)?;
        if settings::feature_of(name).is_some() {
            self.flagged.push(name.to_owned());
        }
        Ok(())
    }

    /// A logger that shows on standard error what the verbosity lets through.
    pub fn logger(&self) -> Logger {
        self.display().logger().clone()
    }

    /// What shows messages and progress.
    pub fn display(&self) -> Arc<Display> {
        let start = || {
            let options = DisplayOptions {
                format: Some(self.log_format.unwrap_or(LogFormat::Raw)),
                verbosity: self.verbosity,
                print_build_logs: (!self.build_output).then_some(false),
            };
            Arc::new(Display::start_with_log(options, self.settings.text("json-log-path")))
        };
        Arc::clone(self.display.get_or_init(start))
    }

    /// The substituters of the settings, if they are to be used.
    pub fn substituters(&self) -> Option<Arc<Substituters>> {
        let known = self
            .substituters
            .get_or_init(|| Substituters::new(&self.env, &self.settings, self.logger()));
        known.clone()
    }

    /// Opens the substituters anew when they are needed next: the settings have changed.
    pub fn forget_substituters(&mut self) {
        self.substituters = OnceCell::new();
    }

    /// Whom this machine's stores believe; a store's address may say that it believes everybody.
    pub fn trust(&self, store: &AnyStore, uri: Option<&str>) -> Outcome<Trust> {
        // others check by themselves what they are given, or let whoever reads them do it
        if !store.is_local() {
            return Ok(Trust::Everybody);
        }
        if let Some(uri) = uri {
            let reference = StoreReference::parse(uri, &self.env)?;
            match reference.params.get("require-sigs").map(String::as_str) {
                Some("false" | "no" | "0") => return Ok(Trust::Everybody),
                None | Some("true" | "yes" | "1") => {}
                Some(other) => {
                    return usage(format!(
                        "Boolean setting 'require-sigs' has invalid value '{other}'"
                    ));
                }
            }
        }
        Ok(Trust::from_settings(&self.settings)?)
    }

    /// How builds are done.
    pub fn build_options(&self) -> BuildOptions {
        let mut options = BuildOptions::from_settings(&self.settings);
        options.cancel = super::interrupt::flag();
        options.hook = super::remote::build_hook(&self.settings, self.verbosity);
        options.executors = super::clusters::executors(&self.settings, &self.logger());
        options.recursive = super::remote::recursive(&self.settings);
        options.substituter = self.substituters().map(|s| s as Arc<dyn Substituter>);
        options.verbose_logs = self.build_output && self.log_format != Some(LogFormat::Bar);
        options
    }

    /// Opens the store that flags, settings and environment select.
    pub fn open_store(&self) -> Outcome<AnyStore> {
        self.open_store_at(self.store.as_deref())
    }

    /// Opens the store that evaluation shall read and write.
    pub fn open_eval_store(&self, uri: &str) -> Outcome<AnyStore> {
        self.opener().open_for_evaluation(uri)
    }

    /// Opens the store at `uri`, or the one that settings and the environment select.
    pub fn open_store_at(&self, uri: Option<&str>) -> Outcome<AnyStore> {
        self.opener().open(uri)
    }

    fn opener(&self) -> Opener<'_> {
        Opener {
            env: &self.env,
            settings: &self.settings,
            logger: self.logger(),
            verbosity: self.verbosity,
            scratch: &self.scratch,
        }
    }

    /// What opens stores that other processes look after.
    pub fn remotes(&self, logger: Logger) -> super::remote::RemoteOpener<'_> {
        super::remote::RemoteOpener {
            env: &self.env,
            settings: &self.settings,
            logger,
            verbosity: self.verbosity,
        }
    }
}

/// Says that an experimental feature would be needed.
pub fn disabled(feature: &str) -> String {
    format!(
        "experimental Nix feature '{feature}' is disabled; add '--extra-experimental-features {feature}' to enable it"
    )
}

/// What `--version` prints.
pub fn version_text(
    program: &str,
    verbose: bool,
    settings: &Settings,
    env: &Environment,
) -> Outcome<String> {
    let mut text = format!("{program} (Nix) {}\n", super::NIX_VERSION);
    if !verbose {
        return Ok(text);
    }
    let layout = StoreLayout::from_environment(env)?;
    let files: Vec<String> =
        settings::user_conf_files(env).iter().map(|f| f.display().to_string()).collect();
    let mut line = |what: &str, value: &str| text.push_str(&format!("{what}: {value}\n"));
    line("System type", settings.system());
    line("Additional system types", &settings.words("extra-platforms").join(", "));
    line("Features", "gc, signed-caches");
    line("System configuration file", &settings::conf_file(env).display().to_string());
    line("User configuration files", &files.join(":"));
    line("Store directory", layout.store_dir.as_str());
    line("State directory", &layout.state_dir.display().to_string());
    Ok(text)
}

/// Runs a command and turns its outcome into an exit status.
pub fn run(program: &str, main: impl FnOnce(&mut dyn Write) -> Outcome) -> ExitCode {
    // Nix has no privacy: what it makes is readable by everybody
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let mut out = std::io::BufWriter::with_capacity(64 * 1024, std::io::stdout());
    let outcome = main(&mut out).and_then(|()| Ok(out.flush()?));
    let _ = out.flush();
    let say = |text: &str| stderr_logger(Level::Error).message(Level::Error, text);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Exit(status)) => ExitCode::from(status),
        Err(Failure::Shown(text)) => {
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
        Err(Failure::Message(text)) => {
            say(&text);
            ExitCode::FAILURE
        }
        Err(Failure::Usage(text)) => {
            say(&format!("{text}\nTry '{program} --help' for more information."));
            ExitCode::FAILURE
        }
    }
}

/// A line that names those of `known` words that a mistyped one is like; empty if there are none.
pub fn did_you_mean<'a>(known: impl Iterator<Item = &'a str>, word: &str) -> String {
    let near = firn_eval::error::best_matches(known.map(str::as_bytes), word.as_bytes());
    match &near[..] {
        [] => String::new(),
        [one] => format!("\n       Did you mean {one}?"),
        [first @ .., last] => {
            format!("\n       Did you mean one of {} or {last}?", first.join(", "))
        }
    }
}

/// A logger that writes messages up to `verbosity` to standard error, with colours on a terminal.
pub fn stderr_logger(verbosity: Level) -> Logger {
    struct Stderr {
        verbosity: Level,
        colours: bool,
    }
    impl EventSink for Stderr {
        fn event(&self, event: Event) {
            let Event::Message { level, text } = event else { return };
            if level > self.verbosity {
                return;
            }
            let (word, colour) = match level {
                Level::Error => ("error:", "\x1b[31;1m"),
                Level::Warn => ("warning:", "\x1b[35;1m"),
                _ => ("", ""),
            };
            let line = match (word, self.colours) {
                ("", _) => format!("{text}\n"),
                (word, true) => format!("{colour}{word}\x1b[0m {text}\n"),
                (word, false) => format!("{word} {text}\n"),
            };
            // one write, so that lines of several threads do not mix; nobody can be told of failure
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
    let colours = rustix::termios::isatty(std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none()
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
    Logger::new(Arc::new(Stderr { verbosity, colours }))
}

/// Turns `-abc` into `-a -b -c` and `-j3` into `-j 3`.
fn split_short(arg: String, rest: &mut VecDeque<String>) -> String {
    let bytes = arg.as_bytes();
    if bytes.len() <= 2 || bytes[0] != b'-' || !bytes[1].is_ascii_alphabetic() {
        return arg;
    }
    let mut parts = Vec::new();
    for (at, c) in arg.char_indices().skip(2) {
        if c.is_ascii_alphabetic() {
            parts.push(format!("-{c}"));
        } else {
            parts.push(arg[at..].to_owned());
            break;
        }
    }
    for part in parts.into_iter().rev() {
        rest.push_front(part);
    }
    arg[..2].to_owned()
}

const LEVELS: [Level; 8] = [
    Level::Error,
    Level::Warn,
    Level::Notice,
    Level::Info,
    Level::Talkative,
    Level::Chatty,
    Level::Debug,
    Level::Vomit,
];

fn louder(level: Level) -> Level {
    LEVELS[(level as usize + 1).min(LEVELS.len() - 1)]
}

fn quieter(level: Level) -> Level {
    LEVELS[(level as usize).saturating_sub(1)]
}

/// The full path of `path`, without `.`, `..` and double slashes.
pub fn absolute(path: impl AsRef<Path>) -> Outcome<PathBuf> {
    let path = std::path::absolute(path.as_ref())
        .map_err(|e| Failure::Message(format!("cannot get the current directory: {e}")))?;
    Ok(canonical(path.as_os_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Outcome<(Common, Vec<String>)> {
        let mut own = Vec::new();
        let args = args.iter().map(OsString::from).collect();
        let common = Common::parse("nix-test", args, |_, arg, _| {
            own.push(arg.to_owned());
            Ok(if arg == "--unknown" || arg == "extra" { Taken::No } else { Taken::Yes })
        })?;
        Ok((common, own))
    }

    #[test]
    fn short_flags_can_be_joined() {
        let (common, own) = parse(&["-qvR", "-j3", "-x"]).unwrap();
        assert_eq!(own, ["-q", "-R", "-x"]);
        assert_eq!(common.settings.number("max-jobs"), 3);
        assert_eq!(common.verbosity, Level::Talkative);
    }

    #[test]
    fn settings_are_flags() {
        let (common, own) =
            parse(&["--keep-outputs", "--no-keep-derivations", "--cores", "7", "--", "--cores"])
                .unwrap();
        assert!(common.settings.bool("keep-outputs"));
        assert!(!common.settings.bool("keep-derivations"));
        assert_eq!(common.settings.number("cores"), 7);
        assert_eq!(own, ["--cores"]);
    }

    #[test]
    fn mistakes_are_told() {
        let message = |args: &[&str]| match parse(args) {
            Err(Failure::Usage(text)) => text,
            _ => panic!("no usage error"),
        };
        assert_eq!(message(&["--unknown"]), "unrecognised flag '--unknown'");
        assert_eq!(message(&["extra"]), "unexpected argument 'extra'");
        assert_eq!(message(&["-j"]), "flag '-j' requires 1 argument(s), but only 0 were given");
        assert_eq!(
            message(&["--option", "x"]),
            "flag '--option' requires 2 argument(s), but only 1 were given"
        );
    }
}
