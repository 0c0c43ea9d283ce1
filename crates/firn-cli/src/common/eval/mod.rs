//! What commands that evaluate share: their options, settings, the search path, and the evaluator on the
//! user's store.

mod args;
mod file;
mod stats;
mod world;
mod writer;

pub use args::{AutoArg, EvalArgs};
pub use file::named_file;
pub use world::StoreIo;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_eval::error::render;
use firn_eval::io::EvalIo;
use firn_eval::value::{Set, SetBuilder};
use firn_eval::{Error, Evaluator, Kind, Vm};
use firn_store::layout::{Environment, StoreLayout};
use firn_store::settings::{Settings, parse_nix_path};
use firn_syntax::{Diagnose, Lints, Origin, Symbol};

/// Everything needed to evaluate: settings, and the store when it is opened.
pub struct Session {
    /// The settings, with those of the command line.
    pub settings: Settings,
    /// The environment.
    pub environment: Environment,
    /// What the command line said.
    pub args: EvalArgs,
}

impl Session {
    /// Loads the settings and adds the command line's.
    pub fn new(args: EvalArgs) -> Result<Session, String> {
        let environment = Environment::current();
        let (mut settings, warnings) = Settings::load(&environment).map_err(|e| e.to_string())?;
        for (name, value) in &args.settings {
            let known = settings.set(name, value).map_err(|e| e.to_string())?;
            if !known {
                warn(&format!("unknown setting '{name}'"));
            }
        }
        for warning in warnings {
            warn(&warning);
        }
        firn_store::fs::use_case_hack(settings.bool("use-case-hack"));
        Ok(Session { settings, environment, args })
    }

    /// A session with settings that are complete.
    pub fn with(settings: Settings, environment: Environment, args: EvalArgs) -> Session {
        Session { settings, environment, args }
    }

    /// The search path: `-I` options, then `NIX_PATH`, then the user's channels.
    pub fn search_path(&self) -> Vec<(String, String)> {
        let mut path: Vec<(String, String)> =
            self.args.include.iter().map(|e| split_entry(e)).collect();
        if self.settings.bool("pure-eval") {
            return path;
        }
        let configured = self.settings.words("nix-path");
        let from_environment = self.environment.string("NIX_PATH");
        match &from_environment {
            // the setting separates its words by white space, which the variable may have in names
            Some(text) if text.contains(char::is_whitespace) => {
                path.extend(parse_nix_path(text).iter().map(|e| split_entry(e)));
            }
            None if configured.is_empty() => path.extend(self.default_search_path()),
            _ => path.extend(configured.iter().map(|e| split_entry(e))),
        }
        path
    }

    fn default_search_path(&self) -> Vec<(String, String)> {
        let mut path = Vec::new();
        let mut add = |prefix: &str, location: PathBuf| {
            if location.exists() {
                path.push((prefix.to_owned(), location.to_string_lossy().into_owned()));
            }
        };
        if let Ok(home) = self.environment.home() {
            add("", home.join(".nix-defexpr/channels"));
        }
        let channels = StoreLayout::from_environment(&self.environment)
            .map(|layout| layout.profiles_dir().join("per-user/root/channels"));
        if let Ok(channels) = channels {
            add("nixpkgs", channels.join("nixpkgs"));
            add("", channels);
        }
        if !path.iter().any(|(prefix, _)| prefix == "nixpkgs")
            && let Some(own) = super::distribution::find()
        {
            path.push(("nixpkgs".into(), own.to_string_lossy().into_owned()));
        }
        // the machine's own configuration, as NixOS has it in NIX_PATH
        let configuration = Path::new("/etc/nixos/configuration.nix");
        if configuration.exists() {
            path.push(("nixos-config".into(), configuration.to_string_lossy().into_owned()));
        }
        path
    }

    /// The evaluator's settings.
    pub fn eval_settings(&self, read_only: bool) -> firn_eval::Settings {
        let s = &self.settings;
        let system = match s.text("eval-system") {
            "" => s.system(),
            other => other,
        };
        firn_eval::Settings {
            restrict: s.bool("restrict-eval"),
            pure: s.bool("pure-eval"),
            allow_import_from_derivation: s.bool("allow-import-from-derivation"),
            max_call_depth: u32::try_from(s.number("max-call-depth")).unwrap_or(u32::MAX),
            system: system.to_owned(),
            show_trace: self.args.show_trace || s.bool("show-trace"),
            trace_verbose: s.bool("trace-verbose"),
            abort_on_warn: s.bool("abort-on-warn")
                || matches!(
                    self.environment.string("NIX_ABORT_ON_WARN").as_deref(),
                    Some("1" | "yes" | "true")
                ),
            read_only,
            search_path: self.search_path(),
            features: self.features(),
            allowed_uris: s.words("allowed-uris"),
            native_code: s.bool("allow-unsafe-native-code-during-evaluation"),
            watching: None,
            debugging: None,
            lints: self.lints(),
            exact_laziness: false,
            flakes: Some(super::flakes::loader(self.registries())),
            memory_limit: memory_limit(s.number("eval-memory-limit")),
            eval_cores: usize::try_from(s.number("eval-cores")).unwrap_or(0),
        }
    }

