//! Whole imports: small packages made here, imported, and looked at. Attack archives too.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use firn_import::{Env, Error, Report, Spec, run};

/// A store in a temporary folder, and what goes into it.
struct Store {
    folder: tempfile::TempDir,
    log: Mutex<Vec<String>>,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        Self { folder, log: Mutex::default() }
    }

    fn real(&self, name: &str) -> PathBuf {
        self.folder.path().join("store").join(name)
    }

    fn source(&self, name: &str, data: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, data).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Imports with parameters as JSON; the output is `/s/NAME`.
    fn import(&self, name: &str, spec: &serde_json::Value) -> Result<Report, Error> {
        let log = |line: &str| self.log.lock().unwrap().push(line.to_owned());
        let out = format!("/s/{name}");
        let env = Env {
            store_dir: PathBuf::from("/s"),
            real_store_dir: self.folder.path().join("store"),
            real_out: self.real(name),
            out: out.clone(),
            threads: 2,
            log: &log,
        };
        run(&Spec::from_json(&spec.to_string(), &out)?, &env)
    }

    /// All files of an output: path → contents or `-> target`, with `*` after those that can be run.
    fn listing(&self, name: &str) -> BTreeMap<String, String> {
        fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, String>) {
            use std::os::unix::fs::PermissionsExt as _;
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                let metadata = path.symlink_metadata().unwrap();
                if metadata.is_dir() {
                    walk(root, &path, found);
                } else if metadata.is_symlink() {
                    let target = std::fs::read_link(&path).unwrap();
                    found.insert(name, format!("-> {}", target.to_str().unwrap()));
                } else {
                    let star = if metadata.permissions().mode() & 0o111 != 0 { "*" } else { "" };
                    assert_eq!(metadata.permissions().mode() & 0o7000, 0);
                    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                    found.insert(name + star, text);
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.real(name), &self.real(name), &mut found);
        found
    }
}

