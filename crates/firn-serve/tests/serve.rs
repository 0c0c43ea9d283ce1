//! The server against our own client and against raw requests: what it serves, what it takes, what it refuses.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firn_cache::{BinaryCacheStore, Caches};
use firn_event::Logger;
use firn_fetch::FetchSettings;
use firn_model::Method;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::path_info::PathInfo;
use firn_model::signature::SecretKey;
use firn_model::store_path::{StoreDir, StorePath};
use firn_serve::{Retention, ServeOptions, Server};
use firn_store::copy::{CopyOptions, copy_closure, copy_path};
use firn_store::layout::{Environment, StoreLayout, StoreReference};
use firn_store::{LocalStore, Repair, Store as _, StoreOptions, Trust};

struct World {
    dir: tempfile::TempDir,
    store: Arc<LocalStore>,
    address: String,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn local(dir: &std::path::Path, name: &str) -> LocalStore {
    LocalStore::open(StoreLayout::in_root(&dir.join(name)), StoreOptions::default()).unwrap()
}

impl World {
    fn new(options: ServeOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(local(dir.path(), "served"));
        let server = Server::bind("127.0.0.1:0", Arc::clone(&store), options).unwrap();
        let address = server.address().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || server.run(&flag).unwrap());
        Self { dir, store, address, stop, thread: Some(thread) }
    }

    fn client(&self, user: &str) -> Arc<BinaryCacheStore> {
        let caches = Caches {
            store_dir: StoreDir::default(),
            fetch: FetchSettings {
                retry_pause: Duration::from_millis(1),
                attempts: 2,
                ..FetchSettings::default()
            },
            logger: Logger::silent(),
            disk: None,
            connections: 4,
            fallback: false,
            force_http: false,
        };
        let none = Environment::from_variables(std::iter::empty::<(&str, &str)>(), false);
        let uri = format!("http://{user}{}?compression=zstd", self.address);
        caches.open(&StoreReference::parse(&uri, &none).unwrap()).unwrap()
    }

    /// A closure of a folder with files of all kinds and a text that refers to it.
    fn closure(&self, store: &LocalStore) -> (StorePath, StorePath) {
        use std::os::unix::fs::PermissionsExt as _;
        let src = self.dir.path().join("src");
        std::fs::create_dir_all(src.join("sub")).unwrap();
        std::fs::write(src.join("large"), vec![5; 300_001]).unwrap();
        std::fs::write(src.join("sub/x"), "#\n").unwrap();
        std::fs::set_permissions(src.join("sub/x"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        let _ = std::os::unix::fs::symlink("x", src.join("l"));
        let none = BTreeSet::new();
        let src = store
            .add_path("src", &src, Method::Nar, HashAlgo::Sha256, None, &none, Repair::No)
            .unwrap();
        let text = store.store_dir().print(&src);
        let top =
            store.add_text("top", text.as_bytes(), &[src.clone()].into(), Repair::No).unwrap();
        (src, top)
    }

    /// Sends requests on one connection; gives the answers' heads (in small letters) and bodies.
    fn ask(&self, requests: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(&requests.concat()).unwrap();
        let mut answers = Vec::new();
        for request in requests {
            let mut head = String::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                    break;
                }
                head.push_str(&line.to_lowercase());
            }
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "))
                .map_or(0, |l| l.trim().parse().unwrap());
            let mut body = vec![0; if request.starts_with(b"HEAD") { 0 } else { length }];
            reader.read_exact(&mut body).unwrap();
            answers.push((head, body));
        }
        answers
    }