    /// The enabled experimental features; flakes bring `fetchTree` with them.
    fn features(&self) -> Vec<String> {
        let mut features = self.settings.words("experimental-features");
        if features.iter().any(|f| f == "flakes") {
            features.push("fetch-tree".into());
        }
        features
    }

    fn lints(&self) -> Lints {
        let level = |name: &str| self.settings.text(name).parse().unwrap_or_default();
        let mut short_paths = level("lint-short-path-literals");
        let said = self.settings.overridden().any(|(name, _)| name == "lint-short-path-literals");
        let older = self.settings.bool("warn-short-path-literals");
        if short_paths == Diagnose::Ignore && older && !said {
            short_paths = Diagnose::Warn;
        }
        Lints {
            url_literals: level("lint-url-literals"),
            absolute_paths: level("lint-absolute-path-literals"),
            short_paths,
        }
    }

    /// Where flake registries are.
    pub fn registries(&self) -> firn_flake::Registries {
        super::flakes::registries(&self.settings, &self.environment)
    }

    /// An evaluator on a world.
    pub fn evaluator(&self, io: Arc<dyn EvalIo>, settings: firn_eval::Settings) -> Evaluator {
        let mut settings = settings;
        let report = stats::Report::new(&self.settings, &self.environment);
        settings.watching = report.watching();
        Evaluator::new(io, settings).with_observer(Box::new(move |vm| report.write(vm)))
    }

    /// The set of the `--arg` and `--argstr` options.
    pub fn auto_args(&self, vm: &mut Vm) -> Result<Set, Error> {
        let mut set = SetBuilder::default();
        let cwd = self.args.base();
        for (name, arg) in self.args.auto_args.iter().rev() {
            let value = match arg {
                AutoArg::Expr(text) => vm.eval_text(Origin::String, text.as_bytes(), &cwd)?,
                AutoArg::Text(text) => vm.string(text),
                AutoArg::File(path) => match std::fs::read(path) {
                    Ok(text) => vm.string(text),
                    Err(e) => {
                        return Err(firn_eval::io::tree::file_error("opening file", path, &e));
                    }
                },
            };
            set.push(Symbol::intern(name.as_bytes()), value);
        }
        Ok(set.finish(&mut vm.heap))
    }

    /// Folders whose files are not the user's own: those of the search path and the store, but for what the
    /// present folder is in.
    fn libraries(&self) -> Vec<PathBuf> {
        let cwd = current_dir();
        let mut libraries: Vec<PathBuf> = self
            .search_path()
            .iter()
            .filter(|(prefix, _)| prefix != "nixos-config")
            .filter_map(|(_, location)| std::fs::canonicalize(cwd.join(location)).ok())
            .collect();
        if let Ok(layout) = StoreLayout::from_environment(&self.environment) {
            libraries.push(layout.store_dir.as_str().into());
        }
        libraries.retain(|library| !cwd.starts_with(library));
        libraries
    }

    /// How errors are shown.
    pub fn render_options(&self) -> render::Options {
        render::Options {
            show_trace: self.args.show_trace || self.settings.bool("show-trace"),
            colors: std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none(),
            libraries: self.libraries(),
        }
    }

    /// Shows an evaluation's error.
    #[expect(clippy::print_stderr, reason = "the command's output")]
    pub fn report(&self, error: &Error) {
        eprintln!("{}", render::render(error, &self.render_options()));
        if error.kind() == Kind::Usage {
            let program = std::env::args().next().unwrap_or_default();
            let program = program.rsplit('/').next().unwrap_or_default().to_owned();
            eprintln!("Try '{program} --help' for more information.");
        }
    }
}

/// The setting `eval-memory-limit` in bytes. It is in MiB, and 0 means what the machine, or the control group
/// that this process is in, has.
fn memory_limit<T: TryInto<usize>>(mebibytes: T) -> usize {
    match mebibytes.try_into().unwrap_or(usize::MAX) {
        0 => {}
        n => return n.saturating_mul(1 << 20),
    }
    let number = |text: String| text.trim().parse::<usize>().ok();
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(number);
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        // all of it would leave nothing for files, and the machine would stand still before the limit is met
        Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * (1024 / 8) * 7)
    });
    match (group, machine) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b).unwrap_or(0),
    }
}

/// The present folder.
pub fn current_dir() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn warn(text: &str) {
    eprintln!("warning: {text}");
}

fn split_entry(entry: &str) -> (String, String) {
    match entry.split_once('=') {
        Some((prefix, location)) => (prefix.into(), location.into()),
        None => (String::new(), entry.into()),
    }
}
