//! The evaluation cache for `nix` commands, whose questions say what their flags say.

use std::sync::Arc;

use firn_build::DerivedPath;
use firn_eval::io::EvalIo;
use firn_eval::value::Set;
use firn_eval::{Settings, Vm};
use firn_eval_cache::{EvalCache, Record, RecordingIo};
use firn_model::StoreDir;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{Call, Stop};
use super::flags::{EVALUATION, INSTALLABLES, LOCKING};
use crate::common::answers;
use crate::common::eval::Session;
use crate::common::legacy::{Failure, Outcome, fail};
use crate::common::store::AnyStore;

/// Flags whose values come from elsewhere, or that ask for fresh answers.
const UNCACHED: [&str; 6] =
    ["debugger", "refresh", "repair", "arg-from-file", "arg-from-stdin", "inputs-from"];

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
        if let Some(answer) = answers::known(&cache, &store, &self.common.logger(), &question)? {
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
            Ok(record) => answers::keep(&cache, &store, &question, &answer, record),
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
        let question = format!("{}\n{:?}\n{question}", answers::program(), store.layout());
        if let Some(answer) = answers::known(&cache, &store, &self.common.logger(), &question)? {
            return Ok(answer);
        }
        let answer = work(self)?;
        answers::keep(&cache, &store, &question, &answer, Record::default());
        Ok(answer)
    }

    /// The cache, unless settings or flags are against it.
    fn eval_cache(&self, session: &Session) -> Option<EvalCache> {
        let refused = UNCACHED.iter().any(|flag| self.given.has(flag))
            || self.given.value("file") == Some("-");
        if refused { None } else { answers::cache(session) }
    }

    /// All that is known before evaluation begins.
    fn question(
        &self,
        session: &Session,
        store: &AnyStore,
        settings: &Settings,
        question: &str,
    ) -> String {
        let flags = self.given.among(&[INSTALLABLES, EVALUATION, LOCKING]);
        let text = format!("{question}\n{flags:?}\n{:?}", self.given.base());
        answers::question(session, &self.common.settings, store, settings, &text)
    }
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
}
