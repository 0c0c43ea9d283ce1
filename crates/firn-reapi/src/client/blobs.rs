//! Blobs: which the server lacks, sending them, fetching them. What comes is compared with its name.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{CALL, Client};
use crate::api::{BlobId, Summing, re};
use crate::error::{Error, Result};
use crate::wire::grpc::{Answers, Code, Status, within};
use crate::wire::proto::Message;

/// How many names are in one question.
const NAMES: usize = 10_000;
/// How many calls are under way at a time.
const CALLS: usize = 8;
/// How much of a large blob is in one message.
const PIECE: usize = 1 << 20;
/// How long a piece of a large blob may take.
const STALLED: Duration = Duration::from_secs(120);
/// What a blob takes of a call besides its contents, at most.
const FRAMING: u64 = 200;

/// A blob that can be sent.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its name.
    pub id: BlobId,
    /// What it is.
    pub contents: Contents,
}

/// Where the contents of a blob are.
#[derive(Debug, Clone)]
pub enum Contents {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In a file.
    File(Arc<Path>),
}

impl Blob {
    /// These bytes.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self { id: BlobId::of(&bytes), contents: Contents::Bytes(bytes.into()) }
    }

    fn read(&self) -> Result<Vec<u8>> {
        match &self.contents {
            Contents::Bytes(bytes) => Ok(bytes.to_vec()),
            Contents::File(path) => {
                std::fs::read(path).map_err(Error::file("reading", path.to_path_buf()))
            }
        }
    }
}

/// A file to be written: an executable one or not.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What is in it.
    pub id: BlobId,
    /// Where; nothing is there yet.
    pub path: PathBuf,
    /// Whether it can be executed.
    pub executable: bool,
}

impl Client {
    /// Asks the storage.
    async fn storage<A: Message>(
        &self,
        method: &str,
        question: &impl Message,
    ) -> std::result::Result<A, Status> {
        let path = format!("/build.bazel.remote.execution.v2.ContentAddressableStorage/{method}");
        self.channel.call(&path, &self.headers(), question, CALL).await
    }

    /// Sends those of `blobs` that the server lacks. Gives how many bytes that were.
    ///
    /// # Errors
    /// When one cannot be read or sent.
    pub async fn upload(&self, blobs: Vec<Blob>) -> Result<u64> {
        let mut blobs: HashMap<BlobId, Blob> =
            blobs.into_iter().map(|blob| (blob.id, blob)).collect();
        let missing = self.missing(blobs.keys().copied().collect()).await?;
        let mut sent = 0;
        let mut small = Vec::new();
        let mut size = 0;
        let limit = Arc::new(Semaphore::new(CALLS));
        let mut calls = JoinSet::new();
        for id in missing {
            // a server may ask for what was not offered, but it cannot be given
            let Some(blob) = blobs.remove(&id) else { continue };
            sent += id.size;
            if id.size + FRAMING > self.batch {
                let (client, limit) = (self.clone(), limit.clone());
                calls.spawn(async move {
                    let _turn = limit.acquire_owned().await;
                    client.send_large(&blob).await
                });
                continue;
            }
            if size + id.size + FRAMING > self.batch {
                self.send_later(&mut calls, &limit, std::mem::take(&mut small));
                size = 0;
            }
            size += id.size + FRAMING;
            small.push(blob);
        }
        if !small.is_empty() {
            self.send_later(&mut calls, &limit, small);
        }
        all(calls).await?;
        Ok(sent)
    }

    fn send_later(
        &self,
        calls: &mut JoinSet<Result<()>>,
        limit: &Arc<Semaphore>,
        blobs: Vec<Blob>,
    ) {
        let (client, limit) = (self.clone(), limit.clone());
        calls.spawn(async move {
            let _turn = limit.acquire_owned().await;
            client.send_small(&blobs).await
        });
    }

    /// Which of these blobs the server lacks.
    async fn missing(&self, ids: Vec<BlobId>) -> Result<HashSet<BlobId>> {
        let mut missing = HashSet::new();
        for part in ids.chunks(NAMES) {
            let mut tries = self.retry.begin();
            let answer = loop {
                let attempt: Result<re::FindMissingBlobsResponse> = async {
                    let request = re::FindMissingBlobsRequest {
                        instance_name: self.instance.clone(),
                        blob_digests: part.iter().map(|id| (*id).into()).collect(),
                    };
                    let answer = self.storage("FindMissingBlobs", &request).await;
                    answer.map_err(Error::call("asking which blobs are missing"))
                }
                .await;
                match attempt {
                    Ok(done) => break done,
                    Err(error) => tries.after(error).await?,
                }
            };
            for digest in &answer.missing_blob_digests {
                missing.insert(BlobId::try_from(digest).map_err(Error::Answer)?);
            }
        }
        Ok(missing)
    }

