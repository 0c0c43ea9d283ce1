//! What a session's commands need from outside: the store, builds, flakes, how errors are shown.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firn_build::{BuildOptions, BuildResults, DerivedPath, OutputsSpec};
use firn_eval::Error;
use firn_eval::error::render;
use firn_event::Logger;
use firn_model::store_path::StorePath;
use firn_ui::Display;

use super::super::call::Call;
use super::super::flakes::Locking;
use crate::common::eval::Session;
use crate::common::legacy::{Failure, Outcome};
use crate::common::store::AnyStore;

/// See the module.
pub struct World {
    /// Where derivations are.
    pub store: AnyStore,
    /// How flakes are locked.
    pub locking: Locking,
    /// Where lines that were typed are kept.
    pub history: Option<PathBuf>,
    options: BuildOptions,
    display: Arc<Display>,
    render: render::Options,
    show_trace: AtomicBool,
    /// Whether a session has begun.
    greeted: AtomicBool,
}

impl World {
    /// What a command line gives.
    pub fn new(call: &mut Call<'_>, session: &Session) -> Outcome<World> {
        let mut render = session.render_options();
        let show_trace = AtomicBool::new(std::mem::take(&mut render.show_trace));
        Ok(World {
            store: call.store()?,
            locking: call.locking(session)?,
            history: call.common.env.data_dir().ok().map(|dir| dir.join("repl-history")),
            options: call.common.build_options(),
            display: call.common.display(),
            render,
            show_trace,
            greeted: AtomicBool::new(false),
        })
    }

    /// Whether all steps of errors are shown.
    pub fn shows_traces(&self) -> bool {
        self.show_trace.load(Ordering::Relaxed)
    }

    /// Sets whether all steps of errors are shown.
    pub fn show_traces(&self, show: bool) {
        self.show_trace.store(show, Ordering::Relaxed);
    }

    /// An error's text.
    pub fn rendered(&self, error: &Error) -> String {
        let show_trace = self.shows_traces();
        render::render(error, &render::Options { show_trace, ..self.render.clone() })
    }

    /// Whether this is the first time that this is asked.
    pub fn is_first(&self) -> bool {
        !self.greeted.swap(true, Ordering::Relaxed)
    }

    fn logger(&self) -> &Logger {
        self.display.logger()
    }

    /// Builds all outputs of a derivation.
    pub fn build(&self, drv: &StorePath) -> Outcome<BuildResults> {
        let wanted = DerivedPath::Built { drv: drv.clone(), outputs: OutputsSpec::All };
        self.store
            .build(&[wanted], &self.options, self.logger())
            .map_err(|e| Failure::Message(e.message))
    }
}
