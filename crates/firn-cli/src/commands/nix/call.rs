//! What a `nix` command gets: settings, flags, arguments, and from them the store and an evaluator.

use std::io::Write;
use std::sync::Arc;

use firn_daemon::ClientOptions;
use firn_eval::error::render;
use firn_eval::io::EvalIo;
use firn_eval::value::Set;
use firn_eval::{Error, Kind, Vm};
use firn_event::Level;
use firn_ui::LogFormat;

use super::flags::Given;
use super::flake_settings::Wanted;
use super::flakes::Targets;
use crate::common::build::Workbench;
use crate::common::eval::{AutoArg, EvalArgs, Session};
use crate::common::legacy::{Common, Failure, Outcome, fail, stderr_logger, usage};
use crate::common::store::AnyStore;

/// One run of a command.
pub struct Call<'a> {
    /// Settings, verbosity, `--store`.
    pub common: Common,
    /// The command's own flags and its arguments.
    pub given: Given,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Which outputs of flakes are meant if nobody says.
    pub targets: Targets,
    /// Settings that flakes want and that are allowed.
    pub wanted: Wanted,
    /// Whether there were such settings.
    pub took_settings: bool,
    store: Option<AnyStore>,
    /// The store of evaluation, if it is another.
    eval_store: Option<AnyStore>,
}

impl<'a> Call<'a> {
    /// A run of a command.
    pub fn new(mut common: Common, given: Given, out: &'a mut dyn Write) -> Outcome<Self> {
        let logs = given.has("print-build-logs") && !given.has("no-print-build-logs");
        common.build_output = logs;
        if common.log_format.is_none() {
            let format = if logs { LogFormat::BarWithLogs } else { LogFormat::Bar };
            common.log_format = Some(format);
        }
        if given.has("offline") || given.has("no-net") {
            if !common.settings.overridden().any(|(name, _)| name == "substitute") {
                common.settings.set("substitute", "false")?;
            }
            common.settings.set("tarball-ttl", "4294967295")?;
        } else if given.has("refresh") {
            for name in [
                "tarball-ttl",
                "narinfo-cache-negative-ttl",
                "narinfo-cache-positive-ttl",
                "narinfo-cache-meta-ttl",
            ] {
                common.settings.set(name, "0")?;
            }
        }
        Ok(Self {
            common,
            given,
            out,
            targets: Targets::Packages,
            wanted: Wanted::default(),
            took_settings: false,
            store: None,
            eval_store: None,
        })
    }

