//! What is at which path.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use firn_model::narinfo::NarInfo;
use firn_model::path_info::PathInfo;
use firn_model::realisation::DrvOutput;
use firn_model::store_path::{HASH_PART_LEN, StorePath};
use firn_store::{Error, Store as _};
use rustix::net::SendFlags;

use crate::archive::send_all;
use crate::http::{Chunked, Connection, Ranged, Request, head, ranged};
use crate::server::Shared;
use crate::upload;

/// Archives never change.
const FOREVER: &str = "cache-control: public, max-age=31536000, immutable\r\n";
/// What is told of paths may: they can be collected and signed.
const SHORTLY: &str = "cache-control: public, max-age=60\r\n";

/// Answers a request; whether the connection can go on.
pub(crate) fn answer(
    shared: &Shared,
    connection: &mut Connection,
    request: &Request,
) -> io::Result<bool> {
    let result = match request.method.as_str() {
        "GET" | "HEAD" if request.has_body() => {
            refuse(connection, 400, "such a request has no body")?;
            return Ok(false);
        }
        "GET" | "HEAD" => get(shared, connection, request),
        "PUT" => return upload::put(shared, connection, request),
        _ => {
            refuse(connection, 405, "only GET, HEAD and PUT are known here")?;
            return Ok(false);
        }
    };
    match result {
        Ok(()) => Ok(request.keep_alive),
        Err(Problem::Connection(e)) => Err(e),
        Err(Problem::Store(e)) => {
            shared.options.logger.warn(format!("answering '{}': {e}", request.path));
            text(
                connection,
                request,
                500,
                "text/plain",
                "",
                "this went wrong; the server's log has more\n",
            )?;
            Ok(request.keep_alive)
        }
    }
}

