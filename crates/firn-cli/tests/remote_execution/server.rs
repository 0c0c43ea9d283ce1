//! A small server that speaks the Remote Execution API: blobs in a folder, actions run one like another as programs of
//! this machine in a folder of their own. It can be told to misbehave.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use firn_model::hash::{Hash, HashAlgo};
use firn_reapi::wire::grpc::{Code, Framed, Status, send_framed, trailers};
use firn_reapi::wire::messages as re;
use firn_reapi::wire::proto::Message;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

type Answer<T> = Result<T, Status>;

/// What the server does wrong, and what it was asked.
#[derive(Default)]
pub struct Behaviour {
    /// How many times the connection breaks while an action is waited for.
    pub cuts: AtomicUsize,
    /// Blobs come with a wrong byte.
    pub corrupt: AtomicBool,
    /// Forget a result's blobs and all inputs, once, before executing.
    pub forget: AtomicBool,
    /// Refuse to execute with this message.
    pub refuse: Mutex<Option<String>>,
    /// How many actions were run, not counting results that were known.
    pub executed: AtomicUsize,
    /// How many actions were asked for.
    pub asked: AtomicUsize,
    /// How many waits were resumed.
    pub resumed: AtomicUsize,
    /// How many executions were cancelled.
    pub cancelled: AtomicUsize,
    /// How many actions ran at the same time, at most.
    pub most: AtomicUsize,
    running: AtomicUsize,
    /// Bytes of blobs that were sent here.
    pub received: AtomicUsize,
    /// The header "authorization" of the last call.
    pub authorization: Mutex<Option<String>>,
    /// The platform of the last action.
    pub platform: Mutex<Vec<(String, String)>>,
}

struct Running {
    stop: AtomicBool,
    log: PathBuf,
    outcome: Mutex<Option<re::ExecuteResponse>>,
}

struct Shared {
    dir: PathBuf,
    behaviour: Arc<Behaviour>,
    results: Mutex<HashMap<String, re::ActionResult>>,
    operations: Mutex<HashMap<String, Arc<Running>>>,
    connections: Mutex<Vec<AbortHandle>>,
    count: AtomicUsize,
}

/// A server that runs until it is dropped.
pub struct Server {
    pub port: u16,
    pub behaviour: Arc<Behaviour>,
    _runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// A server by TLS, with the certificate and the key in these files.
    pub fn start_tls(certificate: &Path, key: &Path) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_file_iter(certificate).unwrap();
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                chain.map(Result::unwrap).collect(),
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start_with(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))))
    }

    fn start_with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        fs::create_dir(path.join("blobs")).unwrap();
        let behaviour = Arc::new(Behaviour::default());
        let shared = Arc::new(Shared {
            dir: path,
            behaviour: behaviour.clone(),
            results: Mutex::default(),
            operations: Mutex::default(),
            connections: Mutex::default(),
            count: AtomicUsize::new(0),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (own, tls) = (shared.clone(), tls.clone());
                let task = tokio::spawn(async move {
                    match tls {
                        None => connection(own, socket).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                connection(own, socket).await;
                            }
                        }
                    }
                });
                shared.connections.lock().unwrap().push(task.abort_handle());
            }
        });
        Self { port, behaviour, _runtime: runtime, _dir: dir }
    }
}

async fn connection(
    shared: Arc<Shared>,
    socket: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
) {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(4 << 20).initial_connection_window_size(16 << 20);
    builder.max_frame_size(1 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move { call(&shared, request, respond).await });
    }
}

/// The side of a call that answers.
struct Out(SendStream<Bytes>);

impl Out {
    async fn send(&mut self, message: &impl Message) -> Answer<()> {
        send_framed(&mut self.0, &message.encode(), false).await
    }
}

