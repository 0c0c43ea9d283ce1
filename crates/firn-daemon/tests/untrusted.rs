//! What clients that are not trusted try, by the usual client and by hand-made ones that speak old versions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use common::{World, derivation, out};
use firn_build::DerivedPath;
use firn_daemon::ManagedStore as _;
use firn_daemon::protocol::{BuildMode, Codec, Op, Version, WORKER_MAGIC_1, WORKER_MAGIC_2, log};
use firn_daemon::server::Trust;
use firn_daemon::wire::{WireRead, WireReader, WireWrite as _};
use firn_event::Logger;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::SecretKey;
use firn_model::{PathInfo, StorePath};
use firn_store::local::gc::GcOptions;
use firn_store::{Repair, Store as _};

fn world() -> Arc<World> {
    Arc::new(World::new())
}

/// A path that claims to be the output of something, with its NAR.
fn forged(world: &World) -> (PathInfo, Vec<u8>) {
    let mut nar = Vec::new();
    let mut contents = &b"evil"[..];
    firn_model::nar::NarWriter::new(&mut nar).unwrap().file(true, 4, &mut contents).unwrap();
    let path = StorePath::from_parts(&[7; 20], "sudo").unwrap();
    let mut info = PathInfo::new(path, Hash::digest(HashAlgo::Sha256, &nar), nar.len() as u64);
    info.ultimate = true;
    let _ = world;
    (info, nar)
}

fn refused<T: std::fmt::Debug, E: std::fmt::Display>(result: Result<T, E>, why: &str) {
    let text = match result {
        Ok(done) => panic!("this was allowed: {done:?}"),
        Err(e) => e.to_string(),
    };
    assert!(text.contains(why), "{text}");
}

#[test]
fn unsigned_paths_are_not_taken_however_they_come() {
    let world = world();
    let (remote, _) = world.remote(Trust::Untrusted);
    let (info, nar) = forged(&world);
    let unsigned = "lacks a signature by a trusted key";
    // with the wish that signatures are not checked, and without
    for check in [false, true] {
        let result = remote.add_to_store(&info, &mut &*nar, Repair::No, check);
        refused(result, unsigned);
        let nars = |_: &PathInfo, sink: &mut dyn Write| {
            sink.write_all(&nar).unwrap();
            Ok(())
        };
        refused(
            remote.add_multiple(std::slice::from_ref(&info), &nars, Repair::No, check),
            unsigned,
        );
    }
    assert!(!remote.is_valid(&info.path).unwrap());
    // a trusted one may
    let (trusted, _) = world.remote(Trust::Trusted);
    trusted.add_to_store(&info, &mut &*nar, Repair::No, false).unwrap();
    // and what it adds this way still counts as built elsewhere only if it was added alone
    assert!(world.local(&Logger::silent()).path_info(&info.path).unwrap().ultimate);
}

#[test]
fn outputs_are_not_claimed() {
    let world = world();
    let (remote, _) = world.remote(Trust::Untrusted);
    let local = world.local(&Logger::silent());
    let drv = derivation(&local, "good", "hello");
    let path = drv.store_path(local.store_dir()).unwrap();
    // the same output, another builder
    let mut evil = drv.clone();
    evil.args[1] = "echo evil > $out".into();
    refused(
        remote.build_derivation(&path, &evil, BuildMode::Normal),
        "not privileged to build input-addressed",
    );
    refused(remote.add_derivation(&evil, Repair::No), "incorrect output");
    assert!(!local.is_valid(&out(&drv, &local)).unwrap());

    let id =
        DrvOutput { drv_hash: Hash::digest(HashAlgo::Sha256, b"d"), output_name: "out".into() };
    let text = remote.add_text("t", b"evil", &BTreeSet::new(), Repair::No).unwrap();
    refused(
        remote.register_realisation(&Realisation::new(id, text)),
        "lacks a signature by a trusted key",
    );
}

