//! The evaluation cache for `nix` commands: what is asked, and what of an answer must still be in the store.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use firn_build::DerivedPath;
use firn_eval::io::EvalIo;
use firn_eval::value::Set;
use firn_eval::{Settings, Vm};
use firn_eval_cache::{EvalCache, Record, RecordingIo};
use firn_model::{StoreDir, StorePath};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{Call, Stop};
use super::flags::{EVALUATION, INSTALLABLES, LOCKING};
use crate::common::eval::{Session, current_dir};
use crate::common::legacy::{Failure, Outcome, fail};
use crate::common::store::AnyStore;

/// Flags whose values come from elsewhere, or that ask for fresh answers.
const UNCACHED: [&str; 6] =
    ["debugger", "refresh", "repair", "arg-from-file", "arg-from-stdin", "inputs-from"];

/// Settings that evaluation does not depend on but may differ from call to call.
const IRRELEVANT: [&str; 4] = ["cores", "max-jobs", "show-trace", "bash-prompt"];

impl Call<'_> {
    /// As [`Call::evaluate`], but if the same `question` was asked before and all that was read then is still the
    /// same, the answer is that of then. The question must say all that the answer depends on and that is not in
    /// flags about evaluation, settings or files.
    pub fn evaluate_cached<T: Serialize + DeserializeOwned + Send>(
        &mut self,
        session: &Session,
        read_only: bool,
        question: &str,
        work: impl FnOnce(&mut Vm, Set) -> Result<T, Stop> + Send,
    ) -> Outcome<T> {
        let settings = self.eval_settings(session, read_only)?;
        let store = self.store()?;
        let Some(cache) = self.eval_cache(session) else {
            return self.evaluate(session, read_only, work);
        };
        let question = self.question(session, &store, &settings, question);
        if let Some(answer) = self.known(&cache, &question)? {
            return Ok(answer);
        }
        let warn_dirty = session.settings.bool("warn-dirty");
        let inner: Arc<dyn EvalIo> = Arc::new(self.bench()?.io());
        let recorder = Arc::new(RecordingIo::new(inner, settings.pure, warn_dirty));
        let answer = self.evaluate_in(session, settings, recorder.clone(), work)?;
        match recorder.finish() {
            // an expression on the command line is read by nobody
            Ok(_) if self.given.value("expr").is_some_and(|e| e.contains("currentTime")) => {}
            // what the flake's settings change is not part of the answer
            Ok(_) if self.took_settings => {}
            Ok(record) => keep(&cache, &store, &question, &answer, record),
            Err(why) => {
                self.say(
                    firn_event::Level::Debug,
                    format!("not keeping the evaluation's result: {why}"),
                );
            }
        }
        Ok(answer)
    }

    /// An answer that depends on nothing but its question and the store paths that are in it.
    pub fn remembered<T: Serialize + DeserializeOwned>(
        &mut self,
        session: &Session,
        question: &str,
        work: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<T> {
        let Some(cache) = self.eval_cache(session) else { return work(self) };
        let store = self.store()?;
        let question = format!("{}\n{:?}\n{question}", program(), store.layout());
        if let Some(answer) = self.known(&cache, &question)? {
            return Ok(answer);
        }
        let answer = work(self)?;
        keep(&cache, &store, &question, &answer, Record::default());
        Ok(answer)
    }

    /// The cache, unless settings or flags are against it.
    fn eval_cache(&self, session: &Session) -> Option<EvalCache> {
        let measured = session.environment.nonempty("NIX_SHOW_STATS").is_some()
            || session.environment.nonempty("NIX_COUNT_CALLS").is_some()
            || session.settings.bool("trace-function-calls")
            || !matches!(session.settings.text("eval-profiler"), "" | "disabled");
        let refused = !session.settings.bool("eval-cache")
            || measured
            || UNCACHED.iter().any(|flag| self.given.has(flag))
            || self.given.value("file") == Some("-");
        if refused {
            return None;
        }
        let dir = session.environment.cache_dir().ok()?;
        Some(EvalCache::new(dir.join("firn-eval-v1")))
    }

    /// All that is known before evaluation begins.
    fn question(
        &self,
        session: &Session,
        store: &AnyStore,
        settings: &Settings,
        question: &str,
    ) -> String {
        let mut text = format!("{}\n{question}\n", program());
        let flags = self.given.among(&[INSTALLABLES, EVALUATION, LOCKING]);
        let relevant: Vec<(&str, &str)> = self
            .common
            .settings
            .iter()
            .map(|(setting, value)| (setting.name, value))
            .filter(|(name, _)| !IRRELEVANT.contains(name))
            .collect();
        // a string takes everything
        let _ = write!(
            text,
            "{flags:?}\n{relevant:?}\n{:?}\n{:?}\n{:?}\n{} {} {} {:?} {:?}\n{:?} {:?} {:?}",
            settings.search_path,
            settings.features,
            settings.lints,
            settings.pure,
            settings.read_only,
            settings.abort_on_warn,
            settings.system,
            store.layout(),
            self.given.base(),
            current_dir(),
            session.registries(),
        );
        text
    }

    /// The answer of an earlier time, if it still holds and all of its store paths are there.
    fn known<T: DeserializeOwned>(
        &mut self,
        cache: &EvalCache,
        question: &str,
    ) -> Outcome<Option<T>> {
        let Some(hit) = cache.get(question) else { return Ok(None) };
        let store = self.store()?;
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
                self.common.logger().warn(message.text);
            } else {
                // nobody can be told of failure
                let _ = writeln!(std::io::stderr(), "{}", message.text);
            }
        }
        Ok(Some(answer))
    }
}

/// Keeps an answer together with those store paths in it that are valid now.
fn keep<T: Serialize>(
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
fn program() -> String {
    let file = std::fs::metadata("/proc/self/exe")
        .map(|meta| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
    format!("firn {} {:?}", env!("CARGO_PKG_VERSION"), file.ok())
}

/// A derived path as a text, like `/nix/store/….drv^out`.
pub fn print_derived(dir: &StoreDir, path: &DerivedPath) -> String {
    path.print(dir)
}

/// The derived path that [`print_derived`] made a text of.
pub fn parse_derived(dir: &StoreDir, text: &str) -> Outcome<DerivedPath> {
    let path = DerivedPath::parse(text, dir).map_err(|e| Failure::Message(e.to_string()))?;
    match &path {
        DerivedPath::Built { drv, .. } | DerivedPath::Dynamic { drv, .. }
            if !drv.is_derivation() =>
        {
            fail(format!("'{}' is not a derivation and has no outputs", dir.print(drv)))
        }
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_paths_are_texts() {
        let dir = StoreDir::default();
        for text in [
            "/nix/store/00000000000000000000000000000000-a",
            "/nix/store/00000000000000000000000000000000-a.drv^*",
            "/nix/store/00000000000000000000000000000000-a.drv^dev,out",
            "/nix/store/00000000000000000000000000000000-a.drv^out^dev,out",
        ] {
            assert_eq!(print_derived(&dir, &parse_derived(&dir, text).unwrap()), text);
        }
        assert!(parse_derived(&dir, "/nix/store/x").is_err());
    }

    #[test]
    fn store_paths_are_found_in_texts() {
        let text = r#"["/nix/store/00000000000000000000000000000000-a.drv^out", "/nix/store/x /nix/store/11111111111111111111111111111111-b/c"]"#;
        let found: Vec<String> =
            mentioned(text, &StoreDir::default()).iter().map(|p| p.name().to_owned()).collect();
        assert_eq!(found, ["a.drv", "b"]);
    }
}
