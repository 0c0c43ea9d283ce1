//! What commands that build share: the store, the settings of builds, the display, and an evaluator's
//! world that can build and download.

use std::sync::Arc;
use std::sync::OnceLock;

use firn_build::{
    BuildError, BuildOptions, BuildResults, DerivedPath, Mode, OutputsSpec, Substituter,
};
use firn_eval::context::DerivedPath as EvalPath;
use firn_eval::io::Fetch;
use firn_event::{Level, Logger};
use firn_fetch::git::GitOptions;
use firn_model::StoreDir;
use firn_model::derivation::placeholder::DownstreamPlaceholder;
use firn_model::input::Input;
use firn_model::store_path::StorePath;
use firn_store::layout::Environment;
use firn_store::settings::Settings;
use firn_ui::{Display, DisplayOptions, LogFormat};

use super::caches::{Closures, Substituters};
use super::eval::{EvalArgs, Session, StoreIo};
use super::fetch::Fetching;
use super::store::{AnyStore, Opener};

/// How a command shows what it does, from its options.
pub fn display_options(args: &EvalArgs, logs: Option<bool>) -> Result<DisplayOptions, String> {
    let format = args.settings.iter().rev().find(|(name, _)| name == "log-format");
    let format = match format {
        Some((_, text)) => Some(text.parse::<LogFormat>()?),
        None => None,
    };
    let verbosity = match args.verbosity {
        i32::MIN..=-3 => Level::Error,
        -2 => Level::Warn,
        -1 => Level::Notice,
        0 => Level::Info,
        1 => Level::Talkative,
        2 => Level::Chatty,
        3 | 4 => Level::Debug,
        _ => Level::Vomit,
    };
    Ok(DisplayOptions { format, verbosity, print_build_logs: logs })
}

/// A store to build in, and everything needed for it.
pub struct Workbench {
    /// The store.
    pub store: AnyStore,
    /// The store that evaluation reads and writes, if it is another.
    pub eval_store: Option<AnyStore>,
    /// How to build.
    pub options: BuildOptions,
    /// What shows it.
    pub display: Arc<Display>,
    git: GitOptions,
    tokens: Vec<(String, String)>,
    trace_builds: bool,
    env: Environment,
    settings: Settings,
    _scratch: OnceLock<tempfile::TempDir>,
}

impl Workbench {
    /// Opens the store that the environment selects, and begins to show what happens.
    pub fn open(session: &Session, show: DisplayOptions) -> Result<Self, String> {
        let display =
            Arc::new(Display::start_with_log(show, session.settings.text("json-log-path")));
        let scratch = OnceLock::new();
        let opener = Opener {
            env: &session.environment,
            settings: &session.settings,
            logger: display.logger().clone(),
            verbosity: show.verbosity,
            scratch: &scratch,
        };
        let store = opener.open(None).map_err(super::legacy::Failure::text)?;
        let eval_store = match &session.args.eval_store {
            Some(uri) => {
                Some(opener.open_for_evaluation(uri).map_err(super::legacy::Failure::text)?)
            }
            None => None,
        };
        let mut options = BuildOptions::from_settings(&session.settings);
        options.hook = super::remote::build_hook(&session.settings, show.verbosity);
        options.executors = super::clusters::executors(&session.settings, display.logger());
        options.recursive = super::remote::recursive(&session.settings);
        options.verbose_logs = show.shows_logs();
        options.cancel = super::interrupt::flag();
        options.eval_store = eval_store.as_ref().map(AnyStore::shared);
        let substituters =
            Substituters::new(&session.environment, &session.settings, display.logger().clone());
        options.substituter = substituters.map(|s| s as Arc<dyn Substituter>);
        let git = super::fetch::git_options(&session.settings, &options.fetch);
        let tokens = super::fetch::access_tokens(&session.settings);
        let trace_builds = session.settings.bool("trace-import-from-derivation");
        let (env, settings) = (session.environment.clone(), session.settings.clone());
        Ok(Self {
            store,
            eval_store,
            options,
            display,
            git,
            tokens,
            trace_builds,
            env,
            settings,
            _scratch: scratch,
        })
    }

    /// This store, with these options, shown there.
    pub fn with(
        store: AnyStore,
        options: BuildOptions,
        display: Arc<Display>,
        settings: &Settings,
    ) -> Self {
        let git = super::fetch::git_options(settings, &options.fetch);
        let tokens = super::fetch::access_tokens(settings);
        let trace_builds = settings.bool("trace-import-from-derivation");
        let scratch = OnceLock::new();
        let (env, settings) = (Environment::current(), settings.clone());
        Self {
            store,
            eval_store: None,
            options,
            display,
            git,
            tokens,
            trace_builds,
            env,
            settings,
            _scratch: scratch,
        }
    }

    /// Evaluates on another store than it builds in.
    pub fn with_eval_store(mut self, store: Option<AnyStore>) -> Self {
        self.options.eval_store = store.as_ref().map(AnyStore::shared);
        self.eval_store = store;
        self
    }

    /// The store that evaluation reads and writes.
    pub fn for_evaluation(&self) -> &AnyStore {
        self.eval_store.as_ref().unwrap_or(&self.store)
    }

