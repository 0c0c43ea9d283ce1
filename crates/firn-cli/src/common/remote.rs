//! Stores that other processes look after: daemons and other machines; and this machine's store as daemons offer it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use firn_build::hook::BuildHook;
use firn_build::recursive::RecursiveNix;
use firn_build::{BuildOptions, Substituter};
use firn_daemon::client::{RemoteOptions, RemoteStore, UnixSocket};
use firn_daemon::hook::instance::Hook;
use firn_daemon::hook::machines::Machine;
use firn_daemon::local::LocalService;
use firn_daemon::restricted::Recursive;
use firn_daemon::serve::{BuildSettings, ServeOptions, ServeStore};
use firn_daemon::ssh::{Ssh, SshProgram, SshStoreParams};
use firn_daemon::{ClientOptions, ManagedStore};
use firn_event::{Level, Logger};
use firn_model::StoreDir;
use firn_store::Settings;
use firn_store::layout::{Environment, Location, StoreLayout, StoreReference, locate};

use super::caches::Substituters;
use super::legacy::{Failure, Outcome, fail};
use super::local_store::{self, Opened};
use super::store::{Opener, from_settings};

impl From<firn_daemon::Error> for Failure {
    fn from(error: firn_daemon::Error) -> Self {
        match error {
            firn_daemon::Error::Store(error) => error.into(),
            other => Self::Message(other.to_string()),
        }
    }
}

/// Opens stores of these kinds.
pub struct RemoteOpener<'a> {
    /// The environment.
    pub env: &'a Environment,
    /// The settings.
    pub settings: &'a Settings,
    /// Where messages go.
    pub logger: Logger,
    /// How much is shown, for the other side to know what to send.
    pub verbosity: Level,
}

/// A store that another process looks after.
pub enum Remote {
    /// By the worker protocol.
    Worker(Arc<RemoteStore>),
    /// By the serve protocol.
    Serve(Arc<ServeStore>),
}

impl Remote {
    /// The store as what daemons offer.
    pub fn managed(self) -> Arc<dyn ManagedStore> {
        match self {
            Self::Worker(store) => store,
            Self::Serve(store) => store,
        }
    }
}

impl RemoteOpener<'_> {
    fn client_options(&self) -> ClientOptions {
        ClientOptions::from_settings(self.settings, self.verbosity, true)
    }

    /// The store of the daemon that listens on `socket`.
    pub fn daemon(
        &self,
        socket: PathBuf,
        layout: StoreLayout,
        params: &BTreeMap<String, String>,
    ) -> Outcome<Remote> {
        let usual = match locate(self.env, Some("daemon"))?.store {
            Location::Daemon { socket, .. } => Some(socket),
            _ => None,
        };
        let uri = match usual == Some(socket.clone()) {
            true => "daemon".to_owned(),
            false => format!("unix://{}", socket.display()),
        };
        let max_connections = match params.get("max-connections") {
            None => 1,
            Some(text) => text.parse().map_err(|_| {
                Failure::Usage(format!("setting 'max-connections' has invalid value '{text}'"))
            })?,
        };
        let options = RemoteOptions {
            uri,
            store_dir: layout.store_dir.clone(),
            layout: Some(layout),
            makes_roots: false,
            max_connections,
            client: Some(self.client_options()),
            logger: self.logger.clone(),
        };
        let connect = Box::new(UnixSocket { path: socket });
        Ok(Remote::Worker(Arc::new(RemoteStore::new(connect, options))))
    }

    /// The store at an address of the scheme `ssh`, `ssh-ng` or `mounted-ssh-ng`; `None` for other schemes.
    pub fn ssh(&self, reference: &StoreReference) -> Outcome<Option<Remote>> {
        let (program, flag) = match reference.scheme.as_str() {
            "ssh" => ("nix-store", "--serve"),
            "ssh-ng" | "mounted-ssh-ng" => ("nix-daemon", "--stdio"),
            _ => return Ok(None),
        };
        let mut params = reference.params.clone();
        let extra = self.env.string("NIX_SSHOPTS").unwrap_or_default();
        let mut ssh = SshStoreParams::take(
            &reference.authority,
            &mut params,
            program,
            &extra,
            self.verbosity,
        )?;
        let layout = self.layout(reference)?;
        ssh.program.push(flag.to_owned());
        let legacy = reference.scheme == "ssh";
        if legacy {
            ssh.program.push("--write".into());
        }
        if !ssh.remote_store.is_empty() {
            ssh.program.extend(["--store".to_owned(), ssh.remote_store.clone()]);
        }
        let mounted = reference.scheme == "mounted-ssh-ng";
        if mounted {
            ssh.program.push("--process-ops".into());
        }
        if legacy && let Some(fd) = params.get("log-fd") {
            ssh.ssh.log = log_descriptor(fd)?;
        }
        let host = ssh.ssh.authority.host.clone();
        let uri = format!("{}://{}", reference.scheme, reference.authority);
        let connect = SshProgram { ssh: Ssh::new(ssh.ssh)?, program: ssh.program };
        let store_dir: StoreDir = layout.store_dir.clone();
        if legacy {
            let options = ServeOptions {
                uri,
                host,
                store_dir,
                max_connections: ssh.max_connections,
                build: self.build_settings(),
                logger: self.logger.clone(),
            };
            let store = ServeStore::new(Box::new(connect), options);
            return Ok(Some(Remote::Serve(Arc::new(store))));
        }
        let options = RemoteOptions {
            uri,
            store_dir,
            layout: mounted.then_some(layout),
            makes_roots: true,
            max_connections: ssh.max_connections,
            // the other machine knows best what it can do
            client: None,
            logger: self.logger.clone(),
        };
        let store = RemoteStore::new(Box::new(connect), options);
        Ok(Some(Remote::Worker(Arc::new(store))))
    }

    fn build_settings(&self) -> BuildSettings {
        BuildSettings {
            max_silent_time: self.settings.number("max-silent-time"),
            timeout: self.settings.number("timeout"),
            max_log_size: self.settings.number("max-build-log-size"),
            keep_failed: self.settings.bool("keep-failed"),
        }
    }

    /// The directories that an address's parameters name.
    fn layout(&self, reference: &StoreReference) -> Outcome<StoreLayout> {
        let local = StoreReference {
            scheme: "local".into(),
            authority: String::new(),
            params: reference.params.clone(),
        };
        match locate(self.env, Some(&local.render()))?.store {
            Location::Local { layout, .. } => Ok(layout),
            _ => fail("the parameters of a store's address make no sense"),
        }
    }
}

