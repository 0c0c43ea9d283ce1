use super::*;
use firn_eval::io::{AddPath, DryIo, EvalIo, Outside};
use firn_model::input::{Attrs, Input as Source};
use firn_model::{HashAlgo, Method};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

struct Fixture {
    dir: tempfile::TempDir,
    cache: EvalCache,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("w")).unwrap();
        let cache = EvalCache::new(dir.path().join("cache"));
        Fixture { dir, cache }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("w").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Records what `work` reads and keeps an answer.
    fn ask(&self, work: impl FnOnce(&RecordingIo)) -> Result<(), &'static str> {
        let io = RecordingIo::new(Arc::new(DryIo::default()), false, true);
        work(&io);
        let record = io.finish()?;
        self.cache.put("question", json!(1), record, Vec::new());
        assert!(self.holds(), "nothing was changed");
        Ok(())
    }

    fn holds(&self) -> bool {
        self.cache.get("question").is_some()
    }

    fn git(&self, args: &[&str]) {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.path(""))
            .args(["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn source(&self, kind: &str) -> Source {
        let path = self.path("").to_string_lossy().trim_end_matches('/').to_owned();
        let (name, value) =
            if kind == "git" { ("url", format!("file://{path}")) } else { ("path", path) };
        let attrs = Attrs::from([("type".into(), kind.into()), (name.into(), value.into())]);
        Source::from_attrs(attrs, &|_| true).unwrap()
    }
}

/// Long enough for stamps to prove something.
fn settle() {
    std::thread::sleep(Duration::from_millis(150));
}

#[test]
fn a_file_that_was_read_is_an_input() {
    for wait in [false, true] {
        let f = Fixture::new();
        f.write("a", "1");
        if wait {
            settle();
        }
        f.ask(|io| {
            io.read_file(&f.path("a")).unwrap();
        })
        .unwrap();
        // touched but equal
        f.write("a", "1");
        assert!(f.holds());
        // another file does not matter
        f.write("b", "1");
        assert!(f.holds());
        // of the same size
        f.write("a", "2");
        assert!(!f.holds());
        f.write("a", "1");
        assert!(f.holds());
        fs::remove_file(f.path("a")).unwrap();
        assert!(!f.holds());
    }
}

#[test]
fn a_change_in_the_same_moment_with_the_same_size_is_seen() {
    let f = Fixture::new();
    for _ in 0..50 {
        f.write("a", "1");
        f.ask(|io| {
            io.read_file(&f.path("a")).unwrap();
        })
        .unwrap();
        f.write("a", "2");
        assert!(!f.holds());
    }
}

#[test]
fn absent_files_kinds_links_and_folders_are_inputs() {
    let f = Fixture::new();
    f.ask(|io| assert!(io.read_file(&f.path("a")).is_err())).unwrap();
    f.write("a", "");
    assert!(!f.holds());

    f.ask(|io| assert_eq!(io.kind(&f.path("b")).unwrap(), None)).unwrap();
    fs::create_dir(f.path("b")).unwrap();
    assert!(!f.holds());
    f.ask(|io| assert!(io.kind(&f.path("b")).unwrap().is_some())).unwrap();
    f.write("b/x", "");
    assert!(f.holds());
    fs::remove_dir_all(f.path("b")).unwrap();
    f.write("b", "");
    assert!(!f.holds());

    std::os::unix::fs::symlink("a", f.path("l")).unwrap();
    f.ask(|io| assert_eq!(io.read_link(&f.path("l")).unwrap(), Path::new("a"))).unwrap();
    fs::remove_file(f.path("l")).unwrap();
    std::os::unix::fs::symlink("b", f.path("l")).unwrap();
    assert!(!f.holds());

    fs::create_dir(f.path("d")).unwrap();
    f.write("d/x", "1");
    f.ask(|io| assert_eq!(io.read_dir(&f.path("d")).unwrap().len(), 1)).unwrap();
    f.write("d/x", "2");
    assert!(f.holds());
    f.write("d/y", "");
    assert!(!f.holds());
    fs::remove_file(f.path("d/y")).unwrap();
    assert!(f.holds());
}

