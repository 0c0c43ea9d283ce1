use std::collections::BTreeSet;
use std::time::Duration;

use firn_build::{BuildResult, BuildStatus, DerivedPath};
use firn_event::{ActivityKind, Event, Field, Level, Report};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::{Derivation, Output};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::{StoreDir, StorePath};
use firn_model::{PathInfo, signature::SecretKey};
use proptest::prelude::*;

use super::*;
use crate::wire::{WireRead, WireReader};

fn path(name: &str) -> StorePath {
    let digest = Hash::digest(HashAlgo::Sha1, name.as_bytes());
    StorePath::from_parts(digest.as_bytes().try_into().unwrap(), name).unwrap()
}

fn codec(minor: u8) -> Codec {
    Codec::new(StoreDir::default(), Version(minor))
}

fn reader(bytes: &[u8]) -> WireRead<'_> {
    WireReader::new(Box::new(bytes))
}

fn info() -> PathInfo {
    let mut info = PathInfo::new(path("a"), Hash::digest(HashAlgo::Sha256, b"nar"), 123);
    info.deriver = Some(path("a.drv"));
    info.references = [path("a"), path("b")].into();
    info.registration_time = 1_700_000_000;
    info.ultimate = true;
    info.ca = Some(ContentAddress { method: Method::Nar, hash: info.nar_hash });
    let key = SecretKey::from_seed("k", &[1; 32]).unwrap();
    info.signatures = [key.sign(b"x")].into();
    info
}

#[test]
fn operations_have_their_numbers() {
    for op in Op::ALL {
        assert_eq!(Op::from_number(op as u64), Some(op));
    }
    // operations that were taken out of the protocol
    for gone in [0, 2, 3, 4, 5, 15, 16, 17, 24, 25, 27, 48, u64::MAX] {
        assert_eq!(Op::from_number(gone), None);
    }
}

#[test]
fn versions_are_greeted_by() {
    assert_eq!(LATEST.wire(), 0x126);
    assert_eq!(Version::from_wire(0x115), Some(Version(21)));
    assert_eq!(Version::from_wire(0x215), None);
}

#[test]
fn path_infos_come_back() {
    for minor in [16, 38] {
        let mut out = Vec::new();
        codec(minor).put_path_info(&mut out, &info()).unwrap();
        assert_eq!(codec(minor).path_info(&mut reader(&out), path("a")).unwrap(), info());
    }
}

#[test]
fn derivations_come_back_without_their_input_derivations() {
    let ca = ContentAddress { method: Method::Flat, hash: Hash::digest(HashAlgo::Sha1, b"") };
    for output in [
        Output::InputAddressed(path("o")),
        Output::Fixed(ca),
        Output::Floating { method: Method::Nar, algo: HashAlgo::Sha256 },
        Output::Deferred,
        Output::Impure { method: Method::Nar, algo: HashAlgo::Sha256 },
    ] {
        let drv = Derivation {
            name: "x".into(),
            outputs: [("out".to_owned(), output)].into(),
            input_srcs: [path("src")].into(),
            system: "x86_64-linux".into(),
            builder: "/bin/sh".into(),
            args: vec!["-c".into(), "\u{0}\u{1}".into()],
            env: [("a".into(), b"\xff\xfe"[..].into())].into(),
            ..Derivation::default()
        };
        let mut out = Vec::new();
        codec(38).put_derivation(&mut out, &drv).unwrap();
        assert_eq!(codec(38).derivation(&mut reader(&out), "x").unwrap(), drv);
    }
}

#[test]
fn what_is_to_be_built_is_written_as_each_version_does() {
    let drv = path("x.drv");
    let shown = StoreDir::default().print(&drv);
    let all = DerivedPath::all_outputs(drv.clone());
    let out = DerivedPath::output(drv.clone(), "out");
    let itself = DerivedPath::Opaque(drv);
    assert_eq!(codec(38).print_derived_path(&all).unwrap(), format!("{shown}!*"));
    assert_eq!(codec(29).print_derived_path(&all).unwrap(), shown);
    assert_eq!(codec(38).print_derived_path(&itself).unwrap(), shown);
    assert!(codec(29).print_derived_path(&itself).is_err());
    for minor in [18, 29, 30, 38] {
        let codec = codec(minor);
        for wanted in [&all, &out] {
            let text = codec.print_derived_path(wanted).unwrap();
            assert_eq!(codec.parse_derived_path(&text).unwrap(), *wanted, "1.{minor}");
        }
    }
}

