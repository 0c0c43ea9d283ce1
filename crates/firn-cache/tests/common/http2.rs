//! A web server over a folder that speaks HTTP/2 and nothing else.

#![allow(missing_docs, dead_code, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A file of the folder `tls`.
pub fn tls_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

#[derive(Default)]
pub struct Seen {
    /// How many connections were made.
    pub connections: AtomicUsize,
    /// How many requests were there at most at a time.
    pub most: AtomicUsize,
    /// Methods, paths, ranges, in the order in which they came.
    pub requests: Mutex<Vec<String>>,
    /// A path whose answer is broken off once, after so many bytes.
    pub cut: Mutex<Option<(String, usize)>>,
    running: AtomicUsize,
    changed: Notify,
}

pub struct Http2Server {
    pub url: String,
    pub seen: Arc<Seen>,
}

impl Http2Server {
    /// A server over `root`. It answers small files only when `gate` requests have come, or after a while.
    pub fn new(root: &Path, gate: usize) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain =
            CertificateDer::pem_file_iter(tls_file("server.pem")).unwrap().map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect(), key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let seen = Arc::<Seen>::default();
        let (to, address) = std::sync::mpsc::channel();
        let (shared, root) = (Arc::clone(&seen), root.to_owned());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(listen(Arc::new(config), to, shared, root, gate));
        });
        Self { url: format!("https://{}", address.recv().unwrap()), seen }
    }
}

async fn listen(
    config: Arc<ServerConfig>,
    to: std::sync::mpsc::Sender<SocketAddr>,
    seen: Arc<Seen>,
    root: PathBuf,
    gate: usize,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    to.send(listener.local_addr().unwrap()).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, seen, root) = (acceptor.clone(), Arc::clone(&seen), root.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            seen.connections.fetch_add(1, Ordering::SeqCst);
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                let (seen, root) = (Arc::clone(&seen), root.clone());
                tokio::spawn(async move {
                    let now = seen.running.fetch_add(1, Ordering::SeqCst) + 1;
                    seen.most.fetch_max(now, Ordering::SeqCst);
                    seen.changed.notify_waiters();
                    answer(request, respond, &seen, &root, gate).await;
                    seen.running.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }
}

/// Waits until so many requests have come at a time, but not for ever.
async fn meet(seen: &Seen, gate: usize) {
    let _ = tokio::time::timeout(Duration::from_secs(3), async {
        loop {
            let changed = seen.changed.notified();
            if seen.most.load(Ordering::SeqCst) >= gate {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
        }
    })
    .await;
}

async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: &Seen,
    root: &Path,
    gate: usize,
) {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let range = head.headers.get("range").map(|r| r.to_str().unwrap().to_owned());
    let noted = format!("{} {path} {}", head.method, range.clone().unwrap_or_default());
    seen.requests.lock().unwrap().push(noted.trim().to_owned());
    let file = root.join(path.trim_start_matches('/'));
    let status = |status: u16| http::Response::builder().status(status);
    if head.method == "PUT" {
        let mut whole = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
            whole.extend_from_slice(&piece);
        }
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, whole).unwrap();
        respond.send_response(status(201).body(()).unwrap(), true).unwrap();
        return;
    }
    if path.ends_with(".narinfo") {
        meet(seen, gate).await;
    }
    let Ok(contents) = std::fs::read(&file) else {
        respond.send_response(status(404).body(()).unwrap(), true).unwrap();
        return;
    };
    let from: usize =
        range.map_or(0, |r| r["bytes=".len()..].trim_end_matches('-').parse().unwrap());
    let mut answer = status(if from > 0 { 206 } else { 200 })
        .header("etag", "\"e\"")
        .header("content-length", contents.len() - from);
    if from > 0 {
        let (last, all) = (contents.len() - 1, contents.len());
        answer = answer.header("content-range", format!("bytes {from}-{last}/{all}"));
    }
    let mut stream = respond.send_response(answer.body(()).unwrap(), false).unwrap();
    if head.method == "HEAD" {
        let _ = stream.send_data(Bytes::new(), true);
        return;
    }
    let cut = seen.cut.lock().unwrap().take_if(|(end, _)| path.ends_with(&**end));
    let rest = Bytes::from(contents).split_off(from);
    match cut {
        Some((_, bytes)) => {
            send(&mut stream, rest.slice(..bytes), false).await;
            // what was sent is to arrive first
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.send_reset(Reason::INTERNAL_ERROR);
        }
        None => send(&mut stream, rest, true).await,
    }
}

/// Sends as the other side takes it.
async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes, end: bool) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len().min(64 * 1024));
        let Some(Ok(room)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return;
        };
        let piece = data.split_to(room.min(data.len()));
        if stream.send_data(piece, end && data.is_empty()).is_err() {
            return;
        }
    }
}
