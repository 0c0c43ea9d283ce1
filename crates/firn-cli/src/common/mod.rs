//! What several commands share: where the distribution is, and how messages reach a terminal.

pub mod answers;
pub mod build;
pub mod caches;
pub mod clusters;
pub mod distribution;
pub mod eval;
pub mod fetch;
mod fetch_cache;
pub mod flakes;
pub mod interrupt;
pub mod legacy;
pub mod local_store;
pub mod local_time;
mod local_tree;
pub mod mercurial;
pub mod prefetch;
pub mod remote;
pub mod store;
pub mod store_paths;

/// The version of Nix whose behaviour the `nix-…` commands have.
pub const NIX_VERSION: &str = "2.34.8";

use std::sync::Arc;

use firn_event::{Event, EventSink, Level, Logger};

/// A logger that writes messages to standard error, line by line, and nothing else.
pub fn simple_logger() -> Logger {
    struct Stderr;
    impl EventSink for Stderr {
        #[expect(clippy::print_stderr, reason = "the command's output")]
        fn event(&self, event: Event) {
            if let Event::Message { level, text } = event {
                match level {
                    Level::Error => eprintln!("error: {text}"),
                    Level::Warn => eprintln!("warning: {text}"),
                    Level::Notice | Level::Info => eprintln!("{text}"),
                    _ => {}
                }
            }
        }
    }
    Logger::new(Arc::new(Stderr))
}