    /// The store that flags, settings and environment select.
    pub fn store(&mut self) -> Outcome<AnyStore> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let store = self.common.open_store()?;
        self.store = Some(store.clone());
        Ok(store)
    }

    /// Takes this store for the one to ask.
    pub fn use_store(&mut self, store: AnyStore) {
        self.store = Some(store);
    }

    /// Tells something on standard error, if the verbosity lets it through.
    pub fn say(&self, level: Level, text: String) {
        stderr_logger(self.common.verbosity).message(level, text);
    }

    /// The store with what builds need.
    pub fn bench(&mut self) -> Outcome<Workbench> {
        let store = self.store()?;
        let options = self.common.build_options();
        let eval_store = match (&self.eval_store, self.given.value("eval-store")) {
            (Some(store), _) => Some(store.clone()),
            (None, Some(uri)) => Some(self.common.open_eval_store(uri)?),
            (None, None) => None,
        };
        self.eval_store.clone_from(&eval_store);
        let bench = Workbench::with(store, options, self.common.display(), &self.common.settings);
        Ok(bench.with_eval_store(eval_store))
    }

    /// Fails unless an experimental feature is on.
    pub fn need_feature(&self, name: &'static str) -> Outcome {
        if self.common.settings.has_feature(name) {
            return Ok(());
        }
        fail(firn_store::Error::FeatureOff(name).to_string())
    }

    /// The session for evaluation.
    pub fn session(&self) -> Outcome<Session> {
        let mut args = EvalArgs {
            impure: self.given.has("impure"),
            base: self.given.base.clone(),
            ..EvalArgs::default()
        };
        for (flag, make) in [
            ("arg", AutoArg::Expr as fn(String) -> AutoArg),
            ("argstr", AutoArg::Text),
            ("arg-from-file", |path| AutoArg::File(path.into())),
        ] {
            for values in self.given.all(flag) {
                if let [name, value] = values {
                    args.auto_args.push((name.clone(), make(value.clone())));
                }
            }
        }
        if let Some(name) = self.given.value("arg-from-stdin") {
            let text = std::io::read_to_string(std::io::stdin())
                .map_err(|e| Failure::Message(format!("reading standard input: {e}")))?;
            args.auto_args.push((name.to_owned(), AutoArg::Text(text)));
        }
        args.include = self.given.all("include").flatten().cloned().collect();
        Ok(Session::with(self.common.settings.clone(), self.common.env.clone(), args))
    }

    /// The evaluator's settings for this call.
    pub fn eval_settings(
        &self,
        session: &Session,
        read_only: bool,
    ) -> Outcome<firn_eval::Settings> {
        let mut settings = session.eval_settings(read_only);
        // What is in a file may read other files; expressions and flakes are pure.
        let from_file = self.given.value("file").is_some();
        if from_file
            && settings.pure
            && self.common.settings.overridden().any(|(n, _)| n == "pure-eval")
        {
            return usage("'--file' is not compatible with '--pure-eval'");
        }
        let pure = !from_file && !self.given.has("impure");
        settings.pure = settings.pure || pure;
        // no experiments here
        for feature in ["nix-command", "flakes", "fetch-tree"] {
            if !settings.has_feature(feature) {
                settings.features.push(feature.to_owned());
            }
        }
        Ok(settings)
    }

    /// Evaluates on the store.
    pub fn evaluate<T: Send>(
        &mut self,
        session: &Session,
        read_only: bool,
        work: impl FnOnce(&mut Vm, Set) -> Result<T, Stop> + Send,
    ) -> Outcome<T> {
        let mut settings = self.eval_settings(session, read_only)?;
        settings.debugging = super::repl::debugging(self, session)?;
        if settings.debugging.is_some() {
            // Whoever looks at steps wants them one after the other.
            settings.eval_cores = 1;
        }
        self.evaluate_with(session, settings, work)
    }

    /// As [`Call::evaluate`], with settings that are complete.
    pub fn evaluate_with<T: Send>(
        &mut self,
        session: &Session,
        settings: firn_eval::Settings,
        work: impl FnOnce(&mut Vm, Set) -> Result<T, Stop> + Send,
    ) -> Outcome<T> {
        let io: Arc<dyn EvalIo> = Arc::new(self.bench()?.io());
        self.evaluate_in(session, settings, io, work)
    }

    /// Evaluates in this world.
    pub fn evaluate_in<T: Send>(
        &mut self,
        session: &Session,
        settings: firn_eval::Settings,
        io: Arc<dyn EvalIo>,
        work: impl FnOnce(&mut Vm, Set) -> Result<T, Stop> + Send,
    ) -> Outcome<T> {
        let evaluator = session.evaluator(io, settings);
        let result = evaluator.complete(|vm| {
            let args = session.auto_args(vm)?;
            work(vm, args)
        });
        // The process ends soon: nobody needs the evaluator's tables taken apart.
        std::mem::forget(evaluator);
        for (name, value) in self.wanted.allowed() {
            self.common.settings.set(&name, &value)?;
            self.took_settings = true;
        }
        if self.took_settings {
            self.common.forget_substituters();
            // a daemon that was told other settings before builds by these
            if let Some(store) = self.store.as_ref().and_then(AnyStore::managed) {
                let (settings, verbosity) = (&self.common.settings, self.common.verbosity);
                store
                    .set_options(&ClientOptions::from_settings(settings, verbosity, true), true)?;
            }
        }
        result.map_err(|stop| match stop {
            Stop::Eval(error) if error.kind() == Kind::Quit => Failure::Exit(0),
            Stop::Eval(error) => {
                let text = render::render(&error, &session.render_options());
                // what was fetched is not what was promised: the status that builds have for that
                if error.message().starts_with("NAR hash mismatch") {
                    let _ = writeln!(std::io::stderr(), "{text}");
                    return Failure::Exit(102);
                }
                Failure::Shown(text)
            }
            Stop::Other(failure) => failure,
        })
    }

    /// The command's only argument.
    pub fn one_argument(&self, what: &str) -> Outcome<&str> {
        match &self.given.args[..] {
            [one] => Ok(one),
            [] => usage(format!("required argument '{what}' is missing")),
            [_, extra, ..] => usage(format!("unexpected argument '{extra}'")),
        }
    }

    /// Fails if there are arguments.
    pub fn no_arguments(&self) -> Outcome {
        match self.given.args.first() {
            None => Ok(()),
            Some(extra) => usage(format!("unexpected argument '{extra}'")),
        }
    }

    /// Fails if there is more than one argument.
    pub fn one_or_no_argument(&self) -> Outcome {
        match self.given.args.get(1) {
            None => Ok(()),
            Some(extra) => usage(format!("unexpected argument '{extra}'")),
        }
    }

    /// Writes JSON, on lines of its own when a person reads it.
    pub fn print_json(&mut self, value: &serde_json::Value) -> Outcome {
        let pretty = !self.given.has("no-pretty")
            && (self.given.has("pretty") || rustix::termios::isatty(std::io::stdout()));
        let text =
            if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        let text = text.map_err(|e| Failure::Message(format!("writing JSON: {e}")))?;
        Ok(writeln!(self.out, "{text}")?)
    }
}

/// Why evaluation ended early.
pub enum Stop {
    /// The language says so.
    Eval(Error),
    /// Anything else.
    Other(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Eval(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}
