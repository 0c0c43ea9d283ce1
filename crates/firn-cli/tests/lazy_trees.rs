//! Trees of flakes on this machine: what evaluation does not look at is neither hashed nor copied, and nobody sees
//! a difference. Expected texts and paths are those of C++ Nix, which copies everything first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

const FLAKE: &str = r#"{
  outputs = { self }: {
    plain = 1 + 1;
    file = import ./sub/x.nix;
    list = builtins.readDir ./.;
    hidden = builtins.pathExists ./untracked;
    names = builtins.attrNames self.sourceInfo;
    sum = builtins.hashFile "sha256" ./sub/x.nix;
    sub = "${./sub}";
    named = builtins.path { path = ./.; name = "hey"; };

    out = self.outPath;
    text = toString ./sub;
    hash = self.narHash;
    base = baseNameOf ./.;
    where = __curPos.file;
    attr = (builtins.unsafeGetAttrPos "out" self.outputs).file;
    twice = "${./.}";
    json = builtins.toJSON { a = ./sub; };
    through = import "${self}/sub/x.nix" + import (self + "/sub/x.nix") + import self.outputs.path;
    path = /. + builtins.unsafeDiscardStringContext "${self}/sub/x.nix";
    same = self.outputs.path == ./sub/x.nix && self.outputs.path < ./sub/y.nix;
    filtered = builtins.filterSource (path: type: path != toString ./sub/y.nix) ./sub;
    context = builtins.getContext "${self}/x";
    drv = (derivation { name = "x"; system = "x"; builder = ./sub; args = [ self ]; }).drvPath;
    fails = throw "in ${toString ./sub}";
    missing = import ./untracked;
  };
}
"#;

/// Where C++ Nix puts the tree of that flake.
const TREE: &str = "/nix/store/s4h2d6d87nbhzgb8i7isxg7l4nqzgfjp-source";

struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        let case = Case { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(case.path("home")).unwrap();
        case.write("conf/nix.conf", "build-users-group =\nsubstituters =\nflake-registry =\n");
        case.write("flake/flake.nix", FLAKE);
        case.write("flake/sub/x.nix", "5\n");
        case.write("flake/sub/y.nix", "6\n");
        case.git(&["init", "-q"]);
        case.git(&["add", "."]);
        case.git(&["commit", "-qm", "x"]);
        case.write("flake/untracked", "");
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }

    fn git(&self, args: &[&str]) {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.path("flake"))
            .args(["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn nix(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_firn"))
            .arg("nix")
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_REMOTE", format!("local?root={}", self.path("root").display()))
            .current_dir(self.path("flake"))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn eval(&self, reference: &str, name: &str) -> String {
        let (status, out, err) = self.nix(&["eval", "--json", &format!("{reference}#{name}")]);
        assert_eq!(status, Some(0), "{name}: {err}");
        out.trim_end().to_owned()
    }

    /// What is in the store, without what it has for itself.
    fn stored(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path("root/nix/store")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != ".links").collect();
        names.sort();
        names
    }

    fn references(&self) -> [String; 2] {
        [".".to_owned(), format!("path:{}", self.path("flake").display())]
    }
}

#[test]
fn what_is_not_looked_at_is_not_copied() {
    let case = Case::new();
    let dirty = |case: &Case| case.write("flake/sub/y.nix", "7\n");
    for change in [false, true] {
        if change {
            dirty(&case);
        }
        for reference in case.references() {
            assert_eq!(case.eval(&reference, "plain"), "2");
            assert_eq!(case.eval(&reference, "file"), "5");
            case.eval(&reference, "list");
            case.eval(&reference, "names");
            case.eval(&reference, "sum");
            assert_eq!(case.stored(), [""; 0], "{reference} {change}");
            let whole = reference != ".";
            assert_eq!(case.eval(&reference, "hidden"), whole.to_string());
        }
    }
    // only this folder
    case.eval(".", "sub");
    assert!(matches!(&case.stored()[..], [one] if one.ends_with("-sub")), "{:?}", case.stored());
    // the files that Git tracks and no others
    let copy = case.eval(".", "named");
    let copy = case.path("root").join(copy.trim_matches(['"', '/']));
    let mut names: Vec<_> =
        std::fs::read_dir(copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["flake.nix", "sub"]);
    assert!(!case.stored().iter().any(|name| name.ends_with("-source")));
}

