//! `nix-daemon` and `nix daemon`: offers the store to other users.
//!
//! The daemon itself only lets clients in; each is served by a process of its own (`firn __daemon-worker`), which is
//! this program anew with the settings of the daemon.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use firn_daemon::server::listen::{self, ACTIVATION_VARIABLES, Client, Doorman};
use firn_daemon::server::trust::AccessRules;
use firn_daemon::server::{ServerOptions, Trust, serve_connection};
use firn_event::{Level, Logger};
use firn_store::layout::{Location, locate};

use crate::common::legacy::{self, Common, Failure, Outcome, Taken, fail, usage};
use crate::common::remote::{open_managed, stop_with};
use crate::common::store::from_settings;
use crate::common::{NIX_VERSION, simple_logger};

/// The variable by which the daemon tells a worker its settings, as JSON.
const SETTINGS: &str = "_FIRN_DAEMON_SETTINGS";

/// How a daemon is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Serve one client, on standard input and output.
    pub stdio: bool,
    /// What clients are, whatever the settings say.
    pub trust: Option<Trust>,
}

impl Options {
    /// Takes one of the daemon's own flags; false if it is none.
    pub fn take(&mut self, common: &Common, flag: &str) -> Outcome<bool> {
        let trust = match flag {
            "--stdio" => {
                self.stdio = true;
                return Ok(true);
            }
            // operations are always done here
            "--process-ops" => {
                require(common, "mounted-ssh-store")?;
                return Ok(true);
            }
            "--force-trusted" => Some(Trust::Trusted),
            "--force-untrusted" => Some(Trust::Untrusted),
            "--default-trust" => None,
            _ => return Ok(false),
        };
        require(common, "daemon-trust-override")?;
        self.trust = trust;
        Ok(true)
    }
}

fn require(common: &Common, feature: &str) -> Outcome {
    if common.settings.has_feature(feature) {
        return Ok(());
    }
    fail(format!(
        "experimental Nix feature '{feature}' is disabled; add '--extra-experimental-features {feature}' to enable it"
    ))
}

/// Runs `nix-daemon`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-daemon", |out| {
        let mut own = Vec::new();
        let mut instead = None;
        let common = Common::parse("nix-daemon", args, |_, arg, _| {
            match arg {
                // once the way to say what is meant anyway
                "--daemon" => {}
                "--help" => instead = Some(HELP.to_owned()),
                "--version" => instead = Some(format!("nix-daemon (Nix) {NIX_VERSION}\n")),
                "--stdio" | "--process-ops" | "--force-trusted" | "--force-untrusted"
                | "--default-trust" => own.push(arg.to_owned()),
                _ => return Ok(Taken::No),
            }
            Ok(Taken::Yes)
        })?;
        if let Some(text) = instead {
            return Ok(out.write_all(text.as_bytes())?);
        }
        let mut options = Options::default();
        for flag in own {
            options.take(&common, &flag)?;
        }
        daemon(&common, options)
    })
}

/// Runs the daemon that the command line describes.
pub fn daemon(common: &Common, options: Options) -> Outcome {
    if options.stdio {
        // nobody can tell who is at the other end of a pipe; whoever started this program lets them
        return serve(common, common.store.as_deref(), options.trust.unwrap_or(Trust::Trusted));
    }
    if common.settings.bool("use-cgroups") {
        require(common, "cgroups")?;
        // builds get cgroups beside it
        firn_build::enter_daemon_cgroup(firn_build::DAEMON_CGROUP)
            .map_err(|e| Failure::Message(e.to_string()))?;
    }
    let pid = common.env.string("LISTEN_PID");
    let count = common.env.string("LISTEN_FDS");
    let listeners = match listen::inherited(pid.as_deref(), count.as_deref())? {
        Some(listeners) => listeners,
        None => {
            let Location::Daemon { socket, .. } = locate(&common.env, Some("daemon"))?.store else {
                return fail("the daemon's socket cannot be found");
            };
            vec![listen::bind(&socket)?]
        }
    };
    let logger = common.logger();
    let program = |client: &Client| worker(common, client);
    let doorman = Doorman {
        rules: AccessRules::from_settings(&common.settings),
        forced: options.trust,
        most_connections: listen::MOST_CONNECTIONS,
        program: &program,
        logger,
    };
    Ok(listen::serve(&listeners, &doorman)?)
}

