//! Caches on servers that speak HTTP/2: many requests go over one connection, and none holds up another.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod common;
#[path = "common/http2.rs"]
mod http2;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{World, open};
use firn_cache::Caches;
use firn_event::Logger;
use firn_fetch::{Downloader, FetchSettings, Request};
use firn_model::store_path::StorePath;
use firn_store::copy::{CopyOptions, copy_closure};
use firn_store::{Repair, Store as _, Trust};
use http2::{Http2Server, tls_file};

fn fetch() -> FetchSettings {
    FetchSettings {
        ca_file: Some(tls_file("authority.pem")),
        attempts: 3,
        retry_pause: Duration::from_millis(1),
        stalled_timeout: Some(Duration::from_secs(5)),
        ..FetchSettings::default()
    }
}

fn caches(world: &World) -> Caches {
    Caches { fetch: fetch(), ..world.caches() }
}

fn everybody() -> CopyOptions {
    CopyOptions::new(Trust::Everybody, Logger::silent())
}

/// A cache of so many texts in the folder `c`.
fn fill(world: &World, count: usize) -> BTreeSet<StorePath> {
    let local = world.store("from");
    let text = |n: usize| {
        local.add_text(&format!("p{n}"), format!("{n}").as_bytes(), &BTreeSet::new(), Repair::No)
    };
    let paths: BTreeSet<StorePath> = (0..count).map(|n| text(n).unwrap()).collect();
    let cache = world.open(&format!("file://{}", world.path("c").display()));
    copy_closure(&local, &*cache, &paths, &everybody()).unwrap();
    paths
}

#[test]
fn many_narinfos_are_asked_for_at_once_over_one_connection() {
    let world = World::new();
    let paths = fill(&world, 80);
    // more than 'http-connections'
    let gate = 60;
    let server = Http2Server::new(&world.path("c"), gate);
    let cache = open(&caches(&world), &server.url).unwrap();
    assert_eq!(cache.query_valid_paths(&paths).unwrap(), paths);
    assert!(server.seen.most.load(Ordering::SeqCst) >= gate, "at a time");
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 1);
    let to = world.store("to");
    copy_closure(&*cache, &to, &paths, &everybody()).unwrap();
    assert_eq!(to.query_all_valid_paths().unwrap(), paths);
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 1);
    let narinfos = server.seen.requests.lock().unwrap();
    assert_eq!(narinfos.iter().filter(|r| r.ends_with(".narinfo")).count(), 80, "each once");
}

#[test]
fn answers_that_nobody_reads_hold_up_no_other() {
    let world = World::new();
    std::fs::create_dir_all(world.path("c")).unwrap();
    std::fs::write(world.path("c/large"), vec![7; 12 << 20]).unwrap();
    let server = Http2Server::new(&world.path("c"), 0);
    let downloader = Downloader::new(fetch(), Logger::silent()).unwrap();
    let url = format!("{}/large", server.url);
    let mut unread: Vec<_> =
        (0..10).map(|_| downloader.open(Request::new(&url), 0).unwrap()).collect();
    for transfer in &mut unread {
        transfer.read_exact(&mut [0; 10]).unwrap();
    }
    // as much as can come without being read
    std::thread::sleep(Duration::from_millis(300));
    let mut whole = Vec::new();
    downloader.open(Request::new(&url), 0).unwrap().read_to_end(&mut whole).unwrap();
    assert_eq!(whole.len(), 12 << 20);
    let mut rest = Vec::new();
    unread.pop().unwrap().read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), (12 << 20) - 10);
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_stream_that_breaks_off_goes_on_where_it_was() {
    let world = World::new();
    let contents: Vec<u8> = (0..1_000_000u32).map(|n| (n >> 3) as u8).collect();
    std::fs::create_dir_all(world.path("c")).unwrap();
    std::fs::write(world.path("c/file"), &contents).unwrap();
    let server = Http2Server::new(&world.path("c"), 0);
    *server.seen.cut.lock().unwrap() = Some(("/file".to_owned(), 300_000));
    let downloader = Downloader::new(fetch(), Logger::silent()).unwrap();
    let url = format!("{}/file", server.url);
    let mut got = Vec::new();
    downloader.open(Request::new(&url), 0).unwrap().read_to_end(&mut got).unwrap();
    assert!(got == contents);
    let requests = server.seen.requests.lock().unwrap();
    assert_eq!(*requests, ["GET /file", "GET /file bytes=300000-"]);
}

#[test]
fn uploads_arrive_whole() {
    let world = World::new();
    std::fs::create_dir_all(world.path("c")).unwrap();
    std::fs::write(world.path("c/nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    let server = Http2Server::new(&world.path("c"), 0);
    let local = world.store("from");
    let text = "0123456789\n".repeat(300_000);
    let path = local.add_text("x", text.as_bytes(), &BTreeSet::new(), Repair::No).unwrap();
    let cache = open(&caches(&world), &format!("{}?compression=none", server.url)).unwrap();
    copy_closure(&local, &*cache, &[path.clone()].into(), &everybody()).unwrap();
    let back = world.store("back");
    let again = open(&caches(&world), &server.url).unwrap();
    copy_closure(&*again, &back, &[path.clone()].into(), &everybody()).unwrap();
    assert_eq!(std::fs::read_to_string(back.real_path(&path)).unwrap(), text);
}

#[test]
fn http2_is_not_spoken_where_it_is_switched_off() {
    let world = World::new();
    fill(&world, 1);
    let server = Http2Server::new(&world.path("c"), 0);
    let fetch = FetchSettings { http2: false, attempts: 1, ..fetch() };
    // this server knows nothing else
    assert!(open(&Caches { fetch, ..world.caches() }, &server.url).is_err());
    assert!(open(&caches(&world), &server.url).is_ok());
}