    /// Where messages go.
    pub fn logger(&self) -> &Logger {
        self.display.logger()
    }

    /// What downloads files and trees into this store.
    pub fn fetching(&self) -> Fetching {
        Fetching {
            store: self.for_evaluation().shared(),
            settings: self.options.fetch.clone(),
            logger: self.logger().clone(),
            git: self.git.clone(),
            tokens: self.tokens.clone(),
        }
    }

    /// The evaluator's world: this store, with builds and downloads while evaluating.
    pub fn io(&self) -> StoreIo {
        let (store, options) = (self.store.clone(), self.options.clone());
        let logger = self.logger().clone();
        let trace = self.trace_builds;
        let realise = move |wanted: &[(EvalPath, Box<str>)]| {
            let options = BuildOptions { mode: Mode::Normal, ..options.clone() };
            if trace {
                for (drv, output) in wanted {
                    logger.warn(format!(
                        "built '{}^{output}' during evaluation due to an import from derivation",
                        drv.print(store.store_dir())
                    ));
                }
            }
            realise(&store, &options, &logger, wanted)
        };
        let fetching = self.fetching();
        let (trees, openers) = (fetching.clone(), fetching.clone());
        let closures = Closures {
            store: self.for_evaluation().clone(),
            options: BuildOptions { mode: Mode::Normal, ..self.options.clone() },
            env: self.env.clone(),
            settings: self.settings.clone(),
            logger: self.logger().clone(),
        };
        StoreIo::new(self.for_evaluation())
            .with_realiser(Box::new(realise))
            .with_closures(closures)
            .with_fetcher(Box::new(move |what: &Fetch<'_>| fetching.file(what)))
            .with_tree_fetcher(
                Box::new(move |input: &Input| trees.tree(input)),
                Box::new(move |input: &Input| openers.open(input)),
            )
    }

    /// Tells what would be built and fetched for `wanted`.
    pub fn show_plan(&self, wanted: &[DerivedPath]) -> Result<(), BuildError> {
        let options = BuildOptions { mode: Mode::Normal, ..self.options.clone() };
        let missing = self.store.missing(wanted, &options, self.logger())?;
        for line in missing.describe(self.store.store_dir()) {
            self.logger().message(Level::Info, line);
        }
        Ok(())
    }

    /// Tells what will be built, and builds it.
    pub fn build(&self, wanted: &[DerivedPath]) -> Result<BuildResults, BuildError> {
        self.show_plan(wanted)?;
        self.store.build(wanted, &self.options, self.logger())
    }
}

/// A command that runs `program`. If the store's contents are elsewhere, it gets a view in which they are
/// in place; only a new process has the one thread that this takes.
pub fn command_in_store(store: &AnyStore, program: &str) -> std::process::Command {
    let layout = store.layout();
    if !layout.is_chroot() {
        return std::process::Command::new(program);
    }
    let mut command = std::process::Command::new("/proc/self/exe");
    command
        .args(["__sandbox-child", "--enter", layout.store_dir.as_str()])
        .arg(&layout.real_store_dir)
        .arg(program);
    command
}

/// An output as evaluation knows it.
pub fn output_of(drv: &EvalPath, output: &str) -> DerivedPath {
    let mut via = Vec::new();
    let mut at = drv;
    let drv = loop {
        match at {
            EvalPath::Opaque(drv) => break drv.clone(),
            EvalPath::Built(inner, output) => {
                via.push(output.to_string());
                at = inner;
            }
        }
    };
    via.reverse();
    DerivedPath::outputs_via(drv, via, OutputsSpec::Names([output.to_owned()].into()))
}

/// A text with paths in place of what stood for outputs until they were built.
pub fn with_paths(text: &str, results: &BuildResults, dir: &StoreDir) -> String {
    let mut text = text.to_owned();
    for (path, outputs) in &results.outputs {
        let (drv, via) = match path {
            DerivedPath::Opaque(_) => continue,
            DerivedPath::Built { drv, .. } => (drv, &[][..]),
            DerivedPath::Dynamic { drv, via, .. } => (drv, &via[..]),
        };
        for (name, path) in outputs {
            let mut names = via.iter().chain([name]);
            let first = names.next().and_then(|n| DownstreamPlaceholder::of_output(drv, n).ok());
            if let Some(first) = first {
                let placeholder = names.fold(first, |inner, name| inner.of_computed(name));
                text = text.replace(&placeholder.render(), &dir.print(path));
            }
        }
    }
    text
}

/// Builds what evaluation needs to read.
fn realise(
    store: &AnyStore,
    options: &BuildOptions,
    logger: &Logger,
    wanted: &[(EvalPath, Box<str>)],
) -> Result<Vec<StorePath>, String> {
    let mut found = Vec::new();
    for (drv, output) in wanted {
        let wanted = [output_of(drv, output)];
        let results = store.build(&wanted, options, logger).map_err(|e| e.message)?;
        let outputs = results.outputs.into_iter().next().map(|(_, outputs)| outputs);
        match outputs.and_then(|mut outputs| outputs.remove(&**output)) {
            Some(path) => found.push(path),
            None => {
                return Err(format!(
                    "derivation '{}' does not have an output '{output}'",
                    drv.print(store.store_dir())
                ));
            }
        }
    }
    Ok(found)
}