    async fn send_small(&self, blobs: &[Blob]) -> Result<()> {
        let mut left: Vec<&Blob> = blobs.iter().collect();
        let mut tries = self.retry.begin();
        loop {
            let attempt: Result<()> = async {
                let mut requests = Vec::new();
                for blob in &left {
                    requests.push(re::BlobToUpdate {
                        digest: Some(blob.id.into()),
                        data: blob.read()?,
                    });
                }
                let request =
                    re::BatchUpdateBlobsRequest { instance_name: self.instance.clone(), requests };
                let answer = self.storage("BatchUpdateBlobs", &request).await;
                let answer: re::BatchUpdateBlobsResponse =
                    answer.map_err(Error::call("sending blobs"))?;
                let mut failed = None;
                for each in answer.responses {
                    let Some(digest) = &each.digest else { continue };
                    let id = BlobId::try_from(digest).map_err(Error::Answer)?;
                    match each.status.filter(|status| status.code != 0) {
                        None => left.retain(|blob| blob.id != id),
                        Some(status) => {
                            failed = Some(failure(format!("sending blob {id}"), &status));
                        }
                    }
                }
                match (failed, left.first()) {
                    (Some(error), _) => Err(error),
                    (None, None) => Ok(()),
                    (None, Some(blob)) => Err(Error::Answer(format!(
                        "it does not say whether it took blob {}",
                        blob.id
                    ))),
                }
            }
            .await;
            match attempt {
                Ok(done) => return Ok(done),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    async fn send_large(&self, blob: &Blob) -> Result<()> {
        let mut tries = self.retry.begin();
        loop {
            let attempt: Result<()> = async {
                let resource =
                    format!("{}uploads/{}/blobs/{}", self.prefix(), random_uuid(), blob.id);
                let (sender, mut receiver) = mpsc::channel(4);
                let reading = {
                    let blob = blob.clone();
                    tokio::task::spawn_blocking(move || pieces(&blob, &resource, &sender))
                };
                let path = "/google.bytestream.ByteStream/Write";
                let call = async {
                    let (mut asking, mut answers) =
                        self.channel.start(path, &self.headers()).await?;
                    while let Some(piece) = receiver.recv().await {
                        let last = piece.finish_write;
                        // a server that has it already stops listening, and says so
                        if within(STALLED, asking.send(&piece, last)).await.is_err() {
                            break;
                        }
                    }
                    // whoever reads need not go on
                    drop(receiver);
                    within(STALLED, answers.next::<re::WriteResponse>()).await
                };
                let answer = call.await;
                // what cannot be read here is the cause of what the server says of it
                reading.await.map_err(|e| Error::Answer(e.to_string()))??;
                let answer = answer.map_err(Error::call(format!("sending blob {}", blob.id)))?;
                let took = answer.unwrap_or_default().committed_size;
                // -1 is what servers say that had it compressed
                if took != -1 && u64::try_from(took).ok() != Some(blob.id.size) {
                    return Err(Error::Call {
                        what: format!("sending blob {}", blob.id),
                        status: Status::new(
                            Code::ABORTED,
                            format!("the server took {took} bytes of it"),
                        ),
                    });
                }
                Ok(())
            }
            .await;
            match attempt {
                Ok(done) => return Ok(done),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    /// Fetches a blob.
    ///
    /// # Errors
    /// When the server does not have it, or what it has is not what the name says.
    pub async fn fetch(&self, id: BlobId) -> Result<Vec<u8>> {
        if id.size == 0 {
            return Ok(Vec::new());
        }
        let mut tries = self.retry.begin();
        loop {
            let attempt: Result<Vec<u8>> = async {
                let mut bytes = Vec::new();
                self.read_stream(id, &mut bytes).await?;
                Ok(bytes)
            }
            .await;
            match attempt {
                Ok(done) => return Ok(done),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    /// Fetches files.
    ///
    /// # Errors
    /// When one cannot be had or written, or is not what its name says.
    pub async fn fetch_files(&self, files: Vec<Wanted>) -> Result<()> {
        let mut by_id: HashMap<BlobId, Vec<Wanted>> = HashMap::new();
        for file in files {
            by_id.entry(file.id).or_default().push(file);
        }
        let limit = Arc::new(Semaphore::new(CALLS));
        let mut calls = JoinSet::new();
        let (mut small, mut size) = (Vec::new(), 0);
        for (id, files) in by_id {
            if id.size == 0 {
                for file in files {
                    write_file(&file, b"")?;
                }
                continue;
            }
            if id.size + FRAMING > self.batch {
                let (client, limit) = (self.clone(), limit.clone());
                calls.spawn(async move {
                    let _turn = limit.acquire_owned().await;
                    client.fetch_large(id, &files).await
                });
                continue;
            }
            if size + id.size + FRAMING > self.batch {
                self.fetch_later(&mut calls, &limit, std::mem::take(&mut small));
                size = 0;
            }
            size += id.size + FRAMING;
            small.push((id, files));
        }
        if !small.is_empty() {
            self.fetch_later(&mut calls, &limit, small);
        }
        all(calls).await
    }

    fn fetch_later(
        &self,
        calls: &mut JoinSet<Result<()>>,
        limit: &Arc<Semaphore>,
        blobs: Vec<(BlobId, Vec<Wanted>)>,
    ) {
        let (client, limit) = (self.clone(), limit.clone());
        calls.spawn(async move {
            let _turn = limit.acquire_owned().await;
            client.fetch_small(blobs.into_iter().collect()).await
        });
    }

    async fn fetch_small(&self, mut left: HashMap<BlobId, Vec<Wanted>>) -> Result<()> {
        let mut tries = self.retry.begin();
        loop {
            let attempt: Result<()> = async {
                let request = re::BatchReadBlobsRequest {
                    instance_name: self.instance.clone(),
                    digests: left.keys().map(|id| (*id).into()).collect(),
                };
                let answer = self.storage("BatchReadBlobs", &request).await;
                let answer: re::BatchReadBlobsResponse =
                    answer.map_err(Error::call("fetching blobs"))?;
                let mut failed = None;
                for each in answer.responses {
                    let Some(digest) = &each.digest else { continue };
                    let id = BlobId::try_from(digest).map_err(Error::Answer)?;
                    if let Some(status) = each.status.filter(|status| status.code != 0) {
                        failed = Some(failure(format!("fetching blob {id}"), &status));
                        continue;
                    }
                    check(id, BlobId::of(&each.data))?;
                    for file in left.remove(&id).unwrap_or_default() {
                        write_file(&file, &each.data)?;
                    }
                }
                match (failed, left.keys().next()) {
                    (Some(error), _) => Err(error),
                    (None, None) => Ok(()),
                    (None, Some(id)) => Err(Error::Answer(format!("it says nothing of blob {id}"))),
                }
            }
            .await;
            match attempt {
                Ok(done) => return Ok(done),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    async fn fetch_large(&self, id: BlobId, files: &[Wanted]) -> Result<()> {
        let Some((first, others)) = files.split_first() else { return Ok(()) };
        let mut out = create(first)?;
        let mut tries = self.retry.begin();
        loop {
            let attempt: Result<()> = async {
                let again = |e| Error::file("writing", &first.path)(e);
                out.set_len(0).map_err(again)?;
                out.seek(SeekFrom::Start(0)).map_err(again)?;
                self.read_stream(id, &mut out).await
            }
            .await;
            match attempt {
                Ok(()) => break,
                Err(error) => tries.after(error).await?,
            }
        }
        for other in others {
            let mut copy = create(other)?;
            let mut source =
                File::open(&first.path).map_err(Error::file("reading", &first.path))?;
            std::io::copy(&mut source, &mut copy).map_err(Error::file("writing", &other.path))?;
        }
        Ok(())
    }

    async fn read_stream(&self, id: BlobId, out: &mut (dyn Write + Send)) -> Result<()> {
        let what = || format!("fetching blob {id}");
        let resource = format!("{}blobs/{id}", self.prefix());
        let mut stream = self.read(resource, 0).await.map_err(Error::call(what()))?;
        let mut summing = Summing::new(out);
        let mut size = 0;
        while let Some(piece) =
            within(STALLED, stream.next::<re::ReadResponse>()).await.map_err(Error::call(what()))?
        {
            size += piece.data.len() as u64;
            if size > id.size {
                return Err(Error::Corrupt {
                    wanted: id.to_string(),
                    found: format!("more than {} bytes", id.size),
                });
            }
            summing.write_all(&piece.data).map_err(|e| Error::Unsuited(e.to_string()))?;
        }
        check(id, summing.finish().0)
    }

    /// Reads a stream from `offset` on.
    async fn read(
        &self,
        resource_name: String,
        read_offset: i64,
    ) -> std::result::Result<Answers, Status> {
        let request = re::ReadRequest { resource_name, read_offset, read_limit: 0 };
        let path = "/google.bytestream.ByteStream/Read";
        self.channel.ask(path, &self.headers(), &request).await
    }

    /// Reads what is written to a stream, as long as that goes on, and hands it to `take`. That it breaks is no
    /// failure: the log comes with the result, too.
    pub async fn follow(&self, resource: String, take: impl Fn(Vec<u8>) + Send) {
        let mut offset = 0;
        for failures in 1..=3 {
            if let Ok(mut stream) = self.read(resource.clone(), offset).await {
                loop {
                    match stream.next::<re::ReadResponse>().await {
                        Ok(Some(piece)) => {
                            offset += i64::try_from(piece.data.len()).unwrap_or(0);
                            take(piece.data);
                        }
                        Ok(None) => return,
                        Err(_) => break,
                    }
                }
            }
            super::retry::pause(failures).await;
        }
    }
}

fn check(wanted: BlobId, found: BlobId) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    Err(Error::Corrupt { wanted: wanted.to_string(), found: found.to_string() })
}

/// The failure that is in an answer to several questions.
fn failure(what: String, status: &re::Status) -> Error {
    Error::call(what)(Status::new(Code(status.code), status.message.clone()))
}

async fn all(mut calls: JoinSet<Result<()>>) -> Result<()> {
    while let Some(call) = calls.join_next().await {
        call.map_err(|e| Error::Answer(e.to_string()))??;
    }
    Ok(())
}

fn create(file: &Wanted) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .write(true)
        .create_new(true)
        .mode(if file.executable { 0o755 } else { 0o644 })
        .open(&file.path)
        .map_err(Error::file("creating", &file.path))
}

fn write_file(file: &Wanted, contents: &[u8]) -> Result<()> {
    create(file)?.write_all(contents).map_err(Error::file("writing", &file.path))
}

/// Hands a blob on in pieces, as long as anybody takes them.
fn pieces(blob: &Blob, resource: &str, sender: &mpsc::Sender<re::WriteRequest>) -> Result<()> {
    let mut file;
    let mut bytes;
    let (source, path): (&mut dyn Read, &Path) = match &blob.contents {
        Contents::Bytes(all) => {
            bytes = &all[..];
            (&mut bytes, Path::new(""))
        }
        Contents::File(path) => {
            file = File::open(path).map_err(Error::file("reading", &**path))?;
            (&mut file, path)
        }
    };
    let mut offset = 0;
    loop {
        let mut data = Vec::new();
        source.take(PIECE as u64).read_to_end(&mut data).map_err(Error::file("reading", path))?;
        let size = data.len() as u64;
        let last = size < PIECE as u64 || offset + size >= blob.id.size;
        let request = re::WriteRequest {
            resource_name: if offset == 0 { resource.to_owned() } else { String::new() },
            write_offset: i64::try_from(offset).unwrap_or(i64::MAX),
            finish_write: last,
            data,
        };
        // a server that has it already may stop listening
        if sender.blocking_send(request).is_err() || last {
            return Ok(());
        }
        offset += size;
    }
}

fn random_uuid() -> String {
    let mut bytes = rand::random::<u128>();
    // version 4, the usual variant
    bytes = bytes & !(0xf << 76) | 0x4 << 76;
    bytes = bytes & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{bytes:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_uploads_are_random_uuids() {
        let uuid = random_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        assert_ne!(uuid, random_uuid());
    }

    #[test]
    fn large_blobs_go_in_pieces() {
        let blob = Blob::bytes(vec![7; PIECE * 2 + 5]);
        let (sender, mut receiver) = mpsc::channel(10);
        pieces(&blob, "r", &sender).unwrap();
        drop(sender);
        let mut got = Vec::new();
        while let Ok(piece) = receiver.try_recv() {
            got.push((piece.resource_name, piece.write_offset, piece.finish_write, piece.data));
        }
        let shape: Vec<_> =
            got.iter().map(|(name, at, last, data)| (&**name, *at, *last, data.len())).collect();
        let piece = i64::try_from(PIECE).unwrap();
        assert_eq!(
            shape,
            [("r", 0, false, PIECE), ("", piece, false, PIECE), ("", piece * 2, true, 5)]
        );
    }
}