async fn call(
    shared: &Arc<Shared>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization");
    *shared.behaviour.authorization.lock().unwrap() =
        authorization.map(|value| value.to_str().unwrap().to_owned());
    let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let Ok(stream) = respond.send_response(response, false) else { return };
    let mut out = Out(stream);
    let asked = Framed::new(request.into_body());
    let status = answer(shared, &path, asked, &mut out).await;
    let _ = out.0.send_trailers(trailers(&status));
}

async fn question<M: Message>(asked: &mut Framed) -> Answer<M> {
    let bytes = asked.next().await?.unwrap_or_default();
    M::decode(&bytes).map_err(|e| Status::new(Code::INVALID_ARGUMENT, e.to_string()))
}

async fn answer(shared: &Arc<Shared>, path: &str, mut asked: Framed, out: &mut Out) -> Answer<()> {
    match path.rsplit('/').next().unwrap() {
        "GetCapabilities" => {
            out.send(&re::ServerCapabilities {
                cache_capabilities: Some(re::CacheCapabilities {
                    digest_functions: vec![re::SHA256],
                    max_batch_total_size_bytes: 1 << 20,
                    symlink_absolute_path_strategy: 2,
                }),
                execution_capabilities: Some(re::ExecutionCapabilities {
                    digest_function: re::SHA256,
                    exec_enabled: true,
                }),
                high_api_version: Some(re::SemVer { major: 2, minor: 3 }),
            })
            .await
        }
        "FindMissingBlobs" => {
            let question: re::FindMissingBlobsRequest = question(&mut asked).await?;
            let missing = |digest: &re::Digest| !shared.blob(digest).exists();
            let missing_blob_digests = question.blob_digests.into_iter().filter(missing).collect();
            out.send(&re::FindMissingBlobsResponse { missing_blob_digests }).await
        }
        "BatchUpdateBlobs" => {
            let question: re::BatchUpdateBlobsRequest = question(&mut asked).await?;
            let mut responses = Vec::new();
            for blob in question.requests {
                let digest = shared.keep(&blob.data);
                shared.behaviour.received.fetch_add(blob.data.len(), Ordering::Relaxed);
                let status = (Some(&digest) != blob.digest.as_ref()).then(|| re::Status {
                    code: Code::INVALID_ARGUMENT.0,
                    message: "digest mismatch".into(),
                });
                responses.push(re::BlobUpdated { digest: blob.digest, status });
            }
            out.send(&re::BatchUpdateBlobsResponse { responses }).await
        }
        "BatchReadBlobs" => {
            let question: re::BatchReadBlobsRequest = question(&mut asked).await?;
            let mut responses = Vec::new();
            for digest in question.digests {
                let (data, status) = match shared.read(&digest) {
                    Ok(data) => (data, None),
                    Err(e) => (vec![], Some(re::Status { code: e.code.0, message: e.message })),
                };
                responses.push(re::BlobRead { digest: Some(digest), data, status });
            }
            out.send(&re::BatchReadBlobsResponse { responses }).await
        }
        "Write" => shared.write(asked, out).await,
        "Read" => {
            let question: re::ReadRequest = question(&mut asked).await?;
            shared.stream(&question, out).await
        }
        "Execute" => {
            let question: re::ExecuteRequest = question(&mut asked).await?;
            let operation = shared.execute(&question)?;
            shared.wait(&operation, out).await
        }
        "WaitExecution" => {
            let question: re::WaitExecutionRequest = question(&mut asked).await?;
            shared.behaviour.resumed.fetch_add(1, Ordering::Relaxed);
            shared.wait(&question.name, out).await
        }
        "CancelOperation" => {
            let question: re::CancelOperationRequest = question(&mut asked).await?;
            shared.behaviour.cancelled.fetch_add(1, Ordering::Relaxed);
            if let Some(running) = shared.operations.lock().unwrap().get(&question.name) {
                running.stop.store(true, Ordering::Relaxed);
            }
            out.send(&re::Empty {}).await
        }
        _ => Err(Status::new(Code::UNIMPLEMENTED, "no such call")),
    }
}

