//! Working trees as inputs of flakes and as arguments of `fetchGit` and `fetchTree`: what evaluation does not look at
//! is neither hashed nor copied, and nobody sees a difference. Expected texts and paths are those of C++ Nix, which
//! copies everything first.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

/// The flake that is an input.
const INPUT: &[(&str, &str)] = &[
    (
        "dep/flake.nix",
        "{ outputs = { self }: { lib.five = import ./five.nix; lib.where = \"${./five.nix}\"; }; }\n",
    ),
    ("dep/five.nix", "5\n"),
    ("dep/sub/six.nix", "6\n"),
    ("dep/default.nix", "7\n"),
];

/// Its commit, where C++ Nix puts that commit's tree, and the tree's hash.
const REV: &str = "fbc339f5f8d4a90d9c0fdbe3b980c2146b0ec8c1";
const TREE: &str = "2iab98s1bl2w44n91h1yi7rc71a6zfa7-source";
const HASH: &str = "sha256-kZ4LK7Z+fPmzVCAkw6F3IP4TzRME6r0yj8AfIVXY0MI=";

/// The flake that has it twice. `DIR` stands for where both are.
const FLAKE: &str = r#"{
  inputs.dep.url = "git+file://DIR/dep";
  inputs.tree = { url = "git+file://DIR/dep?dir=sub"; flake = false; };
  outputs = { self, dep, tree }: {
    five = dep.lib.five;
    names = builtins.attrNames dep;
    known = builtins.attrNames dep.sourceInfo;
    rev = dep.shortRev or dep.dirtyShortRev;
    modified = dep.lastModifiedDate;
    out = dep.outPath;
    hash = dep.narHash;
    text = "${dep}/flake.nix";
    where = dep.lib.where;
    file = builtins.readFile (dep + "/five.nix");
    other = tree.outPath;
    loaded = import (tree + "/sub/six.nix");
  };
}
"#;

/// What programs do with trees that they fetch themselves.
const FETCH: &str = r#"let
  g = builtins.fetchGit "file://DIR/dep";
  t = builtins.fetchTree { type = "git"; url = "file://DIR/dep"; };
  p = builtins.fetchTree { type = "path"; path = "DIR/dep/sub"; };
in {
  names = map builtins.attrNames [ g t p ];
  revs = [ g.shortRev t.shortRev g.revCount g.lastModified t.lastModifiedDate ];
  loaded = [ (import g) (import "${t}/five.nix") ];
  outs = [ g.outPath t.outPath p.outPath ];
  hashes = [ g.narHash t.narHash p.narHash ];
  json = builtins.toJSON g;
  listed = builtins.readDir g;
  named = builtins.path { path = p; name = "q"; };
  drv = (derivation { name = "x"; system = "x"; builder = g; args = [ "${t}/five.nix" ]; }).drvPath;
  same = g == builtins.fetchGit "file://DIR/dep";
}
"#;

struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        let case = Case { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(case.path("home")).unwrap();
        case.write("conf/nix.conf", "build-users-group =\nsubstituters =\nflake-registry =\n");
        for (name, text) in INPUT {
            case.write(name, text);
        }
        case.write("top/flake.nix", FLAKE);
        case.write("fetch.nix", FETCH);
        for folder in ["dep", "top"] {
            case.git(folder, &["init", "-q"]);
            case.git(folder, &["add", "."]);
            case.git(folder, &["commit", "-qm", "x"]);
        }
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(
            &path,
            text.replace("DIR", self.path("").to_str().unwrap().trim_end_matches('/')),
        )
        .unwrap();
    }

    fn git(&self, folder: &str, args: &[&str]) {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.path(folder))
            .args(["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"])
            .args(args)
            .env("GIT_AUTHOR_DATE", "1000000000 +0000")
            .env("GIT_COMMITTER_DATE", "1000000000 +0000")
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
            .current_dir(self.path("top"))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn ok(&self, args: &[&str]) -> String {
        let (status, out, err) = self.nix(args);
        assert_eq!(status, Some(0), "{args:?}: {err}");
        out.trim_end().to_owned()
    }

    fn eval(&self, name: &str) -> String {
        self.ok(&["eval", "--json", "--no-write-lock-file", &format!(".#{name}")])
    }

    /// What is in the store, without what it has for itself.
    fn stored(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path("root/nix/store")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != ".links").collect();
        names.sort();
        names
    }
}

