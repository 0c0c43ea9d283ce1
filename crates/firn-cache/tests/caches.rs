//! Caches in folders and on servers: what is written is read again, what lies or breaks is noticed.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{Fault, Server, World, open};
use firn_cache::TimeToLive;
use firn_event::Logger;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::SecretKey;
use firn_model::store_path::StorePath;
use firn_model::{HashAlgo as Algo, Method, PathInfo};
use firn_store::copy::{CopyOptions, copy_closure, copy_path};
use firn_store::{LocalStore, Repair, Store as _, Trust};

fn everybody() -> CopyOptions {
    CopyOptions::new(Trust::Everybody, Logger::silent())
}

/// A folder with a file, a program and a link, and a text that refers to it.
fn closure(store: &LocalStore, scratch: &Path) -> (StorePath, StorePath) {
    use std::os::unix::fs::PermissionsExt as _;
    let src = scratch.join("src");
    std::fs::create_dir_all(src.join("sub")).unwrap();
    std::fs::write(src.join("a"), "hi\n").unwrap();
    std::fs::write(src.join("sub/x"), "#\n".repeat(50_000)).unwrap();
    std::fs::set_permissions(src.join("sub/x"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("x", src.join("l")).unwrap();
    let none = BTreeSet::new();
    let src =
        store.add_path("src", &src, Method::Nar, Algo::Sha256, None, &none, Repair::No).unwrap();
    let text = format!("see {}", store.store_dir().print(&src));
    let top = store.add_text("top", text.as_bytes(), &[src.clone()].into(), Repair::No).unwrap();
    (src, top)
}

fn one_nar(cache: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> =
        std::fs::read_dir(cache.join("nar")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort_by_key(|f| f.metadata().unwrap().len());
    files.pop().unwrap()
}

#[test]
fn every_method_makes_the_round() {
    let world = World::new();
    let local = world.store("a");
    let (src, top) = closure(&local, world.dir.path());
    for method in ["none", "xz", "zstd", "br", "bzip2", "gzip"] {
        let folder = world.path(method);
        let uri = format!("file://{}?compression={method}&write-nar-listing=1", folder.display());
        let cache = world.open(&uri);
        copy_closure(&local, &*cache, &[top.clone()].into(), &everybody()).unwrap();
        let text =
            std::fs::read_to_string(folder.join(format!("{}.narinfo", src.hash_part()))).unwrap();
        assert!(text.contains(&format!("Compression: {method}\n")), "{text}");
        assert!(text.contains("FileHash: sha256:") && text.contains("References: \n"), "{text}");
        let listing =
            std::fs::read_to_string(folder.join(format!("{}.ls", src.hash_part()))).unwrap();
        assert!(listing.starts_with(r#"{"root":{"entries":{"a":{"narOffset":232,"size":3,"#));
        // another process, another store
        let cache = world.open(&format!("file://{}", folder.display()));
        assert_eq!(cache.query_all_valid_paths().unwrap(), [src.clone(), top.clone()].into());
        let back = world.store(&format!("back-{method}"));
        copy_closure(&*cache, &back, &[top.clone()].into(), &everybody()).unwrap();
        let (a, b) = (local.path_info(&src).unwrap(), back.path_info(&src).unwrap());
        assert_eq!((a.nar_hash, &a.references), (b.nar_hash, &b.references));
        assert_eq!(back.check_path(&src).unwrap(), None);
    }
}

#[test]
fn a_narinfo_is_the_one_that_cpp_nix_writes() {
    // expected values computed with C++ Nix 2.34.8
    let world = World::new();
    let cache = world.open(&format!(
        "file://{}?compression=none&store=/tmp/ca1/st/store&write-nar-listing=1",
        world.path("c").display()
    ));
    let src = world.path("src");
    std::fs::create_dir_all(src.join("sub")).unwrap();
    std::fs::write(src.join("a"), "hi\n").unwrap();
    std::fs::write(src.join("sub/x"), "#\n").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(src.join("sub/x"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("x", src.join("l")).unwrap();
    let none = BTreeSet::new();
    cache.add_path("src", &src, Method::Nar, Algo::Sha256, None, &none, Repair::No).unwrap();
    let text =
        std::fs::read_to_string(world.path("c/cnmfh7dviqzk397b9327rxp1qf9j9jvx.narinfo")).unwrap();
    assert_eq!(
        text,
        "StorePath: /tmp/ca1/st/store/cnmfh7dviqzk397b9327rxp1qf9j9jvx-src\n\
         URL: nar/0r8br8jwp63ikf10fmxz6yhzg94y55va2bm6bn6kkl2h8wi5h0cp.nar\n\
         Compression: none\n\
         FileHash: sha256:0r8br8jwp63ikf10fmxz6yhzg94y55va2bm6bn6kkl2h8wi5h0cp\n\
         FileSize: 872\n\
         NarHash: sha256:0r8br8jwp63ikf10fmxz6yhzg94y55va2bm6bn6kkl2h8wi5h0cp\n\
         NarSize: 872\n\
         References: \n\
         CA: fixed:r:sha256:0r8br8jwp63ikf10fmxz6yhzg94y55va2bm6bn6kkl2h8wi5h0cp\n"
    );
    let info = std::fs::read_to_string(world.path("c/nix-cache-info")).unwrap();
    assert_eq!(info, "StoreDir: /tmp/ca1/st/store\n");
    for dir in ["nar", "log", "realisations"] {
        assert!(world.path("c").join(dir).is_dir(), "{dir}");
    }
}

#[test]
fn keys_of_the_address_sign() {
    let world = World::new();
    let local = world.store("a");
    let (src, top) = closure(&local, world.dir.path());
    let mut keys = Vec::new();
    for (name, seed) in [("one-1", [1; 32]), ("two-1", [2; 32])] {
        let key = SecretKey::from_seed(name, &seed).unwrap();
        std::fs::write(world.path(name), key.reveal()).unwrap();
        keys.push(key);
    }
    let uri = format!(
        "file://{}?compression=none&secret-keys={},{}",
        world.path("c").display(),
        world.path("one-1").display(),
        world.path("two-1").display()
    );
    let cache = world.open(&uri);
    copy_closure(&local, &*cache, &[top].into(), &everybody()).unwrap();
    let info = cache.path_info(&src).unwrap();
    let dir = cache.store_dir();
    let good = |keys: Vec<_>| Trust::Keys(keys).good_signatures(&info, dir);
    assert_eq!(good(keys.iter().map(SecretKey::public_key).collect()), 2);
    let stranger = SecretKey::from_seed("one-1", &[3; 32]).unwrap();
    assert_eq!(good(vec![stranger.public_key()]), 0);
    // one more, afterwards
    let more = stranger.sign(info.fingerprint(dir).as_bytes());
    cache.add_signatures(&src, &[more].into()).unwrap();
    let cache = world.open(&format!("file://{}", world.path("c").display()));
    assert_eq!(cache.path_info(&src).unwrap().signatures.len(), 3);
}

/// Puts a path into a cache whose name does not follow from its contents.
fn put_unaddressed(local: &LocalStore, cache: &dyn firn_store::Store) -> PathInfo {
    let text = local.add_text("t", b"contents", &BTreeSet::new(), Repair::No).unwrap();
    let mut info = (*local.path_info(&text).unwrap()).clone();
    info.path = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-t").unwrap();
    info.ca = None;
    let mut nar = Vec::new();
    local.nar_from_path(&text, &mut nar).unwrap();
    cache.add_nar(&info, &mut &nar[..], Repair::No).unwrap();
    info
}

#[test]
fn a_cache_that_lies_gets_nothing_in() {
    let world = World::new();
    let local = world.store("a");
    let folder = world.path("c");
    let uri = format!("file://{}?compression=none", folder.display());
    let info = put_unaddressed(&local, &*world.open(&uri));
    let narinfo = folder.join(format!("{}.narinfo", info.path.hash_part()));
    let text = std::fs::read_to_string(&narinfo).unwrap();
    let to = world.store("to");
    let attempt = |text: String, trust: Trust| {
        std::fs::write(&narinfo, text).unwrap();
        let options = CopyOptions::new(trust, Logger::silent());
        let result = copy_path(&*world.open(&uri), &to, &info.path, &options);
        let error = result.unwrap_err().to_string();
        assert!(!to.is_valid(&info.path).unwrap(), "{error}");
        assert!(!to.real_path(&info.path).exists(), "{error}");
        error
    };
    // unsigned, signed by a stranger, signed by a stranger who says to be somebody else
    let ours = SecretKey::from_seed("ours-1", &[1; 32]).unwrap();
    let theirs = SecretKey::from_seed("ours-1", &[2; 32]).unwrap();
    let keys = || Trust::Keys(vec![ours.public_key()]);
    let lacks = "because it lacks a signature by a trusted key";
    assert!(attempt(text.clone(), keys()).contains(lacks));
    let signature = theirs.sign(info.fingerprint(to.store_dir()).as_bytes());
    assert!(attempt(format!("{text}Sig: {signature}\n"), keys()).contains(lacks));
    // a good signature of something else
    let mut other = info.clone();
    other.nar_hash = Hash::digest(HashAlgo::Sha256, b"other");
    let signature = ours.sign(other.fingerprint(to.store_dir()).as_bytes());
    assert!(attempt(format!("{text}Sig: {signature}\n"), keys()).contains(lacks));
    // a hash or a size that is not that of the contents
    let wrong = text
        .replace(&format!("NarHash: {}", info.nar_hash), &format!("NarHash: {}", other.nar_hash));
    let error = attempt(wrong, Trust::Everybody);
    assert!(error.contains("hash mismatch importing path"), "{error}");
    let smaller = text.replace(&format!("NarSize: {}", info.nar_size), "NarSize: 8");
    assert!(attempt(smaller, Trust::Everybody).contains("larger than the 8 bytes"));
    let larger = text.replace(&format!("NarSize: {}", info.nar_size), "NarSize: 99999");
    assert!(attempt(larger, Trust::Everybody).contains("size mismatch importing path"));
    // an archive of something else
    let nar = one_nar(&folder);
    let bytes = std::fs::read(&nar).unwrap();
    std::fs::write(&nar, &bytes[..bytes.len() / 2]).unwrap();
    assert!(attempt(text.clone(), Trust::Everybody).contains("unexpected end"));
    std::fs::write(&nar, b"").unwrap();
    attempt(text.clone(), Trust::Everybody);
    std::fs::remove_file(&nar).unwrap();
    assert!(attempt(text.clone(), Trust::Everybody).contains("does not exist in binary cache"));
    // an address of contents that these are not
    std::fs::write(&nar, &bytes).unwrap();
    let address = Hash::digest(HashAlgo::Sha256, b"nothing");
    let error = attempt(format!("{text}CA: fixed:r:{address}\n"), Trust::Everybody);
    assert!(error.contains("ca hash mismatch") || error.contains("content-addressed"), "{error}");
    // a narinfo that leads out of the cache, and one of another path
    let out = text.replace("URL: nar/", "URL: ../../");
    assert!(attempt(out, Trust::Everybody).contains("must not contain '..'"));
    let another = text.replace(info.path.hash_part(), &"0".repeat(32));
    assert!(attempt(another, Trust::Everybody).contains("is about another path"));
}

#[test]
fn servers_are_read_and_written() {
    let world = World::new();
    let local = world.store("a");
    let (src, top) = closure(&local, world.dir.path());
    let server = Server::new(&world.path("served"));
    let uri = format!("{}?compression=zstd&narinfo-compression=br", server.url());
    let cache = world.open(&uri);
    copy_closure(&local, &*cache, &[top.clone()].into(), &everybody()).unwrap();
    assert_eq!(
        std::fs::read_to_string(world.path("served/nix-cache-info")).unwrap(),
        "StoreDir: /nix/store\n"
    );
    assert!(world.path(&format!("served/{}.encoding", src.hash_part())).exists());
    server.fail(top.base_name(), Fault::Status(401, "", ""));
    let refused = cache.add_build_log(&top, b"log").unwrap_err().to_string();
    let url = format!("{}/log/{}", server.url(), top.base_name());
    assert!(
        refused.starts_with(&format!("unable to upload to '{url}': HTTP error 401")),
        "{refused}"
    );
    let cache = world.open(&server.url());
    let back = world.store("back");
    copy_closure(&*cache, &back, &[top.clone()].into(), &everybody()).unwrap();
    assert_eq!(back.query_all_valid_paths().unwrap(), [src.clone(), top].into());
    let error = cache.query_all_valid_paths().unwrap_err().to_string();
    assert_eq!(
        error,
        format!("operation 'queryAllValidPaths' is not supported by store '{}'", server.url())
    );
}

#[test]
fn cut_transfers_go_on_where_they_stopped() {
    let world = World::new();
    let local = world.store("a");
    let (src, top) = closure(&local, world.dir.path());
    let folder = world.path("served");
    let cache = world.open(&format!("file://{}?compression=none", folder.display()));
    copy_closure(&local, &*cache, &[top].into(), &everybody()).unwrap();
    let server = Server::new(&folder);
    let cache = world.open(&server.url());
    server.fail(".nar", Fault::Cut(40_000));
    server.fail(".nar", Fault::Cut(30_000));
    let back = world.store("back");
    copy_path(&*cache, &back, &src, &everybody()).unwrap();
    assert_eq!(back.check_path(&src).unwrap(), None);
    let requests = server.requests();
    assert!(requests.contains(&"bytes=40000-".to_owned()), "{requests:?}");
    assert!(requests.contains(&"bytes=70000-".to_owned()), "{requests:?}");
}

#[test]
fn what_is_refused_or_broken_is_not_absent() {
    let world = World::new();
    let local = world.store("a");
    let (src, _) = closure(&local, world.dir.path());
    let folder = world.path("served");
    let cache = world.open(&format!("file://{}", folder.display()));
    copy_path(&local, &*cache, &src, &everybody()).unwrap();
    let server = Server::new(&folder);
    let ttl = TimeToLive { positive: 1000, negative: 1000, meta: 1000 };
    let ask = || open(&world.with_disk(ttl), &server.url()).unwrap().query_path_info(&src);
    for (status, times) in [(401, 1), (403, 1), (407, 1), (500, 3), (503, 3)] {
        for _ in 0..times {
            server.fail(".narinfo", Fault::Status(status, "retry-after: 0\r\n", ""));
        }
        let error = ask().unwrap_err().to_string();
        assert!(error.contains(&format!("HTTP error {status}")), "{error}");
    }
    // a bucket that may be read but not listed
    server.fail(".narinfo", Fault::Status(403, "", "<Error><Code>AccessDenied</Code></Error>"));
    assert!(open(&world.caches(), &server.url()).unwrap().query_path_info(&src).unwrap().is_none());
    // after a pause that the server asked for it is there, and none of the failures was remembered
    server.fail(".narinfo", Fault::Status(503, "retry-after: 0\r\n", "busy"));
    assert!(ask().unwrap().is_some());
    server.requests();
    assert!(ask().unwrap().is_some());
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn answers_are_kept_between_runs() {
    let world = World::new();
    let folder = world.path("served");
    world.open(&format!("file://{}", folder.display()));
    let info = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";
    std::fs::write(folder.join("nix-cache-info"), info).unwrap();
    let server = Server::new(&folder);
    let ttl = TimeToLive { positive: 1000, negative: 1000, meta: 1000 };
    let missing = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-t").unwrap();
    for round in 0..2 {
        let cache = open(&world.with_disk(ttl), &server.url()).unwrap();
        let role = cache.substituter_role();
        assert!(role.priority == 40 && role.want_mass_query && !role.trusted);
        assert!(cache.query_path_info(&missing).unwrap().is_none());
        let asked = server.requests();
        let wanted = if round == 0 { 2 } else { 0 };
        assert_eq!(asked.len(), wanted, "{asked:?}");
    }
    // nothing is remembered for no time
    let none = TimeToLive { positive: 0, negative: 0, meta: 0 };
    let cache = open(&world.with_disk(none), &server.url()).unwrap();
    assert!(cache.query_path_info(&missing).unwrap().is_none());
    assert_eq!(server.requests().len(), 2);
    // what the address says wins
    let cache = open(&world.with_disk(ttl), &format!("{}?priority=3&trusted=1", server.url()));
    let role = cache.unwrap().substituter_role();
    assert!(role.priority == 3 && role.want_mass_query && role.trusted);
}

#[test]
fn a_cache_of_another_store_is_refused() {
    let world = World::new();
    std::fs::create_dir(world.path("c")).unwrap();
    std::fs::write(world.path("c/nix-cache-info"), "StoreDir: /other\n").unwrap();
    let error = open(&world.caches(), &format!("file://{}", world.path("c").display()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("is for Nix stores with prefix '/other', not '/nix/store'"), "{error}");
}

#[test]
fn a_cache_that_fails_is_left_alone_if_there_is_another_way() {
    let world = World::new();
    let folder = world.path("served");
    world.open(&format!("file://{}", folder.display()));
    let server = Server::new(&folder);
    let mut caches = world.caches();
    caches.fallback = true;
    let cache = open(&caches, &server.url()).unwrap();
    for _ in 0..3 {
        server.fail(".narinfo", Fault::Status(500, "", ""));
    }
    let missing = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-t").unwrap();
    assert!(cache.query_path_info(&missing).is_err());
    server.requests();
    let error = cache.query_path_info(&missing).unwrap_err().to_string();
    assert_eq!(error, format!("substituter '{}' is disabled", server.url()));
    assert!(server.requests().is_empty());
    let told = format!("disabling binary cache '{}' for 60 seconds", server.url());
    assert!(world.kept.texts().contains(&told));
}

#[test]
fn logs_realisations_and_derivations_are_kept() {
    let world = World::new();
    let folder = world.path("c");
    let cache = world.open(&format!("file://{}", folder.display()));
    let drv = cache.add_text("x.drv", b"no derivation", &BTreeSet::new(), Repair::No).unwrap();
    assert_eq!(cache.build_log(&drv).unwrap(), None);
    cache.add_build_log(&drv, b"it worked\n").unwrap();
    assert_eq!(cache.build_log(&drv).unwrap().unwrap(), b"it worked\n");
    assert!(folder.join("log").join(drv.base_name()).exists());
    let id: DrvOutput = format!("sha256:{}!out", "ab".repeat(32)).parse().unwrap();
    assert_eq!(cache.query_realisation(&id).unwrap(), None);
    let made = Realisation::new(id.clone(), drv.clone());
    cache.register_realisation(&made).unwrap();
    assert_eq!(cache.query_realisation(&id).unwrap(), Some(made));
    assert!(folder.join(format!("realisations/{id}.doi")).exists());
    assert!(cache.read_derivation(&drv).is_err());
    let unknown = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-t").unwrap();
    let error = cache.nar_from_path(&unknown, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("is not valid"), "{error}");
}

#[test]
fn single_files_are_read_from_archives_that_are_kept() {
    let world = World::new();
    let local = world.store("a");
    let (src, _) = closure(&local, world.dir.path());
    let folder = world.path("c");
    let kept = world.path("kept");
    let uri = format!("file://{}?local-nar-cache={}", folder.display(), kept.display());
    let cache = world.open(&uri);
    copy_path(&local, &*cache, &src, &everybody()).unwrap();
    let mut file = cache.nar_file(&src).unwrap();
    let size = std::io::copy(&mut file, &mut std::io::sink()).unwrap();
    assert_eq!(size, cache.path_info(&src).unwrap().nar_size);
    std::fs::remove_dir_all(folder.join("nar")).unwrap();
    world.open(&uri).nar_file(&src).unwrap();
    let without = world.open(&format!("file://{}", folder.display()));
    assert!(matches!(without.nar_file(&src), Err(firn_store::Error::Gone(_))));
}

#[test]
fn debugging_information_is_indexed() {
    let world = World::new();
    let src = world.path("src");
    let ids = src.join("lib/debug/.build-id/02");
    std::fs::create_dir_all(&ids).unwrap();
    std::fs::write(ids.join("623eda209c26a59b1a8638ff7752f6b945c26b.debug"), "foo\n").unwrap();
    std::fs::write(ids.join("short.debug"), "foo\n").unwrap();
    let cache = world.open(&format!(
        "file://{}?compression=none&index-debug-info=true",
        world.path("c").display()
    ));
    let none = BTreeSet::new();
    cache.add_path("d", &src, Method::Nar, Algo::Sha256, None, &none, Repair::No).unwrap();
    let files: Vec<_> = std::fs::read_dir(world.path("c/debuginfo")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let text = std::fs::read_to_string(
        world.path("c/debuginfo/02623eda209c26a59b1a8638ff7752f6b945c26b.debug"),
    )
    .unwrap();
    assert!(text.starts_with(r#"{"archive":"../nar/"#), "{text}");
    assert!(text.ends_with(
        r#""member":"lib/debug/.build-id/02/623eda209c26a59b1a8638ff7752f6b945c26b.debug"}"#
    ));
}

#[test]
fn buckets_are_read_and_written() {
    let world = World::new();
    let local = world.store("a");
    let (src, top) = closure(&local, world.dir.path());
    // an archive that is larger than a part
    let large = world.path("large");
    let noise: Vec<u8> =
        (0..6_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(&large, &noise).unwrap();
    let none = BTreeSet::new();
    let large = local
        .add_path("large", &large, Method::Nar, Algo::Sha256, None, &none, Repair::No)
        .unwrap();
    let server = Server::new(&world.path("served"));
    let credentials = world.path("credentials");
    let text = "[p]\naws_access_key_id = AKID\naws_secret_access_key = secret\n";
    std::fs::write(&credentials, text).unwrap();
    // SAFETY: no other test of this program reads or changes this variable.
    unsafe { std::env::set_var("AWS_SHARED_CREDENTIALS_FILE", &credentials) };
    let uri = format!(
        "s3://bucket?endpoint={}&scheme=http&profile=p&region=eu-west-1&compression=none&storage-class=COLD&multipart-upload=true&multipart-threshold=5M",
        server.address
    );
    let cache = world.open(&uri);
    let paths = [top.clone(), large.clone()].into();
    copy_closure(&local, &*cache, &paths, &everybody()).unwrap();
    assert!(world.path("served/bucket/nix-cache-info").exists());
    let id: DrvOutput = format!("sha256:{}!out", "ab".repeat(32)).parse().unwrap();
    cache.register_realisation(&Realisation::new(id.clone(), src)).unwrap();
    let authorization = server.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/s3/aws4_request"), "{authorization}");
    assert_eq!(server.header("x-amz-storage-class").as_deref(), Some("COLD"));
    assert!(server.requests().iter().any(|r| r.contains("partNumber=2&uploadId=id%2F1")));
    let cache = world.open(&uri);
    assert!(cache.query_realisation(&id).unwrap().is_some());
    let back = world.store("back");
    copy_closure(&*cache, &back, &paths, &everybody()).unwrap();
    assert_eq!(back.check_path(&large).unwrap(), None);
    let unknown = world.open(&uri).query_path_from_hash_part(&"0".repeat(32)).unwrap();
    assert_eq!(unknown, None);
}

/// A machine that says who the machines on it are, as Amazon's do.
fn metadata_server() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines: Vec<String> = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map(|line| line.unwrap().to_lowercase())
                .take_while(|line| !line.is_empty())
                .collect();
            noted.lock().unwrap().push(lines[0].clone());
            let has = |line: &str| lines.iter().any(|l| l == line);
            let token = has("x-aws-ec2-metadata-token: a-token");
            let path = "/latest/meta-data/iam/security-credentials/";
            let answer = if lines[0].starts_with("put /latest/api/token ")
                && has("x-aws-ec2-metadata-token-ttl-seconds: 21600")
            {
                "a-token".to_owned()
            } else if token && lines[0] == format!("get {path} http/1.1") {
                "a-role".to_owned()
            } else if token && lines[0] == format!("get {path}a-role http/1.1") {
                r#"{"AccessKeyId":"FROMMACHINE","SecretAccessKey":"s","Token":"session","Expiration":"2999-01-01T00:00:00Z"}"#.to_owned()
            } else {
                let answer = "HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
                continue;
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

/// Run by [`a_machine_may_know_who_it_is`] with other variables.
#[test]
#[ignore = "part of another test"]
fn inside_a_machine() {
    let world = World::new();
    let server = Server::new(&world.path("served"));
    let uri = format!("s3://bucket?endpoint={}&scheme=http&compression=none", server.address);
    let cache = world.open(&uri);
    let text = world.store("a").add_text("t", b"x", &BTreeSet::new(), Repair::No).unwrap();
    copy_path(&world.store("a"), &*cache, &text, &everybody()).unwrap();
    let authorization = server.header("authorization");
    if std::env::var_os("AWS_EC2_METADATA_DISABLED").is_some() {
        assert_eq!(authorization, None);
        return;
    }
    let authorization = authorization.unwrap();
    assert!(authorization.contains("Credential=FROMMACHINE/"), "{authorization}");
    assert_eq!(server.header("x-amz-security-token").as_deref(), Some("session"));
}

#[test]
fn a_machine_may_know_who_it_is() {
    let (url, asked) = metadata_server();
    let run = |variable: &str, value: &str| {
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "inside_a_machine", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", "/nonexistent")
            .env(variable, value)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    run("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
    // asked once for many requests
    assert_eq!(asked.lock().unwrap().len(), 3, "{:?}", asked.lock().unwrap());
    run("AWS_EC2_METADATA_DISABLED", "true");
}