pub fn digest(data: &[u8]) -> re::Digest {
    let hash = Hash::digest(HashAlgo::Sha256, data);
    let hash = hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    re::Digest { hash, size_bytes: data.len().try_into().unwrap() }
}

impl Shared {
    fn blob(&self, digest: &re::Digest) -> PathBuf {
        self.dir.join("blobs").join(&digest.hash)
    }

    fn keep(&self, data: &[u8]) -> re::Digest {
        let digest = digest(data);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!("new-{number}"));
        fs::write(&temporary, data).unwrap();
        // large ones are shared by actions
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(temporary, self.blob(&digest)).unwrap();
        digest
    }

    fn plain(&self, digest: &re::Digest) -> Answer<Vec<u8>> {
        if digest.size_bytes == 0 {
            return Ok(Vec::new());
        }
        fs::read(self.blob(digest))
            .map_err(|_| Status::new(Code::FAILED_PRECONDITION, format!("no blob {}", digest.hash)))
    }

    /// What a client gets to see.
    fn read(&self, digest: &re::Digest) -> Answer<Vec<u8>> {
        let mut data = self.plain(digest).map_err(|e| Status::new(Code::NOT_FOUND, e.message))?;
        if self.behaviour.corrupt.load(Ordering::Relaxed)
            && let Some(last) = data.last_mut()
        {
            *last ^= 1;
        }
        Ok(data)
    }

    async fn write(&self, mut asked: Framed, out: &mut Out) -> Answer<()> {
        let mut data = Vec::new();
        let mut name = String::new();
        while let Some(bytes) = asked.next().await? {
            let piece = re::WriteRequest::decode(&bytes).unwrap();
            if name.is_empty() {
                name = piece.resource_name;
            }
            assert_eq!(piece.write_offset, data.len() as i64);
            data.extend(piece.data);
            if piece.finish_write {
                break;
            }
        }
        self.behaviour.received.fetch_add(data.len(), Ordering::Relaxed);
        let digest = self.keep(&data);
        let parts: Vec<&str> = name.split('/').collect();
        let [.., "uploads", _, "blobs", hash, size] = parts[..] else {
            return Err(Status::new(Code::INVALID_ARGUMENT, name));
        };
        if (hash, size) != (&digest.hash, &digest.size_bytes.to_string()) {
            return Err(Status::new(Code::INVALID_ARGUMENT, "digest mismatch"));
        }
        out.send(&re::WriteResponse { committed_size: digest.size_bytes }).await
    }

    async fn stream(&self, question: &re::ReadRequest, out: &mut Out) -> Answer<()> {
        let parts: Vec<&str> = question.resource_name.split('/').collect();
        match parts[..] {
            [.., "blobs", hash, size] => {
                let digest = re::Digest { hash: hash.into(), size_bytes: size.parse().unwrap() };
                for piece in self.read(&digest)?.chunks(300_000) {
                    out.send(&re::ReadResponse { data: piece.to_vec() }).await?;
                }
                Ok(())
            }
            ["logs", name] => {
                let running = self.operation(name)?;
                let mut offset = usize::try_from(question.read_offset).unwrap();
                loop {
                    let ended = running.outcome.lock().unwrap().is_some();
                    let text = fs::read(&running.log).unwrap_or_default();
                    if text.len() > offset {
                        out.send(&re::ReadResponse { data: text[offset..].to_vec() }).await?;
                        offset = text.len();
                    }
                    if ended {
                        return Ok(());
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            _ => Err(Status::new(Code::NOT_FOUND, "no such resource")),
        }
    }

    fn operation(&self, name: &str) -> Answer<Arc<Running>> {
        let operations = self.operations.lock().unwrap();
        let found = operations.get(name).cloned();
        found.ok_or_else(|| Status::new(Code::NOT_FOUND, "no such operation"))
    }

    /// Begins an execution; gives the operation's name.
    fn execute(self: &Arc<Self>, question: &re::ExecuteRequest) -> Answer<String> {
        self.behaviour.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(message) = &*self.behaviour.refuse.lock().unwrap() {
            return Err(Status::new(Code::PERMISSION_DENIED, message));
        }
        if self.behaviour.forget.swap(false, Ordering::Relaxed) {
            for blob in fs::read_dir(self.dir.join("blobs")).unwrap() {
                fs::remove_file(blob.unwrap().path()).unwrap();
            }
        }
        let digest = question.action_digest.clone().unwrap();
        let name = format!("op{}", self.count.fetch_add(1, Ordering::Relaxed));
        let running = Arc::new(Running {
            stop: AtomicBool::new(false),
            log: self.dir.join(format!("{name}.log")),
            outcome: Mutex::new(None),
        });
        self.operations.lock().unwrap().insert(name.clone(), running.clone());
        let known = self.results.lock().unwrap().get(&digest.hash).cloned();
        if let Some(result) = known.filter(|_| !question.skip_cache_lookup) {
            *running.outcome.lock().unwrap() = Some(re::ExecuteResponse {
                result: Some(result),
                cached_result: true,
                ..re::ExecuteResponse::default()
            });
            return Ok(name);
        }
        let shared = self.clone();
        std::thread::spawn(move || {
            let count = shared.behaviour.running.fetch_add(1, Ordering::Relaxed) + 1;
            shared.behaviour.most.fetch_max(count, Ordering::Relaxed);
            // a panic here must not leave somebody waiting for ever
            let run = std::panic::AssertUnwindSafe(|| shared.run(&digest, &running));
            let ran = std::panic::catch_unwind(run)
                .unwrap_or_else(|_| Err(Status::new(Code::UNKNOWN, "the server panicked")));
            let outcome = ran.unwrap_or_else(|status| {
                let status = re::Status { code: status.code.0, message: status.message };
                re::ExecuteResponse { status: Some(status), ..re::ExecuteResponse::default() }
            });
            shared.behaviour.running.fetch_sub(1, Ordering::Relaxed);
            // failures are kept, too, as some servers do
            if let Some(result) = &outcome.result {
                shared.results.lock().unwrap().insert(digest.hash, result.clone());
            }
            *running.outcome.lock().unwrap() = Some(outcome);
        });
        Ok(name)
    }

    async fn wait(&self, name: &str, out: &mut Out) -> Answer<()> {
        let running = self.operation(name)?;
        let metadata = re::ExecuteOperationMetadata {
            stage: 3,
            stdout_stream_name: format!("logs/{name}"),
            ..re::ExecuteOperationMetadata::default()
        };
        let mut operation = re::Operation {
            name: name.into(),
            metadata: Some(re::Any { type_url: String::new(), value: metadata.encode() }),
            ..re::Operation::default()
        };
        out.send(&operation).await?;
        let cuts = &self.behaviour.cuts;
        let fewer = |left: usize| left.checked_sub(1);
        if cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            for connection in self.connections.lock().unwrap().drain(..) {
                connection.abort();
            }
        }
        loop {
            let outcome = running.outcome.lock().unwrap().clone();
            if let Some(outcome) = outcome {
                operation.done = true;
                operation.response =
                    Some(re::Any { type_url: String::new(), value: outcome.encode() });
                return out.send(&operation).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn run(&self, digest: &re::Digest, running: &Running) -> Answer<re::ExecuteResponse> {
        let bad = |_| Status::new(Code::INVALID_ARGUMENT, "bad message");
        let action = re::Action::decode(&self.plain(digest)?).map_err(bad)?;
        let command = action.command_digest.unwrap_or_default();
        let command = re::Command::decode(&self.plain(&command)?).map_err(bad)?;
        *self.behaviour.platform.lock().unwrap() = action
            .platform
            .unwrap_or_default()
            .properties
            .into_iter()
            .map(|p| (p.name, p.value))
            .collect();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join(format!("run-{number}"));
        self.stage(&action.input_root_digest.unwrap_or_default(), &dir)?;
        self.behaviour.executed.fetch_add(1, Ordering::Relaxed);
        let errors = self.dir.join(format!("run-{number}.err"));
        let mut child = Command::new(dir.join(&command.arguments[0]))
            .args(&command.arguments[1..])
            .env_clear()
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(File::create(&running.log).unwrap())
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .map_err(|e| Status::new(Code::INTERNAL, e.to_string()))?;
        let begin = Instant::now();
        let exit = loop {
            if let Some(exit) = child.try_wait().unwrap() {
                break exit;
            }
            let over = action
                .timeout
                .as_ref()
                .is_some_and(|limit| begin.elapsed().as_secs() as i64 >= limit.seconds);
            if over || running.stop.load(Ordering::Relaxed) {
                child.kill().unwrap();
                child.wait().unwrap();
                let code = if over { Code::DEADLINE_EXCEEDED } else { Code::CANCELLED };
                return Err(Status::new(code, "killed"));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut result = re::ActionResult {
            exit_code: exit.code().unwrap_or(-1),
            // one way and the other
            stdout_digest: Some(self.keep(&fs::read(&running.log).unwrap())),
            stderr_raw: fs::read(&errors).unwrap(),
            ..re::ActionResult::default()
        };
        for path in command.output_paths {
            if dir.join(&path).is_dir() {
                let mut children = Vec::new();
                let root = self.collect(&dir.join(&path), &mut children);
                let tree = re::Tree { root, children };
                let tree_digest = Some(self.keep(&tree.encode()));
                result.output_directories.push(re::OutputDirectory { path, tree_digest });
            }
        }
        // as a worker that is not root: what cannot be emptied stays
        fs::remove_dir_all(&dir).map_err(|e| Status::new(Code::INTERNAL, e.to_string()))?;
        Ok(re::ExecuteResponse { result: Some(result), ..re::ExecuteResponse::default() })
    }

    fn stage(&self, digest: &re::Digest, place: &Path) -> Answer<()> {
        let folder = re::Directory::decode(&self.plain(digest)?)
            .map_err(|_| Status::new(Code::INVALID_ARGUMENT, "bad folder"))?;
        fs::create_dir(place).unwrap();
        for file in folder.files {
            let digest = file.digest.unwrap();
            let path = place.join(&file.name);
            if file.is_executable && digest.size_bytes > 1 << 20 {
                self.plain(&re::Digest { size_bytes: 1, ..digest.clone() })?;
                fs::hard_link(self.blob(&digest), path).unwrap();
                continue;
            }
            let mut out = File::create(&path).unwrap();
            out.write_all(&self.plain(&digest)?).unwrap();
            let mode = if file.is_executable { 0o755 } else { 0o644 };
            out.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        }
        for link in folder.symlinks {
            symlink(link.target, place.join(link.name)).unwrap();
        }
        for inner in folder.directories {
            self.stage(&inner.digest.unwrap(), &place.join(inner.name))?;
        }
        Ok(())
    }

    fn collect(&self, path: &Path, children: &mut Vec<Vec<u8>>) -> Vec<u8> {
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            entries.insert(entry.file_name().into_string().unwrap(), entry.path());
        }
        let mut folder = re::Directory::default();
        for (name, path) in entries {
            let meta = path.symlink_metadata().unwrap();
            if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string().into_string().unwrap();
                folder.symlinks.push(re::SymlinkNode { name, target });
            } else if meta.is_dir() {
                let inner = self.collect(&path, children);
                let digest = Some(self.keep(&inner));
                children.push(inner);
                folder.directories.push(re::DirectoryNode { name, digest });
            } else {
                let is_executable = meta.permissions().mode() & 0o100 != 0;
                let digest = Some(self.keep(&fs::read(&path).unwrap()));
                folder.files.push(re::FileNode { name, digest, is_executable });
            }
        }
        folder.encode()
    }
}