#[test]
fn what_is_looked_at_is_what_it_would_be() {
    let expected = [
        ("list", r#"{"flake.nix":"regular","sub":"directory"}"#),
        (
            "names",
            r#"["lastModified","lastModifiedDate","narHash","outPath","rev","revCount","shortRev","submodules"]"#,
        ),
        ("sub", r#""/nix/store/9z0annk4rkw65pm3xzmcypvjyjlnjan9-sub""#),
        ("named", r#""/nix/store/i83q0ylw72ahnvddmiymsi5h1w9j6ds9-hey""#),
        ("out", "\"TREE\""),
        ("text", "\"TREE/sub\""),
        ("hash", r#""sha256-89PZhzueOT6Imt4UtSzQddyXwsI39q33491hCI0eOX0=""#),
        ("base", r#""s4h2d6d87nbhzgb8i7isxg7l4nqzgfjp-source""#),
        ("where", "\"TREE/flake.nix\""),
        ("attr", "\"TREE/flake.nix\""),
        (
            "twice",
            r#""/nix/store/1zd8w8n5rivs0nyzry365zic7jb7gb3r-s4h2d6d87nbhzgb8i7isxg7l4nqzgfjp-source""#,
        ),
        ("json", r#""{\"a\":\"/nix/store/9z0annk4rkw65pm3xzmcypvjyjlnjan9-sub\"}""#),
        ("through", "15"),
        ("same", "true"),
        ("filtered", r#""/nix/store/smx7062nyvw9fl14ikn3a70kq4spqj58-sub""#),
        ("context", r#"{"TREE":{"path":true}}"#),
        ("drv", r#""/nix/store/fvpa31gnsrn84q7lj20n7vna6x5gmyj4-x.drv""#),
    ];
    for (name, text) in expected {
        // each in a store of its own, so that none finds what another has copied
        let case = Case::new();
        assert_eq!(case.eval(".", name), text.replace("TREE", TREE), "{name}");
        let tree = TREE.strip_prefix("/nix/store/").unwrap();
        let looked_at = !matches!(name, "list" | "names" | "sub" | "named" | "json");
        assert_eq!(case.stored().iter().any(|stored| stored == tree), looked_at, "{name}");
    }
}

#[test]
fn errors_name_files_as_the_user_knows_them() {
    let case = Case::new();
    let (status, _, err) = case.nix(&["eval", ".#fails"]);
    let place = case.path("flake/flake.nix");
    assert_eq!(status, Some(1));
    assert!(err.contains(&format!("at {}:", place.display())), "{err}");
    assert!(err.contains(&format!("error: in {TREE}/sub")), "{err}");
    let (_, _, err) = case.nix(&["eval", ".#missing"]);
    assert!(err.contains("is not tracked by Git"), "{err}");
    // a folder has no name but its place in the store
    let folder = format!("path:{}", case.path("flake").display());
    let (_, _, err) = case.nix(&["eval", &format!("{folder}#fails")]);
    let named = |tree: &String| err.contains(&format!("at /nix/store/{tree}/flake.nix:"));
    assert!(case.stored().iter().any(named), "{err}");
    assert!(!err.contains("/tree0"), "{err}");
    // values of paths
    let (_, out, _) = case.nix(&["eval", ".#path"]);
    assert_eq!(out.trim_end(), case.path("flake/sub/x.nix").display().to_string());
}

#[test]
fn commands_about_trees_copy_them() {
    let case = Case::new();
    let (_, out, err) = case.nix(&["flake", "metadata", "--json"]);
    assert!(out.contains(&format!("\"path\":\"{TREE}\"")) && out.contains("narHash"), "{out}{err}");
    assert!(case.path("root").join(&TREE[1..]).exists());
    let case = Case::new();
    let (_, out, err) = case.nix(&["flake", "archive", "--json"]);
    assert!(out.contains(TREE), "{out}{err}");
    assert!(case.path("root").join(&TREE[1..]).exists());
    let folder = format!("path:{}", case.path("flake").display());
    let (status, out, err) = case.nix(&["flake", "show", &folder]);
    assert!(status == Some(0) && out.contains("narHash=sha256-"), "{out}{err}");
}

/// What `file` of a flake is, and whether that came from a kept answer.
fn asked(case: &Case, reference: &str) -> (String, bool) {
    let forge = |from: &str, to: &str| {
        let Ok(entries) = std::fs::read_dir(case.path("home/.cache/nix/firn-eval-v1")) else {
            return;
        };
        for entry in entries {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace(from, to)).unwrap();
        }
    };
    forge("\"answer\":\"", "\"answer\":\"kept ");
    let text = case.eval(reference, "file");
    forge("kept ", "");
    match text.strip_prefix("kept ") {
        Some(text) => (text.to_owned(), true),
        None => (text, false),
    }
}

/// Long enough for the times of files to prove something.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(150));
}

#[test]
fn answers_hold_while_what_was_read_is_the_same() {
    let case = Case::new();
    let is = |text: &str, kept: bool| assert_eq!(asked(&case, "."), (text.to_owned(), kept));
    // a tree that differs from its commit, in a file that nobody reads
    case.write("flake/sub/y.nix", "7\n");
    settle();
    is("5", false);
    is("5", true);
    case.write("flake/sub/z.nix", "untracked");
    case.write("flake/flake.lock", "untracked");
    is("5", true);
    case.write("flake/sub/x.nix", "8\n");
    is("8", false);
    settle();
    is("8", true);
    // what differs is as in the commit again
    case.git(&["checkout", "-q", "sub"]);
    is("5", false);
    settle();
    case.write("flake/sub/y.nix", "9\n");
    is("5", false);
    // what the list of tracked files says counts
    case.write("flake/new", "");
    let before = case.eval(".", "list");
    case.git(&["add", "new"]);
    assert_ne!(case.eval(".", "list"), before);
    std::fs::remove_file(case.path("flake/new")).unwrap();
    assert_eq!(case.eval(".", "list"), before);
    std::fs::write(case.path("flake/new"), "").unwrap();
    assert_ne!(case.eval(".", "list"), before);
}

#[test]
fn what_is_known_of_a_tree_counts() {
    let case = Case::new();
    settle();
    assert!(case.eval(".", "names").contains("\"rev\""));
    case.write("flake/sub/y.nix", "9\n");
    assert!(case.eval(".", "names").contains("\"dirtyRev\""));
    case.git(&["checkout", "-q", "sub"]);
    assert!(case.eval(".", "names").contains("\"rev\""));
    // who looked at the whole tree depends on all of it
    settle();
    for reference in case.references() {
        let before = case.eval(&reference, "out");
        case.write("flake/sub/y.nix", &format!("10 + {}\n", reference.len()));
        assert_ne!(case.eval(&reference, "out"), before, "{reference}");
    }
}

#[test]
fn a_changed_file_that_nobody_read_may_change_again() {
    let case = Case::new();
    // one file is what shows that the tree differs from its commit
    case.write("flake/a-changed", "");
    case.write("flake/sub/y.nix", "7\n");
    case.git(&["add", "a-changed"]);
    settle();
    asked(&case, ".");
    case.write("flake/sub/y.nix", "another text\n");
    assert_eq!(asked(&case, "."), ("5".to_owned(), true));
    let folder = format!("path:{}", case.path("flake").display());
    assert_eq!(asked(&case, &folder), ("5".to_owned(), false));
    case.write("flake/sub/y.nix", "a third\n");
    assert_eq!(asked(&case, &folder), ("5".to_owned(), true));
    assert_eq!(asked(&case, "."), ("5".to_owned(), true));
}
