//! Adding paths to a binary cache: compress, hash and list in one pass, then the archive, and last the narinfo, so
//! that whoever sees that can have all.

use std::io::{self, BufReader, Read, Write};
use std::time::Instant;

use firn_event::Level;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::nar::listing::Node;
use firn_model::narinfo::NarInfo;
use firn_model::path_info::PathInfo;
use firn_store::hashing::HashSink;
use firn_store::{Error, Repair, Result, Store as _};
use serde_json::json;

use crate::store::BinaryCacheStore;
use crate::transport::Body;

/// Hashes and counts what goes through.
struct Hashed<W> {
    inner: W,
    hasher: HashSink,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(data)?;
        self.hasher.write_all(&data[..n])?;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Gives what is read to a writer too.
struct Copied<'a, W> {
    source: &'a mut dyn Read,
    to: W,
}

impl<W: Write> Read for Copied<'_, W> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(into)?;
        self.to.write_all(&into[..got])?;
        Ok(got)
    }
}

impl BinaryCacheStore {
    /// Adds an archive; `describe` tells what it is from its hash and size.
    pub(crate) fn upload(
        &self,
        nar: &mut dyn Read,
        repair: Repair,
        describe: impl FnOnce(Hash, u64) -> Result<PathInfo>,
    ) -> Result<PathInfo> {
        let started = Instant::now();
        let config = self.config();
        let method = config.compression;
        let temporary = match self.transport().scratch() {
            Some(dir) => tempfile::Builder::new().prefix(".tmp-").tempfile_in(dir),
            None => tempfile::NamedTempFile::new(),
        };
        let failed = |source| Error::Stream { action: "writing a temporary file", source };
        let temporary = temporary.map_err(failed)?;
        let out = io::BufWriter::with_capacity(256 * 1024, temporary);
        let hashed = Hashed { inner: out, hasher: HashSink::new(HashAlgo::Sha256) };
        let encoder = method.encoder(hashed, config.level, config.parallel)?;
        let to = Hashed { inner: encoder, hasher: HashSink::new(HashAlgo::Sha256) };
        let copied = Copied { source: nar, to };
        let mut reader = BufReader::with_capacity(256 * 1024, copied);
        let listing = Node::read(&mut reader).map_err(|e| match e {
            firn_model::nar::Error::Io(source) => Error::Stream { action: "reading NAR", source },
            other => Error::model(other),
        })?;
        let Hashed { inner: encoder, hasher } = reader.into_inner().to;
        let (nar_size, nar_hash) = (hasher.len(), hasher.finish().map_err(failed)?);
        let Hashed { inner: out, hasher } = encoder.finish().map_err(failed)?;
        let (file_size, file_hash) = (hasher.len(), hasher.finish().map_err(failed)?);
        let temporary = out.into_inner().map_err(|e| failed(e.into_error()))?;

        let info = describe(nar_hash, nar_size)?;
        let shown = self.store_dir().print(&info.path);
        self.logger().message(
            Level::Talkative,
            format!(
                "copying path '{shown}' ({nar_size} bytes, compressed {:.1}% in {} ms) to binary cache",
                (1.0 - file_size as f64 / nar_size.max(1) as f64) * 100.0,
                started.elapsed().as_millis()
            ),
        );
        for reference in info.references.iter().filter(|r| **r != info.path) {
            if self.query_path_info(reference)?.is_none() {
                return Err(Error::Format(format!(
                    "cannot add '{shown}' to the binary cache because the reference '{}' is not valid",
                    self.store_dir().print(reference)
                )));
            }
        }
        let url = format!("nar/{}.nar{}", file_hash.to_base32(), method.suffix());
        if config.write_listing {
            let name = format!("{}.ls", info.path.hash_part());
            let text = listing.to_listing();
            self.transport().put(&name, Body::Bytes(text.as_bytes()), "application/json")?;
        }
        if config.index_debug_info {
            self.index_debug_info(&listing, &url)?;
        }
        if repair == Repair::Yes || !self.transport().exists(&url)? {
            self.transport().put(&url, Body::Temporary(temporary), "application/x-nix-nar")?;
        }
        let mut info = info;
        let fingerprint = info.fingerprint(self.store_dir());
        for key in &config.secret_keys {
            info.signatures.insert(key.sign(fingerprint.as_bytes()));
        }
        let narinfo = NarInfo {
            info: info.clone(),
            url,
            compression: method.name().to_owned(),
            file_hash: Some(file_hash),
            file_size,
        };
        self.write_narinfo(narinfo)?;
        Ok(info)
    }

    /// Writes `debuginfo/ID` for every file of debugging information, which says in which archive it is.
    fn index_debug_info(&self, listing: &Node, url: &str) -> Result<()> {
        let hex = |name: &[u8]| name.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let Some(Node::Folder(folders)) = listing.find(&[b"lib", b"debug", b".build-id"]) else {
            return Ok(());
        };
        for (first, folder) in folders {
            let Node::Folder(files) = folder else { continue };
            if first.len() != 2 || !hex(first) {
                continue;
            }
            for (second, file) in files {
                let Some(id) = second.strip_suffix(b".debug") else { continue };
                if id.len() != 38 || !hex(id) || !matches!(file, Node::File { .. }) {
                    continue;
                }
                let (first, second) =
                    (String::from_utf8_lossy(first), String::from_utf8_lossy(second));
                let key = format!("debuginfo/{first}{second}");
                if self.transport().exists(&key)? {
                    continue;
                }
                let target = format!("../{url}");
                self.logger().message(
                    Level::Talkative,
                    format!("creating debuginfo link from '{key}' to '{target}'"),
                );
                let text = json!({
                    "archive": target,
                    "member": format!("lib/debug/.build-id/{first}/{second}"),
                })
                .to_string();
                self.transport().put(&key, Body::Bytes(text.as_bytes()), "application/json")?;
            }
        }
        Ok(())
    }
}