/// The program that serves a client.
fn worker(common: &Common, client: &Client) -> Command {
    let settings: BTreeMap<&str, &str> = common.settings.overridden().collect();
    let mut command = Command::new("/proc/self/exe");
    // the client's number shows in lists of processes
    command
        // the name decides what the program is
        .arg0("firn")
        .arg("__daemon-worker")
        .arg(client.peer.pid.to_string())
        .arg(match client.trust {
            Trust::Trusted => "trusted",
            Trust::Untrusted => "untrusted",
        })
        .env(SETTINGS, serde_json::json!(settings).to_string())
        .current_dir("/");
    if let Some(store) = &common.store {
        command.arg(store);
    }
    for name in ACTIVATION_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// Runs `firn __daemon-worker PID trusted|untrusted [STORE]`.
pub fn run_worker(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-daemon", |_| {
        let mut own = Vec::new();
        let mut common = Common::parse("nix-daemon", args, |_, arg, _| {
            own.push(arg.to_owned());
            Ok(Taken::Yes)
        })?;
        let settings = common.env.string(SETTINGS).unwrap_or_default();
        let settings: BTreeMap<String, String> = serde_json::from_str(&settings)
            .map_err(|e| Failure::Message(format!("the daemon's settings cannot be read: {e}")))?;
        for (name, value) in settings {
            common.settings.set(&name, &value)?;
        }
        let (trust, store) = match &own[..] {
            [_, trust, store @ ..] if store.len() <= 1 => (trust.as_str(), store.first()),
            _ => return usage("this command is for the daemon alone"),
        };
        let trust = if trust == "trusted" { Trust::Trusted } else { Trust::Untrusted };
        serve(&common, store.map(String::as_str), trust)
    })
}

/// Serves the client on standard input and output.
fn serve(common: &Common, uri: Option<&str>, trust: Trust) -> Outcome {
    let duplicate = |fd: std::os::fd::BorrowedFd<'_>| -> Outcome<OwnedFd> {
        fd.try_clone_to_owned()
            .map_err(|e| Failure::Message(format!("duplicating a descriptor: {e}")))
    };
    let input = duplicate(rustix::stdio::stdin())?;
    let output = duplicate(rustix::stdio::stdout())?;
    stop_with(duplicate(rustix::stdio::stdin())?);
    let opener = common.remotes(Logger::silent());
    let options = ServerOptions {
        store_dir: store_dir(common, uri)?,
        version: NIX_VERSION.to_owned(),
        trust,
        recursive: false,
    };
    let open = |logger: &Logger| {
        let opener = crate::common::remote::RemoteOpener { logger: logger.clone(), ..opener };
        open_managed(&opener, uri)
            .map_err(|e| firn_daemon::Error::Refused(legacy::Failure::text(e)))
    };
    match serve_connection(File::from(input), File::from(output), &options, Box::new(open)) {
        Ok(()) => Ok(()),
        Err(e) => {
            // the client has been told what concerns it
            simple_logger().message(Level::Error, format!("serving a client: {e}"));
            Err(Failure::Exit(1))
        }
    }
}

/// The folder of the store that will be opened.
fn store_dir(common: &Common, uri: Option<&str>) -> Outcome<firn_model::StoreDir> {
    let uri = uri.or(from_settings(&common.settings));
    Ok(match locate(&common.env, uri)?.store {
        Location::Local { layout, .. } | Location::Daemon { layout, .. } => layout.store_dir,
        Location::Other(reference) => match reference.params.get("store") {
            Some(dir) => firn_model::StoreDir::new(dir)
                .map_err(|e| Failure::Message(format!("in the store parameter 'store': {e}")))?,
            None => firn_store::StoreLayout::from_environment(&common.env)?.store_dir,
        },
    })
}

const HELP: &str = "\
Usage: nix-daemon [--daemon] [--stdio] [--force-trusted | --force-untrusted | --default-trust] [--store URL]

Offers the store to other users, on the socket $NIX_DAEMON_SOCKET_PATH or /nix/var/nix/daemon-socket/socket, or on
those that the system manager hands over.

      --stdio            serve one client, on standard input and output
      --force-trusted    trust all clients (needs the feature daemon-trust-override)
      --force-untrusted  trust no client
      --default-trust    trust those that the setting trusted-users names
      --process-ops      do operations here instead of handing them on (always so)

Who may connect is said by the settings allowed-users and trusted-users.
";
