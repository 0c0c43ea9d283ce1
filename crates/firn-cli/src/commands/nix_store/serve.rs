//! `--serve`: the other side of `ssh://` stores.

use std::fs::File;

use firn_daemon::ClientOptions;
use firn_daemon::serve::server;
use firn_event::Level;

use super::Call;
use crate::common::legacy::{Failure, Outcome, usage};
use crate::common::remote::{open_managed, stop_with};

/// Serves the client on standard input and output until it hangs up.
pub fn serve(call: &Call<'_>) -> Outcome {
    let mut writes = false;
    for flag in &call.flags {
        match flag.as_str() {
            "--write" => writes = true,
            other => return usage(format!("unknown flag '{other}'")),
        }
    }
    call.no_arguments()?;
    let common = call.common;
    let duplicate = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned()
            .map_err(|e| Failure::Message(format!("duplicating a descriptor: {e}")))
    };
    let input = File::from(duplicate(rustix::stdio::stdin())?);
    let output = File::from(duplicate(rustix::stdio::stdout())?);
    stop_with(duplicate(rustix::stdio::stdin())?);
    let store = open_managed(&common.remotes(common.logger()), common.store.as_deref())?;
    let defaults = ClientOptions::from_settings(&common.settings, Level::Error, false);
    Ok(server::serve(input, output, &*store, writes, defaults)?)
}