#[test]
fn environment_variables_are_inputs() {
    let f = Fixture::new();
    // a variable that every process has, and one that none has
    f.ask(|io| {
        assert!(io.env("PATH").is_some());
        assert!(io.env("FIRN_NO_SUCH_VARIABLE").is_none());
    })
    .unwrap();
    let io = RecordingIo::new(Arc::new(DryIo::default()), false, true);
    io.env("PATH");
    let mut record = io.finish().unwrap();
    let [Input::Variable { hash, .. }] = &mut record.inputs[..] else { panic!("{record:?}") };
    *hash = Some("another".into());
    f.cache.put("question", json!(1), record, Vec::new());
    assert!(!f.holds());
}

#[test]
fn what_is_copied_is_an_input() {
    let f = Fixture::new();
    fs::create_dir(f.path("src")).unwrap();
    f.write("src/a", "1");
    f.write("src/skipped", "1");
    for filtered in [false, true] {
        let copy = |io: &RecordingIo| {
            let references = BTreeSet::new();
            let what = AddPath {
                name: "src",
                path: &f.path("src"),
                method: Method::Nar,
                algo: HashAlgo::Sha256,
                references: &references,
                dry: true,
            };
            let mut filter = |path: &Path, _| Ok(!path.ends_with("skipped"));
            let filter: Option<firn_eval::io::Filter<'_>> =
                if filtered { Some(&mut filter) } else { None };
            io.add_path(&what, filter).unwrap();
        };
        f.ask(copy).unwrap();
        f.write("src/skipped", "2");
        assert_eq!(f.holds(), filtered);
        f.ask(copy).unwrap();
        f.write("src/a", "2");
        assert!(!f.holds());
        f.ask(copy).unwrap();
        f.write("src/new", "");
        assert!(!f.holds());
        fs::remove_file(f.path("src/new")).unwrap();
        f.ask(copy).unwrap();
        fs::set_permissions(f.path("src/a"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        assert!(!f.holds());
        f.write("src/a", "1");
        fs::set_permissions(f.path("src/a"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .unwrap();
    }
}

#[test]
fn a_working_tree_is_what_git_tracks_and_the_commit() {
    let f = Fixture::new();
    f.git(&["init", "-q"]);
    f.write("a", "1");
    f.write("b", "1");
    f.git(&["add", "a", "b"]);
    f.git(&["commit", "-qm", "x"]);
    // the fetch itself fails in a world without a store, after the tree was looked at
    let look = |io: &RecordingIo| drop(io.fetch_tree(&f.source("git")));
    for wait in [false, true] {
        if wait {
            settle();
        }
        f.ask(look).unwrap();
        f.write("untracked", "1");
        assert!(f.holds(), "Git does not know it");
        // Git may write its index although nothing has changed
        f.write("a", "1");
        f.git(&["status"]);
        f.ask(look).unwrap();
        f.write("a", "2");
        assert!(!f.holds());
        f.ask(look).unwrap();
        f.git(&["add", "untracked"]);
        assert!(!f.holds());
        f.ask(look).unwrap();
        fs::remove_file(f.path("b")).unwrap();
        assert!(!f.holds());
        f.write("b", "1");
        f.ask(look).unwrap();
        f.git(&["commit", "-qam", "y"]);
        assert!(!f.holds());
        f.ask(look).unwrap();
        f.git(&["commit", "-q", "--amend", "-m", "z"]);
        assert!(!f.holds());
        f.ask(look).unwrap();
        f.git(&["checkout", "-qb", if wait { "other" } else { "third" }]);
        assert!(!f.holds(), "the branch has another name");
        f.write("a", "1");
        f.git(&["rm", "-q", "--cached", "untracked"]);
        f.git(&["commit", "-qam", "w"]);
    }
    // worktrees have their index elsewhere
    let tree = f.dir.path().join("tree");
    f.git(&["worktree", "add", "-q", &tree.to_string_lossy(), "main"]);
    let attrs = Attrs::from([
        ("type".into(), "git".into()),
        ("url".into(), format!("file://{}", tree.display()).into()),
    ]);
    let source = Source::from_attrs(attrs, &|_| true).unwrap();
    f.ask(|io| drop(io.fetch_tree(&source))).unwrap();
    fs::write(tree.join("a"), "another").unwrap();
    assert!(!f.holds());
}

#[test]
fn a_folder_is_all_that_is_in_it() {
    let f = Fixture::new();
    f.write("a", "1");
    fs::create_dir(f.path("d")).unwrap();
    f.write("d/b", "1");
    let look = |io: &RecordingIo| drop(io.fetch_tree(&f.source("path")));
    f.ask(look).unwrap();
    f.write("d/b", "2");
    assert!(!f.holds());
    f.ask(look).unwrap();
    f.write("d/c", "");
    assert!(!f.holds());
    f.ask(look).unwrap();
    // a flake may ask when its tree was changed last
    settle();
    f.write("a", "1");
    assert!(!f.holds());
}

#[test]
fn registries_and_other_files_are_inputs() {
    let f = Fixture::new();
    f.ask(|io| EvalIo::note(io, Outside::File(&f.path("registry")))).unwrap();
    f.write("registry", "{}");
    assert!(!f.holds());
    f.ask(|io| EvalIo::note(io, Outside::File(&f.path("registry")))).unwrap();
    f.write("registry", "[]");
    assert!(!f.holds());
}

#[test]
fn what_cannot_be_told_again_is_not_kept() {
    let f = Fixture::new();
    f.write("time", "builtins.currentTime");
    let refused: [&dyn Fn(&RecordingIo); 5] = [
        &|io| drop(io.read_file(&f.path("time"))),
        &|io| EvalIo::note(io, Outside::Unrepeatable("so")),
        &|io| drop(io.run_program("true", &[])),
        &|io| {
            let what =
                firn_eval::io::Fetch { url: "https://x/y", name: "y", unpack: false, hash: None };
            drop(io.fetch(&what));
        },
        &|io| {
            let attrs = Attrs::from([
                ("type".into(), "github".into()),
                ("owner".into(), "o".into()),
                ("repo".into(), "r".into()),
            ]);
            drop(io.fetch_tree(&Source::from_attrs(attrs, &|_| true).unwrap()));
        },
    ];
    for work in refused {
        assert!(f.ask(work).is_err());
    }
    // a file that changes while it is evaluated
    f.write("a", "1");
    let changed = f.ask(|io| {
        io.read_file(&f.path("a")).unwrap();
        f.write("a", "2");
        io.read_file(&f.path("a")).unwrap();
    });
    assert!(changed.is_err());
}

#[test]
fn damaged_files_count_as_absent_and_old_ones_go() {
    let f = Fixture::new();
    f.ask(|_| {}).unwrap();
    let file = fs::read_dir(f.dir.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    for text in [
        &b""[..],
        b"{",
        b"[]",
        b"\0\0",
        br#"{"version":0,"answer":1,"messages":[],"paths":[],"inputs":[]}"#,
    ] {
        fs::write(&file, text).unwrap();
        assert!(!f.holds());
    }
    f.ask(|_| {}).unwrap();

    let small = EvalCache::new(f.dir.path().join("small")).with_limit(4000);
    for n in 0..20 {
        let record = Record::default();
        small.put(&n.to_string(), json!("x".repeat(400)), record, Vec::new());
    }
    let kept = (0..20).filter(|n| small.get(&n.to_string()).is_some()).count();
    assert!((1..=10).contains(&kept), "{kept}");
}

#[test]
fn messages_are_kept() {
    let f = Fixture::new();
    f.ask(|io| io.message(b"trace: x")).unwrap();
    let hit = f.cache.get("question").unwrap();
    assert_eq!(hit.messages, [Message { text: "trace: x".into(), warning: false }]);
    assert!(f.cache.get("another").is_none());
}

#[test]
fn processes_do_not_disturb_each_other() {
    let f = Fixture::new();
    f.write("a", "1");
    let all: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let f = &f;
                scope.spawn(move || {
                    (0..20).all(|_| {
                        let io = RecordingIo::new(Arc::new(DryIo::default()), false, true);
                        io.read_file(&f.path("a")).unwrap();
                        f.cache.put("shared", json!(n), io.finish().unwrap(), Vec::new());
                        f.cache.get("shared").is_some_and(|hit| hit.answer.is_number())
                    })
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(all.iter().all(|ok| *ok));
}