    fn get(&self, path: &str, fields: &str) -> (String, Vec<u8>) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\n{fields}\r\n");
        self.ask(&[request.as_bytes()]).remove(0)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn nar(store: &LocalStore, path: &StorePath) -> Vec<u8> {
    let mut nar = Vec::new();
    store.nar_from_path(path, &mut nar).unwrap();
    nar
}

#[test]
fn a_closure_comes_signed() {
    for zstd in [None, Some(3)] {
        let key = SecretKey::from_seed("cache-1", &[1; 32]).unwrap();
        let options =
            ServeOptions { secret_keys: vec![key.clone()], zstd, ..ServeOptions::default() };
        let world = World::new(options);
        let (src, top) = world.closure(&world.store);
        // a path that is believed only because of the signature
        let mut unaddressed = (*world.store.path_info(&top).unwrap()).clone();
        unaddressed.path = StorePath::from_base_name(&format!("{}-t", "g".repeat(32))).unwrap();
        unaddressed.ca = None;
        let bytes = nar(&world.store, &top);
        world.store.add_nar(&unaddressed, &mut &bytes[..], Repair::No).unwrap();
        let cache = world.client("");
        let role = cache.substituter_role();
        assert!(role.priority == 30 && role.want_mass_query);
        let to = local(world.dir.path(), "to");
        let trust = Trust::Keys(vec![key.public_key()]);
        let options = CopyOptions::new(trust, Logger::silent());
        let wanted = [unaddressed.path.clone(), top.clone()].into();
        copy_closure(&*cache, &to, &wanted, &options).unwrap();
        for path in [&src, &top, &unaddressed.path] {
            assert_eq!(to.check_path(path).unwrap(), None);
        }
        let stranger = SecretKey::from_seed("cache-1", &[2; 32]).unwrap().public_key();
        let other = local(world.dir.path(), "other");
        let options = CopyOptions::new(Trust::Keys(vec![stranger]), Logger::silent());
        copy_path(&*cache, &other, &src, &options).unwrap();
        assert!(copy_path(&*cache, &other, &unaddressed.path, &options).is_err());
    }
}

#[test]
fn parts_heads_and_several_requests_at_once() {
    let world = World::new(ServeOptions::default());
    let (src, _) = world.closure(&world.store);
    let real = nar(&world.store, &src);
    let (head, body) = world.get(&format!("/{}.narinfo", src.hash_part()), "");
    assert!(head.contains("text/x-nix-narinfo"), "{head}");
    let text = String::from_utf8(body).unwrap();
    let url = text.lines().find_map(|l| l.strip_prefix("URL: ")).unwrap();
    let url = format!("/{url}");
    let (head, body) = world.get(&url, "");
    assert!(head.starts_with("http/1.1 200") && body == real, "{head}");
    let etag = head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap().to_owned();
    let (head, body) = world.get(&url, "range: bytes=1000-250000\r\n");
    assert!(head.starts_with("http/1.1 206"), "{head}");
    assert!(head.contains(&format!("content-range: bytes 1000-250000/{}", real.len())), "{head}");
    assert_eq!(body, real[1000..=250_000]);
    let (head, body) = world.get(&url, "range: bytes=5-\r\nif-range: \"other\"\r\n");
    assert!(head.starts_with("http/1.1 200") && body == real, "{head}");
    let (head, _) = world.get(&url, &format!("range: bytes={}-\r\n", real.len()));
    assert!(head.starts_with("http/1.1 416"), "{head}");
    let (head, _) = world.get(&url, &format!("if-none-match: {etag}\r\n"));
    assert!(head.starts_with("http/1.1 304"), "{head}");
    // pipelined
    let head_request = format!("HEAD {url} HTTP/1.1\r\n\r\n");
    let answers = world.ask(&[
        b"GET /nix-cache-info HTTP/1.1\r\n\r\n",
        head_request.as_bytes(),
        b"GET /none HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
    ]);
    assert_eq!(answers[0].1, b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n");
    assert!(answers[1].0.contains(&format!("content-length: {}", real.len())));
    assert!(answers[2].0.starts_with("http/1.1 404"));
    assert!(answers[3].0.contains("connection: close"));
    let (_, listing) = world.get(&format!("/{}.ls", src.hash_part()), "");
    let listing = String::from_utf8(listing).unwrap();
    assert!(listing.starts_with(r#"{"root":{"entries":{"l":{"target":"x","#), "{listing}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::new(ServeOptions::default());
    let refused = |request: &[u8], status: &str| {
        let (head, _) = world.ask(&[request]).remove(0);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
    };
    refused(b"nonsense\r\n\r\n", "400");
    refused(b"DELETE / HTTP/1.1\r\n\r\n", "405");
    refused(b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", "404");
    refused(b"GET /nar/..%2f..%2fetc HTTP/1.1\r\n\r\n", "404");
    refused(b"GET /log/%2e%2e HTTP/1.1\r\n\r\n", "404");
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    refused(long.as_bytes(), "400");
    // nobody may upload where there are no tokens
    refused(
        b"PUT /x.narinfo HTTP/1.1\r\nauthorization: Bearer \r\ncontent-length: 0\r\n\r\n",
        "403",
    );
}

fn uploads(trust: Trust, retention: Retention) -> World {
    World::new(ServeOptions {
        tokens: vec!["secret".into()],
        trust,
        retention,
        ..ServeOptions::default()
    })
}

#[test]
fn uploads_need_a_token_and_are_checked() {
    let key = SecretKey::from_seed("up-1", &[1; 32]).unwrap();
    let world = uploads(Trust::Keys(vec![key.public_key()]), Retention::default());
    let from = local(world.dir.path(), "from");
    let (src, top) = world.closure(&from);
    let wanted: BTreeSet<StorePath> = [top.clone()].into();
    let options = CopyOptions::new(Trust::Everybody, Logger::silent());
    for user in ["", "u:wrong@"] {
        let error = copy_closure(&from, &*world.client(user), &wanted, &options).unwrap_err();
        assert!(error.to_string().contains("HTTP error 401"), "{error}");
        assert!(!world.store.is_valid(&src).unwrap());
    }
    copy_closure(&from, &*world.client("u:secret@"), &wanted, &options).unwrap();
    for path in [&src, &top] {
        assert_eq!(world.store.check_path(path).unwrap(), None);
        let info = world.store.path_info(path).unwrap();
        assert!(!info.ultimate && !info.nar_hash.as_bytes().is_empty());
    }
    let waiting = world.store.layout().state_dir.join("firn-serve/uploads");
    assert_eq!(std::fs::read_dir(waiting).unwrap().count(), 0);
    // what does not follow from its contents must be signed
    let mut info = PathInfo::new(
        StorePath::from_base_name(&format!("{}-t", "g".repeat(32))).unwrap(),
        Hash::digest(HashAlgo::Sha256, &nar(&from, &src)),
        nar(&from, &src).len() as u64,
    );
    let bytes = nar(&from, &src);
    let put =
        |info: &PathInfo| world.client("u:secret@").add_nar(info, &mut &bytes[..], Repair::No);
    let error = put(&info).unwrap_err().to_string();
    assert!(error.contains("lacks a signature by a trusted key"), "{error}");
    assert!(!world.store.is_valid(&info.path).unwrap());
    info.signatures.insert(key.sign(info.fingerprint(from.store_dir()).as_bytes()));
    put(&info).unwrap();
    assert!(world.store.is_valid(&info.path).unwrap());
}

/// A request that uploads something with the token.
fn put(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "PUT {path} HTTP/1.1\r\nauthorization: Bearer secret\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn uploads_that_lie_leave_nothing() {
    let world = uploads(Trust::Everybody, Retention::default());
    let from = local(world.dir.path(), "from");
    let (src, _) = world.closure(&from);
    let bytes = nar(&from, &src);
    let info = from.path_info(&src).unwrap();
    let dir = from.store_dir();
    let narinfo = |hash: &Hash, size: usize, references: &str, compression: &str| {
        format!(
            "StorePath: {}\nURL: nar/x.nar\nCompression: {compression}\nNarHash: {hash}\nNarSize: {size}\nReferences: {references}\n",
            dir.print(&src)
        )
    };
    let target = format!("/{}.narinfo", src.hash_part());
    let attempt = |text: String, status: &str, why: &str| {
        let (head, body) = world.ask(&[&put(&target, text.as_bytes())]).remove(0);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}{body}");
        assert!(body.contains(why), "{body}");
        assert!(!world.store.is_valid(&src).unwrap());
        assert!(!world.store.real_path(&src).exists());
    };
    let good = narinfo(&info.nar_hash, bytes.len(), "", "none");
    attempt(good.clone(), "409", "must be uploaded first");
    let (head, _) = world.ask(&[&put("/nar/x.nar", &bytes)]).remove(0);
    assert!(head.starts_with("http/1.1 201"), "{head}");
    let other = Hash::digest(HashAlgo::Sha256, b"other");
    attempt(narinfo(&other, bytes.len(), "", "none"), "400", "hash mismatch");
    attempt(narinfo(&info.nar_hash, bytes.len() + 1, "", "none"), "400", "size mismatch");
    attempt(narinfo(&info.nar_hash, 8, "", "none"), "400", "");
    attempt(narinfo(&info.nar_hash, bytes.len(), "", "xz"), "400", "");
    let missing = format!("{}-m", "h".repeat(32));
    attempt(narinfo(&info.nar_hash, bytes.len(), &missing, "none"), "409", "which is not here");
    attempt(good.replace("nar/x.nar", "nar/../x.nar"), "400", "is not the URL of an archive");
    attempt(good.replace(src.hash_part(), &"0".repeat(32)), "400", "is about another path");
    attempt("nonsense\n".into(), "400", "corrupt");
    for name in ["/nar/../x.nar", "/nar/.x.nar", "/nar/a%2fb.nar", "/etc/x"] {
        let (head, _) = world.ask(&[&put(name, b"x")]).remove(0);
        assert!(head.starts_with("http/1.1 40"), "{name}: {head}");
    }
    // chunked, and then good
    let mut chunked =
        b"PUT /nar/x.nar HTTP/1.1\r\nauthorization: bearer secret\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for piece in bytes.chunks(70_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answers = world.ask(&[&chunked, &put(&target, good.as_bytes())]);
    assert!(answers[0].0.starts_with("http/1.1 201"), "{}", answers[0].0);
    assert!(answers[1].0.starts_with("http/1.1 201"), "{}", answers[1].0);
    assert_eq!(world.store.check_path(&src).unwrap(), None);
}

#[test]
fn what_is_too_much_is_deleted_and_nothing_else() {
    let retention = Retention {
        max_size: Some(400_000),
        interval: Duration::from_millis(100),
        ..Retention::default()
    };
    let world = uploads(Trust::Everybody, retention);
    let own = world.store.add_text("own", b"own", &BTreeSet::new(), Repair::No).unwrap();
    let from = local(world.dir.path(), "from");
    let options = CopyOptions::new(Trust::Everybody, Logger::silent());
    let cache = world.client("u:secret@");
    let mut paths = Vec::new();
    for n in 0..3u8 {
        let text = vec![n; 150_000];
        let path = from.add_text(&format!("p{n}"), &text, &BTreeSet::new(), Repair::No).unwrap();
        copy_path(&from, &*cache, &path, &options).unwrap();
        // times of links count in seconds
        let link = world.store.layout().gc_roots_dir().join("firn-serve").join(path.base_name());
        assert!(link.symlink_metadata().is_ok());
        paths.push(path);
        std::thread::sleep(Duration::from_millis(1100));
    }
    let until = std::time::Instant::now() + Duration::from_secs(10);
    let left = || {
        world.store.clear_cache();
        paths.iter().filter(|p| world.store.is_valid(p).unwrap()).count()
    };
    while left() > 2 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(), 2);
    assert!(!world.store.is_valid(&paths[0]).unwrap());
    assert!(world.store.is_valid(&own).unwrap());
}