/// Where the build hook's caller reads logs.
fn log_descriptor(text: &str) -> Outcome<Option<Arc<std::os::fd::OwnedFd>>> {
    let path = match text.parse::<u32>() {
        Ok(number) => format!("/proc/self/fd/{number}"),
        Err(_) => return fail(format!("setting 'log-fd' has invalid value '{text}'")),
    };
    match std::fs::File::options().write(true).open(path) {
        Ok(file) => Ok(Some(Arc::new(file.into()))),
        Err(_) => Ok(None),
    }
}

/// The options of builds that a daemon does for its clients.
fn daemon_build_options(env: &Environment, settings: &Settings, logger: &Logger) -> BuildOptions {
    let mut options = BuildOptions::from_settings(settings);
    options.cancel = super::interrupt::flag();
    options.hook = build_hook(settings, Level::Info);
    options.executors = super::clusters::executors(settings, logger);
    options.recursive = recursive(settings);
    options.substituter = Substituters::new(env, settings, logger.clone())
        .map(|substituters| substituters as Arc<dyn Substituter>);
    options
}

/// What serves builders that use the store themselves, if the feature for that is on.
pub fn recursive(settings: &Settings) -> Option<Arc<dyn RecursiveNix>> {
    if !settings.has_feature(firn_build::recursive::FEATURE) {
        return None;
    }
    let make = |settings: &Settings| {
        let mut options = BuildOptions::from_settings(settings);
        options.cancel = super::interrupt::flag();
        // builders may have builders
        options.recursive = recursive(settings);
        options
    };
    let version = super::NIX_VERSION.to_owned();
    Some(Arc::new(Recursive::new(settings.clone(), Arc::new(make), version)))
}

/// What builds on other machines, if there are any.
pub fn build_hook(settings: &Settings, verbosity: Level) -> Option<Arc<dyn BuildHook>> {
    let mut command = settings.words("build-hook");
    if command.is_empty() {
        let env = Environment::current();
        let read = |file: &str| std::fs::read_to_string(file);
        let machines =
            Machine::parse_all(settings.text("builders"), settings.system(), &env, &read);
        // the hook itself says what is wrong with them
        if machines.is_ok_and(|machines| machines.iter().all(Machine::is_cluster)) {
            return None;
        }
        command = vec!["/proc/self/exe".into(), "__build-remote".into()];
    }
    let settings =
        settings.iter().map(|(s, value)| (s.name.to_owned(), value.to_owned())).collect();
    Some(Arc::new(Hook::new(command, settings, verbosity)))
}

/// Opens the store at `uri`, or the one that settings and the environment select, as daemons offer it.
pub fn open_managed(
    opener: &RemoteOpener<'_>,
    uri: Option<&str>,
) -> Outcome<Arc<dyn ManagedStore>> {
    let uri = uri.or(from_settings(opener.settings));
    let located = locate(opener.env, uri)?;
    for warning in located.warnings {
        opener.logger.warn(warning);
    }
    let scratch = OnceLock::new();
    let local = Opener {
        env: opener.env,
        settings: opener.settings,
        logger: opener.logger.clone(),
        verbosity: opener.verbosity,
        scratch: &scratch,
    };
    match local_store::open_located(&local, located.store)? {
        Opened::Here(store) => {
            let mut settings = opener.settings.clone();
            if let Some(features) = system_features(opener.env, uri) {
                settings.set("system-features", &features)?;
            }
            let (env, logger) = (opener.env.clone(), opener.logger.clone());
            let make = move |settings: &Settings| daemon_build_options(&env, settings, &logger);
            Ok(Arc::new(LocalService::new(
                store,
                settings,
                Box::new(make),
                opener.logger.clone(),
                super::NIX_VERSION.to_owned(),
            )))
        }
        Opened::Daemon { socket, layout, params } => {
            Ok(opener.daemon(socket, layout, &params)?.managed())
        }
        Opened::Other(reference) => match opener.ssh(&reference)? {
            Some(remote) => Ok(remote.managed()),
            None => fail(format!(
                "store '{}' is of a kind that cannot be offered to clients",
                reference.render()
            )),
        },
    }
}

/// The features that a store's address says that builds in it may ask for.
fn system_features(env: &Environment, uri: Option<&str>) -> Option<String> {
    let uri = match uri {
        Some(uri) => uri.to_owned(),
        None => env.string("NIX_REMOTE")?,
    };
    StoreReference::parse(&uri, env).ok()?.params.remove("system-features")
}

/// Has everything stop that is done for a client once it has hung up.
pub fn stop_with(connection: std::os::fd::OwnedFd) {
    let flag = super::interrupt::flag();
    firn_daemon::server::hangup::watch(connection, move || flag.store(true, Ordering::Relaxed));
}
