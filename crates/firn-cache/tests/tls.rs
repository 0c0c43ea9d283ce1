//! Caches behind TLS: who they are is always checked, and who this client is can be proven to them.
//!
//! The files in `tls/` are an authority, and a server and a client that it vouches for, valid for a century; the
//! authority's key was thrown away.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use common::{World, open};
use firn_cache::Caches;
use firn_fetch::FetchSettings;
use firn_store::Store as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file(name)).unwrap().map(Result::unwrap).collect()
}

/// A server that has nothing but `nix-cache-info`, for clients that prove who they are if it asks.
fn server(asks: bool) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("authority.pem") {
            roots.add(certificate).unwrap();
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = Arc::new(builder.with_single_cert(certificates("server.pem"), key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || answer(stream.unwrap(), config));
        }
    });
    format!("https://{address}")
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let found = request.starts_with(b"GET /nix-cache-info ");
    let (status, body) =
        if found { ("200 OK", "StoreDir: /nix/store\nPriority: 7\n") } else { ("404 Not", "") };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn believing(world: &World, authority: &str) -> Caches {
    let caches = world.caches();
    let fetch =
        FetchSettings { ca_file: Some(file(authority)), attempts: 1, ..caches.fetch.clone() };
    Caches { fetch, ..caches }
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_believed() {
    let world = World::new();
    let url = server(false);
    let cache = open(&believing(&world, "authority.pem"), &url).unwrap();
    assert_eq!(cache.substituter_role().priority, 7);
    // another authority
    let error = open(&believing(&world, "client.pem"), &url).unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    // the right authority, another host
    let elsewhere = url.replace("127.0.0.1", "127.0.0.2");
    assert!(open(&believing(&world, "authority.pem"), &elsewhere).is_err());
}

#[test]
fn a_client_shows_its_certificate_to_servers_that_ask() {
    let world = World::new();
    let url = server(true);
    let caches = believing(&world, "authority.pem");
    assert!(open(&caches, &url).is_err(), "without a certificate");
    let (certificate, key) = (file("client.pem"), file("client.key"));
    let with = |certificate: &str, key: &str| {
        open(&caches, &format!("{url}?tls-certificate={certificate}&tls-private-key={key}"))
    };
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    assert_eq!(with(certificate, key).unwrap().substituter_role().priority, 7);
    // both in one file
    let both = world.path("both.pem");
    let texts = [std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap()].concat();
    std::fs::write(&both, texts).unwrap();
    open(&caches, &format!("{url}?tls-certificate={}", both.display())).unwrap();
    // what cannot be used is told by its name, before anything is asked
    let fails = |certificate: &str, key: &str| with(certificate, key).unwrap_err().to_string();
    let other = file("server.key");
    let error = fails(certificate, other.to_str().unwrap());
    assert!(error.contains("server.key'"), "{error}");
    let error = fails("/no/such/file.pem", key);
    assert!(error.contains("'/no/such/file.pem'") && error.contains("No such file"), "{error}");
    let error = fails(key, key);
    assert!(error.contains("there is no certificate in it"), "{error}");
    let error = fails(certificate, certificate);
    assert!(error.contains("there is no private key in it"), "{error}");
    let error = open(&caches, &format!("{url}?tls-private-key={key}")).unwrap_err().to_string();
    assert!(error.contains("'tls-private-key' needs 'tls-certificate'"), "{error}");
}
