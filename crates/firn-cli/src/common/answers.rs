//! The evaluation cache: what is asked, and what of an answer must still be in the store.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use firn_eval::Vm;
use firn_eval::io::EvalIo;
use firn_eval_cache::{EvalCache, Record, RecordingIo};
use firn_event::{Level, Logger};
use firn_model::{StoreDir, StorePath};
use firn_store::Settings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::build::Workbench;
use super::eval::{AutoArg, Session, current_dir};
use super::legacy::Outcome;
use super::store::AnyStore;

/// Settings that evaluation does not depend on but may differ from call to call.
const IRRELEVANT: [&str; 4] = ["cores", "max-jobs", "show-trace", "bash-prompt"];

/// The cache, unless settings or the environment are against it.
pub fn cache(session: &Session) -> Option<EvalCache> {
    let measured = session.environment.nonempty("NIX_SHOW_STATS").is_some()
        || session.environment.nonempty("NIX_COUNT_CALLS").is_some()
        || session.settings.bool("trace-function-calls")
        || !matches!(session.settings.text("eval-profiler"), "" | "disabled");
    if measured || !session.settings.bool("eval-cache") {
        return None;
    }
    let dir = session.environment.cache_dir().ok()?;
    // whoever has no home directory, as builders have none, gets none by this
    if session.environment.home().is_ok_and(|home| dir.starts_with(&home) && !home.exists()) {
        return None;
    }
    Some(EvalCache::new(dir.join("firn-eval-v1")))
}

/// All that is known before evaluation begins; `asked` is what the command line said.
pub fn question(
    session: &Session,
    all: &Settings,
    store: &AnyStore,
    settings: &firn_eval::Settings,
    asked: &str,
) -> String {
    let mut text = format!("{}\n{asked}\n", program());
    let relevant: Vec<(&str, &str)> = all
        .iter()
        .map(|(setting, value)| (setting.name, value))
        .filter(|(name, _)| !IRRELEVANT.contains(name))
        .collect();
    // a string takes everything
    let _ = write!(
        text,
        "{relevant:?}\n{:?}\n{:?}\n{:?}\n{} {} {} {:?} {:?}\n{:?} {:?}",
        settings.search_path,
        settings.features,
        settings.lints,
        settings.pure,
        settings.read_only,
        settings.abort_on_warn,
        settings.system,
        store.layout(),
        current_dir(),
        session.registries(),
    );
    text
}

/// What the older commands evaluate: it is answered as the last time if all that was read then is the same.
pub struct Asked<'a> {
    /// What the command line said, but for what is in the session.
    pub about: String,
    /// Whether the answer may be kept.
    pub kept: bool,
    /// Variables that evaluation finds with other values than the environment has, which `about` tells.
    pub variables: &'a [&'a str],
}

impl Asked<'_> {
    /// The answer, which `work` finds in the world `io` if nobody knows it.
    pub fn answer<T, E>(
        &self,
        session: &Session,
        bench: &Workbench,
        io: Arc<dyn EvalIo>,
        work: impl FnOnce(&mut Vm) -> Result<T, E> + Send,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned + Send,
        E: From<String> + From<firn_eval::Error> + Send,
    {
        let settings = session.eval_settings(false);
        // the present time may be asked for where nobody looks for it
        let repeatable = |arg: &AutoArg| match arg {
            AutoArg::Expr(text) => !text.contains("currentTime"),
            AutoArg::Text(_) => true,
            AutoArg::File(_) => false,
        };
        let kept = self.kept
            && !session.args.repair
            && session.args.auto_args.iter().all(|(_, arg)| repeatable(arg));
        let Some(cache) = cache(session).filter(|_| kept) else {
            return session.evaluator(io, settings).complete(work);
        };
        let asked =
            format!("{}\n{:?}\n{:?}", self.about, session.args.auto_args, session.args.base());
        let question = question(session, &session.settings, &bench.store, &settings, &asked);
        let known = known(&cache, &bench.store, bench.logger(), &question);
        if let Some(answer) = known.map_err(|failure| E::from(failure.text()))? {
            return Ok(answer);
        }
        let warn_dirty = session.settings.bool("warn-dirty");
        let recorder = RecordingIo::new(io, settings.pure, warn_dirty).without(self.variables);
        let recorder = Arc::new(recorder);
        let answer = session.evaluator(recorder.clone(), settings).complete(work)?;
        match recorder.finish() {
            Ok(record) => keep(&cache, &bench.store, &question, &answer, record),
            Err(why) => bench
                .logger()
                .message(Level::Debug, format!("not keeping the evaluation's result: {why}")),
        }
        Ok(answer)
    }
}

/// The answer of an earlier time, if it still holds and all of its store paths are there.
pub fn known<T: DeserializeOwned>(
    cache: &EvalCache,
    store: &AnyStore,
    logger: &Logger,
    question: &str,
) -> Outcome<Option<T>> {
    let Some(hit) = cache.get(question) else { return Ok(None) };
    for text in &hit.paths {
        let Ok(path) = store.store_dir().parse(text) else { return Ok(None) };
        store.add_temp_root(&path)?;
        if !store.is_valid(&path)? {
            return Ok(None);
        }
    }
    let Ok(answer) = serde_json::from_value(hit.answer) else { return Ok(None) };
    for message in hit.messages {
        if message.warning {
            logger.warn(message.text);
        } else {
            // nobody can be told of failure
            let _ = writeln!(std::io::stderr(), "{}", message.text);
        }
    }
    Ok(Some(answer))
}

/// Keeps an answer together with those store paths in it that are valid now.
pub fn keep<T: Serialize>(
    cache: &EvalCache,
    store: &AnyStore,
    question: &str,
    answer: &T,
    record: Record,
) {
    let Ok(answer) = serde_json::to_value(answer) else { return };
    let dir = store.store_dir();
    let paths = mentioned(&answer.to_string(), dir)
        .into_iter()
        .filter(|path| store.is_valid(path).unwrap_or(false))
        .map(|path| dir.print(&path))
        .collect();
    cache.put(question, answer, record, paths);
}

/// Store paths in a text.
fn mentioned(text: &str, dir: &StoreDir) -> BTreeSet<StorePath> {
    let prefix = format!("{}/", dir.as_str());
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    text.match_indices(&prefix)
        .filter_map(|(at, _)| {
            let rest = &text[at + prefix.len()..];
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            StorePath::from_base_name(&rest[..end]).ok()
        })
        .collect()
}

/// What tells this program from another version of it.
pub fn program() -> String {
    let file = std::fs::metadata("/proc/self/exe")
        .map(|meta| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
    format!("firn {} {:?}", env!("CARGO_PKG_VERSION"), file.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_paths_are_found_in_texts() {
        let text = r#"["/nix/store/00000000000000000000000000000000-a.drv^out", "/nix/store/x /nix/store/11111111111111111111111111111111-b/c"]"#;
        let found: Vec<String> =
            mentioned(text, &StoreDir::default()).iter().map(|p| p.name().to_owned()).collect();
        assert_eq!(found, ["a.drv", "b"]);
    }
}