#[test]
fn realisations_need_a_signature() {
    let mut world = World::new();
    let ours = SecretKey::from_seed("ours-1", &[1; 32]).unwrap();
    let theirs = SecretKey::from_seed("ours-1", &[2; 32]).unwrap();
    world.settings.set("experimental-features", "ca-derivations").unwrap();
    world.settings.set("trusted-public-keys", &ours.public_key().to_string()).unwrap();
    let world = Arc::new(world);
    let local = world.local(&Logger::silent());
    let (remote, _) = world.remote(Trust::Untrusted);
    let text = remote.add_text("t", b"evil", &BTreeSet::new(), Repair::No).unwrap();
    let id =
        DrvOutput { drv_hash: Hash::digest(HashAlgo::Sha256, b"d"), output_name: "out".into() };
    let unsigned = Realisation::new(id.clone(), text);
    let mut forged = unsigned.clone();
    forged.sign(&theirs);
    for realisation in [&unsigned, &forged] {
        refused(remote.register_realisation(realisation), "lacks a signature by a trusted key");
        assert_eq!(local.query_realisation(&id).unwrap(), None);
    }
    let mut signed = unsigned;
    signed.sign(&ours);
    remote.register_realisation(&signed).unwrap();
    assert_eq!(local.query_realisation(&id).unwrap(), Some(signed));
}

#[test]
fn contents_are_not_replaced() {
    let world = world();
    let (remote, _) = world.remote(Trust::Untrusted);
    let local = world.local(&Logger::silent());
    let drv = derivation(&local, "good", "hello");
    let path = remote.add_derivation(&drv, Repair::No).unwrap();
    let wanted = [DerivedPath::all_outputs(path.clone())];
    refused(remote.build(&wanted, BuildMode::Repair), "repairing is not allowed");
    refused(remote.build_derivation(&path, &drv, BuildMode::Repair), "repairing is not allowed");
    refused(remote.verify_store(true, Repair::Yes), "not privileged to repair");
    refused(remote.add_build_log(&path, b"evil"), "not privileged to add logs");
    assert_eq!(local.build_log(&path).unwrap(), None);
    // the connection is as good as before
    assert!(remote.is_valid(&path).unwrap());
}

#[test]
fn nothing_in_use_is_deleted_and_nothing_is_kept_for_ever() {
    let world = world();
    let (remote, _) = world.remote(Trust::Untrusted);
    let path = remote.add_text("t", b"x", &BTreeSet::new(), Repair::No).unwrap();
    let options = GcOptions { ignore_liveness: true, ..GcOptions::default() };
    refused(remote.collect_garbage(&options), "not allowed to ignore liveness");
    let link = world.dir.path().join("root");
    refused(remote.add_perm_root(&path, &link), "not privileged to create perm roots");
    assert!(link.symlink_metadata().is_err());
    // what other users' processes do is not told
    let roots = remote.find_roots().unwrap();
    assert!(!format!("{roots:?}").contains("/proc/"), "{roots:?}");
    assert!(!format!("{roots:?}").contains("{temp:"), "{roots:?}");
    assert!(remote.is_valid(&path).unwrap());
}

/// A client that is made by hand.
struct Raw {
    out: UnixStream,
    reader: WireRead<'static>,
    codec: Codec,
}

impl Raw {
    /// Greets as a client of this version does.
    fn new(world: &World, trust: Trust, version: u8) -> Self {
        let (stream, _) = world.serve(trust);
        let mut out = stream.try_clone().unwrap();
        let boxed: Box<dyn Read + Send> = Box::new(stream);
        let mut reader = WireReader::new(boxed);
        let version = Version(version);
        out.number(WORKER_MAGIC_1).unwrap();
        out.number(version.wire()).unwrap();
        assert_eq!(reader.number().unwrap(), WORKER_MAGIC_2);
        assert_eq!(reader.number().unwrap(), firn_daemon::protocol::LATEST.wire());
        if version >= Version(38) {
            out.number(0).unwrap();
            reader.texts::<Vec<String>>().unwrap();
        }
        out.number(0).unwrap();
        out.number(0).unwrap();
        let codec = Codec::new(world.layout.store_dir.clone(), version);
        if version >= Version(33) {
            assert_eq!(reader.text().unwrap(), "test");
        }
        if version >= Version(35) {
            let trusted = codec.trust(&mut reader).unwrap();
            assert_eq!(trusted, Some(trust == Trust::Trusted));
        }
        let mut raw = Self { out, reader, codec };
        raw.answer().unwrap();
        raw
    }

    fn op(&mut self, op: Op) {
        self.out.number(op as u64).unwrap();
    }

    /// Waits for the end of the messages: the error if the request failed.
    fn answer(&mut self) -> Result<(), String> {
        loop {
            match log::read(&mut self.reader, self.codec.version).map_err(|e| e.to_string())? {
                log::Message::Last => return Ok(()),
                log::Message::Error { message, .. } => return Err(message),
                _ => {}
            }
        }
    }