#[test]
fn ways_to_hash_are_written_as_cpp_nix_writes_them() {
    for (method, text) in [
        (Method::Text, "text:sha256"),
        (Method::Flat, "fixed:sha256"),
        (Method::Nar, "fixed:r:sha256"),
        (Method::Git, "fixed:git:sha256"),
    ] {
        let mut out = Vec::new();
        codec(38).put_hashing(&mut out, (method, HashAlgo::Sha256)).unwrap();
        assert_eq!(reader(&out).text().unwrap(), text);
        let read = codec(38).hashing(&mut reader(&out)).unwrap();
        assert_eq!(read, (method, HashAlgo::Sha256));
    }
}

fn result() -> BuildResult {
    let id = DrvOutput { drv_hash: Hash::digest(HashAlgo::Sha256, b""), output_name: "out".into() };
    let realisation = Realisation::new(id, path("o"));
    BuildResult {
        status: BuildStatus::Built,
        error: "e".into(),
        times_built: 2,
        non_deterministic: true,
        start_time: 5,
        stop_time: 7,
        cpu_user: Some(Duration::from_micros(9)),
        cpu_system: None,
        built_outputs: [("out".to_owned(), realisation)].into(),
    }
}

#[test]
fn results_have_what_their_version_knows() {
    let back = |minor| {
        let mut out = Vec::new();
        codec(minor).put_build_result(&mut out, &result()).unwrap();
        codec(minor).build_result(&mut reader(&out)).unwrap()
    };
    assert_eq!(back(37), result());
    assert_eq!(back(36), BuildResult { cpu_user: None, ..result() });
    let old = back(28);
    assert_eq!((old.times_built, old.built_outputs.len()), (0, 1));
    assert!(back(27).built_outputs.is_empty());
}

#[test]
fn events_come_back() {
    let events = [
        Event::Start {
            id: 3,
            parent: 0,
            level: Level::Chatty,
            kind: ActivityKind::Build,
            text: "b".into(),
            fields: vec![Field::Int(7), Field::Text("t".into())],
        },
        Event::Result { id: 3, report: Report::BuildLogLine("l".into()) },
        Event::Result { id: 3, report: Report::SetPhase("p".into()) },
        Event::Result {
            id: 3,
            report: Report::Progress { done: 1, expected: 2, running: 3, failed: 4 },
        },
        Event::Result { id: 3, report: Report::SetExpected(ActivityKind::CopyPath, 9) },
        Event::Result { id: 3, report: Report::FetchStatus("f".into()) },
        Event::Stop { id: 3 },
    ];
    for event in events {
        let mut out = Vec::new();
        log::put_event(&mut out, &event, 0).unwrap();
        assert_eq!(log::read(&mut reader(&out), LATEST).unwrap(), log::Message::Event(event));
    }
    for (level, text) in [(Level::Warn, "w"), (Level::Error, "e"), (Level::Notice, "n")] {
        let event = Event::Message { level, text: text.into() };
        let mut out = Vec::new();
        log::put_event(&mut out, &event, 0).unwrap();
        let log::Message::Line(line) = log::read(&mut reader(&out), LATEST).unwrap() else {
            panic!("no line")
        };
        assert_eq!(log::line_as_message(&line), event);
    }
}

#[test]
fn errors_come_back_in_old_and_new_versions() {
    for minor in [18, 25, 26, 38] {
        let mut out = Vec::new();
        log::put_error(&mut out, Version(minor), "no").unwrap();
        let read = log::read(&mut reader(&out), Version(minor)).unwrap();
        assert_eq!(read, log::Message::Error { message: "no".into(), status: 1 });
    }
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(bytes: Vec<u8>, minor in 18u8..39) {
        let codec = codec(minor);
        let _ = codec.path_info(&mut reader(&bytes), path("a"));
        let _ = codec.derivation(&mut reader(&bytes), "x");
        let _ = codec.build_result(&mut reader(&bytes));
        let _ = codec.keyed_results(&mut reader(&bytes));
        let _ = codec.paths(&mut reader(&bytes));
        let _ = log::read(&mut reader(&bytes), Version(minor));
    }

    #[test]
    fn sets_of_paths_come_back(names in prop::collection::btree_set("[a-z]{1,9}", 0..20)) {
        let paths: BTreeSet<StorePath> = names.iter().map(|n| path(n)).collect();
        let mut out = Vec::new();
        codec(38).put_paths(&mut out, &paths).unwrap();
        prop_assert_eq!(codec(38).paths(&mut reader(&out)).unwrap(), paths);
    }
}
