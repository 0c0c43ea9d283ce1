//! A small web server over a folder that can be told to misbehave, and a local store beside it.

#![allow(missing_docs, dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firn_cache::{BinaryCacheStore, Caches, DiskCache, TimeToLive};
use firn_event::{Event, EventSink, Logger};
use firn_fetch::FetchSettings;
use firn_model::store_path::StoreDir;
use firn_store::layout::{Environment, StoreLayout, StoreReference};
use firn_store::{LocalStore, StoreOptions};

/// What a server does instead of giving a file.
#[derive(Clone)]
pub enum Fault {
    /// This status, these header lines, this body.
    Status(u16, &'static str, &'static str),
    /// Only so many bytes of what it promises.
    Cut(usize),
}

#[derive(Default)]
struct State {
    /// `METHOD /path`, as asked.
    requests: Vec<String>,
    /// Header fields of the last request, names in small letters.
    headers: BTreeMap<String, String>,
    /// Faults by the end of the path, used up one after the other.
    faults: BTreeMap<String, Vec<Fault>>,
}

/// A web server over a folder.
pub struct Server {
    pub address: String,
    pub root: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn new(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state: Arc<Mutex<State>> = Arc::default();
        let (shared, folder) = (Arc::clone(&state), root.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (state, folder) = (Arc::clone(&shared), folder.clone());
                std::thread::spawn(move || serve(stream, &state, &folder));
            }
        });
        Self { address, root: root.to_owned(), state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request for a path that ends so fails.
    pub fn fail(&self, end: &str, fault: Fault) {
        self.state.lock().unwrap().faults.entry(end.to_owned()).or_default().push(fault);
    }

    /// The requests since the last time.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.state.lock().unwrap().headers.get(name).cloned()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, root: &Path) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length: usize = headers.get("content-length").map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let fault = {
            let mut state = state.lock().unwrap();
            state.requests.push(format!("{method} {target}"));
            let range = headers.get("range").cloned();
            if let Some(range) = range {
                state.requests.push(range);
            }
            state.headers = headers.clone();
            let found = state
                .faults
                .iter_mut()
                .find(|(end, left)| target.ends_with(*end) && !left.is_empty());
            found.map(|(_, left)| left.remove(0))
        };
        if let Some(Fault::Status(status, lines, body)) = &fault {
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{lines}\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            continue;
        }
        let path = target.split('?').next().unwrap();
        let file = root.join(decode(path.trim_start_matches('/')));
        if target.contains("uploadId=") || target.ends_with("?uploads") {
            multipart(&mut stream, &method, &target, &file, &body);
            continue;
        }
        if method == "PUT" {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &body).unwrap();
            if let Some(encoding) = headers.get("content-encoding") {
                std::fs::write(file.with_extension("encoding"), encoding).unwrap();
            }
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").unwrap();
            continue;
        }
        let Ok(contents) = std::fs::read(&file) else {
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").unwrap();
            continue;
        };
        let from = headers
            .get("range")
            .and_then(|r| r.strip_prefix("bytes="))
            .map_or(0, |r| r.trim_end_matches('-').parse().unwrap());
        let rest = &contents[from..];
        let mut head = if from > 0 {
            format!(
                "HTTP/1.1 206 Partial\r\ncontent-range: bytes {from}-{}/{}\r\n",
                contents.len() - 1,
                contents.len()
            )
        } else {
            "HTTP/1.1 200 OK\r\n".to_owned()
        };
        if let Ok(encoding) = std::fs::read_to_string(file.with_extension("encoding")) {
            head.push_str(&format!("content-encoding: {encoding}\r\n"));
        }
        head.push_str(&format!("etag: \"e\"\r\ncontent-length: {}\r\n\r\n", rest.len()));
        stream.write_all(head.as_bytes()).unwrap();
        if method == "HEAD" {
            continue;
        }
        if let Some(Fault::Cut(bytes)) = fault {
            let _ = stream.write_all(&rest[..bytes.min(rest.len())]);
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
        if stream.write_all(rest).is_err() {
            return;
        }
    }
}

/// Uploads in parts, as buckets have them: parts wait in files beside.
fn multipart(stream: &mut TcpStream, method: &str, target: &str, file: &Path, body: &[u8]) {
    let part = |n: &str| PathBuf::from(format!("{}.part{n}", file.display()));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut answer = "HTTP/1.1 200 OK\r\n".to_owned();
    let mut text = String::new();
    if target.ends_with("?uploads") {
        text = "<R><UploadId>id/1</UploadId></R>".to_owned();
    } else if method == "PUT" {
        let number = target.split("partNumber=").nth(1).unwrap().split('&').next().unwrap();
        std::fs::write(part(number), body).unwrap();
        answer.push_str(&format!("etag: \"etag{number}\"\r\n"));
    } else if method == "POST" {
        let mut whole = Vec::new();
        let xml = String::from_utf8(body.to_vec()).unwrap();
        for n in 1..=xml.matches("<PartNumber>").count() {
            assert!(xml.contains(&format!("\"etag{n}\"")), "{xml}");
            whole.extend(std::fs::read(part(&n.to_string())).unwrap());
        }
        std::fs::write(file, whole).unwrap();
    }
    answer.push_str(&format!("content-length: {}\r\n\r\n{text}", text.len()));
    stream.write_all(answer.as_bytes()).unwrap();
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).unwrap()
}

/// Keeps messages.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Event>>);

impl EventSink for Kept {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Kept {
    pub fn texts(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        events
            .iter()
            .filter_map(|e| match e {
                Event::Message { text, .. } => Some(text.clone()),
                _ => None,
            })
            .collect()
    }
}

/// A folder with what a test needs.
pub struct World {
    pub dir: tempfile::TempDir,
    pub kept: Arc<Kept>,
    pub logger: Logger,
}

impl World {
    pub fn new() -> Self {
        let kept = Arc::new(Kept::default());
        let logger = Logger::new(kept.clone());
        Self { dir: tempfile::tempdir().unwrap(), kept, logger }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self, name: &str) -> LocalStore {
        let layout = StoreLayout::in_root(&self.path(name));
        LocalStore::open(layout, StoreOptions::default()).unwrap()
    }

    pub fn caches(&self) -> Caches {
        Caches {
            store_dir: StoreDir::default(),
            fetch: FetchSettings {
                retry_pause: Duration::from_millis(1),
                stalled_timeout: Some(Duration::from_secs(5)),
                attempts: 3,
                ..FetchSettings::default()
            },
            logger: self.logger.clone(),
            disk: None,
            connections: 8,
            fallback: false,
            force_http: false,
        }
    }

    pub fn with_disk(&self, ttl: TimeToLive) -> Caches {
        let disk = DiskCache::open(&self.path("cache-home"), ttl).unwrap();
        Caches { disk: Some(Arc::new(disk)), ..self.caches() }
    }

    pub fn open(&self, uri: &str) -> Arc<BinaryCacheStore> {
        open(&self.caches(), uri).unwrap()
    }
}

pub fn open(caches: &Caches, uri: &str) -> firn_store::Result<Arc<BinaryCacheStore>> {
    let none = Environment::from_variables(std::iter::empty::<(&str, &str)>(), false);
    caches.open(&StoreReference::parse(uri, &none).unwrap())
}