    fn is_valid(&mut self, path: &StorePath) -> bool {
        self.op(Op::IsValidPath);
        self.codec.put_path(&mut self.out, path).unwrap();
        self.answer().unwrap();
        self.reader.bool().unwrap()
    }
}

#[test]
fn old_versions_are_served() {
    let world = world();
    for version in [18, 20, 21, 22, 23, 25, 29, 30, 31, 34, 35, 37, 38] {
        let mut raw = Raw::new(&world, Trust::Trusted, version);
        let name = format!("text-{version}");
        raw.op(Op::AddTextToStore);
        raw.out.text(&name).unwrap();
        raw.out.text("contents").unwrap();
        raw.out.number(0).unwrap();
        raw.answer().unwrap();
        let path = raw.codec.path(&mut raw.reader).unwrap();
        assert_eq!(path.name(), name);
        assert!(raw.is_valid(&path), "1.{version}");

        // contents in the way of the version
        if version < 25 {
            let mut nar = Vec::new();
            firn_model::nar::NarWriter::new(&mut nar)
                .unwrap()
                .file(false, 1, &mut &b"x"[..])
                .unwrap();
            for (fixed, recursive) in [(0, 0), (1, 1), (1, 0)] {
                raw.op(Op::AddToStore);
                raw.out.text(&format!("file-{fixed}-{recursive}")).unwrap();
                raw.out.number(fixed).unwrap();
                raw.out.number(recursive).unwrap();
                raw.out.text("sha256").unwrap();
                raw.out.write_all(&nar).unwrap();
                raw.answer().unwrap();
                let path = raw.codec.path(&mut raw.reader).unwrap();
                let real = world.layout.real_path(&path);
                assert_eq!(std::fs::read(real).unwrap(), b"x");
            }
        }
        raw.op(Op::QueryPathInfo);
        raw.codec.put_path(&mut raw.out, &path).unwrap();
        raw.answer().unwrap();
        assert!(raw.reader.bool().unwrap());
        let info = raw.codec.path_info(&mut raw.reader, path.clone()).unwrap();
        assert!(info.ca.is_some());
    }
}

#[test]
fn old_versions_are_no_way_round_a_check() {
    let world = world();
    let (info, nar) = forged(&world);
    let put_info = |raw: &mut Raw| {
        raw.op(Op::AddToStoreNar);
        let whole = Codec::new(raw.codec.dir.clone(), Version(16));
        whole.put_path(&mut raw.out, &info.path).unwrap();
        whole.put_path_info(&mut raw.out, &info).unwrap();
        // repair, and do not check signatures
        raw.out.number(0).unwrap();
        raw.out.number(1).unwrap();
    };
    // inline
    let mut raw = Raw::new(&world, Trust::Untrusted, 20);
    put_info(&mut raw);
    raw.out.write_all(&nar).unwrap();
    refused(raw.answer(), "lacks a signature");
    assert!(!raw.is_valid(&info.path));
    // piece by piece
    let mut raw = Raw::new(&world, Trust::Untrusted, 22);
    put_info(&mut raw);
    refused(raw.answer(), "lacks a signature");
    assert!(!raw.is_valid(&info.path));
    // in frames
    for version in [23, 31, 38] {
        let mut raw = Raw::new(&world, Trust::Untrusted, version);
        put_info(&mut raw);
        raw.out.number(nar.len() as u64).unwrap();
        raw.out.write_all(&nar).unwrap();
        raw.out.number(0).unwrap();
        refused(raw.answer(), "lacks a signature");
        assert!(!raw.is_valid(&info.path), "1.{version}");
    }
    // a realisation without signatures, as old versions write it
    let mut raw = Raw::new(&world, Trust::Untrusted, 30);
    let text = {
        raw.op(Op::AddTextToStore);
        raw.out.text("t").unwrap();
        raw.out.text("evil").unwrap();
        raw.out.number(0).unwrap();
        raw.answer().unwrap();
        raw.codec.path(&mut raw.reader).unwrap()
    };
    raw.op(Op::RegisterDrvOutput);
    raw.out.text(&format!("sha256:{}!out", "ab".repeat(32))).unwrap();
    raw.out.text(text.base_name()).unwrap();
    refused(raw.answer(), "lacks a signature");
    // building as old versions ask for it, with repair
    raw.op(Op::BuildPaths);
    raw.out.number(0).unwrap();
    raw.out.number(1).unwrap();
    refused(raw.answer(), "repairing is not allowed");
    assert!(raw.is_valid(&text));
}