#[test]
fn inputs_are_copied_when_they_are_looked_at() {
    let tree = format!("\"/nix/store/{TREE}\"");
    let expected = [
        ("five", "5".to_owned(), false),
        (
            "names",
            r#"["_type","inputs","lastModified","lastModifiedDate","lib","narHash","outPath","outputs","rev","revCount","shortRev","sourceInfo","submodules"]"#.to_owned(),
            false,
        ),
        (
            "known",
            r#"["lastModified","lastModifiedDate","narHash","outPath","rev","revCount","shortRev","submodules"]"#.to_owned(),
            false,
        ),
        ("rev", format!("\"{}\"", &REV[..7]), false),
        ("modified", "\"20010909014640\"".to_owned(), false),
        ("where", "\"/nix/store/v0g2isxri5cj5b5vm9yhjdk1h4yby62i-five.nix\"".to_owned(), false),
        ("out", tree.clone(), true),
        ("hash", format!("\"{HASH}\""), true),
        ("text", format!("\"/nix/store/{TREE}/flake.nix\""), true),
        ("file", "\"5\\n\"".to_owned(), true),
        ("other", tree.clone(), true),
        ("loaded", "6".to_owned(), true),
    ];
    for (name, text, copied) in expected {
        // each in a store of its own, so that none finds what another has copied
        let case = Case::new();
        assert_eq!(case.eval(name), text, "{name}");
        let found = case.stored();
        assert_eq!(found.iter().any(|stored| stored == TREE), copied, "{name}: {found:?}");
    }
}

#[test]
fn what_an_input_is_replaced_by_is_not_copied_either() {
    let case = Case::new();
    case.ok(&["flake", "lock"]);
    assert_eq!(case.stored(), [TREE]);
    std::fs::remove_dir_all(case.path("root")).unwrap_or_default();
    let other = format!("git+file://{}", case.path("other").display());
    Command::new("cp").arg("-r").args([case.path("dep"), case.path("other")]).status().unwrap();
    case.write("other/five.nix", "8\n");
    let replaced = |name: &str| {
        let args = ["eval", "--json", "--override-input", "dep", &other];
        case.nix(&[&args[..], &[&format!(".#{name}")]].concat())
    };
    let (status, out, err) = replaced("five");
    assert_eq!((status, out.trim_end()), (Some(0), "8"), "{err}");
    assert!(
        err.contains("not writing modified lock file") && err.contains("• Updated input 'dep'"),
        "{err}"
    );
    assert_eq!(case.stored(), [""; 0]);
    let (_, out, _) = replaced("hash");
    assert!(out.starts_with("\"sha256-") && !out.contains(HASH), "{out}");
    assert!(matches!(&case.stored()[..], [one] if one.ends_with("-source") && one != TREE));
}

#[test]
fn locks_have_the_hashes_of_trees() {
    let case = Case::new();
    let (status, _, err) = case.nix(&["flake", "lock"]);
    assert_eq!(status, Some(0), "{err}");
    let read = || std::fs::read_to_string(case.path("top/flake.lock")).unwrap();
    let text = read();
    let locks: serde_json::Value = serde_json::from_str(&text).unwrap();
    let dep = &locks["nodes"]["dep"]["locked"];
    assert_eq!((dep["narHash"].as_str(), dep["rev"].as_str()), (Some(HASH), Some(REV)));
    assert_eq!(dep["revCount"], 1);
    // the same again is no change
    let (_, out, err) = case.nix(&["flake", "update"]);
    assert!(!err.contains("lock file") && out.is_empty(), "{out}{err}");
    let same = format!("git+file://{}", case.path("dep").display());
    let (_, out, err) = case.nix(&["eval", ".#five", "--override-input", "dep", &same]);
    assert!(!err.contains("lock file") && out.trim_end() == "5", "{out}{err}");
    assert_eq!(read(), text);
    // what is shown of locks has them, too
    let shown = case.ok(&["flake", "metadata", "--json", "--no-write-lock-file"]);
    assert!(shown.contains(HASH) && shown.contains("\"fingerprint\""), "{shown}");
    case.write("dep/five.nix", "8\n");
    let args = ["flake", "metadata", "--json", "--override-input", "dep", &same];
    let shown: serde_json::Value = serde_json::from_str(&case.ok(&args)).unwrap();
    let dep = &shown["locks"]["nodes"]["dep"]["locked"];
    assert!(dep["dirtyRev"].is_string() && dep["narHash"].is_string(), "{shown}");
    // of what is not fixed there is no fingerprint
    assert!(shown.get("fingerprint").is_none(), "{shown}");
    // why a lock file cannot be written
    let (status, _, err) = case.nix(&["flake", "update"]);
    assert_eq!(status, Some(1));
    assert!(
        err.contains("… while updating the lock file of flake 'git+file://")
            && err.contains("error: Not writing lock file of flake"),
        "{err}"
    );
}

