//! Uploads: an archive first, which waits until the narinfo says what it is; only then it goes into the store.
//!
//! Whoever has a token may upload, but what comes is checked all the same: hashes, sizes, references, and signatures if
//! the owner wants them.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;

use firn_cache::compression::Compression;
use firn_model::hash::{HashAlgo, Hasher};
use firn_model::narinfo::NarInfo;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::StorePath;
use firn_store::{Error, Repair, Store as _};

use crate::http::{Connection, Request};
use crate::routes::{refuse, text};
use crate::server::Shared;

/// The largest file besides archives, in bytes.
const MAX_SMALL: u64 = 64 * 1024 * 1024;

/// Takes an upload; whether the connection can go on.
pub(crate) fn put(
    shared: &Shared,
    connection: &mut Connection,
    request: &Request,
) -> io::Result<bool> {
    // before the body is taken, so that nobody without a token can fill anything
    match authority(shared, request) {
        Authority::Granted => {}
        Authority::Missing => {
            refuse(connection, 401, "uploads need a token")?;
            return Ok(false);
        }
        Authority::Closed => {
            refuse(connection, 403, "nothing can be uploaded here")?;
            return Ok(false);
        }
    }
    if !request.chunked && request.content_length.is_none() {
        refuse(connection, 411, "an upload must say how long it is")?;
        return Ok(false);
    }
    let path = request.path.trim_start_matches('/').to_owned();
    let limit = if path.starts_with("nar/") { shared.options.max_upload } else { MAX_SMALL };
    if request.content_length.is_some_and(|length| length > limit) {
        refuse(connection, 413, "the file is too large")?;
        return Ok(false);
    }
    let taken = {
        let body = connection.body(request)?;
        take(shared, request, &path, body.take(limit + 1), limit)
    };
    match taken {
        Ok(()) => {
            text(connection, request, 201, "text/plain", "", "")?;
            Ok(request.keep_alive)
        }
        // what is left of the body is of unknown length, so the connection ends
        Err(Refusal::Client(status, why)) => {
            refuse(connection, status, &why)?;
            Ok(false)
        }
        Err(Refusal::Gone(e)) => Err(e),
        Err(Refusal::Server(e)) => {
            shared.options.logger.warn(format!("uploading '{path}': {e}"));
            refuse(connection, 500, "this went wrong; the server's log has more")?;
            Ok(false)
        }
    }
}

enum Authority {
    Granted,
    Missing,
    Closed,
}

/// Whether a request has a token: `Bearer TOKEN`, or the password of `Basic`, which is all that netrc files can say.
fn authority(shared: &Shared, request: &Request) -> Authority {
    use base64::Engine as _;
    if shared.options.tokens.is_empty() {
        return Authority::Closed;
    }
    let Some((kind, value)) = request.authorization.as_deref().and_then(|a| a.split_once(' '))
    else {
        return Authority::Missing;
    };
    let token = if kind.eq_ignore_ascii_case("bearer") {
        value.trim().as_bytes().to_vec()
    } else if kind.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim());
        let Ok(decoded) = decoded else { return Authority::Missing };
        match decoded.iter().position(|b| *b == b':') {
            Some(at) => decoded[at + 1..].to_vec(),
            None => return Authority::Missing,
        }
    } else {
        return Authority::Missing;
    };
    let mut granted = false;
    for known in &shared.options.tokens {
        granted |= same(known.as_bytes(), &token);
    }
    if granted { Authority::Granted } else { Authority::Missing }
}

/// Compares in a time that does not tell where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

enum Refusal {
    Client(u16, String),
    Gone(io::Error),
    Server(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Database { .. } => Self::Server(error.to_string()),
            Error::Io { ref source, .. }
                if !matches!(source.kind(), io::ErrorKind::InvalidData) =>
            {
                Self::Server(error.to_string())
            }
            other => Self::Client(400, other.to_string()),
        }
    }
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal::Client(400, why.into())
}

fn take(
    shared: &Shared,
    request: &Request,
    path: &str,
    mut body: impl Read,
    limit: u64,
) -> Result<(), Refusal> {
    if let Some(name) = path.strip_prefix("nar/") {
        return archive(shared, name, body, limit);
    }
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes).map_err(Refusal::Gone)?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::Client(413, "the file is too large".into()));
    }
    if let Some(encoding) = request.content_encoding.as_deref().filter(|e| *e != "identity") {
        let method = Compression::parse(encoding)?;
        bytes = firn_cache::compression::decompress(method, &bytes, MAX_SMALL)?;
    }
    if let Some(part) = path.strip_suffix(".narinfo") {
        return narinfo(shared, part, &bytes);
    }
    if let Some(name) = path.strip_prefix("log/") {
        let drv = StorePath::from_base_name(name).map_err(|e| bad(e.to_string()))?;
        return Ok(shared.store.add_build_log(&drv, &bytes)?);
    }
    if let Some(id) = path.strip_prefix("realisations/").and_then(|p| p.strip_suffix(".doi")) {
        return realisation(shared, id, &bytes);
    }
    // these are made here when they are asked for
    if path == "nix-cache-info" || path.strip_suffix(".ls").is_some_and(|p| p.len() == 32) {
        return Ok(());
    }
    Err(Refusal::Client(403, format!("files such as '{path}' are not kept here")))
}

