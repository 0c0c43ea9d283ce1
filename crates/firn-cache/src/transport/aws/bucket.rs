//! A cache in a bucket of Amazon S3 or of what speaks like it (`s3://BUCKET`).
//!
//! Parameters are those of C++ Nix. Without credentials requests are not signed.

use std::collections::BTreeMap;
use std::io::{Read, Seek as _, SeekFrom};
use std::time::{SystemTime, UNIX_EPOCH};

use firn_fetch::{Downloader, Payload};
use firn_model::hash::{Hash, HashAlgo};
use firn_store::{Error, Result};

use super::Variables;
use super::sigv4::{Signable, timestamp};
use super::source::Source;
use crate::config::{CacheConfig, switch};
use crate::transport::http::{Disabling, HttpTransport, Signer, empty_digest};
use crate::transport::{Body, Transport};

/// Parts must have this many bytes, but for the last.
const LEAST_PART: u64 = 5 * 1024 * 1024;
/// How many parts an upload may have.
const MOST_PARTS: u64 = 10_000;

/// A cache in a bucket.
pub struct S3Transport {
    http: HttpTransport,
    multipart: Option<Multipart>,
    upload_headers: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy)]
struct Multipart {
    threshold: u64,
    chunk: u64,
}

impl S3Transport {
    /// The cache in the bucket that `authority` names (`BUCKET` or `BUCKET/PREFIX`).
    ///
    /// # Errors
    /// If a parameter makes no sense or a file with credentials cannot be used.
    pub(crate) fn new(
        authority: &str,
        downloader: Downloader,
        config: CacheConfig,
        disabling: Disabling,
        connections: usize,
        variables: &Variables<'_>,
    ) -> Result<Self> {
        let special = &config.special;
        let base = base_url(authority, special)?;
        let profile = special.get("profile").cloned().or_else(|| variables("AWS_PROFILE"));
        let region = special
            .get("region")
            .cloned()
            .or_else(|| variables("AWS_REGION"))
            .or_else(|| variables("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "us-east-1".to_owned());
        let source = Source::new(
            profile.as_deref(),
            downloader.settings().clone(),
            downloader.logger().clone(),
            variables,
        )?;
        let signer: Option<Box<dyn Signer>> = Some(Box::new(Signing { source, region }));
        let bytes = |name: &str, default: u64| match special.get(name) {
            None => Ok(default),
            Some(text) => firn_store::settings::parse_number(text)
                .map_err(|_| Error::Usage(format!("setting '{name}' has invalid value '{text}'"))),
        };
        let chunk = bytes("multipart-chunk-size", LEAST_PART)?;
        if chunk < LEAST_PART {
            return Err(Error::Usage(format!(
                "setting 'multipart-chunk-size' must be at least {LEAST_PART} bytes"
            )));
        }
        let threshold = bytes("multipart-threshold", 100 * 1024 * 1024)?;
        let multipart = match special.get("multipart-upload") {
            Some(text) if switch("multipart-upload", text)? => Some(Multipart { threshold, chunk }),
            _ => None,
        };
        let upload_headers: Vec<(String, String)> = special
            .get("storage-class")
            .map(|class| ("x-amz-storage-class".to_owned(), class.clone()))
            .into_iter()
            .collect();
        let uri = format!("s3://{}", authority.trim_end_matches('/'));
        let http = HttpTransport::new(&uri, downloader, config, disabling, connections)
            .with_signer(base, signer, upload_headers.clone());
        Ok(Self { http, multipart, upload_headers })
    }

    /// Uploads a large file in parts; parts of one that fails are thrown away.
    fn put_parts(
        &self,
        name: &str,
        mut file: &std::fs::File,
        size: u64,
        chunk: u64,
        mime: &str,
    ) -> Result<()> {
        let url = self.http.url(&key(name));
        let chunk = chunk.max(size.div_ceil(MOST_PARTS));
        let nothing = empty_digest();
        let mut headers = vec![("content-type".to_owned(), mime.to_owned())];
        headers.extend(self.upload_headers.iter().cloned());
        let begun = self
            .http
            .exchange("POST", &format!("{url}?uploads"), headers, Payload::Bytes(b""), &nothing)
            .map_err(Error::remote)?;
        let id = element(&String::from_utf8_lossy(&begun.body), "UploadId").ok_or_else(|| {
            Error::Format(format!("the answer to beginning the upload of '{name}' has no UploadId"))
        })?;
        let id = encode(&id);
        let mut upload = || -> Result<()> {
            let failed = |source| Error::Stream { action: "reading a temporary file", source };
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            let mut done = String::from("<CompleteMultipartUpload>");
            for part in 1..=size.div_ceil(chunk) {
                let mut bytes = Vec::new();
                file.by_ref().take(chunk).read_to_end(&mut bytes).map_err(failed)?;
                let answer = self
                    .http
                    .exchange(
                        "PUT",
                        &format!("{url}?partNumber={part}&uploadId={id}"),
                        Vec::new(),
                        Payload::Bytes(&bytes),
                        &Hash::digest(HashAlgo::Sha256, &bytes).to_base16(),
                    )
                    .map_err(Error::remote)?;
                let etag = answer.header("etag").ok_or_else(|| {
                    Error::Format(format!("the answer to part {part} of '{name}' has no ETag"))
                })?;
                done.push_str(&format!(
                    "<Part><PartNumber>{part}</PartNumber><ETag>{etag}</ETag></Part>"
                ));
            }
            done.push_str("</CompleteMultipartUpload>");
            let answer = self
                .http
                .exchange(
                    "POST",
                    &format!("{url}?uploadId={id}"),
                    vec![("content-type".to_owned(), "text/xml".to_owned())],
                    Payload::Bytes(done.as_bytes()),
                    &Hash::digest(HashAlgo::Sha256, done.as_bytes()).to_base16(),
                )
                .map_err(Error::remote)?;
            // this request may fail after its status has been sent
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            match element(&text, "Code") {
                Some(code) if text.contains("<Error>") => {
                    Err(Error::Format(format!("finishing the upload of '{name}' failed: {code}")))
                }
                _ => Ok(()),
            }
        };
        let uploaded = upload();
        if uploaded.is_err() {
            let _ = self.http.exchange(
                "DELETE",
                &format!("{url}?uploadId={id}"),
                Vec::new(),
                Payload::None,
                &nothing,
            );
        }
        uploaded
    }
}

impl Transport for S3Transport {
    fn uri(&self) -> String {
        self.http.uri()
    }
    fn exists(&self, name: &str) -> Result<bool> {
        self.http.exists(&key(name))
    }
    fn get(&self, name: &str, parent: u64) -> Result<Option<Vec<u8>>> {
        self.http.get(&key(name), parent)
    }
    fn open(&self, name: &str, parent: u64) -> Result<Option<Box<dyn Read + Send>>> {
        self.http.open(&key(name), parent)
    }
    fn put(&self, name: &str, body: Body<'_>, mime: &str) -> Result<()> {
        if let (Some(multipart), Body::Temporary(file)) = (&self.multipart, &body) {
            let file = file.as_file();
            let size = file
                .metadata()
                .map_err(|source| Error::Stream { action: "reading a temporary file", source })?
                .len();
            if size > multipart.threshold {
                return self.put_parts(name, file, size, multipart.chunk, mime);
            }
        }
        self.http.put(&key(name), body, mime)
    }
    fn parallel(&self) -> usize {
        self.http.parallel()
    }
    fn is_remote(&self) -> bool {
        true
    }
}

struct Signing {
    source: Source,
    region: String,
}

impl Signer for Signing {
    fn sign(&self, method: &str, url: &str, payload: &str) -> Vec<(String, String)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        // what everybody may read needs no signature
        let Some(credentials) = self.source.credentials(now) else { return Vec::new() };
        let time = timestamp(now);
        let region = &self.region;
        Signable { method, url, payload, time: &time, region, service: "s3" }.sign(&credentials)
    }
}

/// Where the files of a bucket are.
fn base_url(authority: &str, special: &BTreeMap<String, String>) -> Result<String> {
    let (bucket, prefix) = authority.split_once('/').unwrap_or((authority, ""));
    if bucket.is_empty() || bucket.contains(['@', ':']) {
        return Err(Error::Usage(format!(
            "'s3://{authority}' has a missing or invalid bucket name"
        )));
    }
    let style = special.get("addressing-style").map_or("auto", String::as_str);
    if !matches!(style, "auto" | "path" | "virtual") {
        return Err(Error::Usage(format!(
            "unknown S3 addressing style '{style}', expected 'auto', 'path', or 'virtual'"
        )));
    }
    let dotted = bucket.contains('.');
    if dotted && style == "virtual" {
        return Err(Error::Usage(format!(
            "bucket name '{bucket}' contains a dot, which is incompatible with virtual-hosted-style addressing (causes TLS certificate errors); use 'addressing-style=path' or 'addressing-style=auto' instead"
        )));
    }
    let scheme = special.get("scheme").map_or("https", String::as_str);
    let region = special.get("region").map_or("us-east-1", String::as_str);
    let (scheme, host, by_default) = match special.get("endpoint").filter(|e| !e.is_empty()) {
        // hosts of others need not have a name for each bucket
        Some(endpoint) => match endpoint.split_once("://") {
            Some((scheme, host)) => (scheme.to_owned(), host.to_owned(), false),
            None => (scheme.to_owned(), endpoint.clone(), false),
        },
        None => (scheme.to_owned(), format!("s3.{region}.amazonaws.com"), true),
    };
    let host = host.trim_end_matches('/');
    let is_virtual = !dotted && (style == "virtual" || style == "auto" && by_default);
    let mut base = if is_virtual {
        format!("{scheme}://{bucket}.{host}")
    } else {
        format!("{scheme}://{host}/{bucket}")
    };
    for part in prefix.split('/').filter(|p| !p.is_empty()) {
        base.push('/');
        base.push_str(&encode(part));
    }
    Ok(base)
}

/// A file's name as signatures want it; what is a URL of its own stays so.
fn key(name: &str) -> String {
    if name.contains("://") || name.contains('?') {
        return name.to_owned();
    }
    name.split('/').map(encode).collect::<Vec<_>>().join("/")
}

/// Percent-encoding as signatures want it.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// The text of the first element with this name.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_have_addresses() {
        let base = |authority: &str, special: &[(&str, &str)]| {
            let special = special.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            base_url(authority, &special).map_err(|e| e.to_string())
        };
        assert_eq!(base("b", &[]).unwrap(), "https://b.s3.us-east-1.amazonaws.com");
        assert_eq!(
            base("b/x y", &[("region", "eu-west-1")]).unwrap(),
            "https://b.s3.eu-west-1.amazonaws.com/x%20y"
        );
        assert_eq!(base("a.b", &[]).unwrap(), "https://s3.us-east-1.amazonaws.com/a.b");
        assert_eq!(
            base("b", &[("endpoint", "127.0.0.1:9000"), ("scheme", "http")]).unwrap(),
            "http://127.0.0.1:9000/b"
        );
        assert_eq!(
            base("b", &[("endpoint", "http://h/"), ("addressing-style", "virtual")]).unwrap(),
            "http://b.h"
        );
        assert!(base("a.b", &[("addressing-style", "virtual")]).unwrap_err().contains("a dot"));
        assert!(base("b", &[("addressing-style", "x")]).unwrap_err().contains("unknown S3"));
        assert!(base("", &[]).is_err());
    }
}
