//! A store in a temporary folder, and connections to it over a pair of sockets.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use firn_build::sandbox::Launcher;
use firn_build::{BuildOptions, SandboxMode};
use firn_daemon::client::{Connect, RemoteOptions, RemoteStore, Streams};
use firn_daemon::local::LocalService;
use firn_daemon::server::{ServerOptions, Trust, serve_connection};
use firn_daemon::{ClientOptions, ManagedStore};
use firn_event::{Event, EventSink, Level, Logger};
use firn_store::{LocalStore, Settings, Store as _, StoreLayout, StoreOptions};
use tempfile::TempDir;

/// A store whose folder is where its paths say, so that builds need no view of their own.
pub struct World {
    pub dir: TempDir,
    pub layout: StoreLayout,
    pub settings: Settings,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let store = root.join("store");
        let layout = StoreLayout {
            store_dir: firn_model::StoreDir::new(store.to_str().unwrap()).unwrap(),
            real_store_dir: store,
            state_dir: root.join("state"),
            log_dir: root.join("log"),
        };
        let mut settings = Settings::new();
        for (name, value) in [("sandbox", "false"), ("substitute", "false")] {
            settings.set(name, value).unwrap();
        }
        Self { dir, layout, settings }
    }

    pub fn local(&self, logger: &Logger) -> Arc<LocalStore> {
        let options = StoreOptions::from_settings(&self.settings, logger.clone());
        Arc::new(LocalStore::open(self.layout.clone(), options).unwrap())
    }

    pub fn service(&self, logger: &Logger) -> LocalService {
        let make = |settings: &Settings| BuildOptions {
            sandbox: SandboxMode::Off,
            launcher: Launcher::new(env!("CARGO_BIN_EXE_firn-daemon-guard"), [] as [&str; 0]),
            ..BuildOptions::from_settings(settings)
        };
        let store = self.local(logger);
        let settings = self.settings.clone();
        LocalService::new(store, settings, Box::new(make), logger.clone(), "test".into())
    }

    /// A thread that serves one client.
    pub fn serve(&self, trust: Trust) -> (UnixStream, JoinHandle<firn_daemon::Result<()>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let options = ServerOptions {
            store_dir: self.layout.store_dir.clone(),
            version: "test".into(),
            trust,
            recursive: false,
        };
        let world = World {
            dir: tempfile::tempdir().unwrap(),
            layout: self.layout.clone(),
            settings: self.settings.clone(),
        };
        let thread = std::thread::spawn(move || {
            let writer = ours.try_clone().unwrap();
            let open =
                |logger: &Logger| Ok(Arc::new(world.service(logger)) as Arc<dyn ManagedStore>);
            serve_connection(ours, writer, &options, Box::new(open))
        });
        (theirs, thread)
    }

    pub fn remote(self: &Arc<Self>, trust: Trust) -> (RemoteStore, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        let logger = Logger::new(kept.clone());
        let connect = Pair { world: self.clone(), trust };
        let options = RemoteOptions {
            uri: "test".into(),
            store_dir: self.layout.store_dir.clone(),
            layout: None,
            makes_roots: true,
            max_connections: 2,
            client: Some(ClientOptions::from_settings(&self.settings, Level::Info, false)),
            logger,
        };
        (RemoteStore::new(Box::new(connect), options), kept)
    }
}

/// Connects to a thread.
struct Pair {
    world: Arc<World>,
    trust: Trust,
}

impl Connect for Pair {
    fn connect(&self) -> firn_daemon::Result<Streams> {
        let (stream, _) = self.world.serve(self.trust);
        let writer = stream.try_clone().unwrap();
        Ok(Streams {
            reader: Box::new(stream),
            writer: Box::new(writer),
            close_write: Box::new(|| {}),
            guard: Box::new(()),
        })
    }
}

/// Keeps events.
#[derive(Default)]
pub struct Kept(pub Mutex<Vec<Event>>);

impl EventSink for Kept {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Kept {
    pub fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

/// A derivation that writes its `text` to its output, added to the store.
pub fn derivation(store: &LocalStore, name: &str, text: &str) -> firn_model::Derivation {
    let mut drv = firn_model::Derivation {
        name: name.into(),
        outputs: [("out".to_owned(), firn_model::derivation::Output::Deferred)].into(),
        system: firn_store::settings::system().into(),
        builder: "/bin/sh".into(),
        args: vec!["-c".into(), format!("echo building {name}; echo {text} > $out").into()],
        env: [("out".into(), "".into())].into(),
        ..firn_model::Derivation::default()
    };
    store.fill_output_paths(&mut drv).unwrap();
    drv
}

pub fn out(drv: &firn_model::Derivation, store: &LocalStore) -> firn_model::StorePath {
    drv.output_path(store.store_dir(), "out").unwrap().unwrap()
}
