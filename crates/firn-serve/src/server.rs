//! The server: connections, one thread each, and what they share.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firn_event::{Level, Logger};
use firn_model::signature::SecretKey;
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Trust};
use parking_lot::{Mutex, RwLock};

use crate::archive::Archive;
use crate::http::{Connection, Received};
use crate::retention::Retention;

/// How often caches are emptied and old paths looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How much memory ways to make archives may take.
const ARCHIVES: usize = 256 * 1024 * 1024;
/// The most answers about paths that are kept.
const ANSWERS: usize = 100_000;

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Keys that sign what is told of paths.
    pub secret_keys: Vec<SecretKey>,
    /// Words that allow uploads; none: nobody may upload.
    pub tokens: Vec<String>,
    /// Whom uploads must be signed by.
    pub trust: Trust,
    /// `Priority` of the cache: lower numbers are asked first.
    pub priority: i64,
    /// Compress archives with zstd at this level on their way out; without, files are sent as they are, which takes
    /// the least of this machine.
    pub zstd: Option<i32>,
    /// How many connections may be open.
    pub connections: usize,
    /// How long a client may be silent.
    pub patience: Duration,
    /// The largest file that may be uploaded, in bytes.
    pub max_upload: u64,
    /// How long and how much of what was uploaded is kept.
    pub retention: Retention,
    /// Where messages go.
    pub logger: Logger,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            secret_keys: Vec::new(),
            tokens: Vec::new(),
            trust: Trust::Nobody,
            priority: 30,
            zstd: None,
            connections: 1024,
            patience: Duration::from_secs(60),
            max_upload: 16 << 30,
            retention: Retention::default(),
            logger: Logger::silent(),
        }
    }
}

/// An archive that was made before.
struct Kept {
    archive: Arc<Archive>,
    used: Instant,
}

/// What all connections share.
pub(crate) struct Shared {
    pub store: Arc<LocalStore>,
    pub options: ServeOptions,
    /// Where uploads wait until it is told what they are.
    pub uploads: PathBuf,
    /// What is answered about paths, by hash part. Emptied often, for paths may be collected.
    pub answers: Mutex<HashMap<String, Arc<[u8]>>>,
    archives: Mutex<HashMap<StorePath, Kept>>,
    /// Held for reading by whoever adds a path, for writing by whoever deletes some.
    pub adding: RwLock<()>,
    /// Uploaded paths that were asked for since the last look.
    pub asked: Mutex<HashSet<StorePath>>,
    open: AtomicUsize,
    stop: AtomicBool,
}

impl Shared {
    /// The way to make the archive of a valid path.
    pub fn archive(&self, path: &StorePath) -> io::Result<Arc<Archive>> {
        if let Some(kept) = self.archives.lock().get_mut(path) {
            kept.used = Instant::now();
            return Ok(Arc::clone(&kept.archive));
        }
        let archive = Arc::new(Archive::of(&self.store.layout().real_path(path))?);
        let mut archives = self.archives.lock();
        archives.insert(path.clone(), Kept { archive: Arc::clone(&archive), used: Instant::now() });
        let mut weight: usize = archives.values().map(|k| k.archive.weight()).sum();
        while weight > ARCHIVES && archives.len() > 1 {
            let oldest = archives.iter().min_by_key(|(_, k)| k.used).map(|(p, _)| p.clone());
            let Some(gone) = oldest.and_then(|p| archives.remove(&p)) else { break };
            weight -= gone.archive.weight();
        }
        Ok(archive)
    }

    /// Keeps an answer about a path for a short while.
    pub fn remember(&self, hash_part: &str, answer: &Arc<[u8]>) {
        let mut answers = self.answers.lock();
        if answers.len() >= ANSWERS {
            answers.clear();
        }
        answers.insert(hash_part.to_owned(), Arc::clone(answer));
    }

    /// Forgets what may have changed meanwhile.
    pub fn forget(&self) {
        self.answers.lock().clear();
        self.store.clear_cache();
    }