/// Why no answer was given.
pub(crate) enum Problem {
    /// The client is gone.
    Connection(io::Error),
    /// The store failed.
    Store(Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// An answer that ends the connection.
pub(crate) fn refuse(connection: &Connection, status: u16, why: &str) -> io::Result<()> {
    let mut out = head(status, false);
    if status == 401 {
        out.extend_from_slice(b"www-authenticate: Basic realm=\"binary cache\"\r\n");
    }
    let body =
        format!("content-type: text/plain\r\ncontent-length: {}\r\n\r\n{why}\n", why.len() + 1);
    out.extend_from_slice(body.as_bytes());
    send_all(connection.stream(), &out, SendFlags::empty())
}

/// A short answer.
pub(crate) fn text(
    connection: &Connection,
    request: &Request,
    status: u16,
    mime: &str,
    fields: &str,
    body: &str,
) -> io::Result<()> {
    bytes(connection, request, status, mime, fields, body.as_bytes())
}

fn bytes(
    connection: &Connection,
    request: &Request,
    status: u16,
    mime: &str,
    fields: &str,
    body: &[u8],
) -> io::Result<()> {
    let mut out = head(status, request.keep_alive);
    let more = format!("content-type: {mime}\r\ncontent-length: {}\r\n{fields}\r\n", body.len());
    out.extend_from_slice(more.as_bytes());
    if request.method != "HEAD" {
        out.extend_from_slice(body);
    }
    send_all(connection.stream(), &out, SendFlags::empty())
}

fn not_found(connection: &Connection, request: &Request) -> Result<(), Problem> {
    Ok(text(connection, request, 404, "text/plain", "", "there is no such file\n")?)
}

fn get(shared: &Shared, connection: &Connection, request: &Request) -> Result<(), Problem> {
    let path = request.path.trim_start_matches('/');
    if let Some(part) = path.strip_suffix(".narinfo").filter(|p| is_hash_part(p)) {
        return match narinfo(shared, part)? {
            Some(answer) => {
                Ok(send_all(connection.stream(), &with_head(&answer, request), SendFlags::empty())?)
            }
            None => not_found(connection, request),
        };
    }
    if let Some(name) = path.strip_prefix("nar/") {
        return archive(shared, connection, request, name);
    }
    if let Some(part) = path.strip_suffix(".ls").filter(|p| is_hash_part(p)) {
        let Some(path) = shared.store.query_path_from_hash_part(part)? else {
            return not_found(connection, request);
        };
        let archive = shared.archive(&path).map_err(|e| unreadable(shared, &path, e))?;
        let listing = archive.listing().to_listing();
        return Ok(text(connection, request, 200, "application/json", SHORTLY, &listing)?);
    }
    if let Some(name) = path.strip_prefix("log/") {
        let log = match StorePath::from_base_name(name) {
            Ok(drv) => shared.store.build_log(&drv)?,
            Err(_) => None,
        };
        return match log {
            Some(log) => {
                let mime = "text/plain; charset=utf-8";
                Ok(bytes(connection, request, 200, mime, SHORTLY, &log)?)
            }
            None => not_found(connection, request),
        };
    }
    if let Some(id) = path.strip_prefix("realisations/").and_then(|p| p.strip_suffix(".doi")) {
        let found = match id.parse::<DrvOutput>() {
            Ok(id) => shared.store.query_realisation(&id)?,
            Err(_) => None,
        };
        let Some(mut realisation) = found else { return not_found(connection, request) };
        for key in &shared.options.secret_keys {
            realisation.sign(key);
        }
        let json = realisation.to_json().to_string();
        return Ok(text(connection, request, 200, "application/json", SHORTLY, &json)?);
    }
    match path {
        "nix-cache-info" => {
            let info = format!(
                "StoreDir: {}\nWantMassQuery: 1\nPriority: {}\n",
                shared.store.store_dir().as_str(),
                shared.options.priority
            );
            Ok(text(connection, request, 200, "text/x-nix-cache-info", SHORTLY, &info)?)
        }
        "" => {
            let mut page =
                format!("This is a binary cache for {}.\n", shared.store.store_dir().as_str());
            for key in &shared.options.secret_keys {
                let _ = writeln!(page, "Its public key is {}", key.public_key());
            }
            Ok(text(connection, request, 200, "text/plain", "", &page)?)
        }
        _ => not_found(connection, request),
    }
}

fn is_hash_part(text: &str) -> bool {
    text.len() == HASH_PART_LEN && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn unreadable(shared: &Shared, path: &StorePath, error: io::Error) -> Problem {
    Problem::Store(Error::Io {
        action: "reading",
        path: shared.store.layout().real_path(path),
        source: error,
    })
}

/// An answer that was kept, with a head for this request.
fn with_head(body: &[u8], request: &Request) -> Vec<u8> {
    let mut out = head(200, request.keep_alive);
    let more = format!(
        "content-type: text/x-nix-narinfo\r\ncontent-length: {}\r\n{SHORTLY}\r\n",
        body.len()
    );
    out.extend_from_slice(more.as_bytes());
    if request.method != "HEAD" {
        out.extend_from_slice(body);
    }
    out
}

/// What is told of a path.
fn narinfo(shared: &Shared, part: &str) -> Result<Option<Arc<[u8]>>, Problem> {
    if let Some(known) = shared.answers.lock().get(part) {
        return Ok(Some(Arc::clone(known)));
    }
    let Some(path) = shared.store.query_path_from_hash_part(part)? else { return Ok(None) };
    let Some(info) = shared.store.query_path_info(&path)? else { return Ok(None) };
    if shared.options.retention.is_limited() {
        shared.asked.lock().insert(path);
    }
    let text = describe(shared, &info);
    let answer: Arc<[u8]> = text.into_bytes().into();
    shared.remember(part, &answer);
    Ok(Some(answer))
}

fn describe(shared: &Shared, info: &PathInfo) -> String {
    let dir = shared.store.store_dir();
    let mut info = info.clone();
    let fingerprint = info.fingerprint(dir);
    for key in &shared.options.secret_keys {
        info.signatures.insert(key.sign(fingerprint.as_bytes()));
    }
    let packed = shared.options.zstd.is_some();
    let narinfo = NarInfo {
        url: format!(
            "nar/{}-{}.nar{}",
            info.path.hash_part(),
            info.nar_hash.to_base32(),
            if packed { ".zst" } else { "" }
        ),
        compression: if packed { "zstd" } else { "none" }.to_owned(),
        file_hash: (!packed).then_some(info.nar_hash),
        file_size: if packed { 0 } else { info.nar_size },
        info,
    };
    narinfo.print(dir)
}

/// `HASHPART-NARHASH.nar`, with `.zst` behind it if it is to be compressed.
fn archive(
    shared: &Shared,
    connection: &Connection,
    request: &Request,
    name: &str,
) -> Result<(), Problem> {
    let (plain, packed) = match name.strip_suffix(".zst") {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let parts = plain.strip_suffix(".nar").and_then(|p| p.split_once('-'));
    let Some((part, hash)) = parts.filter(|(part, _)| is_hash_part(part)) else {
        if upload::is_waiting(shared, name) {
            return Ok(text(connection, request, 200, "application/x-nix-nar", "", "")?);
        }
        return not_found(connection, request);
    };
    let Some(path) = shared.store.query_path_from_hash_part(part)? else {
        return not_found(connection, request);
    };
    let Some(info) = shared.store.query_path_info(&path)? else {
        return not_found(connection, request);
    };
    if info.nar_hash.to_base32() != hash {
        return not_found(connection, request);
    }
    let archive = shared.archive(&path).map_err(|e| unreadable(shared, &path, e))?;
    if archive.size() != info.nar_size {
        return Err(Problem::Store(Error::Format(format!(
            "the contents of '{}' have changed: their archive has {} bytes, not {}",
            shared.store.store_dir().print(&path),
            archive.size(),
            info.nar_size
        ))));
    }
    shared.tell(format!("sending '{}'", shared.store.store_dir().print(&path)));
    let stream = connection.stream();
    let only_head = request.method == "HEAD";
    let etag = format!("\"{hash}{}\"", if packed { "-zst" } else { "" });
    if request.if_none_match.as_deref() == Some(&etag) {
        let mut out = head(304, request.keep_alive);
        out.extend_from_slice(format!("etag: {etag}\r\n{FOREVER}\r\n").as_bytes());
        return Ok(send_all(stream, &out, SendFlags::empty())?);
    }
    if packed {
        let mut out = head(200, request.keep_alive);
        out.extend_from_slice(
            format!("content-type: application/x-nix-nar\r\netag: {etag}\r\ntransfer-encoding: chunked\r\n{FOREVER}\r\n")
                .as_bytes(),
        );
        send_all(stream, &out, SendFlags::empty())?;
        if only_head {
            return Ok(());
        }
        let level = shared.options.zstd.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
        let mut encoder = zstd::stream::write::Encoder::new(Chunked::new(stream), level)?;
        archive.write(0..archive.size(), &mut encoder)?;
        return Ok(encoder.finish()?.finish()?);
    }
    let size = archive.size();
    let range = match request.if_range.as_deref() {
        Some(wanted) if wanted != etag => Ranged::Whole,
        _ => ranged(request.range.as_deref(), size),
    };
    let (status, range, told) = match range {
        Ranged::Whole => (200, 0..size, String::new()),
        Ranged::Part(part) => {
            let told = format!("content-range: bytes {}-{}/{size}\r\n", part.start, part.end - 1);
            (206, part, told)
        }
        Ranged::Unsatisfiable => {
            let fields = format!("content-range: bytes */{size}\r\n");
            return Ok(text(connection, request, 416, "text/plain", &fields, "")?);
        }
    };
    let mut out = head(status, request.keep_alive);
    out.extend_from_slice(
        format!(
            "content-type: application/x-nix-nar\r\ncontent-length: {}\r\naccept-ranges: bytes\r\netag: {etag}\r\n{told}{FOREVER}\r\n",
            range.end - range.start
        )
        .as_bytes(),
    );
    if only_head {
        return Ok(send_all(stream, &out, SendFlags::empty())?);
    }
    Ok(archive.send(out, range, stream)?)
}