/// The file in which an archive waits.
fn waiting(shared: &Shared, name: &str) -> Option<PathBuf> {
    let fits = name.len() < 128
        && name.contains(".nar")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    (fits && !name.starts_with('.')).then(|| shared.uploads.join(name))
}

/// Whether an archive with this name waits for its narinfo.
pub(crate) fn is_waiting(shared: &Shared, name: &str) -> bool {
    !shared.options.tokens.is_empty() && waiting(shared, name).is_some_and(|file| file.exists())
}

fn archive(shared: &Shared, name: &str, mut body: impl Read, limit: u64) -> Result<(), Refusal> {
    let file =
        waiting(shared, name).ok_or_else(|| bad(format!("'{name}' is no name for an archive")))?;
    let failed = |e: io::Error| Refusal::Server(format!("writing '{}': {e}", file.display()));
    let mut temporary =
        tempfile::Builder::new().prefix(".tmp-").tempfile_in(&shared.uploads).map_err(failed)?;
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        let got = body.read(&mut buffer).map_err(Refusal::Gone)?;
        if got == 0 {
            break;
        }
        size += got as u64;
        if size > limit {
            return Err(Refusal::Client(413, "the file is too large".into()));
        }
        temporary.write_all(&buffer[..got]).map_err(failed)?;
    }
    temporary.persist(&file).map_err(|e| failed(e.error))?;
    Ok(())
}

fn narinfo(shared: &Shared, part: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("a narinfo must be UTF-8"))?;
    let store = &shared.store;
    let dir = store.store_dir();
    let file = format!("{part}.narinfo");
    let narinfo = NarInfo::parse(text, dir, &file).map_err(|e| bad(e.to_string()))?;
    let mut info = narinfo.info;
    info.ultimate = false;
    let shown = dir.print(&info.path);
    if info.path.hash_part() != part {
        return Err(bad(format!("'{file}' is about another path, '{shown}'")));
    }
    shared.options.trust.check(&info, dir).map_err(|e| Refusal::Client(403, e.to_string()))?;
    // nothing that it refers to may be deleted meanwhile
    let _adding = shared.adding.read();
    if store.is_valid(&info.path)? {
        // perhaps signatures that are new here
        if !info.signatures.is_empty() {
            let known = store.path_info(&info.path)?;
            if known.fingerprint(dir) == info.fingerprint(dir) {
                store.add_signatures(&info.path, &info.signatures)?;
                shared.answers.lock().remove(part);
            }
        }
        return Ok(());
    }
    for reference in info.references.iter().filter(|r| **r != info.path) {
        if !store.is_valid(reference)? {
            return Err(Refusal::Client(
                409,
                format!("'{shown}' refers to '{}', which is not here", dir.print(reference)),
            ));
        }
    }
    let name = narinfo.url.strip_prefix("nar/").unwrap_or(&narinfo.url);
    let file = waiting(shared, name)
        .ok_or_else(|| bad(format!("'{}' is not the URL of an archive here", narinfo.url)))?;
    let open = match File::open(&file) {
        Ok(open) => open,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Refusal::Client(
                409,
                format!("the archive '{}' must be uploaded first", narinfo.url),
            ));
        }
        Err(e) => return Err(Refusal::Server(format!("opening '{}': {e}", file.display()))),
    };
    if let Some(wanted) = narinfo.file_hash {
        let mut hasher = Hasher::new(HashAlgo::Sha256);
        io::copy(&mut &open, &mut hasher)
            .and_then(|_| io::Seek::rewind(&mut &open))
            .map_err(|e| Refusal::Server(format!("reading '{}': {e}", file.display())))?;
        let got = hasher.finish();
        if got != wanted {
            return Err(bad(format!("the archive of '{shown}' has the hash {got}, not {wanted}")));
        }
    }
    let method = Compression::parse(&narinfo.compression)?;
    // no more than it should be, so that a small file cannot fill the disk
    let mut nar = method.decoder(Box::new(open))?.take(info.nar_size + 1);
    store.add_nar(&info, &mut nar, Repair::No)?;
    if let Err(e) = shared.options.retention.keep(shared, &info.path) {
        return Err(Refusal::Server(e.to_string()));
    }
    let _ = std::fs::remove_file(&file);
    shared.answers.lock().remove(part);
    shared.tell(format!("took '{shown}'"));
    Ok(())
}

fn realisation(shared: &Shared, id: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let id: DrvOutput = id.parse().map_err(|e| bad(format!("{e}")))?;
    let mut json: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
    if let Some(object) = json.as_object_mut() {
        object.insert("id".to_owned(), id.to_string().into());
    }
    let realisation = Realisation::from_json(&json).map_err(|e| bad(e.to_string()))?;
    if !shared.options.trust.accepts_realisation(&realisation) {
        return Err(Refusal::Client(
            403,
            format!("the realisation '{id}' lacks a signature by a trusted key"),
        ));
    }
    if !shared.store.is_valid(&realisation.out_path)? {
        return Err(Refusal::Client(409, "its path must be uploaded first".to_owned()));
    }
    Ok(shared.store.register_realisation(&realisation)?)
}