    pub fn tell(&self, text: impl Into<String>) {
        self.options.logger.message(Level::Talkative, text);
    }
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens at an address such as `127.0.0.1:5000`.
    ///
    /// # Errors
    /// If the address cannot be used, or the folder for uploads not be made.
    pub fn bind(
        address: &str,
        store: Arc<LocalStore>,
        options: ServeOptions,
    ) -> firn_store::Result<Self> {
        let failed = |e: io::Error| {
            firn_store::Error::Usage(format!(
                "cannot listen at '{address}': {}",
                firn_store::error::errno_text(&e)
            ))
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let uploads = store.layout().state_dir.join("firn-serve/uploads");
        if !options.tokens.is_empty() {
            firn_store::fs::create_dirs(&uploads)?;
        }
        let shared = Arc::new(Shared {
            store,
            options,
            uploads,
            answers: Mutex::default(),
            archives: Mutex::default(),
            adding: RwLock::default(),
            asked: Mutex::default(),
            open: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        Ok(Self { listener, shared })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is set; looked at at least twice a second.
    ///
    /// # Errors
    /// If connections cannot be taken at all.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        std::thread::scope(|scope| {
            scope.spawn(|| self.keep_house());
            let result = self.accept(stop);
            self.shared.stop.store(true, Ordering::Relaxed);
            result
        })
    }

    fn accept(&self, stop: &AtomicBool) -> io::Result<()> {
        // a listener that waits for ever would not see that it has to stop
        self.listener.set_nonblocking(true)?;
        let mut ready = [rustix::event::PollFd::new(&self.listener, rustix::event::PollFlags::IN)];
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 400_000_000 };
        while !stop.load(Ordering::Relaxed) {
            match rustix::event::poll(&mut ready, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(e) => return Err(e.into()),
            }
            match self.listener.accept() {
                Ok((stream, _)) => self.spawn(stream),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => {
                    // too many open files, say: others may end meanwhile
                    self.shared.options.logger.warn(format!("taking a connection: {e}"));
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        Ok(())
    }

    fn spawn(&self, stream: TcpStream) {
        let shared = Arc::clone(&self.shared);
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.options.connections {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            let _ = stream.set_nonblocking(true);
            let mut head = crate::http::head(503, false);
            head.extend_from_slice(b"retry-after: 1\r\ncontent-length: 0\r\n\r\n");
            let _ = io::Write::write(&mut &stream, &head);
            return;
        }
        let work = move || {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                serve(&shared, stream);
            }));
            shared.open.fetch_sub(1, Ordering::Relaxed);
        };
        let spawned = std::thread::Builder::new()
            .name("connection".to_owned())
            .stack_size(512 * 1024)
            .spawn(work);
        if let Err(e) = spawned {
            self.shared.open.fetch_sub(1, Ordering::Relaxed);
            self.shared.options.logger.warn(format!("starting a thread for a connection: {e}"));
        }
    }

    fn keep_house(&self) {
        let shared = &self.shared;
        let mut last = Instant::now();
        let mut swept: Option<Instant> = None;
        while !shared.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(200));
            if last.elapsed() >= HOUSEKEEPING {
                shared.forget();
                last = Instant::now();
            }
            let retention = &shared.options.retention;
            let due = swept.is_none_or(|at| at.elapsed() >= retention.interval);
            if retention.is_limited() && due {
                swept = Some(Instant::now());
                if let Err(e) = retention.sweep(shared) {
                    shared.options.logger.warn(format!("looking for old paths: {e}"));
                }
                shared.forget();
            }
        }
    }
}

fn serve(shared: &Shared, stream: TcpStream) {
    let patience = Some(shared.options.patience);
    let set = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_nodelay(true))
        .and_then(|()| stream.set_read_timeout(patience))
        .and_then(|()| stream.set_write_timeout(patience));
    if set.is_err() {
        return;
    }
    let mut connection = Connection::new(stream);
    loop {
        match connection.receive() {
            Received::Request(request) => {
                match crate::routes::answer(shared, &mut connection, &request) {
                    Ok(true) if !shared.stop.load(Ordering::Relaxed) => {}
                    _ => return,
                }
            }
            Received::Bad(why) => {
                let _ = crate::routes::refuse(&connection, 400, why);
                return;
            }
            Received::End => return,
        }
    }
}
