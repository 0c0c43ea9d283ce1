//! The build hook (`nix __build-remote`): builds on other machines, for this program or another that speaks its protocol.

use std::ffi::OsString;
use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;

use firn_daemon::ManagedStore;
use firn_daemon::hook::program::{Stores, json_logger, run as run_hook};
use firn_daemon::passive::PassiveStore;
use firn_event::{Level, Logger};
use firn_store::layout::{Environment, Location, StoreLayout, locate};
use firn_store::{Settings, Store};

use crate::common::caches::caches;
use crate::common::legacy::{Common, Failure, Outcome, Taken, fail, usage};
use crate::common::remote::{RemoteOpener, open_managed};

/// Runs `nix __build-remote VERBOSITY`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    match main(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let text = e.text();
            json_logger(std::io::stderr(), Level::Info).message(Level::Error, text);
            ExitCode::FAILURE
        }
    }
}

fn main(args: Vec<OsString>) -> Outcome {
    let mut words = Vec::new();
    let common = Common::parse("nix", args, |_, arg, _| {
        words.push(arg.to_owned());
        Ok(Taken::Yes)
    })?;
    let [verbosity] = &words[..] else { return usage("called without required arguments") };
    let Ok(number) = verbosity.parse::<u64>() else {
        return fail(format!("'{verbosity}' is no verbosity"));
    };
    let verbosity = firn_daemon::protocol::log::level(number);
    let logger = json_logger(std::io::stderr(), verbosity);
    let input = rustix::stdio::stdin()
        .try_clone_to_owned()
        .map_err(|e| Failure::Message(format!("duplicating a descriptor: {e}")))?;
    let open = |settings: &Settings,
                uri: Option<&str>,
                logger: &Logger|
     -> firn_daemon::Result<Arc<dyn ManagedStore>> {
        let opener = RemoteOpener { env: &common.env, settings, logger: logger.clone(), verbosity };
        open_managed(&opener, uri).map_err(|e| firn_daemon::Error::Refused(e.text()))
    };
    let here = |settings: &Settings, logger: &Logger| {
        let uri = settings.text("store").to_owned();
        match cache(&common.env, settings, &uri, logger) {
            Ok(Some(cache)) => Ok(Arc::new(PassiveStore::new(cache)) as Arc<dyn ManagedStore>),
            Ok(None) => open(settings, Some(&uri), logger),
            Err(e) => Err(firn_daemon::Error::Refused(e.text())),
        }
    };
    let machine = |settings: &Settings, uri: &str, logger: &Logger| {
        let mut settings = settings.clone();
        // machines that are stores of this machine build themselves
        settings.set("builders", "")?;
        settings.set("store", "auto")?;
        open(&settings, Some(uri), logger)
    };
    let layout = StoreLayout::from_environment(&common.env)?;
    let stores =
        Stores { here: &here, machine: &machine, state_dir: &layout.state_dir, env: &common.env };
    let settings = common.settings.clone();
    run_hook(File::from(input), &mut std::io::stderr(), settings, &stores, &logger)?;
    Ok(())
}

/// The binary cache at an address, if it is that of one.
fn cache(
    env: &Environment,
    settings: &Settings,
    uri: &str,
    logger: &Logger,
) -> Outcome<Option<Arc<dyn Store>>> {
    let Location::Other(reference) = locate(env, Some(uri))?.store else { return Ok(None) };
    if !firn_cache::is_cache(&reference.scheme) {
        return Ok(None);
    }
    let remember = reference.scheme != "file";
    Ok(Some(caches(env, settings, logger, remember)?.open(&reference)?))
}