#[test]
fn what_is_fetched_is_copied_when_it_is_looked_at() {
    let names = r#"["lastModified","lastModifiedDate","narHash","outPath","rev","revCount","shortRev","submodules"]"#;
    let shallow =
        r#"["lastModified","lastModifiedDate","narHash","outPath","rev","shortRev","submodules"]"#;
    let folder = r#"["lastModified","lastModifiedDate","narHash","outPath"]"#;
    let tree = format!("/nix/store/{TREE}");
    let sub = "/nix/store/g64c9f4w37qgjz76vdkfd6xqk56g1zjb-source";
    let expected = [
        ("names", format!("[{names},{shallow},{folder}]"), false),
        ("revs", r#"["fbc339f","fbc339f",1,1000000000,"20010909014640"]"#.to_owned(), false),
        ("loaded", "[7,5]".to_owned(), true),
        ("outs", format!("[\"{tree}\",\"{tree}\",\"{sub}\"]"), true),
        ("hashes", format!("[\"{HASH}\",\"{HASH}\",\"sha256-M8lFPjkD4Jp0AAD/J4BioSX4+3TM3j21J8N6AG4HTGw=\"]"), true),
        ("json", format!("\"\\\"{tree}\\\"\""), true),
        (
            "listed",
            r#"{"default.nix":"regular","five.nix":"regular","flake.nix":"regular","sub":"directory"}"#.to_owned(),
            true,
        ),
        ("named", "\"/nix/store/08rjl070v65hvgijmxmhikr1wbr1zysa-q\"".to_owned(), false),
        ("drv", "\"/nix/store/479pmgya5l2pf8m5s82b1m6mby9w12ks-x.drv\"".to_owned(), true),
        ("same", "true".to_owned(), true),
    ];
    for (name, text, copied) in expected {
        let case = Case::new();
        let args = ["eval", "--json", "--impure", "--extra-experimental-features", "fetch-tree"];
        let file = case.path("fetch.nix").display().to_string();
        let out = case.ok(&[&args[..], &["--file", &file, name]].concat());
        assert_eq!(out, text, "{name}");
        let found = case.stored();
        assert_eq!(found.iter().any(|stored| stored == TREE), copied, "{name}: {found:?}");
    }
}

#[test]
fn a_tree_is_the_same_all_the_time() {
    let case = Case::new();
    case.write("dep/five.nix", "50\n");
    let text = r#"let a = builtins.fetchGit "file://DIR/dep"; b = builtins.fetchGit "file://DIR/dep"; in
        [ a.dirtyShortRev (a.outPath == b.outPath) (import "${a}/five.nix") ]"#;
    case.write("twice.nix", text);
    let file = case.path("twice.nix").display().to_string();
    let (_, out, err) = case.nix(&["eval", "--json", "--impure", "--file", &file]);
    assert_eq!(out.trim_end(), r#"["fbc339f-dirty",true,50]"#, "{err}");
    // it is looked at once
    assert_eq!(err.matches("is dirty").count(), 1, "{err}");
    // restricted evaluation lets what is fetched be read
    let url = format!(
        "allowed-uris = file:// git+file://\nrestrict-eval = true\nnix-path = here={file}\n"
    );
    case.write(
        "conf/nix.conf",
        &format!("substituters =\nflake-registry =\nbuild-users-group =\n{url}"),
    );
    let (_, out, err) = case.nix(&["eval", "--json", "--impure", "--expr", "import <here>"]);
    assert_eq!(out.trim_end(), r#"["fbc339f-dirty",true,50]"#, "{err}");
}

#[test]
fn updates_look_at_branches_anew() {
    let case = Case::new();
    // without a working tree it is cloned, as a remote one
    case.git("", &["clone", "-q", "--bare", "dep", "bare"]);
    case.write("top/flake.nix", &FLAKE.replace("/dep", "/bare"));
    case.ok(&["flake", "lock"]);
    let rev = || {
        let text = std::fs::read_to_string(case.path("top/flake.lock")).unwrap();
        let locks: serde_json::Value = serde_json::from_str(&text).unwrap();
        locks["nodes"]["dep"]["locked"]["rev"].as_str().unwrap().to_owned()
    };
    assert_eq!(rev(), REV);
    case.write("dep/five.nix", "50\n");
    case.git("dep", &["commit", "-qam", "y"]);
    let bare = case.path("bare").display().to_string();
    case.git("dep", &["push", "-q", &bare, "HEAD"]);
    case.ok(&["flake", "update"]);
    assert_ne!(rev(), REV);
    assert_eq!(case.eval("five"), "50");
}