#[test]
fn trusted_clients_send_as_old_versions_do() {
    let world = world();
    let (info, nar) = forged(&world);
    let mut raw = Raw::new(&world, Trust::Trusted, 21);
    raw.op(Op::AddToStoreNar);
    let whole = Codec::new(raw.codec.dir.clone(), Version(16));
    whole.put_path(&mut raw.out, &info.path).unwrap();
    whole.put_path_info(&mut raw.out, &info).unwrap();
    raw.out.number(0).unwrap();
    raw.out.number(1).unwrap();
    let mut rest = &*nar;
    loop {
        match log::read(&mut raw.reader, Version(21)).unwrap() {
            log::Message::Read(most) => {
                let (piece, after) = rest.split_at(rest.len().min(most as usize));
                firn_daemon::wire::WireWrite::bytes(&mut raw.out, piece).unwrap();
                rest = after;
            }
            log::Message::Last => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(raw.is_valid(&info.path));
}

#[test]
fn nonsense_ends_one_connection_and_no_other() {
    let world = world();
    let mut good = Raw::new(&world, Trust::Untrusted, 38);
    // no greeting
    let (mut stream, thread) = world.serve(Trust::Untrusted);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!(thread.join().unwrap().is_err());
    // too old
    let (mut stream, thread) = world.serve(Trust::Untrusted);
    stream.number(WORKER_MAGIC_1).unwrap();
    stream.number(0x10a).unwrap();
    assert!(thread.join().unwrap().is_err());
    // a path of 2^50 bytes: refused at once, without memory for it
    let mut raw = Raw::new(&world, Trust::Untrusted, 38);
    raw.op(Op::IsValidPath);
    raw.out.number(1 << 50).unwrap();
    refused(raw.answer(), "refused");
    assert!(raw.reader.number_or_end().map_or(true, |number| number.is_none()));
    // an operation that does not exist
    let mut raw = Raw::new(&world, Trust::Untrusted, 38);
    raw.out.number(4711).unwrap();
    refused(raw.answer(), "invalid operation 4711");
    // a path that is none
    let mut raw = Raw::new(&world, Trust::Untrusted, 38);
    raw.op(Op::IsValidPath);
    raw.out.text("/etc/passwd").unwrap();
    refused(raw.answer(), "/etc/passwd");
    // a frame that is too long to be one
    let mut raw = Raw::new(&world, Trust::Untrusted, 38);
    raw.op(Op::AddMultipleToStore);
    raw.out.number(0).unwrap();
    raw.out.number(0).unwrap();
    raw.out.number(u64::MAX).unwrap();
    assert!(raw.answer().is_err());
    assert!(raw.reader.number_or_end().map_or(true, |number| number.is_none()));
    let nobody = StorePath::from_parts(&[1; 20], "nobody").unwrap();
    assert!(!good.is_valid(&nobody));
}

#[test]
fn a_client_that_hangs_or_leaves_in_the_middle_hurts_nobody() {
    let world = world();
    // many that begin something and do not go on
    let hanging: Vec<Raw> = (0..20)
        .map(|_| {
            let mut raw = Raw::new(&world, Trust::Untrusted, 38);
            raw.op(Op::AddToStore);
            raw.out.text("half").unwrap();
            raw
        })
        .collect();
    // one that leaves within a stream
    let mut raw = Raw::new(&world, Trust::Untrusted, 38);
    raw.op(Op::AddToStore);
    raw.out.text("left").unwrap();
    raw.out.text("fixed:sha256").unwrap();
    raw.out.number(0).unwrap();
    raw.out.number(0).unwrap();
    raw.out.number(1000).unwrap();
    raw.out.write_all(&[1; 10]).unwrap();
    drop(raw);
    let (remote, _) = world.remote(Trust::Untrusted);
    let path = remote.add_text("t", b"x", &BTreeSet::new(), Repair::No).unwrap();
    assert!(remote.is_valid(&path).unwrap());
    assert_eq!(remote.query_all_valid_paths().unwrap(), [path].into());
    drop(hanging);
}