enum Member<'a> {
    File(&'a str, u32, &'a str),
    Link(&'a str, &'a str),
    HardLink(&'a str, &'a str),
    Folder(&'a str),
    Device(&'a str),
}

/// A tar archive with names just as given, however bad.
fn tar_of(members: &[Member<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let (name, kind, mode, target, data) = match member {
            Member::File(name, mode, data) => (name, tar::EntryType::Regular, *mode, "", *data),
            Member::Link(name, target) => (name, tar::EntryType::Symlink, 0o777, *target, ""),
            Member::HardLink(name, target) => (name, tar::EntryType::Link, 0o644, *target, ""),
            Member::Folder(name) => (name, tar::EntryType::Directory, 0o755, "", ""),
            Member::Device(name) => (name, tar::EntryType::Char, 0o666, "", ""),
        };
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn ar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, data) in members {
        archive.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, data.len())
                .bytes(),
        );
        archive.extend_from_slice(data);
        if data.len() % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

fn deb_of(members: &[Member<'_>]) -> Vec<u8> {
    let data = zstd::encode_all(&tar_of(members)[..], 3).unwrap();
    ar_of(&[("debian-binary", b"2.0\n"), ("control.tar", &tar_of(&[])), ("data.tar.zst", &data)])
}

#[test]
fn a_debian_package_is_flattened_and_points_into_the_store() {
    let store = Store::new();
    let shell = deb_of(&[
        Member::Folder("./"),
        Member::File("./bin/bash", 0o755, "bash"),
        Member::File("./usr/share/doc/bash/README", 0o644, "read me"),
    ]);
    let shell = store.source("bash.deb", &shell);
    store
        .import(
            "bash",
            &serde_json::json!({ "sources": [shell], "symlinks": { "bin/sh": "bash" } }),
        )
        .unwrap();
    assert_eq!(
        store.listing("bash").into_iter().collect::<Vec<_>>(),
        [("bin/bash*".into(), "bash".into()), ("bin/sh".into(), "-> bash".into())]
    );

    let package = deb_of(&[
        Member::Folder("./usr/"),
        Member::File(
            "./usr/sbin/tool",
            0o4755,
            "#!/bin/sh\nexec /usr/lib/tool/helper /etc/tool.conf\n",
        ),
        Member::File("./usr/lib/tool/helper", 0o755, "#!/usr/bin/env sh\n"),
        Member::Link("./sbin/tool", "/usr/sbin/tool"),
        Member::Link("./usr/bin/shell", "/bin/bash"),
        Member::Link("./usr/bin/help", "../lib/tool/helper"),
        Member::Link("./usr/bin/gone", "/etc/alternatives/gone"),
        Member::HardLink("./usr/bin/same", "./usr/lib/tool/helper"),
        Member::File("./lib/systemd/system/tool.service", 0o644, "ExecStart=/usr/sbin/tool\n"),
        Member::File("./etc/tool.conf", 0o644, "setting\n"),
        Member::File("./var/lib/tool/state", 0o644, "state"),
        Member::Device("./dev/null"),
        Member::Folder("./usr/lib/empty/"),
        Member::File("./usr/share/man/man1/tool.1", 0o644, "/usr/sbin/tool"),
    ]);
    let package = store.source("tool.deb", &package);
    let report = store
        .import(
            "tool",
            &serde_json::json!({
                "sources": [package], "dependencies": ["/s/bash"],
                "prune": ["share/man"], "write": { "share/note": "by @out@" },
                "replace": [{ "from": "setting", "to": "@out@/x" }]
            }),
        )
        .unwrap();
    let expected = [
        ("bin/gone", "-> /etc/alternatives/gone"),
        ("bin/help", "-> ../lib/tool/helper"),
        ("bin/same*", "#!/s/bash/bin/sh\n"),
        ("bin/shell", "-> /s/bash/bin/bash"),
        ("bin/tool*", "#!/s/bash/bin/sh\nexec /s/tool/lib/tool/helper /etc/tool.conf\n"),
        ("etc/tool.conf", "/s/tool/x\n"),
        ("lib/systemd/system/tool.service", "ExecStart=/s/tool/bin/tool\n"),
        ("lib/tool/helper*", "#!/s/bash/bin/sh\n"),
        ("share/note", "by /s/tool"),
    ];
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    assert_eq!(store.listing("tool"), expected);
    assert_eq!(report.dangling_links, ["bin/gone -> /etc/alternatives/gone"]);
}

#[test]
fn tarballs_lose_their_first_folder_and_keep_their_paths() {
    let store = Store::new();
    let npm = tar_of(&[
        Member::File("package/bin/node", 0o755, "node"),
        Member::File("package/usr/x", 0o644, "/usr/x"),
        Member::Link("package/lib/link", "../bin/node"),
    ]);
    let npm = store.source("node.tar", &npm);
    store
        .import(
            "node",
            &serde_json::json!({ "kind": "tarball", "sources": [npm], "target": "lib/node" }),
        )
        .unwrap();
    let listing = store.listing("node");
    assert_eq!(
        listing.keys().collect::<Vec<_>>(),
        ["lib/node/bin/node*", "lib/node/lib/link", "lib/node/usr/x"]
    );
    assert_eq!(listing["lib/node/usr/x"], "/usr/x");
}

#[test]
fn a_single_file_becomes_a_program() {
    let store = Store::new();
    let file = store.source("firn", b"program");
    let spec = serde_json::json!({ "kind": "binary", "sources": [file], "target": "bin/firn" });
    store.import("firn", &spec).unwrap();
    assert_eq!(store.listing("firn").keys().collect::<Vec<_>>(), ["bin/firn*"]);
    let spec = serde_json::json!({ "kind": "binary", "sources": [file] });
    assert!(matches!(store.import("other", &spec), Err(Error::Step { key: "target", .. })));
}

#[test]
fn imports_are_deterministic() {
    let store = Store::new();
    let files: Vec<String> = (0..50).map(|n| format!("./usr/bin/tool{n}")).collect();
    let members: Vec<Member<'_>> =
        files.iter().map(|name| Member::File(name, 0o755, "#!/bin/sh\n/usr/bin/tool7\n")).collect();
    let package = store.source("p.deb", &deb_of(&members));
    let spec =
        serde_json::json!({ "sources": [package], "paths": { "/bin/sh": "/s/bash/bin/sh" } });
    let first = store.import("same", &spec).unwrap();
    let listing = store.listing("same");
    std::fs::rename(store.real("same"), store.folder.path().join("first")).unwrap();
    assert_eq!(store.import("same", &spec).unwrap(), first);
    assert_eq!(store.listing("same"), listing);
    assert_eq!(listing["bin/tool3*"], "#!/s/bash/bin/sh\n/s/same/bin/tool7\n");
}

#[test]
fn archives_that_lead_out_are_refused_and_write_nothing() {
    let attacks: [(&str, Vec<Member<'_>>); 7] = [
        ("dots", vec![Member::File("a/../../evil", 0o644, "x")]),
        ("dots after the prefix", vec![Member::File("package/../evil", 0o644, "x")]),
        ("absolute", vec![Member::File("/tmp/evil", 0o644, "x")]),
        (
            "link out",
            vec![Member::Link("package/l", "/etc"), Member::File("package/l/evil", 0o644, "x")],
        ),
        (
            "relative link out",
            vec![Member::Link("package/l", "../../.."), Member::File("package/l/evil", 0o644, "x")],
        ),
        (
            "link inside, written through",
            vec![
                Member::Folder("package/d"),
                Member::Link("package/l", "d"),
                Member::File("package/l/evil", 0o644, "x"),
            ],
        ),
        ("hard link out", vec![Member::HardLink("package/l", "/etc/passwd")]),
    ];
    for (name, members) in attacks {
        for kind in ["tarball", "debian"] {
            let store = Store::new();
            let archive = if kind == "debian" { deb_of(&members) } else { tar_of(&members) };
            let source = store.source("attack", &archive);
            let result =
                store.import("out", &serde_json::json!({ "kind": kind, "sources": [source] }));
            let Err(error) = result else { panic!("{kind}: '{name}' was unpacked") };
            assert!(matches!(error, Error::Member { .. }), "{kind}: {name}: {error}");
            assert!(!store.real("out").exists(), "{kind}: {name}");
        }
    }
}

#[test]
fn links_of_debian_packages_that_climb_too_far_end_at_the_root() {
    let store = Store::new();
    let members = [
        Member::File("./usr/bin/a", 0o755, "a"),
        Member::Link("./usr/bin/b", "../../../../../usr/bin/a"),
    ];
    let source = store.source("p.deb", &deb_of(&members));
    store.import("out", &serde_json::json!({ "sources": [source] })).unwrap();
    assert_eq!(store.listing("out")["bin/b"], "-> a");
}

#[test]
fn damaged_archives_are_errors() {
    let store = Store::new();
    let whole = deb_of(&[Member::File("./usr/bin/a", 0o755, "contents of the file")]);
    for length in [0, 4, 8, 40, 70, 150, whole.len() - 30] {
        let source = store.source("cut.deb", &whole[..length]);
        let error = store.import("out", &serde_json::json!({ "sources": [source] })).unwrap_err();
        assert!(matches!(error, Error::Archive { .. }), "{length}: {error}");
        assert!(error.to_string().contains("cut.deb"), "{error}");
    }
}

#[test]
fn wrong_parameters_name_themselves() {
    let store = Store::new();
    let source = store.source("p.deb", &deb_of(&[Member::File("./usr/bin/a", 0o644, "a")]));
    for (spec, word) in [
        (serde_json::json!({ "sources": [source], "prunes": [] }), "prunes"),
        (serde_json::json!({ "sources": [] }), "sources"),
        (serde_json::json!({ "sources": [source], "executables": ["bin/b"] }), "bin/b"),
        (serde_json::json!({ "sources": [source], "rename": { "x": "y" } }), "'x'"),
        (serde_json::json!({ "sources": [source], "write": { "../x": "y" } }), "../x"),
        (serde_json::json!({ "sources": [source], "replace": [{ "from": "q", "to": "" }] }), "'q'"),
        (
            serde_json::json!({ "sources": [source], "strings": [{ "from": "/q", "to": "" }] }),
            "'/q'",
        ),
        (serde_json::json!({ "sources": ["/s/none.deb"] }), "none.deb"),
    ] {
        let error = store.import("out", &spec).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_missing_interpreter_is_an_error_where_that_is_asked_for() {
    let store = Store::new();
    let source =
        store.source("p.deb", &deb_of(&[Member::File("./usr/bin/a", 0o755, "#!/usr/bin/perl\n")]));
    let report = store.import("one", &serde_json::json!({ "sources": [source] })).unwrap();
    assert_eq!(report.missing_interpreters, ["bin/a: /usr/bin/perl"]);
    let strict = serde_json::json!({ "sources": [source], "allowUnresolved": false });
    assert!(matches!(store.import("two", &strict), Err(Error::Unresolved(_))));
}

#[test]
fn the_log_is_a_summary() {
    let store = Store::new();
    let names: Vec<String> = (0..100).map(|n| format!("./usr/bin/tool{n}")).collect();
    let script = "#!/usr/bin/absent\ncat /usr/share/absent/data\n";
    let members: Vec<Member<'_>> =
        names.iter().map(|name| Member::File(name, 0o755, script)).collect();
    let source = store.source("tools.deb", &deb_of(&members));
    let report = store.import("tools", &serde_json::json!({ "sources": [source] })).unwrap();
    assert_eq!(report.missing_interpreters.len(), 100);
    let log = store.log.lock().unwrap();
    let interpreters = log.iter().find(|l| l.starts_with("missing script interpreter")).unwrap();
    assert_eq!(
        interpreters,
        "missing script interpreter (100): bin/tool0: /usr/bin/absent, bin/tool1: /usr/bin/absent, \
         bin/tool10: /usr/bin/absent, and 97 more"
    );
    assert!(log.len() <= 7, "{log:?}");
}
