//! Serving builders that use the store themselves (experimental feature `recursive-nix`).
//!
//! A builder sees what it may see anyway: the closure of its inputs, and what it has added. So what it makes depends
//! on nothing else. `store` is that view; here is the socket.

mod store;

use std::collections::BTreeSet;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use firn_build::recursive::{RecursiveNix, RecursiveRequest, RecursiveServer};
use firn_build::{BuildOptions, Failure, FailureKind};
use firn_event::Logger;
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Settings, StoreOptions};
use parking_lot::Mutex;

use crate::local::LocalService;
use crate::managed::ManagedStore;
use crate::server::listen::bind_private;
use crate::server::{ServerOptions, Trust, serve_connection};

use store::RestrictedStore;

/// How often is looked for new clients, and whether the build is over.
const TICK: Duration = Duration::from_millis(20);

/// The most clients that a builder may have at a time.
const MOST_CLIENTS: usize = 64;

/// Makes the options of the builds that builders ask for.
pub type MakeOptions = dyn Fn(&Settings) -> BuildOptions + Send + Sync;

/// Serves builders.
pub struct Recursive {
    settings: Settings,
    make: Arc<MakeOptions>,
    version: String,
}

impl Recursive {
    /// With these settings; `version` is what builders are told of this program.
    #[must_use]
    pub fn new(settings: Settings, make: Arc<MakeOptions>, version: String) -> Self {
        Self { settings, make, version }
    }
}

impl RecursiveNix for Recursive {
    fn serve(&self, request: &RecursiveRequest<'_>) -> Result<Box<dyn RecursiveServer>, Failure> {
        let failed = |e: &dyn std::fmt::Display| {
            Failure::new(FailureKind::Misc, format!("serving the builder: {e}"))
        };
        let options = StoreOptions::from_settings(&self.settings, request.logger.clone());
        let store = LocalStore::open(request.store.clone(), options).map_err(|e| failed(&e))?;
        let store = Arc::new(store);
        let make = Arc::clone(&self.make);
        let service = LocalService::new(
            store.clone(),
            self.settings.clone(),
            Box::new(move |settings| make(settings)),
            request.logger.clone(),
            self.version.clone(),
        );
        let admit = Arc::clone(&request.admit);
        let view = Arc::new(RestrictedStore::new(store, service, request.inputs.clone(), admit));
        let listener = bind_private(request.socket).map_err(|e| failed(&e))?;
        listener.set_nonblocking(true).map_err(|e| failed(&e))?;
        let stop = Arc::new(AtomicBool::new(false));
        let server = ServerOptions {
            store_dir: request.store.store_dir.clone(),
            version: self.version.clone(),
            trust: Trust::Untrusted,
            recursive: true,
        };
        let (shared, flag) = (Arc::clone(&view), Arc::clone(&stop));
        let thread = std::thread::spawn(move || accept(&listener, &shared, &server, &flag));
        Ok(Box::new(Serving { view, stop, thread: Some(thread) }))
    }
}

/// A builder that is being served.
struct Serving {
    view: Arc<RestrictedStore>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl RecursiveServer for Serving {
    fn finish(&mut self) -> BTreeSet<StorePath> {
        self.stop();
        self.view.added()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lets clients in until the build is over; then hangs up on all.
fn accept(
    listener: &UnixListener,
    view: &Arc<RestrictedStore>,
    options: &ServerOptions,
    stop: &AtomicBool,
) {
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    let streams: Mutex<Vec<UnixStream>> = Mutex::default();
    while !stop.load(Ordering::Relaxed) {
        clients.retain(|client| !client.is_finished());
        match listener.accept() {
            Ok((stream, _)) if clients.len() < MOST_CLIENTS => {
                if let Some(client) = serve_one(stream, view, options, &streams) {
                    clients.push(client);
                }
            }
            // the builder has more than it needs
            Ok(_) => {}
            Err(_) => std::thread::sleep(TICK),
        }
    }
    for stream in streams.lock().drain(..) {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    for client in clients {
        let _ = client.join();
    }
}

fn serve_one(
    stream: UnixStream,
    view: &Arc<RestrictedStore>,
    options: &ServerOptions,
    streams: &Mutex<Vec<UnixStream>>,
) -> Option<JoinHandle<()>> {
    stream.set_nonblocking(false).ok()?;
    let (writer, kept) = (stream.try_clone().ok()?, stream.try_clone().ok()?);
    streams.lock().push(kept);
    let (view, options) = (Arc::clone(view), options.clone());
    Some(std::thread::spawn(move || {
        let open = move |_: &Logger| Ok(view as Arc<dyn ManagedStore>);
        // what went wrong the builder has been told
        let _ = serve_connection(stream, writer, &options, Box::new(open));
    }))
}
